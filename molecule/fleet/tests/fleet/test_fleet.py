# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds between the hosts of a fleet: who talks to whom, how, and what happens while one of them is away.

That mail comes in, is filtered, read and submitted is what the tests of a single machine prove of this fleet, too.
"""

from __future__ import annotations

import re
import subprocess
import sys
import typing as t

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import STRANGER, Directory, Journal, address, eventually, refusal

# Postfix leaves a database server that failed alone for 60 seconds (mysql_table(5), retry_interval).
RECOVERY = 150.0

# Public authorities, none of which signed the database's certificate.
OTHER_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"

# PyMySQL of the control node; run in a host's network, it comes from the host's address.
QUERY = """
import sys, pymysql, ssl
address, name, ca, user, password, query = sys.stdin.read().split("\\n")
context = ssl.create_default_context(cafile=ca) if ca else None
if context:
    context.check_hostname = False
try:
    with pymysql.connect(host=address, user=user, password=password, database="provider", connect_timeout=20,
                         ssl=context, ssl_disabled=not context) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        print(cursor.fetchall())
except pymysql.err.MySQLError as error:
    sys.exit(f"refused: {error.args[0]} {error.args[1]}")
"""


@pytest.fixture
def store_journal(store: testinfra.host.Host) -> Journal:
    return Journal(store)


@pytest.fixture
def store_itself(store: testinfra.host.Host, ca_file: str) -> conversation.MailHost:
    """The host of the mailboxes, as if it were the mail service."""
    return conversation.MailHost(address(store), store.check_output("hostname --fqdn"), ca_file)


@pytest.fixture(scope="session")
def password(host: testinfra.host.Host) -> str:
    """The password of Postfix's database account."""
    lines = host.file("/etc/postfix/mysql/domains.cf").content_string.splitlines()
    (line,) = [line for line in lines if line.startswith("password = ")]
    return line.partition(" = ")[2]


def send(mail_host: conversation.MailHost, *recipients: str) -> str:
    """Send a message from a stranger and return the token in it."""
    token = conversation.new_token()
    conversation.send(mail_host, STRANGER, recipients, conversation.compose(STRANGER, recipients, token, "Hello."))
    return token


def query(
    database: testinfra.host.Host, password: str, ca_file: str, statement: str, within: testinfra.host.Host | None
) -> subprocess.CompletedProcess[str]:
    """Log in to the database as Postfix, with TLS if a CA file is given, from a host's address or from outside."""
    command = [sys.executable, "-c", QUERY]
    if within is not None:
        container = within.backend.get_pytest_id().rpartition("/")[2]
        inspect = ["podman", "inspect", "--format", "{{.State.Pid}}", container]
        process = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()
        command = ["nsenter", f"--target={process}", "--net", *command]
    told = "\n".join([address(database), "", ca_file, "postfix", password, statement])
    return subprocess.run(command, input=told, capture_output=True, text=True, timeout=60, check=False)


def test_a_forwarding_is_followed_once_where_mail_comes_in(
    mail_host: conversation.MailHost, directory: Directory, journal: Journal, store_journal: Journal
) -> None:
    ann, bob = directory.ann, directory.bob
    token = send(mail_host, f"team@{directory.domain}")
    for account in (ann, bob):
        received = conversation.wait_for_message(mail_host, account.email, account.password, token)
        # The newest Received header is the store's: the last leg was encrypted.
        assert "(using TLSv1." in received.get_all("Received")[0]
        journal.wait_for(rf"^postfix/fleet/smtp: .*to=<{account.email}>, orig_to=<team@.*status=sent")
        line = store_journal.wait_for(rf"^postfix/virtual: .*to=<{account.email}>.*status=sent .*").group()
        assert "orig_to" not in line
        assert len(conversation.fetch(mail_host, account.email, account.password, token)) == 1


def test_a_forwarding_works_from_the_webmail(mail_host: conversation.MailHost, directory: Directory) -> None:
    ann, bob = directory.ann, directory.bob
    token = conversation.new_token()
    with conversation.WebmailSession(mail_host, "/webmail", bob.email, bob.password) as session:
        session.send(bob.email, f"sales@{directory.domain}", token, "Hello from the web.")
    conversation.wait_for_message(mail_host, ann.email, ann.password, token)


def test_the_store_takes_mail_of_the_transfer_host_only(
    store_itself: conversation.MailHost, directory: Directory
) -> None:
    for recipient in (directory.ann.email, "someone@faraway.example"):
        refused = refusal(send, store_itself, recipient)
        assert (refused.command, refused.code) == (f"RCPT TO:<{recipient}>", 554)


def test_the_store_offers_no_login_over_smtp(store_itself: conversation.MailHost) -> None:
    for security in (conversation.PLAIN, conversation.STARTTLS):
        with conversation.SmtpSession(store_itself, port=25, security=security) as session:
            assert session.auth_mechanisms == frozenset()
    for security in (conversation.STARTTLS, conversation.TLS):
        with pytest.raises(conversation.Unreachable):
            conversation.SmtpSession(store_itself, security=security)


def test_the_transfer_host_serves_no_mailboxes(host: testinfra.host.Host, directory: Directory, ca_file: str) -> None:
    itself = conversation.MailHost(address(host), host.check_output("hostname --fqdn"), ca_file)
    for protocol in ("imap", "pop3"):
        with pytest.raises(conversation.Unreachable):
            conversation.fetch(itself, directory.ann.email, directory.ann.password, protocol=protocol)


def test_the_database_takes_its_clients_over_tls_only(
    database: testinfra.host.Host, host: testinfra.host.Host, password: str, ca_file: str, directory: Directory
) -> None:
    statement = f"SELECT domain FROM domains WHERE domain = '{directory.domain}'"
    accepted = query(database, password, ca_file, statement, within=host)
    assert directory.domain in accepted.stdout, accepted.stderr
    refused = query(database, password, "", statement, within=host)
    assert refused.stdout == ""
    # ER_ACCESS_DENIED_ERROR, or ER_SECURE_TRANSPORT_REQUIRED
    assert refused.stderr.startswith(("refused: 1045 ", "refused: 3159 ")), refused.stderr


def test_the_database_knows_nobody_else(
    database: testinfra.host.Host, host: testinfra.host.Host, password: str, ca_file: str
) -> None:
    outside = query(database, password, ca_file, "SELECT 1", within=None)
    # ER_HOST_NOT_PRIVILEGED, or ER_ACCESS_DENIED_ERROR
    assert outside.stderr.startswith(("refused: 1130 ", "refused: 1045 ")), outside
    wrong = query(database, "wrong", ca_file, "SELECT 1", within=host)
    assert wrong.stderr.startswith("refused: 1045 "), wrong
    # What Postfix may not read: ER_COLUMNACCESS_DENIED_ERROR
    hashes = query(database, password, ca_file, "SELECT password FROM users", within=host)
    assert hashes.stderr.startswith("refused: 1143 "), hashes


def test_postfix_believes_no_other_database(host: testinfra.host.Host, directory: Directory) -> None:
    """With the authority of somebody else in its place the server's certificate proves nothing."""
    lookup = "postmap -q %s mysql:%s"
    maps = "/etc/postfix/mysql/domains.cf"
    assert host.check_output(lookup, directory.domain, maps) == directory.domain
    host.check_output(
        "umask 077; sed %s %s > /root/other.cf", f"s,^tls_CAfile = .*,tls_CAfile = {OTHER_CA_FILE},", maps
    )
    try:
        assert host.run(lookup, directory.domain, "/root/other.cf").rc != 0
    finally:
        host.check_output("rm /root/other.cf")


@pytest.mark.parametrize("where", ["host", "store"])
def test_the_authentication_daemon_believes_no_other_database(
    where: str, host: testinfra.host.Host, store: testinfra.host.Host, directory: Directory
) -> None:
    machine = {"host": host, "store": store}[where]
    machine.check_output("authtest %s", directory.ann.email)
    machine.check_output(
        "cp --archive /etc/courier/authmysqlrc /root/ &&"
        " sed --in-place %s /etc/courier/authmysqlrc && systemctl restart courier-authdaemon",
        f"s,^MYSQL_SSL_CACERT .*,MYSQL_SSL_CACERT {OTHER_CA_FILE},",
    )
    try:
        assert machine.run("authtest %s", directory.ann.email).rc != 0
    finally:
        machine.check_output("mv /root/authmysqlrc /etc/courier/authmysqlrc && systemctl restart courier-authdaemon")
        eventually(lambda: machine.check_output("authtest %s", directory.ann.email))


@pytest.fixture
def away(
    mail_host: conversation.MailHost, host: testinfra.host.Host, directory: Directory
) -> t.Iterator[t.Callable[[testinfra.host.Host, str], None]]:
    """Stops a service of a host for the rest of a test; afterwards everything works again."""
    stopped: list[tuple[testinfra.host.Host, str]] = []

    def stop(machine: testinfra.host.Host, unit: str) -> None:
        stopped.append((machine, unit))
        machine.check_output("systemctl stop %s", unit)

    yield stop
    for machine, unit in stopped:
        machine.check_output("systemctl start %s", unit)
    token = eventually(lambda: send(mail_host, directory.ann.email), RECOVERY)

    def arrived() -> None:
        host.check_output("postqueue -f")
        conversation.wait_for_message(mail_host, directory.ann.email, directory.ann.password, token, 5)

    eventually(arrived, RECOVERY)


def test_no_mail_is_lost_while_the_store_and_then_the_database_are_away(
    mail_host: conversation.MailHost,
    host: testinfra.host.Host,
    store: testinfra.host.Host,
    database: testinfra.host.Host,
    directory: Directory,
    journal: Journal,
    away: t.Callable[[testinfra.host.Host, str], None],
) -> None:
    ann = directory.ann
    away(store, "postfix")
    token = send(mail_host, ann.email)
    deferred = rf"^postfix/\S+: \w+: to=<{ann.email}>.* status=deferred"
    journal.wait_for(deferred)

    away(database, "mariadb")
    for recipient in (ann.email, f"nonexisting@{directory.domain}", f"sales@{directory.domain}"):
        refused = refusal(send, mail_host, recipient)
        assert (refused.command, refused.code) == (f"RCPT TO:<{recipient}>", 451)
    host.check_output("postqueue -f")

    def deferred_again() -> None:
        assert len([line for line in journal.lines() if re.match(deferred, line)]) > 1

    eventually(deferred_again)

    database.check_output("systemctl start mariadb")
    store.check_output("systemctl start postfix")

    def arrived() -> None:
        host.check_output("postqueue -f")
        conversation.wait_for_message(mail_host, ann.email, ann.password, token, 5)

    eventually(arrived, RECOVERY)
    assert [line for line in journal.lines() if "status=bounced" in line] == []
    assert len(conversation.fetch(mail_host, ann.email, ann.password, token)) == 1
