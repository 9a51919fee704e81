# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The webmail: the users' address and password open it, over HTTPS only."""

from __future__ import annotations

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Account, Directory, Journal, refusal

PATH = "/webmail"


def test_login_list_read_and_logout(mail_host: conversation.MailHost, directory: Directory) -> None:
    ann = directory.ann
    subject, body = conversation.new_token(), conversation.new_token()
    conversation.send(mail_host, STRANGER, [ann.email], conversation.compose(STRANGER, [ann.email], subject, body))
    conversation.wait_for_message(mail_host, ann.email, ann.password, subject)
    with conversation.WebmailSession(mail_host, PATH, ann.email, ann.password) as session:
        (entry,) = [entry for entry in session.folder() if subject in entry.columns]
        assert body in session.read(entry)
        session.logout()
        assert session.ended


def test_sending(mail_host: conversation.MailHost, directory: Directory, journal: Journal) -> None:
    """sqwebmail as Debian ships it cannot send through Postfix. What it sends is scanned too."""
    ann, bob = directory.ann, directory.bob
    token = conversation.new_token()
    with conversation.WebmailSession(mail_host, PATH, ann.email, ann.password) as session:
        session.send(ann.email, bob.email, token, "Hello from the web.")
    received = conversation.wait_for_message(mail_host, bob.email, bob.password, token)
    assert ann.email in received["From"]
    assert "Hello from the web." in conversation.text_of(received)
    journal.wait_for(rf"^amavis: .*Passed CLEAN .*<{ann.email}> -> <{bob.email}>")


def test_the_first_login_comes_before_the_first_mail(mail_host: conversation.MailHost, directory: Directory) -> None:
    account = directory.never_got_mail["webmail"]
    with conversation.WebmailSession(mail_host, PATH, account.email, account.password) as session:
        assert session.folder() == []


def test_wrong_passwords_and_disabled_users_are_refused(mail_host: conversation.MailHost, directory: Directory) -> None:
    for account in (Account(directory.ann.email, "wrong"), directory.disabled, directory.without["webmail"]):
        refusal(conversation.WebmailSession, mail_host, PATH, account.email, account.password)


@pytest.mark.parametrize("target", [PATH, "/", "/cgi-bin/sqwebmail"])
def test_http_leads_to_https(mail_host: conversation.MailHost, target: str) -> None:
    answer = conversation.http_get(mail_host, target, conversation.PLAIN)
    assert answer.status in (301, 302, 307, 308)
    assert answer.headers["location"].startswith(f"https://{mail_host.name}")


def test_the_session_is_not_in_the_access_log(
    mail_host: conversation.MailHost, store: testinfra.host.Host, directory: Directory
) -> None:
    """The session is a part of the address: who reads it in a log reads the mail."""
    with conversation.WebmailSession(mail_host, PATH, directory.ann.email, directory.ann.password) as session:
        session.folder()
        found = store.run("grep --recursive --files-with-matches /login/ /var/log/apache2")
    assert found.stdout == ""
