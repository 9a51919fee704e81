# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example in the module's documentation runs as it is written, with a result as RETURN describes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ansible_collections.mailfleet.ispmail.plugins.modules.mail_schema import EXAMPLES, RETURN
from mariadb_hosts import Server

TYPES = {"int": int, "list": list, "dict": dict, "str": str}


def is_described(value: Any, description: dict[str, Any]) -> bool:
    if not isinstance(value, TYPES[description["type"]]):
        return False
    if "contains" not in description:
        return True
    return all(
        item.keys() == description["contains"].keys()
        and all(is_described(item[name], part) for name, part in description["contains"].items())
        for item in value
    )


@pytest.mark.parametrize("example", yaml.safe_load(EXAMPLES), ids=lambda example: example["name"])
def test_example(mariadb: Server, load: Callable[[str, str], None], example: dict[str, Any]) -> None:
    load("tutorial.sql", "provider")
    load("ispmail.sql", "mailserver")
    load("postfixadmin.sql", "postfixadmin")
    arguments = dict(example["mailfleet.ispmail.mail_schema"])
    if "login_host" in arguments:  # the first of the two servers is down
        arguments |= {"login_host": [*arguments["login_host"][:1], mariadb.address], "login_user": "admin"}
        arguments |= {"login_password": mariadb.password, "ca_cert": "/etc/mysql/tls/ca.pem"}
    result = mariadb.module("mail_schema", check=example.get("check_mode", False), **arguments)
    assert "failed" not in result, result
    assert result["changed"] == (arguments.get("state") != "info")
    for name, description in yaml.safe_load(RETURN).items():
        assert is_described(result[name], description), name
