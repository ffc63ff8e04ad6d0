"""Mail of the exchange: a plain message to one address, by SMTP or, to try things out, as a file in a folder. Off unless it is set up."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from email.utils import formatdate
from enum import StrEnum
from pathlib import Path

from mapex.config import Settings

log = logging.getLogger(__name__)

SECONDS = 10
"""How long the mail server may stay silent."""

_SENDABLE = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9.-]{1,190}", re.ASCII)
"""One address and no more: a comma, a quote or a bracket in it would make a header of something else."""


def is_set_up(settings: Settings) -> bool:
    """Whether this exchange can send mail."""
    return bool(settings.mail_host) or settings.mail_folder != Path()


_LONGEST_LINE = 998
"""RFC 5322."""


class Delivery(StrEnum):
    """What became of a message."""

    TAKEN = "taken"
    LATER = "later"  # this address is refused for now
    AWAY = "away"  # the server does not answer, or refuses us
    REFUSED = "refused"  # this address is refused for good


def send(settings: Settings, to: str, subject: str, text: str) -> bool:
    """Send a message; whether it was taken. Why not is logged, without the text, which may hold a secret."""
    return deliver(settings, to, subject, text) is Delivery.TAKEN


def deliver(settings: Settings, to: str, subject: str, text: str, headers: Mapping[str, str] | None = None) -> Delivery:
    """Send a message, with more headers if there are any, and say what became of it; why it was not taken is logged, without the text."""
    if not _SENDABLE.fullmatch(to):
        log.warning("mail to an address that mail cannot be sent to was not sent")
        return Delivery.REFUSED
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.mail_from, to, subject
    message["Date"], message["Auto-Submitted"] = formatdate(), "auto-generated"
    for name, value in (headers or {}).items():
        message[name] = value
    message.set_content(text)
    try:
        if settings.mail_folder != Path():
            _write(settings.dir / settings.mail_folder, _unfolded(message))
        else:
            with _server(settings) as server:
                server.sendmail(settings.mail_from, [to], _unfolded(message))
    except (OSError, smtplib.SMTPException) as error:
        log.error("mail was not sent, the server %s answered: %s", settings.mail_host or "(folder)", type(error).__name__)
        return _why(error)
    return Delivery.TAKEN


def _why(error: OSError | smtplib.SMTPException) -> Delivery:
    """Whether it is the address that was refused, and for good; all else is the server's."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return Delivery.AWAY
    codes = [code for code, _ in error.recipients.values()]
    return Delivery.REFUSED if codes and min(codes) >= 500 else Delivery.LATER


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[smtplib.SMTP]:
    safe = ssl.create_default_context()
    if settings.mail_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(settings.mail_host, settings.mail_port, timeout=SECONDS, context=safe)
    else:
        server = smtplib.SMTP(settings.mail_host, settings.mail_port, timeout=SECONDS)
    with server:
        if settings.mail_security == "starttls":
            server.starttls(context=safe)
        if settings.mail_user:
            server.login(settings.mail_user, settings.mail_password)
        yield server


def _unfolded(message: EmailMessage) -> bytes:
    """The message with each header in one line: a long address that is folded comes out as an encoded word, which is none any more."""
    return message.as_bytes(policy=message.policy.clone(max_line_length=_LONGEST_LINE))


def _write(folder: Path, message: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{secrets.token_hex(8)}.eml"
    path.touch(mode=0o600)
    path.write_bytes(message)
