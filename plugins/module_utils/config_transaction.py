# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace a set of files together or not at all.

Every new file is written and synchronised beside the one it replaces before the first rename. A journal says how to
go back, so that a kill at any point leaves the old set, at the latest when the next transaction on the host begins.
The renames are done by a process of its own, which a lost connection or a kill of the module does not reach: it puts
the old set back unless the module lived to acknowledge the new one. So no change stays in place without a report, and
the handlers that it needs are not lost.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import (
    Change,
    ConfigError,
    Node,
    apply_node,
    in_order,
    set_access,
)

STATE_DIRECTORY = "/var/lib/mailfleet-ispmail"


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


class Transaction:
    """The replacements on one host, one at a time.

    Use :meth:`locked` around everything: it makes the reading of the current state and the replacement one step for
    other users of this class.
    """

    def __init__(self, directory: str = STATE_DIRECTORY) -> None:
        self._directory = directory
        self._journal = os.path.join(directory, "journal.json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the host's lock; wait for another run that holds it. The state directory is made if it is missing."""
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(os.path.join(self._directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot write to {self._directory} ({error.strerror}): configuration is replaced as root, use become"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @property
    def interrupted(self) -> bool:
        """Whether an earlier transaction was killed and waits for :meth:`recover`."""
        return os.path.exists(self._journal)

    def recover(self) -> list[str]:
        """Finish what a killed transaction left: put the old set back, or clear up after a complete one.

        Return the paths that were put back. Safe to repeat, and to be killed itself.
        """
        record = self._read_journal()
        if record is None:
            return []
        restored = []
        complete = record["phase"] == "done"
        for step in record["steps"] if complete else reversed(record["steps"]):
            if record["phase"] == "replacing" and self._undo(step):
                restored.append(step["path"])
            for name in ("temporary", "backup"):
                if step[name]:
                    _remove(step[name])
            if step["action"] == ("rmdir" if complete else "mkdir"):
                # Somebody else may have put a file into it.
                with suppress(OSError):
                    os.rmdir(step["path"])
        self._sync(record["steps"])
        _remove(self._journal)
        return sorted(restored)

    @staticmethod
    def _undo(step: dict) -> bool:
        """Put back what one step replaced; return whether there was something to put back."""
        path, backup = step["path"], step["backup"]
        if step["action"] == "access":
            set_access(path, Node(**step["access"]))
            return True
        replaced = step["action"] in ("put", "remove") and not (
            step["temporary"] and os.path.lexists(step["temporary"])
        )
        if not replaced or (backup and not os.path.lexists(backup)):
            return False
        if backup:
            # A rename between two names of one file does nothing and keeps both: the caller removes the backup.
            os.rename(backup, path)
        else:
            _remove(path)
        return True

    def commit(self, changes: Sequence[Change]) -> None:
        """Make all ``changes``, or none.

        :raises ConfigError: if one of them failed; the old set is in place then.
        """
        result_in, result_out = os.pipe()
        verdict_in, verdict_out = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(result_in)
            os.close(verdict_out)
            self._run_apart(in_order(changes), result_out, verdict_in)
        os.close(result_out)
        os.close(verdict_in)
        with os.fdopen(result_in, encoding="utf-8") as stream:
            problem = stream.readline().rstrip("\n")
        if problem == "ready":
            with suppress(BrokenPipeError):
                os.write(verdict_out, b"keep")
        os.close(verdict_out)
        status = os.waitpid(child, 0)[1]
        complete = problem == "ready" and self._phase() in ("done", None)
        self.recover()
        if complete:
            return
        if os.WIFSIGNALED(status):
            problem = f"the process that replaces them was killed by signal {os.WTERMSIG(status)}"
        raise ConfigError(f"the files could not be replaced, the old ones are in place: {problem}")

    def _run_apart(self, changes: Sequence[Change], result: int, verdict: int) -> None:
        """Body of the process that replaces; never returns. Exit status 0 means that the new set is in place."""
        status = 1
        try:
            os.setsid()
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE):
                signal.signal(number, signal.SIG_IGN)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            steps = [self._step(change) for change in changes]
            try:
                self._replace(changes, steps)
                os.write(result, b"ready\n")
                keep = os.read(verdict, 4) == b"keep"
            except OSError as error:
                keep = False
                # The module may be dead, which is one of the errors.
                with suppress(BrokenPipeError):
                    os.write(result, f"{error}\n".encode())
            if keep:
                self._write_journal("done", steps)
                status = 0
            self.recover()
        finally:
            os._exit(status)

    def _replace(self, changes: Sequence[Change], steps: Sequence[dict]) -> None:
        self._write_journal("preparing", steps)
        for change, step in zip(changes, steps):
            if step["action"] == "mkdir":
                apply_node(change.path, change.after)
            elif step["action"] == "put":
                apply_node(step["temporary"], change.after)
                if step["backup"]:
                    self._back_up(change, step["backup"])
        self._sync(steps)
        self._write_journal("replacing", steps)
        for change, step in zip(changes, steps):
            if step["action"] == "put":
                os.rename(step["temporary"], change.path)
            elif step["action"] == "remove":
                os.rename(change.path, step["backup"])
            elif step["action"] == "access":
                set_access(change.path, change.after)
        self._sync(steps)

    @staticmethod
    def _step(change: Change) -> dict:
        before, after = change.before, change.after
        folder, name = os.path.split(change.path)
        # No program takes up a file with such a name: hidden, and without any of the usual endings.
        beside = os.path.join(folder, f".{name}.{secrets.token_hex(6)}")
        if after.kind == "directory":
            action = "mkdir" if before.kind == "absent" else "access"
        elif after.kind == "absent":
            action = "rmdir" if before.kind == "directory" else "remove"
        else:
            action = "put"
        saved = action == "remove" or (action == "put" and before.kind != "absent")
        return {
            "path": change.path,
            "action": action,
            "temporary": f"{beside}-new" if action == "put" else None,
            "backup": f"{beside}-old" if saved else None,
            "access": {"uid": before.uid, "gid": before.gid, "mode": before.mode},
        }

    @staticmethod
    def _back_up(change: Change, backup: str) -> None:
        try:
            os.link(change.path, backup, follow_symlinks=False)
        except OSError:
            # A file system without hard links.
            apply_node(backup, change.before)

    def _read_journal(self) -> dict | None:
        try:
            with open(self._journal, encoding="utf-8") as stream:
                return json.load(stream)
        except FileNotFoundError:
            return None

    def _phase(self) -> str | None:
        record = self._read_journal()
        return record["phase"] if record else None

    def _write_journal(self, phase: str, steps: Sequence[dict]) -> None:
        temporary = f"{self._journal}-new"
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump({"phase": phase, "steps": list(steps)}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, self._journal)
        _sync_directory(self._directory)

    @staticmethod
    def _sync(steps: Sequence[dict]) -> None:
        for folder in sorted({os.path.dirname(step["path"]) for step in steps}):
            with suppress(FileNotFoundError):
                _sync_directory(folder)
