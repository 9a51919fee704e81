# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils import addresses, directory_routes, passwords
from ansible_collections.mailfleet.ispmail.plugins.module_utils import plan as planner
from ansible_collections.mailfleet.ispmail.plugins.module_utils.plan import (
    DOMAINS,
    FORWARDINGS,
    TABLES,
    USERS,
    Clear,
    Desired,
    Options,
    Plan,
    PlanError,
    Rule,
    Table,
    plan,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

ON = Rule((1,))
KEEP = Rule((None,))
OFF = Rule((0,))
ABSENT = Rule((None,), present=False)
USER = Rule((None,) * 7)
USER_ABSENT = Rule((None,) * 7, present=False)
CLEAR_USER = Rule((None,) * 7, scheme="SHA512-CRYPT")


class Memory:
    """A directory in memory; it checks what the database would (keys, the foreign key) and counts the reads."""

    def __init__(self, domains: Iterable = (), users: Iterable = (), forwardings: Iterable = ()) -> None:
        self.tables: dict[str, dict[str, tuple[str, tuple]]] = {
            "domains": {key: ("", value) for key, value in domains},
            "users": {key: (content, value) for key, content, value in users},
            "forwardings": {key: (content, value) for key, content, value in forwardings},
        }
        self.reads: list[str] = []

    def rows(
        self, table: Table, keys: Collection[str] | None = None, domains: Collection[str] = ()
    ) -> Iterator[tuple[str, str, tuple]]:
        self.reads.append(table.name)
        for key, (content, values) in list(self.tables[table.name].items()):
            if keys is None or key.lower() in keys or table.domain(key.lower()) in domains:
                yield key, content, values

    def apply(self, planned: Plan) -> None:
        for changes in planned:
            rows = self.tables[changes.table.name]
            for key in changes.delete:
                del rows[key]
            for key, content, values in changes.insert:
                assert key.lower() not in {stored.lower() for stored in rows}
                rows[key] = (_stored(content), values)
            for update in changes.update:
                stored = next(key for key in rows if key.lower() == update.key)
                content, values = rows[stored]
                for column, value in update.after.items():
                    before = content if column == changes.table.content else values[_index(changes.table, column)]
                    assert update.before[column] == before
                    assert before != value
                    if column == changes.table.content:
                        content = _stored(value)
                    else:
                        at = _index(changes.table, column)
                        values = (*values[:at], value, *values[at + 1 :])
                rows[stored] = (content, values)
        hosted = {key.lower() for key in self.tables["domains"]}
        assert {addresses.domain_of(key.lower()) for key in self.tables["users"]} <= hosted


def _index(table: Table, column: str) -> int:
    return table.settings.index(column)


def _stored(content: Any) -> str:
    """What hashing makes of clear text, without its cost: the matcher of these tests knows it."""
    return f"hash of {content.password}" if isinstance(content, Clear) else content or ""


def _matches(triples: Iterable[tuple[str, str, str]]) -> list[bool]:
    return [stored == f"hash of {clear}" for clear, stored, _scheme in triples]


def desired(
    domains: dict | None = None, users: dict | None = None, forwardings: dict | None = None, **more: Any
) -> Desired:
    given_tables = {
        n for n, rows in (("domains", domains), ("users", users), ("forwardings", forwardings)) if rows is not None
    }
    return Desired(domains or {}, users or {}, forwardings or {}, given_tables, **more)


def run(wanted: Desired, current: Memory, **options: Any) -> Plan:
    frozen = {name: frozenset(value) if isinstance(value, (set, list)) else value for name, value in options.items()}
    return plan(wanted, current, Options(**frozen), _matches)


def small() -> Memory:
    return Memory(
        domains=[("one.test", (1,)), ("two.test", (1,))],
        users=[("ann@one.test", "hash of a", USERS.defaults), ("Bob@two.test", "hash of b", USERS.defaults)],
        forwardings=[("info@one.test", "ann@one.test,bob@two.test", (1,)), ("@two.test", "@one.test", (1,))],
    )


def test_it_imports_neither_ansible_nor_pymysql() -> None:
    for module in (planner, addresses, passwords, directory_routes):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] in ("ansible", "pymysql")], module.__name__


def test_nothing_wanted_changes_nothing() -> None:
    current = small()
    assert not run(desired(), current)
    assert current.reads == ["domains"]


def test_rows_are_found_in_any_case_and_keep_their_spelling() -> None:
    current = small()
    assert not run(desired(users={"bob@two.test": (USER, "hash of b")}), current)
    planned = run(desired(users={"bob@two.test": (USER_ABSENT, None)}), current)
    assert planned.users.delete == ["Bob@two.test"]


def test_what_is_not_given_stays_and_new_rows_get_defaults() -> None:
    current = small()
    rule = Rule((None, 5, None, None, 0, None, "store1.test"))
    planned = run(desired(users={"ann@one.test": (rule, None), "new@one.test": (rule, "h")}), current)
    assert planned.users.insert == [("new@one.test", "h", (1, 5, 1, 1, 0, 1, "store1.test"))]
    (update,) = planned.users.update
    assert update.before == {"quota": 0, "pop3_enabled": 1, "mailhost": ""}
    assert update.after == {"quota": 5, "pop3_enabled": 0, "mailhost": "store1.test"}


def test_clear_text_is_hashed_only_where_it_does_not_match() -> None:
    current = small()
    wanted = {
        "ann@one.test": (CLEAR_USER, "a"),
        "bob@two.test": (CLEAR_USER, "other"),
        "new@one.test": (CLEAR_USER, "n"),
    }
    planned = run(desired(users=wanted), current)
    assert planned.users.unchanged == 1
    assert [update.after for update in planned.users.update] == [{"password": Clear("other", "SHA512-CRYPT")}]
    assert planned.users.insert[0][1] == Clear("n", "SHA512-CRYPT")
    assert "other" not in repr(planned.users.update[0].after)


def test_clear_text_that_is_stored_as_it_is_does_not_match_where_hashes_belong() -> None:
    current = Memory(domains=[("one.test", (1,))], users=[("ann@one.test", "a", USERS.defaults)])
    wanted = {"ann@one.test": (CLEAR_USER, "a")}
    assert run(desired(users=wanted), current).users.update[0].after == {"password": Clear("a", "SHA512-CRYPT")}


def test_on_create_leaves_the_password_of_an_existing_user() -> None:
    rule = Rule((None,) * 7, scheme="SHA512-CRYPT", keep_content=True)
    planned = run(desired(users={"ann@one.test": (rule, "x"), "new@one.test": (rule, "n")}), small())
    assert not planned.users.update
    assert planned.users.insert[0][1] == Clear("n", "SHA512-CRYPT")


def test_order_and_case_of_destinations_say_nothing() -> None:
    assert not run(desired(forwardings={"info@one.test": (KEEP, "bob@two.test,ann@one.test")}), small())
    current = Memory(forwardings=[("a@x.test", "Z@Y.test, b@y.test", (1,))])
    assert not run(desired(forwardings={"a@x.test": (KEEP, "b@y.test,z@y.test")}), current)


def test_append_keeps_what_is_there() -> None:
    rule = Rule((None,), append=True)
    planned = run(desired(forwardings={"info@one.test": (rule, "ann@one.test,x@y.test")}), small())
    assert planned.forwardings.update[0].after == {"destination": "ann@one.test,bob@two.test,x@y.test"}
    assert not run(desired(forwardings={"info@one.test": (rule, "BOB@two.test".lower())}), small())


def test_append_beyond_the_column_is_refused() -> None:
    current = Memory(forwardings=[("a@x.test", ",".join(f"{i:0200d}@y.test" for i in range(310)), (1,))])
    wanted = ",".join(f"{i:0200d}@z.test" for i in range(20))
    with pytest.raises(PlanError, match="longer than 65535 octets"):
        run(desired(forwardings={"a@x.test": (Rule((None,), append=True), wanted)}), current)


def test_a_user_needs_a_domain_and_a_password() -> None:
    wanted = desired(
        users={"x@gone.test": (USER, "h"), "y@one.test": (USER, None)},
        locate=lambda table, keys: dict.fromkeys(keys, f"{table}[7].email"),
    )
    with pytest.raises(PlanError) as caught:
        run(wanted, small())
    assert str(caught.value) == (
        "users[7].email: x@gone.test is in the unknown domain gone.test (x@gone.test -> gone.test -> not in domains);"
        " add gone.test to domains\n"
        "users[7].email: y@one.test is a new user and needs a password or a password_hash"
    )


def test_many_problems_are_counted() -> None:
    with pytest.raises(PlanError) as caught:
        run(desired(users={f"u{i}@gone.test": (USER, "h") for i in range(100)}), small())
    lines = str(caught.value).splitlines()
    assert len(lines) == planner.MAX_REPORTED + 1
    assert lines[-1] == "and 80 more"


def test_a_local_domain_is_not_hosted() -> None:
    with pytest.raises(PlanError, match=r"mydestination -> one\.test -> domains"):
        run(desired(), small(), local_domains={"one.test"})
    with pytest.raises(PlanError, match="localhost is a local domain"):
        run(desired(domains={"localhost": (ON, None)}), small())
    assert run(desired(domains={"one.test": (ABSENT, None)}), small(), cascade=True, local_domains={"one.test"})


def test_a_domain_goes_only_when_it_is_empty() -> None:
    gone = {"two.test": (ABSENT, None)}
    with pytest.raises(PlanError, match=r"it still has forwarding @two\.test, user bob@two\.test") as caught:
        run(desired(domains=gone), small())
    assert "cascade" in str(caught.value)
    named = desired(
        domains=gone, users={"bob@two.test": (USER_ABSENT, None)}, forwardings={"@two.test": (ABSENT, None)}
    )
    current = small()
    current.apply(run(named, current, max_deletions=0))
    assert list(current.tables["domains"]) == ["one.test"]


def test_cascade_takes_everything_in_the_domain_and_nothing_else() -> None:
    current = small()
    current.apply(run(desired(domains={"two.test": (ABSENT, None)}), current, cascade=True))
    assert list(current.tables["users"]) == ["ann@one.test"]
    assert list(current.tables["forwardings"]) == ["info@one.test"]


def test_a_user_wanted_in_a_domain_that_goes_is_refused() -> None:
    wanted = desired(domains={"two.test": (ABSENT, None)}, users={"bob@two.test": (USER, None)})
    with pytest.raises(PlanError, match=r"is wanted, but its domain two\.test is to be deleted"):
        run(wanted, small(), cascade=True)


def test_purge_of_a_list_that_is_not_given_is_refused() -> None:
    with pytest.raises(PlanError, match=r"purge names users, but no users are given.*users: \[\]"):
        run(desired(domains={}), small(), purge={"users"})
    assert len(run(desired(users={}), small(), purge={"users"}).users.delete) == 2


def test_max_deletions() -> None:
    everything: dict[str, Any] = {"purge": ["domains", "users", "forwardings"]}
    wanted = desired({}, {}, {})
    with pytest.raises(PlanError, match=r"6 rows .* more than max_deletions \(5\): domain one\.test.* and 1 more"):
        run(wanted, small(), max_deletions=5, **everything)
    assert run(wanted, small(), max_deletions=6, **everything)


@pytest.mark.parametrize(
    ("wanted", "chain"),
    [
        ({"a@x.test": "b@x.test", "b@x.test": "a@x.test"}, "a@x.test -> b@x.test -> a@x.test"),
        ({"a@x.test": "b@x.test", "b@x.test": "c@y.test,a@x.test"}, "a@x.test -> b@x.test -> a@x.test"),
        ({"@x.test": "@y.test", "@y.test": "@x.test"}, "@x.test -> @y.test -> @x.test"),
        ({"@x.test": "b@y.test", "b@y.test": "any@x.test"}, "b@y.test -> any@x.test -> b@y.test"),
        ({"k@x.test": "k@y.test", "@y.test": "@x.test"}, "k@x.test -> k@y.test -> k@x.test"),
    ],
)
def test_loops_are_refused_with_their_chain(wanted: dict[str, str], chain: str) -> None:
    with pytest.raises(PlanError) as caught:
        run(desired(forwardings={source: (KEEP, text) for source, text in wanted.items()}), Memory())
    assert f"forwarding loop {chain}" in str(caught.value)


def test_a_loop_with_rows_that_are_there_is_refused_but_an_old_loop_stops_nothing() -> None:
    current = Memory(
        forwardings=[("a@x.test", "b@x.test", (1,)), ("b@x.test", "a@x.test", (1,)), ("c@x.test", "d@x.test", (1,))]
    )
    with pytest.raises(PlanError, match="loop"):
        run(desired(forwardings={"d@x.test": (KEEP, "c@x.test")}), current)
    assert run(desired(forwardings={"d@x.test": (KEEP, "e@x.test")}), current)
    assert run(desired(forwardings={"b@x.test": (KEEP, "e@x.test")}), current)
    # Nor does it hold a user whose mailbox was never reached.
    current.tables["domains"]["x.test"] = ("", (1,))
    current.tables["users"]["a@x.test"] = ("h", USERS.defaults)
    assert run(desired(users={"a@x.test": (USER_ABSENT, None)}), current)


def test_what_ends_a_way_is_no_loop() -> None:
    copy = {"bob@two.test": (KEEP, "bob@two.test,x@y.test")}
    disabled = {"off@x.test": (OFF, "on@x.test"), "on@x.test": (KEEP, "off@x.test")}
    itself = {"@x.test": (KEEP, "caught@x.test")}
    for forwardings in (copy, disabled, itself):
        assert run(desired(forwardings=forwardings), Memory())


def test_a_mailbox_ends_a_catch_all() -> None:
    forwardings = {"@one.test": (KEEP, "info@two.test"), "info@two.test": (KEEP, "ann@one.test")}
    assert run(desired(forwardings=forwardings), small())
    with pytest.raises(PlanError, match=r"ann@one\.test -> info@two\.test -> ann@one\.test"):
        run(desired(users={"ann@one.test": (USER_ABSENT, None)}, forwardings=forwardings), small())
    disabled = Rule((0, None, None, None, None, None, None))
    with pytest.raises(PlanError, match="forwarding loop"):
        run(desired(users={"ann@one.test": (disabled, None)}, forwardings=forwardings), small())


@pytest.mark.parametrize("rule", [USER_ABSENT, Rule((0, None, None, None, None, None, None))])
def test_the_end_of_a_mailbox_that_kept_a_loop_open_is_refused(rule: Rule) -> None:
    current = small()
    current.tables["forwardings"] = {"@one.test": ("info@two.test", (1,)), "info@two.test": ("ann@one.test", (1,))}
    wanted = desired(
        users={"ann@one.test": (rule, None)}, locate=lambda table, keys: dict.fromkeys(keys, f"{table}[0].email")
    )
    with pytest.raises(PlanError) as caught:
        run(wanted, current)
    assert str(caught.value).startswith(
        "users[0].email: forwarding loop info@two.test -> ann@one.test -> info@two.test; only the mailbox of ann@"
    )
    with pytest.raises(PlanError, match="forwarding loop"):
        run(desired(users={}), current, purge={"users"})
    # Another user's end is none of that loop's business, nor is any user's once the loop is cut.
    assert run(desired(users={"bob@two.test": (USER_ABSENT, None)}), current)
    assert run(desired(users={"ann@one.test": (rule, None)}, forwardings={"@one.test": (ABSENT, None)}), current)


def test_the_end_of_a_forwarding_that_hid_a_catch_all_is_refused() -> None:
    current = Memory(
        forwardings=[("@x.test", "b@y.test", (1,)), ("b@y.test", "a@x.test", (1,)), ("a@x.test", "out@z.test", (1,))]
    )
    for rule in (ABSENT, OFF):
        with pytest.raises(PlanError, match=r"forwarding loop b@y\.test -> a@x\.test -> b@y\.test"):
            run(desired(forwardings={"a@x.test": (rule, "out@z.test")}), current)


def test_loops_behind_one_that_a_mailbox_ends_are_no_loops_if_mailboxes_end_them_too() -> None:
    current = Memory(
        domains=[("x.test", (1,)), ("y.test", (1,))],
        users=[(f"{name}@x.test", "h", USERS.defaults) for name in ("m", "n")],
        forwardings=[("hub@y.test", "m@x.test,n@x.test", (1,))],
    )
    assert run(desired(forwardings={"@x.test": (KEEP, "hub@y.test")}), current)


def test_each_table_is_read_once() -> None:
    current = small()
    run(desired({}, {"x@one.test": (USER, "h")}, {"x@y.test": (KEEP, "z@y.test")}), current, purge={"users"})
    assert sorted(current.reads) == sorted(TABLES)


# Anything that can be in the tables, and anything that can be wanted of it.
_names = st.sampled_from(["a", "b", "c", "d"])
_hosts = st.sampled_from(["one.test", "two.test", "three.test"])
_addresses = st.tuples(_names, _hosts).map("@".join)
_sources = st.one_of(_addresses, _hosts.map(lambda host: "@" + host))
_user_settings = st.tuples(*[st.sampled_from([0, 1, None])] * 6, st.sampled_from(["", "store.test", None]))
_user_rules = st.builds(
    Rule,
    _user_settings,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([None, "SHA512-CRYPT"]),
    st.booleans(),
)
_flags = st.tuples(st.sampled_from([0, 1, None]))
_presence = st.sampled_from([True, True, True, False])
_lists = st.lists(_addresses, min_size=1, max_size=3, unique=True)
_contents = st.sampled_from(["p", "q", "r"])


@st.composite
def _current(draw: Any) -> Memory:
    hosts = draw(st.lists(_hosts, unique=True))
    users = draw(st.lists(_addresses, unique=True)) if hosts else []
    flags = st.sampled_from([0, 1])
    return Memory(
        domains=[(host, (draw(flags),)) for host in hosts],
        users=[
            (user, "hash of " + draw(_contents), draw(st.tuples(*[flags] * 6, st.sampled_from(["", "store.test"]))))
            for user in users
            if addresses.domain_of(user) in hosts
        ],
        forwardings=[
            (source, ",".join(draw(_lists)), (draw(flags),)) for source in draw(st.lists(_sources, unique=True))
        ],
    )


@st.composite
def _desired(draw: Any) -> Desired:
    def user_content(rule: Rule) -> str:
        text = draw(_contents)
        return text if rule.scheme else "hash of " + text

    domains = draw(st.dictionaries(_hosts, st.builds(Rule, _flags, _presence)))
    users = draw(st.dictionaries(_addresses, _user_rules))
    forwardings = draw(st.dictionaries(_sources, st.builds(Rule, _flags, _presence, append=st.booleans())))
    return desired(
        {key: (rule, None) for key, rule in domains.items()},
        {key: (rule, user_content(rule)) for key, rule in users.items()},
        {key: (rule, ",".join(draw(_lists))) for key, rule in forwardings.items()},
    )


def loops(tables: dict[str, dict[str, tuple[str, tuple]]]) -> list[list[str]]:
    mailboxes = {key for key, (_content, values) in tables["users"].items() if values[0]}
    routes = directory_routes.Routes((key, text) for key, (text, values) in tables["forwardings"].items() if values[0])
    return list(routes.loops(mailboxes.__contains__))


_options = st.builds(
    Options,
    purge=st.frozensets(st.sampled_from(list(TABLES))),
    purge_domains=st.one_of(st.none(), st.frozensets(_hosts)),
    cascade=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(current=_current(), wanted=_desired(), options=_options)
def test_properties(current: Memory, wanted: Desired, options: Options) -> None:
    before = {name: dict(rows) for name, rows in current.tables.items()}
    try:
        planned = plan(wanted, current, options, _matches)
    except PlanError:
        assert current.tables == before
        assume(False)
        return
    current.apply(planned)

    # The tables are as desired.
    for table in TABLES.values():
        rows, rules = current.tables[table.name], wanted.of(table)
        for key, (rule, content) in rules.items():
            assert (key in rows) == rule.present
            if not rule.present:
                continue
            stored, values = rows[key]
            was, defaults = before[table.name].get(key, (None, table.defaults))
            assert values == tuple(d if v is None else v for v, d in zip(rule.settings, defaults))
            if table is USERS:
                kept = rule.keep_content and was is not None
                assert stored == (was if kept else f"hash of {content}" if rule.scheme else content)
            elif table is FORWARDINGS:
                there = set(addresses.split_list(was or "")) if rule.append else set()
                assert set(addresses.split_list(stored)) == there | set(addresses.split_list(content or ""))

        # Nothing outside the scope of purge and cascade is gone, nothing that nobody wants has changed.
        removed = before["domains"].keys() - current.tables["domains"].keys()
        for key, row in before[table.name].items():
            domain = table.domain(key)
            in_scope = table.name in options.purge and (
                options.purge_domains is None or domain in options.purge_domains
            )
            cascaded = table is not DOMAINS and options.cascade and domain in removed
            if key not in rules:
                if in_scope or cascaded:
                    assert key not in rows
                else:
                    assert rows[key] == row
        assert rows.keys() <= before[table.name].keys() | rules.keys()

    # Where no forwardings went in circles, none do now.
    assert loops(before) or not loops(current.tables)

    # A second plan is empty, and counts every wanted row as it is.
    again = plan(wanted, current, options, _matches)
    assert not again
    assert again.users.unchanged == sum(rule.present for rule, _content in wanted.users.values())


@settings(max_examples=100, deadline=None)
@given(current=_current(), wanted=_desired(), options=_options, limit=st.integers(0, 5))
def test_max_deletions_holds_for_all_that_is_not_named(
    current: Memory, wanted: Desired, options: Options, limit: int
) -> None:
    try:
        planned = plan(wanted, current, options, _matches)
    except PlanError:
        assume(False)
        return
    swept = sum(key not in wanted.of(changes.table) for changes in planned for key in changes.delete)
    limited = Options(options.purge, options.purge_domains, limit, options.cascade)
    if swept > limit:
        with pytest.raises(PlanError, match="max_deletions"):
            plan(wanted, current, limited, _matches)
    else:
        assert [c.delete for c in plan(wanted, current, limited, _matches)] == [c.delete for c in planned]
