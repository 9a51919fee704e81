# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations with a mail host, as its users and its neighbours hold them.

What a mail host is worth shows only from outside: a message handed in on port 25 arrives in a mailbox, a stranger is
turned away at the right command, a password opens exactly the doors it should. Each function and session here holds one
such conversation and returns what was said, or raises what went wrong:

* `SmtpSession` (RFC 5321), with STARTTLS (RFC 3207), submission (RFC 6409, RFC 8314) and AUTH (RFC 4954);
* `ImapSession` (RFC 3501) and `Pop3Session` (RFC 1939), plain, with STARTTLS (RFC 2595) or over TLS (RFC 8314);
* `WebmailSession`, sqwebmail as a browser without scripts sees it, and `http_get`;
* `wait_for_message`, bounded in time, and `accepts_tls`, which asks for one version of TLS and no other.

Units: times are seconds (float), sizes are octets. Ports default to the ones that IANA assigned.

Errors: everything raised on purpose is a `ConversationError`.

* `Refused`: the host answered, and the answer was no. It carries the command, the status, the enhanced status code
  (RFC 3463) and the text.
* `Unreachable`: no connection, a timeout, or a connection that ended in the middle.
* `TlsFailed` (an `Unreachable`): the TLS handshake failed, or the certificate does not prove the host's name.
* `NotArrived`: a message was awaited, and the time was up.

Passwords never enter a transcript or an error. The module needs nothing but Python's standard library, 3.9 or later, so
that the tests, the demo and a module on a managed host can all use it.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email
import email.message
import email.policy
import email.utils
import hashlib
import hmac
import html.parser
import http.client
import imaplib
import ipaddress
import poplib
import re
import secrets
import smtplib
import socket
import ssl
import time
import typing as t
import urllib.parse
import warnings

PLAIN = "plain"
STARTTLS = "starttls"
TLS = "tls"

_PORTS: dict[tuple[str, str], int] = {
    ("smtp", PLAIN): 25,
    ("smtp", STARTTLS): 587,
    ("smtp", TLS): 465,
    ("imap", PLAIN): 143,
    ("imap", STARTTLS): 143,
    ("imap", TLS): 993,
    ("pop3", PLAIN): 110,
    ("pop3", STARTTLS): 110,
    ("pop3", TLS): 995,
    ("http", PLAIN): 80,
    ("http", TLS): 443,
}


class ConversationError(Exception):
    """Base of everything that this module raises on purpose."""


class Unreachable(ConversationError):
    """No connection to the host, no answer in time, or a connection that broke off."""


class TlsFailed(Unreachable):
    """The TLS handshake failed, or the certificate was not accepted."""


class NotArrived(ConversationError):
    """The awaited message was not in the mailbox when the time was up."""


class Refused(ConversationError):
    """The host's answer to a command was no.

    Attributes:
        command: what was refused, without secrets, such as ``RCPT TO:<a@example.org>``
        status: the protocol's own word: ``550``, ``NO``, ``-ERR``, an HTTP status
        enhanced: the enhanced status code of RFC 3463, such as ``5.1.1``, or an empty string
        text: the human-readable rest of the answer, lines joined by a blank
    """

    def __init__(self, command: str, status: str, text: str, enhanced: str = "") -> None:
        super().__init__(f"{command} was refused: {' '.join(filter(None, (status, enhanced, text)))}")
        self.command = command
        self.status = status
        self.enhanced = enhanced
        self.text = text

    @property
    def code(self) -> int:
        """The status as a number, 0 where the protocol has none (IMAP, POP3)."""
        return int(self.status) if self.status.isdigit() else 0

    @property
    def temporary(self) -> bool:
        """Whether the same command may succeed later: a 4yz reply (RFC 5321 section 4.2.1)."""
        return 400 <= self.code < 500


@dataclasses.dataclass(frozen=True)
class MailHost:
    """Where a mail host is reached, and how it proves who it is.

    Attributes:
        address: the address or name to connect to
        name: the name its certificate must hold, also used for SNI and HTTP; the address when empty
        ca_file: PEM file with the trusted certificates; the system's when ``None``
        timeout: seconds that one network operation may take
    """

    address: str
    name: str = ""
    ca_file: str | None = None
    timeout: float = 30.0

    @property
    def certified_name(self) -> str:
        """The name that the host's certificate must hold."""
        return self.name or self.address

    def tls_context(self) -> ssl.SSLContext:
        """A verifying context, as careful clients use it.

        Raises:
            TlsFailed: the CA file cannot be read or holds no certificate
        """
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise TlsFailed(f"CA file {self.ca_file}: {error}") from error

    def connect(self, port: int) -> socket.socket:
        """A connected socket with the host's timeout set."""
        return socket.create_connection((self.address, port), timeout=self.timeout)


@dataclasses.dataclass(frozen=True)
class Reply:
    """One reply of an SMTP server (RFC 5321 section 4.2).

    Attributes:
        code: the three-digit code
        enhanced: the enhanced status code (RFC 2034), or an empty string
        text: the text without codes, lines joined by a blank
    """

    code: int
    enhanced: str
    text: str

    @classmethod
    def parse(cls, code: int, text: bytes) -> Reply:
        """From what `smtplib` returns: the lines after their codes, separated by newlines.

        The enhanced code is repeated on every line of a reply (RFC 2034 section 4); it is stripped from each.
        """
        lines = text.decode("utf-8", "replace").split("\n")
        match = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)", lines[0])
        enhanced = match.group(1) if match else ""
        return cls(
            code, enhanced, " ".join(line[len(enhanced) :].strip() if enhanced else line.strip() for line in lines)
        )

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))


@dataclasses.dataclass(frozen=True)
class Sent:
    """A message that the host accepted.

    Attributes:
        queue_id: the queue's name for it, as in the host's log; empty if the host does not tell
        reply: the reply to the message's last line
    """

    queue_id: str
    reply: Reply


@contextlib.contextmanager
def _reaching(what: str) -> t.Iterator[None]:
    """Turn the ways in which a connection can fail into this module's errors."""
    try:
        yield
    except ConversationError:
        raise
    except ssl.SSLError as error:
        raise TlsFailed(f"{what}: {error}") from error
    except (OSError, EOFError, imaplib.IMAP4.abort, http.client.HTTPException) as error:
        raise Unreachable(f"{what}: {error or type(error).__name__}") from error


# --- messages ---------------------------------------------------------------------------------------------------------


def new_token() -> str:
    """A word that no other message holds, to recognise one message by."""
    return "t" + secrets.token_hex(8)


def compose(sender: str, recipients: t.Sequence[str], subject: str, body: str) -> email.message.EmailMessage:
    """A plain text message with the headers that RFC 5322 section 3.6 asks for, and a Message-ID.

    Args:
        sender: the address for From
        recipients: the addresses for To
        subject: the subject, one line
        body: the text
    """
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    message["Date"] = email.utils.format_datetime(email.utils.localtime())
    message["Message-ID"] = email.utils.make_msgid(domain=sender.rpartition("@")[2])
    message.set_content(body)
    return message


def eicar_signature() -> bytes:
    """EICAR's harmless test file (68 octets), which every virus scanner reports.

    It is put together here, so that this source file is not itself reported.
    """
    return rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE" + b"!$H+H*"


def gtube_line() -> str:
    """SpamAssassin's GTUBE line (68 characters), which scores 1000 points. Put together for the same reason."""
    return "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL" + "*C.34X"


def parse_message(raw: bytes) -> email.message.EmailMessage:
    """A received message, headers decoded."""
    return email.message_from_bytes(raw, policy=email.policy.default)


def text_of(message: email.message.EmailMessage) -> str:
    """The text of a message's plain part, an empty string if it has none."""
    part = message.get_body(preferencelist=("plain",))
    return part.get_content() if part is not None else ""


# --- SMTP -------------------------------------------------------------------------------------------------------------

# One run of a SASL mechanism: yields the client's answers (the first one is the initial response, None if the
# mechanism has none) and is sent the server's challenges, both before base64.
_Sasl = t.Generator["bytes | None", bytes, None]


def _sasl_plain(user: str, password: str, host: str) -> _Sasl:
    """RFC 4616."""
    yield f"\0{user}\0{password}".encode()


def _sasl_login(user: str, password: str, host: str) -> _Sasl:
    """The obsolete LOGIN, never an RFC; old clients of Microsoft's know nothing else."""
    yield None
    yield user.encode()
    yield password.encode()


def _sasl_cram_md5(user: str, password: str, host: str) -> _Sasl:
    """RFC 2195 section 2."""
    challenge = yield None
    yield f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}".encode()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def digest_md5_response(
    challenge: str, user: str, password: str, uri: str, cnonce: str, realm: str = ""
) -> tuple[str, str]:
    """The client's answer to a DIGEST-MD5 challenge, quality of protection "auth" (RFC 2831 section 2.1.2).

    Args:
        challenge: the server's challenge, such as ``realm="r",nonce="n",qop="auth",charset=utf-8,algorithm=md5-sess``
        user: the login
        password: the password
        uri: the digest-uri, ``service/host``
        cnonce: the client's nonce
        realm: the realm, the challenge's first if empty

    Returns:
        the response, and the value of ``rspauth`` with which the server must prove that it knows the password too
        (section 2.1.3)

    Raises:
        ConversationError: the challenge holds no nonce
    """
    fields: dict[str, str] = {}
    for key, quoted, bare in re.findall(r'([a-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^,"]*))', challenge):
        fields.setdefault(key, re.sub(r"\\(.)", r"\1", quoted) or bare)
    if not fields.get("nonce"):
        raise ConversationError(f"a DIGEST-MD5 challenge without a nonce: {challenge}")
    realm = realm or fields.get("realm", "")
    nonce = fields["nonce"]
    secret = _md5(f"{user}:{realm}:{password}".encode())
    a1 = _md5(secret + f":{nonce}:{cnonce}".encode()).hex()

    def proof(method: str) -> str:
        a2 = _md5(f"{method}:{uri}".encode()).hex()
        return _md5(f"{a1}:{nonce}:00000001:{cnonce}:auth:{a2}".encode()).hex()

    def quote(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    response = (
        f"charset=utf-8,username={quote(user)},realm={quote(realm)},nonce={quote(nonce)},nc=00000001,"
        f"cnonce={quote(cnonce)},digest-uri={quote(uri)},response={proof('AUTHENTICATE')},qop=auth"
    )
    return response, proof("")


def _sasl_digest_md5(user: str, password: str, host: str) -> _Sasl:
    """RFC 2831, with the server's own proof checked."""
    challenge = (yield None).decode()
    response, expected = digest_md5_response(challenge, user, password, f"smtp/{host}", secrets.token_hex(16))
    proof = (yield response.encode()).decode()
    if proof != f"rspauth={expected}":
        raise ConversationError("DIGEST-MD5: the server did not prove that it knows the password")
    yield b""


_SASL: dict[str, t.Callable[[str, str, str], _Sasl]] = {
    "PLAIN": _sasl_plain,
    "LOGIN": _sasl_login,
    "CRAM-MD5": _sasl_cram_md5,
    "DIGEST-MD5": _sasl_digest_md5,
}


class _Smtp(smtplib.SMTP):
    """`smtplib`'s protocol on a socket of ours, every line noted down."""

    def __init__(self, sock: socket.socket, transcript: list[str]) -> None:
        # Given no host it does not connect; a name saves it a search for our own in the DNS.
        super().__init__(local_hostname="localhost")
        self.sock = sock
        self.local_hostname = _address_literal(sock.getsockname()[0])
        self.transcript = transcript
        self.command_encoding = "utf-8"  # ASCII, but for addresses of RFC 6531
        self.shown: str | None = None  # what the transcript gets instead of a command that holds a secret

    def putcmd(self, cmd: str, args: str = "") -> None:
        self.transcript.append("C: " + (self.shown or f"{cmd} {args}".rstrip()))
        super().putcmd(cmd, args)

    def getreply(self) -> tuple[int, bytes]:
        code, text = super().getreply()
        lines = text.decode("utf-8", "replace").split("\n")
        if self.shown and code == 334:
            lines = ["(challenge)"]
        for number, line in enumerate(lines, 1):
            separator = " " if number == len(lines) else "-"
            self.transcript.append(f"S: {code}{separator}{line}")
        if code == 354:
            self.transcript.append("C: (the message) .")
        return code, text

    def upgrade(self, context: ssl.SSLContext, name: str) -> None:
        """Continue over TLS and forget what was learned before (RFC 3207 section 4.2)."""
        sock = t.cast(socket.socket, self.sock)
        self.sock = context.wrap_socket(sock, server_hostname=name)
        self.file = None
        self.helo_resp = None
        self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False


def _address_literal(own: str) -> str:
    """Our own address as EHLO's argument; a host without a name gives this (RFC 5321 section 4.1.3)."""
    address = ipaddress.ip_address(own.partition("%")[0])
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


class SmtpSession(contextlib.AbstractContextManager["SmtpSession"]):
    """A session with an SMTP server, open from its greeting until the end of a ``with`` block.

    Args:
        host: the mail host
        port: the port; by default 25, 587 and 465 for plain, STARTTLS and TLS
        security: `PLAIN`, `STARTTLS` or `TLS`
        context: another TLS context than the host's own

    Attributes:
        transcript: what both sides said, a line each, ``C: `` or ``S: `` first; messages and secrets left out

    Raises:
        Unreachable, TlsFailed, Refused: no connection, no TLS, or a greeting that is not 220
    """

    def __init__(
        self, host: MailHost, port: int | None = None, security: str = PLAIN, context: ssl.SSLContext | None = None
    ) -> None:
        self.host = host
        self.port = port or _PORTS["smtp", security]
        self.transcript: list[str] = []
        self._what = f"smtp {host.address}:{self.port}"
        with contextlib.ExitStack() as undo, _reaching(self._what):
            sock = undo.enter_context(host.connect(self.port))
            if security == TLS:
                sock = undo.enter_context(
                    (context or host.tls_context()).wrap_socket(sock, server_hostname=host.certified_name)
                )
            self._smtp = _Smtp(sock, self.transcript)
            undo.callback(self._smtp.close)
            self._expect("connection", 220, *self._smtp.getreply())
            self._expect("EHLO", 250, *self._smtp.ehlo())
            if security == STARTTLS:
                self._expect("STARTTLS", 220, *self._smtp.docmd("STARTTLS"))
                self._smtp.upgrade(context or host.tls_context(), host.certified_name)
                self.transcript.append("(TLS from here on)")
                self._expect("EHLO", 250, *self._smtp.ehlo())
            undo.pop_all()

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._smtp.quit()
        self._smtp.close()

    @staticmethod
    def _expect(command: str, wanted: int, code: int, text: bytes) -> Reply:
        reply = Reply.parse(code, text)
        if code != wanted:
            raise Refused(command, str(reply.code), reply.text, reply.enhanced)
        return reply

    @property
    def extensions(self) -> frozenset[str]:
        """The keywords of the EHLO reply, in upper case (RFC 5321 section 4.1.1.1)."""
        return frozenset(name.upper() for name in self._smtp.esmtp_features)

    @property
    def auth_mechanisms(self) -> frozenset[str]:
        """The SASL mechanisms offered now; empty if AUTH is not offered (RFC 4954 section 3)."""
        return frozenset(self._smtp.esmtp_features.get("auth", "").upper().split())

    def login(self, user: str, password: str, mechanism: str = "PLAIN") -> Reply:
        """Authenticate (RFC 4954 section 4).

        Args:
            user: the login, a full address on these hosts
            password: the password
            mechanism: PLAIN, LOGIN, CRAM-MD5 or DIGEST-MD5, whether or not it is offered

        Raises:
            Refused: the answer was not 235 (535 for a wrong password, 454 for an outage, 502 or 503 without AUTH)
            ValueError: a mechanism that is not one of the four
        """
        if mechanism not in _SASL:
            raise ValueError(f"mechanism {mechanism}: only {', '.join(sorted(_SASL))} are known")
        steps = _SASL[mechanism](user, password, self.host.certified_name)
        initial = next(steps)
        with _reaching(self._what):
            if initial is None:
                code, text = self._quietly(f"AUTH {mechanism}", "AUTH", mechanism)
            else:
                code, text = self._quietly(f"AUTH {mechanism} (secret)", "AUTH", f"{mechanism} {_base64(initial)}")
            while code == 334:
                try:
                    answer = steps.send(base64.b64decode(text))
                except StopIteration:
                    # More is asked than the mechanism knows: cancel (RFC 4954 section 4).
                    code, text = self._smtp.docmd("*")
                    break
                code, text = self._quietly("(secret)", _base64(answer or b""))
        return self._expect(f"AUTH {mechanism}", 235, code, text)

    def _quietly(self, shown: str, command: str, argument: str = "") -> tuple[int, bytes]:
        """A command that the transcript shows otherwise, and without the challenge that may follow."""
        self._smtp.shown = shown
        try:
            return self._smtp.docmd(command, argument)
        finally:
            self._smtp.shown = None

    def mail(self, sender: str) -> Reply:
        """Begin a transaction; an empty sender is the null reverse-path (RFC 5321 section 4.5.5)."""
        with _reaching(self._what):
            return self._expect(f"MAIL FROM:<{sender}>", 250, *self._smtp.docmd("MAIL", f"FROM:<{sender}>"))

    def rcpt(self, recipient: str) -> Reply:
        """Name one recipient of the transaction (RFC 5321 section 4.1.1.3)."""
        with _reaching(self._what):
            return self._expect(f"RCPT TO:<{recipient}>", 250, *self._smtp.docmd("RCPT", f"TO:<{recipient}>"))

    def data(self, message: email.message.EmailMessage | bytes) -> Reply:
        """Hand the message over (RFC 5321 section 4.1.1.4).

        Args:
            message: the message; octets go out as they are, with CRLF at the line ends, leading dots doubled
        """
        raw = message if isinstance(message, bytes) else message.as_bytes(policy=email.policy.SMTP)
        with _reaching(self._what):
            try:
                code, text = self._smtp.data(raw)
            except smtplib.SMTPDataError as error:
                return self._expect("DATA", 354, error.smtp_code, _octets(error.smtp_error))
        return self._expect("the message", 250, code, text)

    def send(self, sender: str, recipients: t.Sequence[str], message: email.message.EmailMessage | bytes) -> Sent:
        """One whole transaction; after a refusal the session can be used for another one.

        Raises:
            Refused: by which command is told in its ``command``
        """
        try:
            self.mail(sender)
            for recipient in recipients:
                self.rcpt(recipient)
            reply = self.data(message)
        except Refused:
            # 421 announces that the server hangs up (RFC 5321 section 3.8): RSET has nobody to talk to.
            with contextlib.suppress(OSError):
                self._smtp.rset()
            raise
        return Sent(queue_id_of(reply.text), reply)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def queue_id_of(text: str) -> str:
    """The queue id in Postfix's reply to a message, also when a filter before the queue quotes it; else empty."""
    match = re.search(r"queued as ([0-9A-Za-z]+)", text)
    return match.group(1) if match else ""


def send(
    host: MailHost,
    sender: str,
    recipients: t.Sequence[str],
    message: email.message.EmailMessage | bytes,
    security: str = PLAIN,
) -> Sent:
    """Deliver a message on port 25, as another mail host does; `STARTTLS` is tried there too, not on 587."""
    with SmtpSession(host, port=25, security=security) as session:
        return session.send(sender, recipients, message)


def submit(
    host: MailHost,
    user: str,
    password: str,
    sender: str,
    recipients: t.Sequence[str],
    message: email.message.EmailMessage | bytes,
    security: str = STARTTLS,
    mechanism: str = "PLAIN",
) -> Sent:
    """Submit a message as a user does, on 587 (`STARTTLS`) or 465 (`TLS`) (RFC 6409, RFC 8314 section 3.3)."""
    with SmtpSession(host, security=security) as session:
        session.login(user, password, mechanism)
        return session.send(sender, recipients, message)


# --- IMAP and POP3 ----------------------------------------------------------------------------------------------------


class _Imap(imaplib.IMAP4):
    """`imaplib` connected to an address, while the certificate is checked for a name."""

    def __init__(self, host: MailHost, port: int, wrap: ssl.SSLContext | None) -> None:
        self._mail_host = host
        self._wrap = wrap
        super().__init__(host.certified_name, port)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        return _connect(self._mail_host, self.port, self._wrap)


class _Pop3(poplib.POP3):
    """`poplib` connected to an address, while the certificate is checked for a name."""

    def __init__(self, host: MailHost, port: int, wrap: ssl.SSLContext | None) -> None:
        self._mail_host = host
        self._wrap = wrap
        super().__init__(host.certified_name, port, timeout=host.timeout)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return _connect(self._mail_host, self.port, self._wrap)


def _connect(host: MailHost, port: int, wrap: ssl.SSLContext | None) -> socket.socket:
    sock = host.connect(port)
    if wrap is None:
        return sock
    try:
        return wrap.wrap_socket(sock, server_hostname=host.certified_name)
    except BaseException:
        sock.close()
        raise


class ImapSession(contextlib.AbstractContextManager["ImapSession"]):
    """An IMAP session, open until the end of a ``with`` block.

    Args:
        host: the mail host
        security: `PLAIN` and `STARTTLS` (143) or `TLS` (993)
        context: another TLS context than the host's own

    Raises:
        Unreachable, TlsFailed, Refused: no connection, no TLS, or a greeting that is not OK
    """

    def __init__(self, host: MailHost, security: str = TLS, context: ssl.SSLContext | None = None) -> None:
        port = _PORTS["imap", security]
        self._what = f"imap {host.address}:{port}"
        with self._asking("connection"):
            self._imap = _Imap(host, port, (context or host.tls_context()) if security == TLS else None)
        if security == STARTTLS:
            try:
                with self._asking("STARTTLS"):
                    self._imap.starttls(context or host.tls_context())
            except BaseException:
                # A failed handshake has closed the socket already.
                with contextlib.suppress(OSError):
                    self._imap.shutdown()
                raise

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self._imap.logout()

    @contextlib.contextmanager
    def _asking(self, command: str) -> t.Iterator[None]:
        try:
            with _reaching(self._what):
                yield
        except imaplib.IMAP4.error as error:
            answer = error.args[0] if error.args else ""
            raise Refused(
                command, "NO", answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
            ) from error

    def _ok(self, command: str, answer: tuple[str, list[t.Any]]) -> list[t.Any]:
        status, data = answer
        if status != "OK":
            raise Refused(
                command, status, b" ".join(item for item in data if isinstance(item, bytes)).decode("utf-8", "replace")
            )
        return data

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server says it can do now (RFC 3501 section 6.1.1)."""
        with self._asking("CAPABILITY"):
            data = self._ok("CAPABILITY", self._imap.capability())
        return frozenset(b" ".join(data).decode("ascii", "replace").upper().split())

    def login(self, user: str, password: str) -> None:
        """LOGIN (RFC 3501 section 6.2.3).

        Raises:
            Refused: wrong password, disabled user, or LOGIN before TLS where that is refused
        """
        with self._asking(f"LOGIN {user}"):
            self._imap.login(_imap_string(user), password)

    def messages(self, containing: str = "", folder: str = "INBOX") -> list[email.message.EmailMessage]:
        """The messages of a folder, oldest first, that hold a text in a header or the body (all if empty).

        They stay unread: the folder is opened read-only (EXAMINE, RFC 3501 section 6.3.2).
        """
        criterion = f"TEXT {_imap_string(containing)}" if containing else "ALL"
        found: list[email.message.EmailMessage] = []
        with self._asking(f"EXAMINE {folder}"):
            self._ok(f"EXAMINE {folder}", self._imap.select(_imap_string(folder), readonly=True))
        with self._asking("SEARCH"):
            numbers = b" ".join(item for item in self._ok("SEARCH", self._imap.search(None, criterion)) if item).split()
        for number in numbers:
            with self._asking("FETCH"):
                data = self._ok("FETCH", self._imap.fetch(number.decode(), "(BODY.PEEK[])"))
            found.extend(parse_message(part[1]) for part in data if isinstance(part, tuple))
        return found


def _imap_string(text: str) -> str:
    """A quoted string (RFC 3501 section 4.3)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Pop3Session(contextlib.AbstractContextManager["Pop3Session"]):
    """A POP3 session, open until the end of a ``with`` block.

    Args:
        host: the mail host
        security: `PLAIN` and `STARTTLS` (110) or `TLS` (995)
        context: another TLS context than the host's own

    Raises:
        Unreachable, TlsFailed, Refused: no connection, no TLS, or a greeting that is not +OK
    """

    def __init__(self, host: MailHost, security: str = TLS, context: ssl.SSLContext | None = None) -> None:
        port = _PORTS["pop3", security]
        self._what = f"pop3 {host.address}:{port}"
        with self._asking("connection"):
            self._pop = _Pop3(host, port, (context or host.tls_context()) if security == TLS else None)
        if security == STARTTLS:
            try:
                with self._asking("STLS"):
                    self._pop.stls(context or host.tls_context())
            except BaseException:
                with contextlib.suppress(OSError):  # as for IMAP
                    self._pop.close()
                raise

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError, poplib.error_proto):
            self._pop.quit()
        self._pop.close()

    @contextlib.contextmanager
    def _asking(self, command: str) -> t.Iterator[None]:
        try:
            with _reaching(self._what):
                yield
        except poplib.error_proto as error:
            answer = error.args[0] if error.args else b""
            text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
            if text == "-ERR EOF":  # what poplib says when the server hangs up
                raise Unreachable(f"{self._what}: the connection was closed") from error
            raise Refused(command, "-ERR", text[4:].strip() if text.startswith("-ERR") else text) from error

    @property
    def capabilities(self) -> frozenset[str]:
        """The keywords of CAPA (RFC 2449)."""
        with self._asking("CAPA"):
            return frozenset(name.upper() for name in self._pop.capa())

    def login(self, user: str, password: str) -> None:
        """USER and PASS (RFC 1939 section 7).

        Raises:
            Refused: wrong password, disabled user, or a login before TLS where that is refused
        """
        with self._asking(f"USER {user}"):
            self._pop.user(user)
        with self._asking(f"PASS of {user}"):
            self._pop.pass_(password)

    def messages(self, containing: str = "") -> list[email.message.EmailMessage]:
        """The messages of the mailbox, oldest first, that hold a text in a header or the body (all if empty)."""
        with self._asking("STAT"):
            count = self._pop.stat()[0]
        wanted = containing.encode()
        found: list[email.message.EmailMessage] = []
        for number in range(1, count + 1):
            with self._asking("RETR"):
                raw = b"\r\n".join(self._pop.retr(number)[1]) + b"\r\n"
            if wanted in raw:
                found.append(parse_message(raw))
        return found


_MAILBOXES: dict[str, t.Callable[..., ImapSession | Pop3Session]] = {
    "imap": ImapSession,
    "pop3": Pop3Session,
}


def fetch(
    host: MailHost, user: str, password: str, containing: str = "", protocol: str = "imap", security: str = TLS
) -> list[email.message.EmailMessage]:
    """The messages in a user's mailbox that hold a text, over ``imap`` or ``pop3``.

    Raises:
        Unreachable, TlsFailed, Refused: as the sessions do
    """
    with _MAILBOXES[protocol](host, security=security) as session:
        session.login(user, password)
        return session.messages(containing)


def wait_for_message(
    host: MailHost,
    user: str,
    password: str,
    containing: str,
    within: float = 30.0,
    protocol: str = "imap",
    security: str = TLS,
) -> email.message.EmailMessage:
    """The message that holds a text, as soon as it is in the mailbox.

    Every look is a session of its own: POP3 shows only what was there at login (RFC 1939 section 8).

    Args:
        within: seconds to wait at most

    Raises:
        NotArrived: the time is up
        Unreachable, TlsFailed, Refused: as the sessions do
    """
    end = time.monotonic() + within
    while True:
        found = fetch(host, user, password, containing, protocol, security)
        if found:
            return found[0]
        if time.monotonic() >= end:
            raise NotArrived(f"no message with {containing} in the mailbox of {user} after {within:g} seconds")
        time.sleep(0.3)


# --- TLS --------------------------------------------------------------------------------------------------------------


def accepts_tls(host: MailHost, protocol: str, security: str, version: ssl.TLSVersion, port: int | None = None) -> bool:
    """Whether the host completes a handshake of exactly this version of TLS. Certificates are not judged.

    The local OpenSSL is opened as wide as it goes (security level 0), so that a refusal is the host's.

    Args:
        protocol: ``smtp``, ``imap``, ``pop3`` or ``http``
        security: `STARTTLS` or `TLS`
        port: for smtp, another port than the usual one

    Raises:
        Unreachable: there was no conversation in which TLS could have been refused
        Refused: STARTTLS is not offered
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Python warns of the old versions; asking for them is the point here.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = version
        context.minimum_version = version
    try:
        if protocol == "smtp":
            SmtpSession(host, port, security, context).__exit__()
        elif protocol == "http":
            with _reaching(f"http {host.address}"):
                _connect(host, port or _PORTS["http", TLS], context).close()
        else:
            _MAILBOXES[protocol](host, security, context).__exit__()
    except TlsFailed:
        return False
    return True


# --- the web ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class HttpReply:
    """A web server's answer: status, headers (lower-case names) and the decoded body."""

    status: int
    headers: t.Mapping[str, str]
    body: str


class _Https(http.client.HTTPConnection):
    """A connection to the host's address under the host's name, with or without TLS."""

    def __init__(self, host: MailHost, security: str) -> None:
        super().__init__(host.certified_name, _PORTS["http", security], timeout=host.timeout)
        self._mail_host = host
        self._wrap = host.tls_context() if security == TLS else None

    def connect(self) -> None:
        self.sock = _connect(self._mail_host, self.port, self._wrap)


def _http(
    host: MailHost, method: str, target: str, security: str, form: t.Mapping[str, str] | None = None
) -> HttpReply:
    # http.client would add the port to Host, since this class's own default is 80.
    headers = {"Host": host.certified_name, "Accept-Language": "en-us"}
    body = None
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode(form)
    with (
        _reaching(f"http {host.address}:{_PORTS['http', security]}"),
        contextlib.closing(_Https(host, security)) as connection,
    ):
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return HttpReply(
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read().decode("utf-8", "replace"),
        )


def http_get(host: MailHost, target: str, security: str = TLS) -> HttpReply:
    """GET, redirects not followed.

    Args:
        target: path and query
        security: `TLS` (443) or `PLAIN` (80)
    """
    return _http(host, "GET", target, security)


class _Page(html.parser.HTMLParser):
    """What a reader of a page needs: links with their texts, the hidden fields of forms, and the text."""

    def __init__(self, body: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[str, str]] = []
        self.hidden: dict[str, str] = {}
        self._words: list[str] = []
        self._href: str | None = None
        self._silent = 0
        self.feed(body)
        self.close()
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in values:
            self._href = values["href"]
            self.links.append((self._href, ""))
        elif tag == "input" and values.get("type") == "hidden":
            self.hidden.setdefault(values.get("name", ""), values.get("value", ""))
        elif tag in ("script", "style", "select"):
            self._silent += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._href = None
        elif tag in ("script", "style", "select"):
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self._words.append(data)
        if self._href is not None:
            href, text = self.links[-1]
            self.links[-1] = (href, " ".join((text + data).split()))


@dataclasses.dataclass(frozen=True)
class WebmailEntry:
    """A line of a folder's list: the texts of its columns (date, sender, subject), and where the message is read."""

    columns: tuple[str, ...]
    target: str


class WebmailSession(contextlib.AbstractContextManager["WebmailSession"]):
    """A login to sqwebmail over HTTPS, until `logout` or the end of a ``with`` block.

    It has no cookies: the session is a part of the address. A second login of the same user ends the first.

    Args:
        host: the mail host
        path: where the webmail is
        user: the login, a full address
        password: the password

    Raises:
        Refused: wrong password or disabled user (no redirect into a session follows)
        Unreachable, TlsFailed: as ever
    """

    def __init__(self, host: MailHost, path: str, user: str, password: str) -> None:
        self._host = host
        answer = _http(
            host, "POST", f"{path}?noframes=1", TLS, {"username": user, "password": password, "do.login": "Login"}
        )
        location = urllib.parse.urlsplit(answer.headers.get("location", ""))
        if answer.status != 303 or "/login/" not in location.path:
            raise Refused(f"webmail login of {user}", str(answer.status), _Page(answer.body).text[:200])
        self._base = location.path
        self._open = True

    def __exit__(self, *exc_info: object) -> None:
        if self._open:
            with contextlib.suppress(ConversationError):
                self.logout()

    def _get(self, **query: str) -> HttpReply:
        return self._page(f"{self._base}?{urllib.parse.urlencode(query)}")

    def _page(self, target: str) -> HttpReply:
        answer = http_get(self._host, target)
        if answer.status != 200:
            raise Refused("webmail page", str(answer.status), _Page(answer.body).text[:200])
        return answer

    def folder(self, name: str = "INBOX") -> list[WebmailEntry]:
        """The first page of a folder's list, newest first."""
        # New mail is taken into the list when the page of all folders is made.
        self._get(form="folders", folder=name)
        columns: dict[str, list[str]] = {}
        for href, text in _Page(self._get(form="folder", folder=name).body).links:
            address = urllib.parse.urlsplit(href)
            if urllib.parse.parse_qs(address.query).get("form") == ["readmsg"]:
                columns.setdefault(f"{address.path}?{address.query}", []).append(text)
        return [WebmailEntry(tuple(texts), target) for target, texts in columns.items()]

    def read(self, entry: WebmailEntry) -> str:
        """The text of the page on which a message is read."""
        return _Page(self._page(entry.target).body).text

    def send(self, sender: str, recipient: str, subject: str, body: str) -> None:
        """Write and send a message.

        Raises:
            Refused: the page came back instead of the redirect that follows a message sent
        """
        form = dict(_Page(self._get(form="newmsg", folder="INBOX", newmsg="1").body).hidden)
        form.update(
            headerfrom=sender,
            headerto=recipient,
            headersubject=subject,
            message=body,
            textformat="plain",
            sendmsg="Send",
        )
        answer = _http(self._host, "POST", self._base, TLS, form)
        if answer.status != 303:
            raise Refused(f"webmail message to {recipient}", str(answer.status), _Page(answer.body).text[-200:])

    def logout(self) -> None:
        """End the session; its address is worthless afterwards."""
        self._open = False
        http_get(self._host, f"{self._base}?folder=INBOX&form=logout")

    @property
    def ended(self) -> bool:
        """Whether the session's address no longer shows a folder."""
        answer = http_get(self._host, f"{self._base}?form=folder&folder=INBOX")
        return answer.status != 200 or "form=logout" not in answer.body
