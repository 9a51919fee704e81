# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a daemon's own checker on files that are not in place yet.

The checker runs in a mount namespace of its own (mount_namespaces(7)). There, each directory that is to change is
covered by an overlay (the kernel's Documentation/filesystems/overlayfs.rst) whose upper layer is a tmpfs, and the
changes are made in it: the checker sees the complete new set at its true paths, nobody else sees any of it, and all of
it is gone with the checker.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import NoReturn

from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import (
    Change,
    ConfigError,
    apply_node,
    in_order,
    set_access,
)

# <sched.h> and <sys/mount.h>; os.unshare() came with Python 3.12, os.mount() never.
_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class CheckResult:
    """What a checker said: its exit status, all that it wrote, and what it sent to the system's log."""

    argv: list[str]
    status: int
    output: str
    log: str


def run_checks(changes: Sequence[Change], commands: Iterable[Sequence[str]]) -> list[CheckResult]:
    """Run ``commands`` one after the other on the host as it would be after ``changes``, until one fails.

    :raises ConfigError: if the view cannot be made; no command ran then.
    """
    # Only a place to mount on, in the namespace: it stays empty.
    workspace = tempfile.mkdtemp(prefix="mailfleet-ispmail-", dir="/run")
    try:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _run_in_child(changes, commands, workspace, writer)
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8") as stream:
            text = stream.read()
        status = os.waitpid(child, 0)[1]
    finally:
        os.rmdir(workspace)
    if status != 0 or not text:
        raise ConfigError(f"the check of the new files was killed (wait status {status}); nothing was replaced")
    answer = json.loads(text)
    if "error" in answer:
        raise ConfigError(answer["error"])
    return [CheckResult(**result) for result in answer["results"]]


def _run_in_child(
    changes: Sequence[Change], commands: Iterable[Sequence[str]], workspace: str, writer: int
) -> NoReturn:
    status = 1
    try:
        try:
            _make_view(changes, workspace)
            with _private_log(workspace) as log:
                answer: dict = {"results": [asdict(result) for result in _run(commands, log)]}
        except OSError as error:
            answer = {
                "error": f"the new files cannot be shown to their checker alone ({error}); nothing was replaced. "
                "That takes root with CAP_SYS_ADMIN and a kernel with overlayfs: use become, or give the host these"
            }
        with os.fdopen(writer, "w", encoding="utf-8") as stream:
            json.dump(answer, stream)
        status = 0
    finally:
        os._exit(status)


@contextmanager
def _private_log(workspace: str) -> Iterator[socket.socket]:
    """Take the place of the system's log (syslog(3)) in this namespace: a refused set is nothing that happened."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        path = os.path.join(workspace, "log")
        log.bind(path)
        os.chmod(path, 0o666)
        if os.path.exists("/dev/log"):
            _mount(path, os.path.realpath("/dev/log"), "none", _MS_BIND)
        yield log


def _run(commands: Iterable[Sequence[str]], log: socket.socket) -> Iterable[CheckResult]:
    os.chdir("/")
    environment = {"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "TERM": "dumb"}
    for argv in commands:
        # Some checkers (postfix(1) of Debian 12) tell only a terminal what is wrong, and otherwise the system's log.
        terminal, output = os.openpty()
        try:
            descriptors = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ]
            program = shutil.which(argv[0], path=SEARCH_PATH) or argv[0]
            # run_command() of AnsibleModule gives a program pipes, not a terminal.
            child = os.posix_spawn(  # pylint: disable=ansible-bad-function
                program, list(argv), environment, file_actions=descriptors
            )
        finally:
            os.close(output)
        written, logged = _listen(terminal, log)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield CheckResult(list(argv), status, written, logged)
        if status != 0:
            return


def _listen(terminal: int, log: socket.socket) -> tuple[str, str]:
    """Return what is written to the terminal until it is closed, and what is logged meanwhile, a line a message."""
    written: list[bytes] = []
    logged: list[bytes] = []
    sources, patience = [terminal, log.fileno()], None
    while ready := select.select(sources, [], [], patience)[0]:
        if log.fileno() in ready:
            logged.append(log.recv(65536).rstrip(b"\n\0"))
        if terminal in ready:
            try:
                written.append(os.read(terminal, 65536))
            except OSError:
                # Linux reports that nobody has the other side open any more as EIO.
                sources, patience = [log.fileno()], 0
    os.close(terminal)
    text = b"".join(written).decode("utf-8", "replace").replace("\r\n", "\n")
    return text, b"\n".join(logged).decode("utf-8", "replace")


_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(function: str, what: str, *arguments: object) -> None:
    if getattr(_LIBC, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    encoded = [os.fsencode(text) for text in (source, target, kind)]
    _call("mount", target, *encoded, ctypes.c_ulong(flags), os.fsencode(options))


def _mount_points() -> list[str]:
    """Return the mount points of this namespace, unescaped (proc_pid_mountinfo(5))."""
    with open("/proc/self/mountinfo", "rb") as stream:
        points = [line.split(b" ")[4] for line in stream]
    return [os.fsdecode(point.decode("unicode_escape").encode("latin-1")) for point in points]


def _within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def affected_directories(changes: Iterable[Change], mount_points: Iterable[str]) -> list[str]:
    """Return the existing directories to cover, none within another unless a mount point lies between them."""
    folders = set()
    for change in changes:
        folder = os.path.dirname(change.path)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        folders.add(folder)
    points = list(mount_points)
    covering: list[str] = []
    for folder in sorted(folders):
        boundaries = [point for point in points if point == folder or _within(folder, point)]
        if not any(_within(folder, other) and not any(_within(p, other) for p in boundaries) for other in covering):
            covering.append(folder)
    return covering


def _make_view(changes: Sequence[Change], workspace: str) -> None:
    if hasattr(os, "unshare"):
        os.unshare(_CLONE_NEWNS)
    else:
        _call("unshare", "a private mount namespace", _CLONE_NEWNS)
    _mount("none", "/", "none", _MS_REC | _MS_PRIVATE)
    points = _mount_points()
    _mount("tmpfs", workspace, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0700")
    folders = affected_directories(changes, points)
    layers = []
    for number, folder in enumerate(folders):
        lower, upper, work = (os.path.join(workspace, f"{name}{number}") for name in ("lower", "upper", "work"))
        for path in (lower, upper, work):
            os.mkdir(path)
        _mount(folder, lower, "none", _MS_BIND | _MS_REC)
        # An overlay takes the access rights of its root from the upper layer.
        info = os.stat(folder)
        os.chown(upper, info.st_uid, info.st_gid)
        os.chmod(upper, info.st_mode & 0o7777)
        layers.append((folder, lower, upper, work))
    for folder, lower, upper, work in layers:
        _mount("overlay", folder, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")
        # What was mounted below the directory is covered with it: show it again.
        for point in points:
            source = lower + point[len(folder.rstrip("/")) :]
            if _within(point, folder) and os.path.lexists(source):
                _mount(source, point, "none", _MS_BIND)
    for change in in_order(changes):
        _apply(change)


def _apply(change: Change) -> None:
    if change.before.kind == change.after.kind == "directory":
        set_access(change.path, change.after)
        return
    if change.before.kind == "directory":
        os.rmdir(change.path)
    elif change.before.kind != "absent":
        os.unlink(change.path)
    if change.after.kind != "absent":
        apply_node(change.path, change.after)
