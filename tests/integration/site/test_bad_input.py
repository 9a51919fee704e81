# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input stops the playbook before anything is changed, with one message that names option, value and remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_REPOSITORY = Path(__file__).resolve().parents[3]
_TESTHOSTS = [sys.executable, str(_REPOSITORY / "tests" / "hosts" / "testhosts.py")]
_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
_HOST = "ispmail-bad-input"
_FQDN = "mail.bad-input.test"
# Everything that the roles write to; /run and /tmp change by themselves.
_STATE = "dpkg-query -W; find /etc /home /usr/lib /var/lib /var/spool -newer /root/before ! -type d"

Site = Callable[..., str]


def _on_host(*argv: str) -> str:
    return subprocess.run(
        [*_TESTHOSTS, "exec", _HOST, *argv], capture_output=True, text=True, timeout=60, check=True
    ).stdout


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A bare host."""
    start = [*_TESTHOSTS, "start", _HOST, "--suite", "trixie", "--hostname", _FQDN]
    subprocess.run(start, check=True, timeout=900, stdout=subprocess.DEVNULL)
    _on_host("touch", "/root/before")
    yield _HOST
    subprocess.run([*_TESTHOSTS, "remove", _HOST], check=True, timeout=60)


@pytest.fixture
def refused(host: str, tmp_path: Path) -> Site:
    """Run the site playbook with variables; it must fail and leave the host as it was. Return what it printed."""

    def run(variables: dict[str, Any], groups: tuple[str, ...] = ("mail_db", "mail_transfer", "mail_store")) -> str:
        connection = {
            "ansible_connection": "containers.podman.podman",
            "ansible_python_interpreter": "/usr/bin/python3",
            "clamav_local_signatures": [{"name": "t.ndb", "src": str(_REPOSITORY / "tests" / "hosts" / "eicar.ndb")}],
            "clamav_freshclam_enabled": False,
        }
        inventory = {
            "all": {
                "vars": {**connection, **variables},
                "children": {group: {"hosts": {host: {}}} for group in groups},
            }
        }
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        before = _on_host("sh", "-c", _STATE)
        play = subprocess.run(
            [str(_PLAYBOOK), "-i", str(tmp_path / "inventory.json"), "mailfleet.ispmail.site"],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "ANSIBLE_PIPELINING": "1"},
            check=False,
        )
        assert play.returncode != 0, play.stdout
        assert _on_host("sh", "-c", _STATE) == before, play.stdout
        assert " changed=0 " in play.stdout or "PLAY RECAP" not in play.stdout, play.stdout
        return " ".join((play.stdout + play.stderr).split())

    return run


def _pair(folder: Path, name: str) -> tuple[str, str]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={_FQDN}",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    return str(certificate), str(key)


def test_unsupported_release(refused: Site) -> None:
    _on_host("sh", "-c", "cp -L /etc/os-release /root/kept; sed -i s/13/11/ /etc/os-release")
    _on_host("sh", "-c", "echo 11.11 >/etc/debian_version")
    _on_host("touch", "/root/before")
    try:
        said = refused({})
    finally:
        _on_host("sh", "-c", "cat /root/kept >/etc/os-release; echo 13.0 >/etc/debian_version; touch /root/before")
    assert f"{_HOST} runs Debian 11" in said
    assert "Use Debian 12 or 13." in said


@pytest.mark.parametrize("name", ["mail", "-mail.example.org", "mail.example..org", "mail_1.example.org"])
def test_host_name_that_is_not_fully_qualified(refused: Site, name: str) -> None:
    said = refused({"ispmail_hostname": name})
    assert f'"{name}\\" is not a fully qualified host name' in said or f'"{name}" is not a fully qualified' in said
    assert "Set ispmail_hostname" in said


def test_certificate_that_does_not_exist(refused: Site, tmp_path: Path) -> None:
    _, key = _pair(tmp_path, "real")
    said = refused({"certificate_source_file": "/nowhere/cert.pem", "certificate_source_key_file": key})
    assert "certificate_source_file" in said
    assert "/nowhere/cert.pem" in said
    assert "does not exist on the control node" in said


def test_key_of_another_certificate(refused: Site, tmp_path: Path) -> None:
    certificate, _ = _pair(tmp_path, "one")
    _, key = _pair(tmp_path, "other")
    said = refused({"certificate_source_file": certificate, "certificate_source_key_file": key})
    assert "is not the private key of certificate_source_file" in said
    assert "BEGIN" not in said


def test_certificate_without_its_key(refused: Site, tmp_path: Path) -> None:
    certificate, _ = _pair(tmp_path, "one")
    said = refused({"certificate_source_file": certificate})
    assert "Name both files" in said


def test_domain_that_is_hosted_and_local(refused: Site) -> None:
    said = refused({"ispmail_domains": [{"domain": "ok.test"}, {"domain": _FQDN.upper()}]})
    assert f"{_FQDN}" in said
    assert "either virtual or local, never both" in said


def test_database_that_does_not_answer(refused: Site) -> None:
    passwords = {"postfix": "a", "courier": "b", "amavis": "c"}
    variables = {"ispmail_database_host": "127.0.0.1", "ispmail_database_passwords": passwords}
    said = refused(variables, groups=("mail_transfer", "mail_store"))
    assert "ispmail_database_host" in said
    assert "127.0.0.1" in said
    assert "does not answer on port 3306" in said


def test_database_password_that_is_missing(refused: Site) -> None:
    said = refused({"ispmail_profile": "tutorial", "ispmail_database_host": "127.0.0.1"})
    assert "no password for the account" in said
    assert "Set ispmail_database_passwords" in said


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"postfix_message_size_limit": "much"}, "postfix_message_size_limit"),
        ({"ispmail_profile": "antique"}, "antique"),
        ({"courier_protocols": ["imap", "nntp"]}, "courier_protocols"),
        ({"postfix_mynetworks": "{{ not_defined_anywhere }}"}, "not_defined_anywhere"),
    ],
)
def test_variable_that_cannot_be_used(refused: Site, variables: dict[str, Any], named: str) -> None:
    assert named in refused(variables)


def test_transfer_host_without_a_store(refused: Site) -> None:
    said = refused({}, groups=("mail_db", "mail_transfer"))
    assert "ispmail_store_host is not set" in said


def test_clamd_without_signatures(refused: Site) -> None:
    said = refused({"clamav_local_signatures": []})
    assert "clamav_freshclam_enabled: false, and clamav_local_signatures names no file" in said
