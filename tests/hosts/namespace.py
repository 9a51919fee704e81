#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Podman runs: here, or in a mount namespace with a unified cgroup tree.

crun and systemd 257 want /sys/fs/cgroup to be a cgroup2 mount. On a machine
whose tree is hybrid (v1 controllers beside /sys/fs/cgroup/unified) every call of
Podman has to enter one and the same mount namespace in which it is. The namespace
is kept alive by a bind mount, not by a process, so it needs no daemon.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

STATE = Path("/run/ispmail-hosts")
_HANDLE = STATE / "mnt"
_CONTAINERS_CONF = Path(__file__).resolve().parent / "containers.conf"


def environment() -> dict[str, str]:
    """The environment that Podman, and whatever calls it, needs."""
    return {**os.environ, "CONTAINERS_CONF": str(_CONTAINERS_CONF)}


def prefix() -> list[str]:
    """Argument vector to put before a command that calls Podman; empty where the tree is unified."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return []
    with locked("namespace"):
        if not _is_usable():
            _create()
    return ["nsenter", f"--mount={_HANDLE}", f"--wd={os.getcwd()}"]


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a machine-wide lock of this name."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    with open(STATE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_usable() -> bool:
    # The file outlives a reboot where /run is not a tmpfs; nsenter then refuses it.
    check = ["nsenter", f"--mount={_HANDLE}", "test", "-e", "/sys/fs/cgroup/cgroup.controllers"]
    return subprocess.run(check, capture_output=True, timeout=30, check=False).returncode == 0


def _create() -> None:
    if not os.path.ismount(STATE):
        # A namespace can only be pinned to a file on a private mount.
        _call("mount", "--bind", str(STATE), str(STATE))
        _call("mount", "--make-private", str(STATE))
    if os.path.ismount(_HANDLE):
        _call("umount", str(_HANDLE))
    _HANDLE.touch()
    enter_unified = "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup"
    _call("unshare", f"--mount={_HANDLE}", "--propagation", "slave", "sh", "-c", enter_unified)


def _call(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=30)
