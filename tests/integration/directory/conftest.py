# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from directory_database import Directory
from mariadb_hosts import Server


@pytest.fixture
def directory(mariadb: Server, database: str) -> Directory:
    """The empty tables, as mail_schema makes them."""
    result = mariadb.module("mail_schema", login_db=database)
    assert result["changed"], result
    return Directory(mariadb, database)
