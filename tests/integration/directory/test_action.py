# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node does: ansible-playbook with files beside the playbook, vaults included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import namespace
from ansible_collections.mailfleet.ispmail.plugins.action.mail_directory import MAX_ARGUMENT
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import verify
from directory_database import Directory

_BIN = Path(sys.executable).parent
_PASSWORD = "nur der Tresor weiß es"


class Control:
    """A folder with a playbook of one task, and a vault's password."""

    def __init__(self, directory: Directory, folder: Path) -> None:
        self.directory = directory
        self.folder = folder
        (folder / "vault").write_text("open sesame\n")
        variables = "ansible_connection=containers.podman.podman ansible_python_interpreter=/usr/bin/python3"
        (folder / "inventory").write_text(f"{directory.server.name} {variables}\n")

    def encrypted(self, text: str) -> str:
        done = subprocess.run(
            [_BIN / "ansible-vault", "encrypt", "--vault-password-file", self.folder / "vault"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def play(self, variables: dict[str, Any] | None = None, **options: Any) -> tuple[dict[str, Any], str]:
        """The task's result and everything that was printed, at the highest verbosity."""
        task = {"mailfleet.ispmail.mail_directory": {"login_db": self.directory.database, **options}}
        play = {"hosts": "all", "gather_facts": False, "vars": variables or {}, "tasks": [task]}
        (self.folder / "play.json").write_text(json.dumps([play]))
        command = [str(_BIN / "ansible-playbook"), "-vvvv", "-i", str(self.folder / "inventory")]
        command += ["--vault-password-file", str(self.folder / "vault"), str(self.folder / "play.json")]
        environment = {
            **namespace.environment(),
            "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        }
        done = subprocess.run(
            [*namespace.prefix(), *command], env=environment, capture_output=True, text=True, check=False
        )
        printed = done.stdout + done.stderr
        start = printed.index("=> {") + 3
        return json.JSONDecoder().raw_decode(printed[start:])[0], printed


def test_files_and_lists_together(directory: Directory, tmp_path: Path) -> None:
    control = Control(directory, tmp_path)
    mail = tmp_path / "files" / "mail"
    mail.mkdir(parents=True)
    (mail / "a.yml").write_text("ispmail_domains:\n  - domain: one.test\n  - domain: zwei.test\n")
    (mail / "b.csv").write_text('email;quota\nann@one.test;2G\n"bob@zwei.test";\n')
    value = control.encrypted("anders").replace("\n", "\n      ")
    (mail / "value.yml").write_text(f"users:\n  - email: di@one.test\n    password: !vault |\n      {value}\n")
    (mail / "secret.yml").write_text(control.encrypted(f"users:\n  - {{email: cy@one.test, password: {_PASSWORD}}}\n"))
    directory.server.execute(
        "INSERT INTO domains (domain) VALUES ('one.test'), ('zwei.test');"
        "INSERT INTO users (email, password) VALUES ('ann@one.test', 'x'), ('bob@zwei.test', 'x')",
        directory.database,
    )
    lists = {"ispmail_forwardings": [{"source": "info@one.test", "destinations": ["ann@one.test"]}]}
    result, printed = control.play(lists, src="mail", forwardings="{{ ispmail_forwardings }}")
    assert result["changed"], printed
    assert (result["users"]["added"], result["users"]["changed"], result["forwardings"]["added"]) == (2, 1, 1)
    assert verify("anders", directory.value("SELECT password FROM users WHERE email = 'di@one.test'"))
    stored = directory.value("SELECT password FROM users WHERE email = 'cy@one.test'")
    assert verify(_PASSWORD, stored)
    assert _PASSWORD not in printed
    assert stored not in printed
    assert _PASSWORD not in directory.server.shell("journalctl --no-pager")
    result, printed = control.play(lists, src="mail", forwardings="{{ ispmail_forwardings }}")
    assert not result["changed"], printed
    assert directory.server.shell("ls -A /root/.ansible/tmp").split() == []


def test_many_rows_travel_in_one_file(directory: Directory, tmp_path: Path) -> None:
    control = Control(directory, tmp_path)
    rows = [{"source": f"a{number}@x.test", "destinations": ["ann@y.test"]} for number in range(8000)]
    (tmp_path / "forwardings.json").write_text(json.dumps(rows))
    assert (tmp_path / "forwardings.json").stat().st_size > MAX_ARGUMENT
    result, printed = control.play(src="forwardings.json")
    assert result["forwardings"]["added"] == len(rows), printed
    assert "a5000@x.test" not in printed
    assert directory.server.shell("ls -A /root/.ansible/tmp").split() == []


def test_errors_name_the_place_in_the_operators_file(directory: Directory, tmp_path: Path) -> None:
    control = Control(directory, tmp_path)
    (tmp_path / "users.csv").write_text("email,password\nann@one.test,geheim\nANN@one.test,geheim\n")
    result, _printed = control.play(src="users.csv")
    assert result["msg"].endswith(
        "users.csv line 3: email: ann@one.test is given twice, first as users.csv line 2: email; take one of them out"
    )
    result, _printed = control.play(src="missing.csv")
    assert "src 'missing.csv' is not there on the control node" in result["msg"]
    result, _printed = control.play(users="ann@one.test")
    assert "users: must be a list of dictionaries" in result["msg"]
    result, _printed = control.play(users=[{"email": "ann@one.test", "pasword": "x"}])
    assert "users[0].pasword: is no option of a user" in result["msg"]
