# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the templates of a ``config_files`` task and send all files to the host in one exchange."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping
from datetime import datetime

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

_MODULE = "mailfleet.ispmail.config_files"


class ActionModule(ActionBase):
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        task_vars = dict(task_vars or {})
        super().run(tmp, task_vars)
        files = self._task.args.get("files", [])
        if not isinstance(files, list) or not all(isinstance(entry, Mapping) for entry in files):
            raise AnsibleActionFail("files must be a list of dictionaries, one for each file")

        arguments = dict(self._task.args)
        if "files" in arguments:
            arguments["files"] = [
                self._prepared(f"files[{number}]", entry, task_vars) for number, entry in enumerate(files)
            ]
        # The arguments hold the content of all files: the host's journal shall not get them, nor the output.
        task_vars["ansible_no_target_syslog"] = True
        result = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        result.pop("invocation", None)
        return result

    def _prepared(self, position: str, entry: Mapping, task_vars: Mapping) -> dict:
        """Return ``entry`` with the rendered content in place of ``src``."""
        prepared = dict(entry)
        for name in ("src", "dest"):
            if prepared.get(name) is not None and not isinstance(prepared[name], str):
                raise AnsibleActionFail(f"{position}: {name} must be a string")
        if isinstance(prepared.get("content"), (Mapping, list)):
            raise AnsibleActionFail(f"{position}: content must be a string; use the filters to_json or to_nice_yaml")
        source = prepared.pop("src", None)
        if source is None:
            return prepared
        if prepared.get("content") is not None or prepared.get("settings") is not None:
            raise AnsibleActionFail(f"{position} ({source}): give only one of src, content and settings")
        if not prepared.get("dest"):
            if os.path.isabs(source):
                raise AnsibleActionFail(f"{position} ({source}): dest is needed with an absolute src")
            prepared["dest"] = "/" + (source[: -len(".j2")] if source.endswith(".j2") else source)
        try:
            prepared["content"] = self._render(source, prepared["dest"], task_vars)
        except AnsibleError as error:
            raise AnsibleActionFail(f"{position}: cannot render {source} for {prepared['dest']}") from error
        return prepared

    def _render(self, source: str, dest: str, task_vars: Mapping) -> str:
        """Render as ``ansible.builtin.template`` does: its search path, its options' defaults and its variables."""
        path = self._find_needle("templates", source)
        folders = [*task_vars.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(path)]
        search_path = [place for folder in folders for place in (os.path.join(folder, "templates"), folder)]
        variables = {**task_vars, **_template_variables(source, path, dest)}
        if "ansible_managed" in task_vars:
            variables["ansible_managed"] = task_vars["ansible_managed"]
        templar = self._templar.copy_with_new_env(searchpath=search_path, available_variables=variables)
        template = trust_as_template(self._loader.get_text_file_contents(path))
        rendered = templar.template(
            template, escape_backslashes=False, overrides={"trim_blocks": True, "lstrip_blocks": False}
        )
        return "" if rendered is None else str(rendered)


def _template_variables(source: str, path: str, dest: str) -> dict:
    information = os.stat(path)
    try:
        owner: str | int = pwd.getpwuid(information.st_uid).pw_name
    except KeyError:
        owner = information.st_uid
    managed = constants.config.get_config_value("DEFAULT_MANAGED_STR").format(
        host="{{ template_host }}", uid="{{ template_uid }}", file="{{ template_path }}"
    )
    return {
        "ansible_managed": trust_as_template(time.strftime(managed, time.localtime(information.st_mtime))),
        "template_host": os.uname().nodename,
        "template_path": source,
        "template_fullpath": path,
        "template_destpath": dest,
        "template_uid": owner,
        "template_mtime": datetime.fromtimestamp(information.st_mtime).astimezone(),
        "template_run_date": datetime.now().astimezone(),
    }
