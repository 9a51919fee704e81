# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_routes import Routes, find_problems


def _never(_address: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("address", "steps"),
    [
        ("a@x.test", ["b@y.test", "c@z.test"]),
        ("any@x.test", ["any@y.test"]),
        ("box@x.test", []),
        ("copy@x.test", ["b@y.test"]),
        ("d@y.test", []),
        ("@x.test", ["@y.test"]),
    ],
)
def test_lookups_are_those_of_postfix(address: str, steps: list[str]) -> None:
    routes = Routes(
        [("A@x.test", "b@y.test, C@z.test"), ("@x.test", "@y.test"), ("copy@x.test", "copy@x.test,b@y.test")]
    )
    assert routes.after(address, {"box@x.test"}.__contains__) == steps


def test_a_long_chain_is_no_loop_and_needs_no_recursion() -> None:
    chain = [(f"a{i}@x.test", f"a{i + 1}@x.test") for i in range(50_000)]
    assert not list(Routes(chain).loops())
    (loop,) = Routes([*chain, ("a50000@x.test", "a0@x.test")]).loops()
    assert len(loop) == 50_002


def test_loops_are_reported_once() -> None:
    routes = Routes([("a@x", "b@x"), ("b@x", "c@x"), ("c@x", "b@x"), ("d@x", "a@x"), ("e@x", "e@x,f@x")])
    assert list(routes.loops(_never)) == [["b@x", "c@x", "b@x"]]


def test_problems() -> None:
    problems = find_problems(
        ["one.test", "Two.test"],
        ["Ann@one.test", "lost@gone.test"],
        [
            ("sales@one.test", "ann@one.test,nobody@one.test,x@elsewhere.test"),
            ("@two.test", "ann@one.test"),
            ("info@one.test", "any@two.test"),
            ("root@mail.test", "ann@one.test"),
            ("p@one.test", "q@one.test"),
            ("q@one.test", "p@one.test"),
        ],
    )
    assert problems == {
        "orphans": {"users": ["lost@gone.test"], "forwardings": ["root@mail.test"]},
        "loops": [["p@one.test", "q@one.test", "p@one.test"]],
        "dead_ends": [{"source": "sales@one.test", "destination": "nobody@one.test"}],
    }
