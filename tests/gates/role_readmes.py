#!/usr/bin/env python3
# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes roles/*/README.md from the roles' argument specs.

    role_readmes.py            write them
    role_readmes.py --check    write nothing; exit 1 and name those that are out of date

The lint gate runs the check, as tests/repository/test_role_readmes.py.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
NOTE = "<!-- Made by tests/gates/role_readmes.py from meta/argument_specs.yml: change that, then run it. -->"
_CODE = re.compile(r"\b[CVOPEM]\(((?:[^()\\]|\\.|\([^()]*\))*)\)")
_EMPHASIS = re.compile(r"\b[BI]\(([^)]*)\)")
_LINK = re.compile(r"\bL\(([^,)]*),\s*([^)]*)\)")


def markdown(text: str) -> str:
    """A description's markup (C(code), V(value), B(bold), L(text, address)) as Markdown."""
    text = _CODE.sub(lambda match: f"`{match[1]}`", text)
    text = _EMPHASIS.sub(lambda match: f"*{match[1]}*", text)
    return _LINK.sub(lambda match: f"[{match[1]}]({match[2]})", text)


def paragraphs(description: str | list[str]) -> list[str]:
    """The paragraphs of a description, which may be one string or a list."""
    return [markdown(text) for text in ([description] if isinstance(description, str) else description)]


def table_cell(text: str) -> str:
    """Text that neither ends a cell nor a row."""
    return " ".join(text.split()).replace("|", "\\|")


def default(option: dict[str, Any]) -> str:
    """An option's default as YAML would have it, in one line."""
    if option.get("required"):
        return "(required)"
    if "default" not in option:
        return "(none)"
    value = option["default"]
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def kind(option: dict[str, Any]) -> str:
    """An option's type, with that of its elements."""
    elements = f" of {option['elements']}" if "elements" in option else ""
    return f"{option.get('type', 'str')}{elements}"


def rows(options: dict[str, dict[str, Any]], prefix: str = "") -> list[str]:
    """A table row for each option, the keys of dictionaries below their owner."""
    made: list[str] = []
    for name, option in options.items():
        texts = paragraphs(option.get("description", ""))
        if "choices" in option:
            texts.append("One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + ".")
        cells = (f"`{prefix}{name}`", kind(option), default(option), " ".join(texts))
        made.append("| " + " | ".join(map(table_cell, cells)) + " |")
        made += rows(option.get("options", {}), f"{prefix}{name}.")
    return made


def readme(role: Path) -> str:
    """The text of a role's README.md."""
    spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    meta_file = role / "meta/main.yml"
    meta = (yaml.safe_load(meta_file.read_text()) or {}) if meta_file.exists() else {}
    needed = [entry["role"] for entry in meta.get("dependencies", [])]
    lines = [NOTE, "", f"# {role.name}", "", f"**{spec['short_description']}.**", ""]
    for paragraph in paragraphs(spec.get("description", [])):
        lines += [paragraph, ""]
    lines += [
        "```yaml",
        "- hosts: mail",
        "  become: true",
        "  roles:",
        f"    - mailfleet.ispmail.{role.name}",
        "```",
        "",
    ]
    if needed:
        lines += ["Runs before it, by itself: " + ", ".join(f"`{name}`" for name in needed) + ".", ""]
    steps = [name for name in ("install", "configure") if (role / f"tasks/{name}.yml").exists()]
    if steps:
        tags = ", ".join(f"`{tag}`" for tag in (role.name, *(f"{role.name}_{step}" for step in steps)))
        lines += [f"Tags: {tags}.", ""]
    if spec.get("options"):
        lines += ["| variable | type | default | meaning |", "| --- | --- | --- | --- |", *rows(spec["options"]), ""]
    return "\n".join(lines)


def outdated() -> dict[Path, str]:
    """The README files that are not as they should be, with the text that they should have."""
    wanted = {
        specs.parents[1] / "README.md": readme(specs.parents[1])
        for specs in sorted((REPOSITORY / "roles").glob("*/meta/argument_specs.yml"))
    }
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}


def main() -> int:
    """The command line."""
    stale = outdated()
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(REPOSITORY)} is out of date: run tests/gates/role_readmes.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
