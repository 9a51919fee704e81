#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the gates named as arguments, or all of them, the cheap ones first.

Logs are in .build/logs. The last line is always `N passed, N failed`: single tests
where a gate runs a test runner, else commands. A gate that cannot run has failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS / "hosts")]
import collection
import namespace
import pythons
from runner import LOGS, REPOSITORY, Result, Step, run_steps, say

BIN = Path(sys.executable).parent
HOSTS = [sys.executable, str(REPOSITORY / "tests" / "hosts" / "testhosts.py")]
UNIT = Path("tests/unit")
# What runs on managed hosts, and so on every Python that those may have.
UNIT_OF_MODULES = [UNIT / "plugins" / "modules", UNIT / "plugins" / "module_utils"]


def lint() -> Result:
    scripts = [path for path in _tracked() if _is_shell_script(path)]
    commands: dict[str, list[str | Path]] = {
        "ruff": [BIN / "ruff", "check", "--no-cache", "."],
        "yamllint": [BIN / "yamllint", "--strict", "."],
        "shellcheck": [BIN / "shellcheck", *scripts],
        "ansible-lint": [BIN / "ansible-lint", "--offline", "--strict", "--profile", "production"],
        "antsibull-changelog": [BIN / "antsibull-changelog", "lint"],
    }
    # ansible-lint looks up the roles and modules that playbooks name.
    env = {"ANSIBLE_COLLECTIONS_PATH": str(collection.install())}
    steps = [Step(f"lint {name}", [str(word) for word in argv], 600, env=env) for name, argv in commands.items()]
    return run_steps([*steps, _pytest("lint repository", ["tests/repository"], 120)])


def types() -> Result:
    mypy, env = str(BIN / "mypy"), {"MYPYPATH": str(_source_tree())}
    folders = [f"tests/{name}" for name in ("hosts", "gates", "repository", "demo", "bench")]
    return run_steps(
        [
            Step("types plugins", [mypy, "--package", "ansible_collections.mailfleet.ispmail.plugins"], 600, env=env),
            Step("types tests", [mypy, *folders, "tests/collection.py"], 600),
        ]
    )


def sanity() -> Result:
    """`ansible-test sanity` on the collection as it is installed, with every Python that is here."""
    home = _home_of_ansible_test()
    others = [str(Path(python).parent) for python in pythons.found().values()]
    env = {"HOME": str(home), "PATH": os.pathsep.join([str(BIN), *others, "/usr/bin", "/bin"])}
    argv = [str(BIN / "ansible-test"), "sanity", "--requirements", "--junit", "--color", "no"]
    # Outside of the repository: inside, ansible-test tests only what git does not ignore.
    with tempfile.TemporaryDirectory(prefix="ispmail-sanity-") as root:
        shutil.copytree(collection.install(), root, dirs_exist_ok=True)
        tree = Path(root) / "ansible_collections" / "mailfleet" / "ispmail"
        # What is wrong stands far above the end of its output.
        # (Read whole before they are written, because they are written to the same file.)
        reasons = [["sh", "-c", 'found=$(grep "^ERROR:" "$1"); echo "$found"', "sh", str(LOGS / "sanity.log")]]
        return run_steps(
            [Step("sanity", argv, 900, tree, env, "tests/output/junit/*.xml", may_skip=True, after_failure=reasons)]
        )


def unit() -> Result:
    env = {"ISPMAIL_COLLECTIONS": str(collection.install())}
    steps = [_pytest(f"unit {_version()}", [UNIT], 900, env, "--numprocesses=2")]
    for version, python in pythons.found().items():
        if version != _version():
            steps.append(_unit_elsewhere(version, python, env))
    result = run_steps(steps)
    missing = [version for version in pythons.SUPPORTED if version not in pythons.found()]
    result.notes += [f"unit: not run with Python {version}, which this machine does not have" for version in missing]
    return result


def integration() -> Result:
    env = {"ISPMAIL_COLLECTIONS": str(collection.install())}
    # They wait for their hosts more than they compute; each folder has hosts of its own.
    folders = sorted(path.parent for path in REPOSITORY.glob("tests/integration/*/test_*.py"))
    steps = [
        _pytest(f"integration {folder.name}", [folder], 1800, env, prefix=[*HOSTS, "run"])
        for folder in dict.fromkeys(folders)
    ]
    return run_steps(steps, parallel=2)


def molecule() -> Result:
    env = {"ANSIBLE_COLLECTIONS_PATH": str(collection.install()), "MOLECULE_COMMAND_BORDERS": "0"}
    for suite in ("trixie", "bookworm"):
        subprocess.run([*HOSTS, "image", suite], check=True, timeout=2400, stdout=subprocess.DEVNULL)
    scenarios = sorted(path.parent.name for path in REPOSITORY.glob("molecule/*/molecule.yml"))
    scenarios = os.environ.get("SCENARIO", "").split() or scenarios
    # The hosts' names are fixed: a run in another checkout would take them away.
    with namespace.locked("molecule"):
        return run_steps([_scenario(name, env) for name in scenarios], parallel=2)


GATES = {gate.__name__: gate for gate in (lint, types, sanity, unit, integration, molecule)}


def _scenario(name: str, env: dict[str, str]) -> Step:
    return Step(
        f"molecule {name}",
        [*HOSTS, "run", str(BIN / "molecule"), "test", "--scenario-name", name],
        1800,
        env=env,
        reports=f".build/molecule/{name}/junit*.xml",
        # Left there by the scenario's own destroy playbook.
        after_failure=[["tail", "--lines=80", str(LOGS / f"molecule-{name}.journal")]],
    )


def _pytest(
    name: str,
    paths: Sequence[str | Path],
    timeout: float,
    env: dict[str, str] | None = None,
    *options: str,
    python: str = sys.executable,
    prefix: list[str] | None = None,
) -> Step:
    report = f".build/junit/{name.replace(' ', '-')}.xml"
    argv = [*(prefix or []), python, "-m", "pytest", f"--junit-xml={report}", *options, *map(str, paths)]
    return Step(name, argv, timeout, env=env or {}, reports=report)


def _unit_elsewhere(version: str, python: str, env: dict[str, str]) -> Step:
    lock = REPOSITORY / UNIT / "requirements.txt"
    interpreter = pythons.environment(REPOSITORY / ".build" / "unit" / version, python, lock)
    # A module needs no more of ansible-core than ansible.module_utils, which supports older Pythons than its package.
    library = REPOSITORY / ".build" / "unit" / "library"
    library.mkdir(parents=True, exist_ok=True)
    link = library / "ansible"
    link.unlink(missing_ok=True)
    link.symlink_to(_site_packages() / "ansible")
    paths = [path for path in UNIT_OF_MODULES if (REPOSITORY / path).exists()]
    return _pytest(f"unit {version}", paths, 900, {**env, "PYTHONPATH": str(library)}, python=interpreter)


def _home_of_ansible_test() -> Path:
    """A home for its virtual environments, so that they are those of the locked ansible-core and of this run's pip."""
    home = REPOSITORY / ".build" / "sanity"
    # ansible-test fetches a script that installs pip from a host which is not a package
    # registry; it uses a file of this name if there is one, and Python brings a pip.
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "get_pip_25_2.py").write_text("import ensurepip\n\nensurepip.bootstrap()\n")
    return home


def _source_tree() -> Path:
    """Folder from which the collection can be imported by its name, straight from the repository."""
    root = REPOSITORY / ".build" / "source"
    link = root / "ansible_collections" / "mailfleet" / "ispmail"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(REPOSITORY)
    return root


def _site_packages() -> Path:
    import ansible

    return Path(ansible.__file__).parents[1]


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _tracked() -> Iterator[Path]:
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    for name in listed.stdout.split("\0"):
        if name and (REPOSITORY / name).is_file():
            yield REPOSITORY / name


def _is_shell_script(path: Path) -> bool:
    if path.suffix == ".j2":
        return False
    with open(path, "rb") as file:
        return file.readline().strip() in (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash", b"#!/usr/bin/env sh")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("gates", nargs="*", choices=[*GATES, []], metavar="GATE", help=f"of: {', '.join(GATES)}")
    chosen = parser.parse_args().gates or list(GATES)
    # Every tool of the control node is found by name, also by what the tools call themselves.
    os.environ["PATH"] = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    os.environ.update(ANSIBLE_NOCOLOR="1", NO_COLOR="1", PY_COLORS="0")
    os.chdir(REPOSITORY)
    total, lines = Result(), []
    for name in chosen:
        say(f"{name}:")
        started = time.monotonic()
        try:
            result = GATES[name]()
        except Exception:
            say(traceback.format_exc())
            result = Result(failed=1, notes=[f"{name}: could not run"])
        total.add(result)
        lines.append(f"{name:12} {result.passed:5} passed {result.failed:5} failed {time.monotonic() - started:6.0f} s")
    say("\n".join(["", *lines, *total.notes, f"{total.passed} passed, {total.failed} failed"]))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
