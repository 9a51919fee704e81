# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on which configuration is changed for real, and what a playbook did to them."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[3]
TESTHOSTS = [sys.executable, str(_REPOSITORY / "tests" / "hosts" / "testhosts.py")]
COLLECTION = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"]) / "ansible_collections" / "mailfleet" / "ispmail"
SUITES = ("trixie", "bookworm")


def host_name(suite: str) -> str:
    """Return a name that no other run of the tests on this machine uses."""
    return f"ispmail-config-{suite}-{os.getpid()}"


def testhosts(*argv: str, stdin: str | None = None) -> str:
    run = subprocess.run([*TESTHOSTS, *argv], input=stdin, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, f"{' '.join(argv)}: exit {run.returncode}\n{run.stdout}{run.stderr}"
    return run.stdout


@dataclass(frozen=True)
class Host:
    """A running test host."""

    name: str
    suite: str

    def sh(self, script: str, *arguments: str) -> str:
        """Run a shell script on the host and return what it prints; it must succeed."""
        return testhosts("exec", self.name, "sh", "-euc", script, "sh", *arguments)

    def read(self, path: str) -> str:
        """Return the content of a file on the host."""
        return self.sh('cat -- "$1"', path)

    def snapshot(self, *folders: str) -> str:
        """Return kind, access, time, target, and checksum of everything below ``folders``, one line each."""
        listing = 'find "$@" -printf "%p %y %u:%g %m %T@ %l\\n" | sort; find "$@" -type f -exec sha256sum {} + | sort'
        return self.sh(listing, *folders)


def copy_to(host: Host, folder: str, files: dict[str, Path]) -> None:
    """Put files into a new folder on the host; ``files`` maps their names there to files here."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, path in files.items():
            tar.add(path, name)
    encoded = base64.b64encode(archive.getvalue()).decode()
    host.sh('rm -rf "$1"; mkdir "$1"', folder)
    testhosts("run", "podman", "exec", "-i", host.name, "sh", "-c", f"base64 -d | tar -x -C {folder}", stdin=encoded)


@dataclass(frozen=True)
class Play:
    """What a playbook did: the results by host and task name, and everything it printed."""

    results: dict[str, dict[str, dict[str, Any]]]
    output: str

    def of(self, host: Host, task: str) -> dict[str, Any]:
        return self.results[host.name][task]


Tasks = list[dict[str, Any]]


@dataclass(frozen=True)
class BareRun:
    """A run in check mode on the bare hosts, with the state of the host before and after it."""

    play: Play
    before: dict[str, str]
    after: dict[str, str]
