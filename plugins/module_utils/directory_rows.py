# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From rows as they were written to the rows that are wanted: every value parsed, every problem named with its place.

A million rows pass here, so whatever many rows share (all but the key and the content) is parsed once a combination.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import itemgetter
from typing import Any, Callable

from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.mailfleet.ispmail.plugins.module_utils.addresses import (
    AddressError,
    parse_destination,
    parse_domain,
    parse_source,
    parse_user,
    split_list,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_files import Section
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import (
    DEFAULT_SCHEME,
    SCHEMES,
    PasswordError,
    check_hash,
    check_password,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.plan import (
    DOMAINS,
    FORWARDINGS,
    MAX_DESTINATIONS,
    MAX_REPORTED,
    TABLES,
    TOO_MANY_DESTINATIONS,
    USERS,
    Desired,
    Rule,
    Table,
    join_destinations,
    summary,
)

MAX_QUOTA = 2**63 - 1  # octets; Courier counts in a signed 64-bit integer
UPDATE_PASSWORD = ("always", "on_create")
STATES = ("present", "absent")

Source = Callable[[], Iterable[Section]]


class RowsError(Exception):
    """Rows that are refused; one line each, up to MAX_REPORTED. Never holds a password or a hash."""


def collect(source: Source, scheme: str = DEFAULT_SCHEME, update_password: str = "always") -> Desired:
    """Return the wanted rows of the sections that ``source()`` yields; it is called again to find a place in them.

    ``scheme`` and ``update_password`` hold for users that do not say. Raises RowsError.
    """
    collector = _Collector(scheme, update_password)
    for section in source():
        collector.add(section)
    collector.finish(source)
    desired = collector.desired
    desired.locate = lambda table, keys: _locate(source, TABLES[table], keys)
    return desired


class _Problem(Exception):
    """What is wrong with the value of ``column``."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


class _Collector:
    def __init__(self, scheme: str, update_password: str) -> None:
        self.desired = Desired()
        self.defaults = {"password_scheme": scheme, "update_password": update_password}
        self.rules: dict[tuple, dict] = {}  # (table, columns) -> values -> rule
        self.lines: list[str] = []
        self.count = 0
        self.duplicates: list[tuple[Table, str, str]] = []

    def add(self, section: Section) -> None:
        table = TABLES[section.name]
        self.desired.given.add(table.name)
        if not section.rows or self._has_unknown_columns(table, section):
            return
        parse_key, key_of = _KEYS[table.name], _value_of(section, table.key)
        want = self._READERS[table.name](self, section)
        wanted = self.desired.of(table)
        for index, row in enumerate(section.rows):
            try:
                key = parse_key(key_of(row))
                if key in wanted:
                    self._note_duplicate(table, key, section.place(index, table.key))
                else:
                    wanted[key] = want(key, row)
            except AddressError as error:
                reason = "is required" if key_of(row) is None else str(error)
                self._refuse(section.place(index, table.key), reason)
            except _Problem as problem:
                self._refuse(section.place(index, problem.column), str(problem))

    def finish(self, source: Source) -> None:
        """Raise RowsError if any row was refused."""
        for table in TABLES.values():
            keys = {key for duplicate, key, _place in self.duplicates if duplicate is table}
            first = _locate(source, table, keys)
            self.lines += [
                f"{place}: {key} is given twice, first as {first[key]}; take one of them out"
                for duplicate, key, place in self.duplicates
                if duplicate is table
            ]
        if self.count:
            raise RowsError(summary(self.lines[:MAX_REPORTED], self.count))

    def _note_duplicate(self, table: Table, key: str, place: str) -> None:
        self.count += 1
        if len(self.duplicates) < MAX_REPORTED:
            self.duplicates.append((table, key, place))

    def _refuse(self, place: str, reason: str) -> None:
        self.count += 1
        if len(self.lines) < MAX_REPORTED:
            self.lines.append(f"{place}: {reason}")

    def _has_unknown_columns(self, table: Table, section: Section) -> bool:
        known = _COLUMNS[table.name]
        unknown = [column for column in section.columns if column not in known]
        for column in unknown:
            value_of = _value_of(section, column)
            index = next((i for i, row in enumerate(section.rows) if value_of(row) is not None), 0)
            self._refuse(section.place(index, column), f"is no option of a {table.one}; it has {', '.join(known)}")
        return bool(unknown)

    def _domains(self, section: Section) -> _Reader:
        rule_of = self._rules(DOMAINS, section)
        return lambda key, row: (rule_of(row), None)

    def _users(self, section: Section) -> _Reader:
        password_of, hash_of = _value_of(section, "password"), _value_of(section, "password_hash")
        rule_of = self._rules(USERS, section)
        clear_rule_of = self._rules(USERS, section, clear=True)

        def read(key: str, row: list) -> tuple[Rule, str | None]:
            password, hashed = password_of(row), hash_of(row)
            if password is None:
                rule = rule_of(row)
                if hashed is None:
                    return rule, None
                try:
                    return rule, check_hash(_text("password_hash", hashed))
                except PasswordError as error:
                    raise _Problem("password_hash", f"the hash of {key} {error}") from None
            if hashed is not None:
                raise _Problem("password_hash", f"{key} has password and password_hash; give one of them")
            rule = clear_rule_of(row)
            try:
                return rule, check_password(_text("password", password), rule.scheme or DEFAULT_SCHEME)
            except PasswordError as error:
                raise _Problem("password", f"the password of {key} {error}") from None

        return read

    def _forwardings(self, section: Section) -> _Reader:
        destinations_of, keep_copy_of = _value_of(section, "destinations"), _value_of(section, "keep_copy")
        rule_of = self._rules(FORWARDINGS, section)

        def read(key: str, row: list) -> tuple[Rule, str | None]:
            rule = rule_of(row)
            if not rule.present:
                return rule, None
            keep_copy = _truth("keep_copy", keep_copy_of(row) or False)
            return rule, _destinations(key, destinations_of(row), bool(keep_copy))

        return read

    _READERS = {"domains": _domains, "users": _users, "forwardings": _forwardings}

    def _rules(self, table: Table, section: Section, clear: bool = False) -> Callable[[list], Rule]:
        """A function from a row of the section to its rule; equal values give the same rule."""
        columns = [c for c in section.columns if c in _SHARED[table.name]]
        values_of = _values_of(section, columns)
        memo = self.rules.setdefault((table.name, clear, *columns), {})

        def rule_of(row: list) -> Rule:
            values = values_of(row)
            try:
                rule = memo.get(values)
            except TypeError:
                column = next(c for c, value in zip(columns, values) if isinstance(value, (list, dict)))
                raise _Problem(column, "is a list or a dictionary, but must be a single value") from None
            if rule is None:
                rule = memo[values] = self._rule(table, dict(zip(columns, values)), clear)
            return rule

        return rule_of

    def _rule(self, table: Table, given: dict[str, Any], clear: bool) -> Rule:
        parsed = {
            column: _SHARED[table.name][column](column, value) for column, value in given.items() if value is not None
        }
        for option, default in self.defaults.items():
            parsed.setdefault(option, default)
        return Rule(
            settings=tuple(parsed.get(column) for column in table.settings),
            present=parsed.get("state") != "absent",
            scheme=parsed["password_scheme"] if clear else None,
            keep_content=table is USERS and parsed["update_password"] == "on_create",
            append=bool(parsed.get("append")),
        )


_Reader = Callable[[str, list], "tuple[Rule, str | None]"]


def _value_of(section: Section, column: str) -> Callable[[list], Any]:
    if column not in section.columns:
        return lambda row: None
    return itemgetter(section.columns.index(column))


def _values_of(section: Section, columns: list[str]) -> Callable[[list], tuple]:
    """Like itemgetter, but a tuple for one column and for none, too."""
    places = [section.columns.index(column) for column in columns]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple([row[place] for place in places])


def _locate(source: Source, table: Table, keys: Collection[str]) -> dict[str, str]:
    """The places where the keys are first wanted."""
    found: dict[str, str] = {}
    for section in source() if keys else ():
        if section.name != table.name:
            continue
        key_of = _value_of(section, table.key)
        for index, row in enumerate(section.rows):
            try:
                key = _KEYS[table.name](key_of(row))
            except AddressError:
                continue
            if key in keys:
                found.setdefault(key, section.place(index, table.key))
        if len(found) == len(keys):
            break
    return found


def _destinations(source: str, given: Any, keep_copy: bool) -> str:
    """The text of the column for the option ``destinations``: a list, or text with commas."""
    if isinstance(given, str):
        given = split_list(given)
    if not isinstance(given, list) or not given:
        reason = "is required" if given is None else "must be a list with at least one address"
        raise _Problem("destinations", f"{source}: {reason}")
    try:
        parsed = [parse_destination(item) for item in given]
    except AddressError as error:
        raise _Problem("destinations", f"{source}: {error}") from None
    twice = {item for item in parsed if parsed.count(item) > 1} if len(set(parsed)) < len(parsed) else None
    if twice:
        raise _Problem("destinations", f"{source}: leads to {', '.join(sorted(twice))} twice")
    if keep_copy:
        if source.startswith("@"):
            raise _Problem("keep_copy", f"{source}: a catch-all has no mailbox in which a copy could be kept")
        if source not in parsed:
            parsed.insert(0, source)
    if len([item for item in parsed if item.startswith("@")]) > 1:
        raise _Problem("destinations", f"{source}: only one destination can be a whole domain (virtual(5))")
    local = source[: source.rindex("@")]
    if [local + item if item.startswith("@") else item for item in parsed] == [source]:
        raise _Problem("destinations", f"forwarding to itself: {source} -> {source}; name another destination")
    text = join_destinations(parsed)
    if len(text) > MAX_DESTINATIONS:
        raise _Problem("destinations", f"{source}: {TOO_MANY_DESTINATIONS}")
    return text


def _text(column: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _Problem(column, f"is {type(value).__name__} where text is needed; put it in quotes")
    return value


def _truth(column: str, value: Any) -> int:
    """0 or 1; in text as Ansible reads it."""
    try:
        return int(boolean(value))
    except TypeError:
        raise _Problem(column, f"{value!r} is neither true nor false") from None


def _quota(column: str, value: Any) -> int:
    """Octets; text may have a unit, a power of 1024 (2G is 2147483648)."""
    if isinstance(value, bool):
        raise _Problem(column, f"{value!r} is no size; write 0 for no limit, or for example 2G")
    if isinstance(value, str) and value.strip().lower() == "unlimited":
        return 0
    try:
        octets = human_to_bytes(value)
    except ValueError:
        octets = -1
    if not 0 <= octets <= MAX_QUOTA:
        raise _Problem(column, f"{value!r} is no size; write octets, 0 for no limit, or for example 500M or 2G")
    return octets


def _host(column: str, value: Any) -> str:
    try:
        return parse_domain(value) if value != "" else ""
    except AddressError as error:
        raise _Problem(column, str(error)) from None


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def parse(column: str, value: Any) -> str:
        if value not in choices:
            raise _Problem(column, f"{value!r} is none of {', '.join(choices)}")
        return value

    return parse


_KEYS: dict[str, Callable[[Any], str]] = {"domains": parse_domain, "users": parse_user, "forwardings": parse_source}

# What rows share, with its parser.
_SHARED: dict[str, dict[str, Callable[[str, Any], Any]]] = {
    "domains": {"enabled": _truth, "state": _one_of(*STATES)},
    "users": {
        "password_scheme": _one_of(*SCHEMES),
        "update_password": _one_of(*UPDATE_PASSWORD),
        "quota": _quota,
        "enabled": _truth,
        "smtp_enabled": _truth,
        "imap_enabled": _truth,
        "pop3_enabled": _truth,
        "webmail_enabled": _truth,
        "mailhost": _host,
        "state": _one_of(*STATES),
    },
    "forwardings": {"append": _truth, "keep_copy": _truth, "enabled": _truth, "state": _one_of(*STATES)},
}
_COLUMNS = {
    "domains": ("domain", *_SHARED["domains"]),
    "users": ("email", "password", "password_hash", *_SHARED["users"]),
    "forwardings": ("source", "destinations", *_SHARED["forwardings"]),
}
