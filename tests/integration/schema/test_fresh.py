# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database from nothing, and what it lets in."""

from __future__ import annotations

import pymysql
import pytest
from mariadb_hosts import Server

COLUMNS = """\
domains domain varchar(253) ascii_general_ci NO PRI NULL
domains enabled tinyint(1) NULL NO  1
forwardings source varchar(318) ascii_general_ci NO PRI NULL
forwardings destination text ascii_general_ci NO  NULL
forwardings enabled tinyint(1) NULL NO  1
users email varchar(318) ascii_general_ci NO PRI NULL
users password varchar(255) ascii_bin NO  NULL
users enabled tinyint(1) NULL NO  1
users quota bigint(20) unsigned NULL NO  0
users domain varchar(253) ascii_general_ci YES MUL NULL
users smtp_enabled tinyint(1) NULL NO  1
users imap_enabled tinyint(1) NULL NO  1
users pop3_enabled tinyint(1) NULL NO  1
users webmail_enabled tinyint(1) NULL NO  1
users mailhost varchar(253) ascii_general_ci NO  ''
"""


@pytest.fixture
def directory(mariadb: Server, database: str) -> str:
    mariadb.module("mail_schema", login_db=database)
    return database


def test_the_tables_are_created_once(mariadb: Server, database: str) -> None:
    first = mariadb.module("mail_schema", login_db=database)
    assert first["changed"]
    assert first["version"] == first["latest_version"] == 2
    assert [migration["version"] for migration in first["migrations"]] == [1, 2]
    assert first["rows"] == {"domains": 0, "users": 0, "forwardings": 0}
    assert first["diff"]["before"]["version"] == 0
    assert first["diff"]["after"]["version"] == 2
    columns = mariadb.sql(
        "SELECT CONCAT_WS(' ', table_name, column_name, column_type, COALESCE(collation_name, 'NULL'), is_nullable,"
        " column_key, COALESCE(column_default, 'NULL')) FROM information_schema.columns"
        f" WHERE table_schema = '{database}' AND table_name IN ('domains', 'users', 'forwardings')"
        " ORDER BY table_name, ordinal_position"
    )
    assert columns == COLUMNS

    before = mariadb.dump(database)
    second = mariadb.module("mail_schema", login_db=database)
    assert not second["changed"]
    assert second["migrations"] == []
    assert second["diff"]["before"] == second["diff"]["after"]
    assert mariadb.dump(database) == before


def test_a_database_that_exists_keeps_its_other_tables(mariadb: Server, database: str) -> None:
    mariadb.sql(
        f"CREATE DATABASE {database}; CREATE TABLE {database}.invoices (number INT); "
        f"INSERT INTO {database}.invoices VALUES (7)"
    )
    assert mariadb.module("mail_schema", login_db=database)["changed"]
    assert mariadb.sql(f"SELECT number FROM {database}.invoices") == "7\n"


def test_check_mode_and_info_do_not_create(mariadb: Server, database: str) -> None:
    checked = mariadb.module("mail_schema", check=True, login_db=database)
    assert checked["changed"]
    assert checked["version"] == 2
    told = mariadb.module("mail_schema", login_db=database, state="info")
    assert not told["changed"]
    assert told["version"] == 0
    assert [migration["version"] for migration in told["migrations"]] == [1, 2]
    assert mariadb.sql(f"SHOW DATABASES LIKE '{database}'") == ""


def test_every_statement_of_the_tutorial_works(mariadb: Server, directory: str) -> None:
    with mariadb.connect(directory) as connection, connection.cursor() as cursor:

        def answer(statement: str) -> str | None:
            cursor.execute(statement)
            row = cursor.fetchone()
            return row[0] if row else None

        cursor.execute("INSERT INTO domains (domain) VALUES ('virtual.test')")
        cursor.execute("INSERT INTO users (email, password) VALUES ('user@virtual.test', 'secret')")
        cursor.execute("INSERT INTO forwardings (source, destination) VALUES ('@virtual.test', 'user@virtual.test')")
        cursor.execute("INSERT INTO forwardings (source, destination) VALUES ('root@localhost', 'user@virtual.test')")
        # Postfix: table, select_field and where_field of its four maps
        assert answer("SELECT 'virtual' FROM domains WHERE domain = 'virtual.test'") == "virtual"
        assert answer("SELECT destination FROM forwardings WHERE source = '@virtual.test'") == "user@virtual.test"
        assert answer("SELECT concat(email,'/') FROM users WHERE email = 'user@virtual.test'") == "user@virtual.test/"
        assert answer("SELECT email FROM users WHERE email = 'user@virtual.test'") == "user@virtual.test"
        assert answer("SELECT 'virtual' FROM domains WHERE domain = 'other.test'") is None
        # Cyrus SASL, and the fields of Courier's authmysqlrc
        assert answer("select password from users where email='user@virtual.test'") == "secret"
        assert (
            answer(
                "SELECT CONCAT_WS('|', email, '', password, 5000, 5000, '/home/vmail', concat(email,'/'), '', '')"
                " FROM users WHERE email = 'user@virtual.test'"
            )
            == "user@virtual.test||secret|5000|5000|/home/vmail|user@virtual.test/||"
        )


def test_addresses_are_one_in_any_case_and_never_equal_with_an_accent(mariadb: Server, directory: str) -> None:
    with mariadb.connect(directory) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO domains (domain) VALUES ('example.org')")
        cursor.execute("INSERT INTO users (email, password) VALUES ('Ann@Example.ORG', 'Secret')")
        with pytest.raises(pymysql.IntegrityError, match="Duplicate entry"):
            cursor.execute("INSERT INTO users (email, password) VALUES ('ann@example.org', 'other')")
        with pytest.raises(pymysql.DataError, match="Incorrect string value"):
            cursor.execute("INSERT INTO users (email, password) VALUES ('änn@example.org', 'other')")
        cursor.execute("SELECT COUNT(*) FROM users WHERE email = 'ann@example.org' AND password = 'secret'")
        assert cursor.fetchone() == (0,)
        with pytest.raises(pymysql.DataError, match="too long"):
            cursor.execute("INSERT INTO domains (domain) VALUES (%s)", ("x" * 254,))


def test_a_user_needs_a_domain(mariadb: Server, directory: str) -> None:
    with mariadb.connect(directory) as connection, connection.cursor() as cursor:
        for email in ("user@unknown.test", "nobody", "user@"):
            with pytest.raises(pymysql.IntegrityError, match="foreign key constraint"):
                cursor.execute("INSERT INTO users (email, password) VALUES (%s, 'secret')", (email,))
        cursor.execute("INSERT INTO domains (domain) VALUES ('virtual.test')")
        cursor.execute("INSERT INTO users (email, password) VALUES ('user@virtual.test', 'secret')")
        with pytest.raises(pymysql.IntegrityError, match="foreign key constraint"):
            cursor.execute("DELETE FROM domains")


def test_two_runs_at_once_both_succeed(mariadb: Server, database: str) -> None:
    running = [mariadb.start_module("mail_schema", login_db=database) for _number in range(2)]
    results = [mariadb.result_of(process) for process in running]
    assert [result.get("msg") for result in results] == [None, None]
    assert {result["version"] for result in results} == {2}
    # Each migration was made by one of them.
    assert sorted(item["version"] for result in results for item in result["migrations"]) == [1, 2]
    assert all(result["changed"] == bool(result["migrations"]) for result in results)


def test_a_busy_lock_is_waited_for_only_so_long(mariadb: Server, database: str) -> None:
    with mariadb.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(CONCAT('ispmail_schema_', LEFT(SHA2(%s, 256), 32)), 0)", (database,))
        assert cursor.fetchone() == (1,)
        result = mariadb.module("mail_schema", login_db=database, lock_timeout=1)
    assert result["failed"]
    assert f"another run has been working on the schema of login_db '{database}'" in result["msg"]
    assert mariadb.sql(f"SHOW DATABASES LIKE '{database}'") == ""


def test_a_newer_schema_is_refused(mariadb: Server, directory: str) -> None:
    mariadb.sql(f"INSERT INTO {directory}.ispmail_schema (version, name) VALUES (9, 'of tomorrow')")
    result = mariadb.module("mail_schema", login_db=directory)
    assert result["failed"]
    assert "has schema version 9, but this release of mailfleet.ispmail knows 2" in result["msg"]


def test_a_table_of_another_program_is_refused(mariadb: Server, database: str) -> None:
    mariadb.sql(f"CREATE DATABASE {database}; CREATE TABLE {database}.users (id INT, name TEXT)")
    before = mariadb.dump(database)
    for check in (True, False):
        result = mariadb.module("mail_schema", check=check, login_db=database)
        assert result["failed"]
        assert "has a table 'users' that is neither the directory's nor the tutorial's" in result["msg"]
    assert mariadb.dump(database) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "absent"}, "state 'absent' is not known: give present or info"),
        ({"login_db": "mysql"}, "login_db 'mysql' is the server's own database"),
        ({"login_db": "a.b"}, "login_db 'a.b' cannot be a database's name"),
        ({"login_db": ""}, "login_db '' cannot be a database's name"),
        ({"lock_timeout": 0}, "lock_timeout 0 is too short"),
        ({"adopt": "ispmail", "adopt_from": "nowhere"}, "adopt is 'ispmail', but the database 'nowhere' does not have"),
        ({"login_db": "nowhere", "adopt": "tutorial"}, "adopt is 'tutorial', but login_db 'nowhere' has none of its"),
    ],
)
def test_bad_options_are_named(mariadb: Server, options: dict, message: str) -> None:
    result = mariadb.module("mail_schema", **options)
    assert result["failed"]
    assert message in result["msg"]
    assert mariadb.sql("SHOW DATABASES LIKE 'nowhere'") == ""
