#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the playbook site.yml takes on a new host, and on one where nothing is left to do.

    site.py [--suite trixie] [--repeat 3]

The host is all-in-one and has its packages downloaded already. One line each: seconds, changes and goals. Of the
repeated runs the best counts. Ends with status 1 if a goal was missed; the runs' logs, with the seconds of each task,
are in .build/logs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "hosts")]
import collection
import images
import namespace
import testhosts

CONTAINER = "ispmail-bench"
FIRST_RUN_SECONDS = 240.0
NEXT_RUN_SECONDS = 27.0
GROUPS = ("mail_db", "mail_transfer", "mail_store", "mail_web")


class Bench:
    """A new host, and the installed collection to run against it."""

    def __init__(self, suite: str, folder: Path) -> None:
        self.suite = suite
        self.missed = 0
        self._inventory = folder / "inventory.json"
        self._inventory.write_text(json.dumps(_inventory()))
        self._environment = {
            **namespace.environment(),
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
            "ANSIBLE_COLLECTIONS_PATH": str(collection.install()),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
        }
        testhosts.start(CONTAINER, f"{CONTAINER}.example.test", images.stack(suite))

    def run(self, name: str) -> tuple[float, int]:
        """Seconds and number of changes of one run."""
        log = REPOSITORY / ".build" / "logs" / f"bench-{self.suite}-{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        playbook = Path(sys.executable).with_name("ansible-playbook")
        command = [*namespace.prefix(), str(playbook), f"--inventory={self._inventory}", "mailfleet.ispmail.site"]
        started = time.monotonic()
        with open(log, "w") as output:
            done = subprocess.run(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        seconds = time.monotonic() - started
        text = log.read_text()
        recap = re.search(rf"^{CONTAINER}\s.*changed=(\d+)", text, re.MULTILINE)
        if done.returncode != 0 or recap is None:
            sys.exit(f"{text[-4000:]}\nsite.py: the playbook failed; whole log: {log}")
        return seconds, int(recap[1])

    def report(self, work: str, seconds: float, goal: float, changes: str, is_ok: bool = True) -> None:
        is_ok = is_ok and seconds <= goal
        self.missed += not is_ok
        verdict = "ok" if is_ok else "MISSED"
        print(f"{work:<58} {seconds:8.2f} s   {changes:<22} goal {goal:6.0f} s   {verdict}", flush=True)


def _inventory() -> dict[str, object]:
    variables = {
        "ansible_connection": "containers.podman.podman",
        "ansible_python_interpreter": "/usr/bin/python3",
        "clamav_freshclam_enabled": False,
        "clamav_local_signatures": [{"name": "bench.ndb", "src": str(REPOSITORY / "tests/hosts/eicar.ndb")}],
    }
    members: dict[str, object] = {group: {"hosts": {CONTAINER: {}}} for group in GROUPS}
    return {"all": {"children": members, "vars": variables}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--suite", choices=images.SUITES, default=images.SUITES[0])
    parser.add_argument("--repeat", type=int, default=3, help="further runs, of which the best counts")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("site.py: must be run as root, because a test host's systemd needs it")
    images.install_tools()
    try:
        with tempfile.TemporaryDirectory(prefix="ispmail-") as folder:
            bench = Bench(arguments.suite, Path(folder))
            seconds, changed = bench.run("first")
            bench.report(f"site.yml, {arguments.suite}, first run", seconds, FIRST_RUN_SECONDS, f"{changed} changed")
            runs = [bench.run(f"next-{number}") for number in range(1, arguments.repeat + 1)]
            changes = max(changed for _, changed in runs)
            bench.report(
                f"site.yml, {arguments.suite}, unchanged, best of {arguments.repeat}",
                min(seconds for seconds, _ in runs),
                NEXT_RUN_SECONDS,
                f"{changes} changed, goal 0",
                changes == 0,
            )
            return int(bench.missed > 0)
    finally:
        testhosts.remove(CONTAINER)


if __name__ == "__main__":
    sys.exit(main())
