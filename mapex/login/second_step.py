"""What comes after the password: a code of an app, a recovery code or a passkey. Between the two the browser holds a sealed ticket."""

from __future__ import annotations

from mapex.audit import log
from mapex.database import attempts, db
from mapex.errors import Denied
from mapex.exchange import Actor, Exchange
from mapex.login import recovery_codes, totp
from mapex.login.sealed import seal, unseal
from mapex.people import passwords, persons
from mapex.people.persons import Person

TICKET_SECONDS = 300
TRIES, TRIES_SECONDS = 10, 3600
"""So many wrong codes, or passwords when confirming, and no more within that time: six digits are soon guessed otherwise."""


def ticket(ex: Exchange, person: Person) -> str:
    """What says for five minutes that the password of this person was right."""
    return seal(ex, "second step", {"person": person.id, "key": person.session_key})


def person_of(ex: Exchange, given: str) -> Person:
    """The person of a ticket.

    Raises: Denied: `login.expired`: too old, not ours, or password, role or factors changed meanwhile.
    """
    opened = unseal(ex, "second step", given, seconds=TICKET_SECONDS)
    person = persons.get_person(ex, person_id=opened["person"]) if opened else None
    if opened is None or person is None or person.session_key != opened["key"] or not person.is_active:
        raise Denied("login.expired", "This took too long; sign in once more.")
    return person


def check_code(ex: Exchange, by: Actor, code: str) -> str:
    """Use up the code of an app, or a recovery code; returns which it was (`totp`, `recovery`).

    Raises: Denied: `factor.refused`: wrong or used before; `factor.tries`: too many wrong ones.
    """
    code = "".join(code.split())
    if code.isdecimal() and len(code) == totp.DIGITS:
        _count(ex, "code", by)
        if totp.use(ex, by.person_id, code):
            attempts.forget(ex, _key("code", by))
            return "totp"
    elif recovery_codes.use(ex, by, code[:64]):
        return "recovery"
    tries = attempts.count(ex, f"log factor {by.person_id}", TRIES_SECONDS).count
    if attempts.is_logged(tries):
        with db.begin(ex) as conn:
            log.append(conn, ex, by, log.AuditEntry(log.Action.FACTOR_REFUSED, details={"subject": by.email, "tries": tries}))
    raise Denied("factor.refused", "This code is wrong, or was used before; wait for the next one.")


def check_password(ex: Exchange, by: Actor, password: str) -> str:
    """Pass when this is the password of the person at the browser; returns `password`.

    Raises: Denied: `password.wrong`; `factor.tries`: too many wrong ones. Unavailable: `login.busy`.
    """
    _count(ex, "password", by)
    if persons.verify_password(ex, by.email, password[: passwords.MAX_PASSWORD + 1]) is None:
        raise Denied("password.wrong", "This is not your password; try again.")
    attempts.forget(ex, _key("password", by))
    return "password"


def _count(ex: Exchange, what: str, by: Actor) -> None:
    if attempts.count(ex, _key(what, by), TRIES_SECONDS).count > TRIES:
        raise Denied("factor.tries", "Too many wrong ones; wait an hour, or use a passkey or a recovery code.")


def _key(what: str, by: Actor) -> str:
    return f"confirm {what} {by.person_id}"
