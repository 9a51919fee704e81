#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for tests and the demo: Debian with systemd as PID 1, in Podman containers.

Needs root on Debian 12 or 13; installs Podman and debootstrap itself. Each wait is
bounded, each failure says what failed. A host is reached with Ansible's connection
plugin containers.podman.podman, from within `testhosts.py run`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import images
import namespace
from images import PodmanFailed, podman

_OURS = "ispmail.host"
_BOOT_SECONDS = 120


def start(name: str, hostname: str, image: str) -> None:
    """Make and boot a host; an existing one of this name is replaced. Returns when it runs."""
    remove(name)
    podman(
        "run",
        "--detach",
        "--name",
        name,
        "--hostname",
        hostname,
        "--label",
        f"{_OURS}={name}",
        "--systemd=always",
        "--privileged",
        "--ulimit",
        "host",
        image,
    )
    _wait_until_booted(name)


def restart(name: str) -> None:
    """Reboot a host: an orderly shutdown, then a boot. Its address may change."""
    podman("stop", "--time", "60", name)
    podman("start", name)
    _wait_until_booted(name)


def commit(name: str, kind: str, key: str) -> None:
    """Reboot a host, saving its disk as an image while it is down.

    The image replaces those of the same kind. `key` stands for all that the disk was
    made from, so that an outdated image is never taken for a current one.
    """
    podman("stop", "--time", "60", name)
    image = images.converged(kind, key)
    podman("commit", "--quiet", "--change", 'CMD ["/sbin/init"]', name, image, timeout=600)
    images.remove_converged(kind, but=key)
    podman("start", name)
    _wait_until_booted(name)


def remove(name: str) -> None:
    """Remove a host and its disk, if it is there."""
    podman("rm", "--force", "--ignore", "--time", "5", "--volumes", name)


def address(name: str) -> str:
    """IPv4 address of a running host, reachable from this machine and from other hosts."""
    networks = json.loads(podman("inspect", name))[0]["NetworkSettings"]
    found = networks.get("IPAddress") or ""
    if not found:
        raise PodmanFailed(f"host {name} has no address; is it running?")
    return found


def names(running: bool = False) -> list[str]:
    """Names of the hosts that exist, or only of those that run."""
    which = [] if running else ["--all"]
    return podman("ps", *which, "--filter", f"label={_OURS}", "--format", "{{.Names}}").split()


def journal(name: str, lines: int) -> str:
    """The last lines of a host's journal of this boot, and its failed units."""
    tail = podman("exec", name, "journalctl", "--boot", "--no-pager", "--lines", str(lines))
    return tail + podman("exec", name, "systemctl", "--failed", "--no-legend", "--plain")


def _wait_until_booted(name: str) -> None:
    deadline = time.monotonic() + _BOOT_SECONDS
    state = "unknown"
    while time.monotonic() < deadline:
        try:
            podman("exec", name, "systemctl", "is-system-running", timeout=30)
            return
        except PodmanFailed as failure:  # exit 1 for every state but "running"
            state = str(failure)
        if state.endswith("degraded"):
            break
        time.sleep(0.3)
    failed = "(container not running)"
    try:
        failed = podman("exec", name, "systemctl", "--failed", "--no-legend", "--plain")
        failed += podman("exec", name, "systemctl", "list-jobs", "--no-legend")
    except PodmanFailed as failure:
        failed = str(failure)
    raise PodmanFailed(f"host {name} did not come up in {_BOOT_SECONDS} s: {state}\n{failed}")


def _run(command: list[str]) -> int:
    argv = [*namespace.prefix(), *command]
    os.execvpe(argv[0], argv, namespace.environment())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testhosts.py", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    run = add("run", "run a command where Podman works; everything that reaches a host is run so")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    image = add("image", "make a release's images if need be and print the name")
    image.add_argument("suite", choices=images.SUITES)
    image.add_argument("--base", action="store_true", help="without the downloaded packages")
    boot = add("start", "make and boot a host, replacing one of the same name; prints its address")
    boot.add_argument("name")
    boot.add_argument("--suite", choices=images.SUITES, default="trixie")
    boot.add_argument("--hostname", help="fully qualified; default: NAME.example.test")
    boot.add_argument("--base", action="store_true", help="without the downloaded packages")
    boot.add_argument("--converged", nargs=2, metavar=("KIND", "KEY"), help="from the image that commit made")
    restart_ = add("restart", "reboot a host; prints its address")
    restart_.add_argument("name")
    commit_ = add("commit", "save a host's disk as an image, which reboots it")
    commit_.add_argument("name")
    commit_.add_argument("kind", help="what the host is, such as a scenario's name")
    commit_.add_argument("key", help="hash of all that it was made from")
    exec_ = add("exec", "run a command inside a host")
    exec_.add_argument("name")
    exec_.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    journal_ = add("journal", "print the end of a host's journal and its failed units")
    journal_.add_argument("name")
    journal_.add_argument("--lines", type=int, default=100)
    add("address", "print a host's address").add_argument("name")
    add("remove", "remove hosts and their disks").add_argument("names", nargs="+")
    add("list", "print the names of all hosts")
    return parser


def _main(arguments: argparse.Namespace) -> int:
    command, name = arguments.command, getattr(arguments, "name", "")
    if command == "run":
        return _run(arguments.argv)
    if command == "exec":
        return _run(["podman", "exec", name, *arguments.argv])
    if command == "image":
        print(_image(arguments))
    elif command == "start":
        start(name, arguments.hostname or f"{name}.example.test", _image(arguments))
        print(address(name))
    elif command == "restart":
        restart(name)
        print(address(name))
    elif command == "commit":
        commit(name, arguments.kind, arguments.key)
    elif command == "journal":
        print(journal(name, arguments.lines), end="")
    elif command == "address":
        print(address(name))
    elif command == "remove":
        for each in arguments.names:
            remove(each)
    elif command == "list":
        print("".join(f"{each}\n" for each in names()), end="")
    return 0


def _image(arguments: argparse.Namespace) -> str:
    if getattr(arguments, "converged", None):
        image = images.converged(*arguments.converged)
        if not images.exists(image):
            raise PodmanFailed(f"there is no image {image}: no host was committed as such")
        return image
    return (images.base if arguments.base else images.stack)(arguments.suite)


def main() -> int:
    arguments = _parser().parse_args()
    if os.geteuid() != 0:
        print("testhosts.py: must be run as root, because systemd hosts need it", file=sys.stderr)
        return 2
    try:
        images.install_tools()
        return _main(arguments)
    except (PodmanFailed, subprocess.SubprocessError) as failure:
        print(f"testhosts.py: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
