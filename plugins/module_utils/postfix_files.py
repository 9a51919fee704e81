# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit Postfix's main.cf and master.cf as text (postconf(5), master(5)).

Both files consist of logical lines: a line that starts with white space continues the one before, and comments and
empty lines may stand between the parts. Whatever is not asked to change stays byte for byte as it was found.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

_PARAMETER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_SERVICE = re.compile(r"(?P<name>[^\s/#][^\s]*)/(?P<type>inet|unix|unix-dgram|fifo|pass)\Z")
_FLAGS = ("private", "unprivileged", "chroot")


class PostfixError(ValueError):
    """A parameter or service that cannot be written; the text names it and the remedy."""


# -- logical lines ---------------------------------------------------------------------------------------------------


@dataclass
class _Entry:
    """A logical line: the indices of its physical lines and its text with one blank between the parts."""

    lines: list[int]
    text: str


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _entries(lines: Sequence[str]) -> list[_Entry]:
    entries: list[_Entry] = []
    for number, line in enumerate(lines):
        if _is_comment(line):
            continue
        if line[0].isspace() and entries:
            entries[-1].lines.append(number)
            entries[-1].text += " " + line.strip()
        else:
            entries.append(_Entry([number], line.strip()))
    return entries


def _write(lines: list[str | None], entry: _Entry | None, text: str | None) -> None:
    """Put ``text`` where ``entry`` was, or to the end; None removes the entry. Comments within the entry stay."""
    if entry is None:
        if lines and lines[-1] and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines.append(text)
        return
    for number in entry.lines:
        lines[number] = None
    lines[entry.lines[0]] = text


def _replace(lines: list[str | None], found: Sequence[_Entry], as_found: bool, text: str | None) -> bool:
    """Make ``text`` the only entry where ``found`` are all that there are; return whether that changes anything.

    ``as_found`` says that the last one means the same already, so that it stays as it is written.
    """
    for entry in found[:-1]:
        _write(lines, entry, None)
    if not as_found:
        _write(lines, found[-1] if found else None, text)
    return not as_found or len(found) > 1


def _split(text: str) -> list[str | None]:
    return list(io.StringIO(text))


def _present(lines: Iterable[str | None]) -> list[str]:
    return [line for line in lines if line is not None]


# -- values ----------------------------------------------------------------------------------------------------------


def to_value(name: str, value: object, separator: str = ", ") -> str:
    """Return ``value`` as it is written: lists joined, booleans as yes and no.

    :raises PostfixError: for a value that has no such form.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return separator.join(to_value(name, part) for part in value)
    if not isinstance(value, (str, int, float)):
        kind = type(value).__name__
        raise PostfixError(f"{name}: the value is a {kind}: give a string, number, boolean, list or null")
    text = str(value).strip()
    if any(character in text for character in "\n\r\0"):
        raise PostfixError(f"{name}: the value contains a line break or a NUL: write one line, or a list")
    return text


# -- main.cf ---------------------------------------------------------------------------------------------------------


def edit_main(text: str, parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return main.cf with ``parameters`` set, and the names of those that changed.

    A null value removes the parameter, so that Postfix's default holds again. Of several lines for one parameter
    Postfix takes the last: that one is changed, the others go.
    """
    changed = []
    for name, wanted in parameters.items():
        if not _PARAMETER.match(name):
            raise PostfixError(f"{name!r} is not a name of a Postfix parameter")
        lines = _split(text)
        found = [entry for entry in _entries(_present(lines)) if re.match(rf"{re.escape(name)}\s*=", entry.text)]
        value = None if wanted is None else to_value(name, wanted)
        if value is None:
            as_found, line = not found, None
        else:
            as_found = bool(found) and found[-1].text.partition("=")[2].split() == value.split()
            line = f"{name} = {value}".rstrip() + "\n"
        if _replace(lines, found, as_found, line):
            text = "".join(_present(lines))
            changed.append(name)
    return text, changed


# -- master.cf -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Service:
    """One service of master.cf; the columns hold what is written there (``-`` is Postfix's default)."""

    name: str
    type: str
    private: str = "-"
    unprivileged: str = "-"
    chroot: str = "-"
    wakeup: str = "-"
    maxproc: str = "-"
    command: str = ""
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> str:
        """Return the entry as lines: the columns as Debian aligns them, then one line an option."""
        columns = (self.type, self.private, self.unprivileged, self.chroot, self.wakeup, self.maxproc)
        widths = (5, 7, 7, 7, 7, 7)
        head = " ".join([f"{self.name:9}", *(f"{text:{width}}" for text, width in zip(columns, widths)), self.command])
        # Options come before arguments: pipe(8) and spawn(8) take the rest of the line as their own.
        lines = [head, *(f"  -o {_option(name, value)}" for name, value in self.options.items())]
        if self.arguments and self.options:
            lines.append("  " + " ".join(self.arguments))
        elif self.arguments:
            lines[0] = " ".join([head, *self.arguments])
        return "".join(f"{line}\n" for line in lines)


def _option(name: str, value: str) -> str:
    plain = f"{name}={value}"
    return f"{{{name} = {value}}}" if re.search(r"\s", value) or value.startswith("{") else plain


def _words(text: str) -> list[str]:
    """Split at white space outside of braces (master(5): "{ name = value }")."""
    words: list[str] = []
    depth, word = 0, ""
    for character in text:
        if character.isspace() and depth == 0:
            if word:
                words.append(word)
            word = ""
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        word += character
    return [*words, word] if word else words


def _command(words: Sequence[str]) -> dict:
    """Take a command line apart into its program, its ``-o`` options and its other arguments."""
    options: dict[str, str] = {}
    arguments: list[str] = []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word == "-o" and rest:
            word = "-o" + rest.pop(0)
        if not word.startswith("-o") or "=" not in word:
            arguments.append(word)
            # The first word that is no option ends them.
            if not word.startswith("-"):
                return {"command": words[0], "options": options, "arguments": (*arguments, *rest)}
            continue
        assignment = word[2:]
        if assignment.startswith("{") and assignment.endswith("}"):
            assignment = assignment[1:-1]
        name, _equals, value = assignment.partition("=")
        options[name.strip()] = " ".join(value.split())
    return {"command": words[0], "options": options, "arguments": tuple(arguments)}


def _parse_service(text: str) -> Service | None:
    words = _words(text)
    if len(words) < 8:
        return None
    name, kind, private, unprivileged, chroot, wakeup, maxproc = words[:7]
    service = Service(name, kind, private, unprivileged, chroot, wakeup, maxproc)
    return replace(service, **_command(words[7:]))


def daemon_calls(text: str) -> list[list[str]]:
    """Return the different calls, each a program and its ``-o`` options, that master.cf makes of Postfix's daemons."""
    services = [_parse_service(entry.text) for entry in _entries(_present(_split(text)))]
    calls = []
    for service in services:
        if service and "/" not in service.command:
            options = [part for pair in service.options.items() for part in ("-o", "=".join(pair))]
            if [service.command, *options] not in calls:
                calls.append([service.command, *options])
    return calls


def edit_master(text: str, services: Mapping[str, Mapping | None]) -> tuple[str, list[str]]:
    """Return master.cf with ``services`` (by ``name/type``) as given, and the names of those that changed.

    A field that is not given stays as it is found, or is Postfix's default in a new service; ``options`` are all
    options that the service shall have. A null service is removed.
    """
    changed = []
    for key, wanted in services.items():
        match = _SERVICE.match(key)
        if not match:
            raise PostfixError(f"{key!r} is not a service: write name and type as in master.cf, for example smtp/inet")
        lines = _split(text)
        blank = Service(match["name"], match["type"])
        found = [entry for entry in _entries(_present(lines)) if entry.text.split()[:2] == [blank.name, blank.type]]
        before = _parse_service(found[-1].text) if found else None
        service = None if wanted is None else _merge(key, before or blank, wanted)
        if _replace(lines, found, service == before, service.render() if service else None):
            text = "".join(_present(lines))
            changed.append(key)
    return text, changed


_FIELDS = (*_FLAGS, "wakeup", "maxproc", "command", "options")


def _merge(key: str, before: Service, wanted: Mapping) -> Service:
    unknown = sorted(set(wanted) - set(_FIELDS))
    if unknown:
        raise PostfixError(f"service {key}: {unknown[0]!r} is unknown, the fields are {', '.join(_FIELDS)}")
    fields: dict = {name: _flag(key, name, wanted[name]) for name in _FLAGS if name in wanted}
    for name in ("wakeup", "maxproc"):
        if name in wanted:
            fields[name] = _number(key, name, wanted[name])
    if "command" in wanted:
        parts = _command(_words(to_value(f"service {key}: command", wanted["command"])) or [""])
        if parts["options"]:
            raise PostfixError(f"service {key}: write the -o settings of the command as options")
        fields.update(command=parts["command"], arguments=parts["arguments"])
    if "options" in wanted:
        fields["options"] = _options(key, wanted["options"])
    service = replace(before, **fields)
    if not service.command:
        raise PostfixError(f"service {key}: a new service needs a command")
    return service


def _flag(key: str, name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "y" if value else "n"
    raise PostfixError(f"service {key}: {name} is {value!r}: give true, false or null")


def _number(key: str, name: str, value: object) -> str:
    pattern = r"\d+\??\Z" if name == "wakeup" else r"\d+\Z"
    if value is None:
        return "-"
    if not isinstance(value, bool) and re.match(pattern, str(value)):
        return str(value)
    unit = "seconds" if name == "wakeup" else "processes"
    raise PostfixError(f"service {key}: {name} is {value!r}: give a number of {unit} or null")


def _options(key: str, options: object) -> dict[str, str]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise PostfixError(f"service {key}: options must be a dictionary of parameter names and values")
    result = {}
    for name, value in options.items():
        if not _PARAMETER.match(name):
            raise PostfixError(f"service {key}: {name!r} is not a name of a Postfix parameter")
        if value is not None:
            result[name] = " ".join(to_value(f"service {key}: {name}", value, separator=",").split())
    return result
