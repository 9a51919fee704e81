# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change whose handler never ran counts as a change until the handler of a later run acknowledges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config_hosts import Host, Play

Run = Callable[..., Play]


def config(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "mailfleet.ispmail.config_files": options}


def parameter(name: str, value: str) -> dict[str, Any]:
    options = {"parameters": {"inet_interfaces": value}, "service": "parameters"}
    return {"name": name, "mailfleet.ispmail.postfix_config": options}


def test_a_change_is_pending_until_it_is_acknowledged(hosts: list[Host], run_tasks: Run) -> None:
    first = [{"dest": "/etc/pending-1", "content": "1\n"}]
    both = [*first, {"dest": "/etc/pending-2", "content": "2\n"}]
    play = run_tasks(
        hosts,
        [
            config("make", files=first, service="pending"),
            config("no handler ran", files=first, service="pending"),
            config("another file", files=both, service="pending"),
            config("of another service", files=first, service="other"),
            config("handler", applied=["pending", "never"]),
            config("after it", files=both, service="pending"),
            config(
                "refused",
                files=[{"dest": "/etc/pending-1", "content": "3\n"}],
                service="pending",
                check=[{"argv": ["false"]}],
            ),
            config("after the refusal", files=both, service="pending"),
            config("no plain name", files=first, service="../x"),
            parameter("set a parameter", "loopback-only"),
            parameter("it stays pending", "loopback-only"),
            config("postfix was restarted", applied=["parameters"]),
            parameter("it is in use", "loopback-only"),
            parameter("put it back", "all"),
            config("clean up", applied=["parameters"]),
        ],
    )
    for host in hosts:

        def of(task: str, host: Host = host) -> tuple[bool, list[str]]:
            result = play.of(host, task)
            return result["changed"], result["changed_files"]

        assert of("make") == (True, ["/etc/pending-1"])
        assert of("no handler ran") == (True, ["/etc/pending-1"])
        assert of("another file") == (True, ["/etc/pending-2", "/etc/pending-1"])
        assert of("of another service") == (False, [])
        assert play.of(host, "handler")["changed"] is False
        assert of("after it") == (False, [])
        assert play.of(host, "refused")["failed"]
        assert of("after the refusal") == (False, [])
        assert "is not a plain name" in play.of(host, "no plain name")["msg"]
        for task, changed in (("set a parameter", True), ("it stays pending", True), ("it is in use", False)):
            result = play.of(host, task)
            assert (result["changed"], result["restart_required"]) == (changed, changed), task


def test_a_file_that_somebody_else_replaces_is_pending_until_it_is_acknowledged(
    hosts: list[Host], run_tasks: Run
) -> None:
    certificate, key = "/etc/reads-1.pem", "/etc/reads-1.key"

    def reads(name: str, **options: Any) -> dict[str, Any]:
        return config(name, files=[], service="reads", reads=[certificate, key], **options)

    def write(name: str, path: str, content: str) -> dict[str, Any]:
        return config(name, files=[{"dest": path, "content": content}])

    play = run_tasks(
        hosts,
        [
            reads("neither is there"),
            write("a certificate", certificate, "1"),
            write("its key", key, "1"),
            {**reads("in check mode"), "check_mode": True},
            reads("both are new"),
            reads("no handler ran"),
            config("handler", applied=["reads"]),
            reads("after it"),
            write("another key", key, "2"),
            reads("one is new"),
            write("the old key again", key, "1"),
            reads("it was seen, but by whom"),
            config("another handler", applied=["reads"]),
            reads("after that"),
            config("without a service", files=[], reads=[key]),
        ],
    )
    for host in hosts:

        def of(task: str, host: Host = host) -> list[str]:
            result = play.of(host, task)
            assert result["changed"] == bool(result["changed_files"]), task
            return result["changed_files"]

        assert of("neither is there") == []
        for task in ("in check mode", "both are new", "no handler ran"):
            assert sorted(of(task)) == [key, certificate]
        assert of("after it") == []
        assert of("one is new") == of("it was seen, but by whom") == [key]
        assert of("after that") == []
        assert play.of(host, "without a service")["msg"].startswith("reads: needs service")
