# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tutorial's profile: what clients of 2004 need still works, without the backscatter of 2004."""

from __future__ import annotations

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Directory, Journal, eventually, refusal

MECHANISMS = {"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"}


def test_authentication_is_offered_on_25_as_in_the_sample_session(mail_host: conversation.MailHost) -> None:
    with conversation.SmtpSession(mail_host) as session:
        assert session.auth_mechanisms == MECHANISMS
    # For "some broken mail clients like Microsoft Outlook".
    assert any(line.startswith(("S: 250-AUTH=", "S: 250 AUTH=")) for line in session.transcript)


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
def test_every_mechanism_of_the_tutorial_works(
    mail_host: conversation.MailHost, directory: Directory, mechanism: str
) -> None:
    ann, bob = directory.ann, directory.bob
    with conversation.SmtpSession(mail_host) as session:
        assert refusal(session.login, ann.email, bob.password, mechanism).code == 535
        session.login(ann.email, ann.password, mechanism)
        session.mail(ann.email)
        assert session.rcpt("someone@faraway.example").code == 250
    token = conversation.new_token()
    message = conversation.compose(ann.email, [bob.email], token, "Hello.")
    conversation.submit(
        mail_host, ann.email, ann.password, ann.email, [bob.email], message, conversation.STARTTLS, mechanism
    )
    conversation.wait_for_message(mail_host, bob.email, bob.password, token)


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_login_without_tls_is_possible(mail_host: conversation.MailHost, directory: Directory, protocol: str) -> None:
    conversation.fetch(
        mail_host, directory.ann.email, directory.ann.password, protocol=protocol, security=conversation.PLAIN
    )


def test_passwords_are_stored_in_the_clear(host: testinfra.host.Host, directory: Directory) -> None:
    """What CRAM-MD5 and DIGEST-MD5 need."""
    stored = host.check_output("mariadb --batch --skip-column-names provider --execute='SELECT password FROM users'")
    assert directory.ann.password in stored.split()


def test_a_virus_is_neither_delivered_nor_bounced(
    mail_host: conversation.MailHost, directory: Directory, journal: Journal
) -> None:
    """Filtered after the queue, a reject would become a bounce to a forged sender."""
    bob = directory.bob
    token = conversation.new_token()
    message = conversation.compose(STRANGER, [bob.email], token, conversation.eicar_signature().decode())
    queue_id = conversation.send(mail_host, STRANGER, [bob.email], message).queue_id
    journal.wait_for(rf"^amavis: .*Blocked INFECTED .*<{STRANGER}> -> <{bob.email}>")
    journal.wait_for(rf"^postfix/qmgr: {queue_id}: removed")
    log = "\n".join(journal.lines())
    assert "status=bounced" not in log
    assert f"to=<{STRANGER}>" not in log
    assert "from=<>" not in log
    assert conversation.fetch(mail_host, bob.email, bob.password, token) == []


def test_without_the_scanner_mail_waits_in_the_queue(
    mail_host: conversation.MailHost, host: testinfra.host.Host, directory: Directory, journal: Journal
) -> None:
    bob = directory.bob
    token = conversation.new_token()
    message = conversation.compose(STRANGER, [bob.email], token, "Hello.")
    host.check_output("systemctl stop clamav-daemon.socket clamav-daemon.service")
    try:
        queue_id = conversation.send(mail_host, STRANGER, [bob.email], message).queue_id
        journal.wait_for(rf"{queue_id}: to=<{bob.email}>.* status=deferred", 60)
        assert conversation.fetch(mail_host, bob.email, bob.password, token) == []
    finally:
        host.check_output("systemctl start clamav-daemon.socket clamav-daemon.service")

    def delivered() -> None:
        host.check_output("postqueue -i %s", queue_id)
        conversation.wait_for_message(mail_host, bob.email, bob.password, token, 5)

    eventually(delivered, 90)
