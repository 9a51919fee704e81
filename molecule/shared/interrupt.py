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

# Scripts for the host. The first returns when dpkg has unpacked what is now being installed, and lets it go on, so that
# the next run meets it at work. The second then kills the package manager and its scripts, as a power cut does.
_DPKG_AT_WORK = r"""
log=/var/log/dpkg.log
seen=$(wc -l <$log)
until pgrep -x dpkg >/dev/null && tail -n +$((seen + 1)) $log | grep -q ' status unpacked '; do sleep 0.05; done
"""
_DPKG_KILLED = f"""{_DPKG_AT_WORK}
while pgrep -x apt-get || pgrep -x dpkg || pgrep -f '[/]var/lib/dpkg/info/'; do
    pkill -KILL -x apt-get
    pkill -KILL -x dpkg
    pkill -KILL -f '[/]var/lib/dpkg/info/'
    sleep 0.1
done
"""
_DPKG_SECONDS = 240
# Names of tasks and handlers in the order of the playbook, and what happens on the host before the run is killed there.
MOMENTS = [
    ("Install MariaDB", _DPKG_KILLED),
    ("Restart MariaDB", None),
    ("Restart the authentication daemon", None),
    ("Install Postfix", _DPKG_AT_WORK),
    ("Reload Postfix", None),
    ("Install Courier's IMAP", _DPKG_KILLED),
    ("Restart Courier", None),
    ("Restart clamd", None),
    ("Restart amavis", None),
    ("Start Apache", None),
]


def _on_host(host: str, script: str) -> str | None:
    """What a script prints on the host; None if it is not done after _DPKG_SECONDS."""
    command = ["podman", "exec", host, "timeout", str(_DPKG_SECONDS), "sh", "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, timeout=_DPKG_SECONDS + 60, check=False)
    return None if run.returncode == 124 else run.stdout


def _kill_at(moment: str, script: str | None, host: str, inventory: str) -> None:
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
    for moment, script in MOMENTS:
        _kill_at(moment, script, host, inventory)


if __name__ == "__main__":
    main()
