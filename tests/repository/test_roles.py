# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role has the same shape, and tells the truth about its variables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (REPOSITORY / "roles").iterdir() if path.is_dir())
FILES_IN_ORDER = ("check.yml", "install.yml", "configure.yml", "service.yml")
PACKAGE_MODULES = {"ansible.builtin.apt", "ansible.builtin.package"}

every_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def options_of(role: Path) -> dict:
    specs = load(role / "meta" / "argument_specs.yml")
    assert specs, f"{role.name}: meta/argument_specs.yml is missing"
    return specs["argument_specs"]["main"].get("options") or {}


def tasks_of(role: Path) -> list[dict]:
    found = []

    def collect(tasks: list[dict]) -> None:
        for task in tasks:
            found.append(task)
            for part in ("block", "rescue", "always"):
                collect(task.get(part, []))

    for path in (role / "tasks").glob("*.yml"):
        collect(load(path) or [])
    return found


@every_role
def test_defaults_and_argument_specs_are_equal(role: Path) -> None:
    defaults = load(role / "defaults" / "main.yml") or {}
    options = options_of(role)
    optional = {name for name, option in options.items() if not option.get("required")}
    assert set(defaults) == optional, "defaults/main.yml and the optional arguments must name the same variables"
    assert defaults == {name: options[name].get("default") for name in optional}


@every_role
def test_arguments_are_documented_and_prefixed(role: Path) -> None:
    for name, option in options_of(role).items():
        assert name.startswith(f"{role.name}_"), f"{name} lacks the prefix of its role"
        assert option.get("description"), f"{name} has no description"
        assert option.get("type"), f"{name} has no type"
        if option["type"] == "list":
            assert option.get("elements"), f"{name} does not say what its elements are"


@every_role
def test_main_imports_the_files_of_the_role_in_order(role: Path) -> None:
    imported = [task["ansible.builtin.import_tasks"] for task in load(role / "tasks" / "main.yml")]
    assert imported == [name for name in FILES_IN_ORDER if name in imported]
    assert (role / "tasks" / "check.yml").exists()


@every_role
def test_tags_are_those_of_the_role(role: Path) -> None:
    for task in load(role / "tasks" / "main.yml"):
        for tag in task.get("tags", []):
            # `--tags certificate` reaches the daemons that have to load a new one, too.
            assert re.fullmatch(rf"{role.name}(_install|_configure)?|always|certificate", tag), tag


@every_role
def test_at_most_one_package_task(role: Path) -> None:
    tasks = [task for task in tasks_of(role) if PACKAGE_MODULES & set(task)]
    assert len(tasks) <= 1, [task.get("name") for task in tasks]


def test_shared_variables_are_documented() -> None:
    code = [path for folder in ("roles", "playbooks") for path in (REPOSITORY / folder).rglob("*.yml")]
    used = {name for path in code for name in re.findall(r"\bispmail_[a-z_]+", path.read_text())}
    documented = re.findall(r"`(ispmail_[a-z_]+)`", (REPOSITORY / "docs/variables.md").read_text())
    assert used == set(documented)
