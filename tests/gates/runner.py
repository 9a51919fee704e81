# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs steps of gates, counts what passed and failed, shows the end of a failed step's log."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parents[2]
LOGS = REPOSITORY / ".build" / "logs"
_TAIL_LINES = 120
_print_lock = threading.Lock()


@dataclass(frozen=True)
class Step:
    """One command of a gate.

    `reports` is a glob, relative to `cwd`, of the JUnit XML files that the command
    writes: their test cases are then what is counted, and none at all is a failure.
    A skipped case is one too, unless `may_skip`. `after_failure` are commands whose
    output explains a failure.
    """

    name: str
    argv: Sequence[str]
    timeout: float
    cwd: Path = REPOSITORY
    env: dict[str, str] = field(default_factory=dict)
    reports: str | None = None
    may_skip: bool = False
    after_failure: Sequence[Sequence[str]] = ()


@dataclass
class Result:
    """Counts of one step or of many, with a line of text for each failure or skip."""

    passed: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.notes += other.notes


def say(text: str) -> None:
    """Print a line whole, whatever other threads print."""
    with _print_lock:
        print(text, flush=True)


def run_steps(steps: Sequence[Step], parallel: int = 1) -> Result:
    """Run steps, some at a time, all of them even if one fails."""
    total = Result()
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        for result in pool.map(_run_step, steps):
            total.add(result)
    return total


def _run_step(step: Step) -> Result:
    say(f"  {step.name} ...")
    started = time.monotonic()
    for stale in step.cwd.glob(step.reports) if step.reports else ():
        stale.unlink()
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{step.name.replace(' ', '-')}.log"
    with open(log, "w") as output:
        complaint = _execute(step.argv, step, output)
        if complaint:
            for command in step.after_failure:
                _execute(command, step, output)
    result = _count(step, complaint)
    taken = time.monotonic() - started
    say(f"  {step.name}: {result.passed} passed, {result.failed} failed ({taken:.0f} s)")
    if result.failed:
        tail = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        shown = "\n".join(f"    {line}" for line in [*tail, *result.notes, f"whole log: {log}"])
        say(shown)
    return result


def _execute(argv: Sequence[str], step: Step, output: IO[str]) -> str | None:
    """Run a command, output into a file; returns what is wrong, or None."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=step.cwd,
            env={**os.environ, **step.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"cannot run: {error}"
    try:
        code = process.wait(step.timeout)
    except subprocess.TimeoutExpired:
        return f"not done after {step.timeout:.0f} s"
    finally:
        # Also whatever the command left behind, and on an interrupt.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return f"exit code {code}" if code else None


def _count(step: Step, complaint: str | None) -> Result:
    result = Result()
    if step.reports is None:
        result.passed = int(complaint is None)
    else:
        for report in sorted(step.cwd.glob(step.reports)):
            _count_report(report, step, result)
        if result.passed + result.failed == 0 and not complaint:
            complaint = "ran no tests"
    if complaint and not result.failed:
        result.failed += 1
        result.notes.append(f"{step.name}: {complaint}")
    return result


def _count_report(report: Path, step: Step, result: Result) -> None:
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{step.name}: {case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
            result.notes.append(name)
        elif skipped is None:
            result.passed += 1
        else:
            reason = skipped.get("message") or skipped.text or ""
            result.notes.append(f"{name}: skipped: {reason.strip()}")
            if not step.may_skip:
                result.failed += 1
