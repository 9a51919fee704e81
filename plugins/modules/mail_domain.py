#!/usr/bin/python
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory import domain_options, run_one


def main() -> None:
    run_one(
        "domains",
        domain_options(),
        cascade={"type": "bool", "default": False},
        local_domains={"type": "list", "elements": "str", "default": []},
    )


if __name__ == "__main__":
    main()
