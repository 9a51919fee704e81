# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which systemd units of a role still have to be started or enabled."""

from __future__ import annotations

DOCUMENTATION = r"""
name: units_to_start
short_description: Units that are not running, or that the next boot would not start
description:
  - Asking systemd about one unit costs an exchange with the host. P(mailfleet.ispmail.systemd_services#filter) knows
    all of them at once; this filter picks those that still need M(ansible.builtin.systemd_service).
version_added: 0.1.0
author: mailfleet (@mailfleet)
options:
  _input:
    description: Names of services, without C(.service).
    type: list
    elements: str
    required: true
  services:
    description: What P(mailfleet.ispmail.systemd_services#filter) returned.
    type: dict
    required: true
  check_mode:
    description:
      - In check mode a unit whose package is not installed yet does not exist, and
        M(ansible.builtin.systemd_service) would fail. With V(true) such units are left out.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Start and enable what is not running yet
  ansible.builtin.systemd_service:
    name: "{{ item }}"
    state: started
    enabled: true
  loop: "{{ ['postfix'] | mailfleet.ispmail.units_to_start(platform_services, ansible_check_mode) }}"
"""

RETURN = r"""
_value:
  description: The units of the input that are not running, are disabled or not known, in their order.
  type: list
  elements: str
"""


def units_to_start(units: list[str], services: dict[str, dict[str, str]], check_mode: bool = False) -> list[str]:
    """Return the members of ``units`` that are not running, or disabled or masked.

    Static, indirect and generated units have nothing to enable (systemctl(1), is-enabled).

    ``services`` maps ``NAME.service`` to a mapping with ``state`` and ``status``, as systemd_services returns it.
    """
    wanted = []
    for unit in units:
        fact = services.get(unit + ".service")
        if fact is None:
            if not check_mode:
                wanted.append(unit)
        elif fact.get("state") != "running" or fact.get("status") in ("disabled", "masked"):
            wanted.append(unit)
    return wanted


class FilterModule:
    """The collection's filter for units."""

    def filters(self):
        return {"units_to_start": units_to_start}
