#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the site playbook at the moments that hurt: inside dpkg, and between a change and its handler.

interrupt.py HOST INVENTORY

What the scenario proves afterwards, it proves of a host that was set up by a run that came after all of these.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

# In the order of the playbook. With True the package manager on the host is killed, too, once it is at work.
MOMENTS = [
    ("Install MariaDB", True),
    ("Restart MariaDB", False),
    ("Restart the authentication daemon", False),
    ("Reload Postfix", False),
    ("Install Courier's IMAP", True),
    ("Restart Courier", False),
    ("Restart clamd", False),
    ("Restart amavis", False),
    ("Start Apache", False),
]
_DPKG_SECONDS = 120
_KILL_PACKAGE_MANAGER = "pkill -KILL -x dpkg; pkill -KILL -x apt-get; while pgrep -x dpkg; do sleep 0.2; done; true"


def _on_host(host: str, script: str) -> subprocess.CompletedProcess[str]:
    command = ["podman", "exec", host, "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _wait_for_dpkg(host: str) -> None:
    """Return when dpkg has begun to set packages up."""
    deadline = time.monotonic() + _DPKG_SECONDS
    while time.monotonic() < deadline:
        if "unpacked" in _on_host(host, "pgrep -x dpkg >/dev/null && tail -n 20 /var/log/dpkg.log").stdout:
            return
        time.sleep(0.2)
    raise SystemExit(f"dpkg was not at work on {host} within {_DPKG_SECONDS} s")


def _kill_at(moment: str, in_dpkg: bool, host: str, inventory: str) -> None:
    play = subprocess.Popen(
        ["ansible-playbook", "--inventory", inventory, "mailfleet.ispmail.site"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert play.stdout
    said = []
    try:
        for line in play.stdout:
            said.append(line)
            if line.startswith(("TASK [", "RUNNING HANDLER [")) and f" : {moment}" in line:
                if in_dpkg:
                    _wait_for_dpkg(host)
                print(f"killed at: {line.strip().rstrip(' *')}", flush=True)
                return
    finally:
        os.killpg(play.pid, signal.SIGKILL)
        play.wait()
        if in_dpkg:
            _on_host(host, _KILL_PACKAGE_MANAGER)
    raise SystemExit(f"the playbook ended before {moment!r}:\n{''.join(said[-60:])}")


def main() -> None:
    host, inventory = sys.argv[1:]
    for moment, in_dpkg in MOMENTS:
        _kill_at(moment, in_dpkg, host, inventory)


if __name__ == "__main__":
    main()
