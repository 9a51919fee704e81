#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tutorial's own test of a mail host, held for the user's eyes.

    tour.py FACTS

FACTS is a JSON file about a running host with these keys; the tour adds ``users`` to it (and makes it readable by its
owner only, because it then holds their passwords):

    address        IPv4 address of the host
    hostname       its fully qualified name, for which its certificate was made
    container      its name for tests/hosts/testhosts.py
    inventory      path of an inventory in which it is in all four groups
    ca_file        path of the certificate that its clients trust
    webmail_url    where the webmail is, such as https://192.0.2.1/webmail

The collection is found as Ansible finds it (ANSIBLE_COLLECTIONS_PATH). Exits with 1 at the first thing that is not as
it should be, after saying what that was.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import textwrap
import time
import typing as t
import urllib.parse

from ansible.plugins.loader import init_plugin_loader

# Before anything is imported from the collection, which need not be on Python's own path.
init_plugin_loader()

from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation

_DOMAIN = "virtual.test"
_SENDER = "test@workaround.example"
_TESTHOSTS = pathlib.Path(__file__).resolve().parents[1] / "hosts/testhosts.py"


class Surprise(Exception):
    """Something that a healthy host would not do."""


class Tour:
    """One conversation after another with the host, each printed as it goes.

    Args:
        facts: see the module's docstring
    """

    def __init__(self, facts: dict[str, t.Any]) -> None:
        self.facts = facts
        self.host = conversation.MailHost(facts["address"], facts["hostname"], facts["ca_file"])
        self.proven: list[str] = []
        known = {user["email"]: user["password"] for user in facts.get("users", [])}
        # The same host keeps its passwords when the tour is held again.
        self.users = {
            email: known.get(email) or secrets.token_urlsafe(12) for email in (f"user@{_DOMAIN}", f"friend@{_DOMAIN}")
        }
        self.user, self.friend = self.users

    def rows(self) -> None:
        """Create the domain and its users as an operator does."""
        self._title(f"The rows: {_DOMAIN}, {self.user} and {self.friend}, through the collection's modules")
        rows = {
            "ispmail_domains": [{"domain": _DOMAIN}],
            "ispmail_users": [{"email": email, "password": password} for email, password in self.users.items()],
            "ispmail_forwardings": [{"source": f"postmaster@{_DOMAIN}", "destinations": [self.user]}],
        }
        # A file of mode 0600, so that no password is in the list of processes.
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(rows, file)
            file.flush()
            shown = [
                "ansible-playbook",
                "-i",
                self.facts["inventory"],
                "mailfleet.ispmail.directory",
                "-e",
                "@rows.json",
            ]
            self._say("$ " + " ".join(shown))
            command = [str(pathlib.Path(sys.executable).with_name(shown[0])), *shown[1:-1], f"@{file.name}"]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Surprise(f"the playbook failed:\n{done.stdout}\n{done.stderr}")
        self._say(*[line for line in done.stdout.splitlines() if "ok=" in line])

    def delivery(self) -> str:
        """The tutorial's SMTP dialog, its log line, and the message over IMAPS and POP3S; returns the subject."""
        self._title(f"A stranger sends a message to {self.user}: SMTP, port 25")
        subject = f"This is a test email ({conversation.new_token()})"
        message = conversation.compose(_SENDER, [self.user], subject, "It came from outside.\n")
        with conversation.SmtpSession(self.host) as session:
            session.send(_SENDER, [self.user], message)
        self._say(*session.transcript)

        self._title("What the host's log says")
        identifier = re.escape(message["Message-ID"].strip("<>"))
        queued = self._log_line(rf"cleanup\[\d+\]: (\w+): message-id=<{identifier}>")
        queue_id = queued.group(1)
        delivered = self._log_line(rf"{queue_id}: to=<{self.user}>.*status=sent \(delivered to maildir\)")
        self._say(queued.string, delivered.string)
        self.proven.append("mail from outside is scanned and delivered: status=sent (delivered to maildir)")

        for protocol, port in (("imap", 993), ("pop3", 995)):
            self._title(f"{self.user} fetches it: {protocol.upper()}S, port {port}")
            received = conversation.wait_for_message(
                self.host, self.user, self.users[self.user], subject, protocol=protocol
            )
            for header in ("From", "Subject", "X-Virus-Scanned", "X-Spam-Status"):
                if header in received:
                    self._say(f"{header}: {received[header]}")
            self._say("", *conversation.text_of(received).splitlines())
        self.proven.append("it is fetched over IMAPS and POP3S, the certificate verified")
        return subject

    def submission(self) -> None:
        """An authenticated session on 587, and what is refused there and on 25."""
        self._title(f"{self.user} writes to {self.friend}: submission, port 587, STARTTLS, AUTH")
        subject = conversation.new_token()
        message = conversation.compose(self.user, [self.friend], subject, "Hello, friend.\n")
        with conversation.SmtpSession(self.host, security=conversation.STARTTLS) as session:
            session.login(self.user, self.users[self.user])
            session.send(self.user, [self.friend], message)
        self._say(*session.transcript)
        conversation.wait_for_message(self.host, self.friend, self.users[self.friend], subject)
        self._say(f"(arrived in the mailbox of {self.friend})")
        self.proven.append("users send from authenticated submission sessions")

        self._title("What is refused")
        refusals = [
            ("a wrong password", self._refused(self._login_with_wrong_password)),
            ("relaying for a stranger", self._refused(self._relay)),
            ("an unknown user", self._refused(self._send_to, f"nonexisting@{_DOMAIN}")),
        ]
        for what, refused in refusals:
            self._say(f"{what}: {refused.code} {refused.enhanced} {refused.text}")
            if refused.temporary:
                raise Surprise(f"{what} was refused only for now")
        self.proven.append("wrong passwords, foreign relaying and unknown users are refused")

    def virus(self) -> None:
        """EICAR's test file: refused while the sender is connected, or with the after-queue profile not delivered."""
        self._title("A message with a virus (EICAR's harmless test file)")
        message = conversation.compose(_SENDER, [self.user], "Look!", conversation.eicar_signature().decode())
        with conversation.SmtpSession(self.host) as session:
            refused = self._refused(session.send, _SENDER, [self.user], message)
        self._say(*session.transcript[-7:])
        if refused.code != 554:
            raise Surprise(f"the virus was answered with {refused.code}")
        self.proven.append(f"a virus is refused while its sender is connected: {refused.code} {refused.enhanced}")

    def webmail(self, subject: str) -> None:
        """Log in, find the message, read it, log out."""
        self._title(f"{self.user} opens the webmail: {self.facts['webmail_url']}")
        path = urllib.parse.urlsplit(self.facts["webmail_url"]).path
        with conversation.WebmailSession(self.host, path, self.user, self.users[self.user]) as session:
            entries = session.folder()
            for entry in entries[:5]:
                self._say("INBOX: " + " | ".join(entry.columns))
            wanted = [entry for entry in entries if any(subject[:30] in column for column in entry.columns)]
            if not wanted or "It came from outside." not in session.read(wanted[0]):
                raise Surprise(f"the message is not in the webmail's list: {entries}")
        self._say("(opened and read the message, logged out)")
        self.proven.append("the webmail shows it, behind HTTPS")

    def summary(self) -> None:
        """What was proven, where things are, how to go on."""
        address, name = self.facts["address"], self.facts["hostname"]
        lines = [
            "",
            "=" * 78,
            "Proven on this host:",
            *[f"  * {item}" for item in self.proven],
            "",
            f"  Host      {name}, {address} (SMTP 25, submission 587 and 465, IMAP 143 and 993, POP3 110 and 995)",
            f"  Webmail   {self.facts['webmail_url']}",
            f"            (self-signed for {name}; trust {self.facts['ca_file']}, or accept the warning)",
            f"  Login     {self.user}",
            f"  Password  {self.users[self.user]}",
            "",
            "How to go on:",
            "  * more rows: write ispmail_domains, ispmail_users, ispmail_forwardings into a file, then",
            "    .demo/ansible-playbook mailfleet.ispmail.directory -e @file.yml",
            f"  * a shell on the host: .demo/run podman exec -it {self.facts['container']} bash",
            "  * its log, in that shell: journalctl",
            '  * your own server: README.md, "On your own server"',
            "  * remove this host: make demo-stop",
        ]
        print("\n".join(lines))

    def _login_with_wrong_password(self) -> None:
        with conversation.SmtpSession(self.host, security=conversation.TLS) as session:
            session.login(self.user, "not the password")

    def _relay(self) -> None:
        self._send_to("someone@faraway.example")

    def _send_to(self, recipient: str) -> None:
        with conversation.SmtpSession(self.host) as session:
            session.mail(_SENDER)
            session.rcpt(recipient)

    @staticmethod
    def _refused(attempt: t.Callable[..., object], *arguments: t.Any) -> conversation.Refused:
        try:
            attempt(*arguments)
        except conversation.Refused as refused:
            return refused
        raise Surprise(f"accepted, but should have been refused: {attempt.__name__}")

    def _log_line(self, pattern: str, within: float = 20.0) -> re.Match[str]:
        """The line of the host's journal that matches, as soon as it is there."""
        command = [sys.executable, str(_TESTHOSTS), "exec", self.facts["container"]]
        command += ["journalctl", "--boot", "--quiet", "--no-pager", "--lines=500", "--identifier=postfix/cleanup"]
        command += ["--identifier=postfix/virtual", "--identifier=postfix/10025/smtpd"]
        end = time.monotonic() + within
        while True:
            log = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for line in log.splitlines():
                match = re.search(rf".*{pattern}.*", line)
                if match:
                    return match
            if time.monotonic() >= end:
                raise Surprise(f"no line of the log matches {pattern}")
            time.sleep(0.5)

    @staticmethod
    def _title(text: str) -> None:
        print(f"\n--- {text}", flush=True)

    @staticmethod
    def _say(*lines: str) -> None:
        for line in lines:
            print(textwrap.indent(line, "    "), flush=True)


def hold(path: pathlib.Path) -> None:
    """Hold the tour for the host that a file of facts describes, and add the users to the file."""
    tour = Tour(json.loads(path.read_text()))
    tour.rows()
    tour.facts["users"] = [{"email": email, "password": password} for email, password in tour.users.items()]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        json.dump(tour.facts, file, indent=2)
        file.write("\n")
    subject = tour.delivery()
    tour.submission()
    tour.virus()
    tour.webmail(subject)
    tour.summary()


def main() -> int:
    """The command line."""
    if len(sys.argv) != 2:
        print("usage: tour.py FACTS", file=sys.stderr)
        return 2
    try:
        hold(pathlib.Path(sys.argv[1]))
    except (Surprise, conversation.ConversationError, subprocess.CalledProcessError) as error:
        print(f"tour.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
