"""A forgotten password: a link with which its holder chooses a new one, once, within thirty minutes.

The link goes to the proven address of the person by mail, or the operator hands it out, as invitations are. It is sealed (`sealed`) around
the person and its `session_key`: nothing of it is stored, and whatever ends the sessions of the person ends all its links, their use too.
Second factors stay as they are. For an address that is nobody's, or a suspended person's, the same is done as far as anybody can see.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, select

from mapex import authority
from mapex.audit import log as audit
from mapex.audit.log import Action, AuditEntry
from mapex.database import attempts, db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Limited, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.login.sealed import seal, unseal
from mapex.people import mail, passwords, persons, signers
from mapex.people.networks import around
from mapex.people.persons import Person
from mapex.times import MINUTE_NS, NS

log = logging.getLogger(__name__)

MINUTES = 30
"""How long a link can be used."""

HOUR = 3600
MOST = {"account": 3, "network": 20, "all": 300}
"""Links asked for within an hour; those of an account beyond it are not sent, and nobody learns of it."""

_PURPOSE = "new password"

SUBJECT = "mapex · 비밀번호 재설정 / new password"
TEXT = """mapex 비밀번호를 다시 정하려면 아래 주소를 여세요. {minutes}분 동안, 한 번만 쓸 수 있습니다.
To choose a new password for mapex, open this address; it works once, for {minutes} minutes.

{link}

요청하지 않으셨다면 이 메일을 지우세요. 비밀번호는 그대로입니다.
If you did not ask for this, delete this mail; your password stays as it is. {url}
"""


def is_possible(ex: Exchange) -> bool:
    """Whether a link can be mailed; else the operator makes it."""
    return mail.is_set_up(ex.settings)


def admit(ex: Exchange, address: str, email: str) -> bool:
    """Count that somebody asks for a link for an address of mail; whether one may be sent to it now.

    Raises: Limited: `reset.tries`: the network has asked too often, whomever it asked for.
    """
    counted = {"network": around(address) or "local", "all": "", "account": email.strip().lower()}
    for kind, key in counted.items():
        found = attempts.count(ex, f"reset {kind} {key}", HOUR)
        if found.count > MOST[kind] and kind == "account":
            return False
        if found.count > MOST[kind]:
            wait = max(1, (found.ends_ns - ex.now()) // NS)
            raise Limited("reset.tries", f"Too many links were asked for; wait {wait} s, or ask the operator.", retry_after_s=wait)
    return True


def deliver(ex: Exchange, email: str) -> bool:
    """Mail a link to an active person with this proven address, if there is one; run after the answer is out. Whether one went out."""
    person = persons.get_person(ex, email=email)
    if person is None or not person.is_active or not person.is_proven:
        return False
    link = f"{ex.settings.public_url}/reset/{_secret(ex, person)}"
    with db.begin(ex) as conn:
        _log(conn, ex, None, person, "mail")
    text = TEXT.format(minutes=MINUTES, link=link, url=ex.settings.public_url)
    return mail.send(ex.settings, person.email, SUBJECT, text)


def hand_out(ex: Exchange, by: Actor | None, email: str) -> str:
    """The secret of a link for a person, for the operator to bring there.

    Raises: Denied, NotFound (`person.unknown`), Conflict (`reset.suspended`).
    """
    authority.operator(by)
    authority.confirmed_by_factor(ex, by)
    email = persons.check_email(email)
    with act(ex, by, f"person:{email}") as conn:
        person = persons.find_person(conn, email)
        if not person.is_active:
            raise Conflict("reset.suspended", f"{email} is suspended; resume the person first.", email=email)
        _log(conn, ex, by, person, "operator")
    return _secret(ex, person)


def look(ex: Exchange, secret: str) -> Person:
    """Whose password a link changes.

    Raises: NotFound: `reset.unknown`: used, too old, not ours, or ended by whatever ended the sessions of the person.
    """
    opened = unseal(ex, _PURPOSE, secret, seconds=MINUTES * MINUTE_NS // NS)
    person = persons.get_person(ex, person_id=opened["person"]) if opened else None
    if opened is None or person is None or person.session_key != opened["key"] or not person.is_active:
        raise _unknown()
    return person


def redeem(ex: Exchange, secret: str, password: str) -> Person:
    """Set the password of the person of a link; its sessions, links and download addresses end.

    Raises: NotFound: `reset.unknown`. Invalid: `password.short`, `password.long`. Unavailable: `login.busy`.
    """
    person = look(ex, secret)  # hashing a password is dear; only who holds a link may cause it
    hashed = passwords.hashed(password)
    with signers.retiring(ex) as retire, db.in_turn(ex, f"person:{person.email}") as conn:
        row = schema.person.c
        held = select(row.session_key).where(row.id == person.id, row.state == "active").with_for_update(key_share=True)
        if conn.execute(held).scalar() != person.session_key:
            raise _unknown()
        persons.store_password(conn, ex, person.actor, person.email, hashed)
        retire(conn, [person.org_id])
    return person


def send_quietly(ex: Exchange, email: str) -> None:
    """As `deliver`, for after an answer: nobody is there to learn what failed but the operator, from the log of the process."""
    try:
        deliver(ex, email)
    except MapexError as error:
        log.error("a link for a new password was not sent: %s", error.code)


def _secret(ex: Exchange, person: Person) -> str:
    return seal(ex, _PURPOSE, {"person": person.id, "key": person.session_key})


def _log(conn: Connection, ex: Exchange, by: Actor | None, person: Person, handed: str) -> None:
    details = {"subject": person.email, "handed": handed}
    audit.append(conn, ex, by, AuditEntry(Action.RESET_SENT, owner=person.org_slug, details=details))


def _unknown() -> NotFound:
    return NotFound("reset.unknown", "This link was used, has expired, or was ended; ask for a new one.")
