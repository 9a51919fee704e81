# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users fetch their mail over IMAP and POP3, also the very first time."""

from __future__ import annotations

import concurrent.futures
import dataclasses

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Account, Directory, refusal

PROTOCOLS = ["imap", "pop3"]
ENCRYPTED = [conversation.STARTTLS, conversation.TLS]


def refusals(mail_host: conversation.MailHost, attempts: list[tuple[Account, str, str]]) -> None:
    """Log in as each account over a protocol and a security, and be refused. At once: Courier waits 5 seconds.

    On a busy machine it was seen to wait for more than 30.
    """
    patient = dataclasses.replace(mail_host, timeout=120.0)

    def attempt(account: Account, protocol: str, security: str) -> None:
        refused = refusal(
            conversation.fetch, patient, account.email, account.password, protocol=protocol, security=security
        )
        assert "failed" in refused.text.lower() or "login" in refused.text.lower(), refused

    with concurrent.futures.ThreadPoolExecutor(len(attempts)) as pool:
        for done in [pool.submit(attempt, *arguments) for arguments in attempts]:
            done.result()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("security", ENCRYPTED)
def test_a_message_is_fetched(
    mail_host: conversation.MailHost, directory: Directory, protocol: str, security: str
) -> None:
    token = conversation.new_token()
    message = conversation.compose(STRANGER, [directory.bob.email], token, "Guten Tag, Grüße\n.\nEnde")
    conversation.send(mail_host, STRANGER, [directory.bob.email], message)
    received = conversation.wait_for_message(
        mail_host, directory.bob.email, directory.bob.password, token, 30, protocol, security
    )
    assert received["Subject"] == token
    assert conversation.text_of(received).splitlines() == ["Guten Tag, Grüße", ".", "Ende"]


def test_wrong_passwords_are_refused(mail_host: conversation.MailHost, directory: Directory) -> None:
    accounts = (
        Account(directory.bob.email, "wrong"),
        Account(f"nobody@{directory.domain}", "wrong"),
        Account(f"{directory.bob.email}' OR '1'='1", directory.bob.password),
    )
    refusals(
        mail_host,
        [(account, protocol, security) for account in accounts for protocol in PROTOCOLS for security in ENCRYPTED],
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_first_login_comes_before_the_first_mail(
    mail_host: conversation.MailHost, directory: Directory, protocol: str
) -> None:
    """The tutorial: "You cannot fetch emails from a mailbox unless at least one mail has been sent there"."""
    account = directory.never_got_mail[protocol]
    assert conversation.fetch(mail_host, account.email, account.password, protocol=protocol) == []
    token = conversation.new_token()
    conversation.send(
        mail_host, STRANGER, [account.email], conversation.compose(STRANGER, [account.email], token, "Welcome.")
    )
    conversation.wait_for_message(mail_host, account.email, account.password, token, 30, protocol)


def test_maildirs_are_those_of_the_tutorial(
    mail_host: conversation.MailHost, store: testinfra.host.Host, directory: Directory
) -> None:
    """/home/vmail/<address>/new/…, owned by 5000:5000, for no other account to read."""
    token = conversation.new_token()
    bob = directory.bob
    conversation.send(mail_host, STRANGER, [bob.email], conversation.compose(STRANGER, [bob.email], token, "Hello."))
    conversation.wait_for_message(mail_host, bob.email, bob.password, token)
    maildir = store.file(f"/home/vmail/{bob.email}")
    assert maildir.is_directory
    assert (maildir.uid, maildir.gid, maildir.mode & 0o077) == (5000, 5000, 0)
    found = store.check_output("grep --recursive --files-with-matches %s /home/vmail", token).splitlines()
    assert [path.rpartition("/")[0] for path in found] in (
        [f"/home/vmail/{bob.email}/new"],
        [f"/home/vmail/{bob.email}/cur"],
    )
    assert store.file(found[0]).mode & 0o077 == 0


def test_a_disabled_user_or_protocol_is_refused(mail_host: conversation.MailHost, directory: Directory) -> None:
    refusals(
        mail_host,
        [
            (account, protocol, conversation.TLS)
            for protocol in PROTOCOLS
            for account in (directory.disabled, directory.in_disabled_domain, directory.without[protocol])
        ],
    )


def test_a_switch_concerns_only_its_own_protocol(mail_host: conversation.MailHost, directory: Directory) -> None:
    for switched_off, protocol in (("imap", "pop3"), ("pop3", "imap"), ("webmail", "imap"), ("smtp", "pop3")):
        account = directory.without[switched_off]
        conversation.fetch(mail_host, account.email, account.password, protocol=protocol)
