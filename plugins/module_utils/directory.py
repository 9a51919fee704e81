# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one runner behind mail_domain, mail_user, mail_forwarding and mail_directory, and their argument specs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailfleet.ispmail.plugins.module_utils.addresses import AddressError, parse_domain
from ansible_collections.mailfleet.ispmail.plugins.module_utils.connection import (
    ConnectionFailed,
    connection_argument_spec,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_files import SourceError, of_options
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_rows import (
    STATES,
    UPDATE_PASSWORD,
    RowsError,
    Source,
    collect,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import (
    DEFAULT_SCHEME,
    SCHEMES,
    PasswordError,
    hash_all,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.plan import (
    Changes,
    Clear,
    Options,
    Plan,
    PlanError,
    plan,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.store import Store, StoreError, transact

DIFF_LIMIT = 100  # rows of a table

LOCAL_DOMAINS: dict[str, dict[str, Any]] = {"local_domains": {"type": "list", "elements": "str", "default": []}}
MAILDIR_OPTIONS: dict[str, dict[str, Any]] = {
    "delete_maildirs": {"type": "bool", "default": False},
    "mail_store": {"type": "path", "default": "/home/vmail"},
}

_STATE: dict[str, Any] = {"type": "str", "choices": list(STATES), "default": "present"}


def domain_options() -> dict[str, dict[str, Any]]:
    """The options of one domain, as an argument spec."""
    return {"domain": {"type": "str", "required": True}, "enabled": {"type": "bool"}, "state": dict(_STATE)}


def user_options() -> dict[str, dict[str, Any]]:
    """The options of one user, as an argument spec."""
    return {
        "email": {"type": "str", "required": True},
        "password": {"type": "str", "no_log": True},
        "password_hash": {"type": "str", "no_log": True},
        "password_scheme": {"type": "str", "choices": list(SCHEMES), "no_log": False},
        "update_password": {"type": "str", "choices": list(UPDATE_PASSWORD), "no_log": False},
        "quota": {"type": "str"},
        "enabled": {"type": "bool"},
        "smtp_enabled": {"type": "bool"},
        "imap_enabled": {"type": "bool"},
        "pop3_enabled": {"type": "bool"},
        "webmail_enabled": {"type": "bool"},
        "mailhost": {"type": "str"},
        "state": dict(_STATE),
    }


def forwarding_options() -> dict[str, dict[str, Any]]:
    """The options of one forwarding, as an argument spec."""
    return {
        "source": {"type": "str", "required": True},
        "destinations": {"type": "list", "elements": "str"},
        "append": {"type": "bool", "default": False},
        "keep_copy": {"type": "bool", "default": False},
        "enabled": {"type": "bool"},
        "state": dict(_STATE),
    }


def run_one(name: str, item_options: dict[str, dict[str, Any]], **more_options: dict[str, Any]) -> None:
    """Be a module for one row of the list ``name``: its options are those of an item, and ``more_options``."""
    module = AnsibleModule(
        argument_spec={**connection_argument_spec(), **item_options, **more_options},
        supports_check_mode=True,
        mutually_exclusive=[("password", "password_hash")] if "password" in item_options else [],
    )
    row = of_options(name, {option: module.params[option] for option in item_options})
    result, planned = reconcile(module, lambda: [row], options_of(module))
    if module.params.get("delete_maildirs"):
        result["maildirs"] = _delete_maildirs(module, planned.users.delete)
    module.exit_json(**result)


def _delete_maildirs(module: AnsibleModule, users: list[str]) -> list[str]:
    """Delete the maildirs of ``users`` and return their paths; fails the module where one cannot be deleted."""
    # An address with a slash, which only an older tool can have stored, is no name of a directory.
    paths = [os.path.join(module.params["mail_store"], user) for user in users if "/" not in user]
    paths = [path for path in paths if os.path.isdir(path) and not os.path.islink(path)]
    failed = []
    for path in () if module.check_mode else paths:
        try:
            shutil.rmtree(path)
        except OSError as error:
            failed.append(f"{path} ({error.strerror})")
    if failed:
        module.fail_json(
            msg=f"the rows are deleted, but these maildirs remain: {', '.join(failed)}; delete them by hand",
            changed=True,
            maildirs=paths,
        )
    return paths


def options_of(module: AnsibleModule) -> Options:
    """The options of the plan that the module has; fails the module for a domain that is none."""
    params = module.params
    purge_domains = params.get("purge_domains")
    return Options(
        purge=frozenset(params.get("purge") or ()),
        purge_domains=None if purge_domains is None else parse_domains(module, "purge_domains"),
        max_deletions=params.get("max_deletions"),
        cascade=bool(params.get("cascade")),
        local_domains=parse_domains(module, "local_domains") | {"localhost"},
    )


def parse_domains(module: AnsibleModule, option: str) -> frozenset[str]:
    """The domains that the list ``option`` names; fails the module for one that is none."""
    parsed = set()
    for index, text in enumerate(module.params.get(option) or ()):
        try:
            parsed.add(parse_domain(text))
        except AddressError as error:
            module.fail_json(msg=f"{option}[{index}]: {error}")
    return frozenset(parsed)


@contextmanager
def fail_on_errors(module: AnsibleModule) -> Iterator[None]:
    """Fail the module with what the layers below refuse."""
    try:
        yield
    except ConnectionFailed as error:
        module.fail_json(msg=str(error), **({"exception": error.details} if error.details else {}))
    except (RowsError, SourceError, PlanError, PasswordError, StoreError) as error:
        module.fail_json(msg=str(error))


def reconcile(module: AnsibleModule, source: Source, options: Options) -> tuple[dict[str, Any], Plan]:
    """Make the directory be as the rows of ``source`` say; return the module's result and the plan, or fail it."""
    params = module.params
    with fail_on_errors(module):
        desired = collect(
            source,
            scheme=params.get("password_scheme") or DEFAULT_SCHEME,
            update_password=params.get("update_password") or "always",
        )

        def work(connection: Any) -> tuple[Plan, bool]:
            store = Store(connection, lenient=module.check_mode)
            if not module.check_mode:
                store.lock()
            planned = plan(desired, store, options)
            if planned and not module.check_mode:
                _hash_clear_text(planned.users)
                store.apply(planned)
            return planned, store.without_schema

        planned, without_schema = transact(params, work)
    if without_schema:
        module.warn(f"login_db {params['login_db']!r} has no tables yet; in check mode they are taken to be empty")
    result = {
        "changed": bool(planned),
        **{changes.table.name: _counts(changes) for changes in planned},
        "diff": [_diff(changes, max(0, params.get("diff_limit", DIFF_LIMIT))) for changes in planned if changes],
    }
    return result, planned


def _hash_clear_text(users: Changes) -> None:
    """Replace every ``Clear`` by its hash, on all cores."""
    inserts = [index for index, row in enumerate(users.insert) if isinstance(row[1], Clear)]
    updates = [update.after for update in users.update if isinstance(update.after.get("password"), Clear)]
    clear = [users.insert[index][1] for index in inserts] + [after["password"] for after in updates]
    hashes = iter(hash_all(clear))
    for index in inserts:
        key, _clear, settings = users.insert[index]
        users.insert[index] = (key, next(hashes), settings)
    for after in updates:
        after["password"] = next(hashes)


def _counts(changes: Changes) -> dict[str, int]:
    return {
        "added": len(changes.insert),
        "changed": len(changes.update),
        "deleted": len(changes.delete),
        "unchanged": changes.unchanged,
    }


def _diff(changes: Changes, limit: int) -> dict[str, str]:
    """What changes in one table, at most ``limit`` rows of it and how many there are; no password and no hash."""
    table = changes.table
    before: list[str] = []
    after: list[str] = []
    for key in changes.delete[:limit]:
        before.append(key)
    for update in changes.update[: limit - len(before)]:
        before.append(_line(update.key, update.before.items()))
        after.append(_line(update.key, update.after.items(), new=True))
    for key, content, settings in changes.insert[: max(0, limit - len(before))]:
        values = [(table.content, content)] if table.content else []
        columns = zip(table.settings, settings, table.defaults)
        values += [(column, value) for column, value, default in columns if value != default]
        after.append(_line(key, values))
    total = len(changes.delete) + len(changes.update) + len(changes.insert)
    if total > limit:
        more = f"... {total} rows in all: {', '.join(f'{n} {what}' for what, n in _counts(changes).items())}"
        after.append(more)
    return {
        "before_header": table.name,
        "after_header": table.name,
        "before": "".join(line + "\n" for line in before),
        "after": "".join(line + "\n" for line in after),
    }


def _line(key: str, values: Iterable[tuple[str, Any]], new: bool = False) -> str:
    shown = [
        f"{column}={('(new, hidden)' if new else '(hidden)') if column == 'password' else value}"
        for column, value in values
    ]
    return " ".join([key, *shown])
