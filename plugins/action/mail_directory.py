# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's half of mail_directory: the rows travel to the managed host in one piece, as a row stream.

As lists, the module would get every value as an argument of its own: validated, searched for secrets and logged one by
one, which takes minutes for a hundred thousand rows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.vault import EncryptedString
from ansible.plugins.action import ActionBase
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_files import (
    LISTS,
    STREAM,
    Section,
    SourceError,
    files_of,
    of_items,
    read,
    write_stream,
)

MAX_ARGUMENT = 256 * 1024  # characters of a row stream that go with the module; more are a file of their own


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        try:
            on_control_node = not boolean(args.get("remote_src", False), strict=False)
            if on_control_node and args.keys() & {"src", *LISTS}:
                args = self._send_rows(args)
            return self._execute_module("mailfleet.ispmail.mail_directory", module_args=args, task_vars=task_vars)
        except SourceError as error:
            raise AnsibleActionFail(str(error)) from error
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _send_rows(self, args: dict) -> dict:
        """Return the arguments for the managed host: instead of rows and ``src`` the row stream, or the path of it."""
        kept = {name: value for name, value in args.items() if name not in LISTS and name != "src"}
        descriptor, local = tempfile.mkstemp(suffix=STREAM, dir=constants.DEFAULT_LOCAL_TMP)
        try:
            with os.fdopen(descriptor, "w+", encoding="utf-8") as file:
                write_stream(self._sections(args), file)
                if file.tell() <= MAX_ARGUMENT:
                    file.seek(0)
                    return {**kept, "_rows": file.read()}
            return {**kept, "src": self._send_file(local), "remote_src": True}
        finally:
            os.unlink(local)

    def _send_file(self, local: str) -> str:
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        remote = shell.join_path(shell.tmpdir, "directory" + STREAM)
        self._transfer_file(local, remote)
        self._fixup_perms2((shell.tmpdir, remote), execute=False)
        return remote

    def _sections(self, args: dict) -> Iterator[Section]:
        for name in LISTS:
            items = args.get(name)
            if items is None:
                continue
            if not isinstance(items, list):
                raise SourceError(f"{name}: must be a list of dictionaries, but is a {type(items).__name__}")
            yield from of_items(name, items, name)
        if args.get("src"):
            yield from self._files(str(args["src"]))

    def _files(self, src: str) -> Iterator[Section]:
        try:
            found = self._find_needle("files", src)
        except AnsibleError as error:
            raise SourceError(f"src {src!r} is not there on the control node: {error}") from error
        for path in files_of(found):
            # Decrypted to a temporary file where it is a vault.
            yield from read(
                self._loader.get_real_file(path), os.path.relpath(path, os.path.dirname(found)), _decrypt_values
            )


def _decrypt_values(loader: Any) -> None:
    """Let a YAML loader take values that are encrypted one by one."""
    loader.add_constructor("!vault", lambda _loader, node: str(EncryptedString(ciphertext=node.value)))
