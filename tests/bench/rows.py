#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the directory's rows are applied, each time beside MariaDB's own work on the same rows on the same host.

    rows.py [--suite trixie] [--repeat 3] [apply passwords playbook million]

One line each: what was done, its seconds, the seconds of what it is compared with, the ratio and the goal. Both sides
run alternately in one test host and are whole processes, interpreter's start included; the best of the repetitions
counts. Ends with status 1 if a goal was missed.
"""

from __future__ import annotations

import argparse
import base64
import csv
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_TESTS), str(_TESTS / "integration")]
import conftest  # noqa: F401  makes the collection importable
import mariadb_hosts
import namespace
from ansible_collections.mailfleet.ispmail.plugins.module_utils import directory_files

DOMAINS = 100
HUNDRED_THOUSAND = 100_000
MILLION = 1_000_000
CLEAR_TEXT = 1_000
MEMORY = 1024  # MiB
PLAYBOOK_SECONDS = 10.0
_COLUMNS = ("email", "password_hash")

# Runs a command on the host; prints its seconds, the peak of its memory in MiB and its standard output, as JSON.
_MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, check=False)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak": peak, "output": done.stdout, "status": done.returncode}))
"""
_SELECT = """
import sys, pymysql
connection = pymysql.connect(unix_socket="/run/mysqld/mysqld.sock", database=sys.argv[1])
cursor = connection.cursor()
cursor.execute("SELECT * FROM users")
print(len(cursor.fetchall()))
"""
# crypt(3) alone, in a process for each core: its own time divided by the cores, as far as other work leaves them.
_CRYPT = """
import ctypes, json, multiprocessing, sys, time
library = ctypes.CDLL("libcrypt.so.1")
library.crypt.restype = ctypes.c_char_p
def same(pair):
    return library.crypt(pair[0].encode(), pair[1].encode()) == pair[1].encode()
pairs, cores = json.load(open(sys.argv[1])), int(sys.argv[2])
with multiprocessing.get_context("fork").Pool(cores) as pool:
    pool.map(same, pairs[:cores], 1)
    start = time.perf_counter()
    assert all(pool.map(same, pairs, len(pairs) // cores))
    print(time.perf_counter() - start)
"""


class Bench:
    """A host with two databases of the same tables: ``rows`` for the module, ``plain`` for what it is compared with."""

    def __init__(self, suite: str, repeat: int) -> None:
        self.server = mariadb_hosts.Server(suite)
        self.repeat = repeat
        self.missed = 0
        self.cores = int(self.server.shell("nproc"))
        self.server.shell("mkdir -p /root/bench")
        for name, text in (("measure.py", _MEASURE), ("select.py", _SELECT), ("crypt.py", _CRYPT)):
            self.put(name, text)
        for database in ("rows", "plain"):
            assert self.server.module("mail_schema", login_db=database)["changed"]
            self.server.sql(
                "".join(f"INSERT INTO domains (domain) VALUES ('{domain(i)}');" for i in range(DOMAINS)), database
            )

    def put(self, name: str, text: str) -> None:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            mariadb_hosts.images.podman("cp", file.name, f"{self.server.name}:/root/bench/{name}")

    def put_rows(self, name: str, rows: list[tuple[str, str]]) -> None:
        """The rows as a row stream for the module and as tab separated values for LOAD DATA."""
        items = ({"email": email, "password_hash": password} for email, password in rows)
        stream = io.StringIO()
        directory_files.write_stream(directory_files.of_items("users", items, "users"), stream)
        self.put(f"{name}.rows", stream.getvalue())
        self.put(f"{name}.tsv", "".join(f"{email}\t{password}\n" for email, password in rows))

    def put_module(self, name: str, **arguments: object) -> list[str]:
        """The command that runs mail_directory with the arguments, as Ansible would."""
        payload = mariadb_hosts._payload("mailfleet.ispmail.mail_directory", {"login_db": "rows", **arguments})
        self.put(f"{name}.py", payload.decode())
        return ["python3", f"/root/bench/{name}.py"]

    def python(self, script: str) -> str:
        """What the script prints on the host."""
        self.put("script.py", script)
        return self.server.shell("python3 /root/bench/script.py")

    def run(self, command: list[str]) -> tuple[float, float, str]:
        """Seconds, peak memory in MiB, output."""
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
        done = json.loads(self.server.shell(f"python3 /root/bench/measure.py {quoted}", timeout=900))
        assert done["status"] == 0, done["output"]
        return done["seconds"], done["peak"], done["output"]

    def empty(self, database: str) -> None:
        self.server.sql("TRUNCATE users", database)

    def best(self, *works: Callable[[], float]) -> list[float]:
        """The least seconds of each, taken in turns."""
        return [min(seconds) for seconds in zip(*([work() for work in works] for _turn in range(self.repeat)))]

    def report(self, work: str, seconds: float, reference: float, goal: float, of: str) -> None:
        ratio = seconds / reference
        self.missed += ratio > goal
        print(
            f"{work:<58} {seconds:8.2f} s   {of}: {reference:8.2f} s   ratio {ratio:5.2f}   goal {goal:5.2f}"
            f"   {'ok' if ratio <= goal else 'MISSED'}",
            flush=True,
        )


def domain(number: int) -> str:
    return f"example{number % DOMAINS:03d}.org"


def users(count: int) -> list[tuple[str, str]]:
    """Addresses in random order, with what looks like their SHA-512 hashes."""
    source = random.Random(count)
    alphabet = str.maketrans("+=", "./")
    rows = []
    for number in range(count):
        text = base64.b64encode(source.randbytes(78)).decode().translate(alphabet)
        rows.append((f"user{number:07d}@{domain(number)}", f"$6${text[:16]}${text[16:102]}"))
    source.shuffle(rows)
    return rows


def first_and_unchanged(bench: Bench) -> None:
    rows = users(HUNDRED_THOUSAND)
    bench.put_rows("many", rows)
    command = bench.put_module("many", src="/root/bench/many.rows", remote_src=True)
    load = ["mariadb", "--skip-ssl", "--local-infile=1", "plain", "-e"]
    load.append("LOAD DATA LOCAL INFILE '/root/bench/many.tsv' INTO TABLE users (email, password)")

    def first() -> float:
        bench.empty("rows")
        seconds, _peak, output = bench.run(command)
        assert json.loads(output)["users"]["added"] == len(rows), output
        return seconds

    def loaded() -> float:
        bench.empty("plain")
        return bench.run(load)[0]

    def unchanged() -> float:
        seconds, _peak, output = bench.run(command)
        assert json.loads(output)["users"]["unchanged"] == len(rows), output
        return seconds

    def selected() -> float:
        seconds, _peak, output = bench.run(["python3", "/root/bench/select.py", "plain"])
        assert int(output) == len(rows)
        return seconds

    seconds, reference = bench.best(first, loaded)
    bench.report("100,000 users with hashes, first apply", seconds, reference, 3.0, "LOAD DATA")
    seconds, reference = bench.best(unchanged, selected)
    bench.report("100,000 users, unchanged", seconds, reference, 2.0, "SELECT   ")


def million(bench: Bench) -> None:
    bench.put_rows("smaller", users(HUNDRED_THOUSAND))
    rows = users(MILLION)
    bench.put_rows("million", rows)
    hashed = dict(rows)
    for email in list(hashed)[:50]:
        hashed[email] = "$6$" + hashed[email][3:].swapcase()
    changed = [*list(hashed.items())[: MILLION - 50], *((f"new{i}@{domain(i)}", rows[i][1]) for i in range(50))]
    bench.put_rows("changed", changed)
    command = bench.put_module("million", src="/root/bench/million.rows", remote_src=True)
    again = bench.put_module("changed", src="/root/bench/changed.rows", remote_src=True)
    smaller = bench.put_module("smaller", src="/root/bench/smaller.rows", remote_src=True)

    bench.empty("rows")
    bench.run(smaller)
    hundred_thousand = min(bench.run(smaller)[0] for _turn in range(bench.repeat))
    bench.empty("rows")
    peaks = []
    works = {}
    for work, run, counts in (
        ("first apply", command, {"added": MILLION}),
        ("unchanged", command, {"unchanged": MILLION}),
        ("100 changes", again, {"added": 50, "changed": 50}),
    ):
        seconds, peak, output = bench.run(run)
        found = json.loads(output)["users"]
        assert all(found[name] == count for name, count in counts.items()), (work, found)
        works[work] = seconds
        peaks.append(peak)
    # Linear: ten times the rows take no more than ten times the seconds, interpreter's start aside.
    for work in ("unchanged", "100 changes"):
        bench.report(f"1,000,000 users, {work}", works[work], 10 * hundred_thousand, 1.2, "10 x 100k")
    bench.report("1,000,000 users, peak memory (MiB for s)", max(peaks), MEMORY, 1.0, "1 GiB    ")


def playbook(bench: Bench) -> None:
    """The whole of ansible-playbook, from a CSV file on the control node."""
    rows = users(HUNDRED_THOUSAND)
    bench.empty("rows")
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "users.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(rows)
        variables = "ansible_connection=containers.podman.podman ansible_python_interpreter=/usr/bin/python3"
        (Path(folder) / "inventory").write_text(f"{bench.server.name} {variables}\n")
        (Path(folder) / "play.yml").write_text(
            "- hosts: all\n  gather_facts: false\n  tasks:\n"
            "    - mailfleet.ispmail.mail_directory: {src: users.csv, login_db: rows}\n"
        )
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            f"{folder}/inventory",
            f"{folder}/play.yml",
        ]

        def run() -> float:
            start = time.perf_counter()
            done = subprocess.run(
                [*namespace.prefix(), *command],
                env={**namespace.environment(), "ANSIBLE_PIPELINING": "1"},
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout
            return time.perf_counter() - start

        run()
        (seconds,) = bench.best(run)
        bench.report("ansible-playbook, 100,000 users, unchanged", seconds, PLAYBOOK_SECONDS, 1.0, "limit    ")


def passwords(bench: Bench) -> None:
    """Clear text against its hash: what 1,000 verifications add to the same run with the hashes themselves."""
    script = (
        "import ctypes, json\n"
        "library = ctypes.CDLL('libcrypt.so.1')\n"
        "library.crypt.restype = ctypes.c_char_p\n"
        f"clear = ['geheim %d' % i for i in range({CLEAR_TEXT})]\n"
        "hashes = [library.crypt(c.encode(), b'$6$salt%05d$' % i).decode() for i, c in enumerate(clear)]\n"
        "print(json.dumps(list(zip(clear, hashes))))\n"
    )
    pairs = json.loads(bench.python(script))
    bench.put("pairs.json", json.dumps(pairs))
    emails = [f"clear{i:04d}@{domain(i)}" for i in range(CLEAR_TEXT)]
    hashes = [{"email": email, "password_hash": stored} for email, (_clear, stored) in zip(emails, pairs)]
    clear = [{"email": email, "password": text} for email, (text, _stored) in zip(emails, pairs)]
    commands = []
    for name, items in (("hashes", hashes), ("clear", clear)):
        stream = io.StringIO()
        directory_files.write_stream(directory_files.of_items("users", items, "users"), stream)
        bench.put(f"{name}.rows", stream.getvalue())
        commands.append(bench.put_module(name, src=f"/root/bench/{name}.rows", remote_src=True))
    bench.empty("rows")
    bench.run(commands[0])

    def run(command: list[str]) -> float:
        seconds, _peak, output = bench.run(command)
        assert json.loads(output)["users"]["unchanged"] == CLEAR_TEXT, output
        return seconds

    with_hashes, with_clear, crypt = bench.best(
        lambda: run(commands[0]),
        lambda: run(commands[1]),
        lambda: float(bench.run(["python3", "/root/bench/crypt.py", "/root/bench/pairs.json", str(bench.cores)])[2]),
    )
    of = f"crypt / {bench.cores}"
    bench.report("1,000 clear-text passwords verified", with_clear - with_hashes, crypt, 1.2, of)


WORKS = {"apply": first_and_unchanged, "passwords": passwords, "playbook": playbook, "million": million}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="trixie", help="Debian release of the host")
    parser.add_argument("--repeat", type=int, default=3, help="how often; the best counts")
    parser.add_argument("work", nargs="*", metavar="WORK", help=f"what to measure, all by default: {', '.join(WORKS)}")
    arguments = parser.parse_args()
    if set(arguments.work) - WORKS.keys():
        parser.error(f"WORK must be among {', '.join(WORKS)}")
    bench = Bench(arguments.suite, arguments.repeat)
    try:
        for work in arguments.work or WORKS:
            WORKS[work](bench)
    finally:
        bench.server.stop()
    return 1 if bench.missed else 0


if __name__ == "__main__":
    os.environ.setdefault("ANSIBLE_LOCALHOST_WARNING", "0")
    sys.exit(main())
