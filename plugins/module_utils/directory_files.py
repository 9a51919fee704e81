# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows on their way in: from lists and files, as sections of at most CHUNK rows, to the managed host.

The action plugin reads what the operator wrote on the control node and sends it as one *row stream*: a text file with
one JSON object a line, a section each. The module reads a stream without holding more than one section, and the
operator's own formats where they lie on the managed host (``remote_src``). Nothing is checked here but the shape.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Callable, TextIO

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

CHUNK = 1000  # rows
STREAM = ".rows"  # suffix of a row stream
SUFFIXES = (".yml", ".yaml", ".json", ".csv")
LISTS = ("domains", "users", "forwardings")
# The column of a CSV file that tells which list it holds, the most telling first.
_TELLING = (("email", "users"), ("source", "forwardings"), ("domain", "domains"))
_PREFIX = "ispmail_"  # of the lists in an inventory, so that the same file serves as variables and as source


class SourceError(Exception):
    """A file that cannot be read, or does not have the shape of a directory. Names the file and the place in it."""


@dataclass
class Section:
    """Rows of one list that have the same columns. A value that was not given is None.

    ``origin`` and ``first`` say where the rows come from: items of a list starting at index ``first``, or the lines of
    a file starting at line ``first`` if ``lines``. An ``origin`` of None is a single row given as options.
    """

    name: str
    columns: list[str]
    rows: list[list[Any]]
    origin: str | None = None
    first: int = 0
    lines: bool = False

    def place(self, index: int, column: str) -> str:
        """How to call the value of ``column`` in ``rows[index]``: ``users[17].email``, ``users.csv line 18: email``."""
        if self.origin is None:
            return column
        if self.lines:
            return f"{self.origin} line {self.first + index}: {column}"
        return f"{self.origin}[{self.first + index}].{column}"


def of_items(name: str, items: Iterable[Any], origin: str) -> Iterator[Section]:
    """The sections of a list of dictionaries; one without rows for an empty list, which says more than no list."""
    chunk: list[dict] = []
    first = 0
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise SourceError(
                f"{origin}[{index}]: is {_kind(item)}, but must be a dictionary such as {_EXAMPLES[name]}"
            )
        chunk.append(item)
        if len(chunk) == CHUNK:
            yield _section(name, chunk, origin, first)
            chunk, first = [], index + 1
    if chunk or not first:
        yield _section(name, chunk, origin, first)


_EXAMPLES = {
    "domains": "{domain: example.org}",
    "users": "{email: ann@example.org, password_hash: ...}",
    "forwardings": "{source: sales@example.org, destinations: [ann@example.org]}",
}


def _section(name: str, items: list[dict], origin: str, first: int) -> Section:
    columns = list(dict.fromkeys(str(key) for item in items for key in item))
    return Section(name, columns, [[item.get(column) for column in columns] for item in items], origin, first)


def of_options(name: str, options: dict[str, Any]) -> Section:
    """The section of one row that is given as the options of a module."""
    return Section(name, list(options), [list(options.values())])


def files_of(path: str) -> list[str]:
    """The files that ``path`` stands for: itself, or those of a folder that have one of SUFFIXES, sorted by name."""
    if not os.path.isdir(path):
        return [path]
    names = sorted(n for n in os.listdir(path) if not n.startswith(".") and n.lower().endswith(SUFFIXES))
    if not names:
        raise SourceError(f"src {path!r} is a folder without any file named {', '.join('*' + s for s in SUFFIXES)}")
    return [os.path.join(path, name) for name in names]


def of_path(path: str) -> Iterator[Section]:
    """The sections of all files that ``path`` stands for."""
    for file in files_of(path):
        yield from read(file, os.path.relpath(file, os.path.dirname(path)))


def read(path: str, name: str, construct: Callable[[Any], None] | None = None) -> Iterator[Section]:
    """The sections of the file ``path``, which errors call ``name``; its suffix tells the format.

    ``construct`` may add constructors to the YAML loader. Raises SourceError.
    """
    suffix = os.path.splitext(name)[1].lower()
    try:
        # Text in UTF-8; a byte order mark, as Windows programs write it, is skipped.
        with open(path, encoding="utf-8-sig", newline="" if suffix == ".csv" else None) as file:
            if suffix == STREAM:
                yield from read_stream(file)
            elif suffix == ".csv":
                yield from _read_csv(file, name)
            elif suffix == ".json":
                yield from _of_document(json.load(file), name)
            elif suffix in (".yml", ".yaml"):
                yield from _of_document(_load_yaml(file, name, construct), name)
            else:
                raise SourceError(f"{name}: has none of the suffixes {', '.join(SUFFIXES)}")
    except OSError as error:
        raise SourceError(f"src {path!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: is not text in UTF-8 (octet {error.start})") from None
    except json.JSONDecodeError as error:
        raise SourceError(f"{name} line {error.lineno}: is not JSON: {error.msg}") from None
    except csv.Error as error:
        raise SourceError(f"{name}: is not CSV: {error}") from None


def write_stream(sections: Iterable[Section], file: TextIO) -> None:
    """Write a row stream."""
    for section in sections:
        try:
            json.dump(vars(section), file, separators=(",", ":"))
        except (TypeError, ValueError):
            raise SourceError(_unwritable(section)) from None
        file.write("\n")


def read_stream(lines: Iterable[str]) -> Iterator[Section]:
    """The sections of a row stream."""
    for line in lines:
        yield Section(**json.loads(line))


def _unwritable(section: Section) -> str:
    """Which value of a section is neither text, number, truth value nor a list of these (a date in YAML, say)."""
    for index, row in enumerate(section.rows):
        for column, value in zip(section.columns, row):
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                return f"{section.place(index, column)}: is {_kind(value)}; put it in quotes"
    raise AssertionError(section.origin)


def _load_yaml(file: TextIO, name: str, construct: Callable[[Any], None] | None) -> Any:
    if yaml is None:
        raise SourceError(
            "src is YAML, but the managed host's Python has no PyYAML; install python3-yaml there,"
            " or use JSON or CSV, or leave the file on the control node (remote_src: false)"
        )

    # libyaml's where it is there: ten times as fast.
    loader = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    if construct:
        construct(loader)
    try:
        return yaml.load(file, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # Never the error's own text: it quotes lines of the file, which may hold passwords.
        place = f" line {mark.line + 1}" if mark else ""
        raise SourceError(f"{name}{place}: is not YAML: {getattr(error, 'problem', None) or 'unreadable'}") from None


def _of_document(document: Any, name: str) -> Iterator[Section]:
    if isinstance(document, list):
        stem = os.path.splitext(os.path.basename(name))[0]
        if stem not in LISTS:
            raise SourceError(f"{name}: is a list; name the file after what it lists, or write {_SHAPE}")
        document = {stem: document}
    if document is None:
        return
    if not isinstance(document, dict):
        raise SourceError(f"{name}: is {_kind(document)}; write {_SHAPE}")
    for key, items in document.items():
        list_name = str(key)[len(_PREFIX) :] if str(key).startswith(_PREFIX) else key
        if list_name not in LISTS:
            raise SourceError(f"{name}: has the unknown key {key!r}; write {_SHAPE}")
        if not isinstance(items, list):
            raise SourceError(f"{name}: {key}: is {_kind(items)}, but must be a list")
        yield from of_items(list_name, items, f"{name}: {key}")


_SHAPE = "a dictionary with the keys " + ", ".join(LISTS)


def _read_csv(file: TextIO, name: str) -> Iterator[Section]:
    head = file.readline()
    delimiter = ";" if ";" in head and "," not in head else ","
    columns = [column.strip() for column in next(csv.reader([head], delimiter=delimiter), [])]
    lists = [list_name for column, list_name in _TELLING if column in columns]
    if not lists:
        raise SourceError(f"{name} line 1: must name the columns, one of them email, source or domain")
    if len(set(columns)) < len(columns):
        raise SourceError(f"{name} line 1: names a column twice")
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    rows: list[list[Any]] = []
    first = line = 2
    for row in reader:
        # The line on which the row starts; rows after a gap (a blank line, a quoted line end) start a section.
        start, line = line, reader.line_num + 2
        if not row:
            start = line
        elif len(row) > len(columns):
            raise SourceError(
                f"{name} line {start}: has {len(row)} values, but the first line names {len(columns)} columns"
            )
        if rows and (start != first + len(rows) or len(rows) == CHUNK):
            yield Section(lists[0], columns, rows, name, first, True)
            rows = []
        if not rows:
            first = start
        if row:
            rows.append([value or None for value in row] + [None] * (len(columns) - len(row)))
    yield Section(lists[0], columns, rows, name, first, True)


def _kind(value: Any) -> str:
    """What ``value`` is, in the words of YAML; never the value itself."""
    if value is None:
        return "empty"
    # By isinstance, because Ansible's values are of subclasses; a truth value is a number to Python, too.
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


_KINDS = ((str, "text"), (dict, "a dictionary"), (list, "a list"), (bool, "a truth value"), (int, "a number"))
