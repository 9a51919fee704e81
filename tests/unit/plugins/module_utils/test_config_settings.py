# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_settings import SettingsError, edit_settings
from hypothesis import example, given, settings
from hypothesis import strategies as st

IMAPD = """##NAME: PORT:1
#
#  Port numbers.
#
# PORT=993

PORT=143

##NAME: CAPABILITY:0
IMAP_CAPABILITY="IMAP4rev1 \\
  IDLE"   # what we can do
export LC=C
"""


@pytest.mark.parametrize(
    ("settings", "old", "new"),
    [
        ({"PORT": 143}, "", ""),
        ({"PORT": 144}, "PORT=143\n", "PORT=144\n"),
        ({"LC": "de DE"}, "export LC=C\n", 'export LC="de DE"\n'),
        ({"PORT": None}, "\nPORT=143\n", "\n#PORT=143\n"),
        ({"IMAP_CAPABILITY": "IDLE"}, '"IMAP4rev1 \\\n  IDLE"   # what we can do\n', '"IDLE"\n'),
        (
            {"IMAP_CAPABILITY": None},
            'IMAP_CAPABILITY="IMAP4rev1 \\\n  IDLE"',
            '#IMAP_CAPABILITY="IMAP4rev1 \\\n#  IDLE"',
        ),
        ({"NEW": ""}, "export LC=C\n", "export LC=C\nNEW=\n"),
        ({"NOT_THERE": None}, "", ""),
    ],
)
def test_one_setting_changes_and_all_else_stays(settings: dict, old: str, new: str) -> None:
    assert edit_settings(IMAPD, settings) == (IMAPD.replace(old, new) if old else IMAPD)


def test_a_new_setting_goes_below_its_example() -> None:
    text = "# A port:\n# PORT=25\n# and more.\n\nLAST=1"
    assert edit_settings(text, {"PORT": 587}) == "# A port:\n# PORT=25\n# and more.\nPORT=587\n\nLAST=1"
    assert edit_settings("LAST=1", {"PORT": 587}) == "LAST=1\nPORT=587\n"
    assert edit_settings("", {"PORT": 587}) == "PORT=587\n"


def test_of_two_lines_the_last_is_set_and_the_first_commented_out() -> None:
    assert edit_settings("A=1\nB=2\nA=3\n", {"A": 4}) == "#A=1\nB=2\nA=4\n"
    assert edit_settings("A=1\nB=2\nA=3\n", {"A": 3}) == "#A=1\nB=2\nA=3\n"


def test_a_similar_name_is_another_setting() -> None:
    assert edit_settings("AB=1\nXA=1\n", {"A": 2}) == "AB=1\nXA=1\nA=2\n"
    assert edit_settings("A_B x\n", {"A": "2"}, " ") == "A_B x\nA 2\n"


AUTHMYSQLRC = """##NAME: LOCATION:0
#
# The server.

MYSQL_SERVER\t\tmysql.example.com
# MYSQL_SOCKET\t\t/var/run/mysqld/mysqld.sock

MYSQL_SELECT_CLAUSE\tSELECT a, \\
  b FROM c
DEFAULT_DOMAIN
"""


@pytest.mark.parametrize(
    ("settings", "old", "new"),
    [
        ({"MYSQL_SERVER": "mysql.example.com"}, "", ""),
        ({"MYSQL_SERVER": "db"}, "mysql.example.com", "db"),
        ({"MYSQL_SERVER": None}, "MYSQL_SERVER", "#MYSQL_SERVER"),
        ({"MYSQL_SOCKET": "/s"}, "mysqld.sock\n", "mysqld.sock\nMYSQL_SOCKET /s\n"),
        (
            {"MYSQL_SELECT_CLAUSE": "SELECT '$(local_part)' FROM \"x\""},
            "SELECT a, \\\n  b FROM c",
            "SELECT '$(local_part)' FROM \"x\"",
        ),
        ({"DEFAULT_DOMAIN": "x"}, "DEFAULT_DOMAIN\n", "DEFAULT_DOMAIN x\n"),
        ({"DEFAULT_DOMAIN": ""}, "", ""),
    ],
)
def test_settings_written_with_a_blank(settings: dict, old: str, new: str) -> None:
    assert edit_settings(AUTHMYSQLRC, settings, " ") == (AUTHMYSQLRC.replace(old, new) if old else AUTHMYSQLRC)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"A": True}, "setting A is the boolean True"),
        ({"A": ["x"]}, "setting A is a list"),
        ({"A": "x\ny"}, "contains a line break"),
        ({"A B": "x"}, "is not a name of a setting"),
        ({"A=": "x"}, "is not a name of a setting"),
    ],
)
def test_what_cannot_be_written_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        edit_settings("", settings)


LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30)


@settings(deadline=None)
@given(LINE, st.sampled_from(["", 'A="old"\n', "A=old\n", "A='old' # why\n", "#A=old\nB=1"]))
@example("'`", "")
@example("a b", "# A=example\n")
@example("$(id) `id`", "# A=example\n")
@example("it's", "# A=example\n")
@example('say "x"', "# A=example\n")
@example('it\'s "$x" \\', "# A=example\n")
@example("plain-1.2/3", "# A=example\n")
@example("#no", "# A=example\n")
@example("a;b", "# A=example\n")
def test_a_shell_reads_any_value_as_it_was_given_and_it_is_set_once(value: str, text: str) -> None:
    meaning = value.strip()
    if len(meaning) >= 2 and meaning[0] == meaning[-1] and meaning[0] in "'\"":
        return  # a value in quotes is taken as quoted already
    edited = edit_settings(text, {"A": value})
    read = subprocess.run(
        ["sh", "-s"], input=f'{edited}\nprintf %s "$A"', capture_output=True, encoding="utf-8", check=True
    )
    assert read.stdout == meaning
    assert edit_settings(edited, {"A": value}) == edited


def test_a_value_in_quotes_is_taken_as_quoted() -> None:
    assert edit_settings('A="x y"\n', {"A": '"x y"'}) == 'A="x y"\n'
    assert edit_settings("", {"A": '"x y"'}) == 'A="x y"\n'
