#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up a mail host the way a user does, and shows that it works.

The host is a container that stays until `stop`. Running `start` again changes nothing
that is as it should be. What is known about the host is in .demo/host.json, readable
by its owner only; .demo/ansible-playbook is Ansible, ready to reach the host.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "hosts")]
import collection
import images
import testhosts

STATE = REPOSITORY / ".demo"
FACTS = STATE / "host.json"
INVENTORY = STATE / "inventory"
CONTAINER = "ispmail-demo"
HOSTNAME = "mail.virtual.test"
NAME_IN_EXAMPLE = "mail.example.org"
CERTIFICATE = "/etc/ssl/ispmail/fullchain.pem"


def start(suite: str) -> int:
    """Make the host if it is not there, run site.yml against it, hold the tour; returns an exit code."""
    started = time.monotonic()
    images.install_tools()
    say("building the collection and installing it into a clean folder")
    collections = collection.install()
    users = _make_host(suite)
    _write_inventory(collections)
    playbook = _write_playbook_command(collections)

    say(f"running mailfleet.ispmail.site against {HOSTNAME}")
    if (code := subprocess.run([str(playbook), "mailfleet.ispmail.site"], check=False).returncode) != 0:
        say(f"failed; the host's journal: {sys.executable} tests/hosts/testhosts.py journal {CONTAINER}")
        return code

    _write_facts(suite, users)
    say(f"set up in {time.monotonic() - started:.0f} s; now a conversation with it")
    tour = [str(STATE / "run"), sys.executable, str(Path(__file__).with_name("tour.py")), str(FACTS)]
    return subprocess.run(tour, check=False).returncode


def stop() -> int:
    """Remove the host and what was written about it."""
    testhosts.remove(CONTAINER)
    shutil.rmtree(STATE, ignore_errors=True)
    say("removed")
    return 0


def _make_host(suite: str) -> list[dict[str, str]]:
    """Boot the host unless it runs already; returns the users that were made on it before."""
    if CONTAINER in testhosts.names(running=True) and _suite_of_host() == suite:
        say(f"the host runs already: {CONTAINER}")
        return json.loads(FACTS.read_text())["users"] if FACTS.exists() else []
    FACTS.unlink(missing_ok=True)
    image = images.stack(suite)
    say(f"booting {CONTAINER}, Debian {suite}")
    testhosts.start(CONTAINER, HOSTNAME, image)
    return []


def _suite_of_host() -> str:
    script = ". /etc/os-release && echo $VERSION_CODENAME"
    return images.podman("exec", CONTAINER, "sh", "-c", script).strip()


def _write_inventory(collections: Path) -> None:
    """As the example inventory says: replace the name; the rest works as it is."""
    shutil.rmtree(INVENTORY, ignore_errors=True)
    shutil.copytree(collections / "ansible_collections/mailfleet/ispmail/inventories/single", INVENTORY)
    hosts = INVENTORY / "hosts.yml"
    hosts.write_text(hosts.read_text().replace(NAME_IN_EXAMPLE, HOSTNAME))
    variables = {
        "ansible_connection": "containers.podman.podman",
        "ansible_host": CONTAINER,
        # The demo asks no server for signatures; this one finds the EICAR test file.
        "clamav_freshclam_enabled": False,
        "clamav_local_signatures": [{"name": "demo.ndb", "src": str(REPOSITORY / "tests/hosts/eicar.ndb")}],
    }
    folder = INVENTORY / "host_vars"
    folder.mkdir(exist_ok=True)
    (folder / f"{HOSTNAME}.json").write_text(json.dumps(variables, indent=2) + "\n")


def _write_playbook_command(collections: Path) -> Path:
    """Write .demo/run, in which Ansible reaches the host, and .demo/ansible-playbook on top of it."""
    variables = {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
    }
    run = [sys.executable, str(REPOSITORY / "tests/hosts/testhosts.py"), "run", "env"]
    run += [f"{name}={value}" for name, value in variables.items()]
    _write_script(STATE / "run", run)
    binary = str(Path(sys.executable).with_name("ansible-playbook"))
    return _write_script(STATE / "ansible-playbook", [str(STATE / "run"), binary, "--inventory", str(INVENTORY)])


def _write_script(path: Path, command: list[str]) -> Path:
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)
    return path


def _write_facts(suite: str, users: list[dict[str, str]]) -> None:
    address = testhosts.address(CONTAINER)
    certificate = STATE / "ca.pem"
    certificate.write_text(images.podman("exec", CONTAINER, "cat", CERTIFICATE))
    facts = {
        "address": address,
        "hostname": HOSTNAME,
        "container": CONTAINER,
        "debian": suite,
        "inventory": str(INVENTORY),
        "ca_file": str(certificate),
        "webmail_url": f"https://{address}/webmail",
        "users": users,
    }
    FACTS.unlink(missing_ok=True)
    with open(os.open(FACTS, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump(facts, file, indent=2)
        file.write("\n")


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="set the host up and show that it works")
    starting.add_argument("--suite", choices=images.SUITES, default=images.SUITES[0])
    commands.add_parser("stop", help="remove the host")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("demo.py: must be run as root, because the host's systemd needs it", file=sys.stderr)
        return 2
    STATE.mkdir(exist_ok=True)
    try:
        return stop() if arguments.command == "stop" else start(arguments.suite)
    except (images.PodmanFailed, subprocess.SubprocessError) as failure:
        print(f"demo.py: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
