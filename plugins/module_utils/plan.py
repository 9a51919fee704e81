# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change: the rows there are, the rows wanted and the options, made into the rows to write.

Pure: no Ansible, no PyMySQL, no clock, nothing random. A row of any table is a triple (key, content, settings):

=========== ========== ============== ==========================
table       key        content        settings
=========== ========== ============== ==========================
domains     domain     (none, ``""``) enabled
users       email      password       enabled, quota, ... mailhost
forwardings source     destinations   enabled
=========== ========== ============== ==========================

Settings are a tuple in the order of ``Table.settings``; booleans are 0 and 1, the quota is in octets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Protocol

from ansible_collections.mailfleet.ispmail.plugins.module_utils.addresses import domain_of, split_list
from ansible_collections.mailfleet.ispmail.plugins.module_utils.directory_routes import Routes
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import matches_all

# Up to this many wanted rows are read by their keys, more by reading the whole table.
SELECTIVE_READ = 1000
MAX_REPORTED = 20  # problems named in one message
MAX_DESTINATIONS = 65535  # octets of the column (TEXT)
TOO_MANY_DESTINATIONS = f"the destinations together are longer than {MAX_DESTINATIONS} octets; use a mailing list"

Row = tuple[str, str, tuple]


class Table(NamedTuple):
    """A table of the directory: its columns, and what a new row has where nothing is said."""

    name: str
    key: str
    content: str
    settings: tuple[str, ...]
    defaults: tuple
    one: str

    def columns(self) -> tuple[str, ...]:
        return (self.key, *((self.content,) if self.content else ()), *self.settings)

    def domain(self, key: str) -> str:
        return domain_of(key) if "@" in key else key


DOMAINS = Table("domains", "domain", "", ("enabled",), (1,), "domain")
USERS = Table(
    "users",
    "email",
    "password",
    ("enabled", "quota", "smtp_enabled", "imap_enabled", "pop3_enabled", "webmail_enabled", "mailhost"),
    (1, 0, 1, 1, 1, 1, ""),
    "user",
)
FORWARDINGS = Table("forwardings", "source", "destination", ("enabled",), (1,), "forwarding")
TABLES = {table.name: table for table in (DOMAINS, USERS, FORWARDINGS)}


class PlanError(Exception):
    """The wanted rows contradict each other, the rows there are, or a limit. Nothing has been changed."""


class Rule:
    """How rows are wanted: everything of an item but its key and its content. Many rows share one.

    ``settings`` has None where an existing row keeps what it has. ``scheme`` is None where the content of a user is a
    hash, else the scheme to hash the clear text with. ``keep_content`` leaves the content of an existing row alone
    (``update_password: on_create``). ``append`` adds destinations to those there are.
    """

    __slots__ = ("_complete", "_deltas", "append", "keep_content", "present", "scheme", "settings")

    def __init__(
        self,
        settings: tuple,
        present: bool = True,
        scheme: str | None = None,
        keep_content: bool = False,
        append: bool = False,
    ) -> None:
        self.present = present
        self.settings = settings
        self.scheme = scheme
        self.keep_content = keep_content
        self.append = append
        self._complete: tuple | None = None
        self._deltas: dict[tuple, dict[int, Any]] = {}

    def delta(self, current: tuple) -> dict[int, Any]:
        """The settings that differ from ``current``, by their index; empty if none does."""
        delta = self._deltas.get(current)
        if delta is None:
            delta = self._deltas[current] = {
                index: value
                for index, value in enumerate(self.settings)
                if value is not None and value != current[index]
            }
        return delta

    def complete(self, defaults: tuple) -> tuple:
        """The settings of a new row; the same tuple each time, which a million rows share."""
        if self._complete is None:
            self._complete = tuple(
                default if value is None else value for value, default in zip(self.settings, defaults)
            )
        return self._complete


class Clear(NamedTuple):
    """A clear-text password that is still to be hashed."""

    password: str
    scheme: str

    def __repr__(self) -> str:
        return f"Clear(scheme={self.scheme!r})"


Wanted = dict[str, tuple[Rule, "str | None"]]


@dataclass
class Desired:
    """The wanted rows: by table, from the key in stored form to (rule, content or None to keep it).

    ``given`` names the tables that were spoken of at all, be it by an empty list. ``locate`` names, for a table's name
    and some keys, the places in the input where they are wanted; it is asked only for what is reported.
    """

    domains: Wanted = field(default_factory=dict)
    users: Wanted = field(default_factory=dict)
    forwardings: Wanted = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    locate: Callable[[str, Collection[str]], dict[str, str]] = lambda table, keys: {}

    def of(self, table: Table) -> Wanted:
        return getattr(self, table.name)


@dataclass(frozen=True)
class Options:
    """``purge``: tables of which rows that are not wanted are deleted; in ``purge_domains`` only, unless that is None.

    ``max_deletions`` limits the rows deleted by ``purge`` and ``cascade``; None is no limit. ``cascade`` deletes users
    and forwardings of a domain together with it. ``local_domains`` are those that Postfix delivers as local.
    """

    purge: frozenset[str] = frozenset()
    purge_domains: frozenset[str] | None = None
    max_deletions: int | None = None
    cascade: bool = False
    local_domains: frozenset[str] = frozenset(("localhost",))


class Current(Protocol):
    """The rows there are, read in one consistent snapshot."""

    def rows(self, table: Table, keys: Collection[str] | None = None, domains: Collection[str] = ()) -> Iterable[Row]:
        """All rows, or with ``keys`` those that have one of the keys (stored form) or are in one of the domains."""


class Update(NamedTuple):
    """A change of one row: ``before`` and ``after`` from column to value, for the columns that change."""

    key: str
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass
class Changes:
    """What to write to one table. A new user's password is a hash, or a ``Clear`` that has to be hashed first.

    Keys to delete are spelled as they are in the table, which for rows of older tools may be with capitals.
    """

    table: Table
    insert: list[tuple[str, Any, tuple]] = field(default_factory=list)
    update: list[Update] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.insert or self.update or self.delete)


@dataclass
class Plan:
    domains: Changes
    users: Changes
    forwardings: Changes

    def __bool__(self) -> bool:
        return bool(self.domains or self.users or self.forwardings)

    def __iter__(self) -> Iterator[Changes]:
        return iter((self.domains, self.users, self.forwardings))


Matcher = Callable[[Iterable[tuple[str, str, str]]], "list[bool]"]


def plan(desired: Desired, current: Current, options: Options, matches: Matcher = matches_all) -> Plan:
    """Return what makes ``current`` be as ``desired``.

    ``matches`` tells for (clear text, stored, scheme) whether the stored password may stay. Raises PlanError, naming
    every row it is about (up to MAX_REPORTED).
    """
    return _Planner(desired, current, options, matches).plan()


class _Planner:
    def __init__(self, desired: Desired, current: Current, options: Options, matches: Matcher) -> None:
        self.desired = desired
        self.current = current
        self.options = options
        self.matches = matches
        self.problems: list[tuple[str, str, str]] = []  # table, key, what is wrong with it
        self.swept = 0  # rows deleted without being named: by purge and cascade
        self.removed: set[str] = set()  # domains that are deleted
        self.held: dict[str, list[str]] = {}  # domain -> rows that keep it from being deleted

    def plan(self) -> Plan:
        for table in TABLES.values():
            if table.name in self.options.purge and table.name not in self.desired.given:
                raise PlanError(
                    f"purge names {table.name}, but no {table.name} are given;"
                    f" to delete them all, give the empty list ({table.name}: [])"
                )
        domains, hosted = self._domains()
        self.removed = {domain.lower() for domain in domains.delete}
        forwardings, enabled = self._forwardings()
        users = self._users(hosted)
        self._refuse_loops(forwardings, enabled, users)
        for domain, rows in self.held.items():
            self._refuse(
                DOMAINS,
                domain,
                f"domain {domain} cannot be deleted, it still has {_some(rows)};"
                " delete them first, or set cascade to true",
            )
        self._raise()
        limit = self.options.max_deletions
        if limit is not None and self.swept > limit:
            raise PlanError(
                f"{self.swept} rows that are not named would be deleted, more than max_deletions ({limit}):"
                f" {_some([f'{c.table.one} {key}' for c in (domains, users, forwardings) for key in c.delete])};"
                " raise max_deletions if that is meant"
            )
        return Plan(domains, users, forwardings)

    def _domains(self) -> tuple[Changes, set[str]]:
        hosted: set[str] = set()

        def follow(key: str, settings: tuple, content: Any) -> None:
            hosted.add(key)

        changes = self._reconcile(DOMAINS, self.current.rows(DOMAINS), follow)
        for domain in sorted(hosted & self.options.local_domains):
            self._refuse(
                DOMAINS,
                domain,
                f"{domain} is a local domain of this host (mydestination -> {domain} -> domains);"
                " a domain is either local or hosted, take it out of one of the two",
            )
        return changes, hosted

    def _forwardings(self) -> tuple[Changes, list[tuple[str, str]] | None]:
        """The changes, and all forwardings that will be enabled (source, destinations); None if none had to be read."""
        if not (self.desired.forwardings or "forwardings" in self.options.purge or self.removed):
            return Changes(FORWARDINGS), None
        enabled: list[tuple[str, str]] = []

        def follow(key: str, settings: tuple, content: Any) -> None:
            if settings[0]:
                enabled.append((key, content))

        changes = self._reconcile(FORWARDINGS, self.current.rows(FORWARDINGS), follow)
        for update in changes.update:
            if len(update.after.get("destination", "")) > MAX_DESTINATIONS:
                self._refuse(FORWARDINGS, update.key, TOO_MANY_DESTINATIONS)
        return changes, enabled

    def _users(self, hosted: set[str]) -> Changes:
        wanted = self.desired.users
        if not (wanted or "users" in self.options.purge or self.removed):
            return Changes(USERS)
        if "users" in self.options.purge or len(wanted) > SELECTIVE_READ:
            rows = self.current.rows(USERS)
        else:
            rows = self.current.rows(USERS, wanted.keys(), self.removed)
        users = self._reconcile(USERS, rows)
        for key, content, _settings in users.insert:
            if content is None:
                self._refuse(USERS, key, f"{key} is a new user and needs a password or a password_hash")
            domain = domain_of(key)
            if domain not in hosted:
                self._refuse(
                    USERS,
                    key,
                    f"{key} is in the unknown domain {domain} ({key} -> {domain} -> not in domains);"
                    f" add {domain} to domains",
                )
        return users

    def _refuse_loops(self, forwardings: Changes, enabled: list[tuple[str, str]] | None, users: Changes) -> None:
        """Refuse what closes a loop: a change of a forwarding, or the end of a mailbox that ended a catch-all."""
        lost = {key.lower() for key in users.delete}
        lost.update(update.key for update in users.update if update.after.get("enabled") == 0)
        if not (forwardings or lost):
            return
        if enabled is None:
            enabled = [(key, content) for key, content, settings in self.current.rows(FORWARDINGS) if settings[0]]
        changed = {key for key, _content, settings in forwardings.insert if settings[0]}
        changed.update(update.key for update in forwardings.update)
        changed.update(source.lower() for source in forwardings.delete)
        routes = Routes(enabled)
        for loop in self._loops(routes, users, lost):
            chain = f"forwarding loop {' -> '.join(loop)}"
            # What is passed is an address's own forwarding, or, where it has none (any more), the catch-all.
            passed = [s for a in loop[:-1] for s in ((a,) if a in routes else (a, "@" + domain_of(a)))]
            sources = [source for source in passed if source in changed]
            ended = [address for address in loop if address in lost and routes.uses_catch_all(address)]
            if sources:
                self._refuse(FORWARDINGS, sources[0], f"{chain}; take one of these forwardings out")
            elif ended:
                reason = f"only the mailbox of {ended[0]} keeps it from being one"
                self._refuse(USERS, ended[0], f"{chain}; {reason}; take one of these forwardings out first")

    def _loops(self, routes: Routes, users: Changes, lost: set[str]) -> list[list[str]]:
        """The loops that there will be. Only mailboxes that could end one are asked for, so mostly none."""
        known: set[str] = set()
        mailboxes: set[str] = set()
        while True:
            loops = list(routes.loops(mailboxes.__contains__))
            asked = {address for loop in loops for address in loop if routes.uses_catch_all(address)} - known
            if not asked:
                return loops
            known |= asked
            there = {key.lower() for key, _content, settings in self.current.rows(USERS, asked) if settings[0]} - lost
            there.update(key for key, _content, settings in users.insert if settings[0])
            there.update(update.key for update in users.update if update.after.get("enabled") == 1)
            mailboxes |= asked & there

    def _reconcile(
        self, table: Table, rows: Iterable[Row], follow: Callable[[str, tuple, Any], None] | None = None
    ) -> Changes:
        """Compare one table's rows with those wanted; ``follow`` is told of every row that will exist."""
        wanted = self.desired.of(table)
        changes = Changes(table)
        missing = set(wanted)
        unverified: list[tuple[str, Rule, str, str, tuple]] = []
        for stored, content, settings in rows:
            key = stored.lower()
            want = wanted.get(key)
            if want is None:
                if self._is_swept(table, key):
                    changes.delete.append(stored)
                    self.swept += 1
                elif follow:
                    follow(key, settings, content)
                continue
            missing.discard(key)
            rule, new = want
            if not rule.present:
                changes.delete.append(stored)
                continue
            if self.removed and table is USERS and domain_of(key) in self.removed:
                self._refuse(USERS, key, f"{key} is wanted, but its domain {domain_of(key)} is to be deleted")
            if new is None or rule.keep_content:
                replaced = None
            elif rule.scheme:
                unverified.append((key, rule, new, content, settings))
                if follow:
                    follow(key, self._merged(rule, settings), content)
                continue
            else:
                replaced = None if new == content else _content(table, rule, content, new)
            delta = rule.delta(settings)
            if delta or replaced is not None:
                changes.update.append(_update(table, key, delta, settings, content, replaced))
            else:
                changes.unchanged += 1
            if follow:
                follow(key, self._merged(rule, settings), content if replaced is None else replaced)
        self._verify(changes, unverified)
        for key in sorted(missing):
            rule, new = wanted[key]
            if rule.present:
                first = Clear(new, rule.scheme) if rule.scheme and new is not None else new
                changes.insert.append((key, first, rule.complete(table.defaults)))
                if follow:
                    follow(key, rule.complete(table.defaults), first)
        return changes

    def _verify(self, changes: Changes, unverified: list[tuple[str, Rule, str, str, tuple]]) -> None:
        """Decide on the users whose clear text is given: the hash stays if it is one of that text."""
        triples = [(clear, stored, rule.scheme or "") for _key, rule, clear, stored, _settings in unverified]
        for (key, rule, clear, stored, settings), same in zip(unverified, self.matches(triples) if triples else ()):
            delta = rule.delta(settings)
            if delta or not same:
                replaced = None if same else Clear(clear, rule.scheme or "")
                changes.update.append(_update(changes.table, key, delta, settings, stored, replaced))
            else:
                changes.unchanged += 1

    def _is_swept(self, table: Table, key: str) -> bool:
        """Whether a row that nobody wants goes: by purge, or together with its domain."""
        domain = table.domain(key)
        if table.name in self.options.purge:
            scope = self.options.purge_domains
            if scope is None or domain in scope:
                return True
        if table is not DOMAINS and domain in self.removed:
            if self.options.cascade:
                return True
            self.held.setdefault(domain, []).append(f"{table.one} {key}")
        return False

    @staticmethod
    def _merged(rule: Rule, settings: tuple) -> tuple:
        return tuple(old if new is None else new for new, old in zip(rule.settings, settings))

    def _refuse(self, table: Table, key: str, reason: str) -> None:
        self.problems.append((table.name, key, reason))

    def _raise(self) -> None:
        """Raise PlanError for the problems found, each with the place in the input that it comes from."""
        if not self.problems:
            return
        reported = self.problems[:MAX_REPORTED]
        places: dict[tuple[str, str], str] = {}
        for name in {table for table, _key, _reason in reported}:
            keys = {key for table, key, _reason in reported if table == name}
            for key, place in self.desired.locate(name, keys).items():
                places[name, key] = place
        lines = [
            f"{places[table, key]}: {reason}" if (table, key) in places else reason for table, key, reason in reported
        ]
        raise PlanError(summary(lines, len(self.problems)))


def summary(lines: list[str], count: int) -> str:
    """One message of ``count`` problems: ``lines``, the first of them, and how many more there are."""
    return "\n".join(lines if count <= len(lines) else [*lines, f"and {count - len(lines)} more"])


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _content(table: Table, rule: Rule, content: str, new: str) -> str | None:
    """The content to write instead of ``content``, or None if that says the same."""
    if table is not FORWARDINGS:
        return new
    there, wanted = [item.lower() for item in split_list(content)], split_list(new)
    if rule.append:
        added = [item for item in wanted if item.lower() not in there]
        return join_destinations(split_list(content) + added) if added else None
    return None if set(there) == {item.lower() for item in wanted} else new


def join_destinations(destinations: Iterable[str]) -> str:
    """The text of the column: a destination ``@domain`` first, because Postfix honours it only there (virtual(5))."""
    return ",".join(sorted(destinations, key=lambda item: not item.startswith("@")))


def _update(table: Table, key: str, delta: dict[int, Any], settings: tuple, content: str, replaced: Any) -> Update:
    before = {table.settings[index]: settings[index] for index in delta}
    after = {table.settings[index]: value for index, value in delta.items()}
    if replaced is not None:
        before[table.content] = content
        after[table.content] = replaced
    return Update(key, before, after)
