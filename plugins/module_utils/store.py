# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory in the database: read in one snapshot, written in one transaction, one run at a time."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Callable

try:
    import pymysql
    from pymysql.cursors import SSCursor
except ImportError:
    # connection.connect() says so before anything here is used.
    pymysql = None

from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import connect, describe_error, error_number
from ansible_collections.mailfleet.ispmail.plugins.module_utils.plan import Changes, Plan, Row, Table

ATTEMPTS = 8
LOCK_WAIT = 600  # seconds; a first load of a million rows takes a tenth of that
BATCH = 512 * 1024  # characters of SQL; a server takes at least 1 MiB in one packet (max_allowed_packet)
KEYS_A_STATEMENT = 1000

# Another writer was there between our read and our write, or the server chose us as the victim; a new read tells what
# is left to do: duplicate entry, lock wait timeout, deadlock, row referenced, no referenced row, record has changed.
RETRIED = frozenset({1062, 1205, 1213, 1451, 1452, 1020})
NO_SCHEMA = frozenset({1049, 1054, 1146})


class StoreError(Exception):
    """The database refused, or was lost. The text says what became of the rows."""


class Store:
    """One connection's view of the directory.

    ``connection`` is a PyMySQL connection with autocommit off; its snapshot begins with the first read. ``lenient``
    takes a table that does not exist for an empty one: what check mode sees where nothing has been installed yet.
    """

    def __init__(self, connection: Any, lenient: bool = False) -> None:
        self.connection = connection
        self.lenient = lenient
        self.without_schema = False

    def rows(self, table: Table, keys: Collection[str] | None = None, domains: Collection[str] = ()) -> Iterator[Row]:
        """The rows of ``table`` as triples (key, content, settings), unbuffered; see plan.Current.

        Rows with equal settings share one tuple.
        """
        select = (
            f"SELECT {table.key}, {table.content or repr('')},"
            f" CONCAT_WS('\t', {', '.join(table.settings)}) FROM {table.name}"
        )
        known: dict[str, tuple] = {}
        for condition in self._conditions(table, keys, domains):
            # One statement a table, or one a thousand keys.
            for key, content, text in self._stream(select + condition):
                settings = known.get(text)
                if settings is None:
                    settings = known[text] = tuple(
                        type(default)(value) for default, value in zip(table.defaults, text.split("\t"))
                    )
                yield key, content, settings

    def _conditions(self, table: Table, keys: Collection[str] | None, domains: Collection[str]) -> Iterator[str]:
        if keys is None:
            yield ""
            return
        held = f" OR {_domain_column(table)} IN ({self._list(sorted(domains))})" if domains else ""
        ordered = sorted(keys)
        for start in range(0, len(ordered), KEYS_A_STATEMENT):
            yield f" WHERE {table.key} IN ({self._list(ordered[start : start + KEYS_A_STATEMENT])})"
        if held:
            without = f" AND {table.key} NOT IN ({self._list(ordered)})" if ordered else ""
            yield f" WHERE ({held[4:]}){without}"

    def _stream(self, statement: str) -> Iterator[tuple]:
        with self.connection.cursor(SSCursor) as cursor:
            try:
                cursor.execute(statement)
            except pymysql.MySQLError as error:
                if self.lenient and error_number(error) in NO_SCHEMA:
                    self.without_schema = True
                    return
                raise
            yield from cursor

    def lock(self) -> None:
        """Wait until no other run is between its read and its commit. Raises StoreError after LOCK_WAIT seconds.

        The lock ends with the connection, so that a run that is killed leaves none behind.
        """
        with self.connection.cursor() as cursor:
            # MySQL takes names of 64 characters.
            cursor.execute("SELECT GET_LOCK(LEFT(CONCAT('mailfleet.ispmail.', DATABASE()), 64), %s)", (LOCK_WAIT,))
            if cursor.fetchone()[0] != 1:
                raise StoreError(
                    f"another run has been changing this directory for more than {LOCK_WAIT} seconds;"
                    " nothing was changed, run again when it has ended"
                )

    def apply(self, plan: Plan) -> None:
        """Write the plan and commit."""
        with self.connection.cursor() as cursor:
            # A row before what refers to it when rows come, after it when they go.
            for changes in (plan.forwardings, plan.users, plan.domains):
                for statement in self._delete(changes):
                    cursor.execute(statement)
            for changes in (plan.domains, plan.users, plan.forwardings):
                for statement in self._insert(changes):
                    cursor.execute(statement)
                for statement in self._update(changes):
                    cursor.execute(statement)
        try:
            self.connection.commit()
        except pymysql.MySQLError as error:
            if error_number(error) in RETRIED:
                raise
            raise StoreError(
                f"the database was lost during the commit ({error.args[-1]}):"
                " either all rows are changed or none, run again to complete"
            ) from None

    def _delete(self, changes: Changes) -> Iterator[str]:
        table = changes.table
        for start in range(0, len(changes.delete), KEYS_A_STATEMENT):
            keys = changes.delete[start : start + KEYS_A_STATEMENT]
            yield f"DELETE FROM {table.name} WHERE {table.key} IN ({self._list(keys)})"

    def _insert(self, changes: Changes) -> Iterator[str]:
        table = changes.table
        escape = self.connection.escape
        settings_text: dict[tuple, str] = {}

        def literals() -> Iterator[str]:
            for key, content, settings in changes.insert:
                text = settings_text.get(settings)
                if text is None:
                    text = settings_text[settings] = self._list(settings)
                yield f"({escape(key)},{escape(content)},{text})" if table.content else f"({escape(key)},{text})"

        head = f"INSERT INTO {table.name} ({', '.join(table.columns())}) VALUES "
        for batch in _batches(literals()):
            yield head + ",".join(batch)

    def _update(self, changes: Changes) -> Iterator[str]:
        """Updates of the same columns go together, joined to a derived table of the new values.

        Its key gets the column's collation, or the server would convert every row of the table to compare.
        """
        table = changes.table
        alike: dict[tuple[str, ...], list] = {}
        for update in changes.update:
            alike.setdefault(tuple(update.after), []).append(update)
        for columns, updates in alike.items():
            rows = (
                f"SELECT CONVERT({self._literal(update.key)} USING ascii) COLLATE ascii_general_ci AS k, "
                + ", ".join(f"{self._literal(update.after[column])} AS v{i}" for i, column in enumerate(columns))
                for update in updates
            )
            assignments = ", ".join(f"t.{column} = n.v{i}" for i, column in enumerate(columns))
            for batch in _batches(rows, KEYS_A_STATEMENT):
                new = " UNION ALL ".join(batch)
                yield f"UPDATE {table.name} AS t JOIN ({new}) AS n ON t.{table.key} = n.k SET {assignments}"

    def _list(self, values: Iterable[Any]) -> str:
        return ",".join([self._literal(value) for value in values])

    def _literal(self, value: Any) -> str:
        return str(value) if isinstance(value, int) else self.connection.escape(value)


def _domain_column(table: Table) -> str:
    return "domain" if table.name != "forwardings" else "SUBSTRING_INDEX(source, '@', -1)"


def _batches(rows: Iterable[str], most: int = 1 << 30) -> Iterator[list[str]]:
    """Lists of at most ``most`` rows and about BATCH characters."""
    batch: list[str] = []
    size = 0
    for row in rows:
        if batch and (size + len(row) > BATCH or len(batch) == most):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row)
    if batch:
        yield batch


@contextmanager
def _opened(params: dict) -> Iterator[Any]:
    """A connection that is closed in the end, which rolls back what was not committed."""
    connection = connect(params)
    try:
        yield connection
    finally:
        with suppress(pymysql.MySQLError):  # lost already
            connection.close()


def transact(params: dict, work: Callable[[Any], Any]) -> Any:
    """Return ``work(connection)``, repeated on a new connection while others get in its way.

    ``params`` are the connection options. ``work`` reads, writes and commits once, as its last
    statement. Raises StoreError for every error of the database, ConnectionFailed if there is none.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _opened(params) as connection:
                return work(connection)
        except pymysql.MySQLError as error:
            number = error_number(error)
            if number in RETRIED and attempt < ATTEMPTS:
                # Longer each time, and never in step with the other run.
                time.sleep(random.uniform(0.02, 0.1) * 2**attempt)
                continue
            if number in NO_SCHEMA:
                raise StoreError(
                    f"the tables of the directory are missing or old in login_db {params['login_db']!r}"
                    f" ({error.args[-1]}); create or adopt them with the module mail_schema"
                ) from None
            raise StoreError(f"{describe_error(error, params)}; nothing was changed") from None
    raise AssertionError("unreachable")
