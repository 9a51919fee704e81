#!/usr/bin/python

# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail_domain
short_description: Manage one domain of the mail directory
version_added: 0.1.0
description:
  - Makes a domain be hosted, or not, in the tables that mail_schema creates.
  - For more than a few domains use M(mailfleet.ispmail.mail_directory), which takes them all at once.
extends_documentation_fragment:
  - mailfleet.ispmail.connection
options:
  domain:
    description:
      - The domain, with or without umlauts and in any case. It is stored in lower case and as A-labels
        (V(Bücher.example) is V(xn--bcher-kva.example)).
    type: str
    required: true
  enabled:
    description:
      - Whether mail for the domain is accepted. A new domain is enabled unless told otherwise; if not given, an
        existing one stays as it is.
    type: bool
  state:
    description:
      - Whether the domain is there.
    type: str
    choices: [present, absent]
    default: present
  cascade:
    description:
      - Delete the users and forwardings of a domain together with it. Without it, a domain that has any is not
        deleted.
      - Maildirs are left alone unless O(delete_maildirs) is true.
    type: bool
    default: false
  delete_maildirs:
    description:
      - Delete the maildirs of the users that are deleted, after their rows. The task must then run on the host that
        has O(mail_store).
    type: bool
    default: false
  mail_store:
    description:
      - Directory that holds a maildir for each user, named like the address.
    type: path
    default: /home/vmail
  local_domains:
    description:
      - Names that Postfix delivers to Unix accounts (C(mydestination)). A domain is either local or hosted, so a
        hosted domain among them is refused, and so is V(localhost) always.
    type: list
    elements: str
    default: []
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
  - module: mailfleet.ispmail.mail_user
  - module: mailfleet.ispmail.mail_forwarding
author:
  - The mailfleet maintainers (@mailfleet)
"""

EXAMPLES = r"""
- name: Host a domain
  mailfleet.ispmail.mail_domain:
    domain: virtual.test

- name: Refuse its mail for a while
  mailfleet.ispmail.mail_domain:
    domain: virtual.test
    enabled: false

- name: Give it up together with its users and their mail
  mailfleet.ispmail.mail_domain:
    domain: virtual.test
    state: absent
    cascade: true
    delete_maildirs: true
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
maildirs:
  description: The maildirs that were (in check mode, would be) deleted.
  returned: when O(delete_maildirs) is true
  type: list
  elements: str
  sample: [/home/vmail/ann@example.org]
"""

from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory import (
    LOCAL_DOMAINS,
    MAILDIR_OPTIONS,
    domain_options,
    run_one,
)


def main() -> None:
    run_one(
        "domains",
        domain_options(),
        cascade={"type": "bool", "default": False},
        **MAILDIR_OPTIONS,
        **LOCAL_DOMAINS,
    )


if __name__ == "__main__":
    main()
