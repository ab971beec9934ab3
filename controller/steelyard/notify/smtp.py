"""E-mail over SMTP: plain text and HTML in one message, encrypted unless the server is this machine."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from steelyard.errors import first_line
from steelyard.notify.digest import Digest
from steelyard.notify.errors import NotifyError
from steelyard.notify.secret import Secret, without_secrets
from steelyard.notify.shortening import shortened
from steelyard.notify.world import World

STARTTLS, TLS, NO_TLS = "starttls", "tls", "none"
# Mail that is larger is cut by readers of mail ("[Message clipped]" in Gmail, from 102 kB of HTML).
_MAX_TEXT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail server, who writes, and to whom.

    ``security``: "starttls" (port 587 as a rule), "tls" from the first byte (465), "none" (25 on this machine).
    ``user`` "": no login. ``names`` of the certificate are checked, always.
    """

    name: str
    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    security: str = STARTTLS
    user: str = ""
    password: Secret | None = None
    kind: str = "email"

    def send(self, digest: Digest, world: World) -> None:
        """Send one message to all; its Message-ID is the same for the same night, by which readers drop a second one.

        Raises:
            NotifyError: ``missing_secret``, ``mail_server_silent``, ``mail_refused``, ``mail_partly_refused``.
        """
        password = self.password.read(world.environ) if self.password is not None else ""
        secrets = (password,) if password else ()
        message = self._message(digest, world)
        with self._session(password, world, secrets) as session:
            refused = self._hand_over(session, message, secrets)
        if refused:
            listed = ", ".join(f"{who} ({code} {_text(words)})" for who, (code, words) in sorted(refused.items()))
            count = f"{len(refused)} of {len(self.recipients)} recipients"
            what = without_secrets(f"{self._shown} refused {count}: {listed}", secrets)
            raise NotifyError("mail_partly_refused", what)

    @property
    def _shown(self) -> str:
        return f"the mail server {self.host}:{self.port}"

    def _message(self, digest: Digest, world: World) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = digest.title
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Date"] = format_datetime(world.now())
        domain = self.sender.rpartition("@")[2].rstrip(">") or "steelyard"
        row = hashlib.sha256(f"{self.name} {digest.key}".encode()).hexdigest()[:16]
        message["Message-ID"] = f"<steelyard-{row}-{digest.number}@{domain}>"
        # Nights of one suite are one conversation.
        message["References"] = f"<steelyard-{row}@{domain}>"
        # No holiday note answers a machine (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        text = shortened(digest.text, _MAX_TEXT, url=digest.url)
        message.set_content(text)
        message.add_alternative(digest.html or _html(digest.title, text), subtype="html")
        return message

    @contextmanager
    def _session(self, password: str, world: World, secrets: tuple[str, ...]) -> Iterator[smtplib.SMTP]:
        session: smtplib.SMTP | None = None
        try:
            if self.security == TLS:
                session = smtplib.SMTP_SSL(
                    self.host, self.port, timeout=world.timeout_s, context=ssl.create_default_context()
                )
            else:
                session = smtplib.SMTP(self.host, self.port, timeout=world.timeout_s)
                if self.security == STARTTLS:
                    session.starttls(context=ssl.create_default_context())
            if self.user:
                session.login(self.user, password)
        except (OSError, smtplib.SMTPException) as error:
            if session is not None:
                session.close()
            raise self._trouble(error, "was not talked into taking mail", secrets) from error
        try:
            yield session
        finally:
            with suppress(OSError, smtplib.SMTPException):
                session.quit()

    def _hand_over(
        self, session: smtplib.SMTP, message: EmailMessage, secrets: tuple[str, ...]
    ) -> dict[str, tuple[int, bytes]]:
        try:
            return session.send_message(message, to_addrs=list(self.recipients))
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients
        except smtplib.SMTPResponseException as error:
            raise self._trouble(error, "did not take the message", secrets) from error
        except (OSError, smtplib.SMTPException, ValueError) as error:
            # Silence after the message may be a message that arrived.
            what = f"{self._shown} broke off while it took the message ({first_line(error)[:120]}); it may have arrived"
            raise NotifyError("mail_server_silent", without_secrets(what, secrets)) from error

    def _trouble(self, error: Exception, what: str, secrets: tuple[str, ...]) -> NotifyError:
        if isinstance(error, smtplib.SMTPResponseException):
            words = f"{self._shown} {what}: {error.smtp_code} {_text(error.smtp_error)}"
            # RFC 5321, 4.2.1: 4yz may pass, 5yz does not.
            is_transient = 400 <= error.smtp_code < 500
            return NotifyError("mail_refused", without_secrets(words, secrets), is_transient=is_transient)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            words = f"{self._shown} {what}: {first_line(error)}; check its security and port"
            return NotifyError("mail_refused", without_secrets(words, secrets))
        if isinstance(error, ssl.SSLCertVerificationError):
            words = f"{self._shown} has a certificate that is not trusted here ({error.verify_message})"
            return NotifyError("mail_refused", words)
        words = f"{self._shown} cannot be talked to ({first_line(error)[:120]}): check host, port and security"
        return NotifyError("mail_server_silent", without_secrets(words, secrets), is_transient=True)


def _text(words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:200]


def _html(title: str, text: str) -> str:
    return f"<!doctype html><html><body><h3>{escape(title)}</h3><pre>{escape(text)}</pre></body></html>"
