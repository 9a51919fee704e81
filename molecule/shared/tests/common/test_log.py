# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log lines that the tutorial promises, those of them that still exist."""

from __future__ import annotations

import re

from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import Directory, Journal


def test_the_sample_session_of_the_tutorial_leaves_its_lines(
    mail_host: conversation.MailHost, directory: Directory, journal: Journal
) -> None:
    """The dialog of the tutorial word for word, then the five lines of its log, and amavis's.

    What changed since 2004: amavis writes CLEAN after Passed and {RelayedInbound}, and other identifiers stand before
    some lines, because the message reaches the queue by way of the filter.
    """
    sender, user = "test@workaround.example", directory.tutor
    with conversation.SmtpSession(mail_host) as session:
        assert {"PIPELINING", "SIZE", "ETRN", "STARTTLS", "8BITMIME"} <= session.extensions
        sent = session.send(sender, [user.email], b"This is a test email.\r\n")
    assert sent.queue_id
    transcript = "\n".join(session.transcript)
    for pattern in (
        r"S: 220 \S+ ESMTP Postfix",
        r"S: 354 End data with <CR><LF>\.<CR><LF>",
        r"queued as \w+",
        r"S: 221 ",
    ):
        assert re.search(pattern, transcript), pattern

    journal.wait_for(r"^postfix/smtpd: connect from \S+\[[0-9.]+\]")
    journal.wait_for(r"^postfix/smtpd: \w+: client=\S+\[[0-9.]+\]")
    # Not empty: a message that comes without gets a Message-ID, as it did in 2004.
    journal.wait_for(r"^postfix/cleanup: \w+: message-id=<[^>]+>")
    journal.wait_for(rf"^postfix/qmgr: \w+: from=<{sender}>, size=\d+, nrcpt=1 \(queue active\)")
    delivered = journal.wait_for(
        rf"^postfix/virtual: (\w+): to=<{user.email}>, relay=virtual, delay=[0-9.]+,.*"
        r" status=sent \(delivered to maildir\)"
    )
    journal.wait_for(rf"^postfix/qmgr: {delivered.group(1)}: removed")
    # The tutorial's message has no header at all, which is held against it: CLEAN, SPAMMY or BAD-HEADER, but Passed.
    journal.wait_for(rf"^amavis: \([0-9-]+\) Passed \S+ .*<{sender}> -> <{user.email}>,.* Hits: [0-9.-]+")


def test_an_infected_message_leaves_its_line(
    mail_host: conversation.MailHost, directory: Directory, journal: Journal
) -> None:
    sender = "test@workaround.example"
    message = conversation.compose(sender, [directory.ann.email], "infected", conversation.eicar_signature().decode())
    try:
        conversation.send(mail_host, sender, [directory.ann.email], message)
    except conversation.Refused as refused:
        assert refused.command == "the message"
    journal.wait_for(rf"^amavis: .*INFECTED \(.*Eicar.*\).*<{sender}> -> <{directory.ann.email}>")
