# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import PasswordError, check_hash
from ansible_collections.mailfleet.ispmail.plugins.module_utils.schema_adoption import (
    MAX_DESTINATION,
    Domain,
    Forwarding,
    Password,
    Present,
    Source,
    User,
    converter,
    from_postfixadmin,
    plan,
    split_destinations,
    text_of,
)
from hypothesis import given
from hypothesis import strategies as st

MD5 = "5ebe2294ecd0e0f08eab7690d2a6ee69"
DES = "sa3tHJ3/KuYvI"


def domain(name: str, enabled: bool = True) -> Domain:
    return Domain("domains", name, name, enabled)


def user(email: str, quota: int = 0, password: str = "secret") -> User:
    return User("users", email, email, password, True, quota)


def forwarding(source: str, *destinations: str, enabled: bool = True, key: str | None = None) -> Forwarding:
    return Forwarding("forwardings", source if key is None else key, source, destinations, enabled)


def plain(text: str) -> Password:
    return Password(text, clear=True)


@pytest.mark.parametrize(
    ("layout", "text", "stored", "clear", "problem"),
    [
        ("tutorial", "secret", "secret", True, None),
        ("tutorial", "$ecret", "$ecret", True, None),
        ("tutorial", "{curly", "{curly", True, None),
        ("tutorial", DES, DES, True, None),
        ("tutorial", MD5, MD5, True, None),
        ("tutorial", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", False, None),
        ("tutorial", "$1$saltsalt$9xy1btjg", "$1$saltsalt$9xy1btjg", False, "it is no complete crypt(5) hash"),
        ("ispmail", MD5, "{MD5RAW}" + MD5, False, None),
        ("ispmail", "{PLAIN-MD5}" + MD5.upper(), "{MD5RAW}" + MD5, False, None),
        ("ispmail", "{plain}secret", "secret", True, None),
        ("ispmail", "{ARGON2ID}$argon2id$x", "{ARGON2ID}$argon2id$x", False, "it has the scheme {ARGON2ID}"),
        ("postfixadmin", DES, DES, False, None),
        ("postfixadmin", "secret", "secret", True, None),
    ],
)
def test_passwords(layout: str, text: str, stored: str, clear: bool, problem: str | None) -> None:
    found = converter(layout, "CLEAR")(text)
    assert (found.text, found.clear) == (stored, clear)
    if problem is None:
        assert found.problem is None
    else:
        assert found.problem is not None
        assert found.problem.startswith(problem)


@pytest.mark.parametrize("text", ["", "pässwort", "{PLAIN}", "two\nlines", "x" * 300, "$6$" + "x" * 300])
def test_a_password_that_cannot_be_stored_opens_nothing(text: str) -> None:
    one, other = (converter("tutorial", "CLEAR")(text) for _number in range(2))
    assert one.problem
    assert one.text != other.text
    assert not one.clear
    assert one.text.isascii()
    with pytest.raises(PasswordError):
        check_hash(one.text)


def test_hashing_takes_what_clear_text_cannot_hold() -> None:
    assert converter("tutorial", "SHA512-CRYPT")("pässwort") == Password("pässwort", clear=True)


def test_of_two_spellings_the_one_in_lower_case_stays() -> None:
    source = Source([domain("X.test"), domain("x.test", False)], [user("ANN@x.test"), user("ann@x.test")])
    adoption = plan(source, Present(), plain)
    assert adoption.domains == [("x.test", True)]
    assert [row.email for row in adoption.users] == ["ann@x.test"]
    assert [(row.key, row.part) for row in adoption.rejected] == [("ANN@x.test", "row")]


def test_the_spelling_of_a_maildir_is_kept() -> None:
    adoption = plan(Source([domain("x.test")], [user("Ann@X.test")]), Present(), plain)
    assert [row.email for row in adoption.users] == ["Ann@X.test"]
    assert adoption.rejected == []


def test_a_domain_that_is_present_hosts_users() -> None:
    source = Source([], [user("ann@x.test"), user("bob@x.test")])
    adoption = plan(source, Present(frozenset({"x.test"}), frozenset({"bob@x.test"})), plain)
    assert [row.email for row in adoption.users] == ["ann@x.test"]
    assert [row.reason for row in adoption.rejected] == ["the directory already has a user with this address"]


@pytest.mark.parametrize(("quota", "stored", "reported"), [(5, 5, 0), (-1, 0, 0), (-2, 0, 1), (2**64, 0, 1)])
def test_quotas(quota: int, stored: int, reported: int) -> None:
    adoption = plan(Source([domain("x.test")], [user("ann@x.test", quota)]), Present(), plain)
    assert [row.quota for row in adoption.users] == [stored]
    assert [row.part for row in adoption.rejected] == ["quota"] * reported


def test_forwardings_of_one_source_are_merged_unless_one_is_off() -> None:
    source = Source(
        forwardings=[
            forwarding("a@x.test", "off@x.test", enabled=False, key="1"),
            forwarding("A@x.test", "one@x.test", "two@x.test", key="2"),
            forwarding("a@X.test", "Two@x.test", "three@x.test", key="3"),
        ]
    )
    adoption = plan(source, Present(), plain)
    assert adoption.forwardings == [("a@x.test", "one@x.test,two@x.test,three@x.test", True)]
    assert [row.key for row in adoption.rejected] == ["1"]


def test_destinations_that_do_not_fit_are_reported() -> None:
    many = [f"{number:05}@{'x' * 60}.test" for number in range(900)]
    source = Source(forwardings=[forwarding("a@x.test", *many, key="1"), forwarding("a@x.test", *many[:1], key="2")])
    assert len(",".join(many)) <= MAX_DESTINATION
    assert plan(source, Present(), plain).rejected == []
    source.forwardings.append(forwarding("a@x.test", *(f"y{item}" for item in many), key="3"))
    adoption = plan(source, Present(), plain)
    assert [row.key for row in adoption.rejected] == ["3"]
    assert adoption.forwardings[0][1] == ",".join(many)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a@x,b@x", ["a@x", "b@x"]),
        (" a@x ,\r\n b@x ", ["a@x", "b@x"]),
        ("a@x b@x\nc@x", ["a@x", "b@x", "c@x"]),
        ("not an address@@", ["not an address@@"]),
        ('"a, b"@x,c@x', ['"a, b"@x', "c@x"]),
        (" , ", []),
    ],
)
def test_destinations_are_separated_as_postfix_does(text: str, items: list[str]) -> None:
    assert split_destinations(text) == items


def test_postfixadmins_own_rows_are_left_out_silently() -> None:
    source = from_postfixadmin(
        [("ALL", 0, 1), ("x.test", 0, 1)], [("Ann@x.test", "h", -1, 1)], [("ann@x.test", "ANN@x.test", 1)], []
    )
    assert [row.name for row in source.domains] == ["x.test"]
    assert source.forwardings == []
    assert source.rejected == []


def test_octets_are_read_as_utf_8() -> None:
    assert text_of("é".encode()) == "é"
    assert text_of(b"\xe9") == "\\xe9"
    assert text_of(None) == ""


words = st.sampled_from(["a@x.test", "A@x.test", "b@y.test", "@x.test", "", "no at", "é@x.test", "root", "a@x.test "])
names = st.sampled_from(["x.test", "X.test", "y.test", "bad domain", ""])


@given(st.lists(names), st.lists(words), st.lists(st.tuples(words, st.lists(words), st.booleans())))
def test_every_row_is_inserted_or_reported_and_a_second_adoption_inserts_nothing(
    domains: list[str], users: list[str], forwardings: list[tuple[str, list[str], bool]]
) -> None:
    source = Source(
        [Domain("domains", f"d{number}", name, True) for number, name in enumerate(domains)],
        [User("users", f"u{number}", email, "secret", True, 0) for number, email in enumerate(users)],
        [Forwarding("forwardings", f"f{n}", address, to, on) for n, (address, to, on) in enumerate(forwardings)],
    )
    adoption = plan(source, Present(), plain)
    rejected = {row.key for row in adoption.rejected if row.part == "row"}
    assert len(adoption.users) + sum(key.startswith("u") for key in rejected) == len(users)

    inserted = Present(
        frozenset(name for name, _enabled in adoption.domains),
        frozenset(row.email.lower() for row in adoption.users),
        frozenset(address for address, _destination, _enabled in adoption.forwardings),
    )
    for number, name in enumerate(domains):
        assert name.lower() in inserted.domains or f"d{number}" in rejected
    for number, (address, _destinations, _on) in enumerate(forwardings):
        assert address.strip().lower() in inserted.forwardings or f"f{number}" in rejected
    # The keys are the tables' keys: equal in no two rows.
    assert len(inserted.domains) == len(adoption.domains)
    assert len(inserted.users) == len(adoption.users)
    assert len(inserted.forwardings) == len(adoption.forwardings)
    assert {row.email.lower().rpartition("@")[2] for row in adoption.users} <= inserted.domains

    again = plan(source, inserted, plain)
    assert (again.domains, again.users, again.forwardings) == ([], [], [])
