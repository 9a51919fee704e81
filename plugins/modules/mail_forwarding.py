#!/usr/bin/python

# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail_forwarding
short_description: Manage one forwarding of the mail directory
version_added: 0.1.0
description:
  - Makes an address, or all other addresses of a domain, lead to other addresses, in the tables that mail_schema
    creates.
  - A forwarding to itself and a forwarding that closes a loop are refused, with the chain shown.
  - For more than a few forwardings use M(mailfleet.ispmail.mail_directory), which takes them all at once.
extends_documentation_fragment:
  - mailfleet.ispmail.connection
options:
  source:
    description:
      - The address that is forwarded, of a hosted domain or of any other that this host delivers.
      - V(@example.org) is a catch-all for every address of the domain that has neither a mailbox nor a forwarding of
        its own.
    type: str
    required: true
  destinations:
    description:
      - The addresses that it leads to, here or elsewhere. Their order says nothing.
      - V(@example.net) leads to the same local part in that domain; with a catch-all as source, that redirects a whole
        domain.
      - Required unless O(state=absent), which ignores it.
    type: list
    elements: str
  append:
    description:
      - Add O(destinations) to those there are, instead of replacing them.
    type: bool
    default: false
  keep_copy:
    description:
      - Deliver to the mailbox of O(source) as well.
    type: bool
    default: false
  enabled:
    description:
      - Whether the forwarding is in effect. A new one is, unless told otherwise; if not given, an existing one stays
        as it is.
    type: bool
  state:
    description:
      - Whether the forwarding is there.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Reports what would change; the database is only read.
  diff_mode:
    support: full
    description: Shows the rows before and after, without passwords and hashes.
  idempotent:
    support: full
    description: Rows that are as they should be are not written, and passwords that match are not hashed again.
seealso:
  - module: mailfleet.ispmail.mail_directory
  - module: mailfleet.ispmail.mail_domain
  - module: mailfleet.ispmail.mail_user
author:
  - The mailfleet maintainers (@mailfleet)
"""

EXAMPLES = r"""
- name: Two people answer to one address
  mailfleet.ispmail.mail_forwarding:
    source: sales@virtual.test
    destinations:
      - user@virtual.test
      - user@example.net

- name: One more, whoever they are by now
  mailfleet.ispmail.mail_forwarding:
    source: sales@virtual.test
    destinations: [sales-archive@example.net]
    append: true

- name: The user's mail goes elsewhere too, and stays here
  mailfleet.ispmail.mail_forwarding:
    source: user@virtual.test
    destinations: [user@example.net]
    keep_copy: true

- name: All addresses that have no mailbox
  mailfleet.ispmail.mail_forwarding:
    source: "@virtual.test"
    destinations: [user@virtual.test]

- name: A whole domain moves
  mailfleet.ispmail.mail_forwarding:
    source: "@old.test"
    destinations: ["@virtual.test"]
"""

RETURN = r"""
domains:
  description: How many domains were (in check mode, would be) added, changed and deleted, and how many of those named
    were as they should be.
  returned: success
  type: dict
  sample: {added: 1, changed: 0, deleted: 0, unchanged: 0}
  contains:
    added:
      description: Rows that were not there.
      type: int
    changed:
      description: Rows of which something was changed.
      type: int
    deleted:
      description: Rows that were deleted.
      type: int
    unchanged:
      description: Rows that were as wanted.
      type: int
users:
  description: How many users were (in check mode, would be) added, changed and deleted, and how many of those named
    were as they should be.
  returned: success
  type: dict
  sample: {added: 1, changed: 0, deleted: 0, unchanged: 0}
  contains:
    added:
      description: Rows that were not there.
      type: int
    changed:
      description: Rows of which something was changed.
      type: int
    deleted:
      description: Rows that were deleted.
      type: int
    unchanged:
      description: Rows that were as wanted.
      type: int
forwardings:
  description: How many forwardings were (in check mode, would be) added, changed and deleted, and how many of those
    named were as they should be.
  returned: success
  type: dict
  sample: {added: 1, changed: 0, deleted: 0, unchanged: 0}
  contains:
    added:
      description: Rows that were not there.
      type: int
    changed:
      description: Rows of which something was changed.
      type: int
    deleted:
      description: Rows that were deleted.
      type: int
    unchanged:
      description: Rows that were as wanted.
      type: int
"""

from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory import forwarding_options, run_one


def main() -> None:
    run_one("forwardings", forwarding_options())


if __name__ == "__main__":
    main()
