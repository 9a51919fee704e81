# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory on a real server."""

from __future__ import annotations

import subprocess
import tempfile
from typing import Any

from mariadb_hosts import Server, images


class Directory:
    """A database with the directory's tables on a server, and the modules that run there."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database

    def run(self, module: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """The result of a module; it may have failed."""
        return self.server.module(module, check, login_db=self.database, **arguments)

    def apply(self, module: str = "mail_directory", check: bool = False, **arguments: Any) -> dict[str, Any]:
        """The result of a module that must not fail."""
        result = self.run(module, check, **arguments)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, module: str = "mail_directory", **arguments: Any) -> str:
        """The message of a module that must fail and change nothing."""
        before = self.dump()
        result = self.run(module, **arguments)
        assert result.get("failed"), result
        assert not result.get("changed")
        assert self.dump() == before
        return result["msg"]

    def start(self, module: str = "mail_directory", **arguments: Any) -> subprocess.Popen:
        return self.server.start_module(module, login_db=self.database, **arguments)

    def put(self, name: str, text: str) -> dict[str, Any]:
        """Write a file on the host; returns the options that make mail_directory read it.

        As lists of options, thousands of rows would take the module minutes; the action plugin does not pass them so.
        """
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            images.podman("cp", file.name, f"{self.server.name}:/root/{self.database}-{name}")
        return {"src": f"/root/{self.database}-{name}", "remote_src": True}

    def rows(self, select: str) -> list[list[str]]:
        return [line.split("\t") for line in self.server.sql(select, self.database).splitlines()]

    def value(self, select: str) -> str:
        return self.rows(select)[0][0]

    def dump(self) -> str:
        return self.server.dump(self.database)
