# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A changed certificate is presented on every port, and nothing is restarted for it."""

from __future__ import annotations

import pathlib
import ssl
import subprocess
from collections.abc import Iterator

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import eventually, run_playbook

_FOLDER = "/etc/ssl/ispmail"
_UNITS = ("postfix", "apache2", "courier-imap", "courier-imap-ssl", "courier-pop", "courier-pop-ssl")
_PORTS = (465, 993, 995, 443)


@pytest.fixture
def old_pair_afterwards(host: testinfra.host.Host) -> Iterator[None]:
    """The other tests trust the pair that was there."""
    host.check_output(f"cp --archive {_FOLDER} /root/kept")
    yield
    host.check_output(f"cp --archive /root/kept/. {_FOLDER}/ && rm -r /root/kept && postfix reload")
    host.check_output("systemctl reload apache2")


def _started(host: testinfra.host.Host) -> dict[str, str]:
    show = "systemctl show --property=ActiveEnterTimestampMonotonic,MainPID --value %s"
    return {unit: host.check_output(show, unit) for unit in _UNITS}


def test_a_changed_certificate_is_loaded_without_a_restart(
    host: testinfra.host.Host,
    mail_host: conversation.MailHost,
    inventory: str,
    tmp_path: pathlib.Path,
    old_pair_afterwards: None,
) -> None:
    certificate, key = tmp_path / "new.pem", tmp_path / "new.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out",
         str(certificate), "-subj", "/CN=new", "-addext", f"subjectAltName=DNS:{mail_host.name}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    before = _started(host)

    files = {"certificate_source_file": str(certificate), "certificate_source_key_file": str(key)}
    run_playbook(inventory, "mailfleet.ispmail.site", files)

    wanted = certificate.read_text().strip()
    for port in _PORTS:

        def presented(port: int = port) -> None:
            assert ssl.get_server_certificate((mail_host.address, port), timeout=20).strip() == wanted, port

        eventually(presented)
    with conversation.SmtpSession(mail_host, security=conversation.STARTTLS, context=_trusting(certificate)) as session:
        assert session.extensions
    assert _started(host) == before


def _trusting(certificate: pathlib.Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))
