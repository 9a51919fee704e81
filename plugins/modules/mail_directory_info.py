#!/usr/bin/python

# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail_directory_info
short_description: Report the rows of the mail directory and what is wrong with them
version_added: 0.1.0
description:
  - Returns the domains, users and forwardings of the tables that mail_schema creates, how many there are, and the
    problems among them. Passwords and hashes are never returned.
extends_documentation_fragment:
  - mailfleet.ispmail.connection
options:
  gather:
    description:
      - What to return. V(problems) are looked for in the whole directory, which reads every row of it.
    type: list
    elements: str
    choices: [counts, domains, users, forwardings, problems]
    default: [counts, domains, users, forwardings, problems]
  domains:
    description:
      - Only rows of these domains. If not given, of all.
    type: list
    elements: str
  match:
    description:
      - Only rows of which the domain, the address or the source matches this pattern of a shell, in any case, for
        example V(sales*).
    type: str
  limit:
    description:
      - Return at most so many rows of each list, in the order of their keys. The counts tell how many there are.
    type: int
    default: 1000
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: N/A
    description: Changes nothing.
  idempotent:
    support: full
    description: Changes nothing.
seealso:
  - module: mailfleet.ispmail.mail_directory
  - module: mailfleet.ispmail.mail_schema
author:
  - The mailfleet maintainers (@mailfleet)
"""

EXAMPLES = r"""
- name: How many rows there are
  mailfleet.ispmail.mail_directory_info:
    gather: [counts]
  register: mail

- name: Everything about one domain
  mailfleet.ispmail.mail_directory_info:
    domains: [virtual.test]

- name: Forwardings that make no sense
  mailfleet.ispmail.mail_directory_info:
    gather: [problems]
  register: mail
  failed_when: mail.problems.loops or mail.problems.dead_ends
"""

RETURN = r"""
counts:
  description: How many rows each table has, after O(domains) and O(match), whatever O(limit) is.
  returned: when V(counts) is in O(gather)
  type: dict
  sample: {domains: 2, users: 120, forwardings: 14}
domains:
  description: The domains.
  returned: when V(domains) is in O(gather)
  type: list
  elements: dict
  sample: [{domain: virtual.test, enabled: true}]
users:
  description: The users. The quota is in octets, 0 is none; C(password_scheme) is V(CLEAR) for what is no
    hash.
  returned: when V(users) is in O(gather)
  type: list
  elements: dict
  sample:
    - email: user@virtual.test
      enabled: true
      quota: 2147483648
      smtp_enabled: true
      imap_enabled: true
      pop3_enabled: true
      webmail_enabled: true
      mailhost: ""
      password_scheme: SHA512-CRYPT
forwardings:
  description: The forwardings.
  returned: when V(forwardings) is in O(gather)
  type: list
  elements: dict
  sample: [{source: sales@virtual.test, destinations: [user@virtual.test], enabled: true}]
problems:
  description: What is wrong in the directory. Disabled rows count as not there.
  returned: when V(problems) is in O(gather)
  type: dict
  contains:
    orphans:
      description: Users and forwardings of which the domain is not hosted; for a forwarding that is legitimate for a
        local domain.
      type: dict
      sample: {users: [], forwardings: [root@mail.example.org]}
    loops:
      description: Chains of forwardings that come back to their start.
      type: list
      elements: list
      sample: [[a@virtual.test, b@virtual.test, a@virtual.test]]
    dead_ends:
      description: Destinations in a hosted domain that have neither a mailbox nor a forwarding, nor a catch-all.
      type: list
      elements: dict
      sample: [{source: sales@virtual.test, destination: gone@virtual.test}]
"""

from fnmatch import fnmatchcase
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailfleet.ispmail.plugins.module_utils.addresses import split_list
from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory import fail_on_errors, parse_domains
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_routes import find_problems
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import scheme_of
from ansible_collections.mailfleet.ispmail.plugins.module_utils.plan import (
    DOMAINS,
    FORWARDINGS,
    TABLES,
    USERS,
    Row,
    Table,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.store import Store, transact


def main() -> None:
    gather = ["counts", *TABLES, "problems"]
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            "gather": {"type": "list", "elements": "str", "choices": gather, "default": gather},
            "domains": {"type": "list", "elements": "str"},
            "match": {"type": "str"},
            "limit": {"type": "int", "default": 1000},
        },
        supports_check_mode=True,
    )
    domains = None if module.params["domains"] is None else parse_domains(module, "domains")
    with fail_on_errors(module):
        result = transact(module.params, lambda connection: _gather(Store(connection), module.params, domains))
    module.exit_json(changed=False, **result)


def _gather(store: Store, params: dict[str, Any], domains: frozenset[str] | None) -> dict[str, Any]:
    gather, pattern = params["gather"], (params["match"] or "*").lower()
    result: dict[str, Any] = {}
    counts = {}
    for table in TABLES.values():
        if "counts" not in gather and table.name not in gather:
            continue
        rows = store.rows(table) if domains is None else store.rows(table, (), domains)
        found = [row for row in rows if pattern == "*" or fnmatchcase(row[0].lower(), pattern)]
        counts[table.name] = len(found)
        if table.name in gather:
            found.sort()
            result[table.name] = [_shown(table, row) for row in found[: max(0, params["limit"])]]
    if "counts" in gather:
        result["counts"] = counts
    if "problems" in gather:
        result["problems"] = find_problems(
            [key for key, _content, settings in store.rows(DOMAINS) if settings[0]],
            [key for key, _content, settings in store.rows(USERS) if settings[0]],
            [(key, content) for key, content, settings in store.rows(FORWARDINGS) if settings[0]],
        )
    return result


def _shown(table: Table, row: Row) -> dict[str, Any]:
    key, content, settings = row
    shown: dict[str, Any] = {table.key: key}
    for column, value in zip(table.settings, settings):
        shown[column] = bool(value) if column.endswith("enabled") else value
    if table is USERS:
        shown["password_scheme"] = scheme_of(content)
    elif table is FORWARDINGS:
        shown["destinations"] = split_list(content)
    return shown


if __name__ == "__main__":
    main()
