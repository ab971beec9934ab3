"""A mail server on loopback: the part of RFC 5321, RFC 3207 and RFC 4954 that a client sees."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class MailServer:
    """How it behaves, and what it took."""

    login: tuple[str, str] | None = None
    # Text of a command, "MAIL" or "RCPT TO:<bo@x>", -> answers in turn instead of the usual one.
    answers: dict[str, list[str]] = field(default_factory=dict)
    # The connection ends without a word when the message is through.
    hangs_up_after_data: bool = False
    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    were_encrypted: list[bool] = field(default_factory=list)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for 127.0.0.1 and localhost, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(tz=dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "mail.pem", folder / "mail.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


@contextmanager
def mail_server(
    server: MailServer, *, certificate: tuple[Path, Path] | None = None, from_first_byte: bool = False
) -> Iterator[MailServer]:
    """Serve while the context lasts; with a certificate by STARTTLS, or from the first byte."""
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.port = listening.getsockname()[1]
        listening.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                connection.settimeout(5)
                # A client that does not trust us hangs up.
                with suppress(OSError):
                    if from_first_byte and tls is not None:
                        connection = tls.wrap_socket(connection, server_side=True)
                    conversation = _Conversation(server, connection, None if from_first_byte else tls)
                    try:
                        conversation.hold()
                    finally:
                        conversation.close()
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            done.set()
            thread.join()


class _Conversation:
    def __init__(self, server: MailServer, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.server, self.connection, self.tls = server, connection, tls
        self.reader = connection.makefile("rb")
        self.recipients: list[str] = []

    def say(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\r\n")

    def close(self) -> None:
        self.reader.close()
        self.connection.close()

    def hold(self) -> None:
        self.say("220 loopback")
        while line := self.reader.readline():
            command = line.decode().strip()
            scripted = self._scripted(command)
            if scripted:
                self.say(scripted)
            elif self._usual(command):
                return

    def _scripted(self, command: str) -> str:
        for start, answers in self.server.answers.items():
            if command.startswith(start) and answers:
                return answers.pop(0)
        return ""

    def _usual(self, command: str) -> bool:
        """Answer a command; returns whether the conversation is over."""
        verb = command.upper()
        if verb.startswith("EHLO"):
            extra = "STARTTLS" if self.tls is not None else "AUTH PLAIN" if self.server.login else "8BITMIME"
            self.say(f"250-loopback\r\n250 {extra}")
        elif verb == "STARTTLS" and self.tls is not None:
            self.say("220 go on")
            self.reader.close()
            self.connection = self.tls.wrap_socket(self.connection, server_side=True)
            self.reader, self.tls = self.connection.makefile("rb"), None
        elif verb.startswith("AUTH PLAIN"):
            self._check_login(command.split()[2])
        elif verb.startswith("RCPT"):
            self.recipients.append(command.partition("<")[2].rpartition(">")[0])
            self.say("250 yes")
        elif verb == "DATA":
            return self._take()
        elif verb == "QUIT":
            self.say("221 bye")
            return True
        else:
            self.say("250 yes")
        return False

    def _check_login(self, encoded: str) -> None:
        _, user, password = base64.b64decode(encoded).decode().split("\0")
        self.server.logins.append(user)
        # Repeats the password, as a careless server's log line would.
        self.say("235 hello" if (user, password) == self.server.login else f"535 {password} is wrong")

    def _take(self) -> bool:
        self.say("354 go on")
        lines = []
        while (line := self.reader.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        message = message_from_bytes(b"".join(lines), policy=default)
        assert isinstance(message, EmailMessage)
        self.server.messages.append(message)
        self.server.recipients.append(self.recipients)
        self.server.were_encrypted.append(isinstance(self.connection, ssl.SSLSocket))
        if self.server.hangs_up_after_data:
            return True
        self.say("250 taken")
        return False
