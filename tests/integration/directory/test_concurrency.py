# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed, lose the database, or meet others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from directory_database import Directory

USERS = [f"user{number:04d}@one.test" for number in range(1500)]


def _hash(salt: str) -> str:
    return f"$6${salt}$" + "a" * 86


def _wait(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.3)  # InnoDB renews what it tells about transactions only after 0.1 s without a question


class Blocker:
    """Another session that keeps a row from being changed, so that a run waits inside its transaction."""

    def __init__(self, directory: Directory, statement: str) -> None:
        self.connection = directory.server.connect(directory.database)
        self.cursor = self.connection.cursor()
        self.cursor.execute(statement)
        self.watch = directory.server.connect()

    def thread_that_waits(self) -> int:
        """The server's number of the connection that waits for this one, once there is one."""
        found: list[int] = []

        def waits() -> bool:
            with self.watch.cursor() as cursor:
                cursor.execute(
                    "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
                )
                found[:] = [row[0] for row in cursor.fetchall()]
            return bool(found)

        _wait(waits, "the run waits for the row")
        return found[0]

    def __enter__(self) -> Blocker:
        return self

    def __exit__(self, *_error: object) -> None:
        self.connection.close()
        self.watch.close()


def _prepare(directory: Directory) -> None:
    directory.server.execute(
        "INSERT INTO domains (domain) VALUES ('one.test');"
        "INSERT INTO forwardings (source, destination) VALUES ('last@one.test', 'x@y.test')",
        directory.database,
    )


# Users are written before forwardings: a run that waits for this row has written them, but not committed.
_LAST = "SELECT * FROM forwardings WHERE source = 'last@one.test' FOR UPDATE"


def _wanted(name: str, users: list[str], **settings: object) -> str:
    """The text of a file that wants the users, and the forwarding to the first of them."""
    return json.dumps(
        {
            "users": [{"email": email, "password_hash": _hash(name), **settings} for email in users],
            "forwardings": [{"source": "last@one.test", "destinations": [users[0]]}],
        }
    )


def test_a_run_that_is_killed_leaves_the_old_rows(directory: Directory) -> None:
    _prepare(directory)
    before = directory.dump()
    source = directory.put("rows.json", _wanted("first", USERS))
    with Blocker(directory, _LAST) as blocker:
        run = directory.start(**source)
        blocker.thread_that_waits()
        directory.server.shell("kill -9 $(pgrep -x python3)")
        run.communicate(timeout=60)
    _wait(lambda: directory.value("SELECT COUNT(*) FROM information_schema.innodb_trx") == "0", "the rollback")
    assert directory.dump() == before
    assert directory.apply(**source)["users"]["added"] == len(USERS)


def test_a_lost_connection_is_a_clear_error_with_nothing_half_done(directory: Directory) -> None:
    _prepare(directory)
    before = directory.dump()
    source = directory.put("rows.json", _wanted("first", USERS))
    with Blocker(directory, _LAST) as blocker:
        run = directory.start(**source)
        directory.server.execute(f"KILL {blocker.thread_that_waits()}")
        result = directory.server.result_of(run)
    assert result["failed"]
    assert "connection to the database was lost" in result["msg"]
    assert "nothing was changed" in result["msg"]
    assert directory.dump() == before


def test_a_deadlock_is_retried(directory: Directory) -> None:
    _prepare(directory)
    directory.server.execute(
        f"INSERT INTO users (email, password) VALUES ('{USERS[0]}', 'x'); CREATE TABLE weight (number INT PRIMARY KEY)",
        directory.database,
    )
    source = directory.put("rows.json", _wanted("first", USERS))
    deadlocks = int(directory.rows("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1])
    with Blocker(directory, _LAST) as blocker:
        # The server ends the transaction that has written less; this one has written more than the run.
        blocker.cursor.execute("INSERT INTO weight SELECT seq FROM seq_1_to_20000")
        run = directory.start(**source)
        blocker.thread_that_waits()
        blocker.cursor.execute(f"UPDATE users SET quota = 5 WHERE email = '{USERS[0]}'")
        blocker.connection.commit()
        result = directory.server.result_of(run)
    assert int(directory.rows("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1]) == deadlocks + 1
    assert not result.get("failed"), result
    assert directory.value("SELECT COUNT(*) FROM users") == str(len(USERS))
    assert directory.rows(f"SELECT password, quota FROM users WHERE email = '{USERS[0]}'") == [[_hash("first"), "5"]]
    assert directory.value("SELECT destination FROM forwardings") == USERS[0]


def test_a_row_that_another_tool_adds_meanwhile_is_taken_as_it_is(directory: Directory) -> None:
    _prepare(directory)
    source = directory.put("rows.json", _wanted("first", USERS[:20]))
    insert = f"INSERT INTO users (email, password, quota) VALUES ('{USERS[7]}', 'x', 9)"
    with Blocker(directory, insert) as blocker:
        run = directory.start(**source)
        blocker.thread_that_waits()
        blocker.connection.commit()
        result = directory.server.result_of(run)
    assert (result["users"]["added"], result["users"]["changed"]) == (19, 1)
    assert directory.rows(f"SELECT password, quota FROM users WHERE email = '{USERS[7]}'") == [[_hash("first"), "9"]]


def test_runs_at_the_same_time_all_end_right(directory: Directory) -> None:
    """Two of the whole directory that contradict each other, and single rows beside them."""
    _prepare(directory)
    sources = [
        directory.put("first.json", _wanted("first", USERS, quota="1G")),
        directory.put("second.json", _wanted("second", USERS[::-1], quota="2G")),
    ]
    runs = [directory.start(**source) for source in sources]
    runs += [directory.start("mail_user", email=f"single{number}@one.test", password="geheim") for number in range(3)]
    results = [directory.server.result_of(run) for run in runs]
    assert not [result["msg"] for result in results if result.get("failed")]
    assert sorted((r["users"]["added"], r["users"]["changed"]) for r in results[:2]) == [
        (0, len(USERS)),
        (len(USERS), 0),
    ]
    # One of the two has the last word, in every row.
    ((password, quota),) = directory.rows("SELECT DISTINCT password, quota FROM users WHERE email LIKE 'user%'")
    first = quota == str(1024**3)
    assert password == _hash("first" if first else "second")
    assert directory.value("SELECT destination FROM forwardings") == USERS[0 if first else -1]
    assert directory.value("SELECT COUNT(*) FROM users") == str(len(USERS) + 3)
