# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversations, held with peers on this machine that answer what no healthy mail host would.

How they go with a real host is proved by molecule/shared/tests. Here are the answers that cannot be ordered there: a
peer that hangs up, stays silent, holds the wrong certificate or speaks only an old TLS.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import http.server
import inspect
import pathlib
import socket
import ssl
import threading
import time
import typing as t

import pytest
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "mail.example.org"
PASSWORD = "correct horse battery"


class Peer(threading.Thread):
    """Serves one connection: sends a greeting, then for each line received the next answer of a script.

    An answer is octets to send; STARTTLS goes on over TLS after its octets; None hangs up; "silence" never answers.
    """

    def __init__(
        self, greeting: bytes, script: t.Sequence[t.Any], tls: ssl.SSLContext | None = None, implicit: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self.greeting, self.script, self.tls, self.implicit = greeting, list(script), tls, implicit
        self.received: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.over = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError), self.listener:
            self.converse(self.listener.accept()[0])

    def converse(self, connection: socket.socket) -> None:
        if self.implicit and self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True)
        connection.sendall(self.greeting)
        lines = connection.makefile("rb")
        for answer in self.script:
            line = lines.readline()
            if not line:
                break
            self.received.append(line.decode().rstrip("\r\n"))
            if answer is None:
                break
            if answer == "silence":
                self.over.wait(10)
                break
            connection.sendall(answer)
            if answer.startswith((b"220 2.0.0 Ready", b"+OK Begin")) and self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                lines = connection.makefile("rb")
        lines.close()
        connection.close()


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[..., conversation.MailHost]]:
    """Starts a peer and returns it as a host; the well-known ports lead to it."""
    started: list[Peer] = []

    def start(greeting: bytes, script: t.Sequence[t.Any], timeout: float = 5.0, **tls: t.Any) -> conversation.MailHost:
        thread = Peer(greeting, script, **tls)
        thread.start()
        started.append(thread)
        for service in conversation._PORTS:
            monkeypatch.setitem(conversation._PORTS, service, thread.port)
        start.received = thread.received  # type: ignore[attr-defined]
        return conversation.MailHost("127.0.0.1", NAME, timeout=timeout)

    yield start
    for thread in started:
        thread.over.set()
        thread.listener.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """A self-signed pair for NAME: certificate file, key file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


def server_context(certificate: tuple[pathlib.Path, pathlib.Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


EHLO = b"250-mail.example.org\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN LOGIN\r\n250 ENHANCEDSTATUSCODES\r\n"
GREETING = b"220 mail.example.org ESMTP\r\n"
OK = b"250 2.0.0 Ok\r\n"
BYE = b"221 2.0.0 Bye\r\n"


# --- parsing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "raw", "enhanced", "text"),
    [
        (250, b"2.0.0 Ok: queued as ABC1D1C123", "2.0.0", "Ok: queued as ABC1D1C123"),
        (250, b"Ok", "", "Ok"),
        (550, b"5.1.1 <a@b>: unknown\n5.1.1 go away", "5.1.1", "<a@b>: unknown go away"),
        (550, b"5.1.1", "5.1.1", ""),
        (250, b"2.0 is no enhanced code", "", "2.0 is no enhanced code"),
        (250, b"192.0.2.1 said hello", "", "192.0.2.1 said hello"),
        (421, b"", "", ""),
        (554, b"5.7.0 \xff", "5.7.0", "\ufffd"),
    ],
)
def test_a_reply_is_code_enhanced_code_and_text(code: int, raw: bytes, enhanced: str, text: str) -> None:
    assert conversation.Reply.parse(code, raw) == conversation.Reply(code, enhanced, text)


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        ("Ok: queued as ABC1D1C123", "ABC1D1C123"),
        ("from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4fXyZ01k2vz9", "4fXyZ01k2vz9"),
        ("Ok, id=00677-02, discarded", ""),
    ],
)
def test_the_queue_id_is_found_also_behind_a_filter(text: str, queue_id: str) -> None:
    assert conversation.queue_id_of(text) == queue_id


def test_digest_md5_is_that_of_rfc_2831_section_4() -> None:
    challenge = 'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8'
    response, proof = conversation.digest_md5_response(
        challenge, "chris", "secret", "imap/elwood.innosoft.com", "OA6MHXh6VqTrRk"
    )
    assert "response=d388dad90d4bbd760a152321f2143af7" in response
    assert proof == "ea40f60335c427b5527b84dbabcdfffd"


def test_a_digest_md5_challenge_without_nonce_is_an_error() -> None:
    with pytest.raises(conversation.ConversationError, match="without a nonce"):
        conversation.digest_md5_response('realm="r"', "u", "p", "smtp/h", "c")


def test_the_test_signatures_are_the_published_ones_and_not_in_the_source() -> None:
    assert (
        hashlib.sha256(conversation.eicar_signature()).hexdigest()
        == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
    )
    assert len(conversation.gtube_line()) == 68
    source = inspect.getsource(conversation).encode()
    assert conversation.eicar_signature() not in source
    assert conversation.gtube_line().encode() not in source


def test_a_composed_message_has_what_rfc_5322_asks_for() -> None:
    message = conversation.compose("a@example.org", ["b@example.org", "c@example.org"], "Grüße", "Hallo\n")
    received = conversation.parse_message(message.as_bytes())
    assert received["Subject"] == "Grüße"
    assert received["To"] == "b@example.org, c@example.org"
    assert received["Message-ID"].endswith("@example.org>")
    assert conversation.text_of(received).strip() == "Hallo"


# --- SMTP -------------------------------------------------------------------------------------------------------------


def test_a_refused_recipient_is_named_and_the_session_goes_on(peer: t.Any) -> None:
    host = peer(
        GREETING,
        [
            EHLO,
            OK,
            b"550 5.1.1 <x@b.org>: User unknown\r\n",
            OK,
            OK,
            OK,
            b"354 go\r\n",
            b"",
            b"",
            b"250 2.0.0 Ok: queued as AB12\r\n",
            BYE,
        ],
    )
    with conversation.SmtpSession(host) as session:
        with pytest.raises(conversation.Refused) as refused:
            session.send("a@b.org", ["x@b.org"], b"Subject: s\r\n")
        sent = session.send("a@b.org", ["y@b.org"], b"Subject: s\r\n\r\n")
    assert (refused.value.code, refused.value.enhanced, refused.value.text) == (550, "5.1.1", "<x@b.org>: User unknown")
    assert refused.value.command == "RCPT TO:<x@b.org>"
    assert not refused.value.temporary
    assert sent.queue_id == "AB12"
    assert peer.received[3] == "rset"
    assert session.transcript[-4:] == [
        "C: (the message) .",
        "S: 250 2.0.0 Ok: queued as AB12",
        "C: quit",
        "S: 221 2.0.0 Bye",
    ]


def test_a_temporary_refusal_is_told_from_a_permanent_one(peer: t.Any) -> None:
    host = peer(GREETING, [EHLO, b"451 4.3.0 later\r\n", OK, BYE])
    with conversation.SmtpSession(host) as session, pytest.raises(conversation.Refused) as refused:
        session.send("a@b.org", ["x@b.org"], b"")
    assert refused.value.temporary


@pytest.mark.parametrize("script", [[EHLO, None], [EHLO, OK, None], [EHLO, "silence"], [None], ["silence"]])
def test_a_peer_that_hangs_up_or_is_silent_is_unreachable(peer: t.Any, script: list[t.Any]) -> None:
    host = peer(GREETING, script, timeout=0.3)
    begun = time.monotonic()
    with pytest.raises(conversation.Unreachable, match=r"smtp 127\.0\.0\.1:"):
        conversation.send(host, "a@b.org", ["x@b.org"], b"")
    assert time.monotonic() - begun < 20


def test_a_host_that_greets_with_554_has_refused(peer: t.Any) -> None:
    host = peer(b"554 5.3.2 no mail today\r\n", [])
    with pytest.raises(conversation.Refused, match=r"connection was refused: 554 5\.3\.2 no mail today"):
        conversation.SmtpSession(host)


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(conversation.Unreachable, match="refused"):
        conversation.SmtpSession(conversation.MailHost("127.0.0.1"), port)


def encoded(text: str) -> bytes:
    return b"334 " + base64.b64encode(text.encode()) + b"\r\n"


CHALLENGE = "<1896.697170952@postoffice.reston.mci.net>"


@pytest.mark.parametrize(
    ("mechanism", "password", "challenges", "commands"),
    [
        ("PLAIN", "tanstaaf", [], ["AUTH PLAIN \0tim\0tanstaaf"]),
        ("LOGIN", "tanstaaf", ["Username:", "Password:"], ["AUTH LOGIN", "tim", "tanstaaf"]),
        # RFC 2195 section 2
        ("CRAM-MD5", "tanstaaftanstaaf", [CHALLENGE], ["AUTH CRAM-MD5", "tim b913a602c7eda7a495b4e6e7334d3890"]),
    ],
)
def test_a_mechanism_sends_what_its_rfc_says_and_the_transcript_hides_it(
    peer: t.Any, mechanism: str, password: str, challenges: list[str], commands: list[str]
) -> None:
    host = peer(GREETING, [EHLO, *map(encoded, challenges), b"235 2.7.0 in\r\n", BYE])
    with conversation.SmtpSession(host) as session:
        assert session.auth_mechanisms >= {"PLAIN", "LOGIN"}
        assert session.login("tim", password, mechanism).code == 235
    heard = peer.received[1:-1]
    first, *rest = heard
    words = first.split(" ")
    decoded = [" ".join(words[:2] + [base64.b64decode(word).decode() for word in words[2:]])]
    assert decoded + [base64.b64decode(line).decode() for line in rest] == commands
    for secret in [
        password,
        *challenges,
        *(word for line in heard for word in line.split(" ")[-1:] if word not in (mechanism,)),
    ]:
        assert secret not in "\n".join(session.transcript)


def test_a_wrong_password_is_refused_without_telling_it(peer: t.Any) -> None:
    host = peer(GREETING, [EHLO, b"535 5.7.8 authentication failed\r\n", BYE])
    with conversation.SmtpSession(host) as session, pytest.raises(conversation.Refused) as refused:
        session.login("tim", PASSWORD)
    assert refused.value.code == 535
    assert PASSWORD not in str(refused.value)


def test_a_mechanism_asked_for_more_than_it_knows_is_cancelled(peer: t.Any) -> None:
    host = peer(GREETING, [EHLO, encoded("and your shoe size?"), b"501 5.7.0 cancelled\r\n", BYE])
    with conversation.SmtpSession(host) as session, pytest.raises(conversation.Refused, match="501"):
        session.login("tim", PASSWORD)
    assert peer.received[2] == "*"


def test_a_server_that_cannot_prove_digest_md5_is_not_believed(peer: t.Any) -> None:
    host = peer(GREETING, [EHLO, encoded('realm="r",nonce="n",qop="auth"'), encoded("rspauth=0000"), BYE])
    with conversation.SmtpSession(host) as session, pytest.raises(conversation.ConversationError, match="prove"):
        session.login("tim", PASSWORD, "DIGEST-MD5")


def test_an_unknown_mechanism_is_a_mistake_of_the_caller(peer: t.Any) -> None:
    host = peer(GREETING, [EHLO, BYE])
    with conversation.SmtpSession(host) as session, pytest.raises(ValueError, match="mechanism NTLM"):
        session.login("tim", PASSWORD, "NTLM")


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_what_was_said_before_tls_is_forgotten(peer: t.Any, certificate: t.Any) -> None:
    host = peer(
        GREETING,
        [EHLO, b"220 2.0.0 Ready to start TLS\r\n", b"250-mail.example.org\r\n250 AUTH CRAM-MD5\r\n", BYE],
        tls=server_context(certificate),
    )
    host = conversation.MailHost(host.address, NAME, str(certificate[0]), 5)
    with conversation.SmtpSession(host, security=conversation.STARTTLS) as session:
        assert session.extensions == {"AUTH"}
        assert session.auth_mechanisms == {"CRAM-MD5"}


@pytest.mark.parametrize(
    ("name", "ca", "message"),
    [(NAME, False, "self-signed"), ("other.example.org", True, "not valid for 'other.example.org'")],
)
@pytest.mark.parametrize("session", [conversation.SmtpSession, conversation.ImapSession, conversation.Pop3Session])
def test_a_certificate_that_proves_nothing_is_refused(
    peer: t.Any, certificate: t.Any, session: t.Any, name: str, ca: bool, message: str
) -> None:
    peer(b"", [], tls=server_context(certificate), implicit=True)
    host = conversation.MailHost("127.0.0.1", name, str(certificate[0]) if ca else None, 5)
    with pytest.raises(conversation.TlsFailed, match=message):
        session(host, security=conversation.TLS)


def test_a_certificate_that_proves_nothing_is_refused_also_after_starttls(peer: t.Any, certificate: t.Any) -> None:
    host = peer(b"+OK hello\r\n", [b"+OK\r\nSTLS\r\n.\r\n", b"+OK Begin TLS\r\n"], tls=server_context(certificate))
    with pytest.raises(conversation.TlsFailed, match="self-signed"):
        conversation.Pop3Session(host, security=conversation.STARTTLS)


def test_a_missing_ca_file_is_named() -> None:
    with pytest.raises(conversation.TlsFailed, match=r"CA file /nonexistent\.pem"):
        conversation.MailHost("127.0.0.1", ca_file="/nonexistent.pem").tls_context()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("offered", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("asked", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_one_version_of_tls_is_accepted_by_those_that_offer_it(
    peer: t.Any, certificate: t.Any, offered: ssl.TLSVersion, asked: ssl.TLSVersion
) -> None:
    """Above all, a server with TLS 1.1 is found out: else a probe that says no would prove nothing."""
    context = server_context(certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = offered
    context.minimum_version = offered
    host = peer(
        b"* OK IMAP4rev1 hello\r\n",
        [b"* CAPABILITY IMAP4rev1\r\nX OK\r\n"] * 3,
        tls=context,
        implicit=True,
        timeout=1.0,
    )
    assert conversation.accepts_tls(host, "http", conversation.TLS, asked) is (offered == asked)


def test_a_closed_port_does_not_pass_for_a_refused_version() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(conversation.Unreachable) as error:
        conversation.accepts_tls(
            conversation.MailHost("127.0.0.1"), "smtp", conversation.TLS, ssl.TLSVersion.TLSv1_2, port
        )
    assert not isinstance(error.value, conversation.TlsFailed)


# --- POP3 -------------------------------------------------------------------------------------------------------------


def test_pop3_refusals_and_hang_ups_differ(peer: t.Any) -> None:
    host = peer(b"+OK hello\r\n", [b"+OK\r\n", b"-ERR Login failed.\r\n", b"+OK\r\n"])
    with pytest.raises(conversation.Refused) as refused:
        conversation.fetch(host, "tim", PASSWORD, protocol="pop3", security=conversation.PLAIN)
    assert (refused.value.status, refused.value.text, refused.value.code) == ("-ERR", "Login failed.", 0)
    assert PASSWORD not in str(refused.value)
    host = peer(b"+OK hello\r\n", [b"+OK\r\n", None])
    with pytest.raises(conversation.Unreachable, match="closed"):
        conversation.fetch(host, "tim", PASSWORD, protocol="pop3", security=conversation.PLAIN)


class EmptyMailbox(Peer):
    """A POP3 server that never has mail, for any number of connections."""

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.converse(self.listener.accept()[0])


def test_waiting_ends_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = EmptyMailbox(b"+OK hello\r\n", [b"+OK\r\n", b"+OK\r\n", b"+OK 0 0\r\n", b"+OK\r\n"])
    thread.start()
    monkeypatch.setitem(conversation._PORTS, ("pop3", conversation.PLAIN), thread.port)
    begun = time.monotonic()
    with pytest.raises(
        conversation.NotArrived, match=r"no message with token in the mailbox of tim after 0\.5 seconds"
    ):
        conversation.wait_for_message(
            conversation.MailHost("127.0.0.1"), "tim", "x", "token", 0.5, "pop3", conversation.PLAIN
        )
    assert 0.5 <= time.monotonic() - begun < 20
    thread.listener.close()


# --- IMAP -------------------------------------------------------------------------------------------------------------


def test_imap_goodbye_instead_of_a_greeting_is_a_refusal(peer: t.Any) -> None:
    host = peer(b"* BYE too many connections\r\n", [])
    with pytest.raises(conversation.Refused, match="too many connections"):
        conversation.ImapSession(host, security=conversation.PLAIN)


def test_imap_strings_are_quoted() -> None:
    assert conversation._imap_string('a "b" \\c') == '"a \\"b\\" \\\\c"'


# --- the web ----------------------------------------------------------------------------------------------------------


class Site(http.server.BaseHTTPRequestHandler):
    """Redirects the root, and refuses every login as sqwebmail does: with a page."""

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", f"https://{self.headers['Host']}/")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html><script>bad()</script><h1>Invalid  Login.</h1><select><option>UTC</select></html>")

    def log_message(self, format: str, *args: t.Any) -> None:
        """Silence is golden."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, certificate: t.Any) -> t.Iterator[conversation.MailHost]:
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as plain,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as secure,
    ):
        secure.socket = server_context(certificate).wrap_socket(secure.socket, server_side=True)
        monkeypatch.setitem(conversation._PORTS, ("http", conversation.PLAIN), plain.server_port)
        monkeypatch.setitem(conversation._PORTS, ("http", conversation.TLS), secure.server_port)
        for server in (plain, secure):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield conversation.MailHost("127.0.0.1", NAME, str(certificate[0]), 5)
        for server in (plain, secure):
            server.shutdown()


def test_a_redirect_is_reported_not_followed(site: conversation.MailHost) -> None:
    answer = conversation.http_get(site, "/", conversation.PLAIN)
    assert (answer.status, answer.headers["location"]) == (301, f"https://{NAME}/")


def test_a_webmail_login_that_is_not_redirected_is_refused(site: conversation.MailHost) -> None:
    with pytest.raises(conversation.Refused) as refused:
        conversation.WebmailSession(site, "/webmail", "tim", PASSWORD)
    assert refused.value.text == "Invalid Login."
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("own", "literal"),
    [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("fe80::1%eth0", "[IPv6:fe80::1]")],
)
def test_our_own_address_is_a_literal_as_rfc_5321_writes_it(own: str, literal: str) -> None:
    assert conversation._address_literal(own) == literal
