# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the tables of older layouts.  Every statement here is a SELECT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema_adoption import (
    Rejected,
    Source,
    from_ispmail,
    from_postfixadmin,
    from_tutorial,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema_state import State, quoted

# The columns that a table must have to be of the layout; more may be there.
TUTORIAL: Mapping[str, tuple[str, ...]] = {
    "domains": ("domain",),
    "users": ("email", "password"),
    "forwardings": ("source", "destination"),
}
# What is read of it: its own columns, and what a column that others added under the directory's name would hold.
_TUTORIAL_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "domains": {"domain": "", "enabled": "1"},
    "users": {"email": "", "password": "", "enabled": "1", "quota": "0"},
    "forwardings": {"source": "", "destination": "", "enabled": "1"},
}
ISPMAIL: Mapping[str, tuple[str, ...]] = {
    "virtual_domains": ("id", "name"),
    "virtual_users": ("id", "domain_id", "password"),
    "virtual_aliases": ("id", "domain_id", "source", "destination"),
}
POSTFIXADMIN: Mapping[str, tuple[str, ...]] = {
    "domain": ("domain", "backupmx", "active"),
    "mailbox": ("username", "password", "quota", "active"),
    "alias": ("address", "goto", "active"),
}
LAYOUTS = {"tutorial": TUTORIAL, "ispmail": ISPMAIL, "postfixadmin": POSTFIXADMIN}


def has_layout(state: State, layout: str) -> bool:
    """Whether the database of C(state) has every table of C(layout)."""
    return all(state.has_columns(table, *columns) for table, columns in LAYOUTS[layout].items())


def read_tutorial(cursor: Any, state: State, tables: Mapping[str, str | None]) -> Source:
    """C(tables) maps each of the three names to the table that holds the rows now, C(None) for none."""

    def select(table: str) -> list[tuple[Any, ...]]:
        name = tables[table]
        if name is None:
            return []
        found = state.tables[name].columns
        wanted = ", ".join(
            column if column in found else default for column, default in _TUTORIAL_COLUMNS[table].items()
        )
        return _select(cursor, f"SELECT {wanted} FROM {quoted(state.database)}.{quoted(name)} ORDER BY 1")

    source = from_tutorial(
        select("domains"),
        select("users"),
        select("forwardings"),
        {table: name or table for table, name in tables.items()},
    )
    for table, name in tables.items():
        for column in state.tables[name].columns if name else ():
            if column not in _TUTORIAL_COLUMNS[table]:
                source.rejected.append(Rejected(str(name), column, "column", "the directory has no column for it"))
    return source


def read_copied(cursor: Any, state: State, layout: str) -> Source:
    """Reads a layout whose tables stay what they are, from the database of C(state)."""
    database = quoted(state.database)
    if layout == "tutorial":
        return read_tutorial(cursor, state, {table: table for table in TUTORIAL})
    if layout == "ispmail":
        owner = f"LEFT JOIN {database}.virtual_domains d ON d.id = t.domain_id ORDER BY t.id"
        address = "email" if state.has_columns("virtual_users", "email") else "user"
        quota = "t.quota" if state.has_columns("virtual_users", "quota") else "0"
        return from_ispmail(
            _select(cursor, f"SELECT id, name FROM {database}.virtual_domains ORDER BY id"),
            _select(
                cursor, f"SELECT t.id, d.name, t.{address}, t.password, {quota} FROM {database}.virtual_users t {owner}"
            ),
            _select(cursor, f"SELECT t.id, d.name, t.source, t.destination FROM {database}.virtual_aliases t {owner}"),
        )
    alias_domains = []
    if state.has_columns("alias_domain", "alias_domain", "target_domain", "active"):
        alias_domains = _select(
            cursor, f"SELECT alias_domain, target_domain, active FROM {database}.alias_domain ORDER BY alias_domain"
        )
    return from_postfixadmin(
        _select(cursor, f"SELECT domain, backupmx, active FROM {database}.domain ORDER BY domain"),
        _select(cursor, f"SELECT username, password, quota, active FROM {database}.mailbox ORDER BY username"),
        _select(cursor, f"SELECT address, goto, active FROM {database}.alias ORDER BY address"),
        alias_domains,
    )


def _select(cursor: Any, statement: str) -> list[tuple[Any, ...]]:
    cursor.execute(statement)
    return list(cursor.fetchall())
