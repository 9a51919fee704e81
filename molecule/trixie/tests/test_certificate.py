# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A changed certificate is presented on every port, and nothing is restarted for it."""

from __future__ import annotations

import pathlib
import ssl
import subprocess
from collections.abc import Iterator, Mapping

import pytest
import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import eventually, run_playbook

_FOLDER = "/etc/ssl/ispmail"
_UNITS = ("postfix", "apache2", "courier-imap", "courier-imap-ssl", "courier-pop", "courier-pop-ssl")
_PORTS = (465, 993, 995, 443)


@pytest.fixture
def old_pair(host: testinfra.host.Host) -> Iterator[str]:
    """Command that puts the pair back that was there, and that the other tests trust."""
    host.check_output(f"cp --archive {_FOLDER} /root/kept")
    put_back = f"cp --archive /root/kept/. {_FOLDER}/"
    yield put_back
    host.check_output(f"{put_back} && rm -r /root/kept && postfix reload && systemctl reload apache2")


def _started(host: testinfra.host.Host) -> dict[str, str]:
    show = "systemctl show --property=ActiveEnterTimestampMonotonic,MainPID --value %s"
    return {unit: host.check_output(show, unit) for unit in _UNITS}


def _wait_until_presented(mail_host: conversation.MailHost, certificate: str) -> None:
    for port in _PORTS:

        def presented(port: int = port) -> None:
            found = ssl.get_server_certificate((mail_host.address, port), timeout=20)
            assert found.strip() == certificate.strip(), port

        eventually(presented)
    context = ssl.create_default_context(cadata=certificate)
    with conversation.SmtpSession(mail_host, security=conversation.STARTTLS, context=context) as session:
        assert session.extensions


def test_a_changed_certificate_is_loaded_without_a_restart(
    host: testinfra.host.Host,
    mail_host: conversation.MailHost,
    inventory: str,
    tmp_path: pathlib.Path,
    old_pair: str,
) -> None:
    certificate, key = tmp_path / "new.pem", tmp_path / "new.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out",
         str(certificate), "-subj", "/CN=new", "-addext", f"subjectAltName=DNS:{mail_host.name}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    before = _started(host)

    def site(variables: Mapping[str, str]) -> str:
        return run_playbook(inventory, "mailfleet.ispmail.site", variables, "--tags=certificate")

    site({"certificate_source_file": str(certificate), "certificate_source_key_file": str(key)})
    _wait_until_presented(mail_host, certificate.read_text())

    # As a program on the host does that renews certificates by itself.
    host.check_output(old_pair)
    assert "changed=0" not in site({})
    _wait_until_presented(mail_host, host.file(f"{_FOLDER}/fullchain.pem").content_string)
    assert "changed=0" in site({})
    assert _started(host) == before
