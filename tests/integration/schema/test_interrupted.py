# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at any of its statements leaves tables that serve mail, and is completed by the next run."""

from __future__ import annotations

import time
from collections.abc import Callable

import pymysql
import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import verify
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema import Request, migrate, pending, report
from mariadb_hosts import Server

Load = Callable[[str, str], None]
CONTENT = {
    "domains": "domain, enabled",
    "users": "email, IF(password LIKE '!%%', '!', password), enabled, quota",
    "forwardings": "source, destination, enabled",
    "ispmail_schema": "version, name",
    "ispmail_adopted": "layout, source_database, domains, users, forwardings, clear_text_passwords",
    "ispmail_rejected": "source_table, source_key, part, reason",
}


class Killed(BaseException):
    """Nothing handles it."""


def killed_at(server: Server, request: Request, statement: int) -> bool:
    """Runs the migration over a connection that is gone in place of its nth statement; whether it came to that.

    For the server that is what a killed process looks like.
    """
    connection = server.connect()
    seen = 0

    class Killing(pymysql.cursors.Cursor):
        def execute(self, query, args=None):
            nonlocal seen
            seen += 1
            if seen == statement:
                connection._force_close()
                raise Killed
            return super().execute(query, args)

        def close(self):
            if connection.open:
                super().close()

    connection.cursorclass = Killing
    try:
        migrate(connection, request)
    except Killed:
        return True
    connection.close()
    return False


def content(server: Server, database: str) -> dict[str, list[tuple]]:
    with server.connect(database) as connection, connection.cursor() as cursor:
        found = {}
        for table, columns in CONTENT.items():
            cursor.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2".replace("%%", "%"))
            found[table] = list(cursor.fetchall())
        return found


def answers(server: Server, database: str) -> list[tuple]:
    """What the tutorial's lookups answer for a domain, a user and a forwarding."""
    with server.connect(database) as connection, connection.cursor() as cursor:
        found = []
        for lookup in (
            "SELECT 'virtual' FROM domains WHERE domain = 'virtual.test'",
            "SELECT concat(email,'/'), password FROM users WHERE email = 'user@virtual.test'",
            "SELECT destination FROM forwardings WHERE source = '@virtual.test'",
        ):
            cursor.execute(lookup)
            found.extend(cursor.fetchall())
        return found


@pytest.mark.parametrize("dump", ["tutorial.sql", "ispmail.sql", None])
def test_a_killed_run_is_completed_by_the_next(mariadb: Server, load: Load, dump: str | None) -> None:
    database = "killed"

    def prepare() -> None:
        if dump:
            load(dump, database)
        else:
            mariadb.execute(f"DROP DATABASE IF EXISTS {database}")

    request = Request(database, adopt=dump.removesuffix(".sql") if dump else None)
    prepare()
    assert not killed_at(mariadb, request, 0)
    expected = content(mariadb, database)
    assert expected["ispmail_schema"][-1][0] == 2

    statement = 1
    prepare()
    while killed_at(mariadb, request, statement):
        if dump == "tutorial.sql":
            assert answers(mariadb, database) == [
                ("virtual",),
                ("user@virtual.test/", "secret"),
                ("user@virtual.test",),
            ], f"killed at statement {statement}"
        with mariadb.connect() as connection:
            migrate(connection, request)
            with connection.cursor() as cursor:
                assert pending(cursor, request) == ([], ())
                assert cursor.execute(f"SHOW TABLES FROM {database} LIKE 'ispmail\\_new\\_%'") == 0
        assert content(mariadb, database) == expected, f"killed at statement {statement}"
        prepare()
        statement += 1
    assert statement > 20
    mariadb.execute(f"DROP DATABASE {database}")


def test_a_process_that_is_killed_hard_is_completed_by_the_next(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", database)
    emails = [f"user{number}@virtual.test" for number in range(2000)]
    mariadb.execute("INSERT INTO users VALUES " + ",".join(f"('{email}', 'secret')" for email in emails), database)
    options = {"login_db": database, "rehash": True, "password_scheme": "SHA256-CRYPT"}
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        process = mariadb.start_module("mail_schema", **options)
        deadline = time.monotonic() + 60
        # It is hashing now, which takes seconds.
        while not cursor.execute("SHOW TABLES LIKE 'ispmail_new_forwardings'"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        mariadb.shell("pkill -KILL python3")
    assert process.wait(60) == 137
    assert answers(mariadb, database) == [("virtual",), ("user@virtual.test/", "secret"), ("user@virtual.test",)]
    result = mariadb.module("mail_schema", **options)
    assert result["rows"]["users"] == 2007
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT email, password FROM users WHERE email IN %s", (emails,))
        stored = dict(cursor.fetchall())
    assert stored.keys() == set(emails)
    assert all(verify("secret", stored[email]) for email in emails[::100])


def test_a_row_written_while_the_tables_are_adopted_is_not_lost(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", database)
    request = Request(database)
    with mariadb.connect() as connection, mariadb.connect(database) as writer:
        writer.autocommit(True)

        class Interrupting(pymysql.cursors.Cursor):
            def execute(self, query, args=None):
                if str(query).startswith("RENAME TABLE"):
                    with writer.cursor() as cursor:
                        cursor.execute("INSERT INTO domains VALUES ('late.example')")
                        cursor.execute("INSERT INTO users VALUES ('late@late.example', 'secret')")
                        cursor.execute("INSERT INTO forwardings VALUES ('@late.example', 'late@late.example')")
                return super().execute(query, args)

        connection.cursorclass = Interrupting
        migrate(connection, request)
    assert "late.example" in [row[0] for row in content(mariadb, database)["domains"]]
    assert "late@late.example" in [row[0] for row in content(mariadb, database)["users"]]
    assert "@late.example" in [row[0] for row in content(mariadb, database)["forwardings"]]


def test_a_table_in_use_is_waited_for_only_so_long(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", database)
    with mariadb.connect(database) as reader, reader.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM users")
        result = mariadb.module("mail_schema", login_db=database, lock_timeout=1)
        assert result["failed"]
        assert "another program uses the tables for too long: Lock wait timeout exceeded" in result["msg"]
    assert answers(mariadb, database) == [("virtual",), ("user@virtual.test/", "secret"), ("user@virtual.test",)]
    assert mariadb.module("mail_schema", login_db=database)["rows"]["users"] == 7


def test_a_database_restored_from_an_older_dump_goes_forward(mariadb: Server, database: str) -> None:
    """The tables are what counts: a version on record does not keep a missing column missing."""
    with mariadb.connect() as connection:
        migrate(connection, Request(database))
        mariadb.execute("ALTER TABLE users DROP COLUMN mailhost, DROP COLUMN imap_enabled", database)
        with connection.cursor() as cursor:
            assert report(cursor, Request(database)).version == 1
        applied, adopted = migrate(connection, Request(database))
        assert ([migration.number for migration in applied], adopted) == ([2], ())
        with connection.cursor() as cursor:
            assert report(cursor, Request(database)).version == 2
