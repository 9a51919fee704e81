# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters do with mail that may pass."""

from __future__ import annotations

from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Directory, Journal


def test_clean_mail_is_scanned(mail_host: conversation.MailHost, directory: Directory, journal: Journal) -> None:
    token = conversation.new_token()
    ann = directory.ann
    conversation.send(mail_host, STRANGER, [ann.email], conversation.compose(STRANGER, [ann.email], token, "Hello."))
    received = conversation.wait_for_message(mail_host, ann.email, ann.password, token)
    assert "amavis" in received["X-Virus-Scanned"]
    assert received["X-Spam-Status"].startswith("No")
    journal.wait_for(rf"^amavis: .*Passed CLEAN .*<{STRANGER}> -> <{ann.email}>,.* Message-ID: <\S+@\S+>,.* Hits: ")


def test_submitted_mail_is_scanned(mail_host: conversation.MailHost, directory: Directory, journal: Journal) -> None:
    token = conversation.new_token()
    ann, bob = directory.ann, directory.bob
    message = conversation.compose(ann.email, [bob.email], token, "Hello.")
    conversation.submit(mail_host, ann.email, ann.password, ann.email, [bob.email], message)
    conversation.wait_for_message(mail_host, bob.email, bob.password, token)
    journal.wait_for(rf"^amavis: .*Passed CLEAN .*<{ann.email}> -> <{bob.email}>")


def test_spam_is_delivered_with_a_mark(mail_host: conversation.MailHost, directory: Directory) -> None:
    """The tutorial: D_PASS, "in any case a line X-Spam-Status is added", and a tag in the subject."""
    token = conversation.new_token()
    ann = directory.ann
    message = conversation.compose(STRANGER, [ann.email], token, conversation.gtube_line())
    conversation.send(mail_host, STRANGER, [ann.email], message)
    received = conversation.wait_for_message(mail_host, ann.email, ann.password, token)
    assert received["X-Spam-Status"].startswith("Yes")
    assert received["Subject"].startswith("***SPAM***")
