# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way that forwardings send a message: the lookups of Postfix's virtual(5), followed to find loops and dead ends.

Addresses are in the stored form of ``addresses``. Pure: no database, no Ansible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Callable

from ansible_collections.mailfleet.ispmail.plugins.module_utils.addresses import domain_of, split_list


class Routes:
    """Forwardings as a graph, from a source to its destinations.

    An address is looked up as Postfix does with the tutorial's maps: its own forwarding, else its mailbox (the
    email-to-email map, which ends the search), else the catch-all of its domain. ``@other`` as a destination keeps the
    local part. A destination equal to the address itself ends the search too: that is how a copy is kept.
    """

    def __init__(self, forwardings: Iterable[tuple[str, str]]) -> None:
        """``forwardings``: pairs of source and comma separated destinations, the enabled ones only."""
        self._destinations = {source.lower(): destinations for source, destinations in forwardings}

    def __contains__(self, source: str) -> bool:
        return source in self._destinations

    def uses_catch_all(self, address: str) -> bool:
        """Whether ``address``, if it is no mailbox, is caught by its domain's catch-all."""
        return address not in self._destinations and "@" + domain_of(address) in self._destinations

    def after(self, address: str, is_mailbox: Callable[[str], bool]) -> list[str]:
        """The addresses that ``address`` is replaced by, without itself; empty where the way ends."""
        found = self._destinations.get(address)
        if found is None:
            catch_all = self._destinations.get("@" + domain_of(address))
            if catch_all is None or is_mailbox(address):
                return []
            found = catch_all
        local = address[: address.rindex("@")]
        steps = []
        for item in split_list(found):
            step = local + item if item.startswith("@") else item
            step = step.lower()
            if step != address and "@" in step:
                steps.append(step)
        return steps

    def loops(self, is_mailbox: Callable[[str], bool] = lambda address: False) -> Iterator[list[str]]:
        """Yield each loop once, as the chain of its addresses with the first one repeated at the end.

        Where several loops share an address, at least one of them is found. Runs in time linear in the number of
        lookups; without ``is_mailbox`` no address counts as a mailbox, which can only find more.
        """
        done: set[str] = set()
        for start in self._destinations:
            if start in done:
                continue
            chain, position = [start], {start: 0}
            pending = [iter(self.after(start, is_mailbox))]
            while pending:
                step = next(pending[-1], None)
                if step is None:
                    pending.pop()
                    address = chain.pop()
                    del position[address]
                    done.add(address)
                elif step in position:
                    yield [*chain[position[step] :], step]
                elif step not in done:
                    position[step] = len(chain)
                    chain.append(step)
                    pending.append(iter(self.after(step, is_mailbox)))


def find_problems(domains: Iterable[str], users: Iterable[str], forwardings: list[tuple[str, str]]) -> dict[str, Any]:
    """What is wrong among rows that are all enabled: ``orphans``, ``loops`` and ``dead_ends``.

    Only destinations in a hosted domain can be told to be dead ends; what other hosts accept is not known here.
    """
    hosted = {domain.lower() for domain in domains}
    mailboxes = {user.lower() for user in users}
    routes = Routes(forwardings)
    dead_ends = []
    for source, destinations in forwardings:
        for destination in map(str.lower, split_list(destinations)):
            if (
                "@" in destination
                and domain_of(destination) in hosted
                and destination not in mailboxes
                and destination not in routes
                and not destination.startswith("@")
                and not routes.uses_catch_all(destination)
            ):
                dead_ends.append({"source": source, "destination": destination})
    return {
        "orphans": {
            "users": sorted(user for user in mailboxes if domain_of(user) not in hosted),
            "forwardings": sorted(s for s, _d in forwardings if "@" in s and domain_of(s).lower() not in hosted),
        },
        "loops": list(routes.loops(mailboxes.__contains__)),
        "dead_ends": dead_ends,
    }
