# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mailfleet.ispmail.plugins.test.fqdn import fqdn


@pytest.mark.parametrize(
    "name", ["mail.example.org", "MAIL.Example.org", "m.de", "xn--bcher-kva.example", "1-2.example", f"{'a' * 63}.test"]
)
def test_host_names(name: str) -> None:
    assert fqdn(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail",
        "localhost",
        "mail.example.org.",
        ".example.org",
        "mail..example.org",
        "mail.-example.org",
        "mail_1.example.org",
        "bücher.example",
        "192.0.2.1",
        "mail.example.c",
        "mail.example.4com",
        "mail.example.org\n",
        " mail.example.org",
        f"{'a' * 64}.test",
        f"{'a.' * 126}test",
        None,
        7,
        ["mail.example.org"],
    ],
)
def test_what_is_none(text: Any) -> None:
    assert not fqdn(text)
