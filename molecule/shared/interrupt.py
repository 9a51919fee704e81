#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the site playbook at the moments that hurt: while dpkg is at work, and between a change and its handler.

interrupt.py HOST INVENTORY

What the scenario proves afterwards, it proves of a host that was set up by a run that came after all of these.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

# In the order of the playbook. DPKG: while packages are set up, which the host goes on with, so that the next run meets
# it at work; HOST: the package manager and its scripts are killed, too, as when the host loses its power.
MOMENTS = [
    ("Install MariaDB", "HOST"),
    ("Restart MariaDB", ""),
    ("Restart the authentication daemon", ""),
    ("Install Postfix", "DPKG"),
    ("Reload Postfix", ""),
    ("Install Courier's IMAP", "HOST"),
    ("Restart Courier", ""),
    ("Restart clamd", ""),
    ("Restart amavis", ""),
    ("Start Apache", ""),
]
_DPKG_SECONDS = 240
# Returns when dpkg has unpacked what is now being installed.
_WAIT_FOR_DPKG = r"""
log=/var/log/dpkg.log
seen=$(wc -l <$log)
until pgrep -x dpkg >/dev/null && tail -n +$((seen + 1)) $log | grep -q ' status unpacked '; do sleep 0.05; done
"""
_KILL_PACKAGE_MANAGER = r"""
while pgrep -x apt-get || pgrep -x dpkg || pgrep -f '[/]var/lib/dpkg/info/'; do
    pkill -KILL -x apt-get
    pkill -KILL -x dpkg
    pkill -KILL -f '[/]var/lib/dpkg/info/'
    sleep 0.1
done
"""


def _on_host(host: str, script: str) -> str | None:
    """What a script prints on the host; None if it is not done after _DPKG_SECONDS."""
    command = ["podman", "exec", host, "timeout", str(_DPKG_SECONDS), "sh", "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, timeout=_DPKG_SECONDS + 60, check=False)
    return None if run.returncode == 124 else run.stdout


def _kill_at(moment: str, what: str, host: str, inventory: str) -> None:
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
                script = {"DPKG": _WAIT_FOR_DPKG, "HOST": _WAIT_FOR_DPKG + _KILL_PACKAGE_MANAGER}.get(what)
                if script and _on_host(host, script) is None:
                    raise SystemExit(f"{moment}: dpkg was not at work: {_on_host(host, 'ps -ef')}")
                print(f"killed at: {line.strip().rstrip(' *')}", flush=True)
                return
    finally:
        os.killpg(play.pid, signal.SIGKILL)
        play.wait()
    raise SystemExit(f"the playbook ended before {moment!r}:\n{''.join(said[-60:])}")


def main() -> None:
    host, inventory = sys.argv[1:]
    for moment, what in MOMENTS:
        _kill_at(moment, what, host, inventory)


if __name__ == "__main__":
    main()
