# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rows of an older layout become in the directory.  Pure: rows in, rows and refusals out.

Three layouts are known: the tutorial's own tables (2004), the tables of its later editions (C(virtual_domains) and so
on), and PostfixAdmin's.  A function for each turns the rows as they are stored into :class:`Source`; :func:`plan` then
decides for all of them alike.  Whatever is not carried over is a :class:`Rejected`, never silently gone.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.mailfleet.ispmail.plugins.module_utils.addresses import (
    AddressError,
    domain_of,
    parse_destination,
    parse_domain,
    parse_source,
    parse_user,
    split_list,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import (
    MAX_STORED,
    PasswordError,
    check_hash,
    check_password,
)

MAX_DESTINATION = 65535  # octets of a TEXT column
MAX_QUOTA = 2**64 - 1  # BIGINT UNSIGNED


class Rejected(NamedTuple):
    """What was not carried over: a row (C(part) is C(row)), one part of a row that was carried over without it, or a
    whole column that the directory does not have (C(part) is C(column), C(key) its name).

    C(table) and C(key) say where it still stands: the source's table and the value that identifies the row there.
    """

    table: str
    key: str
    part: str
    reason: str


class Domain(NamedTuple):
    table: str
    key: str
    name: str
    enabled: bool


class User(NamedTuple):
    table: str
    key: str
    email: str
    password: str
    enabled: bool
    quota: int


class Forwarding(NamedTuple):
    table: str
    key: str
    source: str
    destinations: Sequence[str]
    enabled: bool


@dataclass
class Source:
    """The rows of one older layout, in the order in which they stand there, brought into one form."""

    domains: list[Domain] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    forwardings: list[Forwarding] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True)
class Present:
    """The keys, in lower case, that the directory already has."""

    domains: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    forwardings: frozenset[str] = frozenset()


class Password(NamedTuple):
    """A password as it will be stored, or hashed first if C(clear); C(problem) says why it opens nothing, if so."""

    text: str
    clear: bool = False
    problem: str | None = None


class NewUser(NamedTuple):
    email: str
    password: Password
    enabled: bool
    quota: int


@dataclass
class Adoption:
    """What to insert: C((domain, enabled)), users, C((source, destination, enabled))."""

    domains: list[tuple[str, bool]] = field(default_factory=list)
    users: list[NewUser] = field(default_factory=list)
    forwardings: list[tuple[str, str, bool]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def clear_text(self) -> int:
        """Number of users whose password is clear text."""
        return sum(user.password.clear for user in self.users)


def plan(source: Source, present: Present, convert: Callable[[str], Password]) -> Adoption:
    """Decides what of C(source) is inserted beside what is C(present), which stays as it is.

    C(convert) turns a password column into what is to be stored.
    """
    adoption = Adoption(rejected=list(source.rejected))
    _plan_domains(source.domains, present, adoption)
    hosted = present.domains.union(name for name, _enabled in adoption.domains)
    _plan_users(source.users, present, hosted, convert, adoption)
    _plan_forwardings(source.forwardings, present, adoption)
    return adoption


def _plan_domains(rows: Iterable[Domain], present: Present, adoption: Adoption) -> None:
    enabled: dict[str, bool] = {}
    for row in rows:
        try:
            name = parse_domain(row.name.strip())
        except AddressError as error:
            adoption.rejected.append(Rejected(row.table, row.key, "row", f"the domain {error.reason}"))
            continue
        # A domain that is present, or that stands there twice in different spelling, loses nothing by being one.
        if name not in present.domains:
            enabled[name] = enabled.get(name, False) or row.enabled
    adoption.domains.extend(enabled.items())


def _plan_users(
    rows: Iterable[User],
    present: Present,
    hosted: frozenset[str],
    convert: Callable[[str], Password],
    adoption: Adoption,
) -> None:
    taken: dict[str, str] = {}
    # Of several spellings of one address the one that is stored in lower case comes first: it is the one that mail,
    # which Postfix looks up in lower case, was delivered to.
    for row in sorted(rows, key=lambda row: row.email != row.email.lower()):

        def reject(part: str, reason: str, row: User = row) -> None:
            adoption.rejected.append(Rejected(row.table, row.key, part, reason))

        given = row.email.strip()
        try:
            email = parse_user(given)
        except AddressError as error:
            reject("row", f"the address {error.reason}")
            continue
        if email in present.users:
            reject("row", "the directory already has a user with this address")
        elif email in taken:
            reject("row", f"it is the same address as {taken[email]}")
        elif domain_of(email) not in hosted:
            reject("row", f"its domain {domain_of(email)} is not among the domains")
        else:
            taken[email] = row.key
            # The maildir is named like the address: keep the spelling that it has.
            name = given if given.lower() == email else email
            if name != row.email:
                reject("email", f"it is stored as {name}; a maildir of the old name has to be renamed")
            password = convert(row.password)
            if password.problem:
                reject("password", password.problem)
            quota = row.quota if 0 <= row.quota <= MAX_QUOTA else 0
            if quota != row.quota and row.quota != -1:
                reject("quota", f"{row.quota} is no number of octets; the mailbox is unlimited now")
            adoption.users.append(NewUser(name, password, row.enabled, quota))


def _plan_forwardings(rows: Iterable[Forwarding], present: Present, adoption: Adoption) -> None:
    merged: dict[str, dict[str, None]] = {}
    enabled: dict[str, bool] = {}
    # Rows with one source become one forwarding; one that is switched on is not mixed with one that is off.
    for row in sorted(rows, key=lambda row: not row.enabled):

        def reject(part: str, reason: str, row: Forwarding = row) -> None:
            adoption.rejected.append(Rejected(row.table, row.key, part, reason))

        try:
            source = _bare_or(parse_source, row.source.strip())
        except AddressError as error:
            reject("row", f"the source {error.reason}")
            continue
        if source in present.forwardings:
            reject("row", "the directory already has a forwarding with this source")
            continue
        if enabled.get(source, row.enabled) != row.enabled:
            reject("row", "it is switched off, and another row with the same source is not")
            continue
        destinations: dict[str, None] = {}
        for text in row.destinations:
            try:
                destinations[_bare_or(parse_destination, text)] = None
            except AddressError as error:
                reject("destination", f"{text} {error.reason}")
        if not destinations:
            reject("row", "it leads nowhere")
            continue
        together = {**merged.get(source, {}), **destinations}
        if sum(len(destination) + 1 for destination in together) > MAX_DESTINATION + 1:
            reject("row", f"the destinations of {source} together are longer than {MAX_DESTINATION} octets")
            continue
        merged[source], enabled[source] = together, row.enabled
    adoption.forwardings.extend((source, ",".join(found), enabled[source]) for source, found in merged.items())


def _bare_or(parse: Callable[[str], str], text: str) -> str:
    """Parses an address that may lack its domain, which Postfix then takes for a local one (virtual(5))."""
    if text and "@" not in text:
        return parse(text + "@local").rpartition("@")[0]
    return parse(text)


_CLEAR_TAGS = re.compile(r"\{(?:PLAIN|CLEARTEXT|CLEAR)\}", re.IGNORECASE)
_HASH_START = re.compile(r"\$[0-9a-z-]{1,10}\$|\{[A-Za-z0-9.-]+\}")
_HEXADECIMAL_MD5 = re.compile("[0-9A-Fa-f]{32}")


def converter(layout: str, scheme: str) -> Callable[[str], Password]:
    """How the password column of C(layout) is read; clear text must be storable with C(scheme) (C(CLEAR): as it is).

    The tutorial's column is clear text unless it says otherwise with a tag or the C($) of crypt(5).  In the others,
    what looks like a hash is one: an MD5 in hexadecimal (the later editions' first default), crypt(3)'s 13 characters.
    """

    def convert(text: str) -> Password:
        tag = _CLEAR_TAGS.match(text)
        if tag:
            return clear(text[tag.end() :])
        if layout != "tutorial" and _HEXADECIMAL_MD5.fullmatch(text):
            text = "{PLAIN-MD5}" + text
        meant_as_hash = _HASH_START.match(text) is not None
        try:
            return Password(check_hash(text)) if meant_as_hash or layout != "tutorial" else clear(text)
        except PasswordError as error:
            if not meant_as_hash:
                return clear(text)
            # Kept where it fits: it opens nothing here, and is what another verifier may need one day.
            kept = text if text.isascii() and len(text) <= MAX_STORED else _unguessable()
            return Password(kept, problem=f"it {error}")

    def clear(text: str) -> Password:
        try:
            return Password(check_password(text, scheme), clear=True)
        except PasswordError as error:
            return Password(_unguessable(), problem=f"it {error}; nobody can log in until a new one is set")

    return convert


def _unguessable() -> str:
    """No hash of anything, and no text that anybody knows."""
    return "!" + secrets.token_urlsafe(32)


def split_destinations(text: str) -> list[str]:
    """The destinations of one row: separated by commas, and by white space where that is between whole addresses."""
    found = []
    for item in split_list(text):
        words = item.split()
        found.extend(words if '"' not in item and all("@" in word for word in words) else [item])
    return found


def text_of(value: Any) -> str:
    """A column as text, whatever its type; octets that are not UTF-8 stay visible and will be refused."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def from_tutorial(
    domains: Iterable[Sequence[Any]],
    users: Iterable[Sequence[Any]],
    forwardings: Iterable[Sequence[Any]],
    tables: dict[str, str],
) -> Source:
    """The tutorial's own tables.

    Rows: C((domain, enabled)), C((email, password, enabled, quota)), C((source, destination, enabled)); the columns
    that the tutorial did not have are read where somebody added them.  C(tables) tells what each table is called now.
    """
    source = Source()
    for domain, enabled in domains:
        source.domains.append(Domain(tables["domains"], text_of(domain), text_of(domain), bool(enabled)))
    for email, password, enabled, quota in users:
        source.users.append(
            User(tables["users"], text_of(email), text_of(email), text_of(password), bool(enabled), int(quota or 0))
        )
    for name, destination, enabled in forwardings:
        key = text_of(name)
        found = split_destinations(text_of(destination))
        source.forwardings.append(Forwarding(tables["forwardings"], key, key, found, bool(enabled)))
    return source


def from_ispmail(
    domains: Iterable[Sequence[Any]], users: Iterable[Sequence[Any]], aliases: Iterable[Sequence[Any]]
) -> Source:
    """The tables of the tutorial's later editions.

    Rows: C((id, name)), C((id, domain's name or None, email or user, password, quota)),
    C((id, domain's name or None, source, destination)).  The editions for etch and lenny store the part before the @
    only, and an empty one for a catch-all.
    """
    source = Source()
    for number, name in domains:
        source.domains.append(Domain("virtual_domains", f"id {number} ({text_of(name)})", text_of(name), True))
    for number, domain, user, password, quota in users:
        email = _complete(text_of(user), domain)
        key = f"id {number} ({email})"
        source.users.append(User("virtual_users", key, email, text_of(password), True, int(quota or 0)))
    for number, domain, name, destination in aliases:
        address = _complete(text_of(name), domain)
        key = f"id {number} ({address})"
        found = split_destinations(text_of(destination))
        source.forwardings.append(Forwarding("virtual_aliases", key, address, found, True))
    return source


def _complete(name: str, domain: Any) -> str:
    return name if "@" in name or domain is None else f"{name}@{text_of(domain)}"


def from_postfixadmin(
    domains: Iterable[Sequence[Any]],
    mailboxes: Iterable[Sequence[Any]],
    aliases: Iterable[Sequence[Any]],
    alias_domains: Iterable[Sequence[Any]],
) -> Source:
    """PostfixAdmin's tables.

    Rows: C((domain, backupmx, active)), C((username, password, quota, active)), C((address, goto, active)),
    C((alias_domain, target_domain, active)).
    """
    source = Source()
    for domain, backup, active in domains:
        name = text_of(domain)
        if backup:
            source.rejected.append(
                Rejected("domain", name, "row", "this host is only its backup MX, it is not hosted here")
            )
        elif name != "ALL":  # PostfixAdmin's own entry for its administrators, not a domain
            source.domains.append(Domain("domain", name, name, bool(active)))
    owners = set()
    for username, password, quota, active in mailboxes:
        name = text_of(username)
        owners.add(name.lower())
        source.users.append(User("mailbox", name, name, text_of(password), bool(active), int(quota or 0)))
    for address, goto, active in aliases:
        name = text_of(address)
        found = split_destinations(text_of(goto))
        # PostfixAdmin needs a row from each mailbox to itself, the directory does not.
        if name.lower() in owners and [item.lower() for item in found] == [name.lower()]:
            continue
        # ann#example.org@autoreply.example.org: PostfixAdmin's vacation program, which is not part of this host.
        for item in [item for item in found if "#" in item.rpartition("@")[0]]:
            found.remove(item)
            reason = f"{item} is the address of PostfixAdmin's vacation program"
            source.rejected.append(Rejected("alias", name, "destination", reason))
        if name.lower() in owners and [item.lower() for item in found] == [name.lower()]:
            continue
        source.forwardings.append(Forwarding("alias", name, name, found, bool(active)))
    explicit = {row.source.lower() for row in source.forwardings}
    for alias, target, active in alias_domains:
        name = text_of(alias)
        if f"@{name.lower()}" in explicit:
            reason = f"the table alias has a catch-all @{name}, which goes before"
            source.rejected.append(Rejected("alias_domain", name, "row", reason))
        else:
            source.forwardings.append(
                Forwarding("alias_domain", name, f"@{name}", [f"@{text_of(target)}"], bool(active))
            )
    return source
