# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single settings in a file that somebody else wrote: ``KEY=value`` as a shell reads it, or ``KEY value``.

Everything that is not a named setting stays byte for byte as it was found.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

ASSIGNMENTS = ("=", " ")
# What a POSIX shell and systemd's EnvironmentFile= take literally without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-]*\Z")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


class SettingsError(ValueError):
    """A setting that cannot be written."""


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        raise SettingsError(
            f'setting {key} is the boolean {value}: quote the word that the daemon expects, for example "YES" or "1"'
        )
    if not isinstance(value, (str, int, float)):
        raise SettingsError(f"setting {key} is a {type(value).__name__}: give a string, a number or null")
    text = str(value)
    if any(character in text for character in "\n\r\0"):
        raise SettingsError(f"the value of setting {key} contains a line break or a NUL character: give one line")
    return text


def _unquote(word: str) -> str:
    """Return what a shell makes of one word that is written plainly or within one pair of quotes."""
    if len(word) >= 2 and word[0] == word[-1] == "'":
        return word[1:-1]
    if len(word) >= 2 and word[0] == word[-1] == '"':
        return re.sub(r'\\([\\"$`])', r"\1", word[1:-1])
    return word


def _quote(value: str, quoted_before: bool) -> str:
    if _PLAIN.match(value) and not quoted_before:
        return value
    if not any(character in value for character in '"\\$`'):
        return f'"{value}"'
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


def _logical_lines(text: str) -> list[str]:
    """Split into lines with their line ends, a line that ends in a backslash together with the next."""
    lines: list[str] = []
    for line in io.StringIO(text):
        if lines and not lines[-1].lstrip().startswith("#") and lines[-1].rstrip("\r\n").endswith("\\"):
            lines[-1] += line
        else:
            lines.append(line)
    return lines


def _comment_out(line: str) -> str:
    return "".join(f"#{part}" for part in io.StringIO(line))


def edit_settings(text: str, settings: Mapping[str, object], assignment: str = "=") -> str:
    """Return ``text`` with every key of ``settings`` set to its value, or commented out where the value is null.

    A setting that already has the value keeps its line. A changed one is written where its last line was; further
    lines of the same key are commented out, because daemons differ in which of them they take. A new one goes below
    its commented-out example if there is one, else to the end.

    :raises SettingsError: for a key or a value that cannot be written in this syntax.
    """
    lines = _logical_lines(text)
    for key, wanted in settings.items():
        if not _KEY.match(key):
            raise SettingsError(f"{key!r} is not a name of a setting: letters, digits, '_', '-' and '.' are allowed")
        lines = _set(lines, key, None if wanted is None else _text(key, wanted), assignment)
    return "".join(lines)


def _set(lines: list[str], key: str, wanted: str | None, assignment: str) -> list[str]:
    name = re.escape(key)
    if assignment == "=":
        active = re.compile(rf"(?P<head>\s*(?:export\s+)?{name}=)(?P<value>.*)", re.DOTALL)
        example = re.compile(rf"\s*#+\s*(?:export\s+)?{name}=")
        value = None if wanted is None else _unquote(wanted.strip())
    else:
        active = re.compile(rf"(?P<head>\s*{name}(?:[ \t]+|(?=\s*\Z)))(?P<value>.*)", re.DOTALL)
        example = re.compile(rf"\s*#+\s*{name}(?:\s|\Z)")
        value = None if wanted is None else wanted.strip()

    found = [(number, match) for number, line in enumerate(lines) if (match := active.match(line))]
    result = list(lines)
    for number, _match in found if value is None else found[:-1]:
        result[number] = _comment_out(result[number])
    if value is None:
        return result
    if not found:
        return _insert(result, f"{key}{assignment}{_quote(value, False) if assignment == '=' else value}\n", example)

    last, match = found[-1]
    raw = match["value"].rstrip("\r\n")
    if assignment == "=":
        # A comment may follow the word; it is part of the line's text and stays only if the value does.
        word = re.match(r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s#]*)\s*(?:#.*)?\Z""", raw, re.DOTALL)
        current = _unquote(word[1]) if word else None
        written = _quote(value, raw[:1] in "'\"" and raw != "")
    else:
        current, written = raw.strip(), value
    if current != value:
        head = match["head"]
        result[last] = f"{head if head.endswith(('=', ' ', chr(9))) else key + assignment}{written}\n"
    return result


def _insert(lines: list[str], line: str, example: re.Pattern[str]) -> list[str]:
    examples = [number for number, text in enumerate(lines) if example.match(text)]
    position = len(lines)
    if examples:
        position = examples[-1] + 1
        # Stay out of the middle of a comment that goes on below the example.
        while position < len(lines) and lines[position].lstrip().startswith("#"):
            position += 1
    result = list(lines)
    if position and not result[position - 1].endswith("\n"):
        result[position - 1] += "\n"
    result.insert(position, line)
    return result
