# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users submit mail on 587 and 465 with their address and password, and nobody else does."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Account, Directory, refusal

SUBMISSION = [conversation.STARTTLS, conversation.TLS]


@pytest.mark.parametrize("security", SUBMISSION)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_user_submits_mail(
    mail_host: conversation.MailHost, directory: Directory, security: str, mechanism: str
) -> None:
    token = conversation.new_token()
    ann, bob = directory.ann, directory.bob
    message = conversation.compose(ann.email, [bob.email], token, "Hello.")
    conversation.submit(mail_host, ann.email, ann.password, ann.email, [bob.email], message, security, mechanism)
    conversation.wait_for_message(mail_host, bob.email, bob.password, token)


@pytest.mark.parametrize("security", SUBMISSION)
def test_a_user_may_send_anywhere(mail_host: conversation.MailHost, directory: Directory, security: str) -> None:
    with conversation.SmtpSession(mail_host, security=security) as session:
        session.login(directory.ann.email, directory.ann.password)
        session.mail(directory.ann.email)
        assert session.rcpt("someone@faraway.example").code == 250


@pytest.mark.parametrize("security", SUBMISSION)
def test_a_wrong_password_is_refused(mail_host: conversation.MailHost, directory: Directory, security: str) -> None:
    for account in (
        Account(directory.ann.email, "wrong"),
        Account(directory.ann.email, ""),
        Account(directory.ann.email, directory.bob.password),
        Account(f"nobody@{directory.domain}", "wrong"),
        Account("ann", directory.ann.password),
        Account(f"{directory.ann.email}' OR '1'='1", directory.ann.password),
    ):
        with conversation.SmtpSession(mail_host, security=security) as session:
            refused = refusal(session.login, account.email, account.password)
        assert (refused.code, refused.enhanced) == (535, "5.7.8"), account.email


def test_a_disabled_user_or_one_without_smtp_cannot_submit(
    mail_host: conversation.MailHost, directory: Directory
) -> None:
    for account in (directory.disabled, directory.without["smtp"], directory.in_disabled_domain):
        with conversation.SmtpSession(mail_host, security=conversation.TLS) as session:
            refused = refusal(session.login, account.email, account.password)
        assert refused.code == 535, account.email


def test_a_user_without_imap_can_submit(mail_host: conversation.MailHost, directory: Directory) -> None:
    account = directory.without["imap"]
    with conversation.SmtpSession(mail_host, security=conversation.TLS) as session:
        session.login(account.email, account.password)


def test_no_authentication_before_tls_on_587(mail_host: conversation.MailHost, directory: Directory) -> None:
    with conversation.SmtpSession(mail_host, port=587) as session:
        assert session.auth_mechanisms == frozenset()
        refused = refusal(session.login, directory.ann.email, directory.ann.password)
        assert not refused.temporary
        assert refusal(session.mail, directory.ann.email).code == 530


@pytest.mark.parametrize("security", SUBMISSION)
def test_submission_is_for_authenticated_users_only(
    mail_host: conversation.MailHost, directory: Directory, security: str
) -> None:
    with conversation.SmtpSession(mail_host, security=security) as session:
        refused = refusal(session.send, STRANGER, [directory.ann.email], b"")
    assert refused.code == 554
