# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail from outside reaches the mailboxes that the rows name, and no others."""

from __future__ import annotations

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Account, Directory, Journal, refusal


def deliver(mail_host: conversation.MailHost, *recipients: str) -> str:
    """Send a message from a stranger and return the token in it."""
    token = conversation.new_token()
    conversation.send(mail_host, STRANGER, recipients, conversation.compose(STRANGER, recipients, token, "Hello."))
    return token


def arrives(mail_host: conversation.MailHost, account: Account, token: str) -> None:
    conversation.wait_for_message(mail_host, account.email, account.password, token)


def absent(mail_host: conversation.MailHost, account: Account, token: str) -> bool:
    """Whether the message is not there, asked when it has arrived elsewhere."""
    return not conversation.fetch(mail_host, account.email, account.password, token)


def test_plain_delivery(mail_host: conversation.MailHost, directory: Directory) -> None:
    token = deliver(mail_host, directory.ann.email)
    arrives(mail_host, directory.ann, token)
    assert absent(mail_host, directory.bob, token)


def test_the_case_of_an_address_does_not_matter(mail_host: conversation.MailHost, directory: Directory) -> None:
    arrives(mail_host, directory.ann, deliver(mail_host, directory.ann.email.upper()))


def test_an_address_that_is_not_ascii_is_unknown_not_a_failed_lookup(
    mail_host: conversation.MailHost, directory: Directory
) -> None:
    with conversation.SmtpSession(mail_host) as session:
        session.mail(STRANGER)
        assert refusal(session.rcpt, f"änn@{directory.domain}").code == 550


def test_a_message_handed_in_over_starttls(mail_host: conversation.MailHost, directory: Directory) -> None:
    token = conversation.new_token()
    message = conversation.compose(STRANGER, [directory.ann.email], token, "Hello.")
    conversation.send(mail_host, STRANGER, [directory.ann.email], message, conversation.STARTTLS)
    arrives(mail_host, directory.ann, token)


def test_a_bounce_with_the_null_sender_is_accepted(mail_host: conversation.MailHost, directory: Directory) -> None:
    token = conversation.new_token()
    message = conversation.compose(STRANGER, [directory.ann.email], token, "Undeliverable.")
    conversation.send(mail_host, "", [directory.ann.email], message)
    arrives(mail_host, directory.ann, token)


def test_forwarding(mail_host: conversation.MailHost, directory: Directory) -> None:
    arrives(mail_host, directory.ann, deliver(mail_host, f"sales@{directory.domain}"))


def test_forwarding_to_several_destinations(mail_host: conversation.MailHost, directory: Directory) -> None:
    token = deliver(mail_host, f"team@{directory.domain}")
    arrives(mail_host, directory.ann, token)
    arrives(mail_host, directory.bob, token)


def test_a_catch_all_leaves_mailboxes_alone(mail_host: conversation.MailHost, directory: Directory) -> None:
    token = deliver(mail_host, f"anybody@{directory.catch_all_domain}")
    arrives(mail_host, directory.ann, token)
    assert absent(mail_host, directory.zoe, token)
    token = deliver(mail_host, directory.zoe.email)
    arrives(mail_host, directory.zoe, token)
    assert absent(mail_host, directory.ann, token)


def test_a_whole_domain_is_redirected(mail_host: conversation.MailHost, directory: Directory) -> None:
    token = deliver(mail_host, f"bob@{directory.redirected_domain}")
    arrives(mail_host, directory.bob, token)
    assert absent(mail_host, directory.ann, token)


def test_an_unknown_user_is_refused_at_rcpt(
    mail_host: conversation.MailHost, directory: Directory, journal: Journal
) -> None:
    address = f"nonexisting@{directory.domain}"
    refused = refusal(deliver, mail_host, address)
    assert refused.command == f"RCPT TO:<{address}>"
    assert (refused.code, refused.enhanced) == (550, "5.1.1")
    # The tutorial's own line for it, in its section on what can go wrong.
    journal.wait_for(rf"NOQUEUE: reject: RCPT .*550 .*<{address}>: Recipient address rejected: User unknown in virtual")


def test_an_unknown_user_does_not_harm_the_other_recipients(
    mail_host: conversation.MailHost, directory: Directory
) -> None:
    token = conversation.new_token()
    with conversation.SmtpSession(mail_host) as session:
        session.mail(STRANGER)
        session.rcpt(directory.ann.email)
        assert refusal(session.rcpt, f"nonexisting@{directory.domain}").code == 550
        session.data(conversation.compose(STRANGER, [directory.ann.email], token, "Hello."))
    arrives(mail_host, directory.ann, token)


def test_a_disabled_forwarding_user_or_domain_gets_nothing(
    mail_host: conversation.MailHost, directory: Directory
) -> None:
    for address in (f"off@{directory.domain}", directory.disabled.email, directory.in_disabled_domain.email):
        refused = refusal(deliver, mail_host, address)
        assert refused.command.startswith("RCPT TO"), address
        assert refused.code in (550, 554), address


@pytest.mark.parametrize("sender", [STRANGER, "ann@hosted"])
def test_a_foreign_relay_is_refused(mail_host: conversation.MailHost, directory: Directory, sender: str) -> None:
    """Also for one who claims to be a user: an envelope sender proves nothing."""
    sender = directory.ann.email if sender.endswith("@hosted") else sender
    with conversation.SmtpSession(mail_host) as session:
        session.mail(sender)
        refused = refusal(session.rcpt, "someone@faraway.example")
    assert (refused.code, refused.enhanced) == (554, "5.7.1")


@pytest.mark.parametrize(
    "form", ["someone%faraway.example@{}", '"someone@faraway.example"@{}', "@{}:someone@faraway.example"]
)
def test_old_ways_to_write_a_relay_are_refused(
    mail_host: conversation.MailHost, host: testinfra.host.Host, directory: Directory, form: str
) -> None:
    """The percent hack and source routes (RFC 5321 appendix C and F.2), through a local and a hosted domain."""
    for domain in (host.check_output("hostname --fqdn"), directory.domain):
        with conversation.SmtpSession(mail_host) as session:
            session.mail(STRANGER)
            assert not refusal(session.rcpt, form.format(domain)).temporary
