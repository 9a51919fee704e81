# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the host tests: the host from inside and from outside, its rows, its journal.

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
from support import Directory, Journal, run_playbook

_JOURNAL_LINES = 200


@pytest.fixture(scope="session")
def inventory(request: pytest.FixtureRequest) -> str:
    """The scenario's inventory."""
    path: str | None = request.config.getoption("ansible_inventory")
    assert path, "run with --ansible-inventory=PATH"
    return path


@pytest.fixture(scope="session")
def variables(inventory: str) -> dict[str, t.Any]:
    """The host's variables in the inventory."""
    runner = testinfra.utils.ansible_runner.AnsibleRunner(inventory)
    hosts = runner.get_hosts("mail_transfer")
    assert len(hosts) == 1, f"these tests are for one host with everything; mail_transfer holds {hosts}"
    return runner.get_variables(hosts[0])


@pytest.fixture(scope="session")
def container(variables: dict[str, t.Any]) -> str:
    """The host's name in Podman."""
    return str(variables.get("ansible_host", variables["inventory_hostname"]))


@pytest.fixture(scope="session")
def host(container: str) -> testinfra.host.Host:
    """Commands on the host. Not through Ansible, which would take a second for each."""
    return testinfra.get_host(f"podman://{container}")


@pytest.fixture(scope="session")
def ca_file(host: testinfra.host.Host, variables: dict[str, t.Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The host's self-signed certificate, which its clients trust."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_text(
        host.file(variables.get("ispmail_certificate_file", "/etc/ssl/ispmail/fullchain.pem")).content_string
    )
    return str(path)


@pytest.fixture
def mail_host(host: testinfra.host.Host, ca_file: str) -> conversation.MailHost:
    """The host from outside. Its address is asked for each time, because a reboot changes it."""
    address = host.check_output("hostname --all-ip-addresses").split()[0]
    return conversation.MailHost(address, host.check_output("hostname --fqdn"), ca_file)


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
    """Give a failed test the end of the host's journal, and the units that failed."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        for title, command in (
            ("journal", f"journalctl --boot --no-pager --quiet --lines={_JOURNAL_LINES} --output=short-precise"),
            ("failed units", "systemctl list-units --failed --no-legend --plain"),
        ):
            report.sections.append((f"{title} of the host", host.run(command).stdout))
    return report
