# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database holds, read from information_schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """One table: its engine (C(None) for a view) and each column's collation (C(None) for a number or octets)."""

    engine: str | None
    columns: Mapping[str, str | None]


@dataclass(frozen=True)
class State:
    """The tables of one database at one moment."""

    database: str
    exists: bool
    tables: Mapping[str, Table] = field(default_factory=dict)

    def has_columns(self, table: str, *columns: str) -> bool:
        found = self.tables.get(table)
        return found is not None and all(column in found.columns for column in columns)


def quoted(name: str) -> str:
    """C(name) as an SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def read_state(cursor: Any, database: str) -> State:
    """Reads, and only reads, what C(database) holds.  C(cursor) needs no default database.

    An account sees only what it has rights on, so what it may not touch looks as if it were not there.
    """
    cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (database,))
    if not cursor.fetchone():
        return State(database, exists=False)
    cursor.execute("SELECT table_name, engine FROM information_schema.tables WHERE table_schema = %s", (database,))
    engines = dict(cursor.fetchall())
    cursor.execute(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns WHERE table_schema = %s",
        (database,),
    )
    columns: dict[str, dict[str, str | None]] = {name: {} for name in engines}
    for table, column, collation in cursor.fetchall():
        columns.setdefault(table, {})[column] = collation
    return State(database, True, {name: Table(engines.get(name), found) for name, found in columns.items()})
