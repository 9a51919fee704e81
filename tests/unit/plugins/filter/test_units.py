# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units a role still has to start, from what systemctl(1) printed on a Debian 12 host."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.ispmail.plugins.filter.systemd_services import systemd_services
from ansible_collections.mailfleet.ispmail.plugins.filter.units_to_start import units_to_start

FILES = (
    '[{"unit_file":"postfix.service","state":"enabled","preset":"enabled"},'
    '{"unit_file":"postfix@.service","state":"indirect","preset":"enabled"},'
    '{"unit_file":"courier-imap.service","state":"enabled","preset":"enabled"},'
    '{"unit_file":"courier-pop.service","state":"disabled","preset":"enabled"},'
    '{"unit_file":"clamav-freshclam.service","state":"masked","preset":"enabled"},'
    '{"unit_file":"dbus.service","state":"static","preset":null}]'
)
UNITS = (
    '[{"unit":"postfix.service","load":"loaded","active":"active","sub":"exited","description":""},'
    '{"unit":"postfix@-.service","load":"loaded","active":"active","sub":"running","description":""},'
    '{"unit":"courier-imap.service","load":"loaded","active":"failed","sub":"failed","description":""},'
    '{"unit":"courier-pop.service","load":"loaded","active":"active","sub":"running","description":""},'
    '{"unit":"dbus.service","load":"loaded","active":"active","sub":"running","description":""},'
    '{"unit":"apparmor.service","load":"not-found","active":"inactive","sub":"dead","description":""}]'
)
SERVICES = systemd_services([FILES, UNITS])


def test_services_hold_the_state_of_the_unit_and_the_status_of_its_file() -> None:
    assert SERVICES["courier-pop.service"] == {"state": "running", "status": "disabled"}
    assert SERVICES["postfix@-.service"] == {"state": "running", "status": ""}
    assert SERVICES["clamav-freshclam.service"] == {"state": "dead", "status": "masked"}
    assert "apparmor.service" not in SERVICES


@pytest.mark.parametrize("unit", ["postfix@-", "dbus"])
def test_what_runs_and_has_nothing_to_enable_is_left_alone(unit: str) -> None:
    assert units_to_start([unit], SERVICES) == []


@pytest.mark.parametrize("unit", ["courier-imap", "courier-pop", "clamav-freshclam"])
def test_what_does_not_run_or_would_not_after_a_boot_is_started(unit: str) -> None:
    assert units_to_start(["dbus", unit], SERVICES) == [unit]
    assert units_to_start([unit], SERVICES, check_mode=True) == [unit]


def test_a_unit_of_a_package_that_is_not_installed_is_left_out_in_check_mode_only() -> None:
    assert units_to_start(["amavis"], SERVICES) == ["amavis"]
    assert units_to_start(["amavis"], SERVICES, check_mode=True) == []
