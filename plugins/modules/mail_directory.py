#!/usr/bin/python
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory import (
    DIFF_LIMIT,
    domain_options,
    forwarding_options,
    options_of,
    reconcile,
    user_options,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_files import (
    LISTS,
    Section,
    of_items,
    of_path,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import DEFAULT_SCHEME, SCHEMES


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            "domains": {"type": "list", "elements": "dict", "options": domain_options()},
            "users": {
                "type": "list",
                "elements": "dict",
                "options": user_options(),
                "mutually_exclusive": [("password", "password_hash")],
            },
            "forwardings": {"type": "list", "elements": "dict", "options": forwarding_options()},
            "src": {"type": "path"},
            "remote_src": {"type": "bool", "default": False},
            "purge": {"type": "list", "elements": "str", "choices": list(LISTS), "default": []},
            "purge_domains": {"type": "list", "elements": "str"},
            "max_deletions": {"type": "int", "default": 100},
            "cascade": {"type": "bool", "default": False},
            "local_domains": {"type": "list", "elements": "str", "default": []},
            "password_scheme": {"type": "str", "choices": list(SCHEMES), "default": DEFAULT_SCHEME, "no_log": False},
            "update_password": {
                "type": "str",
                "choices": ["always", "on_create"],
                "default": "always",
                "no_log": False,
            },
            "diff_limit": {"type": "int", "default": DIFF_LIMIT},
        },
        supports_check_mode=True,
    )

    def sections() -> Iterator[Section]:
        for name in LISTS:
            if module.params[name] is not None:
                yield from of_items(name, module.params[name], name)
        if module.params["src"] is not None:
            yield from of_path(module.params["src"])

    module.exit_json(**reconcile(module, sections, options_of(module)))


if __name__ == "__main__":
    main()
