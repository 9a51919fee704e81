# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_apply import mask
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import (
    Change,
    ConfigError,
    Node,
    diff_of,
    in_order,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_plan import parse_items, plan
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_stage import affected_directories


def changes_of(*files: dict[str, Any], lenient: bool = False) -> list[Change]:
    return plan(parse_items(files), lenient)


def own(path: Path, **entry: Any) -> dict[str, Any]:
    """An entry for the account that runs the tests."""
    return {"dest": str(path), "owner": str(os.getuid()), "group": str(os.getgid()), **entry}


def test_only_what_differs_is_a_change(tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_text("content")
    same.chmod(0o644)
    other.write_text("content")
    other.chmod(0o600)
    changes = changes_of(own(same, content="content"), own(other, content="content"))
    assert [(change.path, change.before.mode, change.after.mode) for change in changes] == [(str(other), 0o600, 0o644)]


def test_in_check_mode_nothing_needs_to_exist(tmp_path: Path) -> None:
    entries = (
        {"dest": str(tmp_path / "no" / "file"), "content": "x", "owner": "nobody-yet", "group": "none-yet"},
        {"dest": str(tmp_path / "no" / "rc"), "settings": {"A": "b"}},
    )
    changes = changes_of(*entries, lenient=True)
    assert [change.after.content for change in changes] == [b"x", b"A=b\n"]
    assert changes[0].after.access == (-1, -1, 0o644)
    with pytest.raises(ConfigError, match=r"files\[0\] .*owner 'nobody-yet' does not exist"):
        changes_of(*entries)


def test_a_parent_may_be_made_by_the_same_call(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    file = own(folder / "file", content="x")
    with pytest.raises(ConfigError, match=f"the directory {folder} does not exist"):
        changes_of(file)
    changes = changes_of(file, own(folder, state="directory"))
    assert [change.path for change in in_order(changes)] == [str(folder), str(folder / "file")]


def test_a_file_in_a_directory_that_goes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(ConfigError, match=r"files\[0\].*is to be in a directory that files\[1\]"):
        changes_of(own(tmp_path / "old" / "file", content="x"), {"dest": str(tmp_path / "old"), "state": "absent"})


def test_the_mode_of_a_file_with_settings_stays(tmp_path: Path) -> None:
    path = tmp_path / "rc"
    path.write_text("A=1\n")
    path.chmod(0o640)
    (change,) = changes_of({"dest": str(path), "settings": {"A": 2}})
    assert (change.after.content, change.after.access) == (b"A=2\n", (os.getuid(), os.getgid(), 0o640))


def test_bytes_that_are_no_text_survive_an_edit(tmp_path: Path) -> None:
    path = tmp_path / "rc"
    path.write_bytes(b"# gr\xfc\xdfe\nA=1\n")
    (change,) = changes_of({"dest": str(path), "settings": {"A": 2}})
    assert change.after.content == b"# gr\xfc\xdfe\nA=2\n"


@pytest.mark.parametrize("mode", ["644x", "9", "", 0o644, 640, "u=rw", "00644"])
def test_a_mode_is_octal_digits(mode: object) -> None:
    with pytest.raises(ConfigError, match=r"files\[0\] \(/etc/x\): mode is"):
        parse_items([{"dest": "/etc/x", "content": "", "mode": mode}])


def test_the_content_of_a_sensitive_file_is_in_neither_diff_nor_representation() -> None:
    before, after = Node("file", b"old-secret", mode=0o600), Node("file", b"new-secret", mode=0o640)
    change = Change("/etc/x", "/etc/x", before, after, sensitive=True)
    content, access = diff_of(change)
    assert content["before"] != content["after"]
    assert access["after"] == "owner 0, group 0, mode 0640\n"
    assert "secret" not in repr(diff_of(change)).replace("sensitive", "") + repr(change)


def test_the_words_of_a_checker_are_masked() -> None:
    after = Node("file", b"password = hunter22\nquoted 'x y z';\nk=v\n")
    change = Change("/etc/x", "/etc/x", Node(), after, sensitive=True)
    masked = mask("line 1: password = hunter22 near x y z and hunter22, k=v", [change])
    assert "hunter22" not in masked and "x y z" not in masked
    assert masked.startswith("line 1: ")


@pytest.mark.parametrize(
    ("paths", "mount_points", "covered"),
    [
        (["/usr/x", "/usr/lib/y"], ["/"], ["/usr"]),
        (["/usr/lib/y"], ["/"], ["/usr/lib"]),
        (["/usr/x", "/usr/lib/y"], ["/", "/usr/lib"], ["/usr", "/usr/lib"]),
        (["/usr/x", "/usr/lib/y"], ["/", "/usr"], ["/usr"]),
        (["/usr/x", "/usr/libx/none/y"], ["/"], ["/usr"]),
        (["/usr/lib/x", "/usr/libexec/y"], ["/"], ["/usr/lib", "/usr/libexec"]),
        (["/usr/none/none/x"], ["/"], ["/usr"]),
    ],
)
def test_directories_are_covered_once(paths: list[str], mount_points: list[str], covered: list[str]) -> None:
    changes = [Change(path, path, Node(), Node("file")) for path in paths]
    assert affected_directories(changes, mount_points) == [path for path in covered if os.path.isdir(path)]
