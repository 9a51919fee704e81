# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.postfix_files import (
    PostfixError,
    edit_main,
    edit_master,
    to_value,
)
from hypothesis import given
from hypothesis import strategies as st

MAIN = """# A comment, and a commented-out value.
#biff = yes
biff = no

mynetworks = 127.0.0.0/8
# in the middle
    [::1]/128
relayhost =
  # indented comment
myorigin=/etc/mailname
twice = one
twice = two"""


@pytest.mark.parametrize(
    ("parameters", "old", "new", "changed"),
    [
        ({"biff": False}, "", "", []),
        ({"biff": True}, "\nbiff = no", "\nbiff = yes", ["biff"]),
        ({"mynetworks": "127.0.0.0/8  [::1]/128"}, "", "", []),
        (
            {"mynetworks": ["127.0.0.0/8", "[::1]/128"]},
            "mynetworks = 127.0.0.0/8\n# in the middle\n    [::1]/128\n",
            "mynetworks = 127.0.0.0/8, [::1]/128\n# in the middle\n",
            ["mynetworks"],
        ),
        ({"relayhost": ""}, "", "", []),
        ({"relayhost": "[smtp.example.org]:587"}, "relayhost =", "relayhost = [smtp.example.org]:587", ["relayhost"]),
        ({"relayhost": None}, "relayhost =\n", "", ["relayhost"]),
        ({"myorigin": "$mydomain"}, "myorigin=/etc/mailname", "myorigin = $mydomain", ["myorigin"]),
        ({"twice": "two"}, "twice = one\n", "", ["twice"]),
        ({"twice": None}, "twice = one\ntwice = two", "", ["twice"]),
        ({"new": 5, "empty": ""}, "twice = two", "twice = two\nnew = 5\nempty =\n", ["new", "empty"]),
        ({"absent": None}, "", "", []),
    ],
)
def test_main(parameters: dict[str, Any], old: str, new: str, changed: list[str]) -> None:
    text, names = edit_main(MAIN, parameters)
    assert names == changed
    assert text == (MAIN.replace(old, new) if old else MAIN)


def test_main_may_be_empty() -> None:
    assert edit_main("", {"biff": False, "x": None}) == ("biff = no\n", ["biff"])


_WORDS = st.text("abc,/[]:$#", min_size=1, max_size=5)
_LINE = st.one_of(
    st.builds("{} = {}".format, st.sampled_from("abc"), _WORDS),
    st.builds("  {}".format, _WORDS),
    st.builds("# {}".format, _WORDS),
    st.just(""),
)


@given(st.lists(_LINE, max_size=8), st.sampled_from("abc"), st.one_of(st.none(), _WORDS))
def test_an_edit_of_main_is_done_once_and_leaves_other_parameters(
    lines: list[str], name: str, value: str | None
) -> None:
    text = "\n".join(["x = 1", *lines])
    edited, _changed = edit_main(text, {name: value})
    assert edit_main(edited, {name: value}) == (edited, [])
    assert _read(edited) == {**{k: v for k, v in _read(text).items() if k != name}, **({name: value} if value else {})}
    assert [line for line in edited.split("\n") if line.startswith("#")] == [
        line for line in text.split("\n") if line.startswith("#")
    ]


def _read(text: str) -> dict[str, str]:
    """Read main.cf by the rules of postconf(5), in another way than the code under test."""
    logical = ""
    for line in text.split("\n"):
        if line.strip() and not line.strip().startswith("#"):
            logical += line if line[0].isspace() else "\n" + line
    pairs = (line.split("=", 1) for line in logical.split("\n") if "=" in line)
    return {name.strip(): " ".join(value.split()) for name, value in pairs}


MASTER = """# service type  private unpriv  chroot  wakeup  maxproc command + args
smtp      inet  n       -       y       -       -       smtpd
#submission inet n      -       y       -       -       smtpd
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/$service_name
#       -o smtp_helo_timeout=5
        -o { smtp_connect_timeout = 5 s }
pipe      unix  -       n       n       -       2       pipe -v
  flags=FRX user=list argv=/bin/x -o a=b ${user}
"""


@pytest.mark.parametrize(
    ("services", "old", "new", "changed"),
    [
        ({"smtp/inet": {"private": False, "chroot": True, "command": "smtpd", "options": {}}}, "", "", []),
        (
            {"smtp/inet": {"maxproc": 0}},
            "y       -       -       smtpd\n#sub",
            "y       -       0       smtpd\n#sub",
            None,
        ),
        (
            {"relay/unix": {"options": {"smtp_connect_timeout": "5 s"}}},
            MASTER[MASTER.index("        -o syslog") : MASTER.index("pipe ")],
            "  -o {smtp_connect_timeout = 5 s}\n#       -o smtp_helo_timeout=5\n",
            None,
        ),
        (
            {
                "relay/unix": {
                    "options": {
                        "syslog_name": "${multi_instance_name?{$multi_instance_name}:{postfix}}/$service_name",
                        "smtp_connect_timeout": "5 s",
                    }
                }
            },
            "",
            "",
            [],
        ),
        ({"pipe/unix": {"command": "pipe -v flags=FRX user=list argv=/bin/x -o a=b ${user}"}}, "", "", []),
        (
            {"pipe/unix": {"wakeup": "60?", "options": {"x": [1, True]}}},
            "-       2       pipe -v\n  flags=",
            "60?     2       pipe\n  -o x=1,yes\n  -v flags=",
            None,
        ),
        ({"relay/inet": None}, "", "", []),
        ({"smtp/inet": None}, "smtp      inet  n       -       y       -       -       smtpd\n#", "#", None),
        (
            {"127.0.0.1:10025/inet": {"private": False, "command": "smtpd", "options": {"content_filter": ""}}},
            "${user}\n",
            "${user}\n127.0.0.1:10025 inet  n       -       -       -       -       smtpd\n  -o content_filter=\n",
            None,
        ),
    ],
)
def test_master(services: dict[str, Any], old: str, new: str, changed: list[str] | None) -> None:
    text, names = edit_master(MASTER, services)
    assert text == (MASTER.replace(old, new) if old else MASTER)
    assert names == (list(services) if changed is None else changed)
    assert edit_master(text, services) == (text, [])


def test_of_two_entries_of_a_service_the_last_is_changed() -> None:
    line = "a unix - - n - - smtp\n"
    assert edit_master(line + "# c\n" + line, {"a/unix": {}}) == ("# c\n" + line, ["a/unix"])


def test_an_entry_that_cannot_be_read_is_written_anew() -> None:
    text, changed = edit_master("a unix - - broken\n", {"a/unix": {"command": "smtp"}})
    assert (text, changed) == ("a         unix  -       -       -       -       -       smtp\n", ["a/unix"])


@pytest.mark.parametrize(
    ("value", "written"),
    [(True, "yes"), (False, "no"), (5, "5"), (["a", 1, True], "a, 1, yes"), (" x ", "x"), ([], "")],
)
def test_values(value: object, written: str) -> None:
    assert to_value("name", value) == written


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", ["a\nb"], {"a": 1}, None])
def test_values_without_a_form_are_refused(value: object) -> None:
    with pytest.raises(PostfixError, match=r"^name: the value"):
        to_value("name", value)
