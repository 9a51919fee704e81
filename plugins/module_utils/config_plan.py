# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the list of files that a user asks for to the list of changes that the host needs."""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import (
    Change,
    ConfigError,
    Node,
    read_node,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_settings import SettingsError, edit_settings

_MODE = re.compile(r"0?[0-7]{3}\Z|[0-7]{4}\Z")
_DEFAULT_MODE = {"file": 0o644, "directory": 0o755}


@dataclass(frozen=True)
class Item:
    """One entry of the option ``files`` after its own checks; ``position`` says which one in messages."""

    position: str
    dest: str
    state: str
    content: bytes | None = field(default=None, repr=False)
    settings: Mapping[str, object] | None = field(default=None, repr=False)
    assignment: str = "="
    target: str = ""
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    sensitive: bool = False


def parse_items(files: Sequence[Mapping]) -> list[Item]:
    """Check each entry of ``files`` by itself.

    :raises ConfigError: naming the entry, the option and the remedy.
    """
    return [_parse_item(f"files[{number}]", entry) for number, entry in enumerate(files)]


def _parse_item(position: str, entry: Mapping) -> Item:
    dest, state = entry.get("dest"), entry.get("state") or "file"
    if not dest:
        raise ConfigError(f"{position}: dest is missing")
    position = f"{position} ({dest})"
    if not os.path.isabs(dest) or os.path.normpath(dest) != dest or dest == "/":
        raise ConfigError(f"{position}: dest must be an absolute path without '.', '..', '//' or a '/' at its end")

    sources = [name for name in ("content", "settings") if entry.get(name) is not None]
    if state == "file" and len(sources) != 1:
        raise ConfigError(f"{position}: give exactly one of src, content and settings for a file")
    if state != "file" and sources:
        raise ConfigError(f"{position}: {sources[0]} cannot be given with state: {state}")
    if (state == "link") != bool(entry.get("target")):
        raise ConfigError(f"{position}: target belongs to state: link, and a link needs it")
    for name in ("owner", "group", "mode"):
        if state in ("absent", "link") and entry.get(name) is not None:
            raise ConfigError(f"{position}: {name} cannot be given with state: {state}")
    content = entry.get("content")
    return Item(
        position=position,
        dest=dest,
        state=state,
        content=None if content is None else content.encode("utf-8", "surrogateescape"),
        settings=entry.get("settings"),
        assignment=entry.get("assignment") or "=",
        target=entry.get("target") or "",
        owner=entry.get("owner"),
        group=entry.get("group"),
        mode=_parse_mode(position, entry.get("mode")),
        sensitive=bool(entry.get("sensitive")),
    )


def _parse_mode(position: str, mode: object) -> int | None:
    if mode is None:
        return None
    # A number has lost its notation: 0640 in YAML and 640 cannot be told apart from what was meant.
    if not isinstance(mode, str) or not _MODE.match(mode):
        raise ConfigError(f'{position}: mode is {mode!r}: give octal digits in quotes, for example "0640"')
    return int(mode, 8)


class Accounts:
    """Owner and group names of the host. ``lenient`` answers -1 for a missing one: check mode before its creation."""

    def __init__(self, lenient: bool) -> None:
        self._lenient = lenient

    def user(self, position: str, name: str) -> int:
        return self._number(position, "owner", name, lambda: pwd.getpwnam(name).pw_uid)

    def group(self, position: str, name: str) -> int:
        return self._number(position, "group", name, lambda: grp.getgrnam(name).gr_gid)

    def _number(self, position: str, option: str, name: str, look_up: Callable[[], int]) -> int:
        try:
            return look_up()
        except KeyError:
            pass
        if name.isdigit():
            return int(name)
        if self._lenient:
            return -1
        raise ConfigError(f"{position}: {option} {name!r} does not exist on this host: create the account first")


def plan(items: Sequence[Item], lenient: bool) -> list[Change]:
    """Compare ``items`` with the host and return what differs, in the order of ``items``.

    ``lenient`` is for check mode, where accounts, parents and files to edit may be made by tasks that have not run.

    :raises ConfigError: naming the entry, if it cannot be carried out on this host.
    """
    accounts = Accounts(lenient)
    paths: dict[str, Item] = {}
    changes = []
    for item in items:
        path = _resolve(item)
        if path in paths:
            raise ConfigError(f"{item.position} names the same file as {paths[path].position}: give each file once")
        paths[path] = item
        before = read_node(path)
        after = _wanted(item, before, accounts, lenient)
        if before != after:
            changes.append(Change(item.dest, path, before, after, item.sensitive))
    for path, item in paths.items():
        _check_surroundings(item, path, paths, lenient)
    return changes


def _resolve(item: Item) -> str:
    """Return the path to write: links to folders are followed always, a link itself only for what is behind it."""
    folder, name = os.path.split(item.dest)
    if item.state in ("file", "directory"):
        path = os.path.realpath(item.dest)
        if os.path.islink(path):
            raise ConfigError(f"{item.position}: the symbolic link leads in a circle")
        return path
    return os.path.join(os.path.realpath(folder), name)


def _wanted(item: Item, before: Node, accounts: Accounts, lenient: bool) -> Node:
    if before.kind == "directory" and item.state in ("file", "link"):
        raise ConfigError(f"{item.position}: a directory is there, a {item.state} was asked for")
    if item.state == "directory" and before.kind == "file":
        raise ConfigError(f"{item.position}: a file is there, a directory was asked for")
    if item.state == "absent":
        return Node()
    if item.state == "link":
        return Node("link", target=item.target)

    # A file that somebody else wrote keeps its owner and mode unless told otherwise.
    kept = item.settings is not None or (item.state == "directory" and before.kind == "directory")
    uid, gid, mode = before.access if kept else (0, 0, _DEFAULT_MODE[item.state])
    if item.owner is not None:
        uid = accounts.user(item.position, item.owner)
    if item.group is not None:
        gid = accounts.group(item.position, item.group)
    if item.mode is not None:
        mode = item.mode
    if item.state == "directory":
        return Node("directory", uid=uid, gid=gid, mode=mode)
    return Node("file", content=_content(item, before, lenient), uid=uid, gid=gid, mode=mode)


def _content(item: Item, before: Node, lenient: bool) -> bytes:
    if item.settings is None:
        return item.content or b""
    if before.kind == "absent" and not lenient:
        raise ConfigError(f"{item.position}: there is no file to change settings in: install its package first")
    text = before.content.decode("utf-8", "surrogateescape")
    try:
        return edit_settings(text, item.settings, item.assignment).encode("utf-8", "surrogateescape")
    except SettingsError as error:
        raise ConfigError(f"{item.position}: {error}") from error


def _check_surroundings(item: Item, path: str, paths: Mapping[str, Item], lenient: bool) -> None:
    folder = os.path.dirname(path)
    parent = paths.get(folder)
    if item.state == "absent":
        if os.path.isdir(path) and not os.path.islink(path):
            left = [name for name in sorted(os.listdir(path)) if not _is_absent(paths.get(os.path.join(path, name)))]
            if left:
                raise ConfigError(f"{item.position}: the directory holds {left[0]!r}: list its content as absent too")
        return
    if _is_absent(parent):
        raise ConfigError(f"{item.position} is to be in a directory that {parent.position if parent else ''} removes")
    made = parent is not None and parent.state == "directory"
    if not made and not lenient and not os.path.isdir(folder):
        raise ConfigError(
            f"{item.position}: the directory {folder} does not exist: install its package first, "
            f"or list it before with state: directory"
        )


def _is_absent(item: Item | None) -> bool:
    return item is not None and item.state == "absent"
