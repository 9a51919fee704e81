# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adoption of older layouts from dumps with rows as years of use leave them behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import verify
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema import Request, locked
from mariadb_hosts import Server

Load = Callable[[str, str], None]


def rows(server: Server, database: str, table: str, columns: str) -> list[tuple]:
    with server.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table} ORDER BY 1")
        return list(cursor.fetchall())


def refusals(result: dict) -> dict[tuple[str, str, str], str]:
    found = {(row["table"], row["key"], row["part"]): row["reason"] for row in result["rejected"]}
    assert len(found) == len(result["rejected"])
    return found


TUTORIAL_DOMAINS = [("example.org", 1), ("virtual.test", 1), ("xn--bcher-kva.example", 1)]
TUTORIAL_FORWARDINGS = [
    ("@example.org", "@virtual.test", 1),
    ("@virtual.test", "user@virtual.test", 1),
    ("half@virtual.test", "user@virtual.test", 1),
    ("postmaster", "user@virtual.test", 1),
    ("root@mail.local", "user@virtual.test,root", 1),
    ("sales@example.org", "ann@example.org,bob@elsewhere.example,carl@virtual.test", 1),
    ("self@virtual.test", "self@virtual.test,user@virtual.test", 1),
]
TUTORIAL_REFUSALS = {
    ("domains", "under_score.example", "row"),
    ("users", "../escape@virtual.test", "row"),
    ("users", "USER@virtual.test", "row"),
    ("users", "bob@elsewhere.example", "row"),
    ("users", "cut@virtual.test", "password"),
    ("users", "empty@virtual.test", "password"),
    ("users", "info@bücher.example", "email"),
    ("users", "jörg@virtual.test", "row"),
    ("users", "nobody", "row"),
    ("forwardings", "half@virtual.test", "destination"),
    ("forwardings", "lost@virtual.test", "row"),
    ("forwardings", "two words@virtual.test", "row"),
}
UMLAUT = ("users", "umlaut@virtual.test", "password")


def test_the_tutorials_tables_are_adopted_in_place(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", database)
    old = {table: rows(mariadb, database, table, "*") for table in ("domains", "users", "forwardings")}

    checked = mariadb.module("mail_schema", check=True, login_db=database, adopt="tutorial")
    assert checked["found"] == ["tutorial"]
    assert set(refusals(checked)) == TUTORIAL_REFUSALS | {UMLAUT}

    result = mariadb.module("mail_schema", login_db=database, adopt="tutorial")
    assert result["changed"]
    assert len(result["warnings"]) == 1
    assert result["version"] == 2
    counts = {"domains": 3, "users": 7, "forwardings": 7}
    assert result["rows"] == counts
    assert (
        result["adopted"]
        == checked["adopted"]
        == [{"layout": "tutorial", "source_database": database, **counts, "clear_text_passwords": 4}]
    )
    found = refusals(result)
    assert set(found) == {(f"tutorial_{key[0]}", *key[1:]) for key in TUTORIAL_REFUSALS | {UMLAUT}}
    assert found["tutorial_users", "bob@elsewhere.example", "row"] == (
        "its domain elsewhere.example is not among the domains"
    )
    assert found["tutorial_users", "USER@virtual.test", "row"] == "it is the same address as user@virtual.test"

    assert rows(mariadb, database, "domains", "domain, enabled") == TUTORIAL_DOMAINS
    assert rows(mariadb, database, "forwardings", "source, destination, enabled") == TUTORIAL_FORWARDINGS
    passwords = dict(rows(mariadb, database, "users", "email, password"))
    unguessable = [passwords.pop(email) for email in ("empty@virtual.test", "umlaut@virtual.test")]
    assert all(len(text) > 40 and text.startswith("!") for text in unguessable)
    assert passwords == {
        "Ann@Example.org": "$ecret",  # the spelling that its maildir has
        "cut@virtual.test": "$1$abcdefgh$12345678",
        "info@xn--bcher-kva.example": "secret",
        "o'brien+lists@virtual.test": 'it\'s "quoted"',
        "user@virtual.test": "secret",
    }
    # Nothing is lost: the old tables are there as they were.
    assert {table: rows(mariadb, database, f"tutorial_{table}", "*") for table in old} == old
    engines = "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = '{}' AND table_name IN ({})"
    assert mariadb.sql(engines.format(database, "'domains', 'users', 'forwardings'")) == "InnoDB\n"
    assert "secret" not in str(result)

    before = mariadb.dump(database)
    again = mariadb.module("mail_schema", login_db=database, adopt="tutorial")
    assert not again["changed"]
    assert again["rejected"] == result["rejected"]
    assert "warnings" not in again
    assert mariadb.dump(database) == before


def test_clear_text_is_hashed_on_request(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", database)
    result = mariadb.module("mail_schema", login_db=database, rehash=True, password_scheme="YESCRYPT")
    assert result["adopted"][0]["clear_text_passwords"] == 0
    assert UMLAUT[1] not in [row["key"] for row in result["rejected"]]
    stored = dict(rows(mariadb, database, "users", "email, password"))
    expected = {
        "Ann@Example.org": "$ecret",
        "info@xn--bcher-kva.example": "secret",
        "o'brien+lists@virtual.test": 'it\'s "quoted"',
        "umlaut@virtual.test": "pässwort",
        "user@virtual.test": "secret",
    }
    for email, password in expected.items():
        assert stored[email].startswith("$y$")
        assert verify(password, stored[email]), email


def test_some_tables_and_columns_may_be_missing_or_more(mariadb: Server, database: str) -> None:
    mariadb.sql(
        f"CREATE DATABASE {database}; USE {database};"
        "CREATE TABLE domains (domain VARCHAR(50) NOT NULL, PRIMARY KEY (domain)) ENGINE=MyISAM;"
        "CREATE TABLE users (email VARCHAR(80) NOT NULL, password VARCHAR(20) NOT NULL, quota INT(10) DEFAULT"
        " '10485760', fullname TEXT, PRIMARY KEY (email)) ENGINE=MyISAM;"
        "INSERT INTO domains VALUES ('example.org'); INSERT INTO users (email, password) VALUES ('a@example.org', 'x')"
    )
    result = mariadb.module("mail_schema", login_db=database)
    assert set(refusals(result)) == {("tutorial_users", "fullname", "column")}
    assert rows(mariadb, database, "users", "email, password, quota") == [("a@example.org", "x", 10485760)]
    assert rows(mariadb, database, "forwardings", "source") == []


def test_a_table_in_the_way_of_the_old_one_is_refused(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", database)
    mariadb.sql("CREATE TABLE tutorial_users (email TEXT, password TEXT)", database)
    before = mariadb.dump(database)
    result = mariadb.module("mail_schema", login_db=database)
    assert result["failed"]
    assert "would be kept as 'tutorial_users', but there already is a table of this name" in result["msg"]
    assert mariadb.dump(database) == before


def test_the_tutorials_tables_are_copied_from_another_database(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", "provider_2004")
    before = mariadb.dump("provider_2004")
    result = mariadb.module("mail_schema", login_db=database, adopt="tutorial", adopt_from="provider_2004")
    assert set(refusals(result)) == TUTORIAL_REFUSALS | {UMLAUT}
    assert rows(mariadb, database, "domains", "domain, enabled") == TUTORIAL_DOMAINS
    assert mariadb.dump("provider_2004") == before


def test_a_later_edition_is_copied_once(mariadb: Server, load: Load, database: str) -> None:
    load("ispmail.sql", "mailserver")
    before = mariadb.dump("mailserver")
    options = {"login_db": database, "adopt": "ispmail", "adopt_from": "mailserver"}

    checked = mariadb.module("mail_schema", check=True, **options)
    result = mariadb.module("mail_schema", **options)
    assert result["rejected"] == checked["rejected"]
    assert result["adopted"] == checked["adopted"]
    assert result["adopted"][0]["clear_text_passwords"] == 1
    assert any("clear-text passwords" in str(warning) for warning in result["warnings"])

    assert rows(mariadb, database, "domains", "domain") == [
        ("example.com",),
        ("example.org",),
        ("xn--mller-kva.example",),
    ]
    stored = {
        email: (password, quota)
        for email, password, quota in rows(mariadb, database, "users", "email, password, quota")
    }
    assert {email: quota for email, (_password, quota) in stored.items() if quota} == {"sha256@example.org": 1073741824}
    assert stored.pop("clear@example.org")[0] == "secret"
    assert stored.pop("argon@example.com")[0].startswith("{ARGON2ID}$argon2id$")
    assert set(stored) == {
        "bcrypt@example.org",
        "sha256@example.org",
        "md5@example.com",
        "plainmd5@example.com",
        "post@xn--mller-kva.example",
    }
    for email, (password, _quota) in stored.items():
        assert verify("secret", password), email
    assert rows(mariadb, database, "forwardings", "source, destination") == [
        ("@example.com", "@example.org"),
        ("orphan@example.org", "clear@example.org"),
        ("team@example.org", "bcrypt@example.org,sha256@example.org,boss@elsewhere.example"),
    ]
    assert set(refusals(result)) == {
        ("virtual_domains", "id 5 (no dots here)", "row"),
        ("virtual_users", "id 4 (plainmd5@example.com)", "quota"),
        ("virtual_users", "id 5 (argon@example.com)", "password"),
        ("virtual_users", "id 7 (info@other.example)", "row"),
        ("virtual_users", "id 8 (post@müller.example)", "email"),
        ("virtual_aliases", "id 7 (bad@example.org)", "destination"),
        ("virtual_aliases", "id 7 (bad@example.org)", "row"),
    }

    # What is removed later does not come back.
    mariadb.sql("DELETE FROM users WHERE email = 'clear@example.org'", database)
    again = mariadb.module("mail_schema", **options)
    assert not again["changed"]
    assert again["rejected"] == result["rejected"]
    assert again["rows"]["users"] == 6
    assert mariadb.dump("mailserver") == before


def test_the_editions_for_etch_and_lenny_are_copied(mariadb: Server, load: Load, database: str) -> None:
    load("ispmail-lenny.sql", database)
    # In the same database, beside their own tables and views.
    result = mariadb.module("mail_schema", login_db=database, adopt="ispmail")
    assert result["found"] == ["ispmail"]
    assert result["rejected"] == []
    stored = rows(mariadb, database, "users", "email, password")
    assert [email for email, _password in stored] == ["john@example.com", "john@example.org"]
    assert all(verify("secret", password) for _email, password in stored)
    assert rows(mariadb, database, "forwardings", "source, destination") == [
        ("@example.org", "john@example.org"),
        ("jd@example.com", "john@example.com,john@elsewhere.example"),
    ]
    assert len(rows(mariadb, database, "view_users", "email")) == 2


def test_postfixadmin_is_copied(mariadb: Server, load: Load, database: str) -> None:
    load("postfixadmin.sql", "postfixadmin")
    before = mariadb.dump("postfixadmin")
    options = {"login_db": database, "adopt": "postfixadmin", "adopt_from": "postfixadmin", "rehash": True}
    checked = mariadb.module("mail_schema", check=True, **options)
    result = mariadb.module("mail_schema", **options)
    assert result["rejected"] == checked["rejected"]
    assert rows(mariadb, database, "domains", "domain, enabled") == [
        ("alias.example", 1),
        ("example.org", 1),
        ("loud.example", 1),
        ("sleeping.example", 0),
    ]
    users = rows(mariadb, database, "users", "email, enabled, quota, password")
    assert [row[:3] for row in users] == [
        ("ann@example.org", 1, 102400000),
        ("bob@example.org", 0, 0),
        ("sleepy@sleeping.example", 1, 0),
    ]
    assert all(verify("secret", row[3]) for row in users)
    assert rows(mariadb, database, "forwardings", "source, destination, enabled") == [
        ("@alias.example", "@example.org", 1),
        ("@loud.example", "ann@example.org", 1),
        ("abuse@example.org", "ann@example.org", 1),
        ("off@example.org", "ann@example.org,bob@example.org", 0),
        ("sleepy@sleeping.example", "sleepy@sleeping.example,copy@example.org", 1),
    ]
    assert set(refusals(result)) == {
        ("domain", "backup.example", "row"),
        ("mailbox", "mx@backup.example", "row"),
        ("alias", "bob@example.org", "destination"),
        ("alias", "gone@example.org", "row"),
        ("alias_domain", "loud.example", "row"),
    }
    assert not mariadb.module("mail_schema", **options)["changed"]
    assert mariadb.dump("postfixadmin") == before


def test_rows_that_are_there_already_win(mariadb: Server, load: Load, database: str) -> None:
    load("ispmail-lenny.sql", "mailserver")
    mariadb.module("mail_schema", login_db=database)
    mariadb.sql(
        "INSERT INTO domains (domain) VALUES ('example.org');"
        "INSERT INTO users (email, password) VALUES ('JOHN@example.org', 'mine');"
        "INSERT INTO forwardings (source, destination) VALUES ('JD@example.com', 'me@example.org')",
        database,
    )
    result = mariadb.module("mail_schema", login_db=database, adopt="ispmail", adopt_from="mailserver")
    assert result["adopted"][0] | {"source_database": ""} == {
        "layout": "ispmail",
        "source_database": "",
        "domains": 1,
        "users": 1,
        "forwardings": 1,
        "clear_text_passwords": 0,
    }
    assert {row["key"] for row in result["rejected"]} == {
        "id 1 (john@example.org)",
        "id 2 (jd@example.com)",
        "id 3 (jd@example.com)",
    }
    assert ("JOHN@example.org", "mine") in rows(mariadb, database, "users", "email, password")


def test_two_adoptions_at_once_insert_once(mariadb: Server, load: Load, database: str) -> None:
    load("tutorial.sql", database)
    running = [mariadb.start_module("mail_schema", login_db=database, adopt="tutorial") for _number in range(3)]
    results = [mariadb.result_of(process) for process in running]
    assert [result.get("msg") for result in results] == [None] * 3
    assert [result["changed"] for result in results].count(True) == 1
    assert {result["rows"]["users"] for result in results} == {7}


@pytest.mark.parametrize("check", [False, True])
def test_tables_are_not_judged_while_another_run_renames_them(
    mariadb: Server, load: Load, database: str, check: bool
) -> None:
    load("tutorial.sql", database)
    tables = ("domains", "users", "forwardings")
    with mariadb.connect() as other, other.cursor() as cursor, locked(cursor, Request(database)):
        mariadb.execute("RENAME TABLE " + ", ".join(f"{table} TO moved_{table}" for table in tables), database)
        process = mariadb.start_module("mail_schema", check, login_db=database, adopt="tutorial")
        deadline = time.monotonic() + 60
        while not cursor.execute("SELECT 1 FROM information_schema.processlist WHERE state = 'User lock'"):
            assert process.poll() is None, mariadb.result_of(process)
            assert time.monotonic() < deadline
            time.sleep(0.05)
        mariadb.execute("RENAME TABLE " + ", ".join(f"moved_{table} TO {table}" for table in tables), database)
    result = mariadb.result_of(process)
    assert result["changed"]
    assert result["adopted"][0]["source_database"] == database


@pytest.mark.parametrize("dump", ["tutorial.sql", "ispmail.sql", "postfixadmin.sql"])
def test_check_mode_and_info_send_no_write(mariadb: Server, load: Load, database: str, dump: str) -> None:
    load(dump, database)
    before = mariadb.dump(database)
    login = {
        "login_host": [mariadb.address],
        "login_user": "admin",
        "login_password": mariadb.password,
        "ca_cert": "/etc/mysql/tls/ca.pem",
        "login_db": database,
    }
    mariadb.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")
    try:
        checked = mariadb.module("mail_schema", check=True, adopt=dump.removesuffix(".sql"), **login)
        mariadb.module("mail_schema", state="info", **login)
    finally:
        mariadb.sql("SET GLOBAL general_log = 0")
    assert checked["changed"] and checked["rejected"]
    sent = mariadb.sql(
        "SELECT DISTINCT UPPER(SUBSTRING_INDEX(CONVERT(argument USING utf8mb4), ' ', 1)) FROM mysql.general_log"
        " WHERE command_type = 'Query' AND user_host LIKE 'admin%'"
    ).split()
    assert "SELECT" in sent
    assert set(sent) <= {"SELECT", "SET", "ROLLBACK"}
    assert mariadb.dump(database) == before


def test_two_layouts_in_one_run_are_previewed_as_they_will_be(mariadb: Server, load: Load, database: str) -> None:
    """The tutorial's tables in place and another layout beside them: the second sees what the first will have left."""
    load("tutorial.sql", database)
    load("ispmail.sql", "mailserver")
    options = {"login_db": database, "adopt": "ispmail", "adopt_from": "mailserver"}
    checked = mariadb.module("mail_schema", check=True, **options)
    result = mariadb.module("mail_schema", **options)
    assert [adopted["layout"] for adopted in result["adopted"]] == ["tutorial", "ispmail"]
    assert checked["adopted"] == result["adopted"]
    # The domain example.org came with the tutorial's tables, in other letters.
    assert result["adopted"][1]["domains"] == 2
    named = [{**row, "table": row["table"].removeprefix("tutorial_")} for row in result["rejected"]]
    assert checked["rejected"] == named
