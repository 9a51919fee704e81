#!/usr/bin/python

# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail_directory
short_description: Make the mail directory's domains, users and forwardings be as described
version_added: 0.1.0
description:
  - Takes the whole desired state at once, one row or a million, from lists and from files, compares it with the tables
    that mail_schema creates, and writes the difference in one transaction. Each table is read once, all rows that
    differ change or none.
  - What a row does not mention stays as it is in an existing row. What no row mentions stays as it is, unless O(purge)
    says otherwise.
  - Everything is checked before anything is changed. Each rejected value is named with its place (C(users[17].email),
    C(users.csv line 18)), duplicates with both places, forwarding loops with their chain.
  - Runs at the same time wait for each other; a run that is killed leaves the old state.
  - The rows travel to the managed host in one file and are no arguments of the module, so that they are not logged.
extends_documentation_fragment:
  - mailfleet.ispmail.connection
options:
  domains:
    description:
      - The domains that are hosted.
    type: list
    elements: dict
    suboptions:
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
  users:
    description:
      - The users, each in a hosted domain.
    type: list
    elements: dict
    suboptions:
      email:
        description:
          - The user's address, which is also the name to log in with and the name of the maildir.
          - Parsed as RFC 5321 says. The case is ignored, an internationalised domain becomes A-labels, characters such
            as V(') and V(+) are allowed. Before the C(@) only ASCII is possible, and no slash.
        type: str
        required: true
      password:
        description:
          - The password in clear text. It is verified against the stored hash and hashed anew only if it does not
            match.
          - A new user needs O(users[].password) or O(users[].password_hash).
        type: str
      password_hash:
        description:
          - A hash that Courier verifies. Of crypt(5) those that start with V($6$), V($5$), V($y$), V($gy$), V($7$),
            V($2a$), V($2b$), V($2y$) or V($1$), and DES; digests tagged V({SHA512}), V({SHA256}), V({SHA}), V({MD5}),
            V({MD5RAW}), and V({SSHA}) with a salt of four octets.
          - Tags under which Dovecot and LDAP servers keep the same hash (V({BLF-CRYPT}), V({SHA512-CRYPT}),
            V({CRYPT}), V({LDAP-MD5}) and the like) are converted. Others (V({SSHA256}), V({ARGON2ID})) are refused.
        type: str
      password_scheme:
        description:
          - How O(users[].password) is stored when it has to be. The default is the task's O(password_scheme).
          - V(CLEAR) keeps the clear text, which only the profile V(tutorial) of the roles can use. Hashes do not match
            then, and clear text does not match with any other scheme.
        type: str
        choices: [SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, YESCRYPT, CLEAR]
      update_password:
        description:
          - V(always) makes an existing user have the password given. V(on_create) only gives it to a new one. The
            default is the task's O(update_password).
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
          - Name of the host that holds the user's maildir where the mail store is spread over several. Empty is the
            only one there is.
        type: str
      state:
        description:
          - Whether the user is there.
        type: str
        choices: [present, absent]
        default: present
  forwardings:
    description:
      - The forwardings.
    type: list
    elements: dict
    suboptions:
      source:
        description:
          - The address that is forwarded, of a hosted domain or of any other that this host delivers.
          - V(@example.org) is a catch-all for every address of the domain that has neither a mailbox nor a forwarding
            of its own.
        type: str
        required: true
      destinations:
        description:
          - The addresses that it leads to, here or elsewhere. Their order says nothing.
          - V(@example.net) leads to the same local part in that domain; with a catch-all as source, that redirects a
            whole domain.
          - Required unless O(forwardings[].state=absent), which ignores it.
        type: list
        elements: str
      append:
        description:
          - Add O(forwardings[].destinations) to those there are, instead of replacing them.
        type: bool
        default: false
      keep_copy:
        description:
          - Deliver to the mailbox of O(forwardings[].source) as well.
        type: bool
        default: false
      enabled:
        description:
          - Whether the forwarding is in effect. A new one is, unless told otherwise; if not given, an existing one
            stays as it is.
        type: bool
      state:
        description:
          - Whether the forwarding is there.
        type: str
        choices: [present, absent]
        default: present
  src:
    description:
      - A file with rows, or a folder of such files; rows of all files and of the lists above are taken together. In a
        folder, the files named C(*.yml), C(*.yaml), C(*.json) and C(*.csv) are read.
      - YAML and JSON hold a dictionary with the keys C(domains), C(users) and C(forwardings) (with or without the
        prefix C(ispmail_)), each a list as above. Templates in them are not evaluated. Files and single values may be
        encrypted with C(ansible-vault).
      - CSV names the columns in its first line, separated by comma or semicolon, as the options above. A column
        C(email) makes it a list of users, C(source) of forwardings, else C(domain) of domains. An empty value is one
        that is not given; several destinations are separated by commas within quotes.
      - Relative paths are searched like those of M(ansible.builtin.copy), in C(files/) of the role or next to the
        playbook.
    type: path
  _rows:
    description:
      - Not for playbooks. How the control node's half of this module sends the rows when they are few.
    type: str
  remote_src:
    description:
      - Whether O(src) is on the managed host instead of the control node. YAML needs PyYAML there, and cannot be
        encrypted.
    type: bool
    default: false
  purge:
    description:
      - The lists of which rows are deleted that are in the database, but not in the list. A list that is not given at
        all is not purged, but an error; an empty list is given.
    type: list
    elements: str
    choices: [domains, users, forwardings]
    default: []
  purge_domains:
    description:
      - Limits O(purge) to these domains, their users and their forwardings. If not given, it may delete in all.
    type: list
    elements: str
  max_deletions:
    description:
      - How many rows O(purge) and O(cascade) may delete together. If they would delete more, nothing is changed. Rows
        that have O(domains[].state=absent) themselves do not count.
    type: int
    default: 100
  cascade:
    description:
      - Delete the users and forwardings of a domain together with it. Without it, a domain that has any is not
        deleted.
      - Maildirs are left alone.
    type: bool
    default: false
  local_domains:
    description:
      - Names that Postfix delivers to Unix accounts (C(mydestination)). A domain is either local or hosted, so a
        hosted domain among them is refused, and so is V(localhost) always.
    type: list
    elements: str
    default: []
  password_scheme:
    description:
      - How passwords given in clear text are stored, for users that do not say it themselves.
    type: str
    choices: [SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, YESCRYPT, CLEAR]
    default: SHA512-CRYPT
  update_password:
    description:
      - Whether passwords given are for existing users, too, for users that do not say it themselves.
    type: str
    choices: [always, on_create]
    default: always
  diff_limit:
    description:
      - How many rows of a table the diff shows.
    type: int
    default: 100
attributes:
  check_mode:
    support: full
    description: Reports what would change; the database is only read.
  diff_mode:
    support: full
    description: Shows the rows before and after, at most O(diff_limit) a table and how many there are in all, without
      passwords and hashes.
  idempotent:
    support: full
    description: Rows that are as they should be are not written, and passwords that match are not hashed again.
  async:
    support: none
    description: The rows are sent by the control node while the task runs.
notes:
  - Hashes are compared, clear-text passwords are verified with crypt(3), which is slow by design (about 2 ms each with
    SHA512-CRYPT, on all cores). For many users give hashes.
seealso:
  - module: mailfleet.ispmail.mail_directory_info
  - module: mailfleet.ispmail.mail_schema
  - module: mailfleet.ispmail.mail_domain
  - module: mailfleet.ispmail.mail_user
  - module: mailfleet.ispmail.mail_forwarding
author:
  - The mailfleet maintainers (@mailfleet)
"""

EXAMPLES = r"""
- name: The tutorial's example
  mailfleet.ispmail.mail_directory:
    domains:
      - domain: virtual.test
    users:
      - email: user@virtual.test
        password: "{{ user_password }}"
    forwardings:
      - source: postmaster@virtual.test
        destinations: [user@virtual.test]

- name: Everything that the folder mail/ beside the playbook describes, and nothing else
  mailfleet.ispmail.mail_directory:
    src: mail/
    purge: [domains, users, forwardings]
    max_deletions: 50

- name: One customer's users, exactly
  mailfleet.ispmail.mail_directory:
    users: "{{ customer_users }}"
    purge: [users]
    purge_domains: [customer.example]

- name: What another system has written to the managed host
  mailfleet.ispmail.mail_directory:
    src: /var/lib/export/users.csv
    remote_src: true
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

from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory import (
    DIFF_LIMIT,
    LOCAL_DOMAINS,
    domain_options,
    forwarding_options,
    options_of,
    reconcile,
    user_options,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_files import (
    LISTS,
    Section,
    of_items,
    of_path,
    read_stream,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_rows import UPDATE_PASSWORD
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import DEFAULT_SCHEME, SCHEMES


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            "domains": {"type": "list", "elements": "dict", "options": domain_options()},
            "users": {
                "type": "list",
                "elements": "dict",
                "options": user_options(),
                "mutually_exclusive": [("password", "password_hash")],
            },
            "forwardings": {"type": "list", "elements": "dict", "options": forwarding_options()},
            "_rows": {"type": "str", "no_log": True},
            "src": {"type": "path"},
            "remote_src": {"type": "bool", "default": False},
            "purge": {"type": "list", "elements": "str", "choices": list(LISTS), "default": []},
            "purge_domains": {"type": "list", "elements": "str"},
            "max_deletions": {"type": "int", "default": 100},
            "cascade": {"type": "bool", "default": False},
            **LOCAL_DOMAINS,
            "password_scheme": {"type": "str", "choices": list(SCHEMES), "default": DEFAULT_SCHEME, "no_log": False},
            "update_password": {
                "type": "str",
                "choices": list(UPDATE_PASSWORD),
                "default": "always",
                "no_log": False,
            },
            "diff_limit": {"type": "int", "default": DIFF_LIMIT},
        },
        supports_check_mode=True,
    )

    def sections() -> Iterator[Section]:
        for name in LISTS:
            if module.params[name] is not None:
                yield from of_items(name, module.params[name], name)
        if module.params["_rows"] is not None:
            yield from read_stream(module.params["_rows"].splitlines())
        if module.params["src"] is not None:
            yield from of_path(module.params["src"])

    result, _plan = reconcile(module, sections, options_of(module))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
