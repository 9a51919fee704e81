# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postfix_config on a running Postfix of both releases."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from config_hosts import Host, Play

Run = Callable[..., Play]


@pytest.fixture
def mail_hosts(hosts: list[Host]) -> Iterator[list[Host]]:
    """The hosts with Postfix as its package left it, before and after the test."""
    for host in hosts:
        host.sh("rm -rf /root/as-packaged; cp -a /etc/postfix /root/as-packaged")
    yield hosts
    for host in hosts:
        host.sh("rm -r /etc/postfix; mv /root/as-packaged /etc/postfix; postfix reload 2>/dev/null")


def postfix(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "mailfleet.ispmail.postfix_config": options}


def line_diff(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


SERVICES = {
    "submission/inet": {
        "private": False,
        "chroot": False,
        "command": "smtpd",
        "options": {
            "syslog_name": "postfix/submission",
            "smtpd_tls_security_level": "may",
            "smtpd_client_restrictions": ["permit_mynetworks", "reject"],
            "smtpd_recipient_restrictions": "check_policy_service unix:private/policy, reject",
        },
    },
    "deliver/unix": {
        "unprivileged": False,
        "chroot": False,
        "maxproc": 2,
        "command": "pipe flags=DRhu user=nobody argv=/bin/cat -u {${recipient} x}",
        "options": {"deliver_time_limit": 10},
    },
    "smtp/inet": {"maxproc": 7},
    "relay/unix": None,
}
PARAMETERS = {
    "mynetworks": ["127.0.0.0/8", "[::1]/128"],
    "message_size_limit": 1000000,
    "smtpd_helo_required": True,
    "virtual_transport": "deliver:",
    "deliver_destination_recipient_limit": 1,
    "biff": None,
}


def test_what_is_given_is_set_and_all_else_stays(mail_hosts: list[Host], run_tasks: Run) -> None:
    before = [(host.read("/etc/postfix/main.cf"), host.read("/etc/postfix/master.cf")) for host in mail_hosts]
    play = run_tasks(
        mail_hosts,
        [
            postfix("set", parameters=PARAMETERS, services=SERVICES),
            postfix("again", parameters=PARAMETERS, services=SERVICES),
            postfix("listen", parameters={"inet_interfaces": ["127.0.0.1", "[::1]"]}),
            postfix("back", parameters={"inet_interfaces": "all"}, services={"submission/inet": {"options": {}}}),
        ],
        "--diff",
    )
    for host, (main, master) in zip(mail_hosts, before, strict=True):
        result = play.of(host, "set")
        assert result["changed_parameters"] == list(PARAMETERS), result
        assert result["changed_services"] == list(SERVICES)
        assert result["restart_required"] is False
        assert result["checks"][0]["ran"] is True
        shown = {entry["after_header"]: entry for entry in result["diff"]}
        assert shown["/etc/postfix/main.cf"]["before"] == main
        assert shown["/etc/postfix/master.cf"]["before"] == master
        main_diff = line_diff(main, shown["/etc/postfix/main.cf"]["after"])
        assert [line for line in main_diff if line.startswith("+")] == [
            "+mynetworks = 127.0.0.0/8, [::1]/128",
            "+message_size_limit = 1000000",
            "+smtpd_helo_required = yes",
            "+virtual_transport = deliver:",
            "+deliver_destination_recipient_limit = 1",
        ]
        assert sorted(line.split("=")[0].strip("- ") for line in main_diff if line.startswith("-")) == [
            "biff",
            "mynetworks",
        ]
        assert [line for line in line_diff(master, shown["/etc/postfix/master.cf"]["after"]) if line[0] == "+"] == [
            "+smtp      inet  n       -       y       -       7       smtpd",
            "+submission inet  n       -       n       -       -       smtpd",
            "+  -o syslog_name=postfix/submission",
            "+  -o smtpd_tls_security_level=may",
            "+  -o smtpd_client_restrictions=permit_mynetworks,reject",
            "+  -o {smtpd_recipient_restrictions = check_policy_service unix:private/policy, reject}",
            "+deliver   unix  -       n       n       -       2       pipe",
            "+  -o deliver_time_limit=10",
            "+  flags=DRhu user=nobody argv=/bin/cat -u {${recipient} x}",
        ]
        assert play.of(host, "again")["changed"] is False, play.of(host, "again")
        assert play.of(host, "listen")["restart_required"] is True
        assert play.of(host, "back")["changed_services"] == ["submission/inet"]
        # Postfix itself reads it as it was meant, and serves the new port after a reload.
        assert host.sh("postconf -h mynetworks message_size_limit smtpd_helo_required biff").splitlines() == [
            "127.0.0.0/8, [::1]/128",
            "1000000",
            "yes",
            "yes",
        ]
        assert host.sh("postconf -P deliver/unix/deliver_time_limit").strip().endswith("= 10")
        assert host.sh("postconf -P 'submission/inet/*'") == ""
        host.sh(
            "postfix reload 2>&1; for i in 1 2 3 4 5 6; do ss -ltn | grep -q :587 && exit 0; sleep 0.5; done; exit 1"
        )

        assert host.sh("stat -c %U:%G:%a /etc/postfix/main.cf") == "root:root:644\n"


def test_options_read_by_postfix_are_the_options_given(mail_hosts: list[Host], run_tasks: Run) -> None:
    run_tasks(mail_hosts, [postfix("set", services=SERVICES)])
    for host in mail_hosts:
        read = dict(line.split(" = ", 1) for line in host.sh("postconf -P 'submission/inet/*'").splitlines())
        assert {name.removeprefix("submission/inet/"): value for name, value in read.items()} == {
            "syslog_name": "postfix/submission",
            "smtpd_tls_security_level": "may",
            "smtpd_client_restrictions": "permit_mynetworks,reject",
            "smtpd_recipient_restrictions": "check_policy_service unix:private/policy, reject",
        }


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown parameter": ({"parameters": {"smtp_helo_requiredd": "x"}}, "smtp_helo_requiredd is unknown"),
    "unknown option": (
        {"services": {"x/unix": {"command": "smtp", "options": {"no_such_option": 1}}}},
        "no_such_option is unknown",
    ),
    "number": ({"parameters": {"message_size_limit": "abc"}}, "message_size_limit = abc"),
    "protocols": ({"parameters": {"inet_protocols": "ipv5"}}, "refused by 'postfix -c /etc/postfix check'"),
    "number of a daemon": ({"parameters": {"smtpd_soft_error_limit": "abc"}}, "smtpd would not start: bad numerical"),
    "boolean": ({"parameters": {"smtpd_helo_required": "maybe"}}, "smtpd_helo_required = maybe"),
    "time": ({"parameters": {"smtp_connect_timeout": "5 bananas"}}, "bad time value or unit: 5 bananas"),
    "option of a service": (
        {"services": {"submission/inet": {"command": "smtpd", "options": {"smtpd_tls_auth_only": "maybe"}}}},
        "smtpd would not start: bad boolean configuration: smtpd_tls_auth_only = maybe",
    ),
    "program": ({"services": {"new/unix": {"command": "smptd"}}}, "smptd is no program of this Postfix"),
    "line break": ({"parameters": {"relayhost": "a\nb = c"}}, "relayhost: the value contains a line break"),
    "dictionary": ({"parameters": {"relayhost": {"a": "b"}}}, "relayhost: the value is a dict"),
    "name": ({"parameters": {"relay host": "a"}}, "'relay host' is not a name of a Postfix parameter"),
    "service": ({"services": {"smtp": {"command": "smtpd"}}}, "'smtp' is not a service"),
    "field": ({"services": {"smtp/inet": {"chrooted": True}}}, "'chrooted' is unknown, the fields are private"),
    "flag": ({"services": {"smtp/inet": {"chroot": "y"}}}, "chroot is 'y': give true, false or null"),
    "process limit": (
        {"services": {"smtp/inet": {"maxproc": "many"}}},
        "maxproc is 'many': give a number of processes",
    ),
    "command": ({"services": {"new/inet": {"chroot": True}}}, "a new service needs a command"),
    "settings in command": ({"services": {"new/inet": {"command": "smtpd -o a=b"}}}, "as options"),
    "directory": (
        {"config_directory": "/etc/nowhere", "parameters": {"biff": True}},
        "/etc/nowhere/main.cf is not there",
    ),
}


def test_what_postfix_would_not_take_leaves_the_host_as_it_was(mail_hosts: list[Host], run_tasks: Run) -> None:
    before = [host.snapshot("/etc") for host in mail_hosts]
    play = run_tasks(mail_hosts, [postfix(name, **options) for name, (options, _message) in REFUSED.items()])
    for number, host in enumerate(mail_hosts):
        for name, (_options, message) in REFUSED.items():
            result = play.of(host, name)
            assert result["failed"] and message in result["msg"], (name, result)
        assert host.snapshot("/etc") == before[number]
        # What was tried is nothing that happened: the host's log knows none of it.
        assert "smtpd_soft_error_limit" not in host.sh("journalctl --no-pager SYSLOG_FACILITY=2")


def test_check_mode_shows_the_change_and_writes_nothing(mail_hosts: list[Host], run_tasks: Run) -> None:
    before = [host.snapshot("/etc", "/var/lib", "/var/spool/postfix/etc") for host in mail_hosts]
    play = run_tasks(
        mail_hosts,
        [postfix("set", parameters=PARAMETERS, services=SERVICES), postfix("bad", parameters={"no_such": 1})],
        "--check",
        "--diff",
    )
    for number, host in enumerate(mail_hosts):
        result = play.of(host, "set")
        assert result["changed"] and result["checks"][0]["ran"] and len(result["diff"]) == 2, result
        # The check is a real one in check mode too.
        assert "no_such is unknown" in play.of(host, "bad")["msg"]
        assert host.snapshot("/etc", "/var/lib", "/var/spool/postfix/etc") == before[number]
