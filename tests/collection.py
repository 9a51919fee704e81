#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the collection and installs it into a clean folder, as users get it.

Prints the folder, which is what ANSIBLE_COLLECTIONS_PATH wants. Its name is a hash
of the collection's content: the same content is installed once, and whatever was
made from other content (an image of a converged host) is never mistaken for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_INSTALLED = REPOSITORY / ".build" / "collections"
_KEEP_SECONDS = 2 * 86400


def install() -> Path:
    """Build and install the collection; returns the folder. Raises CalledProcessError."""
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_INSTALLED, prefix=".new-") as scratch:
        _galaxy("build", "--output-path", scratch)
        artifact = next(Path(scratch).glob("*.tar.gz"))
        target = _INSTALLED / content_hash(artifact)
        if not target.exists():
            fresh = Path(scratch) / "collections"
            _galaxy("install", "--no-deps", "--offline", "--collections-path", str(fresh), str(artifact))
            with contextlib.suppress(OSError):  # another process was faster
                fresh.rename(target)
    target.touch()
    _forget_old()
    return target


def content_hash(artifact: Path) -> str:
    """Hash over the checksums of all files in a built collection."""
    with tarfile.open(artifact) as archive:
        listing = archive.extractfile("FILES.json")
        assert listing is not None, f"{artifact}: FILES.json is not a file"
        return hashlib.sha256(listing.read()).hexdigest()[:12]


def _galaxy(action: str, *options: str) -> None:
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    command = [str(galaxy), "collection", action, *options]
    run = subprocess.run(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )
    if run.returncode != 0:
        print(run.stdout + run.stderr, file=sys.stderr)
        run.check_returncode()


def _forget_old() -> None:
    for installed in _INSTALLED.iterdir():
        if time.time() - installed.stat().st_mtime > _KEEP_SECONDS:
            shutil.rmtree(installed, ignore_errors=True)


if __name__ == "__main__":
    print(install())
