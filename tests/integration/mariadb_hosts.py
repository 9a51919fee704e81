# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB servers of Debian's releases on test hosts, and modules that really run there.

A host with the server installed is kept as an image, named after what it was made of, so that only the first run
waits for the installation.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pymysql
from ansible import constants
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar
from pymysql.constants import CLIENT

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hosts"))
import images
import namespace
import testhosts

# Ansible's importer of collections, before a test imports one by itself: it does not know what it has not imported.
init_plugin_loader()

_INSTALL = """
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -y --no-install-recommends install mariadb-server python3-pymysql openssl >&2
"""
# An authority, a certificate for the server's address and one for a client, valid for a day.
_CERTIFY = """
set -eu
mkdir -p /etc/mysql/tls
cd /etc/mysql/tls
make() { # name, subject, extensions
    openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj "/CN=$2" 2>/dev/null
    printf "$3" > $1.ext
    openssl x509 -req -in $1.csr -out $1.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile $1.ext \
        2>/dev/null
}
for authority in ca other-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -keyout $authority.key -out $authority.pem -days 1 \
        -subj "/CN=$authority" -addext 'keyUsage=critical,keyCertSign' 2>/dev/null
done
identifiers='subjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n'
make server "$1" "subjectAltName=IP:$1\\n$identifiers"
make client certified "extendedKeyUsage=clientAuth\\n$identifiers"
chmod 644 *.pem
chown mysql server.key
# Reachable from the machine that runs the tests, and with TLS; nothing else differs from Debian's configuration.
cat > /etc/mysql/mariadb.conf.d/99-tests.cnf <<'END'
[mysqld]
bind-address = 0.0.0.0
ssl_ca = /etc/mysql/tls/ca.pem
ssl_cert = /etc/mysql/tls/server.pem
ssl_key = /etc/mysql/tls/server.key
END
systemctl restart mariadb
"""


def remove_orphans() -> None:
    """Remove the servers of test runs that were killed."""
    for name in testhosts.names():
        owner = re.fullmatch(r"mariadb-\w+-(\d+)", name)
        if owner and not Path("/proc", owner[1]).exists():
            testhosts.remove(name)


class Server:
    """One running server: C(address) is its IPv4 address, C(password) that of the account C(admin), for TLS."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.name = f"mariadb-{suite}-{os.getpid()}"
        self.password = secrets.token_urlsafe(16)
        testhosts.start(self.name, f"{self.name}.example.test", _image(suite))
        self.address = testhosts.address(self.name)
        self._certificates = tempfile.TemporaryDirectory(prefix="ispmail-tls-")
        self.shell(_CERTIFY, self.address)
        self.ca_cert = self._fetch("ca.pem")
        self.other_ca_cert = self._fetch("other-ca.pem")
        self.sql(
            f"CREATE USER admin@'%' IDENTIFIED BY '{self.password}'; GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION"
        )

    def stop(self) -> None:
        testhosts.remove(self.name)
        self._certificates.cleanup()

    def shell(self, script: str, *argv: str, **options: Any) -> str:
        """What C(script) prints, run by the host's sh as root with the arguments C(argv)."""
        return images.podman("exec", "-i", self.name, "sh", "-s", *argv, stdin=script, **options)

    def sql(self, statements: str, database: str = "mysql") -> str:
        """What MariaDB's own client prints (tab separated, no headings) for C(statements), as root over the socket."""
        # The client of 11.8 wants to verify the server's certificate even there.
        options = ["--skip-ssl", "--default-character-set=utf8mb4", "--skip-column-names", "--batch"]
        return images.podman("exec", "-i", self.name, "mariadb", *options, database, stdin=statements)

    def dump(self, database: str, *tables: str) -> str:
        """The content of C(database) as mariadb-dump writes it, without times."""
        options = ["--skip-ssl", "--skip-dump-date", "--skip-comments", "--skip-extended-insert"]
        return images.podman("exec", self.name, "mariadb-dump", *options, database, *tables)

    def login(self, **options: Any) -> dict[str, Any]:
        """Connection options of a module that runs on the testing machine, as C(admin) over verified TLS."""
        return {
            "login_host": [self.address],
            "login_user": "admin",
            "login_password": self.password,
            "ca_cert": self.ca_cert,
            **options,
        }

    def connect(self, database: str | None = None, client_flag: int = 0) -> pymysql.connections.Connection:
        """A plain connection from the testing machine as C(admin)."""
        return pymysql.connect(
            host=self.address,
            user="admin",
            password=self.password,
            database=database,
            ssl_ca=self.ca_cert,
            client_flag=client_flag,
        )

    def execute(self, statements: str, database: str | None = None) -> None:
        """Like C(sql) for statements without an answer, but as C(admin), which takes milliseconds."""
        with self.connect(database, CLIENT.MULTI_STATEMENTS) as connection, connection.cursor() as cursor:
            cursor.execute(statements)
            while cursor.nextset():
                pass
            connection.commit()

    def module(self, name: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """The result of the collection's module C(name), run on the host by its Python as Ansible would run it there.

        Without connection options in C(arguments) that is root over the Unix socket.
        """
        return self.result_of(self.start_module(name, check, **arguments))

    def start_module(self, name: str, check: bool = False, **arguments: Any) -> subprocess.Popen:
        """Like C(module), but does not wait; C(result_of) does."""
        payload = _payload(
            f"mailfleet.ispmail.{name}", {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        )
        process = subprocess.Popen(
            [*namespace.prefix(), "podman", "exec", "-i", self.name, "python3", "-"],
            env=namespace.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(payload)
        process.stdin.close()
        process.stdin = None
        return process

    @staticmethod
    def result_of(process: subprocess.Popen) -> dict[str, Any]:
        """The result of a module that was started."""
        printed, complained = process.communicate(timeout=300)
        try:
            return json.loads(printed)
        except ValueError:
            raise AssertionError(f"the module printed no result: {printed!r} {complained!r}") from None

    def _fetch(self, name: str) -> str:
        path = Path(self._certificates.name) / name
        path.write_text(images.podman("exec", self.name, "cat", f"/etc/mysql/tls/{name}"))
        return str(path)


def _image(suite: str) -> str:
    """Name of the image of C(suite) with the server installed, made if need be."""
    stack = images.stack(suite)
    origin = images.podman("image", "inspect", "--format", "{{.Id}}", stack) + _INSTALL
    kind, key = f"mariadb-{suite}", hashlib.sha256(origin.encode()).hexdigest()[:12]
    name = images.converged(kind, key)
    with namespace.locked(kind):
        if not images.exists(name):
            builder = f"{kind}-build"
            try:
                testhosts.start(builder, f"{builder}.example.test", stack)
                images.podman("exec", "-i", builder, "sh", "-s", stdin=_INSTALL, timeout=600)
                testhosts.commit(builder, kind, key)
            finally:
                testhosts.remove(builder)
    return name


def _payload(module: str, arguments: dict[str, Any]) -> bytes:
    """What Ansible sends to a host to run C(module): one Python program with everything in it."""
    found = module_loader.find_plugin_with_context(module)
    assert found.resolved, f"{module} is not among the modules of {constants.COLLECTIONS_PATHS}"
    built = modify_module(
        module_name=module,
        module_path=found.plugin_resolved_path,
        module_args=arguments,
        templar=Templar(loader=DataLoader()),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
    )
    return built.b_module_data
