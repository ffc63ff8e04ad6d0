"""The letters of notices: a queue in the table of notices, worked off by the workers, each letter by one of them at a time.

Whoever takes a letter moves its time on by a lease, sends it, and writes that it was taken. A worker that is killed in between leaves a
letter that is tried again after the lease. So a letter goes out at least once, and again only when the worker died between the server's
answer and the commit right after it; both then carry the same Message-ID, by which mail programs show one. What the server does not take
waits for ever longer, and is given up after `MOST_TRIES`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, select, update

from mapex.database import db, failpoints
from mapex.database.schema import notice, organisation, person
from mapex.exchange import Exchange
from mapex.notices import wishes, wording
from mapex.notices.kind import NoticeKind
from mapex.people import mail
from mapex.people.mail import Delivery
from mapex.times import MINUTE_NS

log = logging.getLogger(__name__)

LEASE_NS = 10 * MINUTE_NS
"""How long whoever takes a letter has for it; sending one takes a minute at the most."""

MOST_TRIES = 14
LONGEST_WAIT_NS = 360 * MINUTE_NS

MOST_AT_ONCE = 100
"""Letters of one round."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that was taken from the queue for its try number `tries`."""

    notice_id: str
    person_id: str
    email: str
    language: str
    kind: NoticeKind
    about: Mapping[str, Any]
    tries: int


def send_due(ex: Exchange) -> int:
    """Send the letters whose time has come, until the server is away; returns how many it took."""
    sent = 0
    if not mail.is_set_up(ex.settings):
        return sent
    for _ in range(MOST_AT_ONCE):
        letter = _claim(ex)
        if letter is None:
            break
        outcome = mail.deliver(ex.settings, letter.email, *_text(ex, letter), _headers(ex, letter))
        failpoints.hit("letter.after_answer")
        _settle(ex, letter, outcome)
        sent += outcome is Delivery.TAKEN
        if outcome is Delivery.AWAY:
            break
    return sent


def _claim(ex: Exchange) -> Letter | None:
    """The next letter, which is ours for the lease; those of persons who may not know any more are dropped on the way."""
    due = notice.c.due_ns <= ex.now()
    with db.read(ex) as conn:  # nothing to do is the usual case, and takes no lock for writing
        if conn.execute(select(notice.c.id).where(due).limit(1)).first() is None:
            return None
    with db.in_turn(ex, "letters") as conn:
        for row in conn.execute(_waiting().where(due).order_by(notice.c.due_ns, notice.c.id).limit(MOST_AT_ONCE)).mappings().all():
            if not _may_know(row):
                conn.execute(update(notice).where(notice.c.id == row["id"]).values(mail="dropped", due_ns=None))
                continue
            tries = row["tries"] + 1
            conn.execute(update(notice).where(notice.c.id == row["id"]).values(tries=tries, due_ns=ex.now() + LEASE_NS))
            kind, about = NoticeKind(row["kind"]), json.loads(row["about"])
            return Letter(row["id"], row["person_id"], row["email"], row["language"], kind, about, tries)
    return None


def _settle(ex: Exchange, letter: Letter, outcome: Delivery) -> None:
    """Write what became of a letter, unless somebody else has taken it since."""
    if outcome is Delivery.TAKEN:
        values: dict[str, Any] = {"mail": "sent", "due_ns": None}
    elif outcome is Delivery.REFUSED or letter.tries >= MOST_TRIES:
        log.warning("the letter of notice %s was given up after %d tries: %s", letter.notice_id, letter.tries, outcome)
        values = {"mail": "failed", "due_ns": None}
    else:
        values = {"due_ns": ex.now() + min(MINUTE_NS << (letter.tries - 1), LONGEST_WAIT_NS)}
    mine = (notice.c.id == letter.notice_id, notice.c.tries == letter.tries, notice.c.mail == "waiting")
    with db.begin(ex) as conn:
        conn.execute(update(notice).where(*mine).values(**values))


def _waiting() -> Any:
    org = organisation.c
    joined = notice.join(person, person.c.id == notice.c.person_id).outerjoin(organisation, org.id == notice.c.org_id)
    who = (person.c.email, person.c.language, person.c.state.label("person_state"), person.c.org_id.label("person_org"))
    return select(notice, *who, org.state.label("org_state")).select_from(joined)


def _may_know(row: RowMapping) -> bool:
    """Whether the person is still active and of the organisation that it concerns."""
    return row["person_state"] == "active" and row["org_state"] in (None, "active") and row["person_org"] == row["org_id"]


_FOOT = wording.Words(
    "알림을 받는 방법은 계정 페이지에서 정합니다: {account}\n이 종류의 메일을 더 받지 않으려면: {off}",
    "How notices come to you is chosen on the account page: {account}\nNo more mail of this kind: {off}",
)


def _text(ex: Exchange, letter: Letter) -> tuple[str, str]:
    """Subject and text. Neither holds anything that a person or a firm wrote, so nothing can be slipped into a header."""
    url = ex.settings.public_url
    sentence = wording.sentence(letter.kind, letter.about, letter.language)
    foot = _FOOT.of(letter.language).format(account=f"{url}/account", off=_off(ex, letter))
    body = f"{sentence}\n\n{url}{wording.path(letter.kind, letter.about)}\n\n-- \n{foot}\n"
    return f"mapex · {wording.NAMES[letter.kind].of(letter.language)}", body


def _headers(ex: Exchange, letter: Letter) -> Mapping[str, str]:
    domain = ex.settings.mail_from.strip(" <>").rpartition("@")[2]
    return {
        "Message-ID": f"<{letter.notice_id}@{domain}>",
        "List-Unsubscribe": f"<{_off(ex, letter)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _off(ex: Exchange, letter: Letter) -> str:
    return f"{ex.settings.public_url}/unsubscribe/{wishes.token_of(ex, letter.person_id, letter.kind)}"
