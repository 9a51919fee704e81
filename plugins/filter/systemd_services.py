# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that systemd knows, from what systemctl(1) prints."""

from __future__ import annotations

import json

DOCUMENTATION = r"""
name: systemd_services
short_description: Services by name, from two lists of systemctl
description:
  - Makes one dictionary of what C(systemctl list-unit-files) and C(systemctl list-units --all) print, both with
    C(--type=service --output=json). It holds what M(ansible.builtin.service_facts) would, for a tenth of the time.
version_added: 0.1.0
author: mailfleet (@mailfleet)
options:
  _input:
    description: The two lines of output.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show whether Postfix is running
  ansible.builtin.debug:
    msg: "{{ (systemctl.stdout_lines | mailfleet.ispmail.systemd_services)['postfix.service'].state }}"
"""

RETURN = r"""
_value:
  description:
    - For each unit, with its suffix, the C(state) (V(running), V(exited), V(dead), V(failed), ...; V(dead) if it was
      never loaded) and the C(status) (V(enabled), V(disabled), V(static), V(masked), ...; empty if it has no file).
  type: dict
"""


def systemd_services(lines: list[str]) -> dict[str, dict[str, str]]:
    """Return ``{"NAME.service": {"state": ..., "status": ...}}``; see systemctl(1), list-units and is-enabled."""
    files, units = (json.loads(line) for line in lines)
    services = {entry["unit_file"]: {"state": "dead", "status": entry["state"]} for entry in files}
    for entry in units:
        if entry["load"] != "not-found":
            services.setdefault(entry["unit"], {"status": ""})["state"] = entry["sub"]
    return services


class FilterModule:
    """The collection's filter for the output of systemctl."""

    def filters(self):
        return {"systemd_services": systemd_services}
