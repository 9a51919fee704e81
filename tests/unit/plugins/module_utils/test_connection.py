# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a connection is made with.  Connections themselves are tested with real servers in tests/integration."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.doc_fragments.connection import ModuleDocFragment
from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import (
    ConnectionFailed,
    connection_argument_spec,
    describe_error,
    error_number,
    parse_option_file,
    resolve_settings,
)


def params(**options: Any) -> dict[str, Any]:
    return {
        **{name: spec.get("default") for name, spec in connection_argument_spec().items()},
        "config_file": "",
        **options,
    }


def test_without_options_it_is_this_account_on_the_local_socket() -> None:
    settings = resolve_settings(params())
    assert settings.user == getpass.getuser()
    assert settings.password == ""
    assert settings.hosts == ("localhost",)
    assert settings.unix_socket == "/run/mysqld/mysqld.sock"
    assert settings.port == 3306
    assert not settings.wants_tls


def test_every_option_is_documented_as_it_is() -> None:
    for name, spec in connection_argument_spec().items():
        assert f"  {name}:\n" in ModuleDocFragment.DOCUMENTATION
        for alias in spec.get("aliases", ()):
            assert f"aliases: [{alias}]" in ModuleDocFragment.DOCUMENTATION
    assert connection_argument_spec()["login_password"]["no_log"] is True


OPTION_FILE = """\
# comment
; comment
!includedir /etc/mysql/conf.d/
user = before-any-group
[mysqld]
user = mysql
port = 1
[client]
user = admin  # who
password = "quoted \\"#\\" \\s\\\\"
ssl_ca = /etc/ssl/ca.pem
ssl-verify-server-cert
no-such-option = 1
[client-mariadb]
port = 3307
host = 'db.example.org' # where
[mysqldump]
password = other
"""


def test_option_files_are_read_as_mariadb_reads_them() -> None:
    assert parse_option_file(OPTION_FILE.splitlines(True)) == {
        "user": "admin",
        "password": 'quoted "#"  \\',
        "ssl-ca": "/etc/ssl/ca.pem",
        "ssl-verify-server-cert": None,
        "port": "3307",
        "host": "db.example.org",
    }


def test_options_go_before_the_option_file(tmp_path: Path) -> None:
    file = tmp_path / "my.cnf"
    file.write_text(OPTION_FILE)
    settings = resolve_settings(params(config_file=str(file)))
    assert (settings.user, settings.hosts, settings.port) == ("admin", ("db.example.org",), 3307)
    assert (settings.ca_cert, settings.check_hostname) == ("/etc/ssl/ca.pem", True)
    settings = resolve_settings(
        params(config_file=str(file), login_user="me", login_host=["a", "b"], login_port=1, check_hostname=False)
    )
    assert (settings.user, settings.hosts, settings.port) == ("me", ("a", "b"), 1)
    assert settings.check_hostname is False
    # A socket that is asked for is not a host that the file happens to name.
    assert resolve_settings(params(config_file=str(file), login_unix_socket="/s")).hosts == ("localhost",)


def test_roots_own_option_file_is_read_if_it_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_settings(params(config_file=None)).user == getpass.getuser()
    (tmp_path / ".my.cnf").write_text("[client]\nuser=stored\n")
    assert resolve_settings(params(config_file=None)).user == "stored"
    assert resolve_settings(params(config_file="")).user == getpass.getuser()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, False),
        ({"check_hostname": False}, False),
        ({"check_hostname": True}, True),
        ({"ca_cert": "/ca"}, True),
        ({"client_cert": "/c", "client_key": "/k"}, True),
    ],
)
def test_tls_is_on_as_soon_as_something_of_it_is_asked_for(options: dict[str, Any], wanted: bool) -> None:
    assert resolve_settings(params(**options)).wants_tls is wanted


def test_a_port_in_the_option_file_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "my.cnf"
    file.write_text("[client]\nport=mysql\n")
    with pytest.raises(ConnectionFailed, match="login_port 'mysql' is not a TCP port"):
        resolve_settings(params(config_file=str(file)))


def test_an_unreadable_option_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="cannot be read: Is a directory"):
        resolve_settings(params(config_file=str(tmp_path)))
    file = tmp_path / "my.cnf"
    file.write_bytes(b"[client]\npassword=\xff\n")
    with pytest.raises(ConnectionFailed, match="is not a text file in UTF-8"):
        resolve_settings(params(config_file=str(file)))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Exception(1142, "SELECT command denied"), "login_user 'me' may not do this: SELECT command denied. Grant"),
        (Exception(2013, "Lost connection"), "the connection to the database was lost: Lost connection. Run again"),
        (Exception(1205, "Lock wait"), "another program uses the tables for too long: Lock wait. Find it"),
        (Exception(1064, "syntax"), "the database refused a statement: syntax"),
        (Exception(), "the database refused a statement: "),
    ],
)
def test_errors_of_statements_say_what_to_do(error: Exception, text: str) -> None:
    assert describe_error(error, params(login_user="me")).startswith(text)


def test_error_numbers() -> None:
    assert error_number(Exception(1045, "denied")) == 1045
    assert error_number(Exception("0")) is None
    assert error_number(Exception()) is None
