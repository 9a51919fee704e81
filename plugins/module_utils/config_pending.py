# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of configuration that no daemon has taken up yet.

Between the task that changes a file and the handler that restarts its daemon a run can end: the next run finds the
file as it should be and would notify nobody. So the change is written down before it is made, and counts as a change
in every run until a handler acknowledges it. The same holds for files that a daemon reads and somebody else replaces,
its certificate above all: what they were when a handler acknowledged them is kept, as a digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import ConfigError
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_transaction import STATE_DIRECTORY


class Pending:
    """What was changed for one service and is not acknowledged: paths, or other names that tell what changed."""

    def __init__(self, service: str, directory: str = STATE_DIRECTORY) -> None:
        """:raises ConfigError: if ``service`` is not a plain name."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", service):
            raise ConfigError(f"service: {service!r} is not a plain name; use letters, digits, '_', '-' and '.'")
        self._folder = os.path.join(directory, "pending")
        self._path = os.path.join(self._folder, f"{service}.json")
        self._seen = os.path.join(self._folder, f"{service}.reads.json")

    def read(self) -> list[str]:
        """Return what waits, sorted; an empty list if nothing does."""
        return self._load(self._path, [])

    def write(self, names: Iterable[str]) -> None:
        """Let exactly ``names`` wait; none means that nothing does. The caller holds the host's lock."""
        names = sorted(set(names))
        if names:
            self._store(self._path, names)
        else:
            self._forget()

    def changed(self, digests: Mapping[str, str]) -> list[str]:
        """Return those of the paths in ``digests`` (see :func:`digest`) that are not as the service has read them."""
        seen = self._load(self._seen, {})
        return [path for path, found in digests.items() if seen.get(path, ABSENT) != found]

    def offer(self, digests: Mapping[str, str]) -> None:
        """What the service will have read when :meth:`acknowledge` is called. The caller holds the host's lock."""
        self._store(f"{self._seen}-offered", dict(digests))

    def acknowledge(self) -> None:
        """The service runs with what was changed."""
        with suppress(FileNotFoundError):
            os.rename(f"{self._seen}-offered", self._seen)
        self._forget()

    def _forget(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    @staticmethod
    def _load(path: str, default: Any) -> Any:
        try:
            with open(path, encoding="utf-8") as stream:
                return json.load(stream)
        except FileNotFoundError:
            return default

    def _store(self, path: str, value: Any) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        temporary = f"{path}-new"
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(value, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)


ABSENT = ""


def digest(path: str) -> str:
    """What tells one content of a file from another; ABSENT where there is none.

    :raises ConfigError: if it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError as error:
        raise ConfigError(f"reads: {path} cannot be read: {error.strerror}") from error
