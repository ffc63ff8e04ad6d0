"""Tries to sign in that failed: counted by account, address, network and over all, for all web processes together.

After a few, each costs a pause that doubles. A try counts before it is looked at, and is given back when it was right. Who signed in from a
device before has a count of that device (OWASP, "device cookies"): whatever others try, the owner of an account is not locked out. The log
learns that an account was tried, never what was typed.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mapex.audit import log
from mapex.database import attempts, db, schema
from mapex.errors import Denied, Limited
from mapex.exchange import Exchange
from mapex.people import persons
from mapex.people.networks import around, site_around
from mapex.times import NS

HOUR = 3600
LONGEST_PAUSE = 900
"""Seconds."""
FREE = {"device": 5, "account": 5, "address": 20, "network": 50, "site": 200, "all": 1000}
"""Failures within an hour before pauses begin."""
DEVICE_DAYS = 90
TURN = "log-ins"
"""Tries are counted one after the other; what they try is looked at side by side."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who tries: its address, and the mark of a device on which somebody signed in before, if there is one."""

    address: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """A try that is counted: by which keys, and the pauses that begin with it, each with its end."""

    counted: Sequence[str]
    pauses: Mapping[str, int]


@contextmanager
def trying(ex: Exchange, caller: Asker, email: str) -> Iterator[None]:
    """Around the look at a password, code or passkey: what comes out as `Denied` failed, and anything else does not count.

    Raises: Limited: see `check`.
    """
    counted = check(ex, caller, email)
    try:
        yield
    except Denied:
        failed(ex, email)
        raise
    except BaseException:
        give_back(ex, counted)
        raise
    give_back(ex, counted)


def check(ex: Exchange, caller: Asker, email: str) -> Try:
    """Whether one may try now; the try counts from here on, so that of many at once no more are let in than of one after the other.

    An empty `email`: a passkey, which names its account itself.

    Raises: Limited: `login.tries`; it is the same whether the account exists or not.
    """
    keys = _keys(ex, caller, email)
    with db.read(ex) as conn:  # who has to wait does not wait for others before
        _refuse_paused(conn, ex, keys)
    pauses, is_first = {}, False
    with db.in_turn(ex, TURN) as conn:
        _refuse_paused(conn, ex, keys)
        for key in keys:
            count = attempts.add(conn, ex, f"try {key}", HOUR).count
            is_first = is_first or count == 1
            over = count - FREE[key.partition(" ")[0]]
            if over >= 0:
                pauses[f"pause {key}"] = attempts.hold(conn, ex, f"pause {key}", min(LONGEST_PAUSE, 1 << min(over, 20)))
    if is_first:
        attempts.sweep(ex)
    return Try([f"try {key}" for key in keys], pauses)


def give_back(ex: Exchange, counted: Try) -> None:
    """A try did not fail: it was none."""
    with db.in_turn(ex, TURN) as conn:
        attempts.give_back(conn, ex, counted.counted, counted.pauses)


def failed(ex: Exchange, email: str) -> None:
    """Log a try that failed: the first, the 10th, the 100th of an account (or of accounts that are none) in an hour."""
    person = persons.get_person(ex, email=email.strip().lower())
    subject = person.email if person else "unknown"
    tries = attempts.count(ex, f"log {subject}", HOUR).count
    if attempts.is_logged(tries):
        with db.begin(ex) as conn:
            log.append(conn, ex, None, log.AuditEntry(log.Action.SESSION_REFUSED, details={"subject": subject, "tries": tries}))


def _refuse_paused(conn: Connection, ex: Exchange, keys: Sequence[str]) -> None:
    wait = math.ceil((attempts.held_until(conn, ex, [f"pause {key}" for key in keys]) - ex.now()) / NS)
    if wait > 0:
        raise Limited("login.tries", f"Too many log-ins failed; wait {wait} s and try again.", retry_after_s=wait)


def device_of(ex: Exchange, email: str) -> str:
    """A new mark for a device on which this account has just signed in."""
    number = secrets.token_hex(8)
    return f"{number}.{ex.now() // NS}.{_mark(ex, email, number, ex.now() // NS)}"


def _keys(ex: Exchange, caller: Asker, email: str) -> list[str]:
    account = email.strip().lower()
    number = _known_device(ex, caller.device, account) if account else ""
    if number:
        return [f"device {number} {account}"]
    where = [f"address {caller.address}", f"network {around(caller.address) or 'local'}"]
    if site := site_around(caller.address):
        where.append(f"site {site}")
    return [f"account {account}", *where, "all"] if account else where  # a passkey is not guessed: it waits for nobody's guesses


def _known_device(ex: Exchange, device: str, account: str) -> str:
    """The number in a mark that is ours, of this account, and not too old."""
    number, _, rest = device.partition(".")
    made, _, mark = rest.partition(".")
    if not (made.isascii() and made.isdigit() and len(made) < 12 and number.isascii()):  # noqa: PLR2004
        return ""
    age = ex.now() // NS - int(made)
    is_ours = hmac.compare_digest(mark.encode("utf-8", "surrogatepass"), _mark(ex, account, number, int(made)).encode())
    return number if is_ours and 0 <= age <= DEVICE_DAYS * 24 * HOUR else ""


def _mark(ex: Exchange, email: str, number: str, made_s: int) -> str:
    """It ends with the password: who knew that one could gather as many marks, and as many counts, as he likes."""
    account = email.strip().lower()
    with db.read(ex) as conn:
        stored = conn.execute(select(schema.person.c.password_hash).where(schema.person.c.email == account)).scalar() or ""
    text = f"device {number} {made_s} {account} {stored}"
    return hmac.new(ex.settings.secret_key.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
