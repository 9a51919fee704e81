# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kill at any point leaves the old set of files."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from config_hosts import COLLECTION, Host, Play, copy_to

_UTILS = "ansible_collections/mailfleet/ispmail/plugins/module_utils"


def _sweep(host: Host) -> dict:
    utilities = COLLECTION / "plugins" / "module_utils"
    sources = {f"{_UTILS}/{path.name}": path for path in utilities.glob("config_*.py")}
    driver = Path(__file__).with_name("kill_driver.py")
    copy_to(host, "/opt/kill", {**sources, driver.name: driver})
    return json.loads(host.sh(f"python3 /opt/kill/{driver.name} sweep /opt/kill"))


def test_a_kill_at_any_call_of_the_system_leaves_the_old_set_or_the_new_one(hosts: list[Host]) -> None:
    """strace kills the module, the process that replaces, or both, at each call they make, one run for each."""
    with ThreadPoolExecutor() as pool:
        for report in pool.map(_sweep, hosts):
            assert report["wrong"] == []
            # The sweep met each way to end: put back by the survivor, by the next run, and kept.
            assert report["runs"] > 100 and report["old"] > 50, report
            assert report["survived"] > 10 and report["recovered"] > 3 and report["new"] > 3, report


def test_the_run_after_a_killed_one_puts_back_reports_and_completes(
    hosts: list[Host], run_tasks: Callable[..., Play]
) -> None:
    """The whole module is killed in the middle of its renames, as a user would meet it."""
    # The process that replaces dies between the two files, the module before it can put the first one back.
    injected = "-e inject=rename:signal=KILL:when=4+ -e inject=wait4:signal=KILL:when=1+"
    wrapper = f'#!/bin/sh\nexec strace -f -qq -o /dev/null -e trace=rename,wait4 {injected} python3 "$@"\n'
    for host in hosts:
        host.sh('printf "%s" "$1" >/root/killed-python; chmod 755 /root/killed-python', wrapper)
        host.sh("rm -rf /etc/pair; mkdir /etc/pair; echo old >/etc/pair/one; echo old >/etc/pair/two")
    task = {
        "mailfleet.ispmail.config_files": {
            "files": [
                {"dest": "/etc/pair/one", "content": "new\n"},
                {"dest": "/etc/pair/two", "content": "new\n"},
            ]
        }
    }
    killed = {**task, "name": "killed", "vars": {"ansible_python_interpreter": "/root/killed-python"}}
    unrelated = {
        "name": "unrelated",
        "mailfleet.ispmail.config_files": {"files": [{"dest": "/etc/pair-other", "state": "absent"}]},
    }
    first = run_tasks(hosts, [killed])
    halves = [host.sh("cat /etc/pair/one /etc/pair/two") for host in hosts]
    check = run_tasks(hosts, [{**unrelated, "name": "check"}], "--check")
    then = run_tasks(hosts, [unrelated, {**task, "name": "again"}, {**task, "name": "third"}])
    for number, host in enumerate(hosts):
        assert first.of(host, "killed").get("failed"), first.of(host, "killed")
        assert halves[number] == "new\nold\n", "the kill missed the moment that this test is about"
        assert "will be undone" in check.of(host, "check")["warnings"][0]
        assert then.of(host, "unrelated")["changed"] is False
        assert then.of(host, "again")["changed_files"] == ["/etc/pair/one", "/etc/pair/two"]
        assert then.of(host, "third")["changed"] is False
        assert host.sh("cat /etc/pair/one /etc/pair/two; ls -A /etc/pair") == "new\nnew\none\ntwo\n"
        assert host.sh("ls -A /var/lib/mailfleet-ispmail") == "lock\n"
