# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MariaDB servers that the tests talk to, one a Debian release, started together when the first is needed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from mariadb_hosts import Server, remove_orphans

SUITES = ("bookworm", "trixie")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def _servers(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Server]]]:
    wanted = {
        item.callspec.params["mariadb"]
        for item in request.session.items
        if "mariadb" in getattr(getattr(item, "callspec", None), "params", {})
    }
    remove_orphans()
    with ThreadPoolExecutor(len(SUITES)) as pool:
        started = {suite: pool.submit(Server, suite) for suite in SUITES if suite in wanted}
        yield started
        for server in started.values():
            with contextlib.suppress(Exception):  # one that did not start failed the tests already
                server.result().stop()


@pytest.fixture(scope="session", params=SUITES)
def mariadb(request: pytest.FixtureRequest, _servers: dict[str, Future[Server]]) -> Server:
    """A running server; a test that takes it runs once a release: MariaDB 10.11 (bookworm) and 11.8 (trixie)."""
    return _servers[request.param].result()


@pytest.fixture
def database(mariadb: Server) -> Iterator[str]:
    """The name of a database that does not exist yet and is removed after the test."""
    name = f"test_{next(_numbers)}"
    yield name
    mariadb.execute(f"DROP DATABASE IF EXISTS {name}")
