#!/usr/bin/python
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postfix_config
short_description: Set parameters in Postfix's main.cf and services in its master.cf
version_added: 0.1.0
author: mailfleet (@mailfleet)
description:
  - Sets the given parameters and services in one exchange with the host and leaves everything else in both files as it
    was found, comments included.
  - Before the files are replaced, C(postfix check) sees the new ones in a private mount namespace, and so does each
    daemon that they name. A file that is refused, a given parameter that this Postfix does not know, or a given value
    with which a daemon would not start, leaves the host as it was.
  - C(main.cf) and C(master.cf) are replaced together or not at all.
  - Postfix is not reloaded. Reload it when the task has changed something, or restart it when RV(restart_required).
options:
  parameters:
    description:
      - Parameters of C(main.cf) by name. Lists are joined with V(, ), booleans become V(yes) and V(no), null removes
        the parameter so that Postfix's own default holds.
      - A value that differs from the present one in white space only is no change.
    type: dict
    default: {}
  services:
    description:
      - Services of C(master.cf) by name and type, for example V(submission/inet). null removes the service.
      - 'The fields are C(private), C(unprivileged) and C(chroot) (boolean or null), C(wakeup) (seconds, may end in
        V(?)) and C(maxproc) (number, V(0) is no limit), C(command) (the program and its arguments) and C(options) (the
        C(-o) settings).'
      - A field that is not given stays as it is found; in a new service it is Postfix's default, and C(command) is
        needed. A null field is Postfix's default.
      - C(options) are all options of the service. Options that are not listed are removed.
    type: dict
    default: {}
  restart_on:
    description:
      - Parameters whose change takes a restart of Postfix, because its master process reads them at its start only.
    type: list
    elements: str
    default: [inet_interfaces, inet_protocols]
  config_directory:
    description:
      - The directory of C(main.cf) and C(master.cf).
    type: path
    default: /etc/postfix
  service:
    description:
      - A name under which a change stays pending until O(mailfleet.ispmail.config_files#module:applied) acknowledges
        it, so that a run that ends before its handlers is made good by the next one.
    type: str
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: The new files are checked too. On a host without Postfix everything given is reported as a change.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: debian
  idempotent:
    description: Whether a second run with the same options changes nothing.
    support: full
notes:
  - Needs root, the right to mount (C(CAP_SYS_ADMIN)) and the kernel's overlayfs.
  - Proved with Postfix 3.7 and 3.10.
seealso:
  - module: mailfleet.ispmail.config_files
  - name: postconf(5)
    description: All parameters of main.cf.
    link: https://www.postfix.org/postconf.5.html
  - name: master(5)
    description: The format of master.cf.
    link: https://www.postfix.org/master.5.html
"""

EXAMPLES = r"""
- name: Offer submission with TLS only
  mailfleet.ispmail.postfix_config:
    parameters:
      message_size_limit: 52428800
      smtpd_tls_mandatory_protocols: ">=TLSv1.2"
      smtpd_helo_required: true
      mynetworks: [127.0.0.0/8, "[::1]/128"]
      mynetworks_style: null
    services:
      submission/inet:
        private: false
        chroot: false
        command: smtpd
        options:
          syslog_name: postfix/submission
          smtpd_tls_security_level: encrypt
  register: postfix

- name: Take up the new configuration
  ansible.builtin.debug:
    msg: "{{ 'restart' if postfix.restart_required else 'reload' }} Postfix"
  when: postfix is changed
"""

RETURN = r"""
changed_parameters:
  description: Names of the parameters that were set or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [message_size_limit, mynetworks]
changed_services:
  description: Names and types of the services that were set or removed.
  returned: success
  type: list
  elements: str
  sample: [submission/inet]
changed_files:
  description: The files that were replaced.
  returned: success
  type: list
  elements: str
  sample: [/etc/postfix/main.cf, /etc/postfix/master.cf]
restart_required:
  description: Whether a parameter of O(restart_on) was changed.
  returned: success
  type: bool
  sample: false
checks:
  description: The commands that checked the new files, if there was a change, and why they did not run in check mode.
  returned: success
  type: list
  elements: dict
  sample:
    - argv: [postfix, -c, /etc/postfix, check]
      ran: true
      reason: ""
"""

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_apply import apply_changes
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import (
    Change,
    ConfigError,
    Node,
    read_node,
)
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_stage import CheckResult
from ansible_collections.mailfleet.ispmail.plugins.module_utils.postfix_files import (
    PostfixError,
    daemon_calls,
    edit_main,
    edit_master,
)

_FATAL = re.compile(r"postfix[^\s:]*/(?P<daemon>[\w-]+)\[\d+\]: fatal: (?P<text>.*)")
_NOT_FOUND = re.compile(r"(?P<daemon>[\w.-]+): not found")
_UNUSED = re.compile(r"(?P<file>main|master)\.cf: unused parameter: (?P<name>[^\s=]+)=")


class PostfixPlan:
    """What is asked of both files, and after :meth:`make` the names of what changes in them."""

    def __init__(self, params: Mapping, lenient: bool) -> None:
        self._directory = params["config_directory"]
        self._wanted_parameters = params["parameters"]
        self._wanted_services = params["services"]
        self._lenient = lenient
        self.parameters: list[str] = []
        self.services: list[str] = []
        self._master = ""

    def make(self) -> list[Change]:
        """Return the changes of main.cf and master.cf as they are on the host now.

        :raises ConfigError: if one of the files is missing, or something given cannot be written.
        """
        main, self.parameters = self._change("main.cf", edit_main, self._wanted_parameters)
        master, self.services = self._change("master.cf", edit_master, self._wanted_services)
        self._master = master.after.content.decode("utf-8", "surrogateescape")
        return [change for change, names in ((main, self.parameters), (master, self.services)) if names]

    def _change(self, name: str, edit: Callable, wanted: Mapping) -> tuple[Change, list[str]]:
        dest = os.path.join(self._directory, name)
        path = os.path.realpath(dest)
        before = read_node(path)
        if before.kind != "file" and not self._lenient:
            raise ConfigError(f"{dest} is not there: install Postfix first, or correct config_directory")
        try:
            text, names = edit(before.content.decode("utf-8", "surrogateescape"), wanted)
        except PostfixError as error:
            raise ConfigError(str(error)) from error
        present = before if before.kind == "file" else Node("file", mode=0o644)
        return Change(dest, path, before, replace(present, content=text.encode("utf-8", "surrogateescape"))), names

    def checks(self) -> list[list[str]]:
        """Return the commands that check both files.

        ``postfix check`` does not read what single daemons need. Each daemon reads all of it at its start, and ends
        without doing anything because nobody but master(8) can start it as a service.
        """
        directory = shlex.quote(self._directory)
        calls = "".join(f"./{shlex.join(call)} &\n" for call in daemon_calls(self._master))
        start = f'cd "$(postconf -c {directory} -h daemon_directory)" || exit\nexport MAIL_CONFIG={directory}\n'
        return [["postfix", "-c", self._directory, "check"], ["sh", "-c", f"{start}{calls}wait"]]

    def judge(self, result: CheckResult) -> None:
        """Refuse what is only a warning or a daemon's end, where it is about something that was given."""
        services = self._wanted_services.values()
        options = {name for service in services if service for name in service.get("options") or {}}
        given = {"main": set(self._wanted_parameters), "master": options}
        for match in _UNUSED.finditer(result.output):
            if match["name"] in given[match["file"]]:
                raise ConfigError(
                    f"{match['name']} is unknown to this Postfix and no parameter refers to it: correct the name, "
                    f"or remove it; nothing was replaced"
                )
        for match in _FATAL.finditer(result.log):
            if (given["main"] | given["master"]) & set(re.findall(r"[\w.-]+", match["text"])):
                raise ConfigError(f"{match['daemon']} would not start: {match['text']}; nothing was replaced")
        commands = {str(service.get("command")).partition(" ")[0] for service in services if service}
        for match in _NOT_FOUND.finditer(result.output):
            if match["daemon"] in commands:
                raise ConfigError(f"{match['daemon']} is no program of this Postfix; nothing was replaced")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "parameters": {"type": "dict", "default": {}},
            "services": {"type": "dict", "default": {}},
            "restart_on": {"type": "list", "elements": "str", "default": ["inet_interfaces", "inet_protocols"]},
            "config_directory": {"type": "path", "default": "/etc/postfix"},
            "service": {"type": "str"},
        },
        supports_check_mode=True,
    )
    plan = PostfixPlan(module.params, lenient=module.check_mode)
    try:
        for name, service in module.params["services"].items():
            if service is not None and not isinstance(service, Mapping):
                raise ConfigError(f"service {name} must be a dictionary or null")
        outcome = apply_changes(
            module,
            plan.make,
            plan.checks,
            plan.judge,
            service=module.params["service"],
            names=lambda _changes: [*plan.parameters, *plan.services],
        )
        parameters = {*plan.parameters, *outcome.pending}
    except ConfigError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed_parameters=plan.parameters,
        changed_services=plan.services,
        restart_required=bool(parameters & set(module.params["restart_on"])),
        **outcome.as_result(module),
    )


if __name__ == "__main__":
    main()
