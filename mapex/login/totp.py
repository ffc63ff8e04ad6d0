"""Codes of authenticator apps (RFC 6238): six digits of half a minute, of which each is good for one use."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from sqlalchemy import select, update

from mapex import authority
from mapex.database import db, schema
from mapex.errors import Invalid
from mapex.exchange import Actor, Exchange
from mapex.login import factors
from mapex.login.factors import Factor, NewFactor
from mapex.login.sealed import seal, unseal
from mapex.times import NS

STEP_SECONDS = 30
STEPS_AROUND = 1
"""A clock may be wrong by so many steps."""
SETUP_SECONDS = 900
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Setup:
    """What an app needs to know, and the ticket by which the form gives it back. Nothing is stored until a code has shown that it works."""

    secret: str
    uri: str
    ticket: str


def begin(ex: Exchange, by: Actor) -> Setup:
    """A new secret for the authenticator app of the person at the browser.

    Raises: Denied: `session.only`, `session.stale`.
    """
    import pyotp

    authority.confirmed(ex, by)
    secret = pyotp.random_base32()
    return _setup(by, secret, seal(ex, "totp setup", {"person": by.person_id, "secret": secret}))


def again(ex: Exchange, by: Actor, ticket: str) -> Setup:
    """The set-up of a ticket once more, after a wrong code.

    Raises: Denied. Invalid: `factor.setup`.
    """
    authority.confirmed(ex, by)
    return _setup(by, _secret_of(ex, by, ticket), ticket)


def confirm(ex: Exchange, by: Actor, ticket: str, code: str, name: str = "") -> Factor:
    """Add the app of `ticket` as second factor, when `code` is its code now.

    Raises: Denied: `session.only`, `session.stale`. Invalid: `factor.setup`: the ticket is too old, `factor.code`. Conflict: `factor.many`,
    `factor.exists`.
    """
    authority.confirmed(ex, by)
    secret = _secret_of(ex, by, ticket)
    step = _step(ex, secret, code)
    if step is None:
        raise Invalid("factor.code", "This is not the code that the app shows now; type the newest one.")
    known_by = hashlib.sha256(f"totp {secret}".encode()).hexdigest()  # 160 random bits: twice the same app, each code would be good twice
    return factors.add(ex, by, NewFactor("totp", name, seal(ex, "totp", {"secret": secret}), step, credential_hash=known_by))


def use(ex: Exchange, person_id: str, code: str) -> bool:
    """Whether `code` is one of an app of this person, which was not used before; then it is used."""
    factor = schema.second_factor.c
    query = select(factor.id, factor.secret).where(factor.person_id == person_id, factor.kind == "totp")
    with db.read(ex) as conn:
        known = conn.execute(query).all()
    for factor_id, sealed in known:
        opened = unseal(ex, "totp", sealed)
        step = _step(ex, opened["secret"], code) if opened else None
        if step is None:
            continue
        with db.begin(ex) as conn:  # of two who send the same code one is the first
            this = update(schema.second_factor).where(factor.id == factor_id, factor.counter < step)
            if conn.execute(this.values(counter=step, used_ns=ex.now())).rowcount == 1:
                return True
    return False


def _setup(by: Actor, secret: str, ticket: str) -> Setup:
    import pyotp

    return Setup(secret, pyotp.TOTP(secret).provisioning_uri(name=by.email, issuer_name="mapex"), ticket)


def _secret_of(ex: Exchange, by: Actor, ticket: str) -> str:
    opened = unseal(ex, "totp setup", ticket, seconds=SETUP_SECONDS)
    if opened is None or opened["person"] != by.person_id:
        raise Invalid("factor.setup", "This took too long; begin once more.")
    return str(opened["secret"])


def _step(ex: Exchange, secret: str, code: str) -> int | None:
    """The newest step around now that has this code."""
    import pyotp

    app, now = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS), ex.now() // (STEP_SECONDS * NS)
    steps = range(now + STEPS_AROUND, now - STEPS_AROUND - 1, -1)
    fitting = [step for step in steps if hmac.compare_digest(app.generate_otp(step).encode(), code.encode())]
    return fitting[0] if fitting else None
