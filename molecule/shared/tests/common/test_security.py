# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stranger, and a local account without rights, must not find."""

from __future__ import annotations

import ipaddress
import ssl
import typing as t

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import Directory, Journal

TLS_SERVICES = [
    ("smtp", conversation.STARTTLS, 25),
    ("smtp", conversation.STARTTLS, 587),
    ("smtp", conversation.TLS, 465),
    ("imap", conversation.STARTTLS, None),
    ("imap", conversation.TLS, None),
    ("pop3", conversation.STARTTLS, None),
    ("pop3", conversation.TLS, None),
    ("http", conversation.TLS, None),
]


@pytest.mark.parametrize(("protocol", "security", "port"), TLS_SERVICES)
def test_tls_is_1_2_or_1_3(mail_host: conversation.MailHost, protocol: str, security: str, port: int | None) -> None:
    accepted = {
        version.name: conversation.accepts_tls(mail_host, protocol, security, version, port)
        for version in (
            ssl.TLSVersion.TLSv1,
            ssl.TLSVersion.TLSv1_1,
            ssl.TLSVersion.TLSv1_2,
            ssl.TLSVersion.TLSv1_3,
        )
    }
    assert accepted == {"TLSv1": False, "TLSv1_1": False, "TLSv1_2": True, "TLSv1_3": True}


def test_only_the_services_of_a_mail_host_listen_to_the_world(
    host: testinfra.host.Host, variables: dict[str, t.Any]
) -> None:
    listening = set()
    for line in host.check_output("ss --no-header --tcp --listening --numeric").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        bare = address.strip("[]").partition("%")[0]
        if bare == "*" or not ipaddress.ip_address(bare).is_loopback:
            listening.add(int(port))
    phpmyadmin = {8443} if variables.get("ispmail_phpmyadmin") else set()
    assert listening == {25, 80, 110, 143, 443, 465, 587, 993, 995} | phpmyadmin


def test_private_keys_and_passwords_are_not_for_everyone(host: testinfra.host.Host, directory: Directory) -> None:
    for pattern in ("PRIVATE KEY-----", r"^(password|sql_passwd|MYSQL_PASSWORD)\b.*[^[:space:]=:]$"):
        readable = host.run(
            "find /etc /home/vmail /var/lib/amavis /var/lib/mysql -type f -perm /o=r -size -1M"
            " -exec grep --files-with-matches --extended-regexp --binary-files=without-match -e %s {} +",
            pattern,
        )
        owned = [
            path for path in readable.stdout.splitlines() if not path.startswith(("/etc/ssl/certs/", "/etc/pam.d/"))
        ]
        assert owned == [], pattern


def test_the_certificates_key_is_for_root_and_the_daemons(host: testinfra.host.Host) -> None:
    key = host.file("/etc/ssl/ispmail/privkey.pem")
    assert (key.user, key.mode & 0o027) == ("root", 0)


def test_a_local_account_reads_neither_mail_nor_hashes(host: testinfra.host.Host, directory: Directory) -> None:
    for command in (
        f"ls /home/vmail/{directory.ann.email}",
        "ls /run/courier/authdaemon",
        "mariadb --execute='SELECT email, password FROM provider.users'",
        "mariadb --user=postfix --execute='SELECT email, password FROM provider.users'",
    ):
        done = host.run("runuser --user nobody -- sh -c %s", command)
        assert done.rc != 0, command
        assert directory.ann.email not in done.stdout, command


def test_postfix_check_has_nothing_to_say(host: testinfra.host.Host, journal: Journal) -> None:
    """Above all not the tutorial's "/var/spool/postfix/etc/hosts and /etc/hosts differ"."""
    done = host.run("postfix check")
    assert (done.rc, done.stdout, done.stderr) == (0, "", "")
    host.check_output("logger --tag end-of-check done")
    journal.wait_for("^end-of-check: done")
    assert [line for line in journal.lines() if line.startswith("postfix") and "warning" in line] == []


def test_no_unit_has_failed(host: testinfra.host.Host) -> None:
    assert host.check_output("systemctl list-units --failed --no-legend --plain") == ""
