# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules make of the tables."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import scheme_of, verify
from directory_database import Directory

START: dict[str, Any] = {
    "domains": [{"domain": "one.test"}, {"domain": "two.test", "enabled": False}],
    "users": [
        {"email": "Ann@one.test", "password": "geheim", "quota": "2G"},
        {"email": "o'neil+x@two.test", "password": "anders", "imap_enabled": False, "mailhost": "Store.test"},
    ],
    "forwardings": [
        {"source": "info@one.test", "destinations": ["ann@one.test", "x@elsewhere.test"]},
        {"source": "@two.test", "destinations": ["@one.test"]},
        {"source": "ann@one.test", "destinations": ["ann@home.test"], "keep_copy": True},
    ],
}
COUNTS = {"added": 0, "changed": 0, "deleted": 0, "unchanged": 0}


def test_the_tutorials_rows(directory: Directory) -> None:
    """One row a module, then the whole at once; nothing changes the second time."""
    rows: list[tuple[str, dict[str, Any]]] = [
        ("mail_domain", {"domain": "virtual.test"}),
        ("mail_user", {"email": "user@virtual.test", "password": "geheim"}),
        ("mail_forwarding", {"source": "a@virtual.test", "destinations": ["user@virtual.test"]}),
    ]
    for module, options in rows:
        assert directory.apply(module, **options)["changed"]
        assert not directory.apply(module, **options)["changed"]
    again = directory.apply(
        domains=[rows[0][1]],
        users=[rows[1][1]],
        forwardings=[{**rows[2][1]}],
        purge=["domains", "users", "forwardings"],
    )
    assert not again["changed"]
    assert again["users"] == {**COUNTS, "unchanged": 1}
    assert directory.rows("SELECT domain, enabled FROM domains") == [["virtual.test", "1"]]
    assert directory.rows("SELECT source, destination, enabled FROM forwardings") == [
        ["a@virtual.test", "user@virtual.test", "1"]
    ]


def test_every_column(directory: Directory) -> None:
    result = directory.apply(**START)
    assert result["users"] == {**COUNTS, "added": 2}
    assert directory.rows(
        "SELECT email, enabled, quota, smtp_enabled, imap_enabled, pop3_enabled, webmail_enabled, mailhost FROM users"
    ) == [
        ["ann@one.test", "1", str(2 * 1024**3), "1", "1", "1", "1", ""],
        ["o'neil+x@two.test", "1", "0", "1", "0", "1", "1", "store.test"],
    ]
    assert directory.rows("SELECT source, destination FROM forwardings ORDER BY source") == [
        ["@two.test", "@one.test"],
        ["ann@one.test", "ann@one.test,ann@home.test"],
        ["info@one.test", "ann@one.test,x@elsewhere.test"],
    ]
    stored = dict(directory.rows("SELECT email, password FROM users"))
    assert verify("geheim", stored["ann@one.test"])
    assert verify("anders", stored["o'neil+x@two.test"])

    before = directory.dump()
    assert not directory.apply(**START)["changed"]
    assert directory.dump() == before, "hashes that match are not made anew"


def test_nothing_secret_is_returned(directory: Directory) -> None:
    hashed = "$6$saltsaltsalt$" + "a" * 86
    directory.apply(**START)
    changed = {
        "users": [
            {"email": "ann@one.test", "password": "ganz anders"},
            {"email": "new@one.test", "password_hash": hashed},
        ]
    }
    results = [
        directory.apply(check=True, **changed),
        directory.apply(**changed),
        directory.apply("mail_directory_info"),
    ]
    for result in results:
        result.pop("invocation", None)
        text = json.dumps(result)
        assert "geheim" not in text
        assert "ganz anders" not in text
        assert "$6$" not in text
    assert results[0]["diff"] == results[1]["diff"]
    assert results[1]["diff"][0]["after"] == "ann@one.test password=(new, hidden)\nnew@one.test password=(hidden)\n"


def test_password_changes(directory: Directory) -> None:
    directory.apply(**START)

    def stored() -> str:
        return directory.value("SELECT password FROM users WHERE email = 'ann@one.test'")

    user = {"email": "ann@one.test"}
    first = stored()
    assert not directory.apply("mail_user", **user, password="neu", update_password="on_create")["changed"]
    assert not directory.apply("mail_user", **user, password="geheim", password_scheme="YESCRYPT")["changed"]
    assert stored() == first
    assert directory.apply("mail_user", **user, password="neu", password_scheme="YESCRYPT")["changed"]
    assert scheme_of(stored()) == "YESCRYPT"
    assert verify("neu", stored())
    assert directory.apply("mail_user", **user, password_hash="{CRYPT}" + first)["changed"]
    assert stored() == first
    assert directory.apply("mail_user", **user, password="geheim", password_scheme="CLEAR")["changed"]
    assert stored() == "geheim"
    assert not directory.apply("mail_user", **user, password="geheim", password_scheme="CLEAR")["changed"]
    assert directory.apply("mail_user", **user, password="geheim")["changed"], "clear text is no hash"


def test_forwardings_are_exact_or_added_to(directory: Directory) -> None:
    def destinations() -> str:
        return directory.value("SELECT destination FROM forwardings")

    def forward(*to: str, **more: Any) -> bool:
        return directory.apply("mail_forwarding", source="a@x.test", destinations=list(to), **more)["changed"]

    assert forward("b@y.test", "c@y.test")
    assert not forward("C@y.test", "b@y.test")
    assert forward("d@y.test", append=True)
    assert not forward("b@y.test", append=True)
    assert destinations() == "b@y.test,c@y.test,d@y.test"
    assert forward("d@y.test")
    assert destinations() == "d@y.test"
    assert directory.apply("mail_forwarding", source="a@x.test", state="absent")["forwardings"]["deleted"] == 1
    assert not directory.apply("mail_forwarding", source="a@x.test", state="absent")["changed"]


def test_rows_of_older_tools_are_found_in_any_case(directory: Directory) -> None:
    directory.server.sql(
        "INSERT INTO domains (domain) VALUES ('One.test');"
        "INSERT INTO users (email, password) VALUES ('Ann@One.test', 'x');"
        "INSERT INTO forwardings (source, destination) VALUES ('Info@One.test', 'Ann@One.test, b@y.test')",
        directory.database,
    )
    same = {
        "domains": [{"domain": "one.test"}],
        "users": [{"email": "ann@one.test", "quota": 0}],
        "forwardings": [{"source": "info@one.test", "destinations": ["b@y.test", "ann@one.test"]}],
        "purge": ["domains", "users", "forwardings"],
    }
    assert not directory.apply(**same)["changed"]
    assert directory.apply("mail_user", email="ann@one.test", quota="5M")["users"]["changed"] == 1
    assert directory.rows("SELECT email, quota FROM users") == [["Ann@One.test", str(5 * 1024**2)]]


def test_purge_and_cascade(directory: Directory) -> None:
    directory.apply(**START)
    assert "purge names users, but no users are given" in directory.refused(purge=["users"])
    assert "more than max_deletions (1)" in directory.refused(users=[], purge=["users"], max_deletions=1)
    assert "it still has forwarding @two.test, user o'neil+x@two.test" in directory.refused(
        "mail_domain", domain="two.test", state="absent"
    )
    result = directory.apply(users=[], forwardings=[], purge=["users", "forwardings"], purge_domains=["Two.test"])
    assert (result["users"]["deleted"], result["forwardings"]["deleted"]) == (1, 1)
    assert directory.apply("mail_domain", domain="two.test", state="absent")["domains"]["deleted"] == 1
    result = directory.apply("mail_domain", domain="one.test", state="absent", cascade=True)
    assert [result[name]["deleted"] for name in ("domains", "users", "forwardings")] == [1, 1, 2]
    assert directory.rows("SELECT * FROM domains UNION SELECT source, 1 FROM forwardings") == []


def test_maildirs_go_only_when_told(directory: Directory) -> None:
    directory.apply(**START)
    directory.server.shell(
        "mkdir -p /srv/store/ann@one.test/cur /srv/store/other@one.test; ln -sfn /srv/store/other@one.test"
        ' "/srv/store/o\'neil+x@two.test"'
    )
    paths = {"delete_maildirs": True, "mail_store": "/srv/store"}
    directory.apply("mail_user", email="o'neil+x@two.test", state="absent", **paths)
    result = directory.apply("mail_domain", check=True, domain="one.test", state="absent", cascade=True, **paths)
    assert result["maildirs"] == ["/srv/store/ann@one.test"]
    assert "ann@one.test" in directory.server.shell("ls /srv/store")
    directory.apply("mail_domain", domain="one.test", state="absent", cascade=True, **paths)
    assert directory.server.shell("ls /srv/store").split() == ["o'neil+x@two.test", "other@one.test"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"users": [{"email": "x@gone.test", "password": "p"}]},
            "users[0].email: x@gone.test is in the unknown domain",
        ),
        ({"users": [{"email": "x@one.test"}]}, "users[0].email: x@one.test is a new user and needs a password"),
        (
            {"forwardings": [{"source": "x@elsewhere.test", "destinations": ["info@one.test"]}]},
            "forwarding loop info@one.test -> x@elsewhere.test -> info@one.test",
        ),
        ({"local_domains": ["ONE.test"]}, "one.test is a local domain of this host"),
        ({"local_domains": ["$myhostname"]}, "local_domains[0]: '$myhostname': has '$'"),
        ({"domains": [{"domain": "one.test"}, {"domain": "ONE.test"}]}, "first as domains[0].domain"),
        ({"src": "/missing.csv", "remote_src": True}, "src '/missing.csv' cannot be read: No such file"),
        ({"login_db": "nowhere"}, "login_db 'nowhere'"),
    ],
)
def test_what_is_refused_changes_nothing(directory: Directory, rows: dict[str, Any], message: str) -> None:
    directory.apply(**START)
    before = directory.dump()
    result = directory.server.module("mail_directory", **{"login_db": directory.database, **rows})
    assert result["failed"]
    assert message in result["msg"]
    assert directory.dump() == before


def test_tables_that_are_missing_are_named_with_the_remedy(directory: Directory) -> None:
    directory.server.sql("DROP TABLE forwardings, users, domains", directory.database)
    result = directory.run("mail_domain", domain="one.test")
    assert "create or adopt them with the module mail_schema" in result["msg"]
    result = directory.apply(check=True, **START)
    assert result["users"]["added"] == 2
    assert "in check mode they are taken to be empty" in str(result["warnings"])


def test_info(directory: Directory) -> None:
    directory.apply(**START)
    found = directory.apply("mail_directory_info")
    assert found["counts"] == {"domains": 2, "users": 2, "forwardings": 3}
    assert found["users"][0] == {
        "email": "ann@one.test",
        "enabled": True,
        "quota": 2 * 1024**3,
        "smtp_enabled": True,
        "imap_enabled": True,
        "pop3_enabled": True,
        "webmail_enabled": True,
        "mailhost": "",
        "password_scheme": "SHA512-CRYPT",
    }
    assert found["problems"] == {
        "orphans": {"users": ["o'neil+x@two.test"], "forwardings": ["@two.test"]},  # two.test is disabled
        "loops": [],
        "dead_ends": [],
    }
    found = directory.apply("mail_directory_info", gather=["counts", "forwardings"], domains=["ONE.test"], match="I*")
    assert found["counts"] == {"domains": 0, "users": 0, "forwardings": 1}
    assert found["forwardings"] == [
        {"source": "info@one.test", "destinations": ["ann@one.test", "x@elsewhere.test"], "enabled": True}
    ]
    assert "users" not in found
    found = directory.apply("mail_directory_info", gather=["users", "counts"], limit=1)
    assert (len(found["users"]), found["counts"]["users"]) == (1, 2)


def test_a_mailbox_that_keeps_a_forwarding_loop_open_stays(directory: Directory) -> None:
    directory.apply(
        domains=START["domains"],
        users=START["users"],
        forwardings=[
            {"source": "@one.test", "destinations": ["info@two.test"]},
            {"source": "info@two.test", "destinations": ["ann@one.test"]},
        ],
    )
    leave = {"email": "ann@one.test", "state": "absent"}
    chain = "forwarding loop info@two.test -> ann@one.test -> info@two.test; only the mailbox of ann@one.test"
    assert chain in directory.refused("mail_user", **leave)
    assert chain in directory.refused("mail_user", email="ann@one.test", enabled=False)
    assert directory.apply("mail_user", email="o'neil+x@two.test", state="absent")["changed"]
    assert directory.apply(users=[leave], forwardings=[{"source": "@one.test", "state": "absent"}])["changed"]
