#!/usr/bin/python

# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail_user
short_description: Manage one user of the mail directory
version_added: 0.1.0
description:
  - Makes a user be there, or not, in the tables that mail_schema creates. The user's domain must be hosted.
  - For more than a few users use M(mailfleet.ispmail.mail_directory), which takes them all at once.
extends_documentation_fragment:
  - mailfleet.ispmail.connection
options:
  email:
    description:
      - The user's address, which is also the name to log in with and the name of the maildir.
      - Parsed as RFC 5321 says. The case is ignored, an internationalised domain becomes A-labels, characters such as
        V(') and V(+) are allowed. Before the C(@) only ASCII is possible, and no slash.
    type: str
    required: true
  password:
    description:
      - The password in clear text. It is verified against the stored hash and hashed anew only if it does not match.
      - A new user needs O(password) or O(password_hash).
    type: str
  password_hash:
    description:
      - A hash that Courier verifies. Of crypt(5) those that start with V($6$), V($5$), V($y$), V($gy$), V($7$),
        V($2a$), V($2b$), V($2y$) or V($1$), and DES; digests tagged V({SHA512}), V({SHA256}), V({SHA}), V({MD5}),
        V({MD5RAW}), and V({SSHA}) with a salt of four octets.
      - Tags under which Dovecot and LDAP servers keep the same hash (V({BLF-CRYPT}), V({SHA512-CRYPT}), V({CRYPT}),
        V({LDAP-MD5}) and the like) are converted. Others (V({SSHA256}), V({ARGON2ID})) are refused.
    type: str
  password_scheme:
    description:
      - How O(password) is stored when it has to be. The default is V(SHA512-CRYPT).
      - V(CLEAR) keeps the clear text, which only the profile V(tutorial) of the roles can use. Hashes do not match
        then, and clear text does not match with any other scheme.
    type: str
    choices: [SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, YESCRYPT, CLEAR]
  update_password:
    description:
      - V(always) makes an existing user have the password given. V(on_create) only gives it to a new one. The default
        is V(always).
    type: str
    choices: [always, on_create]
  quota:
    description:
      - How much mail the user may keep, in octets or with a unit (V(500M), V(2G), powers of 1024). V(0) and
        V(unlimited) are no limit. If not given, a new user has no limit and an existing one keeps what it has.
    type: str
  enabled:
    description:
      - Whether the user can receive mail and log in at all. As the switches below, true for a new user unless told
        otherwise; if not given, an existing user stays as it is.
    type: bool
  smtp_enabled:
    description:
      - Whether the user may send through SMTP with AUTH.
    type: bool
  imap_enabled:
    description:
      - Whether the user may log in through IMAP.
    type: bool
  pop3_enabled:
    description:
      - Whether the user may log in through POP3.
    type: bool
  webmail_enabled:
    description:
      - Whether the user may log in to the webmail.
    type: bool
  mailhost:
    description:
      - Name of the host that holds the user's maildir where the mail store is spread over several. Empty is the only
        one there is.
    type: str
  state:
    description:
      - Whether the user is there.
    type: str
    choices: [present, absent]
    default: present
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
  - module: mailfleet.ispmail.mail_forwarding
author:
  - The mailfleet maintainers (@mailfleet)
"""

EXAMPLES = r"""
- name: A user with a mailbox of two gibibytes
  mailfleet.ispmail.mail_user:
    email: user@virtual.test
    password: "{{ user_password }}"
    quota: 2G

- name: The password is only a start, and POP3 is not allowed
  mailfleet.ispmail.mail_user:
    email: user@virtual.test
    password: "{{ user_password }}"
    update_password: on_create
    pop3_enabled: false

- name: Take over the hash of another system
  mailfleet.ispmail.mail_user:
    email: ann@virtual.test
    password_hash: "{BLF-CRYPT}$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe"

- name: The user leaves
  mailfleet.ispmail.mail_user:
    email: ann@virtual.test
    state: absent
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
    MAILDIR_OPTIONS,
    run_one,
    user_options,
)


def main() -> None:
    run_one("users", user_options(), **MAILDIR_OPTIONS)


if __name__ == "__main__":
    main()
