#!/usr/bin/python
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Replace the configuration files of a service together, after its own check of the new set
version_added: 0.1.0
author: mailfleet (@mailfleet)
description:
  - Makes all configuration files of one service what they shall be, as one change and in one exchange with the host.
  - Templates are rendered on the control node, with everything that M(ansible.builtin.template) offers.
  - Before any file is replaced, the daemon's own checker sees the complete new set at its true paths, in a private
    mount namespace. Nobody else sees the new files before the check has passed.
  - All files are replaced, or none. A kill at any moment leaves the old set, at the latest when the module runs next on
    the host.
options:
  files:
    description:
      - The files, directories and links. No path may be given twice.
      - Required unless O(applied) is given.
    type: list
    elements: dict
    suboptions:
      src:
        description:
          - A template on the control node, searched for like that of M(ansible.builtin.template).
          - Exactly one of O(files[].src), O(files[].content) and O(files[].settings) is given for a file.
        type: str
      dest:
        description:
          - The absolute path on the host. If it is a symbolic link, the file behind it is replaced and the link stays,
            except with O(files[].state=link) and O(files[].state=absent).
          - The default is O(files[].src) with V(/) before it and without V(.j2) at its end.
        type: str
      content:
        description:
          - The literal content of the file.
        type: str
      settings:
        description:
          - Single settings of an existing file. Everything else stays byte for byte as it is.
          - A null value comments the setting out. Booleans are refused, because daemons differ in the word they expect.
        type: dict
      assignment:
        description:
          - How O(files[].settings) are written. V(=) is C(KEY=value) as a shell reads it, quoted if the value needs it,
            V( ) is C(KEY value).
        type: str
        choices: ['=', ' ']
        default: '='
      state:
        description:
          - What shall be at O(files[].dest). A directory can be removed only if it is empty, or if all it holds is
            removed by the same task.
        type: str
        choices: [file, absent, link, directory]
        default: file
      target:
        description:
          - Where the symbolic link points, as it is written into the link.
        type: str
      owner:
        description:
          - Name or number of the owner. The default is V(root), and with O(files[].settings) or an existing directory
            the present owner.
        type: str
      group:
        description:
          - Name or number of the group. Defaults like O(files[].owner).
        type: str
      mode:
        description:
          - Permission bits as a string of octal digits. The default is V("0644"), for a new directory V("0755"), and
            with O(files[].settings) or an existing directory the present mode.
        type: raw
      sensitive:
        description:
          - Whether the content is secret. It is then left out of the diff and of the messages of a checker.
        type: bool
        default: false
  check:
    description:
      - Commands that must accept the new set before it is put in place. They run only if something is to be changed, in
        check mode too. In check mode a program that is not installed yet is reported in RV(checks) and is no error.
    type: list
    elements: dict
    default: []
    suboptions:
      argv:
        description:
          - The program and its arguments. No shell is involved.
        type: list
        elements: str
        required: true
  service:
    description:
      - A name under which a change stays pending until O(applied) acknowledges it.
      - A run that ends after the change and before its handler would otherwise leave the daemon with the old files for
        good. A pending change counts as a change, so that its handlers are notified again.
    type: str
  reads:
    description:
      - Files that the service reads, and that somebody else keeps, such as its certificate and private key.
      - One that is not as it was when O(applied) last acknowledged the service counts as a change and stays pending
        like one, whoever replaced it.
      - Needs O(service).
    type: list
    elements: path
    default: []
  applied:
    description:
      - Services that run with their changed files now. For the handler that restarted or reloaded them.
    type: list
    elements: str
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: One entry for each file; the content of sensitive files is not shown.
  platform:
    support: full
    platforms: debian
  idempotent:
    description: Whether a second run with the same options changes nothing.
    support: full
notes:
  - Needs root, and for O(check) the right to mount (C(CAP_SYS_ADMIN)) and the kernel's overlayfs.
  - The journal and the lock are in C(/var/lib/mailfleet-ispmail).
  - A file that is a mount point of its own cannot be replaced.
seealso:
  - module: mailfleet.ispmail.postfix_config
  - module: ansible.builtin.template
"""

EXAMPLES = r"""
- name: Configure the lookups of Postfix
  mailfleet.ispmail.config_files:
    files:
      - dest: /etc/postfix/mysql
        state: directory
        mode: "0755"
      - dest: /etc/postfix/mysql/domains.cf
        content: |
          user = postfix
          dbname = provider
          query = SELECT domain FROM domains WHERE domain = '%s'
        group: postfix
        mode: "0640"
        sensitive: true
    check:
      - argv: [postfix, check]

- name: Change two settings of a packaged file
  mailfleet.ispmail.config_files:
    files:
      - dest: /etc/default/example
        settings:
          EXAMPLE_PORT: 587
          EXAMPLE_OLD_OPTION: null

- name: See whether the certificate is new (and notify a handler)
  mailfleet.ispmail.config_files:
    files: []
    reads: [/etc/ssl/ispmail/fullchain.pem, /etc/ssl/ispmail/privkey.pem]
    service: postfix_certificate

- name: Note that Postfix has taken up its changed files (in a handler, after the reload)
  mailfleet.ispmail.config_files:
    applied: [postfix]
"""

RETURN = r"""
changed_files:
  description:
    - The paths that were changed, or would be in check mode, as they were given.
    - With O(service) also those that an earlier run changed and no handler has acknowledged, and those of O(reads)
      that were replaced.
  returned: success
  type: list
  elements: str
  sample: [/etc/postfix/mysql/domains.cf]
checks:
  description: The commands of O(check), if something was to be changed.
  returned: success
  type: list
  elements: dict
  sample:
    - argv: [postfix, check]
      ran: true
      reason: ""
  contains:
    argv:
      description: The command.
      type: list
      elements: str
    ran:
      description: Whether it ran and accepted the new set.
      type: bool
    reason:
      description: Why it could not run, in check mode.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_apply import acknowledge, apply_changes
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_change import ConfigError
from ansible_collections.mailfleet.ispmail.plugins.module_utils.config_plan import parse_items, plan


def main() -> None:
    file_options = {
        "src": {"type": "str"},
        "dest": {"type": "str"},
        "content": {"type": "str"},
        "settings": {"type": "dict"},
        "assignment": {"type": "str", "choices": ["=", " "], "default": "="},
        "state": {"type": "str", "choices": ["file", "absent", "link", "directory"], "default": "file"},
        "target": {"type": "str"},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
        "sensitive": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "options": file_options},
            "check": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"argv": {"type": "list", "elements": "str", "required": True}},
            },
            "service": {"type": "str"},
            "reads": {"type": "list", "elements": "path", "default": []},
            "applied": {"type": "list", "elements": "str"},
        },
        required_one_of=[["files", "applied"]],
        mutually_exclusive=[["files", "applied"]],
        supports_check_mode=True,
    )
    try:
        if module.params["applied"] is not None:
            if not module.check_mode:
                acknowledge(module.params["applied"])
            module.exit_json(changed=False)
        commands = [entry["argv"] for entry in module.params["check"]]
        if not all(commands):
            raise ConfigError("check: argv is empty: name a program")
        if module.params["reads"] and not module.params["service"]:
            raise ConfigError("reads: needs service, under which a change of these files stays pending")
        items = parse_items(module.params["files"])
        outcome = apply_changes(
            module,
            lambda: plan(items, lenient=module.check_mode),
            lambda: commands,
            service=module.params["service"],
            reads=module.params["reads"],
        )
    except ConfigError as error:
        module.fail_json(msg=str(error))
    result = outcome.as_result(module)
    result["changed_files"] += [path for path in outcome.pending if path not in result["changed_files"]]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
