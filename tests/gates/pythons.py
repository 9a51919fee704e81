# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pythons of this machine that a managed host may have, and virtual environments made with them."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


@functools.cache
def found() -> dict[str, str]:
    """Path of one usable interpreter for each supported version that is here, oldest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    interpreters = {}
    for version in SUPPORTED:
        for candidate in (f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}")))):
            if path := _real_path(candidate, version):
                interpreters[version] = path
                break
    return interpreters


def environment(folder: Path, python: str, lock: Path) -> str:
    """Interpreter of a virtual environment with a lock file's packages, made again if the lock changed."""
    interpreter = folder / "bin" / "python"
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        _call(python, "-m", "venv", "--clear", "--without-pip", str(folder))
        quiet = ["-qq", "--disable-pip-version-check", "--no-cache-dir", "--timeout", "60"]
        exact = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)]
        _call(sys.executable, "-m", "pip", "--python", str(interpreter), "install", *quiet, *exact)
        stamp.write_bytes(lock.read_bytes())
    return str(interpreter)


def _real_path(candidate: str, version: str) -> str | None:
    # Run it: a name on PATH may be a pyenv shim that refuses.
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"
    try:
        run = subprocess.run([candidate, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    reported, _, path = run.stdout.strip().partition(" ")
    return path if run.returncode == 0 and reported == version else None


def _call(*argv: str) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=600, check=True)
