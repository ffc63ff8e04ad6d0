"""How each kind of notice comes to a person, and the signed link by which whoever reads the mail switches mail of a kind off."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from sqlalchemy import Connection, select, text

from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import notice_wish, person
from mapex.errors import Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.notices.kind import USUAL, NoticeKind, NoticeWay

LONGEST_TOKEN = 200


def of(ex: Exchange, by: Actor) -> Mapping[NoticeKind, NoticeWay]:
    """How each kind comes to `by`."""
    with db.read(ex) as conn:
        rows = conn.execute(select(notice_wish.c.kind, notice_wish.c.way).where(notice_wish.c.person_id == by.person_id))
        chosen = {row.kind: NoticeWay(row.way) for row in rows}
    return {kind: chosen.get(kind, USUAL[kind]) for kind in NoticeKind}


def choose(ex: Exchange, by: Actor, ways: Mapping[str, str]) -> Mapping[NoticeKind, NoticeWay]:
    """Choose how kinds come to `by`; kinds that are not named stay as they are.

    Raises: Invalid: `notice.kind`, `notice.way`.
    """
    checked = {_kind(kind): _way(way) for kind, way in ways.items()}
    with act(ex, by) as conn:
        for kind, way in checked.items():
            _store(conn, by.person_id, kind, way)
    return of(ex, by)


def token_of(ex: Exchange, person_id: str, kind: NoticeKind) -> str:
    """What a letter carries, so that mail of its kind can be switched off without signing in: no more than that can be done with it."""
    signed = f"mapex-unsubscribe\n{person_id}\n{kind}".encode()
    return f"{person_id}.{kind}.{hmac.new(ex.settings.signing_key.encode(), signed, hashlib.sha256).hexdigest()}"


def look(ex: Exchange, token: str) -> NoticeKind:
    """The kind of notice that a token of `token_of` is about. Raises: NotFound: `notice.link`."""
    return _opened(ex, token)[1]


def switch_off(ex: Exchange, token: str) -> NoticeKind:
    """Send no more mail of the kind that a token names to the person that it names; the pages go on to show it.

    Raises: NotFound: `notice.link`.
    """
    person_id, kind = _opened(ex, token)
    with db.begin(ex) as conn:
        if conn.execute(select(person.c.id).where(person.c.id == person_id)).first() is None:
            raise _no_link()
        query = select(notice_wish.c.way).where(notice_wish.c.person_id == person_id, notice_wish.c.kind == kind)
        if conn.execute(query).scalar() != NoticeWay.NONE:
            _store(conn, person_id, kind, NoticeWay.PAGE)
        waiting = "UPDATE notice SET mail = 'dropped', due_ns = NULL WHERE person_id = :person AND kind = :kind AND mail = 'waiting'"
        conn.execute(text(waiting), {"person": person_id, "kind": str(kind)})
    return kind


def _opened(ex: Exchange, token: str) -> tuple[str, NoticeKind]:
    person_id, _, rest = token.partition(".")
    kind = rest.partition(".")[0]
    if len(token) > LONGEST_TOKEN or not token.isascii() or kind not in set(NoticeKind):
        raise _no_link()
    if not hmac.compare_digest(token, token_of(ex, person_id, NoticeKind(kind))):
        raise _no_link()
    return person_id, NoticeKind(kind)


def _store(conn: Connection, person_id: str, kind: NoticeKind, way: NoticeWay) -> None:
    statement = (
        "INSERT INTO notice_wish (person_id, kind, way) VALUES (:person, :kind, :way) "
        "ON CONFLICT (person_id, kind) DO UPDATE SET way = excluded.way"
    )
    conn.execute(text(statement), {"person": person_id, "kind": str(kind), "way": str(way)})


def _kind(given: str) -> NoticeKind:
    if given not in set(NoticeKind):
        raise Invalid("notice.kind", f"`kind` must be one of {', '.join(NoticeKind)}, not {given[:40]!r}.", kind=given[:40])
    return NoticeKind(given)


def _way(given: str) -> NoticeWay:
    if given not in set(NoticeWay):
        raise Invalid("notice.way", f"A notice comes by {', '.join(NoticeWay)}, not by {str(given)[:40]!r}.", way=str(given)[:40])
    return NoticeWay(given)


def _no_link() -> NotFound:
    return NotFound("notice.link", "This link is not one of this exchange, or is incomplete; choose on the account page instead.")
