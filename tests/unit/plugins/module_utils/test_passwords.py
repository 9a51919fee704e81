# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils.passwords import (
    CLEAR,
    DEFAULT_SCHEME,
    SCHEMES,
    PasswordError,
    check_hash,
    check_password,
    hash_all,
    hash_password,
    matches,
    matches_all,
    scheme_of,
    verify,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# Made by others' code: OpenSSL's (openssl passwd -5, -6), OpenBSD's tests of bcrypt, PHP's manual (DES, MD5).
KNOWN = [
    ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "SHA256-CRYPT"),
    (
        "Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        "SHA512-CRYPT",
    ),
    ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "BLF-CRYPT"),
    ("rasmuslerdorf", "rl.3StKT.4T8M", "DES-CRYPT"),
    ("rasmuslerdorf", "$1$rasmusle$rISCgZzpwk3UhDidwXvin0", "MD5-CRYPT"),
]


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


DIGESTS = [
    ("{MD5}" + _b64(hashlib.md5(b"geheim").digest()), "MD5"),
    ("{MD5RAW}" + hashlib.md5(b"geheim").hexdigest(), "MD5RAW"),
    ("{SHA}" + _b64(hashlib.sha1(b"geheim").digest()), "SHA"),
    ("{SHA256}" + _b64(hashlib.sha256(b"geheim").digest()), "SHA256"),
    ("{SHA512}" + _b64(hashlib.sha512(b"geheim").digest()), "SHA512"),
    ("{SSHA}" + _b64(hashlib.sha1(b"geheim" + b"salt").digest() + b"salt"), "SSHA"),
]


@pytest.mark.parametrize(("password", "stored", "scheme"), KNOWN)
def test_hashes_of_others_verify(password: str, stored: str, scheme: str) -> None:
    assert verify(password, stored)
    assert not verify("x" + password, stored)
    assert verify(password, "{CRYPT}" + stored)
    assert check_hash(stored) == stored
    assert scheme_of(stored) == scheme


@pytest.mark.parametrize(("stored", "scheme"), DIGESTS)
def test_digests_verify(stored: str, scheme: str) -> None:
    assert verify("geheim", stored)
    assert verify("geheim", stored.replace(scheme, scheme.lower(), 1))
    assert not verify("Geheim", stored)
    assert check_hash(stored) == stored
    assert scheme_of(stored) == scheme


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != CLEAR])
def test_each_scheme_hashes_what_it_verifies(scheme: str) -> None:
    first, second = hash_password("päss wörd", scheme), hash_password("päss wörd", scheme)
    assert first != second, "each hash has a salt of its own"
    assert check_hash(first) == first
    assert scheme_of(first) == scheme
    assert matches("päss wörd", first, DEFAULT_SCHEME)
    assert not matches("pass word", first, DEFAULT_SCHEME)


def test_clear_text_column() -> None:
    assert hash_password("secret", CLEAR) == "secret"
    assert matches("secret", "secret", CLEAR)
    assert not matches("secret", hash_password("secret"), CLEAR)
    assert not matches("secret", "secret", DEFAULT_SCHEME)
    assert scheme_of("secret") == CLEAR


@pytest.mark.parametrize(
    ("given_hash", "stored"),
    [
        ("{BLF-CRYPT}" + KNOWN[2][1], KNOWN[2][1]),
        ("{blf-crypt}" + KNOWN[2][1], KNOWN[2][1]),
        ("{SHA512-CRYPT}" + KNOWN[1][1], KNOWN[1][1]),
        ("{SHA256-CRYPT}" + KNOWN[0][1], KNOWN[0][1]),
        ("{MD5-CRYPT}" + KNOWN[4][1], KNOWN[4][1]),
        ("{DES-CRYPT}" + KNOWN[3][1], KNOWN[3][1]),
        ("{CRYPT}" + KNOWN[1][1], KNOWN[1][1]),
        ("{LDAP-MD5}" + DIGESTS[0][0][5:], DIGESTS[0][0]),
        ("{PLAIN-MD5}" + DIGESTS[1][0][8:].upper(), DIGESTS[1][0]),
        ("{SHA1}" + DIGESTS[2][0][5:], DIGESTS[2][0]),
    ],
)
def test_tags_of_others_are_converted(given_hash: str, stored: str) -> None:
    assert check_hash(given_hash) == stored


@pytest.mark.parametrize(
    "refused",
    [
        "",
        "secret",
        "secret-of-more",
        KNOWN[1][1][:-1],
        KNOWN[1][1] + "\n",
        "{CRYPT}secret",
        "{PLAIN}secret",
        "{SSHA256}" + _b64(bytes(36)),
        "{SSHA512}" + _b64(bytes(68)),
        "{SSHA}" + _b64(bytes(28)),
        "{SHA256}" + _b64(bytes(20)),
        "{MD5RAW}xyz",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA",
        "$6$" + "a" * 300,
    ],
)
def test_what_authdaemon_does_not_verify_is_refused_without_being_shown(refused: str) -> None:
    with pytest.raises(PasswordError) as caught:
        check_hash(refused)
    assert not refused or refused.rpartition("}")[2] not in str(caught.value)
    assert not verify("secret", refused)


@pytest.mark.parametrize(
    ("password", "scheme", "reason"),
    [
        ("", DEFAULT_SCHEME, "is empty"),
        ("a\nb", DEFAULT_SCHEME, "line end"),
        ("a\0b", DEFAULT_SCHEME, "NUL"),
        ("x" * 512, DEFAULT_SCHEME, "longer than the 511 octets"),
        ("ü" * 37, "BLF-CRYPT", "longer than the 72 octets"),
        ("ü", CLEAR, "not ASCII"),
        ("x" * 256, CLEAR, "longer than the 255"),
    ],
)
def test_passwords_that_cannot_work_are_refused(password: str, scheme: str, reason: str) -> None:
    with pytest.raises(PasswordError, match=reason):
        check_password(password, scheme)
    with pytest.raises(PasswordError):
        hash_password(password, scheme)


@pytest.mark.parametrize("stored", ["", "*", "!", "$6$", "$9$salt$x", "{", "{SSHA}", "{SHA512}!!!", "\0", "ü" * 13])
def test_damaged_hashes_verify_nothing(stored: str) -> None:
    assert not verify("geheim", stored)
    assert not verify("", stored)
    assert scheme_of(stored) == CLEAR


def test_many_keep_their_order() -> None:
    stored = hash_all([(f"password {i}", "SHA256-CRYPT") for i in range(40)])
    answers = matches_all((f"password {i if i % 3 else 'x'}", text, DEFAULT_SCHEME) for i, text in enumerate(stored))
    assert answers == [i % 3 != 0 for i in range(40)]
    assert matches_all([]) == []


def test_a_thread_that_computes_a_hash_lets_the_others_work() -> None:
    """So all cores are used. However busy the machine is: who waits for the whole call gets no turn within it."""
    takes_a_second = "$6$rounds=2000000$saltsalt$" + "." * 86
    started = threading.Event()
    turns = 0

    def compute() -> None:
        started.set()
        assert not verify("geheim", takes_a_second)

    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(compute)
        started.wait()
        while not computing.done():
            turns += 1
            time.sleep(0.001)
        computing.result()
    assert turns > 5


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_characters="\0\r\n", codec="utf-8"), min_size=1, max_size=100))
def test_any_password_is_verified_by_its_hash_only(password: str) -> None:
    stored = hash_password(password)
    assert verify(password, stored)
    assert not verify(password + " ", stored)
    assert password not in stored or len(password) < 4
