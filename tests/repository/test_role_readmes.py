# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role's README.md says what its argument specs say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gates"))
import role_readmes


def test_every_role_has_an_up_to_date_readme() -> None:
    stale = [str(path.relative_to(role_readmes.REPOSITORY)) for path in role_readmes.outdated()]
    assert stale == [], "run tests/gates/role_readmes.py"


@pytest.mark.parametrize(
    ("written", "markdown"),
    [
        ("Set C(a (b) c) or V(no\\)).", "Set `a (b) c` or `no\\)`."),
        (
            "See L(the manual, https://example.org/x) and B(never) O(x).",
            "See [the manual](https://example.org/x) and *never* `x`.",
        ),
        ("MAC(x) of IMAP (RFC 3501)", "MAC(x) of IMAP (RFC 3501)"),
    ],
)
def test_markup_becomes_markdown(written: str, markdown: str) -> None:
    assert role_readmes.markdown(written) == markdown


def test_a_table_cell_cannot_end_its_row() -> None:
    (row,) = role_readmes.rows({"a": {"description": "x | y\nz", "default": "{{ b | c }}"}})
    assert row == "| `a` | str | `{{ b \\| c }}` | x \\| y z |"
