# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode, recorded; many rows; every Python."""

from __future__ import annotations

import glob
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import mariadb_hosts
import pymysql
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailfleet.ispmail.plugins.module_utils import store
from directory_database import Directory

_MODULES = "ansible_collections.mailfleet.ispmail.plugins.modules."
MANY = 100_000


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("mail_domain", {"domain": "new.test"}),
        ("mail_domain", {"domain": "one.test", "state": "absent", "cascade": True}),
        ("mail_user", {"email": "ann@one.test", "password": "anders", "quota": "1G"}),
        ("mail_forwarding", {"source": "info@one.test", "destinations": ["x@y.test"], "append": True}),
        (
            "mail_directory",
            {
                "domains": [{"domain": "new.test"}],
                "users": [{"email": "b@new.test", "password": "p"}],
                "forwardings": [],
                "purge": ["domains", "users", "forwardings"],
                "cascade": True,
            },
        ),
        ("mail_directory_info", {}),
    ],
)
def test_check_mode_sends_no_write(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, module: str, options: dict[str, Any]
) -> None:
    """The module runs in this process, on a connection that records every statement before it is sent."""
    directory.server.execute(
        "INSERT INTO domains (domain) VALUES ('one.test');"
        "INSERT INTO users (email, password) VALUES ('ann@one.test', 'x');"
        "INSERT INTO forwardings (source, destination) VALUES ('info@one.test', 'ann@one.test')",
        directory.database,
    )
    before = directory.dump()
    sent: list[str] = []
    connect = store.connect

    def recording(params: dict[str, Any]) -> pymysql.connections.Connection:
        connection = connect(params)
        command = connection._execute_command

        def record(code: int, text: Any) -> Any:
            sent.append(text if isinstance(text, str) else bytes(text).decode())
            return command(code, text)

        connection._execute_command = record
        return connection

    monkeypatch.setattr(store, "connect", recording)
    arguments = {**directory.server.login(), "login_db": directory.database, **options, "_ansible_check_mode": True}
    printed = io.StringIO()
    with patch_module_args(arguments), redirect_stdout(printed), pytest.raises(SystemExit):
        importlib.import_module(_MODULES + module).main()
    result = json.loads(printed.getvalue())
    assert not result.get("failed"), result
    assert result["changed"] == (module != "mail_directory_info")
    statements = [text for text in sent if text]
    assert [text for text in statements if text.startswith("SELECT")], "the recorder saw the reads"
    assert not [text for text in statements if not text.startswith("SELECT")]
    assert len([text for text in statements if "FROM" in text]) <= 6
    assert directory.dump() == before


def test_a_hundred_thousand_rows(directory: Directory) -> None:
    """Applied, unchanged, changed a little, purged: each row ends up as it should."""
    domains = [{"domain": f"d{number}.test"} for number in range(100)]
    rows = [f"user{number:06d}@d{number % 100}.test,{_hash(number)}" for number in range(MANY)]
    source = directory.put("users.csv", "\n".join(["email,password_hash", *rows]))
    result = directory.apply(domains=domains, **source)
    assert (result["domains"]["added"], result["users"]["added"]) == (100, MANY)
    assert len(result["diff"][1]["after"].splitlines()) == 101
    assert directory.rows("SELECT COUNT(*), COUNT(DISTINCT password), SUM(domain LIKE 'd%.test') FROM users") == [
        [str(MANY), str(MANY), str(MANY)]
    ]
    result = directory.apply(domains=domains, **source, purge=["domains", "users"])
    assert not result["changed"]
    assert result["users"]["unchanged"] == MANY

    rows[50_000] = rows[50_000].rpartition(",")[0] + "," + _hash(MANY + 1)
    source = directory.put("users.csv", "\n".join(["email,password_hash", *rows[:-10]]))
    result = directory.apply(**source, purge=["users"])
    assert result["users"] == {"added": 0, "changed": 1, "deleted": 10, "unchanged": 99_989}
    assert directory.value("SELECT password FROM users WHERE email = 'user050000@d0.test'") == _hash(MANY + 1)


def _hash(number: int) -> str:
    return f"$6$salt{number:06d}$" + "a" * 86


def _interpreters() -> dict[str, str]:
    """The control node's Python, and whichever others a managed host could have."""
    found = {f"3.{sys.version_info[1]}": sys.executable}
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    for minor in range(9, 15):
        candidates = [shutil.which(f"python3.{minor}"), *glob.glob(f"{root}/versions/3.{minor}.*/bin/python3")]
        for candidate in filter(None, candidates):
            works = subprocess.run([candidate, "-c", "import ctypes, ssl"], capture_output=True, check=False)
            if works.returncode == 0:
                found.setdefault(f"3.{minor}", candidate)
    return found


@pytest.mark.parametrize("interpreter", [pytest.param(path, id=name) for name, path in _interpreters().items()])
def test_every_python(directory: Directory, tmp_path: Path, interpreter: str) -> None:
    """The module as it is sent to a host, run by each Python over verified TLS."""
    (tmp_path / "pymysql").symlink_to(Path(pymysql.__file__).parent)
    wanted = {
        **directory.server.login(),
        "login_db": directory.database,
        "domains": [{"domain": "bücher.test"}],
        "users": [{"email": "ann@bücher.test", "password": "geheim", "quota": "1.5G"}],
        "forwardings": [{"source": "@bücher.test", "destinations": ["ann@bücher.test", "x@y.test"]}],
        "purge": ["domains", "users", "forwardings"],
    }
    for changed in (True, False):
        payload = mariadb_hosts._payload("mailfleet.ispmail.mail_directory", wanted)
        done = subprocess.run(
            [interpreter, "-"], input=payload, capture_output=True, env={"PYTHONPATH": str(tmp_path)}, check=False
        )
        result = json.loads(done.stdout or "{}")
        assert result.get("changed") is changed, (result, done.stderr.decode())
    assert directory.rows("SELECT email, quota FROM users") == [["ann@xn--bcher-kva.test", str(3 * 1024**3 // 2)]]
