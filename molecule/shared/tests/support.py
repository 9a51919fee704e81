# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host tests share: the rows they make, the host's journal, and patience."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import typing as t

import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation

STRANGER = "stranger@elsewhere.example"

_TRANSFER_PORTS = (25, 465, 587)

_T = t.TypeVar("_T")


def eventually(attempt: t.Callable[[], _T], within: float = 60.0, pause: float = 0.5) -> _T:
    """The result of the first attempt that raises neither a `ConversationError` nor an `AssertionError`.

    Args:
        within: seconds after which the last error is raised
        pause: seconds between attempts
    """
    end = time.monotonic() + within
    while True:
        try:
            return attempt()
        except (conversation.ConversationError, AssertionError):
            if time.monotonic() >= end:
                raise
        time.sleep(pause)


def refusal(attempt: t.Callable[..., object], *arguments: t.Any, **keywords: t.Any) -> conversation.Refused:
    """Make a call that the host must refuse, and return its refusal."""
    try:
        outcome = attempt(*arguments, **keywords)
    except conversation.Refused as refused:
        return refused
    raise AssertionError(f"not refused: {outcome}")


def address(host: testinfra.host.Host) -> str:
    """Where a host is reached from outside."""
    return host.check_output("hostname --all-ip-addresses").split()[0]


@dataclasses.dataclass(frozen=True)
class MailService(conversation.MailHost):
    """A service of one name on one host or two: mail is handed in at ``address``, and read at ``store_address``."""

    store_address: str = ""

    def connect(self, port: int) -> socket.socket:
        at = self.address if port in _TRANSFER_PORTS else self.store_address
        return socket.create_connection((at, port), timeout=self.timeout)


@dataclasses.dataclass(frozen=True)
class Account:
    """A user of the test's own making."""

    email: str
    password: str


class Directory:
    """Domains, users and forwardings that only this run of the tests uses, all with generated names and passwords."""

    def __init__(self) -> None:
        run = secrets.token_hex(4)
        self.domain = f"hosted-{run}.test"
        self.catch_all_domain = f"catchall-{run}.test"
        self.redirected_domain = f"old-{run}.test"
        self.disabled_domain = f"disabled-{run}.test"
        self.users: list[dict[str, t.Any]] = []
        self.ann = self._user("ann")
        self.bob = self._user("bob")
        self.tutor = self._user("user")
        self.zoe = self._user("zoe", domain=self.catch_all_domain)
        self.never_got_mail = {name: self._user(f"first-{name}") for name in ("imap", "pop3", "webmail")}
        self.disabled = self._user("disabled", enabled=False)
        self.in_disabled_domain = self._user("ann", domain=self.disabled_domain)
        self.without = {
            name: self._user(f"no-{name}", **{f"{name}_enabled": False}) for name in ("smtp", "imap", "pop3", "webmail")
        }

    def _user(self, name: str, domain: str = "", **columns: bool) -> Account:
        account = Account(f"{name}@{domain or self.domain}", secrets.token_urlsafe(18))
        self.users.append({"email": account.email, "password": account.password, **columns})
        return account

    def rows(self) -> dict[str, list[dict[str, t.Any]]]:
        """The operator's variables, as ``playbooks/directory.yml`` takes them."""
        return {
            "ispmail_domains": [
                {"domain": self.domain},
                {"domain": self.catch_all_domain},
                {"domain": self.redirected_domain},
                {"domain": self.disabled_domain, "enabled": False},
            ],
            "ispmail_users": self.users,
            "ispmail_forwardings": [
                {"source": f"sales@{self.domain}", "destinations": [self.ann.email]},
                {"source": f"team@{self.domain}", "destinations": [self.ann.email, self.bob.email]},
                {"source": f"off@{self.domain}", "destinations": [self.ann.email], "enabled": False},
                {"source": f"@{self.catch_all_domain}", "destinations": [self.ann.email]},
                {"source": f"@{self.redirected_domain}", "destinations": [f"@{self.domain}"]},
            ],
        }


def run_playbook(inventory: str, playbook: str, variables: t.Mapping[str, t.Any], *options: str) -> str:
    """Run one of the collection's playbooks and return what it printed.

    The variables are passed in a file that only we can read.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(variables, file)
        file.flush()
        command = [
            str(pathlib.Path(sys.executable).with_name("ansible-playbook")),
            f"--inventory={inventory}",
            f"--extra-vars=@{file.name}",
            *options,
            playbook,
        ]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{playbook} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Journal:
    """The host's journal from a moment on."""

    def __init__(self, host: testinfra.host.Host) -> None:
        self._host = host
        shown = host.check_output("journalctl --lines=0 --show-cursor --quiet --no-pager")
        self._cursor = shown.rpartition("cursor: ")[2].strip()

    def text(self) -> str:
        """All lines since then, with their syslog identifiers, without time and host."""
        return self._host.check_output(
            "journalctl --quiet --no-pager --output=json --output-fields=SYSLOG_IDENTIFIER,SYSLOG_PID,MESSAGE"
            " --after-cursor=%s",
            self._cursor,
        )

    def lines(self) -> list[str]:
        """All lines since then as ``identifier: message``."""
        entries = [json.loads(line) for line in self.text().splitlines()]
        return [f"{entry.get('SYSLOG_IDENTIFIER', '')}: {entry.get('MESSAGE', '')}" for entry in entries]

    def wait_for(self, pattern: str, within: float = 30.0) -> re.Match[str]:
        """The first line's match of a regular expression.

        Args:
            within: seconds after which the test fails, with all lines
        """

        def search() -> re.Match[str]:
            lines = self.lines()
            for line in lines:
                match = re.search(pattern, line)
                if match:
                    return match
            raise AssertionError(f"no line matches {pattern} in:\n" + "\n".join(lines))

        return eventually(search, within)
