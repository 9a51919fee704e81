# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that every module which changes configuration takes: recover, plan, check, replace."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import Change, ConfigError, diff_of
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_pending import Pending, digest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_stage import SEARCH_PATH, CheckResult, run_checks
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_transaction import Transaction


@dataclass
class Outcome:
    """What was changed, or would be in check mode, which commands proved it, and what an earlier run left pending."""

    changes: list[Change]
    checks: list[dict] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    def as_result(self, module: AnsibleModule) -> dict:
        """Return the keys that are common to the results of all modules of this kind."""
        result: dict = {
            "changed": bool(self.changes or self.pending),
            "changed_files": _paths(self.changes),
            "checks": self.checks,
        }
        if module._diff:  # pylint: disable=protected-access
            result["diff"] = [entry for change in self.changes for entry in diff_of(change)]
        return result


def _paths(changes: Sequence[Change]) -> list[str]:
    return [change.dest for change in changes]


def apply_changes(
    module: AnsibleModule,
    make_plan: Callable[[], list[Change]],
    make_commands: Callable[[], Sequence[Sequence[str]]],
    judge: Callable[[CheckResult], None] | None = None,
    service: str | None = None,
    names: Callable[[Sequence[Change]], Sequence[str]] = _paths,
    reads: Sequence[str] = (),
) -> Outcome:
    """Plan, check the complete new set, and replace it unless the module is in check mode.

    ``make_commands`` names the checkers, after the plan is made; the first that fails ends the checks. ``judge`` sees
    each result of a command that ended well and may still refuse it with :class:`ConfigError`. With a ``service`` the
    ``names`` of what changed stay pending until :func:`acknowledge`, and so do the paths in ``reads``, which others
    replace.

    :raises ConfigError: before anything is replaced, or with the old set back in place.
    """
    transaction = Transaction()
    pending = Pending(service) if service else None
    with nullcontext() if module.check_mode else transaction.locked():
        if module.check_mode and transaction.interrupted:
            module.warn("an interrupted change of configuration files will be undone before anything else")
        elif transaction.interrupted:
            for path in transaction.recover():
                module.warn(f"an interrupted change of {path} was undone: the file is as it was before that run")
        outcome = Outcome(make_plan(), pending=pending.read() if pending else [])
        if pending and reads:
            _look_at(reads, pending, outcome, module.check_mode)
        if outcome.changes:
            outcome.checks = _check(module, outcome.changes, make_commands(), judge)
            if not module.check_mode:
                _commit(transaction, outcome, pending, names(outcome.changes))
        return outcome


def acknowledge(services: Sequence[str]) -> None:
    """Note that the services run with what was changed for them."""
    waiting = [Pending(service) for service in services]
    if any(pending.read() for pending in waiting):
        with Transaction().locked():
            for pending in waiting:
                pending.acknowledge()


def _look_at(reads: Sequence[str], pending: Pending, outcome: Outcome, check_mode: bool) -> None:
    """Let those files wait that are not as the service has read them."""
    digests = {path: digest(path) for path in reads}
    outcome.pending += [path for path in pending.changed(digests) if path not in outcome.pending]
    if outcome.pending and not check_mode:
        # In this order, so that what is offered is never older than what waits.
        pending.write(outcome.pending)
        pending.offer(digests)


def _commit(transaction: Transaction, outcome: Outcome, pending: Pending | None, names: Sequence[str]) -> None:
    # Written down first: a note too many costs a handler's run, one too few leaves a daemon with the old set.
    if pending:
        pending.write([*outcome.pending, *names])
    try:
        transaction.commit(outcome.changes)
    except ConfigError:
        if pending:
            pending.write(outcome.pending)
        raise


def _check(
    module: AnsibleModule,
    changes: Sequence[Change],
    commands: Sequence[Sequence[str]],
    judge: Callable[[CheckResult], None] | None,
) -> list[dict]:
    reports = []
    runnable = []
    for argv in commands:
        reason = _obstacle(changes, argv[0])
        if reason and not module.check_mode:
            raise ConfigError(f"the new files cannot be checked: {reason}; nothing was replaced")
        if not reason:
            runnable.append(argv)
        reports.append({"argv": list(argv), "ran": not reason, "reason": reason})
    if runnable:
        for result in run_checks(changes, runnable):
            if result.status != 0:
                raise ConfigError(
                    f"the new configuration was refused by {' '.join(result.argv)!r} (exit status {result.status}), "
                    f"nothing was replaced: {mask(result.output.strip(), changes)}"
                )
            if judge:
                judge(result)
    return reports


def _obstacle(changes: Sequence[Change], program: str) -> str:
    """Return why the check cannot run here, or an empty string."""
    if not shutil.which(program, path=SEARCH_PATH):
        return f"the program {program} is not on this host"
    for change in changes:
        if -1 in change.after.access:
            return f"the owner or group of {change.dest} does not exist yet"
        folder = os.path.dirname(change.path)
        made = any(other.path == folder for other in changes)
        if change.after.kind != "absent" and not made and not os.path.isdir(folder):
            return f"the directory {folder} does not exist yet"
    return ""


def mask(text: str, changes: Sequence[Change]) -> str:
    """Return ``text``, the words of a checker, without any value of a sensitive file."""
    values = set()
    for change in changes:
        if change.sensitive:
            for line in change.after.content.decode("utf-8", "replace").splitlines():
                values.add(line.strip())
                values.add(re.split(r"[=\s]", line.strip(), maxsplit=1)[-1].strip(" \t=\"';,"))
    for value in sorted((value for value in values if len(value) >= 4), key=len, reverse=True):
        text = text.replace(value, "********")
    return text
