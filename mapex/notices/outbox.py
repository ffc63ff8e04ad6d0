"""Writing notices, in the transaction of what they are about: one for a person and cause, however often it is written.

Suspended persons, and persons of suspended organisations, get none. What the person chose decides whether a notice is written at all, and
whether mail goes out with it (`mapex.notices.letters`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, text

from mapex import ids
from mapex.database.schema import notice_wish, organisation, person
from mapex.exchange import Exchange
from mapex.notices.kind import USUAL, NoticeKind, NoticeWay
from mapex.people import mail

LONGEST_CAUSE = 200

MOST_NAMED = 20
"""Orders that a notice names."""


@dataclass(frozen=True, slots=True)
class News:
    """What happened: its kind, the cause by which it is known again, and ids and names of what it is about."""

    kind: NoticeKind
    cause: str
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Addressed:
    """News and whom it concerns: persons, and everybody of organisations."""

    news: News
    person_ids: frozenset[str] = frozenset()
    org_ids: frozenset[str] = frozenset()


def write(conn: Connection, ex: Exchange, addressed: Iterable[Addressed]) -> None:
    """Write what was found to be news, in the caller's transaction."""
    for one in addressed:
        _write(conn, ex, one.news, person.c.id.in_(sorted(one.person_ids)) | person.c.org_id.in_(sorted(one.org_ids)))


def to_persons(conn: Connection, ex: Exchange, news: News, person_ids: Collection[str]) -> None:
    """Write a notice for these persons, in the caller's transaction."""
    _write(conn, ex, news, person.c.id.in_(sorted(person_ids)))


def to_orgs(conn: Connection, ex: Exchange, news: News, org_ids: Collection[str]) -> None:
    """Write a notice for every person of these organisations, in the caller's transaction."""
    _write(conn, ex, news, person.c.org_id.in_(sorted(org_ids)))


def _write(conn: Connection, ex: Exchange, news: News, whom: ColumnElement[bool]) -> None:
    joined = person.outerjoin(organisation, organisation.c.id == person.c.org_id).outerjoin(
        notice_wish, and_(notice_wish.c.person_id == person.c.id, notice_wish.c.kind == news.kind)
    )
    active = (person.c.state == "active", (organisation.c.state == "active") | person.c.org_id.is_(None))
    query = select(person.c.id, person.c.org_id, notice_wish.c.way).select_from(joined).where(whom, *active).order_by(person.c.id)
    rows = [_row(ex, news, one.id, one.org_id, NoticeWay(one.way or USUAL[news.kind])) for one in conn.execute(query)]
    if wanted := [row for row in rows if row is not None]:
        names = ", ".join(wanted[0])
        values = ", ".join(f":{name}" for name in wanted[0])
        conn.execute(text(f"INSERT INTO notice ({names}) VALUES ({values}) ON CONFLICT (person_id, kind, cause) DO NOTHING"), wanted)


def _row(ex: Exchange, news: News, person_id: str, org_id: str | None, way: NoticeWay) -> dict[str, Any] | None:
    """The row of one person, or None where it wants none."""
    if way is NoticeWay.NONE:
        return None
    now = ex.now()
    mails = way is NoticeWay.MAIL and mail.is_set_up(ex.settings)
    return {
        "id": ids.new("ntc"),
        "person_id": person_id,
        "org_id": org_id,
        "kind": str(news.kind),
        "cause": news.cause[:LONGEST_CAUSE],
        "about": json.dumps(dict(news.about), sort_keys=True, ensure_ascii=False),
        "at_ns": now,
        "mail": "waiting" if mails else "none",
        "tries": 0,
        "due_ns": now if mails else None,
    }
