# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_files import Section, of_items, of_options
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_rows import RowsError, collect
from ansible_collections.mailfleet.ispmail.plugins.module_utils.plan import MAX_REPORTED, Desired

HASH = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"


def _collect(name: str, *items: dict[str, Any], **options: str) -> Desired:
    return collect(lambda: of_items(name, items, name), **options)


def _refused(name: str, *items: dict[str, Any]) -> list[str]:
    with pytest.raises(RowsError) as caught:
        _collect(name, *items)
    assert "geheim" not in str(caught.value)
    return str(caught.value).splitlines()


def test_domains() -> None:
    wanted = _collect("domains", {"domain": "One.test"}, {"domain": "bücher.test", "enabled": "no", "state": "absent"})
    assert wanted.given == {"domains"}
    one, books = wanted.domains["one.test"][0], wanted.domains["xn--bcher-kva.test"][0]
    assert (one.settings, one.present) == ((None,), True)
    assert (books.settings, books.present) == ((0,), False)


def test_users() -> None:
    wanted = _collect(
        "users",
        {"email": "Ann@One.test", "password": "geheim"},
        {"email": "bob@one.test", "password_hash": "{SHA256-CRYPT}" + HASH, "quota": "2G", "pop3_enabled": False},
        {"email": "cy@one.test", "enabled": "1", "mailhost": "Store.test", "quota": 1024},
        {"email": "di@one.test", "password": "x", "password_scheme": "YESCRYPT", "update_password": "on_create"},
        {"email": "ed@one.test", "mailhost": "", "quota": "unlimited", "state": "absent"},
    )
    ann, text = wanted.users["ann@one.test"]
    assert (ann.scheme, ann.keep_content, text) == ("SHA512-CRYPT", False, "geheim")
    bob, text = wanted.users["bob@one.test"]
    assert (bob.scheme, text) == (None, HASH)
    assert bob.settings == (None, 2 * 1024**3, None, None, 0, None, None)
    cy, text = wanted.users["cy@one.test"]
    assert (cy.settings, text) == ((1, 1024, None, None, None, None, "store.test"), None)
    di, _text = wanted.users["di@one.test"]
    assert (di.scheme, di.keep_content) == ("YESCRYPT", True)
    ed, _text = wanted.users["ed@one.test"]
    assert (ed.settings, ed.present) == ((None, 0, None, None, None, None, ""), False)


def test_the_defaults_of_the_task_hold_where_a_user_says_nothing() -> None:
    wanted = _collect(
        "users",
        {"email": "a@x.test", "password": "p"},
        {"email": "b@x.test", "password": "p", "password_scheme": "SHA256-CRYPT", "update_password": "always"},
        scheme="CLEAR",
        update_password="on_create",
    )
    assert [(rule.scheme, rule.keep_content) for rule, _text in wanted.users.values()] == [
        ("CLEAR", True),
        ("SHA256-CRYPT", False),
    ]


def test_many_rows_share_one_rule() -> None:
    wanted = _collect("users", *({"email": f"u{i}@x.test", "quota": "1G"} for i in range(5000)))
    assert len({id(rule) for rule, _text in wanted.users.values()}) == 1


@pytest.mark.parametrize(
    ("item", "stored"),
    [
        ({"destinations": ["b@y.test", "a@y.test"]}, "b@y.test,a@y.test"),
        ({"destinations": "b@y.test, a@y.test"}, "b@y.test,a@y.test"),
        ({"destinations": ["b@y.test", "@z.test"]}, "@z.test,b@y.test"),
        ({"destinations": ["b@y.test"], "keep_copy": True}, "a@x.test,b@y.test"),
        ({"destinations": "b@y.test", "keep_copy": "yes"}, "a@x.test,b@y.test"),
        ({"destinations": "b@y.test", "keep_copy": "no"}, "b@y.test"),
        ({"destinations": ["b@y.test", "A@x.test"]}, "b@y.test,a@x.test"),
        ({"destinations": ['"a,b"@y.test']}, '"a,b"@y.test'),
        ({"destinations": ["b@[192.0.2.1]"]}, "b@[192.0.2.1]"),
    ],
)
def test_forwardings(item: dict[str, Any], stored: str) -> None:
    wanted = _collect("forwardings", {"source": "A@x.test", **item})
    assert wanted.forwardings["a@x.test"][1] == stored


def test_catch_all_and_whole_domain() -> None:
    wanted = _collect("forwardings", {"source": "@X.test", "destinations": ["@Y.test"], "append": "yes"})
    rule, text = wanted.forwardings["@x.test"]
    assert (rule.append, text) == (True, "@y.test")
    assert _collect("forwardings", {"source": "a@x.test", "state": "absent"}).forwardings["a@x.test"][1] is None


@pytest.mark.parametrize(
    ("name", "item", "message"),
    [
        ("domains", {}, "domains[0].domain: is required"),
        ("domains", {"enabled": True}, "domains[0].domain: is required"),
        ("domains", {"domain": "a_b.test"}, "domains[0].domain: 'a_b.test': has '_'"),
        ("domains", {"domain": 5}, "domains[0].domain: 5: is not text"),
        ("domains", {"domain": "x.test", "enabled": "maybe"}, "domains[0].enabled: 'maybe' is neither true nor false"),
        ("domains", {"domain": "x.test", "state": "gone"}, "domains[0].state: 'gone' is none of present, absent"),
        ("domains", {"domain": "x.test", "enabled": [1]}, "domains[0].enabled: is a list or a dictionary"),
        ("users", {"email": "x.test"}, "users[0].email: 'x.test': has no @"),
        ("users", {"email": "a@x.test", "pasword": "geheim"}, "users[0].pasword: is no option of a user; it has email"),
        ("users", {"email": "a@x.test", "password": 12345}, "users[0].password: is int where text is needed"),
        ("users", {"email": "a@x.test", "password": ""}, "users[0].password: the password of a@x.test is empty"),
        (
            "users",
            {"email": "a@x.test", "password": "geheim\n"},
            "users[0].password: the password of a@x.test has a line",
        ),
        (
            "users",
            {"email": "a@x.test", "password_hash": "geheim"},
            "users[0].password_hash: the hash of a@x.test is no",
        ),
        (
            "users",
            {"email": "a@x.test", "password_hash": HASH, "password": "geheim"},
            "users[0].password_hash: a@x.test has",
        ),
        ("users", {"email": "a@x.test", "password_scheme": "MD5"}, "users[0].password_scheme: 'MD5' is none of"),
        ("users", {"email": "a@x.test", "quota": "2X"}, "users[0].quota: '2X' is no size"),
        ("users", {"email": "a@x.test", "quota": -1}, "users[0].quota: -1 is no size"),
        ("users", {"email": "a@x.test", "quota": True}, "users[0].quota: True is no size"),
        ("users", {"email": "a@x.test", "quota": "9999999E"}, "users[0].quota: '9999999E' is no size"),
        ("users", {"email": "a@x.test", "mailhost": "a b"}, "users[0].mailhost: 'a b': has ' '"),
        ("forwardings", {"source": "a@x.test"}, "forwardings[0].destinations: a@x.test: is required"),
        (
            "forwardings",
            {"source": "a@x.test", "destinations": []},
            "forwardings[0].destinations: a@x.test: must be a list",
        ),
        (
            "forwardings",
            {"source": "a@x.test", "destinations": ["root"]},
            "forwardings[0].destinations: a@x.test: 'root'",
        ),
        (
            "forwardings",
            {"source": "a@x.test", "destinations": ["A@X.test"]},
            "forwardings[0].destinations: forwarding to it",
        ),
        (
            "forwardings",
            {"source": "a@x.test", "destinations": ["@x.test"]},
            "forwardings[0].destinations: forwarding to it",
        ),
        (
            "forwardings",
            {"source": "a@x.test", "destinations": ["b@y.test", "B@y.test"]},
            "forwardings[0].destinations: a@x",
        ),
        (
            "forwardings",
            {"source": "a@x.test", "destinations": ["@y.test", "@z.test"]},
            "forwardings[0].destinations: a@x",
        ),
        (
            "forwardings",
            {"source": "@x.test", "destinations": ["b@y.test"], "keep_copy": True},
            "forwardings[0].keep_copy: @x.test: a catch-all has no mailbox",
        ),
        (
            "forwardings",
            {"source": "a@x.test", "destinations": [f"{'x' * 60}{i}@y.test" for i in range(1000)]},
            "forwardings[0].destinations: a@x.test: the destinations together are longer than 65535",
        ),
    ],
)
def test_each_rejected_value_is_named_with_its_place(name: str, item: dict[str, Any], message: str) -> None:
    (line,) = _refused(name, item)
    assert line.startswith(message)


def test_duplicates_name_both_places_also_across_files() -> None:
    sections = [
        Section("users", ["email"], [["a@x.test"], ["b@x.test"]], "a.csv", 2, True),
        Section("domains", ["domain"], [["x.test"], ["X.test"]], "b.yml: domains"),
        Section("users", ["email"], [["c@x.test"], ["A@X.TEST"]], "users", 16),
    ]
    with pytest.raises(RowsError) as caught:
        collect(lambda: iter(sections))
    assert str(caught.value).splitlines() == [
        "b.yml: domains[1].domain: x.test is given twice, first as b.yml: domains[0].domain; take one of them out",
        "users[17].email: a@x.test is given twice, first as a.csv line 2: email; take one of them out",
    ]


def test_all_problems_are_reported_at_once_and_counted() -> None:
    lines = _refused("users", *({"email": f"no address {i}"} for i in range(50)))
    assert len(lines) == MAX_REPORTED + 1
    assert lines[1].startswith("users[1].email")
    assert lines[-1] == "and 30 more"


def test_places_are_found_again() -> None:
    wanted = _collect("users", {"email": "a@x.test"}, {"email": "B@x.test"})
    assert wanted.locate("users", {"b@x.test", "z@x.test"}) == {"b@x.test": "users[1].email"}
    single = collect(lambda: [of_options("users", {"email": "A@x.test"})])
    assert single.locate("users", {"a@x.test"}) == {"a@x.test": "email"}
