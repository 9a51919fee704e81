# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts, one a release, on which configuration is changed for real, and a way to run tasks on both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_hosts import SUITES, TESTHOSTS, BareRun, Host, Play, Tasks, host_name, testhosts


@pytest.fixture(scope="session")
def run_tasks(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Play]:
    """Run named tasks on hosts, like a user's playbook does; a failing task does not end the play.

    ``templates`` maps names to texts in the playbook's ``templates`` folder.
    """
    folder = tmp_path_factory.mktemp("play")
    (folder / "templates").mkdir()

    def run(
        hosts: list[Host],
        tasks: Tasks,
        *options: str,
        templates: dict[str, str] | None = None,
        variables: dict[str, Any] | None = None,
        callback: str = "ansible.posix.json",
    ) -> Play:
        for name, text in (templates or {}).items():
            path = folder / "templates" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        connection = {
            "ansible_connection": "containers.podman.podman",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        inventory = {"all": {"hosts": {host.name: {} for host in hosts}, "vars": connection}}
        (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
        play = {
            "hosts": "all",
            "gather_facts": False,
            "ignore_errors": True,
            "vars": variables or {},
            "tasks": tasks,
        }
        (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        environment = {
            **os.environ,
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_STDOUT_CALLBACK": callback,
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        command = [*TESTHOSTS, "run", "ansible-playbook", "-i", "inventory.yml", *options, "play.yml"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"the playbook ended with {done.returncode}:\n{output}"
        results: dict[str, dict[str, dict[str, Any]]] = {host.name: {} for host in hosts}
        if callback == "ansible.posix.json":
            report = json.loads(done.stdout[done.stdout.index("{") :])
            for task in report["plays"][0]["tasks"]:
                for name, result in task["hosts"].items():
                    results[name][task["task"]["name"]] = result
        return Play(results, output)

    return run


@pytest.fixture(scope="session")
def bare_hosts() -> Iterator[list[Host]]:
    """A host of each release with nothing installed, yet."""
    hosts = [Host(host_name(suite), suite) for suite in SUITES]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: testhosts("start", host.name, "--suite", host.suite), hosts))
        yield hosts
    finally:
        testhosts("remove", *(host.name for host in hosts))


_KEPT = ("/etc", "/var/lib", "/root")

BARE_TASKS: Tasks = [
    {
        "name": "files",
        "mailfleet.ispmail.config_files": {
            "files": [
                {"dest": "/etc/nowhere/x.cf", "content": "x\n", "owner": "nobody-yet", "group": "none-yet"},
                {"dest": "/etc/nowhere/rc", "settings": {"KEY": "value"}},
                {"dest": "/etc/nowhere/link", "state": "link", "target": "x.cf"},
                {"dest": "/etc/nowhere/gone", "state": "absent"},
            ],
            "check": [{"argv": ["postfix", "check"]}],
        },
    },
    {
        "name": "postfix",
        "mailfleet.ispmail.postfix_config": {
            "parameters": {"message_size_limit": 1000000, "relayhost": None},
            "services": {"submission/inet": {"command": "smtpd"}},
        },
    },
]


@pytest.fixture(scope="session")
def bare_run(bare_hosts: list[Host], run_tasks: Callable[..., Play]) -> BareRun:
    """Check mode before anything is installed; done once, ahead of what the other tests change."""
    before = {host.name: host.snapshot(*_KEPT) for host in bare_hosts}
    play = run_tasks(bare_hosts, BARE_TASKS, "--check", "--diff")
    return BareRun(play, before, {host.name: host.snapshot(*_KEPT) for host in bare_hosts})


@pytest.fixture(scope="session")
def hosts(bare_hosts: list[Host], bare_run: BareRun) -> list[Host]:
    """The hosts with Postfix running, and strace to kill programs with."""
    del bare_run
    install = (
        "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postfix strace >/dev/null 2>&1"
    )
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: host.sh(install), bare_hosts))
    return bare_hosts
