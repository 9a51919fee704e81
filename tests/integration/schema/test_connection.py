# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to a real server, and every way to be turned away: the message names option, value and remedy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import (
    ConnectionFailed,
    connect,
    connection_argument_spec,
)
from mariadb_hosts import Server

TLS = "/etc/mysql/tls"


def params(**options: Any) -> dict[str, Any]:
    """The options as AnsibleModule would fill them in."""
    return {name: spec.get("default") for name, spec in connection_argument_spec().items()} | options


def answer(statement: str, **options: Any) -> Any:
    connection = connect(params(**options), with_database=False)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()
    finally:
        connection.close()


def refusal(**options: Any) -> str:
    with pytest.raises(ConnectionFailed) as caught:
        connect(params(config_file="", **options), with_database=False)
    text = str(caught.value)
    if options.get("login_password"):
        assert options["login_password"] not in text
    return text


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server on this machine that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def plain(mariadb: Server) -> Iterator[int]:
    """The port of a middleman on this machine that tells clients that the server knows no TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        client, _address = listener.accept()
        with client, socket.create_connection((mariadb.address, 3306)) as server:
            greeting = bytearray(server.recv(4096))
            # Protocol::HandshakeV10: the lower capability flags follow the version, thread, salt and a filler.
            flags = greeting.index(0, 5) + 1 + 4 + 8 + 1
            greeting[flags + 1] &= ~0x08  # CLIENT_SSL is 0x0800
            client.sendall(greeting)
            client.settimeout(5)
            seen.append(client.recv(4096))

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(10)
    listener.close()
    assert seen in ([], [b""]), "the client went on without TLS"


def test_tcp_is_verified_tls(mariadb: Server) -> None:
    login = mariadb.login()
    assert answer("SHOW STATUS LIKE 'Ssl_version'", **login)[1].startswith("TLSv1.")
    assert answer("SELECT @@sql_mode", **login) == ("STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",)
    assert answer("SELECT @@autocommit, @@character_set_client", **login) == (0, "utf8mb4")


def test_another_authority_is_refused(mariadb: Server) -> None:
    text = refusal(**mariadb.login(ca_cert=mariadb.other_ca_cert))
    assert f"login_host {mariadb.address}:3306 refused the connection" in text
    assert "certificate verify failed" in text
    assert f"ca_cert '{mariadb.other_ca_cert}'" in text
    # The system's authorities do not know the server either.
    text = refusal(**mariadb.login(ca_cert=None, check_hostname=True))
    assert "verified against the system's authorities (no ca_cert)" in text


def test_the_certificate_must_name_the_host(mariadb: Server) -> None:
    # The container's own name resolves nowhere but leads to the same server through a name of this machine.
    login = mariadb.login()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stop = _forward(listener, mariadb.address)
        text = refusal(**login | {"login_host": ["127.0.0.1"], "login_port": port})
        assert "IP address mismatch" in text
        login |= {"login_host": ["127.0.0.1"], "login_port": port, "check_hostname": False}
        assert answer("SELECT 1", **login) == (1,)
        assert "certificate verify failed" in refusal(**login | {"ca_cert": mariadb.other_ca_cert})
        stop.set()


def _forward(listener: socket.socket, address: str) -> threading.Event:
    """Forwards connections to port 3306 of C(address) until told to stop."""
    stop = threading.Event()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            sink.close()

    def serve() -> None:
        while not stop.is_set():
            try:
                client, _address = listener.accept()
            except OSError:
                return
            server = socket.create_connection((address, 3306))
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            threading.Thread(target=pump, args=(server, client), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return stop


def test_no_login_is_sent_where_tls_is_not_offered(mariadb: Server, plain: int) -> None:
    login = mariadb.login(login_host=["127.0.0.1"], login_port=plain, check_hostname=False)
    text = refusal(**login)
    assert "TLS" in text or "SSL" in text


def test_a_client_certificate_opens_an_account_that_requires_one(mariadb: Server) -> None:
    mariadb.sql("CREATE OR REPLACE USER certified@'%' IDENTIFIED BY 'pass-word' REQUIRE X509; CREATE DATABASE provider")
    try:
        login = {"login_host": [mariadb.address], "login_user": "certified", "login_password": "pass-word"}
        tls = {"ca_cert": f"{TLS}/ca.pem", "client_cert": f"{TLS}/client.pem", "client_key": f"{TLS}/client.key"}
        assert "failed" not in mariadb.module("mail_schema", state="info", **login, **tls)
        refused = mariadb.module("mail_schema", state="info", **login, ca_cert=tls["ca_cert"])
        assert "Check login_user 'certified' and its password" in refused["msg"]
        assert "pass-word" not in refused["msg"]
        stranger = {"client_cert": f"{TLS}/other-ca.pem", "client_key": f"{TLS}/other-ca.key"}
        refused = mariadb.module("mail_schema", state="info", **login, **tls | stranger)
        assert refused["failed"]
        assert "client_cert" in refused["msg"]
    finally:
        mariadb.sql("DROP USER certified@'%'; DROP DATABASE provider")


def test_an_option_file_is_enough(mariadb: Server, tmp_path: Path) -> None:
    file = tmp_path / "my.cnf"
    file.write_text(
        f'# for tests\n[client]\nhost={mariadb.address}\nuser = admin\npassword = "{mariadb.password}" # no hash\n'
        f"ssl-ca={mariadb.ca_cert}\nssl-verify-server-cert\n[mysqld]\nuser=mysql\n"
    )
    assert answer("SELECT CURRENT_USER()", config_file=str(file)) == ("admin@%",)
    # What the module is told goes first.
    with pytest.raises(ConnectionFailed, match="login_user 'somebody'"):
        connect(params(config_file=str(file), login_user="somebody"))


def test_the_default_option_file_is_roots(mariadb: Server) -> None:
    mariadb.shell(
        "printf '[client]\\nuser=nobody-here\\npassword=pass-word\\n' > /root/.my.cnf; chmod 600 /root/.my.cnf"
    )
    try:
        refused = mariadb.module("mail_schema", state="info")
        assert "Check login_user 'nobody-here'" in refused["msg"]
        assert "pass-word" not in str(refused)
        assert "failed" not in mariadb.module("mail_schema", state="info", config_file="")
    finally:
        mariadb.shell("rm /root/.my.cnf")


def test_the_first_server_that_can_be_reached_is_used(mariadb: Server, silent: int) -> None:
    login = mariadb.login(
        login_host=["nowhere.invalid", "localhost", mariadb.address], login_unix_socket="/nonexistent"
    )
    assert answer("SELECT 1", **login) == (1,)
    started = time.monotonic()
    text = refusal(**mariadb.login(login_host=["127.0.0.1", "127.0.0.2"], login_port=silent, connect_timeout=1))
    assert time.monotonic() - started < 20  # two seconds of silence, not two timeouts of the default
    assert f"127.0.0.1:{silent}: timed out; 127.0.0.2:{silent}: Connection refused" in text


def test_a_statement_may_take_longer_than_the_connection(mariadb: Server) -> None:
    assert answer("SELECT SLEEP(1.5)", **mariadb.login(connect_timeout=1)) == (0,)


def test_a_wrong_password_ends_the_search(mariadb: Server) -> None:
    login = mariadb.login(login_host=[mariadb.address, "nowhere.invalid"], login_password="wrong-one")
    text = refusal(**login)
    assert f"login_host {mariadb.address}:3306 refused the connection" in text
    assert "Check login_user 'admin' and its password" in text
    assert "nowhere.invalid" not in text


def test_a_password_may_have_any_character(mariadb: Server) -> None:
    mariadb.sql("CREATE OR REPLACE USER odd@'%' IDENTIFIED BY 'pä$$ \"w#rd€'")
    login = mariadb.login(login_user="odd", login_password='pä$$ "w#rd€')
    assert answer("SELECT CURRENT_USER()", **login) == ("odd@%",)
    mariadb.sql("DROP USER odd@'%'")


def test_a_missing_database_is_named(mariadb: Server) -> None:
    with pytest.raises(ConnectionFailed, match="Create login_db 'absent' with the module mail_schema"):
        connect(params(**mariadb.login(login_db="absent")))


def test_missing_rights_are_named(mariadb: Server, database: str) -> None:
    mariadb.sql(
        f"CREATE DATABASE {database}; CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'pass-word';"
        f"GRANT SELECT ON {database}.* TO reader@'%'"
    )
    try:
        before = mariadb.dump(database)
        result = mariadb.module(
            "mail_schema",
            login_db=database,
            login_host=[mariadb.address],
            login_user="reader",
            login_password="pass-word",
            ca_cert=f"{TLS}/ca.pem",
        )
        assert result["failed"]
        assert "login_user 'reader' may not do this: CREATE command denied" in result["msg"]
        assert "pass-word" not in str(result["msg"])
        assert mariadb.dump(database) == before
    finally:
        mariadb.sql("DROP USER reader@'%'")


def test_rights_on_the_directory_alone_are_enough(mariadb: Server, database: str) -> None:
    """The rights that the module's documentation names."""
    mariadb.sql(
        f"CREATE OR REPLACE USER builder@'%' IDENTIFIED BY 'pass-word';"
        "GRANT CREATE, ALTER, DROP, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE"
        f" ON {database}.* TO builder@'%'; CREATE DATABASE {database}"
    )
    mariadb.sql(
        "CREATE TABLE domains (domain VARCHAR(50) PRIMARY KEY) ENGINE=MyISAM;"
        "CREATE TABLE users (email VARCHAR(80) PRIMARY KEY, password VARCHAR(20)) ENGINE=MyISAM;",
        database,
    )
    try:
        result = mariadb.module(
            "mail_schema",
            login_db=database,
            login_host=[mariadb.address],
            login_user="builder",
            login_password="pass-word",
            ca_cert=f"{TLS}/ca.pem",
        )
        assert result.get("msg") is None
        assert result["version"] == 2
    finally:
        mariadb.sql("DROP USER builder@'%'")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"login_port": 70000}, "login_port 70000 is not a TCP port"),
        ({"login_host": ["db1", ""]}, "login_host[1] is empty"),
        ({"connect_timeout": 0}, "connect_timeout 0 is too short"),
        ({"client_key": "/k"}, "client_key '/k' is given without client_cert"),
        ({"ca_cert": "/nonexistent.pem"}, "ca_cert '/nonexistent.pem' cannot be read: No such file or directory"),
        ({"ca_cert": "/etc/hostname"}, "ca_cert '/etc/hostname' holds no PEM certificate"),
        ({"client_cert": "/etc/hostname"}, "client_cert '/etc/hostname' and client_key None are not a PEM certificate"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    assert message in refusal(**options)


def test_a_missing_option_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match=r"config_file '.*absent\.cnf' does not exist on the managed host"):
        connect(params(config_file=str(tmp_path / "absent.cnf")))


def test_a_missing_library_is_named_with_its_package(mariadb: Server) -> None:
    mariadb.shell("mv /usr/lib/python3/dist-packages/pymysql /usr/lib/python3/dist-packages/pymysql.away")
    try:
        result = mariadb.module("mail_schema", state="info")
    finally:
        mariadb.shell("mv /usr/lib/python3/dist-packages/pymysql.away /usr/lib/python3/dist-packages/pymysql")
    assert result["failed"]
    assert "PyMySQL" in result["msg"] and "python3-pymysql" in result["msg"]
