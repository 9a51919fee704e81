# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of test hosts, made from Debian's own packages.

Two per release: `base` is what debootstrap makes, `stack` adds current package
lists and the downloaded (not installed) packages of packages.txt. Both carry the
hash of their recipe as a label and are made again when it changes; `stack` also
after a week, because package lists age.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import namespace

SUITES = ("trixie", "bookworm")
LABEL = "ispmail.recipe"
MAX_AGE_DAYS = 7
_HERE = Path(__file__).resolve().parent
_BASE_PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,iproute2,procps,sudo"
# A container has no kernel modules, and a test host must not upgrade itself in mid-test.
_MASKED_UNITS = "systemd-modules-load.service apt-daily.timer apt-daily-upgrade.timer"
_MACHINE_PACKAGES = [
    "podman",
    "crun",
    "netavark",
    "aardvark-dns",
    "uidmap",
    "nftables",
    "iptables",  # netavark 1.4 (Debian 12) calls it; without it: "netavark: No such file or directory"
    "debootstrap",
    "ca-certificates",
    "openssh-client",
]


class PodmanFailed(Exception):
    """A call of Podman failed; the text names the call and what it printed."""


def podman(*argv: str, timeout: float = 120, stdin: str | None = None) -> str:
    """Run Podman; returns what it printed. Raises PodmanFailed."""
    command = [*namespace.prefix(), "podman", *argv]
    try:
        run = subprocess.run(
            command,
            env=namespace.environment(),
            timeout=timeout,
            text=True,
            check=False,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
        )
    except subprocess.TimeoutExpired:
        raise PodmanFailed(f"podman {' '.join(argv)}: not done after {timeout:.0f} s") from None
    if run.returncode != 0:
        printed = (run.stderr + run.stdout).strip()
        raise PodmanFailed(f"podman {' '.join(argv)}: exit {run.returncode}: {printed[-4000:]}")
    return run.stdout


def install_tools() -> None:
    """Install from Debian what is missing of Podman and debootstrap."""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *_MACHINE_PACKAGES]
    found = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False).stdout
    installed = {line.split()[1] for line in found.splitlines() if line.startswith("installed ")}
    missing = [name for name in _MACHINE_PACKAGES if name not in installed]
    if not missing:
        return
    _say(f"installing {' '.join(missing)}")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq", "-y"]
    # A source that cannot be updated, of whatever else is on the machine, is no reason to give up.
    for arguments, is_needed in ((["update"], False), (["install", "--no-install-recommends", *missing], True)):
        run = subprocess.run(
            [*apt, *arguments],
            env={**namespace.environment(), "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        if is_needed and run.returncode != 0:
            raise PodmanFailed(f"apt-get {' '.join(arguments)}: exit {run.returncode}: {run.stdout[-4000:]}")


def base(suite: str) -> str:
    """Name of the release's base image, made if need be."""
    name, recipe = f"localhost/ispmail-base:{suite}", _hash(suite, _BASE_PACKAGES, _MASKED_UNITS)
    with namespace.locked(f"base-{suite}"):
        if _label(name) != recipe:
            _build_base(name, suite, recipe)
    return name


def stack(suite: str) -> str:
    """Name of the release's image with the stack's packages in the cache, made if need be."""
    name = f"localhost/ispmail-stack:{suite}"
    script = (_HERE / "stack.sh").read_text()
    packages = (_HERE / "packages.txt").read_text()
    recipe = _hash(suite, _BASE_PACKAGES, _MASKED_UNITS, script, packages)
    with namespace.locked(f"stack-{suite}"):
        if _label(name) != recipe or _age_days(name) > MAX_AGE_DAYS:
            _build_stack(name, suite, recipe, script, packages)
    return name


def converged(kind: str, key: str) -> str:
    """Name of the image of a converged host."""
    return f"localhost/ispmail-converged-{kind}:{key}"


def remove_converged(kind: str, but: str) -> None:
    """Remove all images of a kind of converged host but one."""
    tags = podman("image", "ls", "--format", "{{.Tag}}", converged(kind, "")[:-1]).split()
    for tag in set(tags) - {but}:
        with contextlib.suppress(PodmanFailed):  # a running host may still use it
            podman("image", "rm", converged(kind, tag))


def exists(name: str) -> bool:
    """Whether an image of this name is there."""
    return _inspect(name) is not None


def _build_base(name: str, suite: str, recipe: str) -> None:
    _say(f"making {name} (about a minute)")
    with tempfile.TemporaryDirectory(prefix="ispmail-", dir="/var/tmp") as root:
        tree = f"{root}/{suite}"
        Path(root, "cache").mkdir()
        options = ["--variant=minbase", f"--include={_BASE_PACKAGES}", f"--cache-dir={root}/cache"]
        for attempts_left in (2, 1, 0):  # mirrors hiccup
            shutil.rmtree(tree, ignore_errors=True)
            command = ["debootstrap", *options, suite, tree]
            run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
            if run.returncode == 0:
                break
            if not attempts_left:
                raise PodmanFailed(f"{' '.join(command)}: exit {run.returncode}: {run.stdout[-2000:]}")
        for unit in _MASKED_UNITS.split():
            Path(tree, "etc/systemd/system", unit).symlink_to("/dev/null")
        subprocess.run(["tar", "-C", tree, "-cf", f"{root}/tree.tar", "."], timeout=300, check=True)
        changes = ["--change", 'CMD ["/sbin/init"]', "--change", f"LABEL {LABEL}={recipe}"]
        podman("import", *changes, f"{root}/tree.tar", name, timeout=300)


def _build_stack(name: str, suite: str, recipe: str, script: str, packages: str) -> None:
    start = base(suite)
    replaced = _inspect(name)
    _say(f"making {name} (about a minute)")
    wanted = [word for line in packages.splitlines() for word in line.partition("#")[0].split()]
    builder = f"ispmail-build-{suite}"
    podman("rm", "--force", "--ignore", builder)
    run = ["run", "--interactive", "--name", builder, "--privileged", "--ulimit", "host", start]
    try:
        podman(*run, "sh", "-s", *wanted, stdin=script, timeout=1200)
        changes = ["--change", 'CMD ["/sbin/init"]', "--change", f"LABEL {LABEL}={recipe}"]
        podman("commit", "--quiet", *changes, builder, name, timeout=300)
    finally:
        podman("rm", "--force", "--ignore", builder)
    if replaced:
        with contextlib.suppress(PodmanFailed):  # a running host may still use it
            podman("image", "rm", replaced["Id"])


def _inspect(name: str) -> dict | None:
    try:
        return json.loads(podman("image", "inspect", name))[0]
    except PodmanFailed:
        return None


def _label(name: str) -> str | None:
    found = _inspect(name)
    return (found["Config"].get("Labels") or {}).get(LABEL) if found else None


def _age_days(name: str) -> float:
    found = _inspect(name)
    if not found:
        return float("inf")
    created = datetime.strptime(found["Created"][:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    return (time.time() - created.timestamp()) / 86400


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _say(text: str) -> None:
    print(f"hosts: {text}", file=sys.stderr, flush=True)
