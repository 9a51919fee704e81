# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a part is down, mail waits: nothing is refused for good, nobody is told that a password is wrong."""

from __future__ import annotations

import typing as t

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Directory, eventually, refusal

# Postfix leaves a database server that failed alone for 60 seconds (mysql_table(5), retry_interval).
RECOVERY = 150.0


def round_trip(mail_host: conversation.MailHost, directory: Directory) -> None:
    """Everything a user does once: submit, be delivered, fetch over IMAP and POP3, open the webmail."""
    ann, bob = directory.ann, directory.bob
    token = conversation.new_token()
    message = conversation.compose(ann.email, [bob.email], token, "Hello.")
    conversation.submit(mail_host, ann.email, ann.password, ann.email, [bob.email], message, conversation.TLS)
    conversation.wait_for_message(mail_host, bob.email, bob.password, token, protocol="imap")
    conversation.wait_for_message(mail_host, bob.email, bob.password, token, protocol="pop3")
    with conversation.WebmailSession(mail_host, "/webmail", bob.email, bob.password) as session:
        assert any(token in entry.columns for entry in session.folder())


@pytest.fixture
def without_database(
    mail_host: conversation.MailHost, host: testinfra.host.Host, directory: Directory
) -> t.Iterator[None]:
    host.check_output("systemctl stop mariadb")
    yield
    host.check_output("systemctl start mariadb")
    eventually(lambda: round_trip(mail_host, directory), RECOVERY)


@pytest.mark.usefixtures("without_database")
def test_without_the_database_everything_is_temporary_and_then_returns(
    mail_host: conversation.MailHost, directory: Directory
) -> None:
    ann = directory.ann
    for recipient in (ann.email, f"nonexisting@{directory.domain}", f"sales@{directory.domain}"):
        refused = refusal(conversation.send, mail_host, STRANGER, [recipient], b"")
        assert refused.temporary, refused
    for security in (conversation.STARTTLS, conversation.TLS):
        for password in (ann.password, "wrong"):
            with conversation.SmtpSession(mail_host, security=security) as session:
                refused = refusal(session.login, ann.email, password)
            assert (refused.code, refused.enhanced) == (454, "4.7.0"), refused
    for protocol in ("imap", "pop3"):
        with pytest.raises(conversation.ConversationError) as error:
            conversation.fetch(mail_host, ann.email, ann.password, protocol=protocol)
        # Not served at all, or told so: a client that reads "Login failed" asks its user for a new password.
        if isinstance(error.value, conversation.Refused):
            assert "temporary" in error.value.text.lower() or "unavailable" in error.value.text.lower(), error.value
