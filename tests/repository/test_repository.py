# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no other tool checks: lock files, scenarios, paths of somebody's machine, licences."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent for path in (REPOSITORY / "molecule").glob("*/molecule.yml"))
LOCKS = {
    "requirements.txt": "requirements.in",
    "tests/unit/requirements.txt": "tests/unit/requirements.in",
    "tests/uv.txt": None,
}
HEADER = "SPDX-License-Identifier: GPL-3.0-or-later"


def files(*patterns: str) -> list[str]:
    """Files of the repository, tracked or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True).stdout
    return [name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]


def distribution(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_source_and_every_hash(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash=", ""), re.MULTILINE), "options do not belong into a lock"
    for pinned in re.split(r"\n(?=\S)", text.strip()):
        assert "==" in pinned and "--hash=sha256:" in pinned, pinned


@pytest.mark.parametrize(("lock", "source"), [(lock, source) for lock, source in LOCKS.items() if source])
def test_lock_holds_all_that_is_required(lock: str, source: str) -> None:
    lines = (REPOSITORY / source).read_text().splitlines()
    required = {distribution(line) for line in lines if line.strip() and not line.startswith("#")}
    locked = {distribution(line) for line in (REPOSITORY / lock).read_text().splitlines() if line[:1].isalnum()}
    assert required <= locked, f"run `make lock`: {required - locked}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_has_tests(scenario: Path) -> None:
    walked = os.walk(scenario / "tests", followlinks=True)
    tests = [name for _, _, names in walked for name in names if fnmatch.fnmatch(name, "test_*.py")]
    assert tests, f"{scenario.name}: Molecule calls a scenario without tests successful"


def test_there_are_scenarios() -> None:
    assert {"trixie", "bookworm", "tutorial"} <= {scenario.name for scenario in SCENARIOS}


def test_no_file_names_the_folder_of_a_checkout() -> None:
    # A path of the machine on which a file was written works nowhere else.
    naming = [name for name in files() if f"{REPOSITORY}/".encode() in (REPOSITORY / name).read_bytes()]
    assert naming == []


@pytest.mark.parametrize("name", files("*.py"))
def test_python_file_states_its_licence(name: str) -> None:
    assert HEADER in (REPOSITORY / name).read_text()[:600]


def test_collection_ships_runtime_content_only() -> None:
    directives = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())["manifest"]["directives"]
    for directive in directives:
        assert not re.search(r"\b(tests|molecule|\.ci|\.config)\b", directive), directive


def test_no_sanity_ignore_files() -> None:
    assert files("tests/sanity/*") == []
