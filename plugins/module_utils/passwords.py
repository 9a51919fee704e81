# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords as the column ``users.password`` holds them: make, check and verify.

Hashes are computed by the system's crypt(3) through ctypes: it is the library that Courier's authdaemon calls, it knows
yescrypt, and Python has had no ``crypt`` module since 3.13. ctypes releases the interpreter's lock during a call and
crypt_r(3) keeps its state in the caller's memory, so that threads use all processor cores.

The forms that authdaemon verifies (courier-authlib 0.71 and 0.72, tried one by one) are the ones accepted here.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Callable

CLEAR = "CLEAR"
DEFAULT_SCHEME = "SHA512-CRYPT"
MAX_PASSWORD = 511  # octets: CRYPT_MAX_PASSPHRASE_SIZE less its NUL, crypt(3)
MAX_PASSWORD_BCRYPT = 72  # octets; bcrypt ignores the rest, crypt(5)
MAX_STORED = 255  # characters, the column's width

_SALT = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CRYPT_DATA_SIZE = 131232  # octets: sizeof(struct crypt_data), the larger one of glibc; libxcrypt's is 32768
_GENSALT_SIZE = 192  # octets: CRYPT_GENSALT_OUTPUT_SIZE

# scheme -> prefix and count for crypt_gensalt(3); SHA-512 with its 5000 rounds costs a login about 3 ms
_GENSALT = {
    "SHA512-CRYPT": (b"$6$", 0),
    "SHA256-CRYPT": (b"$5$", 0),
    "BLF-CRYPT": (b"$2b$", 10),
    "YESCRYPT": (b"$y$", 0),
}
SCHEMES = (*_GENSALT, CLEAR)

_B64 = r"[./0-9A-Za-z]"
_CRYPT_FORMS = re.compile(
    rf"\$6\$(?:rounds=[1-9][0-9]{{3,8}}\$)?[^$:\n]{{1,16}}\${_B64}{{86}}"
    rf"|\$5\$(?:rounds=[1-9][0-9]{{3,8}}\$)?[^$:\n]{{1,16}}\${_B64}{{43}}"
    rf"|\$2[aby]\$[0-3][0-9]\${_B64}{{53}}"
    rf"|\$y\${_B64}+\${_B64}{{0,86}}\${_B64}{{43}}"
    rf"|\$gy\${_B64}+\${_B64}{{0,86}}\${_B64}{{43}}"
    rf"|\$7\${_B64}{{11,97}}\${_B64}{{43}}"
    rf"|\$1\$[^$:\n]{{1,8}}\${_B64}{{22}}"
    rf"|{_B64}{{13}}"
)
# tag -> the octets its base64 text must decode to
_BASE64_FORMS = {"MD5": 16, "SHA": 20, "SHA256": 32, "SHA512": 64, "SSHA": 24}
# what Dovecot and LDAP servers call the same hash
_SAME_AS = {"LDAP-MD5": "MD5", "PLAIN-MD5": "MD5RAW", "SHA1": "SHA"}
_CRYPT_TAGS = {"CRYPT", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "DES-CRYPT"}
_TAGGED = re.compile(r"\{([A-Za-z0-9.-]+)\}(.*)", re.DOTALL)


class PasswordError(ValueError):
    """A password or a hash that is refused. The text says why and never contains the password or the hash."""


def check_hash(text: str) -> str:
    """Return the hash ``text`` as it is stored: crypt(5) hashes bare, digests as ``{TAG}`` in upper case.

    Tags of other systems are dropped or renamed where the hash is the same (``{BLF-CRYPT}``, ``{SHA512-CRYPT}``,
    ``{CRYPT}``, ``{LDAP-MD5}``, ``{PLAIN-MD5}``, ...). Raises PasswordError for a form that authdaemon does not verify.
    """
    if len(text) > MAX_STORED:
        raise PasswordError(f"is longer than {MAX_STORED} characters")
    if _CRYPT_FORMS.fullmatch(text):
        return text
    tagged = _TAGGED.fullmatch(text)
    if not tagged:
        kind = "an argon2 hash" if text.startswith("$argon2") else "no complete crypt(5) hash and has no {TAG}"
        raise PasswordError(f"is {kind}; {_REMEDY}")
    tag, rest = tagged.group(1).upper(), tagged.group(2)
    if tag in _CRYPT_TAGS:
        if not _CRYPT_FORMS.fullmatch(rest):
            raise PasswordError(f"is tagged {{{tag}}}, but what follows is no complete crypt(5) hash; {_REMEDY}")
        return rest
    tag = _SAME_AS.get(tag, tag)
    if tag == "MD5RAW":
        if not re.fullmatch("[0-9A-Fa-f]{32}", rest):
            raise PasswordError("is tagged as MD5 in hexadecimal, but has not 32 hexadecimal digits")
        return "{MD5RAW}" + rest.lower()
    octets = _BASE64_FORMS.get(tag)
    if octets is None:
        raise PasswordError(f"has the scheme {{{tag}}}, which Courier's authdaemon does not verify; {_REMEDY}")
    length = len(_decode(rest))
    if length != octets:
        salt = " (a salt of exactly 4 octets)" if tag == "SSHA" else ""
        raise PasswordError(f"is tagged {{{tag}}}, but is not base64 of {octets} octets{salt}; {_REMEDY}")
    return f"{{{tag}}}{rest}"


_REMEDY = "give the clear text as password instead, or a hash of crypt(5)"


def scheme_of(stored: str) -> str:
    """The scheme of what is stored: one of SCHEMES, the tag of a digest, or what crypt(5) calls the hash.

    CLEAR for everything that is no hash.
    """
    try:
        form = check_hash(stored)
    except PasswordError:
        return CLEAR
    if form[0] == "{":
        return form[1 : form.index("}")]
    return _CRYPT_NAMES.get(form.split("$")[1] if form[0] == "$" else "", "DES-CRYPT")


_CRYPT_NAMES = {
    "6": "SHA512-CRYPT",
    "5": "SHA256-CRYPT",
    "2a": "BLF-CRYPT",
    "2b": "BLF-CRYPT",
    "2y": "BLF-CRYPT",
    "y": "YESCRYPT",
    "gy": "GOST-YESCRYPT",
    "7": "SCRYPT",
    "1": "MD5-CRYPT",
}


def check_password(password: str, scheme: str = DEFAULT_SCHEME) -> str:
    """Return ``password`` unchanged if it can be stored with ``scheme`` and typed in every protocol.

    Raises PasswordError: empty, with NUL or a line end (POP3, RFC 1939, ends a command there), longer than crypt(3)
    reads; for CLEAR also what the column cannot hold.
    """
    if not password:
        raise PasswordError("is empty")
    if any(char in password for char in "\0\r\n"):
        raise PasswordError("has a line end or a NUL, which no mail client can send")
    octets = len(_octets(password))
    if scheme == CLEAR:
        if not password.isascii():
            raise PasswordError("has a character that is not ASCII, which the clear-text column cannot hold")
        if octets > MAX_STORED:
            raise PasswordError(f"is longer than the {MAX_STORED} characters of the clear-text column")
    limit = MAX_PASSWORD_BCRYPT if scheme == "BLF-CRYPT" else MAX_PASSWORD
    if octets > limit:
        raise PasswordError(f"is longer than the {limit} octets that {scheme} takes into account")
    return password


def hash_password(password: str, scheme: str = DEFAULT_SCHEME) -> str:
    """Return ``password`` as it is stored with ``scheme`` (one of SCHEMES), with a salt of its own.

    Raises PasswordError for what check_password refuses and for a scheme that this host's crypt(3) does not know.
    """
    check_password(password, scheme)
    if scheme == CLEAR:
        return password
    prefix, count = _GENSALT[scheme]
    hashed = _crypt(_octets(password), _gensalt(prefix, count))
    if hashed is None:
        raise PasswordError(f"cannot be hashed with {scheme}: this host's crypt(3) does not know it")
    return hashed.decode("ascii")


def verify(password: str, stored: str) -> bool:
    """Whether ``password`` is the one that the hash ``stored`` was made of, in the eyes of authdaemon.

    Anything that is no hash (clear text, an unknown tag, a damaged hash) verifies nothing.
    """
    octets = _octets(password)
    tagged = _TAGGED.fullmatch(stored)
    if tagged and tagged.group(1).upper() != "CRYPT":
        return _verify_digest(octets, tagged.group(1).upper(), tagged.group(2))
    setting = _octets(tagged.group(2) if tagged else stored)
    if b"\0" in octets or not _CRYPT_FORMS.fullmatch(setting.decode("latin-1")):
        return False
    hashed = _crypt(octets, setting)
    return hashed is not None and hmac.compare_digest(hashed, setting)


def matches(password: str, stored: str, scheme: str) -> bool:
    """Whether ``stored`` needs no change for ``password`` to be valid in a column of ``scheme``'s kind.

    A column holds either hashes or clear text: with CLEAR the two texts must be equal, else ``stored`` must be a hash
    of ``password``, of whatever scheme.
    """
    if scheme == CLEAR:
        return hmac.compare_digest(_octets(password), _octets(stored))
    return verify(password, stored)


def matches_all(triples: Iterable[tuple[str, str, str]]) -> list[bool]:
    """``matches`` for many (password, stored, scheme), in their order, on all processor cores."""
    return _parallel(lambda triple: matches(*triple), triples)


def hash_all(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """``hash_password`` for many (password, scheme), in their order, on all processor cores."""
    return _parallel(lambda pair: hash_password(*pair), pairs)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _parallel(function: Callable, items: Iterable) -> list:
    items = list(items)
    workers = min(_cores(), len(items))
    if workers < 2:
        return [function(item) for item in items]
    # Slices, because handing over one future an item costs more than a digest does.
    slices = [items[start : start + 16] for start in range(0, len(items), 16)]
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(lambda part: [function(item) for item in part], slices)
        return [result for part in done for result in part]


def _cores() -> int:
    """The processor cores that this process may use, which in a container can be fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _verify_digest(password: bytes, tag: str, text: str) -> bool:
    if tag == "MD5RAW":
        return hmac.compare_digest(_digest("md5", password).hex(), text.lower())
    octets = _decode(text)
    if len(octets) != _BASE64_FORMS.get(tag):
        return False
    if tag == "SSHA":
        return hmac.compare_digest(_digest("sha1", password + octets[20:]), octets[:20])
    return hmac.compare_digest(_digest({"SHA": "sha1"}.get(tag, tag.lower()), password), octets)


def _digest(name: str, octets: bytes) -> bytes:
    # Only to recognise what others stored; a FIPS host must be told that.
    return hashlib.new(name, octets, usedforsecurity=False).digest()


class _LibCrypt:
    """crypt_r(3) and crypt_gensalt_rn(3) of the library that the system's login uses."""

    def __init__(self) -> None:
        for name in ("libcrypt.so.1", "libcrypt.so.2"):
            try:
                library = ctypes.CDLL(name)
                break
            except OSError:
                continue
        else:
            raise PasswordError("cannot be verified: this host has no libcrypt.so (package libcrypt1)")
        self.crypt_r = library.crypt_r
        self.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        self.crypt_r.restype = ctypes.c_char_p
        # Absent from the libcrypt of an old glibc.
        self.gensalt = getattr(library, "crypt_gensalt_rn", None)
        if self.gensalt is not None:
            self.gensalt.argtypes = (
                ctypes.c_char_p,
                ctypes.c_ulong,
                ctypes.c_char_p,
                ctypes.c_int,
                ctypes.c_char_p,
                ctypes.c_int,
            )
            self.gensalt.restype = ctypes.c_char_p


@lru_cache(maxsize=1)
def _libcrypt() -> _LibCrypt:
    """The library, loaded at the first use, so that a host without it can still store hashes."""
    return _LibCrypt()


def _gensalt(prefix: bytes, count: int) -> bytes:
    gensalt = _libcrypt().gensalt
    if gensalt is None:
        if prefix not in (b"$5$", b"$6$"):
            raise PasswordError("cannot be hashed with this scheme: this host's libcrypt has no crypt_gensalt(3)")
        return prefix + "".join(secrets.choice(_SALT) for _unused in range(16)).encode("ascii")
    output = ctypes.create_string_buffer(_GENSALT_SIZE)
    entropy = secrets.token_bytes(64)
    setting = gensalt(prefix, count, entropy, len(entropy), output, _GENSALT_SIZE)
    return setting if setting is not None else prefix


def _crypt(password: bytes, setting: bytes) -> bytes | None:
    """crypt_r(3), or None where the setting is one it does not know (NULL, or a failure token starting with ``*``)."""
    data = ctypes.create_string_buffer(_CRYPT_DATA_SIZE)
    hashed = _libcrypt().crypt_r(password, setting, data)
    return None if hashed is None or hashed.startswith(b"*") else hashed
