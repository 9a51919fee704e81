# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host manages itself: Debian's own Ansible, the installed collections, and a local connection."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import typing as t

import testinfra.host

_GROUPS = ("mail_db", "mail_transfer", "mail_store", "mail_web")
_FOLDER = "/root/local"


def _collections() -> list[pathlib.Path]:
    """The collection under test, and those it needs, where this machine has them."""
    ours = pathlib.Path(os.environ["ANSIBLE_COLLECTIONS_PATH"]) / "ansible_collections" / "mailfleet" / "ispmail"
    package = importlib.util.find_spec("ansible_collections.ansible.mariadb")
    assert package and package.submodule_search_locations
    site = pathlib.Path(next(iter(package.submodule_search_locations))).parents[1]
    return [
        ours,
        *(site / name for name in ("ansible/mariadb", "community/crypto", "community/library_inventory_filtering_v1")),
    ]


def test_a_host_can_manage_itself(
    host: testinfra.host.Host, variables: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    container = variables["inventory_hostname"]
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends ansible-core 2>&1")
    host.check_output(f"rm -rf {_FOLDER} && mkdir -p {_FOLDER}/ansible_collections")
    for collection in _collections():
        destination = f"{_FOLDER}/ansible_collections/{collection.parent.name}/{collection.name}"
        host.check_output(f"mkdir -p {destination}")
        subprocess.run(["podman", "cp", f"{collection}/.", f"{container}:{destination}"], check=True, timeout=120)
    signatures = [{**entry, "src": f"{_FOLDER}/test.ndb"} for entry in variables["clamav_local_signatures"]]
    signature_file = variables["clamav_local_signatures"][0]["src"]
    inventory = {
        "all": {
            "vars": {"clamav_freshclam_enabled": False, "clamav_local_signatures": signatures},
            "children": {group: {"hosts": {"localhost": {}}} for group in _GROUPS},
        }
    }
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    for source, name in ((str(tmp_path / "hosts.json"), "hosts.json"), (signature_file, "test.ndb")):
        subprocess.run(["podman", "cp", source, f"{container}:{_FOLDER}/{name}"], check=True, timeout=60)

    run = host.run(
        f"ANSIBLE_COLLECTIONS_PATH={_FOLDER} ansible-playbook -c local -i {_FOLDER}/hosts.json mailfleet.ispmail.site"
    )

    assert run.rc == 0, run.stdout + run.stderr
    recap = re.search(r"localhost +: ok=(\d+) +changed=(\d+)", run.stdout)
    assert recap, run.stdout
    assert int(recap[1]) > 50
    assert int(recap[2]) == 0, run.stdout
