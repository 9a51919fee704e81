# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way from a module to the database server.

The options are described for users in the documentation fragment
C(mailfleet.ispmail.connection); :func:`connection_argument_spec` is the same
list for C(AnsibleModule).  What a module option leaves open is taken from an
option file, and what that leaves open from the defaults: the Unix account that
runs the module, over the socket of Debian's MariaDB.
"""

from __future__ import annotations

import os
import pwd
import re
import ssl
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import missing_required_lib

try:
    import pymysql
    from pymysql.connections import Connection
    from pymysql.constants import CLIENT
except ImportError:
    PYMYSQL_IMPORT_ERROR: str | None = traceback.format_exc()
    pymysql = None
    Connection = object
    DatabaseError: type[Exception] = ConnectionError
else:
    PYMYSQL_IMPORT_ERROR = None
    DatabaseError = pymysql.MySQLError

DEFAULT_SOCKET = "/run/mysqld/mysqld.sock"
DEFAULT_PORT = 3306
DEFAULT_OPTION_FILE = "~/.my.cnf"
DEFAULT_DATABASE = "provider"

# A value that does not fit is an error, never silently cut; the engine asked for is the engine given.
SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"

# https://mariadb.com/kb/en/mariadb-error-codes/
TLS_NOT_OFFERED = 2026
# "Too many connections", "Server shutdown in progress", "Host is blocked", and losing the server during the greeting:
# the next server may well answer.
UNAVAILABLE = frozenset({1040, 1053, 1129, 2002, 2003, 2006, 2013})
ACCESS_DENIED = frozenset({1045, 1130, 1698})
NOT_PERMITTED = frozenset({1044, 1142, 1143, 1227, 1370})
UNKNOWN_DATABASE = 1049
LOCK_WAIT_TIMEOUT = 1205


class ConnectionFailed(Exception):
    """No usable connection: the message names the option, its value and the remedy, and never holds a password.

    C(details) is a traceback where there is one worth showing (an import that failed), otherwise C(None).
    """

    def __init__(self, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.details = details


def connection_argument_spec() -> dict[str, dict[str, Any]]:
    """The connection options, as C(argument_spec) of C(AnsibleModule) wants them; a new dictionary each time."""
    return {
        "login_user": {"type": "str"},
        "login_password": {"type": "str", "no_log": True},
        "login_host": {"type": "list", "elements": "str", "default": []},
        "login_port": {"type": "int"},
        "login_unix_socket": {"type": "path"},
        "login_db": {"type": "str", "default": DEFAULT_DATABASE},
        "config_file": {"type": "path"},
        "ca_cert": {"type": "path", "aliases": ["ssl_ca"]},
        "client_cert": {"type": "path", "aliases": ["ssl_cert"]},
        "client_key": {"type": "path", "aliases": ["ssl_key"]},
        "check_hostname": {"type": "bool"},
        "connect_timeout": {"type": "int", "default": 10},
    }


@dataclass(frozen=True)
class Settings:
    """What a connection is made with, after module options, option file and defaults are merged."""

    user: str
    password: str
    hosts: tuple[str, ...]
    port: int
    unix_socket: str
    ca_cert: str | None
    client_cert: str | None
    client_key: str | None
    check_hostname: bool | None
    connect_timeout: int

    @property
    def wants_tls(self) -> bool:
        return bool(self.ca_cert or self.client_cert or self.check_hostname)


def resolve_settings(params: Mapping[str, Any]) -> Settings:
    """Merges the options of C(params) (keys of :func:`connection_argument_spec`) with the option file and the defaults.

    Raises :class:`ConnectionFailed` for a value that cannot be meant.
    """
    stored = _option_file(params.get("config_file"))

    def choose(option: str, stored_as: str) -> Any:
        given = params.get(option)
        return stored.get(stored_as) if given is None else given

    hosts = tuple(params.get("login_host") or ())
    if not hosts and not params.get("login_unix_socket") and stored.get("host"):
        hosts = (stored["host"],)
    if "" in hosts:
        raise ConnectionFailed(
            f"login_host[{hosts.index('')}] is empty: give a host name, an address, or 'localhost' for the Unix socket"
        )

    port = choose("login_port", "port")
    if not str(port or DEFAULT_PORT).isdecimal() or not 0 < int(port or DEFAULT_PORT) < 65536:
        raise ConnectionFailed(f"login_port {port!r} is not a TCP port: give a number from 1 to 65535, usually 3306")

    timeout = params.get("connect_timeout") or 0
    if timeout < 1:
        raise ConnectionFailed(f"connect_timeout {timeout!r} is too short: give at least 1 (seconds)")

    client_cert, client_key = choose("client_cert", "ssl-cert"), choose("client_key", "ssl-key")
    if client_key and not client_cert:
        raise ConnectionFailed(f"client_key {client_key!r} is given without client_cert: give both")

    check_hostname = params.get("check_hostname")
    if check_hostname is None and "ssl-verify-server-cert" in stored:
        check_hostname = str(stored["ssl-verify-server-cert"] or "1").lower() in ("1", "true", "on", "yes")

    return Settings(
        user=choose("login_user", "user") or pwd.getpwuid(os.geteuid()).pw_name,
        password=choose("login_password", "password") or "",
        hosts=hosts or ("localhost",),
        port=int(port or DEFAULT_PORT),
        unix_socket=choose("login_unix_socket", "socket") or DEFAULT_SOCKET,
        ca_cert=choose("ca_cert", "ssl-ca"),
        client_cert=client_cert,
        client_key=client_key,
        check_hostname=check_hostname,
        connect_timeout=timeout,
    )


def connect(params: Mapping[str, Any], with_database: bool = True) -> Connection:
    """Connects to the first server of C(login_host) that can be reached and returns the PyMySQL connection.

    C(params) holds the options of :func:`connection_argument_spec`.  The connection has autocommit off, tuples as
    rows, C(utf8mb4), and the strict SQL mode of this file.  With C(with_database=False) no default database is
    selected, so that it may still have to be created.

    A server that cannot be reached makes room for the next; one that answers and refuses (the login, the
    certificate) ends the search, because a wrong password or a wrong certificate is not an outage.

    Raises :class:`ConnectionFailed`.
    """
    if pymysql is None:
        raise ConnectionFailed(
            missing_required_lib("PyMySQL", reason="(on Debian: the package python3-pymysql)"), PYMYSQL_IMPORT_ERROR
        )
    settings = resolve_settings(params)
    database = params["login_db"] if with_database else None
    context = _tls_context(settings)
    unreachable = []
    for host in settings.hosts:
        where = _where(settings, host)
        try:
            return _open(settings, host, database, context)
        except pymysql.MySQLError as error:
            if not _is_unavailable(error):
                raise ConnectionFailed(_refusal(error, settings, where, database)) from error
            unreachable.append(f"{where}: {_reason(error)}")
    raise ConnectionFailed(
        "no database server could be reached, tried login_host "
        + "; ".join(unreachable)
        + ". Is the server running, and do login_host, login_port and login_unix_socket name it?"
        # With TLS 1.3 the refusal of a client's certificate may look like a lost connection.
        + (" Does it trust the authority that signed client_cert?" if settings.client_cert else "")
    )


def describe_error(error: Exception, params: Mapping[str, Any]) -> str:
    """One sentence for an error of a statement (C(pymysql.MySQLError)): the server's own words and any known remedy."""
    number = error_number(error)
    if number in NOT_PERMITTED:
        return (
            f"login_user {resolve_settings(params).user!r} may not do this: {_reason(error)}."
            " Grant the missing right or log in as an account that has it"
        )
    if number == LOCK_WAIT_TIMEOUT:
        return (
            f"another program uses the tables for too long: {_reason(error)}. Find it with SHOW FULL PROCESSLIST,"
            " and run again when it is done"
        )
    if number in UNAVAILABLE:
        return f"the connection to the database was lost: {_reason(error)}. Run again once the server is back"
    return f"the database refused a statement: {_reason(error)}"


def error_number(error: Exception) -> int | None:
    """The server's or the client library's error number of a C(pymysql.MySQLError), C(None) where it has none."""
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else None


class _Session(Connection):
    """A connection that never falls back to plain text.

    PyMySQL before 1.2 goes on without TLS, and logs in, when a server (or who stands between) does not offer it.
    """

    def _request_authentication(self) -> None:
        if self.ssl and not self.server_capabilities & CLIENT.SSL:
            raise pymysql.OperationalError(TLS_NOT_OFFERED, "the server does not offer TLS")
        super()._request_authentication()


def _open(settings: Settings, host: str, database: str | None, context: ssl.SSLContext | None) -> Connection:
    local = host == "localhost"
    session = _Session(
        user=settings.user,
        # Bytes, because PyMySQL encodes text as Latin-1.
        password=settings.password.encode(),
        host=host,
        port=settings.port,
        unix_socket=settings.unix_socket if local else None,
        ssl=None if local else context,
        ssl_disabled=local or context is None,
        database=database,
        charset="utf8mb4",
        sql_mode=SQL_MODE,
        connect_timeout=settings.connect_timeout,
        # A server that accepts and then stays silent is as dead as one that does not accept ...
        read_timeout=settings.connect_timeout,
        autocommit=False,
        program_name="mailfleet.ispmail",
    )
    # ... but a statement may take as long as it needs.
    session._read_timeout = None  # pylint: disable=protected-access
    return session


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Verifies the server's certificate in every case; C(check_hostname=False) leaves out the name only."""
    if not settings.wants_tls:
        return None
    for option in ("ca_cert", "client_cert", "client_key"):
        path = getattr(settings, option)
        if path:
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise ConnectionFailed(
                    f"{option} {path!r} cannot be read: {error.strerror}. Give a PEM file on the managed host"
                ) from error
    try:
        context = ssl.create_default_context(cafile=settings.ca_cert)
    except ssl.SSLError as error:
        raise ConnectionFailed(f"ca_cert {settings.ca_cert!r} holds no PEM certificate: {error}") from error
    context.check_hostname = settings.check_hostname is not False
    if settings.client_cert:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key)
        except ssl.SSLError as error:
            raise ConnectionFailed(
                f"client_cert {settings.client_cert!r} and client_key {settings.client_key!r}"
                f" are not a PEM certificate and its key: {error}"
            ) from error
    return context


def _where(settings: Settings, host: str) -> str:
    return f"{host} ({settings.unix_socket})" if host == "localhost" else f"{host}:{settings.port}"


def _cause(error: Exception) -> BaseException | None:
    """The operating system's error that PyMySQL made C(error) of: an attribute of it, or its context."""
    cause = getattr(error, "original_exception", None) or error.__context__
    return cause if isinstance(cause, OSError) else None


def _is_unavailable(error: Exception) -> bool:
    # A TLS handshake that fails has one of these numbers, too, but it is a refusal and no outage.
    return error_number(error) in UNAVAILABLE and not isinstance(_cause(error), ssl.SSLError)


def _reason(error: Exception) -> str:
    cause = _cause(error)
    if cause is not None:
        return getattr(cause, "strerror", None) or str(cause)
    return str(error.args[-1]) if error.args else str(error)


def _refusal(error: Exception, settings: Settings, where: str, database: str | None) -> str:
    number = error_number(error)
    said = f"the database server at login_host {where} refused the connection: {_reason(error)}"
    if number == TLS_NOT_OFFERED:
        return f"{said}. Configure a certificate on the server, or remove ca_cert, client_cert and check_hostname"
    if isinstance(_cause(error), ssl.SSLCertVerificationError):
        authority = f"ca_cert {settings.ca_cert!r}" if settings.ca_cert else "the system's authorities (no ca_cert)"
        return (
            f"{said}. Its certificate was verified against {authority}"
            " and must name the host as written in login_host: correct one of them"
        )
    if isinstance(_cause(error), ssl.SSLError):
        return f"{said}. Check client_cert {settings.client_cert!r}: the server must trust the authority that signed it"
    if number in ACCESS_DENIED:
        return (
            f"{said}. Check login_user {settings.user!r} and its password"
            " (through the Unix socket Debian's root needs none, but the task must run as root)"
        )
    if number == UNKNOWN_DATABASE:
        return f"{said}. Create login_db {database!r} with the module mail_schema, or correct the name"
    if number in NOT_PERMITTED:
        return f"{said}. Grant login_user {settings.user!r} access to login_db {database!r}"
    return said


_GROUPS = ("client", "client-server", "client-mariadb")
_KEYS = ("user", "password", "host", "port", "socket", "ssl-ca", "ssl-cert", "ssl-key", "ssl-verify-server-cert")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'"}


def _option_file(path: str | None) -> dict[str, str | None]:
    """The connection options of the groups that MariaDB's own clients read.

    Syntax: https://mariadb.com/kb/en/configuring-mariadb-with-option-files/ (quotes, escapes, C(#) after a value, dash
    and underscore alike).  C(!include) is not followed.
    """
    if path == "":
        return {}
    name = os.path.expanduser(DEFAULT_OPTION_FILE if path is None else path)
    try:
        with open(name, encoding="utf-8") as lines:
            return parse_option_file(lines)
    except FileNotFoundError as error:
        if path is None:
            return {}
        raise ConnectionFailed(
            f"config_file {name!r} does not exist on the managed host: correct the path, or leave the option out"
        ) from error
    except OSError as error:
        raise ConnectionFailed(f"config_file {name!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConnectionFailed(f"config_file {name!r} is not a text file in UTF-8") from error


def parse_option_file(lines: Any) -> dict[str, str | None]:
    """The known client options in C(lines) (text lines of an option file); an option without value is C(None)."""
    found: dict[str, str | None] = {}
    group = None
    for line in lines:
        text = line.strip()
        if text.startswith("[") and "]" in text:
            group = text[1 : text.index("]")].strip()
        elif group in _GROUPS and text and text[0] not in "#;!":
            key, separator, value = text.partition("=")
            key = key.strip().replace("_", "-")
            if key in _KEYS:
                found[key] = _option_value(value.strip()) if separator else None
    return found


def _option_value(text: str) -> str:
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        text = text[1 : text.rindex(text[0])]
    else:
        text = re.split(r"\s*#", text, maxsplit=1)[0]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)
