#!/usr/bin/python

# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail_schema
short_description: Create and migrate the tables of the mail directory
version_added: 0.1.0
description:
  - Creates the database and its tables C(domains), C(users) and C(forwardings), and brings older ones to the current
    form by numbered migrations. Migrations only go forward, one run at a time works on a database, and a run that was
    killed is completed by the next one.
  - The tutorial's own tables (2004) are adopted in place. They are filled into new tables that then take over the
    names in one step, so that a mail server never finds them empty. The old ones stay as they were, as
    C(tutorial_domains), C(tutorial_users) and C(tutorial_forwardings).
  - The tables of the tutorial's later editions (C(virtual_domains), C(virtual_users), C(virtual_aliases)) and of
    PostfixAdmin (C(domain), C(mailbox), C(alias), C(alias_domain)) are copied from on request, once, and never
    changed.
  - What cannot be carried over is reported row by row and remains in the old tables.
extends_documentation_fragment:
  - mailfleet.ispmail.connection
options:
  state:
    description:
      - V(present) makes the database have the current tables.
      - V(info) reports what is there and changes nothing.
      - No other value is allowed.
    type: str
    default: present
  adopt:
    description:
      - An older layout whose rows have to be in the directory. It is an error if its tables are not there, unless
        they were adopted before.
      - V(tutorial) are the tables of the tutorial itself. In O(login_db) they are adopted in place also without this
        option, because they have the names of the directory's own; with O(adopt_from) they are copied from another
        database.
      - V(ispmail) are the tables of the tutorial's later editions. Several aliases of one source become one
        forwarding.
      - V(postfixadmin) are the tables of PostfixAdmin. An alias that only leads from a mailbox to itself is left out,
        because the directory needs none. An alias domain becomes a forwarding of the whole domain.
      - Rows that the directory already has are never changed by an adoption.
    type: str
    choices: [tutorial, ispmail, postfixadmin]
  adopt_from:
    description:
      - Database on the same server that holds the tables of O(adopt), if it is not O(login_db).
    type: str
  rehash:
    description:
      - Whether clear-text passwords are hashed while they are adopted. The old tables, which keep the clear text,
        should then be removed once the new ones are trusted.
      - In the tutorial's tables every password is clear text that does not start like a hash of crypt(5) or with a
        tag in braces. Leave this off if those tables hold crypt(3)'s hashes of 13 characters.
      - The profile V(tutorial) of the roles needs clear text; every other way to log in needs hashes.
    type: bool
    default: false
  password_scheme:
    description:
      - How O(rehash) hashes.
    type: str
    choices: [SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, YESCRYPT]
    default: SHA512-CRYPT
  lock_timeout:
    description:
      - Seconds to wait for another run on the same database, and for statements of others that use a table that has
        to be changed.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Reports the migrations, the adoptions and every row that would not be carried over; only reads.
  diff_mode:
    support: full
    description: Shows the schema's version, the number of rows and the adoptions before and after.
  idempotent:
    support: full
    description: A database that has the current tables is not changed, and what was adopted once is not adopted again.
seealso:
  - module: mailfleet.ispmail.mail_directory
  - module: ansible.mariadb.mariadb_user
notes:
  - The account needs C(CREATE), C(ALTER), C(DROP), C(INDEX), C(REFERENCES), C(SELECT), C(INSERT), C(UPDATE) and
    C(DELETE) on O(login_db), and C(SELECT) on O(adopt_from). The accounts of the mail daemons need C(SELECT) on the
    three tables only, the account of the other modules C(SELECT), C(INSERT), C(UPDATE) and C(DELETE) on them.
  - Tested with MariaDB 10.11 and 11.8. The statements are also valid for MySQL 8, which was not tested.
  - Maildirs are not moved. They are named like the addresses, whose spelling is kept; PostfixAdmin's are named
    differently.
  - While the tutorial's tables are adopted, no other program should write to them. A row that is added in that second
    is still brought over; a row that is changed or removed in it is not.
author:
  - The mailfleet maintainers (@mailfleet)
"""

EXAMPLES = r"""
- name: Create the directory on the local server, or bring it up to date
  mailfleet.ispmail.mail_schema:
    login_db: provider

- name: See what the adoption of the tutorial's tables would leave behind
  mailfleet.ispmail.mail_schema:
    login_db: provider
    adopt: tutorial
  check_mode: true
  register: preview

- name: Adopt the tutorial's tables and hash their clear-text passwords
  mailfleet.ispmail.mail_schema:
    login_db: provider
    adopt: tutorial
    rehash: true

- name: Copy the domains, users and aliases of a later edition
  mailfleet.ispmail.mail_schema:
    login_db: provider
    adopt: ispmail
    adopt_from: mailserver

- name: Copy PostfixAdmin's rows on a remote server, over verified TLS
  mailfleet.ispmail.mail_schema:
    login_host: [db1.example.org, db2.example.org]
    login_user: migration
    login_password: "{{ vault_migration_password }}"
    ca_cert: /etc/ssl/certs/example-ca.pem
    adopt: postfixadmin
    adopt_from: postfixadmin

- name: Report the version and the number of rows
  mailfleet.ispmail.mail_schema:
    state: info
  register: schema
"""

RETURN = r"""
version:
  description:
    - Number of the schema's version, 0 if there is none. In check mode the version that would be reached.
  type: int
  returned: success
  sample: 2
latest_version:
  description: Number of the version that this release leads to.
  type: int
  returned: success
  sample: 2
migrations:
  description: Migrations that were applied, in their order; with O(state=info) those that remain to be applied.
  type: list
  elements: dict
  returned: success
  contains:
    version:
      description: Number of the migration.
      type: int
      sample: 1
    name:
      description: What it is about.
      type: str
      sample: domains, users and forwardings
  sample: [{version: 1, name: "domains, users and forwardings"}, {version: 2, name: services and mail host of a user}]
found:
  description: Older layouts whose tables stood in O(login_db) before, as values of O(adopt).
  type: list
  elements: str
  returned: success
  sample: [tutorial]
adopted:
  description: All adoptions on record, or in check mode those too that would be made.
  type: list
  elements: dict
  returned: success
  contains:
    layout:
      description: What was adopted, a value of O(adopt).
      type: str
      sample: tutorial
    source_database:
      description: Database that the rows came from.
      type: str
      sample: provider
    domains:
      description: Number of domains that were inserted.
      type: int
      sample: 12
    users:
      description: Number of users that were inserted.
      type: int
      sample: 340
    forwardings:
      description: Number of forwardings that were inserted.
      type: int
      sample: 95
    clear_text_passwords:
      description: Number of inserted users whose password is clear text.
      type: int
      sample: 340
rejected:
  description: What the adoptions in RV(adopted) did not carry over. Passwords are never shown.
  type: list
  elements: dict
  returned: success
  contains:
    layout:
      description: The adoption it belongs to.
      type: str
      sample: tutorial
    source_database:
      description: Database that holds the row.
      type: str
      sample: provider
    table:
      description: Table that holds the row. The tutorial's tables are called C(tutorial_users) and so on by then.
      type: str
      sample: tutorial_users
    key:
      description: Value that identifies the row in its table.
      type: str
      sample: bob@elsewhere.example
    part:
      description:
        - V(row) if the row was left out, otherwise the part that the row was carried over without.
        - V(column) if somebody added the column RV(rejected[].key) to the tutorial's table, and the directory has none
          for it.
      type: str
      sample: row
    reason:
      description: Why.
      type: str
      sample: its domain elsewhere.example is not among the domains
rows:
  description: Number of rows of each table of the directory that there is. In check mode as it is.
  type: dict
  returned: success
  sample: {domains: 12, users: 340, forwardings: 95}
"""

from dataclasses import asdict, replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import (
    ConnectionFailed,
    DatabaseError,
    connect,
    connection_argument_spec,
    describe_error,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import CLEAR, PasswordError, hash_password
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema import (
    LATEST,
    Adopted,
    Migration,
    Report,
    Request,
    SchemaError,
    locked,
    migrate,
    pending,
    report,
)

_HASHED = ["SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "YESCRYPT"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            # Checked by ourselves: ansible-test wants a module of its own for what only reports.
            "state": {"type": "str", "default": "present"},
            "adopt": {"type": "str", "choices": ["tutorial", "ispmail", "postfixadmin"]},
            "adopt_from": {"type": "str"},
            "rehash": {"type": "bool", "default": False},
            "password_scheme": {"type": "str", "choices": _HASHED, "default": "SHA512-CRYPT", "no_log": False},
            "lock_timeout": {"type": "int", "default": 60},
        },
        required_by={"adopt_from": ["adopt"]},
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except ConnectionFailed as error:
        module.fail_json(msg=str(error), exception=error.details)
    except SchemaError as error:
        module.fail_json(msg=str(error))
    except DatabaseError as error:
        module.fail_json(msg=describe_error(error, module.params))
    for adopted in result["adopted"]:
        if adopted["clear_text_passwords"] and adopted not in result["diff"]["before"]["adopted"]:
            module.warn(
                f"{adopted['clear_text_passwords']} users of {adopted['source_database']} have clear-text passwords,"
                " which only the roles' profile 'tutorial' accepts: use rehash, or set new passwords"
            )
    module.exit_json(**result)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module's result for C(params).  Raises ConnectionFailed, SchemaError and DatabaseError."""
    request = _request(params)
    connection = connect(params, with_database=False)
    try:
        with connection.cursor() as cursor:
            if params["state"] == "info":
                found = report(cursor, request)
                return _result(found, found, found.remaining, False)
            with locked(cursor, request):
                before = report(cursor, request)
                migrations, adoptions = pending(cursor, request)
                after = replace(before, version=LATEST, adopted=before.adopted + adoptions)
                changed = bool(migrations or adoptions)
                if changed and not check_mode:
                    migrations, _adoptions = migrate(connection, request)
                    after = report(cursor, request)
                return _result(before, after, migrations, changed)
    finally:
        connection.close()


def _result(before: Report, after: Report, migrations: list[Migration], changed: bool) -> dict[str, Any]:
    return {
        "changed": changed,
        "version": after.version,
        "latest_version": LATEST,
        "migrations": [{"version": migration.number, "name": migration.name} for migration in migrations],
        "found": list(before.found),
        "adopted": [_counts(adoption) for adoption in after.adopted],
        "rejected": [
            {"layout": adoption.layout, "source_database": adoption.source_database, **row._asdict()}
            for adoption in after.adopted
            for row in adoption.rejected
        ],
        "rows": dict(after.counts),
        "diff": {
            "before": {"version": before.version, "adopted": [_counts(adoption) for adoption in before.adopted]},
            "after": {"version": after.version, "adopted": [_counts(adoption) for adoption in after.adopted]},
        },
    }


def _request(params: dict[str, Any]) -> Request:
    if params["state"] not in ("present", "info"):
        raise SchemaError(f"state {params['state']!r} is not known: give present or info")
    database = params["login_db"]
    if not 0 < len(database) <= 64 or database != database.strip() or set(database) & set("/\\.%\0"):
        raise SchemaError(
            f"login_db {database!r} cannot be a database's name: give 1 to 64 characters, without slash, dot,"
            " percent sign, and white space at the ends"
        )
    if params["lock_timeout"] < 1:
        raise SchemaError(f"lock_timeout {params['lock_timeout']} is too short: give at least 1 (seconds)")
    scheme = params["password_scheme"] if params["rehash"] else CLEAR
    try:
        hash_password("probe", scheme)
    except PasswordError as error:
        raise SchemaError(f"password_scheme {scheme!r}: a password {error}. Choose another scheme") from error
    return Request(database, params["adopt"], params["adopt_from"], scheme, params["lock_timeout"])


def _counts(adoption: Adopted) -> dict[str, Any]:
    return {name: value for name, value in asdict(adoption).items() if name != "rejected"}


if __name__ == "__main__":
    main()
