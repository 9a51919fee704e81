# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the host tests: the hosts from inside and from outside, their rows, their journals.

``host`` is the host that talks to the world, ``store`` the one with the mailboxes and the webmail, ``database`` the one
with the rows. Where a single machine is all of them the three are the same.

The same tests serve every scenario: a scenario's ``tests`` folder holds links to this file, to ``support.py``, to
``common`` and to the folder of its profile. All run inside `testhosts.py run`, as Molecule itself does, and twice: the
second time after a reboot of the host, so that each test also shows that what it is about survives one.
"""

from __future__ import annotations

import typing as t

import pytest
import testinfra
import testinfra.host
import testinfra.utils.ansible_runner
from ansible.plugins.loader import init_plugin_loader

# Before anything is imported from the collection, which need not be on Python's own path.
init_plugin_loader()

from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from support import Directory, Journal, MailService, address, run_playbook

_JOURNAL_LINES = 200


@pytest.fixture(scope="session")
def inventory(request: pytest.FixtureRequest) -> str:
    """The scenario's inventory."""
    path: str | None = request.config.getoption("ansible_inventory")
    assert path, "run with --ansible-inventory=PATH"
    return path


@pytest.fixture(scope="session")
def runner(inventory: str) -> testinfra.utils.ansible_runner.AnsibleRunner:
    """The inventory's hosts and their variables."""
    return testinfra.utils.ansible_runner.AnsibleRunner(inventory)


def _variables(runner: testinfra.utils.ansible_runner.AnsibleRunner, group: str) -> dict[str, t.Any]:
    hosts = runner.get_hosts(group)
    assert len(hosts) == 1, f"these tests are for one host in each group; {group} holds {hosts}"
    return runner.get_variables(hosts[0])


def _host(runner: testinfra.utils.ansible_runner.AnsibleRunner, group: str) -> testinfra.host.Host:
    """Commands on the host of a group. Not through Ansible, which would take a second for each."""
    variables = _variables(runner, group)
    return testinfra.get_host(f"podman://{variables.get('ansible_host', variables['inventory_hostname'])}")


@pytest.fixture(scope="session")
def variables(runner: testinfra.utils.ansible_runner.AnsibleRunner) -> dict[str, t.Any]:
    """The variables of ``host`` in the inventory."""
    return _variables(runner, "mail_transfer")


@pytest.fixture(scope="session")
def host(runner: testinfra.utils.ansible_runner.AnsibleRunner) -> testinfra.host.Host:
    return _host(runner, "mail_transfer")


@pytest.fixture(scope="session")
def store(runner: testinfra.utils.ansible_runner.AnsibleRunner) -> testinfra.host.Host:
    return _host(runner, "mail_store")


@pytest.fixture(scope="session")
def database(runner: testinfra.utils.ansible_runner.AnsibleRunner) -> testinfra.host.Host:
    return _host(runner, "mail_db")


@pytest.fixture(scope="session")
def ca_file(host: testinfra.host.Host, variables: dict[str, t.Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What clients trust: the authority that the scenario names, or the host's self-signed certificate."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    certificate = variables.get("ispmail_certificate_file", "/etc/ssl/ispmail/fullchain.pem")
    path.write_text(host.file(variables.get("test_ca_file", certificate)).content_string)
    return str(path)


@pytest.fixture
def mail_host(
    host: testinfra.host.Host, store: testinfra.host.Host, variables: dict[str, t.Any], ca_file: str
) -> conversation.MailHost:
    """The mail service from outside. Addresses are asked for each time, because a reboot may change them."""
    name = variables.get("test_service_name") or host.check_output("hostname --fqdn")
    return MailService(address(host), name, ca_file, store_address=address(store))


@pytest.fixture(scope="session")
def directory(inventory: str) -> Directory:
    """Rows for these tests, made once as an operator makes them."""
    made = Directory()
    run_playbook(inventory, "mailfleet.ispmail.directory", made.rows())
    return made


@pytest.fixture
def journal(host: testinfra.host.Host) -> Journal:
    """The host's journal from the test's beginning."""
    return Journal(host)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give a failed test the end of the hosts' journals, and the units that failed."""
    report = yield
    used = getattr(item, "funcargs", {})
    if report.failed:
        for name in ("host", "store", "database"):
            for title, command in (
                ("journal", f"journalctl --boot --no-pager --quiet --lines={_JOURNAL_LINES} --output=short-precise"),
                ("failed units", "systemctl list-units --failed --no-legend --plain"),
            ):
                if name in used:
                    report.sections.append((f"{title} of the {name}", used[name].run(command).stdout))
    return report
