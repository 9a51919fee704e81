# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the collection importable, and usable by name in playbooks that tests run.

`ISPMAIL_COLLECTIONS` names a folder into which the collection was installed; the
gates set it. Without it, tests run against the source tree.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent


def _source_tree() -> Path:
    root = _REPOSITORY / ".build" / "source"
    link = root / "ansible_collections" / "mailfleet" / "ispmail"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # another test process was faster
        link.symlink_to(_REPOSITORY)
    return root


def _make_importable(root: Path) -> None:
    sys.path.insert(0, str(root))
    import ansible_collections

    # Where the `ansible` package is installed this is a regular package, which hides ours.
    ours = str(root / "ansible_collections")
    if ours not in ansible_collections.__path__:
        ansible_collections.__path__.insert(0, ours)


_collections = Path(os.environ.get("ISPMAIL_COLLECTIONS") or _source_tree())
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(_collections)
_make_importable(_collections)
