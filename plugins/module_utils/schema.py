# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the directory, and the numbered, forward-only migrations that lead to them.

MariaDB commits every statement that changes a table by itself, so a migration cannot be one transaction.  Each one
therefore reads from the tables themselves what is still to do, and a run that was killed is completed by the next.
The table C(ispmail_schema) records when each was applied; it decides nothing except that a database written by a newer
release is refused.

The tutorial's own tables are adopted without a moment in which a mail server would find them empty: new tables are
filled beside them, then one RENAME TABLE gives the new ones the names and the old ones the names of :data:`KEPT`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import CLEAR, hash_all
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema_adoption import (
    Adoption,
    Present,
    Rejected,
    converter,
    plan,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema_sources import (
    LAYOUTS,
    TUTORIAL,
    has_layout,
    read_copied,
    read_tutorial,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema_state import State, quoted, read_state

KEY_COLLATION = "ascii_general_ci"
_OPTIONS = f"ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE {KEY_COLLATION}"
_TEXT_OPTIONS = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"

# In the order in which they can be filled.  Widths: RFC 5321, 4.5.3.1, local part 64, domain 255 octets on the wire,
# which is 253 characters in text.
TABLES: Mapping[str, str] = {
    "domains": ("domain VARCHAR(253) NOT NULL, enabled BOOLEAN NOT NULL DEFAULT TRUE, PRIMARY KEY (domain)"),
    "users": (
        "email VARCHAR(318) NOT NULL,"
        " password VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
        " enabled BOOLEAN NOT NULL DEFAULT TRUE,"
        " quota BIGINT UNSIGNED NOT NULL DEFAULT 0,"
        " domain VARCHAR(253) GENERATED ALWAYS AS (SUBSTRING_INDEX(email, '@', -1)) STORED,"
        " PRIMARY KEY (email),"
        " CONSTRAINT users_domain FOREIGN KEY (domain) REFERENCES {domains} (domain)"
    ),
    "forwardings": (
        "source VARCHAR(318) NOT NULL,"
        " destination TEXT NOT NULL,"
        " enabled BOOLEAN NOT NULL DEFAULT TRUE,"
        " PRIMARY KEY (source)"
    ),
}
FIRST_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "domains": ("domain", "enabled"),
    "users": ("email", "password", "enabled", "quota", "domain"),
    "forwardings": ("source", "destination", "enabled"),
}
SERVICE_COLUMNS: Mapping[str, str] = {
    "smtp_enabled": "BOOLEAN NOT NULL DEFAULT TRUE",
    "imap_enabled": "BOOLEAN NOT NULL DEFAULT TRUE",
    "pop3_enabled": "BOOLEAN NOT NULL DEFAULT TRUE",
    "webmail_enabled": "BOOLEAN NOT NULL DEFAULT TRUE",
    "mailhost": "VARCHAR(253) NOT NULL DEFAULT ''",
}
BOOKKEEPING: Mapping[str, str] = {
    "ispmail_schema": (
        "version INT UNSIGNED NOT NULL,"
        " name VARCHAR(64) NOT NULL,"
        " applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,"
        " PRIMARY KEY (version)"
    ),
    "ispmail_adopted": (
        "layout VARCHAR(16) NOT NULL,"
        " source_database VARCHAR(64) NOT NULL,"
        " domains INT UNSIGNED NOT NULL,"
        " users INT UNSIGNED NOT NULL,"
        " forwardings INT UNSIGNED NOT NULL,"
        " clear_text_passwords INT UNSIGNED NOT NULL,"
        " adopted_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),"
        " PRIMARY KEY (layout, source_database)"
    ),
    "ispmail_rejected": (
        "number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,"
        " layout VARCHAR(16) NOT NULL,"
        " source_database VARCHAR(64) NOT NULL,"
        " source_table VARCHAR(64) NOT NULL,"
        " source_key TEXT NOT NULL,"
        " part VARCHAR(16) NOT NULL,"
        " reason TEXT NOT NULL,"
        " PRIMARY KEY (number)"
    ),
}
# Where the tutorial's tables stay, as they were, after their adoption.
KEPT: Mapping[str, str] = {table: f"tutorial_{table}" for table in TUTORIAL}
_STAGED: Mapping[str, str] = {table: f"ispmail_new_{table}" for table in TABLES}
_INSERT: Mapping[str, str] = {
    "domains": "INSERT INTO {name} (domain, enabled) VALUES (%s, %s)",
    "users": "INSERT INTO {name} (email, password, enabled, quota) VALUES (%s, %s, %s, %s)",
    "forwardings": "INSERT INTO {name} (source, destination, enabled) VALUES (%s, %s, %s)",
}
_SYSTEM_DATABASES = frozenset({"information_schema", "mysql", "performance_schema", "sys"})


class SchemaError(Exception):
    """The database holds something that the schema cannot be built on; the message names it and the remedy."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    C(adopt) is a key of C(LAYOUTS) or C(None), C(adopt_from) the database it is in (C(None): the directory's own).
    C(scheme) is how clear-text passwords are stored, C(CLEAR) for as they are.  C(lock_timeout) is in seconds.
    """

    database: str
    adopt: str | None = None
    adopt_from: str | None = None
    scheme: str = CLEAR
    lock_timeout: int = 300

    @property
    def source_database(self) -> str:
        return self.adopt_from or self.database

    @property
    def copies(self) -> bool:
        """Whether C(adopt) names tables that are copied from, and not the tutorial's own in the directory itself."""
        return self.adopt is not None and (self.adopt != "tutorial" or self.source_database != self.database)


@dataclass(frozen=True)
class Adopted:
    """One adoption on record; rows are counted as they were inserted by it."""

    layout: str
    source_database: str
    domains: int
    users: int
    forwardings: int
    clear_text_passwords: int
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Report:
    """A database as it is.

    C(version) is the last migration up to which all are applied, by the tables themselves; C(found) the older layouts
    whose tables are there; C(counts) the rows of each table of the directory that is there; C(remaining) the migrations
    that are not applied and on record.
    """

    version: int
    remaining: list[Migration]
    found: tuple[str, ...]
    adopted: tuple[Adopted, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Migration:
    """C(is_applied) looks at the tables alone; C(apply) does what is left of it and may be repeated after a kill."""

    number: int
    name: str
    is_applied: Callable[[State], bool]
    apply: Callable[[Any, State, Request], None]


def report(cursor: Any, request: Request) -> Report:
    """What the database holds.  Reads only."""
    state = read_state(cursor, request.database)
    version = 0
    for migration in MIGRATIONS:
        if not migration.is_applied(state):
            break
        version = migration.number
    counts = {}
    for table in TABLES:
        if table in state.tables:
            cursor.execute(f"SELECT COUNT(*) FROM {_name(state.database, table)}")
            counts[table] = cursor.fetchone()[0]
    found = ["tutorial"] if _old_tables(state) else []
    found.extend(layout for layout in LAYOUTS if layout != "tutorial" and has_layout(state, layout))
    return Report(version, _remaining(cursor, state), tuple(found), _adopted(cursor, state), counts)


def pending(cursor: Any, request: Request) -> tuple[list[Migration], tuple[Adopted, ...]]:
    """The migrations and the adoptions that :func:`migrate` would do now, these with counts and refusals.  Reads only.

    To be called under :func:`locked`: beside a run that renames tables, what is read here fits no moment.  Raises
    SchemaError for a database that cannot be brought to the schema.
    """
    state = read_state(cursor, request.database)
    _check(cursor, state, request)
    adopted = []
    in_place = Adoption()
    if _old_tables(state) or _is_unfinished(cursor, state):
        holders = {
            table: table if table in _old_tables(state) else KEPT[table] if KEPT[table] in state.tables else None
            for table in TABLES
        }
        in_place = _plan_tutorial(cursor, state, request, holders)
        adopted.append(_summary("tutorial", request.database, in_place, request.scheme))
    if _copy_is_pending(cursor, state, request):
        present = _present(cursor, state)
        present = Present(
            present.domains.union(name for name, _enabled in in_place.domains),
            present.users.union(user.email.lower() for user in in_place.users),
            present.forwardings.union(source for source, _destination, _enabled in in_place.forwardings),
        )
        adoption = _plan_copy(cursor, request, present)
        adopted.append(_summary(str(request.adopt), request.source_database, adoption, request.scheme))
    return _remaining(cursor, state), tuple(adopted)


def migrate(connection: Any, request: Request) -> tuple[list[Migration], tuple[Adopted, ...]]:
    """Brings the database to the schema and returns the migrations and the adoptions that this run made.

    To be called under :func:`locked`.  Whatever a killed run left is completed.  Raises SchemaError, and
    pymysql.MySQLError with every finished step committed.
    """
    # The snapshot of what was read before would hide the rows that others have written since.
    connection.rollback()
    applied: list[Migration] = []
    adopted: tuple[Adopted, ...] = ()
    with connection.cursor() as cursor:
        state = read_state(cursor, request.database)
        _check(cursor, state, request)
        if not state.exists:
            cursor.execute(f"CREATE DATABASE {quoted(request.database)} CHARACTER SET utf8mb4")
        for table, columns in BOOKKEEPING.items():
            if table not in state.tables:
                cursor.execute(f"CREATE TABLE {_name(request.database, table)} ({columns}) {_TEXT_OPTIONS}")
        for migration in _remaining(cursor, read_state(cursor, request.database)):
            state = read_state(cursor, request.database)
            if not migration.is_applied(state):
                migration.apply(cursor, state, request)
            cursor.execute(
                f"INSERT IGNORE INTO {_name(request.database, 'ispmail_schema')} (version, name) VALUES (%s, %s)",
                (migration.number, migration.name),
            )
            connection.commit()
            applied.append(migration)
        state = read_state(cursor, request.database)
        if _is_unfinished(cursor, state):
            adopted += (_finish_tutorial(cursor, state, request),)
            connection.commit()
        if _copy_is_pending(cursor, state, request):
            adoption = _plan_copy(cursor, request, _present(cursor, state))
            _insert(cursor, request, {table: table for table in TABLES}, adoption)
            copied = _summary(str(request.adopt), request.source_database, adoption, request.scheme)
            _record(cursor, state, copied)
            connection.commit()
            adopted += (copied,)
    return applied, adopted


@contextmanager
def locked(cursor: Any, request: Request) -> Iterator[None]:
    """One run at a time, by the server's lock of the database's name; another run waits for it.

    The connection must have read nothing yet: an open transaction would keep the tables from the run that has the lock.
    Raises SchemaError when it is not to be had within C(lock_timeout), which is also how long a table is waited for.
    """
    # The name is hashed because it may have 64 characters only and is shared by the whole server.
    name = "ispmail_schema_" + hashlib.sha256(request.database.encode()).hexdigest()[:32]
    cursor.execute("SELECT GET_LOCK(%s, %s)", (name, request.lock_timeout))
    if cursor.fetchone()[0] != 1:
        raise SchemaError(
            f"another run has been working on the schema of login_db {request.database!r} for lock_timeout"
            f" {request.lock_timeout} seconds: wait until it is done, or give a longer lock_timeout"
        )
    cursor.execute("SET SESSION lock_wait_timeout = %s", (request.lock_timeout,))
    # After an error the end of the connection releases it.
    yield
    cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))


def _check(cursor: Any, state: State, request: Request) -> None:
    if request.database.lower() in _SYSTEM_DATABASES:
        raise SchemaError(f"login_db {request.database!r} is the server's own database: choose another name")
    newest = max(_recorded(cursor, state), default=0)
    if newest > LATEST:
        raise SchemaError(
            f"login_db {request.database!r} has schema version {newest}, but this release of mailfleet.ispmail knows"
            f" {LATEST}: install the release that made it, or a later one"
        )
    old = _old_tables(state)
    for table in TABLES:
        if table in state.tables and table not in old and not _is_ours(state, table):
            raise SchemaError(
                f"login_db {request.database!r} has a table {table!r} that is neither the directory's nor the"
                f" tutorial's: it lacks the columns {', '.join(TUTORIAL[table])}, or is a view. Rename it, or choose"
                " another login_db"
            )
        if table in old and KEPT[table] in state.tables:
            raise SchemaError(
                f"login_db {request.database!r} has the tutorial's table {table!r}, which would be kept as"
                f" {KEPT[table]!r}, but there already is a table of this name. Rename that one"
            )
    if request.adopt and (request.adopt, request.source_database) not in _adopted_keys(cursor, state):
        if request.copies:
            _check_source(read_state(cursor, request.source_database), request.adopt)
        elif not old and not _is_unfinished(cursor, state):
            raise SchemaError(
                f"adopt is 'tutorial', but login_db {request.database!r} has none of its tables"
                f" ({', '.join(TUTORIAL)}): correct login_db or adopt_from, or leave adopt out"
            )


def _check_source(source: State, layout: str) -> None:
    if has_layout(source, layout):
        return
    wanted = "; ".join(f"{table} with {', '.join(columns)}" for table, columns in LAYOUTS[layout].items())
    raise SchemaError(
        f"adopt is {layout!r}, but the database {source.database!r} does not have its tables, or login_user may not"
        f" read them ({wanted}). Name the database that has them in adopt_from, or leave adopt out"
    )


def _create_first_tables(cursor: Any, state: State, request: Request) -> None:
    """Migration 1: the three tables, new or in place of the tutorial's."""
    database = request.database
    old = _old_tables(state)
    names = {table: _STAGED[table] if old and not _is_ours(state, table) else table for table in TABLES}
    staged = [table for table in TABLES if names[table] != table]
    if staged:
        # What a killed run left half filled.  The rows are still in the old tables.
        doomed = ", ".join(_name(database, _STAGED[table]) for table in reversed(staged))
        cursor.execute(f"DROP TABLE IF EXISTS {doomed}")
    for table, columns in TABLES.items():
        if not _is_ours(state, table):
            body = columns.format(domains=_name(database, names["domains"]))
            cursor.execute(f"CREATE TABLE {_name(database, names[table])} ({body}) {_OPTIONS}")
    if staged:
        holders = {table: table if table in old else None for table in TABLES}
        _insert(cursor, request, names, _plan_tutorial(cursor, state, request, holders))
        # An earlier adoption of other tables of these names is not this one.
        cursor.execute(
            f"DELETE FROM {_name(database, 'ispmail_adopted')} WHERE layout = 'tutorial' AND source_database = %s",
            (database,),
        )
        cursor.execute("COMMIT")
        renames = [(table, KEPT[table]) for table in old] + [(_STAGED[table], table) for table in staged]
        cursor.execute(
            "RENAME TABLE "
            + ", ".join(f"{_name(database, before)} TO {_name(database, after)}" for before, after in renames)
        )


def _finish_tutorial(cursor: Any, state: State, request: Request) -> Adopted:
    """Brings over what was written to the old tables between their being read and their being renamed, and records."""
    holders = {table: KEPT[table] if KEPT[table] in state.tables else None for table in TABLES}
    adoption = _plan_tutorial(cursor, state, request, holders)
    present = _present(cursor, state)
    late = replace(
        adoption,
        domains=[row for row in adoption.domains if row[0] not in present.domains],
        users=[user for user in adoption.users if user.email.lower() not in present.users],
        forwardings=[row for row in adoption.forwardings if row[0] not in present.forwardings],
    )
    _insert(cursor, request, {table: table for table in TABLES}, late)
    adopted = _summary("tutorial", request.database, adoption, request.scheme)
    _record(cursor, state, adopted)
    return adopted


def _add_service_columns(cursor: Any, state: State, request: Request) -> None:
    """Migration 2: what a user may log in to, and which host has the mailbox."""
    missing = [name for name in SERVICE_COLUMNS if not state.has_columns("users", name)]
    added = ", ".join(f"ADD COLUMN {name} {SERVICE_COLUMNS[name]}" for name in missing)
    cursor.execute(f"ALTER TABLE {_name(request.database, 'users')} {added}")


MIGRATIONS = (
    Migration(
        1,
        "domains, users and forwardings",
        lambda state: all(_is_ours(state, table) for table in TABLES),
        _create_first_tables,
    ),
    Migration(
        2,
        "services and mail host of a user",
        lambda state: state.has_columns("users", *SERVICE_COLUMNS),
        _add_service_columns,
    ),
)
LATEST = MIGRATIONS[-1].number


def _plan_tutorial(cursor: Any, state: State, request: Request, holders: Mapping[str, str | None]) -> Adoption:
    # Domains that are the directory's own already are hosted; if the old table is adopted, it says which are.
    present = Present() if holders["domains"] else Present(domains=_present(cursor, state).domains)
    return plan(read_tutorial(cursor, state, holders), present, converter("tutorial", request.scheme))


def _plan_copy(cursor: Any, request: Request, present: Present) -> Adoption:
    layout = str(request.adopt)
    source = read_copied(cursor, read_state(cursor, request.source_database), layout)
    return plan(source, present, converter(layout, request.scheme))


def _insert(cursor: Any, request: Request, names: Mapping[str, str], adoption: Adoption) -> None:
    passwords = [user.password.text for user in adoption.users]
    if request.scheme != CLEAR:
        clear = [number for number, user in enumerate(adoption.users) if user.password.clear]
        for number, hashed in zip(clear, hash_all((passwords[number], request.scheme) for number in clear)):
            passwords[number] = hashed
    users = [(user.email, password, user.enabled, user.quota) for user, password in zip(adoption.users, passwords)]
    for table, rows in (("domains", adoption.domains), ("users", users), ("forwardings", adoption.forwardings)):
        if rows:
            cursor.executemany(_INSERT[table].format(name=_name(request.database, names[table])), rows)


def _summary(layout: str, source_database: str, adoption: Adoption, scheme: str) -> Adopted:
    return Adopted(
        layout,
        source_database,
        len(adoption.domains),
        len(adoption.users),
        len(adoption.forwardings),
        adoption.clear_text if scheme == CLEAR else 0,
        tuple(adoption.rejected),
    )


def _record(cursor: Any, state: State, adopted: Adopted) -> None:
    key = (adopted.layout, adopted.source_database)
    rejected = _name(state.database, "ispmail_rejected")
    cursor.execute(f"DELETE FROM {rejected} WHERE layout = %s AND source_database = %s", key)
    if adopted.rejected:
        cursor.executemany(
            f"INSERT INTO {rejected} (layout, source_database, source_table, source_key, part, reason)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [key + row for row in adopted.rejected],
        )
    cursor.execute(
        f"INSERT INTO {_name(state.database, 'ispmail_adopted')}"
        " (layout, source_database, domains, users, forwardings, clear_text_passwords) VALUES (%s, %s, %s, %s, %s, %s)",
        (*key, adopted.domains, adopted.users, adopted.forwardings, adopted.clear_text_passwords),
    )


def _adopted(cursor: Any, state: State) -> tuple[Adopted, ...]:
    if not {"ispmail_adopted", "ispmail_rejected"} <= state.tables.keys():
        return ()
    rejected: dict[tuple[str, str], list[Rejected]] = {}
    cursor.execute(
        "SELECT layout, source_database, source_table, source_key, part, reason"
        f" FROM {_name(state.database, 'ispmail_rejected')} ORDER BY number"
    )
    for layout, source_database, *row in cursor.fetchall():
        rejected.setdefault((layout, source_database), []).append(Rejected(*row))
    cursor.execute(
        "SELECT layout, source_database, domains, users, forwardings, clear_text_passwords"
        f" FROM {_name(state.database, 'ispmail_adopted')} ORDER BY adopted_at, layout, source_database"
    )
    return tuple(
        Adopted(layout, source, domains, users, forwardings, clear, tuple(rejected.get((layout, source), ())))
        for layout, source, domains, users, forwardings, clear in cursor.fetchall()
    )


def _adopted_keys(cursor: Any, state: State) -> set[tuple[str, str]]:
    if "ispmail_adopted" not in state.tables:
        return set()
    cursor.execute(f"SELECT layout, source_database FROM {_name(state.database, 'ispmail_adopted')}")
    return set(cursor.fetchall())


def _remaining(cursor: Any, state: State) -> list[Migration]:
    recorded = _recorded(cursor, state)
    return [item for item in MIGRATIONS if item.number not in recorded or not item.is_applied(state)]


def _recorded(cursor: Any, state: State) -> set[int]:
    if "ispmail_schema" not in state.tables:
        return set()
    cursor.execute(f"SELECT version FROM {_name(state.database, 'ispmail_schema')}")
    return {version for (version,) in cursor.fetchall()}


def _present(cursor: Any, state: State) -> Present:
    keys = []
    for table, columns in FIRST_COLUMNS.items():
        found: frozenset[str] = frozenset()
        if _is_ours(state, table):
            cursor.execute(f"SELECT LOWER({columns[0]}) FROM {_name(state.database, table)}")
            found = frozenset(key for (key,) in cursor.fetchall())
        keys.append(found)
    return Present(*keys)


def _is_ours(state: State, table: str) -> bool:
    columns = FIRST_COLUMNS[table]
    return (
        state.has_columns(table, *columns)
        and state.tables[table].engine == "InnoDB"
        and state.tables[table].columns[columns[0]] == KEY_COLLATION
    )


def _old_tables(state: State) -> list[str]:
    """The tutorial's own tables that stand under the names of the directory's."""
    return [
        table
        for table, columns in TUTORIAL.items()
        if state.has_columns(table, *columns) and state.tables[table].engine and not _is_ours(state, table)
    ]


def _is_unfinished(cursor: Any, state: State) -> bool:
    """Whether the tutorial's tables were renamed, but the adoption is not on record."""
    kept = any(state.has_columns(KEPT[table], *columns) for table, columns in TUTORIAL.items())
    return kept and ("tutorial", state.database) not in _adopted_keys(cursor, state)


def _copy_is_pending(cursor: Any, state: State, request: Request) -> bool:
    return request.copies and (request.adopt, request.source_database) not in _adopted_keys(cursor, state)


def _name(database: str, table: str) -> str:
    return f"{quoted(database)}.{quoted(table)}"
