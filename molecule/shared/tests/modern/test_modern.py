# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modern profile: passwords only inside TLS, senders own their addresses, viruses are refused at the door."""

from __future__ import annotations

import typing as t

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Directory, Journal, eventually, refusal


@pytest.mark.parametrize("security", [conversation.PLAIN, conversation.STARTTLS])
def test_no_authentication_on_25(mail_host: conversation.MailHost, directory: Directory, security: str) -> None:
    with conversation.SmtpSession(mail_host, port=25, security=security) as session:
        assert session.auth_mechanisms == frozenset()
        refused = refusal(session.login, directory.ann.email, directory.ann.password)
    assert refused.code in (502, 503)


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_login_without_tls_is_refused(mail_host: conversation.MailHost, directory: Directory, protocol: str) -> None:
    refusal(
        conversation.fetch,
        mail_host,
        directory.ann.email,
        directory.ann.password,
        protocol=protocol,
        security=conversation.PLAIN,
    )


def test_only_mechanisms_that_work_with_hashes_are_offered(mail_host: conversation.MailHost) -> None:
    for security in (conversation.STARTTLS, conversation.TLS):
        with conversation.SmtpSession(mail_host, security=security) as session:
            assert session.auth_mechanisms == {"PLAIN", "LOGIN"}


def test_passwords_are_stored_hashed(database: testinfra.host.Host, directory: Directory) -> None:
    query = "mariadb --batch --skip-column-names provider --execute='SELECT password FROM users'"
    stored = database.check_output(query).split()
    assert stored
    assert all(value.startswith("$") for value in stored)


@pytest.mark.parametrize("security", [conversation.STARTTLS, conversation.TLS])
def test_a_sender_must_own_the_address(mail_host: conversation.MailHost, directory: Directory, security: str) -> None:
    """His own address, and those that forward to him."""
    with conversation.SmtpSession(mail_host, security=security) as session:
        session.login(directory.ann.email, directory.ann.password)
        refused = refusal(session.send, directory.bob.email, [directory.bob.email], b"")
        assert (refused.code, refused.enhanced) == (553, "5.7.1")
        session.mail(f"sales@{directory.domain}")
        assert session.rcpt(directory.bob.email).code == 250


def infected(directory: Directory, sender: str, token: str) -> t.Any:
    return conversation.compose(sender, [directory.bob.email], token, conversation.eicar_signature().decode())


def test_a_virus_is_refused_while_the_sender_is_connected(
    mail_host: conversation.MailHost, directory: Directory, journal: Journal
) -> None:
    token = conversation.new_token()
    bob = directory.bob
    refused = refusal(conversation.send, mail_host, STRANGER, [bob.email], infected(directory, STRANGER, token))
    assert (refused.command, refused.code, refused.enhanced) == ("the message", 554, "5.7.0")
    assert "INFECTED" in refused.text
    journal.wait_for(r"^amavis: .*Blocked INFECTED")
    # Nothing is in the queue that could become a bounce to a forged sender.
    assert [line for line in journal.lines() if f"from=<{STRANGER}>, size=" in line] == []
    assert conversation.fetch(mail_host, bob.email, bob.password, token) == []


@pytest.mark.parametrize("security", [conversation.STARTTLS, conversation.TLS])
def test_a_virus_is_refused_on_submission_too(
    mail_host: conversation.MailHost, directory: Directory, security: str
) -> None:
    ann, bob = directory.ann, directory.bob
    message = infected(directory, ann.email, conversation.new_token())
    refused = refusal(
        conversation.submit, mail_host, ann.email, ann.password, ann.email, [bob.email], message, security
    )
    assert (refused.command, refused.code) == ("the message", 554)


def test_an_attached_virus_is_found(mail_host: conversation.MailHost, directory: Directory) -> None:
    message = conversation.compose(STRANGER, [directory.bob.email], "a file", "See the attachment.")
    message.add_attachment(
        conversation.eicar_signature(), maintype="application", subtype="octet-stream", filename="letter.bin"
    )
    assert refusal(conversation.send, mail_host, STRANGER, [directory.bob.email], message).code == 554


def test_without_the_scanner_mail_is_deferred_and_then_returns(
    mail_host: conversation.MailHost, host: testinfra.host.Host, directory: Directory
) -> None:
    bob = directory.bob
    token = conversation.new_token()
    message = conversation.compose(STRANGER, [bob.email], token, "Hello.")
    host.check_output("systemctl stop clamav-daemon.socket clamav-daemon.service")
    try:
        refused = refusal(conversation.send, mail_host, STRANGER, [bob.email], message)
        assert refused.command == "the message"
        assert refused.code == 451
        assert conversation.fetch(mail_host, bob.email, bob.password, token) == []
    finally:
        host.check_output("systemctl start clamav-daemon.socket clamav-daemon.service")
    # The sender tries again, as senders do.
    eventually(lambda: conversation.send(mail_host, STRANGER, [bob.email], message), 60)
    conversation.wait_for_message(mail_host, bob.email, bob.password, token)
