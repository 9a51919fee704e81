# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of configuration that no daemon has taken up yet.

Between the task that changes a file and the handler that restarts its daemon a run can end: the next run finds the
file as it should be and would notify nobody. So the change is written down before it is made, and counts as a change
in every run until a handler acknowledges it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress

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

    def read(self) -> list[str]:
        """Return what waits, sorted; an empty list if nothing does."""
        try:
            with open(self._path, encoding="utf-8") as stream:
                return json.load(stream)
        except FileNotFoundError:
            return []

    def write(self, names: Iterable[str]) -> None:
        """Let exactly ``names`` wait; none means that nothing does. The caller holds the host's lock."""
        names = sorted(set(names))
        if not names:
            self.acknowledge()
            return
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        temporary = f"{self._path}-new"
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(names, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, self._path)

    def acknowledge(self) -> None:
        """The service runs with what was changed."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
