# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a test host: kill the replacement of a set of files at every call it makes of the system.

    kill_driver.py replace          make the change once; exit status 1 if it was refused with the old set in place
    kill_driver.py recover          what every run does first
    kill_driver.py sweep LIBRARY    kill at each call, print one JSON object about what was found

strace's fault injection (strace(1), "-e inject") kills a process at the N-th call of a kind.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time

ROOT = "/etc/kill"
STATE = "/var/lib/mailfleet-ispmail"
# The calls that change a file system or tell the other process something.
CALLS = (
    "rename,renameat,renameat2",
    "link,linkat",
    "unlink,unlinkat",
    "mkdir,mkdirat",
    "rmdir",
    "symlink,symlinkat",
    "fchmod,chmod,fchmodat",
    "fchown,chown,fchownat,lchown",
    "fsync",
    "read",
    "write",
    "openat",
    "close",
    "wait4",
)
MOST_CALLS = 300


def make_old_set() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)
    os.makedirs(f"{ROOT}/closed")
    os.mkdir(f"{ROOT}/emptied")
    for name, content in (("replaced", "old"), ("second", "old"), ("removed", "old"), ("emptied/file", "old")):
        with open(f"{ROOT}/{name}", "w") as stream:
            stream.write(content)
        os.chmod(f"{ROOT}/{name}", 0o640)
    os.symlink("replaced", f"{ROOT}/link")


def replace() -> int:
    from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import ConfigError
    from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_plan import parse_items, plan
    from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_transaction import Transaction

    files = [
        {"dest": f"{ROOT}/replaced", "content": "new", "mode": "0600"},
        {"dest": f"{ROOT}/made/file", "content": "new", "owner": "daemon"},
        {"dest": f"{ROOT}/made", "state": "directory"},
        {"dest": f"{ROOT}/link", "state": "link", "target": "second"},
        {"dest": f"{ROOT}/removed", "state": "absent"},
        {"dest": f"{ROOT}/emptied", "state": "absent"},
        {"dest": f"{ROOT}/emptied/file", "state": "absent"},
        {"dest": f"{ROOT}/closed", "state": "directory", "mode": "0700"},
        {"dest": f"{ROOT}/second", "content": "new"},
    ]
    transaction = Transaction()
    with transaction.locked():
        transaction.recover()
        try:
            transaction.commit(plan(parse_items(files), lenient=False))
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def recover() -> int:
    from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_transaction import Transaction

    transaction = Transaction()
    with transaction.locked():
        transaction.recover()
    return 0


def tree() -> list[tuple]:
    """Everything below the set's folder, and what the state directory holds besides the lock."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        for name in folders + names:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            content = ""
            if stat.S_ISREG(info.st_mode):
                with open(path) as stream:
                    content = stream.read()
            elif stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            found.append((path, info.st_uid, oct(info.st_mode), content))
    left = [name for name in os.listdir(STATE) if name not in ("lock", "journal.json-new")]
    return [*sorted(found), ("state", left)]


def run(*argv: str) -> int:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(argv, env=environment, stderr=subprocess.DEVNULL, check=False).returncode


def sweep(library: str) -> dict:
    os.environ["PYTHONPATH"] = library
    driver = [sys.executable, "-S", os.path.abspath(__file__)]
    make_old_set()
    run(*driver, "recover")
    old = tree()
    assert run(*driver, "replace") == 0
    new = tree()
    assert old != new

    report: dict = {"runs": 0, "old": 0, "new": 0, "survived": 0, "recovered": 0, "wrong": []}
    for follow in ([], ["-f"]):
        for calls in CALLS:
            for number in range(first_call(driver, follow, calls), MOST_CALLS):
                make_old_set()
                inject = f"inject={calls}:signal=KILL:when={number}"
                strace = ["strace", "-qq", *follow, "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
                status = run(*strace, *driver, "replace")
                wait_for_the_lock()
                state = tree()
                case = f"{calls} {number} {follow} -> {status}"
                report["runs"] += 1
                if status == 0:
                    # No call had this number: the sweep of this kind is complete.
                    if state != new:
                        report["wrong"].append(f"{case}: reported as done, but is not: {state}")
                    break
                if status == 1:
                    report["survived"] += 1
                    if state != old:
                        report["wrong"].append(f"{case}: reported as undone, but is not: {state}")
                elif follow and state not in (old, new):
                    # Both processes were killed: the next run of anything puts it right.
                    run(*driver, "recover")
                    report["recovered"] += 1
                    state = tree()
                if state not in (old, new):
                    report["wrong"].append(f"{case}: neither old nor new: {state}")
                report["new" if state == new else "old"] += 1
            else:
                report["wrong"].append(f"{calls}: more than {MOST_CALLS} calls")
    return report


def first_call(driver: list[str], follow: list[str], calls: str) -> int:
    """Return the number of the first call after Python has started, which makes many of its own."""
    del follow
    if calls not in ("read", "openat", "close"):
        return 1
    counted = ["strace", "-qq", "-o", "/run/kill-count", "-e", f"trace={calls}"]
    run(*counted, *driver, "nothing")
    with open("/run/kill-count") as stream:
        return len(stream.readlines())


def wait_for_the_lock() -> None:
    """Return when the process that replaces has ended too, whoever was killed."""
    import fcntl

    deadline = time.monotonic() + 20
    with open(f"{STATE}/lock") as stream:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.005)
    raise TimeoutError("the lock is still held")


def nothing() -> int:
    """Import what ``replace`` imports, and end."""
    from ansible_collections.mailfleet.ispmail.plugins.module_utils import config_plan, config_transaction

    del config_plan, config_transaction
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "sweep":
        print(json.dumps(sweep(sys.argv[2])))
    else:
        sys.exit({"replace": replace, "recover": recover, "nothing": nothing}[sys.argv[1]]())
