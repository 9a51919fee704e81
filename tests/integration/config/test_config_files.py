# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""config_files on real hosts: what is written, what is refused, and who can see what."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from config_hosts import COLLECTION, BareRun, Host, Play

Run = Callable[..., Play]
SECRET = "Tr0ub4dor-and-3"


def files(name: str, *entries: dict[str, Any], check: list[str] | None = None) -> dict[str, Any]:
    options: dict[str, Any] = {"files": list(entries)}
    if check:
        options["check"] = [{"argv": check}]
    return {"name": name, "mailfleet.ispmail.config_files": options}


def test_check_mode_on_a_bare_host_reports_everything_and_writes_nothing(
    bare_hosts: list[Host], bare_run: BareRun
) -> None:
    for host in bare_hosts:
        result = bare_run.play.of(host, "files")
        assert result["changed_files"] == ["/etc/nowhere/x.cf", "/etc/nowhere/rc", "/etc/nowhere/link"], result
        assert [entry["ran"] for entry in result["checks"]] == [False]
        assert "program postfix is not on this host" in result["checks"][0]["reason"]
        postfix = bare_run.play.of(host, "postfix")
        assert postfix["changed_parameters"] == ["message_size_limit"], postfix
        assert postfix["changed_services"] == ["submission/inet"]
        assert bare_run.before[host.name] == bare_run.after[host.name]


def test_a_set_of_files_appears_stays_and_goes(hosts: list[Host], run_tasks: Run) -> None:
    for host in hosts:
        host.sh("rm -rf /etc/set /etc/rc; printf '# Port.\\n# PORT=25\\nNAME=\"a b\"\\n' >/etc/rc; chmod 0640 /etc/rc")
    template = "# {{ ansible_managed }}\n{% if greeting %}\nhello {{ greeting }} {{ '\\n' in greeting }}\n{% endif %}\n"
    entries = [
        {"dest": "/etc/set/inner/new.cf", "content": "k = v\n", "owner": "postfix", "group": "adm", "mode": "0640"},
        {"dest": "/etc/set/inner", "state": "directory", "mode": "0750"},
        {"dest": "/etc/set", "state": "directory"},
        {"src": "etc/set/rendered.conf.j2"},
        {"dest": "/etc/set/link", "state": "link", "target": "inner/new.cf"},
        {"dest": "/etc/rc", "settings": {"PORT": 587, "NAME": "c d"}},
    ]
    play = run_tasks(
        hosts,
        [
            files("make", *entries, check=["sh", "-c", "test -s /etc/set/link"]),
            files("again", *entries, check=["false"]),
            files("modes", {**entries[0], "mode": "0600", "group": "root"}),
            files(
                "remove",
                {"dest": "/etc/set", "state": "absent"},
                {"dest": "/etc/set/inner", "state": "absent"},
                *({"dest": entry, "state": "absent"} for entry in ("/etc/set/inner/new.cf", "/etc/set/rendered.conf")),
                {"dest": "/etc/set/link", "state": "absent"},
            ),
            {"name": "look", "ansible.builtin.command": "ls -d /etc/set"},
        ],
        "--diff",
        templates={"etc/set/rendered.conf.j2": template},
        variables={"greeting": "world"},
    )
    for host in hosts:
        made = play.of(host, "make")
        assert made["changed_files"][3] == "/etc/set/rendered.conf", made
        assert made["checks"] == [{"argv": ["sh", "-c", "test -s /etc/set/link"], "ran": True, "reason": ""}]
        rendered = next(entry for entry in made["diff"] if entry["after_header"] == "/etc/set/rendered.conf")
        assert rendered["after"] == "# Ansible managed\nhello world False\n"
        assert host.read("/etc/rc") == '# Port.\n# PORT=25\nPORT=587\nNAME="c d"\n'
        assert host.sh("stat -c %a /etc/rc") == "640\n"
        # The checker of this task refuses everything: it was not asked.
        assert play.of(host, "again")["changed"] is False, play.of(host, "again")
        modes = play.of(host, "modes")
        group = host.sh("getent group adm | cut -d: -f3").strip()
        owner = host.sh("id -u postfix").strip()
        assert [(entry["before"], entry["after"]) for entry in modes["diff"]] == [
            (f"owner {owner}, group {group}, mode 0640\n", f"owner {owner}, group 0, mode 0600\n")
        ]
        assert len(play.of(host, "remove")["changed_files"]) == 5
        assert "No such file" in play.of(host, "look")["stderr"]


def test_the_checker_sees_the_new_set_and_nobody_else_does(hosts: list[Host], run_tasks: Run) -> None:
    """The process 1 is outside: its view of the files, seen through /proc, is the host's."""
    for host in hosts:
        host.sh("mkdir -p /etc/seen/sub; echo old >/etc/seen/file; echo old >/etc/seen/sub/gone")
    inside = (
        'test "$(cat /etc/seen/file)" = new; test "$(stat -c %U:%G:%a /etc/seen/file)" = postfix:adm:640; '
        'test ! -e /etc/seen/sub/gone; test "$(readlink /etc/seen/made/link)" = ../file; grep -q . /etc/hosts; '
        'test "$(cat /proc/1/root/etc/seen/file)" = old; test -e /proc/1/root/etc/seen/sub/gone; '
        "test ! -e /proc/1/root/etc/seen/made; test ! -e /proc/1/root/etc/seen-top; echo top >/etc/check-was-here"
    )
    entries = [
        {"dest": "/etc/seen/file", "content": "new\n", "owner": "postfix", "group": "adm", "mode": "0640"},
        {"dest": "/etc/seen/sub/gone", "state": "absent"},
        {"dest": "/etc/seen/made", "state": "directory"},
        {"dest": "/etc/seen/made/link", "state": "link", "target": "../file"},
        {"dest": "/etc/seen-top", "content": "x"},
    ]
    before = [host.snapshot("/etc") for host in hosts]
    play = run_tasks(hosts, [files("check mode", *entries, check=["sh", "-euc", inside])], "--check")
    after = [host.snapshot("/etc") for host in hosts]
    for number, host in enumerate(hosts):
        result = play.of(host, "check mode")
        assert result["changed"] and result["checks"][0]["ran"], result
        # Not even what the checker itself wrote in a directory that changes is left.
        assert before[number] == after[number]


def test_a_refused_set_leaves_the_host_as_it_was(hosts: list[Host], run_tasks: Run) -> None:
    for host in hosts:
        host.sh("echo old >/etc/refused")
    entries = [
        {"dest": "/etc/refused", "content": f"password={SECRET}\n", "sensitive": True},
        {"dest": "/etc/refused-too", "content": "new\n"},
        {"dest": "/etc/postfix/main.cf", "content": "inet_protocols = ipv5\n"},
    ]
    before = [host.snapshot("/etc", "/var/lib") for host in hosts]
    play = run_tasks(
        hosts,
        [
            files("own checker", *entries, check=["postfix", "check"]),
            files("talkative", *entries, check=["sh", "-c", "cat /etc/refused; exit 3"]),
            files("no checker", *entries, check=["no-such-checker"]),
        ],
        "--diff",
    )
    for number, host in enumerate(hosts):
        refused = play.of(host, "own checker")
        assert refused["failed"] and "refused by 'postfix check'" in refused["msg"], refused
        talkative = play.of(host, "talkative")["msg"]
        assert "exit status 3" in talkative and "password=********" not in talkative and "********" in talkative
        assert "no-such-checker is not on this host" in play.of(host, "no checker")["msg"]
        # Only the lock's directory may have appeared.
        after = host.snapshot("/etc", "/var/lib")
        gone = set(before[number].splitlines()) - set(after.splitlines())
        assert not [line for line in gone if not line.startswith("/var/lib d")], gone
        assert host.read("/etc/refused") == "old\n"
        assert host.sh("ls -A /etc | grep -c refused") == "1\n"
    assert SECRET not in play.output


BAD_ENTRIES = {
    "twice": (
        [{"dest": "/etc/a", "content": "x"}, {"dest": "/etc/b", "content": "x"}, {"dest": "/etc/a", "content": "y"}],
        "files[2] (/etc/a) names the same file as files[0] (/etc/a)",
    ),
    "relative": ([{"dest": "etc/a", "content": "x"}], "dest must be an absolute path"),
    "dots": ([{"dest": "/etc/../etc/a", "content": "x"}], "dest must be an absolute path"),
    "parent": ([{"dest": "/etc/none/a", "content": "x"}], "the directory /etc/none does not exist"),
    "owner": ([{"dest": "/etc/a", "content": "x", "owner": "nemo"}], "owner 'nemo' does not exist on this host"),
    "group": ([{"dest": "/etc/a", "content": "x", "group": "nemo"}], "group 'nemo' does not exist on this host"),
    "mode": ([{"dest": "/etc/a", "content": "x", "mode": 640}], 'give octal digits in quotes, for example "0640"'),
    "sources": ([{"dest": "/etc/a", "content": "x", "settings": {}}], "exactly one of src, content and settings"),
    "nothing": ([{"dest": "/etc/a"}], "exactly one of src, content and settings"),
    "boolean": ([{"dest": "/etc/adduser.conf", "settings": {"A": True}}], "setting A is the boolean True"),
    "line": ([{"dest": "/etc/adduser.conf", "settings": {"A": "b\nc"}}], "contains a line break"),
    "missing": ([{"dest": "/etc/none.conf", "settings": {"A": "b"}}], "no file to change settings in"),
    "folder": ([{"dest": "/etc/default", "content": "x"}], "a directory is there"),
    "full": ([{"dest": "/etc/default", "state": "absent"}], "the directory holds"),
    "target": ([{"dest": "/etc/a", "state": "link"}], "target belongs to state: link"),
    "template": ([{"src": "etc/undefined.j2"}], "cannot render etc/undefined.j2 for /etc/undefined"),
    "no template": ([{"src": "etc/nowhere.j2"}], "files[0]: cannot render etc/nowhere.j2"),
    "value": ([{"dest": "/etc/a", "content": {"a": 1}}], "content must be a string"),
    "not a list": ("/etc/a", "files must be a list of dictionaries"),
}


def test_bad_input_is_refused_before_anything_is_changed(hosts: list[Host], run_tasks: Run) -> None:
    good = {"dest": "/etc/good", "content": "x"}
    tasks = [
        {"name": name, "mailfleet.ispmail.config_files": {"files": [*bad, good] if isinstance(bad, list) else bad}}
        for name, (bad, _message) in BAD_ENTRIES.items()
    ]
    before = [host.snapshot("/etc") for host in hosts]
    play = run_tasks(hosts, tasks, templates={"etc/undefined.j2": "{{ nowhere_defined }}\n"})
    for number, host in enumerate(hosts):
        for name, (_bad, message) in BAD_ENTRIES.items():
            result = play.of(host, name)
            assert result["failed"] and message in result["msg"], (name, result)
        assert "nowhere_defined" in play.of(host, "template")["msg"]
        assert host.snapshot("/etc") == before[number]


def test_symbolic_links_are_followed_and_stay(hosts: list[Host], run_tasks: Run) -> None:
    for host in hosts:
        host.sh(
            "rm -rf /srv/conf /etc/linked*; mkdir /srv/conf; echo old >/srv/conf/real; "
            "ln -s /srv/conf/real /etc/linked; ln -s ../srv/conf /etc/linked-folder; ln -s a /srv/conf/a"
        )
    play = run_tasks(
        hosts,
        [
            files(
                "through links",
                {"dest": "/etc/linked", "content": "new\n"},
                {"dest": "/etc/linked-folder/other", "content": "other\n"},
                {"dest": "/etc/linked-folder", "state": "directory"},
                check=["grep", "-q", "new", "/etc/linked"],
            ),
            files("twice", {"dest": "/etc/linked", "content": "x"}, {"dest": "/srv/conf/real", "content": "x"}),
            files("circle", {"dest": "/srv/conf/a", "content": "x"}),
            files("unlink", {"dest": "/etc/linked", "state": "absent"}),
            files("relink", {"dest": "/etc/linked-folder", "state": "link", "target": "/srv"}),
        ],
    )
    for host in hosts:
        assert play.of(host, "through links")["changed_files"] == ["/etc/linked", "/etc/linked-folder/other"]
        assert host.read("/srv/conf/real") == "new\n"
        assert host.read("/srv/conf/other") == "other\n"
        assert "names the same file" in play.of(host, "twice")["msg"]
        assert "leads in a circle" in play.of(host, "circle")["msg"]
        assert (
            host.sh("readlink /etc/linked-folder; ls -A /srv/conf; ls /etc | grep -c linked")
            == "/srv\na\nother\nreal\n1\n"
        )


@pytest.mark.parametrize("pipelining", ["1", "0"])
def test_secrets_stay_in_their_files(hosts: list[Host], run_tasks: Run, pipelining: str) -> None:
    """Neither in the output at -vvv, nor in the host's journal, nor in the list of processes."""
    half, rest = SECRET[:6], SECRET[6:]
    search = (
        "import glob, sys\n"
        f"secret = b'{half}' + b'{rest}'\n"
        "for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ'):\n"
        "    try:\n"
        "        found = secret in open(path, 'rb').read()\n"
        "    except OSError:\n"
        "        continue\n"
        "    if found:\n"
        "        sys.exit('found in ' + path)\n"
    )
    entry = {"src": "etc/secret.j2", "mode": "0600", "sensitive": True}
    options = {"files": [entry], "check": [{"argv": ["python3", "-c", search]}]}
    task = {
        "name": "secret",
        "mailfleet.ispmail.config_files": options,
        "vars": {"ansible_pipelining": pipelining == "1"},
    }
    for secret_line in (f"password = {SECRET}\n\n# second line\n", f"password = {SECRET}x\n"):
        play = run_tasks(
            hosts,
            [task],
            "-vvv",
            "--diff",
            templates={"etc/secret.j2": secret_line},
            callback="default",
        )
        assert SECRET not in play.output
        assert "content is sensitive" in play.output, play.output
    for host in hosts:
        assert SECRET in host.read("/etc/secret")
        journal = host.sh("journalctl --no-pager --output=verbose --all")
        assert SECRET not in journal
        host.sh('rm /etc/secret; test -z "$(find /root/.ansible -type f 2>/dev/null)"')


def examples(module: str) -> list[dict[str, Any]]:
    """Return the tasks of a module's EXAMPLES."""
    tree = ast.parse((COLLECTION / "plugins" / "modules" / f"{module}.py").read_text())
    assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
    (value,) = [node.value for node in assignments if getattr(node.targets[0], "id", "") == "EXAMPLES"]
    return yaml.safe_load(ast.literal_eval(value))


def test_the_examples_of_the_documentation_run(hosts: list[Host], run_tasks: Run) -> None:
    for host in hosts:
        host.sh("cp -a /etc/postfix /root/postfix; echo EXAMPLE_OLD_OPTION=1 >/etc/default/example")
    tasks = [task for module in ("config_files", "postfix_config") for task in examples(module)]
    first = run_tasks(hosts, tasks)
    second = run_tasks(hosts, tasks)
    for host in hosts:
        assert host.read("/etc/default/example") == "#EXAMPLE_OLD_OPTION=1\nEXAMPLE_PORT=587\n"
        host.sh("postfix check && rm -r /etc/postfix && mv /root/postfix /etc/postfix")
        changing = [task for task in tasks if not task["name"].startswith(("Take up", "See whether", "Note that"))]
        assert len(changing) == 3
        for task in changing:
            assert first.of(host, task["name"])["changed"] is True, first.of(host, task["name"])
            assert second.of(host, task["name"])["changed"] is False
