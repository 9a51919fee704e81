# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mariadb_hosts import Server

_DUMPS = Path(__file__).resolve().parent / "dumps"


@pytest.fixture
def load(mariadb: Server) -> Iterator[Callable[[str, str], None]]:
    """Loads a file of C(dumps) into a database, which is made anew and removed after the test."""
    loaded = set()

    def load(dump: str, database: str) -> None:
        loaded.add(database)
        mariadb.execute(f"DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database}")
        mariadb.execute((_DUMPS / dump).read_text(), database)

    yield load
    for database in loaded:
        mariadb.execute(f"DROP DATABASE IF EXISTS {database}")
