# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_files import (
    CHUNK,
    Section,
    SourceError,
    files_of,
    of_items,
    of_options,
    of_path,
    read,
    read_stream,
    write_stream,
)


def _read(folder: Path, name: str, text: str | bytes) -> list[Section]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read(str(path), name))


def _places(sections: list[Section], column: str) -> list[str]:
    return [section.place(index, column) for section in sections for index in range(len(section.rows))]


def test_items_become_rows_of_the_columns_that_occur() -> None:
    (section,) = of_items("users", [{"email": "a@x"}, {"quota": 1, "email": "b@x"}], "users")
    assert section.columns == ["email", "quota"]
    assert section.rows == [["a@x", None], ["b@x", 1]]
    assert _places([section], "email") == ["users[0].email", "users[1].email"]


def test_long_lists_become_several_sections_with_running_positions() -> None:
    sections = list(of_items("domains", ({"domain": f"d{i}.test"} for i in range(2 * CHUNK + 1)), "domains"))
    assert [len(section.rows) for section in sections] == [CHUNK, CHUNK, 1]
    assert _places(sections, "domain")[-1] == f"domains[{2 * CHUNK}].domain"
    assert len(list(of_items("domains", ({"domain": "d"} for _ in range(CHUNK)), "domains"))) == 1


def test_an_empty_list_is_something_else_than_no_list() -> None:
    (section,) = of_items("users", [], "users")
    assert (section.name, section.rows) == ("users", [])


def test_what_is_no_dictionary_is_refused() -> None:
    with pytest.raises(SourceError, match=r"^users\[1\]: is text, but must be a dictionary"):
        list(of_items("users", [{}, "geheim"], "users"))
    with pytest.raises(SourceError, match=r"users\[0\]: is a truth value"):
        list(of_items("users", [True], "users"))


def test_options_of_a_module_are_named_as_they_are() -> None:
    section = of_options("users", {"email": "x", "quota": None})
    assert section.place(0, "email") == "email"


def test_yaml_and_json_are_the_same(tmp_path: Path) -> None:
    document = {
        "domains": [{"domain": "one.test"}],
        "ispmail_users": [{"email": "a@one.test", "enabled": False}],
        "forwardings": [],
    }
    as_json = _read(tmp_path, "all.json", json.dumps(document))
    as_yaml = _read(
        tmp_path,
        "all.yml",
        "domains: [{domain: one.test}]\nispmail_users:\n  - email: a@one.test\n    enabled: no\nforwardings: []\n",
    )
    assert [(s.name, s.columns, s.rows) for s in as_json] == [(s.name, s.columns, s.rows) for s in as_yaml]
    assert _places(as_yaml, "email") == ["all.yml: domains[0].email", "all.yml: ispmail_users[0].email"]


def test_a_list_alone_is_named_by_its_file(tmp_path: Path) -> None:
    (section,) = _read(tmp_path, "users.yaml", "- {email: a@x}\n")
    assert (section.name, section.rows) == ("users", [["a@x"]])
    with pytest.raises(SourceError, match=r"people\.yaml: is a list; name the file"):
        _read(tmp_path, "people.yaml", "- {email: a@x}\n")


def test_csv_tells_its_list_by_its_columns_and_its_lines_by_number(tmp_path: Path) -> None:
    text = 'email,quota,password\r\na@x,2G,"p ""q"""\r\n\r\nb@x,,"two\r\nlines"\r\nc@x\r\n'
    sections = _read(tmp_path, "people.csv", b"\xef\xbb\xbf" + text.encode())
    assert {section.name for section in sections} == {"users"}
    assert [row for section in sections for row in section.rows] == [
        ["a@x", "2G", 'p "q"'],
        ["b@x", None, "two\r\nlines"],
        ["c@x", None, None],
    ]
    assert _places(sections, "email") == [
        "people.csv line 2: email",
        "people.csv line 4: email",
        "people.csv line 6: email",
    ]
    (section,) = _read(tmp_path, "f.csv", "source;destinations\na@x;b@y,c@z\n")
    assert (section.name, section.rows) == ("forwardings", [["a@x", "b@y,c@z"]])
    (section,) = _read(tmp_path, "d.csv", "enabled,domain\n")
    assert (section.name, section.rows) == ("domains", [])


def test_long_csv_keeps_its_line_numbers(tmp_path: Path) -> None:
    lines = [f"u{i}@x.test" for i in range(3 * CHUNK)]
    sections = _read(tmp_path, "u.csv", "email\n" + "\n".join(lines))
    assert [row[0] for section in sections for row in section.rows] == lines
    assert _places(sections, "email")[-1] == f"u.csv line {3 * CHUNK + 1}: email"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "a.txt: has none of the suffixes"),
        ("a.json", "{", "a.json line 1: is not JSON"),
        ("a.yml", "domains: [\n  - x: {", "a.yml line 2: is not YAML"),
        ("a.yml", "text", "a.yml: is text; write a dictionary"),
        ("a.yml", "user: []", "a.yml: has the unknown key 'user'"),
        ("a.yml", "users: {a: b}", "a.yml: users: is a dictionary, but must be a list"),
        ("a.yml", "users: [!thing x]", "a.yml line 1: is not YAML"),
        ("a.csv", "name\nx\n", "a.csv line 1: must name the columns"),
        ("a.csv", "", "a.csv line 1: must name the columns"),
        ("a.csv", "email,email\n", "a.csv line 1: names a column twice"),
        ("a.csv", "email\na@x\nb@x,geheim\n", "a.csv line 3: has 2 values"),
        ("a.csv", 'email\n"a@x"b\n', "a.csv: is not CSV"),
        ("a.csv", b"email\n\xff\n", "a.csv: is not text in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_line(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(SourceError) as caught:
        _read(tmp_path, name, text)
    assert str(caught.value).startswith(message)
    assert "geheim" not in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder without any file"):
        files_of(str(tmp_path))
    for name in ("b.yml", "a.csv", ".hidden.yml", "README.md", "c.JSON"):
        (tmp_path / name).write_text("{}" if name != "a.csv" else "domain\none.test\n")
    assert [os.path.basename(path) for path in files_of(str(tmp_path))] == ["a.csv", "b.yml", "c.JSON"]
    (section,) = of_path(str(tmp_path))
    assert section.place(0, "domain") == f"{tmp_path.name}/a.csv line 2: domain"
    with pytest.raises(SourceError, match=r"missing\.csv' cannot be read: No such file"):
        list(of_path(str(tmp_path / "missing.csv")))


def test_a_stream_brings_the_same_sections() -> None:
    sections = [
        *of_items("users", [{"email": "ä@x", "enabled": True, "quota": 5}], "users"),
        Section("domains", ["domain"], [["\u2028\n"]], "d.csv", 7, True),
    ]
    stream = io.StringIO()
    write_stream(sections, stream)
    assert list(read_stream(stream.getvalue().splitlines())) == sections


def test_a_value_that_no_stream_can_carry_is_named(tmp_path: Path) -> None:
    sections = _read(tmp_path, "u.yml", "users: [{email: a@x, password: 2026-01-01}]")
    with pytest.raises(SourceError, match=r"^u\.yml: users\[0\]\.password: is a date; put it in quotes$"):
        write_stream(sections, io.StringIO())
