# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at a path, what shall be there, and how the difference is shown.

The vocabulary that planning, staging and replacing configuration files share.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field


class ConfigError(Exception):
    """A request that cannot be carried out; the text names what is wrong and the remedy."""


@dataclass(frozen=True)
class Node:
    """The object at a path.

    ``kind`` is ``absent``, ``file``, ``link`` or ``directory``. ``mode`` holds the permission bits only. The owner and
    the mode of a symbolic link carry no meaning and stay 0. An account that does not exist yet (check mode) is -1.
    """

    kind: str = "absent"
    content: bytes = field(default=b"", repr=False)
    target: str = ""
    uid: int = 0
    gid: int = 0
    mode: int = 0

    @property
    def access(self) -> tuple[int, int, int]:
        return (self.uid, self.gid, self.mode)


@dataclass(frozen=True)
class Change:
    """One path that differs from what was asked for.

    ``dest`` is the path as the user wrote it, ``path`` the one that is written: symbolic links on the way resolved.
    """

    dest: str
    path: str
    before: Node
    after: Node
    sensitive: bool = False


def read_node(path: str) -> Node:
    """Return what is at ``path`` without following a symbolic link.

    :raises ConfigError: if it is neither a file, a link nor a directory, or cannot be read.
    """
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return Node("link", target=os.readlink(path))
        access = (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
        if stat.S_ISDIR(info.st_mode):
            return Node("directory", b"", "", *access)
        if stat.S_ISREG(info.st_mode):
            with open(path, "rb") as stream:
                return Node("file", stream.read(), "", *access)
    except (FileNotFoundError, NotADirectoryError):
        return Node()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    raise ConfigError(f"{path} is neither a regular file, a symbolic link nor a directory")


def apply_node(path: str, node: Node) -> None:
    """Create the file, link or directory ``node`` at ``path``, where nothing is, with its owner and mode."""
    if node.kind == "link":
        os.symlink(node.target, path)
        return
    if node.kind == "directory":
        os.mkdir(path, 0o700)
        set_access(path, node)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(node.content)
        stream.flush()
        os.fchown(descriptor, node.uid, node.gid)
        os.fchmod(descriptor, node.mode)
        os.fsync(descriptor)


def set_access(path: str, node: Node) -> None:
    """Set owner, then mode: a change of the owner clears the set-id bits."""
    os.chown(path, node.uid, node.gid)
    os.chmod(path, node.mode)


def in_order(changes: Sequence[Change]) -> list[Change]:
    """Sort so that each change finds what it needs: directories appear before and disappear after what they hold."""

    def rank(change: Change) -> tuple[int, int]:
        depth = change.path.count("/")
        if change.after.kind == "directory":
            return (0, depth)
        if change.before.kind == "directory":
            return (2, -depth)
        return (1, 0)

    return sorted(changes, key=rank)


def _access_line(node: Node) -> str:
    return f"owner {node.uid}, group {node.gid}, mode {node.mode:04o}\n"


def _shown(node: Node, sensitive: bool, age: str) -> str:
    if node.kind == "absent":
        return ""
    if node.kind == "directory":
        return "directory\n"
    if node.kind == "link":
        return f"symbolic link to {node.target}\n"
    if sensitive:
        return f"({age} content is sensitive and not shown)\n"
    return node.content.decode("utf-8", "replace")


def diff_of(change: Change) -> list[dict[str, str]]:
    """Return the entries of Ansible's ``diff`` result for one change: its content, and its owner and mode."""
    before, after = change.before, change.after
    entries = []
    if (before.kind, before.content, before.target) != (after.kind, after.content, after.target):
        entries.append(
            {
                "before_header": change.dest,
                "after_header": change.dest,
                "before": _shown(before, change.sensitive, "old"),
                "after": _shown(after, change.sensitive, "new"),
            }
        )
    if after.kind in ("file", "directory") and before.kind == after.kind and before.access != after.access:
        header = f"{change.dest} (access)"
        entries.append(
            {
                "before_header": header,
                "after_header": header,
                "before": _access_line(before),
                "after": _access_line(after),
            }
        )
    return entries
