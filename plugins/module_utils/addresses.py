# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail addresses and domains: parse text, refuse with a reason, return the one form that is stored.

The stored form is ASCII and lower case: ``local@domain``, the local part quoted only where it must be, the domain as
A-labels. Two texts name the same mailbox in the directory exactly when their stored forms are equal.

Rules: RFC 5321 sections 4.1.2 (syntax), 4.5.3.1 (lengths); RFC 5890 to 5893 (internationalised domains, with the
mapping of RFC 5895); RFC 6531 addresses are refused because Courier and the directory's columns are ASCII.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache

MAX_LOCAL_PART = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 253  # characters without the root dot: 255 octets on the wire, RFC 1035 section 2.3.4
MAX_LABEL = 63  # octets, RFC 1035 section 2.3.4
MAX_PATH = 254  # octets of an address: 256 with the angle brackets, RFC 5321 section 4.5.3.1.3

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LDH_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_IDNA_DOTS = re.compile("[\u3002\uff0e\uff61]")  # RFC 3490 section 3.1, kept by RFC 5895
# Characters that RFC 5892 section 2.6 allows although their category or their mapping says otherwise.
_IDNA_EXCEPTIONS_VALID = frozenset("\u00df\u03c2\u06fd\u06fe\u0f0b\u3007")
_IDNA_EXCEPTIONS_DISALLOWED = frozenset("\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b")
_IDNA_RANGES_DISALLOWED = (
    ("\u0660", "\u0669"),  # Arabic digits, allowed in context only (section 2.6)
    ("\u06f0", "\u06f9"),
    ("\u034f", "\u034f"),  # default ignorable (section 2.3)
    ("\u17b4", "\u17b5"),
    ("\u180b", "\u180f"),
    ("\ufe00", "\ufe0f"),
    ("\U000e0100", "\U000e01ef"),
    ("\u20d0", "\u20ff"),  # blocks of symbols (section 2.4)
    ("\U0001d100", "\U0001d1ff"),
    ("\U0001d200", "\U0001d24f"),
    ("\u1100", "\u11ff"),  # conjoining Hangul (section 2.9)
    ("\ua960", "\ua97f"),
    ("\ud7b0", "\ud7ff"),
)
_IDNA_CATEGORIES = frozenset(("Ll", "Lu", "Lo", "Lm", "Mn", "Mc", "Nd"))


class AddressError(ValueError):
    """An address or a domain that is refused.

    ``value`` is the text as it was given, ``reason`` says what is wrong with it and what to write instead.
    """

    def __init__(self, value: object, reason: str) -> None:
        super().__init__(f"{value!r}: {reason}")
        self.value = value
        self.reason = reason


def parse_domain(text: str) -> str:
    """Return the domain ``text`` as lower-case A-labels joined by dots, without a root dot.

    Raises AddressError for anything that is not a host name in the sense of RFC 5321 section 4.1.2.
    """
    if not isinstance(text, str):
        raise AddressError(text, "is not text; put the domain in quotes")
    try:
        return _domain(text)
    except _Refused as refused:
        raise AddressError(text, str(refused)) from None


def parse_mailbox(text: str) -> str:
    """Return the address ``text`` of one mailbox in its stored form.

    Raises AddressError, also for a catch-all (``@domain``) and an address literal (``ann@[192.0.2.1]``).
    """
    return _address(text, catch_all=False, literal=False)


def parse_user(text: str) -> str:
    """Return the address ``text`` of a user: a mailbox whose name can be a directory in the mail store.

    Raises AddressError; besides what parse_mailbox refuses, an address with a slash.
    """
    address = _address(text, catch_all=False, literal=False)
    if "/" in address:
        raise AddressError(text, "has a slash, but a user's address is also the name of a directory in the mail store")
    return address


def parse_source(text: str) -> str:
    """Return what a forwarding forwards: a mailbox, or ``@domain`` for every address of a domain that has no other.

    Raises AddressError.
    """
    return _address(text, catch_all=True, literal=False)


def parse_destination(text: str) -> str:
    """Return where a forwarding leads: a mailbox anywhere, or ``@domain`` for the same local part in another domain.

    Raises AddressError. An address literal (RFC 5321 section 4.1.3) is allowed here only.
    """
    return _address(text, catch_all=True, literal=True)


def domain_of(address: str) -> str:
    """Return the domain of an ``address`` in stored form."""
    return address[address.rindex("@") + 1 :]


def split_list(text: str) -> list[str]:
    """Split comma separated addresses, as the column ``destination`` holds them, at the commas outside quotes.

    Surrounding white space is dropped, empty items are too (Postfix ignores both); nothing is parsed further.
    """
    if '"' not in text:
        items = text.split(",")
    else:
        items, start, quoted, escaped = [], 0, False, False
        for index, char in enumerate(text):
            if escaped:
                escaped = False
            elif quoted and char == "\\":
                escaped = True
            elif char == '"':
                quoted = not quoted
            elif char == "," and not quoted:
                items.append(text[start:index])
                start = index + 1
        items.append(text[start:])
    return [item for item in (item.strip() for item in items) if item]


class _Refused(Exception):
    """The reason alone; the public functions add the text it is about."""


def _address(text: str, catch_all: bool, literal: bool) -> str:
    try:
        if not isinstance(text, str):
            raise _Refused("is not text; put the address in quotes")
        local, at, domain = text.rpartition("@")
        if not at:
            raise _Refused("has no @; write the whole address, for example ann@example.org")
        if not local:
            if not catch_all:
                raise _Refused("has nothing before the @; a catch-all is a forwarding, not a mailbox")
            return "@" + _domain(domain)
        if not domain:
            raise _Refused("has nothing after the @")
        if domain[0] == "[":
            if not literal:
                raise _Refused("has an address literal, but only a named domain can be hosted")
            domain = _literal(domain)
        else:
            domain = _domain(domain)
        local = _local_part(local)
        if len(local) + 1 + len(domain) > MAX_PATH:
            raise _Refused(f"is longer than {MAX_PATH} octets (RFC 5321 section 4.5.3.1.3)")
        return f"{local}@{domain}"
    except _Refused as refused:
        raise AddressError(text, str(refused)) from None


def _local_part(local: str) -> str:
    """Parse a local part: a dot-string or a quoted string; quotes that are not needed are dropped."""
    if not local.isascii():
        strange = next(char for char in local if ord(char) > 127)
        raise _Refused(
            f"has {strange!r} before the @; only ASCII is possible there, because Courier does not know the"
            " internationalised addresses of RFC 6531"
        )
    content = local
    if not _DOT_ATOM.fullmatch(local):
        if local[0] == '"':
            content = _unquote(local)
        else:
            raise _Refused(_why_no_dot_string(local))
        if not _DOT_ATOM.fullmatch(content):
            local = '"' + content.replace("\\", "\\\\").replace('"', '\\"') + '"'
        else:
            local = content
    if len(local) > MAX_LOCAL_PART:
        raise _Refused(f"has more than {MAX_LOCAL_PART} octets before the @ (RFC 5321 section 4.5.3.1.1)")
    return local.lower()


def _unquote(local: str) -> str:
    """Return the content of a quoted string (RFC 5321 section 4.1.2, Quoted-string)."""
    content = []
    index, end = 1, len(local)
    while index < end and local[index] != '"':
        if local[index] == "\\":
            index += 1
        if index < end:
            content.append(local[index])
        index += 1
    if index != end - 1:
        raise _Refused('has a quoted part before the @ that does not end with " right at the @')
    for char in content:
        if not " " <= char <= "~":
            raise _Refused(f"has the control character {char!r} before the @")
    if not content:
        raise _Refused('has "" before the @: an empty name')
    return "".join(content)


def _why_no_dot_string(local: str) -> str:
    if local[0] == "." or local[-1] == ".":
        return "has a dot at the start or at the end of the part before the @; quote that part or drop the dot"
    if ".." in local:
        return "has two dots in a row before the @; quote that part or drop one"
    for char in local:
        if char.isspace():
            return "has white space before the @"
        if not _DOT_ATOM.fullmatch(char) and char != ".":
            return f"has {char!r} before the @, which is allowed only in a quoted part"
    raise AssertionError(local)


def _literal(domain: str) -> str:
    if domain[-1] != "]":
        raise _Refused("has an address literal without its closing ]")
    inner = domain[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise _Refused("has neither [192.0.2.1] nor [IPv6:2001:db8::1] after the @") from None


@lru_cache(maxsize=65536)
def _domain(text: str) -> str:
    if not text:
        raise _Refused("is empty")
    domain = text.lower() if text.isascii() else _IDNA_DOTS.sub(".", text)
    if domain[-1] == ".":
        raise _Refused("ends with a dot; leave the dot out")
    domain = ".".join([_label(label) for label in domain.split(".")])
    if len(domain) > MAX_DOMAIN:
        raise _Refused(f"has a domain longer than {MAX_DOMAIN} characters")
    if domain[domain.rfind(".") + 1 :].isdigit():
        raise _Refused("has a domain that ends in a number, as an IP address does (RFC 3696 section 2)")
    return domain


def _label(label: str) -> str:
    """Return one label as it is sent: LDH lower case, or an A-label."""
    if not label:
        raise _Refused("has an empty label: a dot at the start, or two in a row, in the domain")
    if not label.isascii():
        u_label = _map(label)
        if not u_label.isascii():
            _check_u_label(u_label)
            a_label = "xn--" + u_label.encode("punycode").decode("ascii")
            if len(a_label) > MAX_LABEL:
                raise _Refused(f"has the label {label!r}, longer than {MAX_LABEL} octets as {a_label}")
            return a_label
        label = u_label
    if len(label) > MAX_LABEL:
        raise _Refused(f"has the label {label!r}, longer than {MAX_LABEL} octets")
    if not _LDH_LABEL.fullmatch(label):
        if label[0] == "-" or label[-1] == "-":
            raise _Refused(f"has the label {label!r}: a hyphen at its start or end")
        strange = next(char for char in label if not (char.isalnum() or char == "-"))
        raise _Refused(f"has {strange!r} in the label {label!r}; letters, digits and hyphens are allowed in a domain")
    if label[2:4] == "--":
        _check_a_label(label)
    return label


def _map(label: str) -> str:
    """Map what was typed to what is registered: lower case, width and compatibility forms (RFC 5895 section 2).

    Case is folded, as RFC 5892 section 2.2 compares, but for the letters that are names of their own since IDNA 2008: a
    sharp s and a final sigma. The ``idna`` codec makes ``ss`` of the former, which is another domain.
    """
    composed = unicodedata.normalize("NFC", label)
    folded = [_KEPT.get(char) or unicodedata.normalize("NFKC", char).casefold() for char in composed]
    return unicodedata.normalize("NFKC", "".join(folded))


_KEPT = {"\u00df": "\u00df", "\u1e9e": "\u00df", "\u03c2": "\u03c2"}


def _check_a_label(label: str) -> None:
    if not label.startswith("xn--"):
        raise _Refused(f"has the label {label!r}: hyphens in third and fourth place are reserved (RFC 5891)")
    try:
        u_label = label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, OverflowError):
        u_label = ""
    if not u_label or u_label.isascii() or u_label != _map(u_label) or u_label.encode("punycode").decode() != label[4:]:
        raise _Refused(f"has the label {label!r}, which is no A-label of any name (RFC 5890 section 2.3.2.1)")
    _check_u_label(u_label)


def _check_u_label(label: str) -> None:
    """Check a mapped label against RFC 5891 section 4.2 (hyphens, marks, characters, context, bidi)."""
    if label[0] == "-" or label[-1] == "-" or label[2:4] == "--":
        raise _Refused(f"has the label {label!r}: a hyphen at its start or end, or in third and fourth place")
    if unicodedata.category(label[0])[0] == "M":
        raise _Refused(f"has the label {label!r}, which starts with a combining mark")
    for index, char in enumerate(label):
        if not (_is_valid(char) or _is_valid_in_context(label, index)):
            raise _Refused(f"has {char!r} in the label {label!r}; it is not allowed in a domain (RFC 5892)")
    if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in label):
        _check_bidi(label)


def _is_valid(char: str) -> bool:
    """Whether RFC 5892 section 3 derives PVALID for a character that the mapping left as it is."""
    if char.isascii():
        return char.islower() or char.isdigit() or char == "-"
    if char in _IDNA_EXCEPTIONS_VALID:
        return True
    if char in _IDNA_EXCEPTIONS_DISALLOWED or any(first <= char <= last for first, last in _IDNA_RANGES_DISALLOWED):
        return False
    return unicodedata.category(char) in _IDNA_CATEGORIES and _map(char) == char


def _is_valid_in_context(label: str, index: int) -> bool:
    """The contextual rules of RFC 5892 appendix A."""
    char, before, after = label[index], label[index - 1 : index], label[index + 1 : index + 2]
    if char in "\u200c\u200d":  # joiners: after a virama
        return bool(before) and unicodedata.combining(before) == 9
    if char == "\u00b7":
        return before == "l" and after == "l"
    if char == "\u0375":
        return bool(after) and unicodedata.name(after, "").startswith("GREEK")
    if char in "\u05f3\u05f4":
        return bool(before) and unicodedata.name(before, "").startswith("HEBREW")
    if char == "\u30fb":
        return any(unicodedata.name(c, "").startswith(("HIRAGANA", "KATAKANA LETTER", "CJK")) for c in label)
    if "\u0660" <= char <= "\u0669":
        return not any("\u06f0" <= c <= "\u06f9" for c in label)
    if "\u06f0" <= char <= "\u06f9":
        return not any("\u0660" <= c <= "\u0669" for c in label)
    return False


def _check_bidi(label: str) -> None:
    """The Bidi rule, RFC 5893 section 2, for a label with right-to-left characters."""
    kinds = [unicodedata.bidirectional(char) for char in label]
    ending = [kind for kind in kinds if kind != "NSM"][-1]
    right_to_left = kinds[0] in ("R", "AL")
    allowed = {"R", "AL", "AN", "EN", "ES", "CS", "ET", "ON", "BN", "NSM"}
    if (
        not right_to_left
        or not set(kinds) <= allowed
        or ending not in ("R", "AL", "EN", "AN")
        or ("EN" in kinds and "AN" in kinds)
    ):
        raise _Refused(f"has the label {label!r}, which mixes writing directions (RFC 5893 section 2)")
