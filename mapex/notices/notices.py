"""The notices of a person: listed, counted, read. Those of a firm that the person has left are absent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, delete, func, select, tuple_, update

from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import notice
from mapex.errors import Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.notices import wording
from mapex.notices.kind import NoticeKind
from mapex.times import DAY_NS

KEPT_DAYS = 400
"""Notices older than that are thrown away."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened; `about` are ids and names by the kind of it, `path` is the page to look at."""

    id: str
    kind: NoticeKind
    about: Mapping[str, Any]
    at_ns: int
    read_ns: int | None

    @property
    def path(self) -> str:
        """The page that it leads to."""
        return wording.path(self.kind, self.about)

    def sentence(self, language: str) -> str:
        """What it says."""
        return wording.sentence(self.kind, self.about, language)


@dataclass(frozen=True, slots=True)
class NoticePage:
    """Notices, newest first; `next` is the `after` of the following page, or None at the end."""

    notices: Sequence[Notice]
    next: str | None


def of(ex: Exchange, by: Actor, *, unread: bool = False, after: str = "", limit: int = 100) -> NoticePage:
    """Notices of `by`, newest first; `after` is the id of the last one seen.

    Raises: Invalid: `page.limit`. NotFound: `notice.unknown`.
    """
    if not 1 <= limit <= 1000:
        raise Invalid("page.limit", f"The limit must be 1 to 1000, not {limit}.", limit=limit)
    order = (notice.c.at_ns.desc(), notice.c.id.desc())
    query = select(notice).where(_mine(by)).order_by(*order).limit(limit + 1)
    if unread:
        query = query.where(notice.c.read_ns.is_(None))
    with db.read(ex) as conn:
        if after:
            seen = conn.execute(select(notice.c.at_ns).where(notice.c.id == after, _mine(by))).scalar()
            if seen is None:
                raise _unknown(after)
            query = query.where(tuple_(notice.c.at_ns, notice.c.id) < (seen, after))
        found = [_notice(row) for row in conn.execute(query).mappings()]
    return NoticePage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def unread(ex: Exchange, by: Actor) -> int:
    """How many notices of `by` nobody has read."""
    with db.read(ex) as conn:
        return int(conn.execute(select(func.count()).where(_mine(by), notice.c.read_ns.is_(None))).scalar_one())


def read(ex: Exchange, by: Actor, notice_ids: Sequence[str]) -> None:
    """Mark notices of `by` as read; those that are stay as they are.

    Raises: NotFound: `notice.unknown`: one of them is absent or another person's; then none is marked.
    """
    wanted = sorted(set(notice_ids))
    with act(ex, by) as conn:
        known = set(conn.execute(select(notice.c.id).where(_mine(by), notice.c.id.in_(wanted))).scalars())
        for missing in wanted:
            if missing not in known:
                raise _unknown(missing)
        conn.execute(update(notice).where(notice.c.id.in_(wanted), notice.c.read_ns.is_(None)).values(read_ns=ex.now()))


def read_all(ex: Exchange, by: Actor) -> None:
    """Mark all notices of `by` as read."""
    with act(ex, by) as conn:
        conn.execute(update(notice).where(_mine(by), notice.c.read_ns.is_(None)).values(read_ns=ex.now()))


def sweep(ex: Exchange) -> None:
    """Throw away what is very old."""
    with db.begin(ex) as conn:
        conn.execute(delete(notice).where(notice.c.at_ns < ex.now() - KEPT_DAYS * DAY_NS, notice.c.due_ns.is_(None)))


def _mine(by: Actor) -> ColumnElement[bool]:
    return (notice.c.person_id == by.person_id) & notice.c.org_id.is_not_distinct_from(by.org_id)


def _unknown(notice_id: str) -> NotFound:
    return NotFound("notice.unknown", f"There is no notice {notice_id!r} for you.", notice=notice_id)


def _notice(row: RowMapping) -> Notice:
    return Notice(row["id"], NoticeKind(row["kind"]), json.loads(row["about"]), row["at_ns"], row["read_ns"])
