"""Ask the seller: questions of organisations about a dataset on sale, and what is answered.

A question names the organisation that asks, and no person. Both sides see it, and operators, who look after abuse; the log holds who wrote
when about what, and the digest of the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, or_, select, update

from mapex import authority, ids
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import attempts, db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Denied, Limited, NotFound
from mapex.exchange import Actor, Exchange
from mapex.notices import outbox
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import News
from mapex.offers import products
from mapex.texts import check_text
from mapex.times import NS

LONGEST = 2000
"""Characters of a message."""
MOST_MESSAGES = 200
"""Messages of one question."""
MOST_A_DAY = 50
"""Messages of one person in a day."""
MOST_LISTED = 200
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class QuestionMessage:
    """One message: which organisation wrote it (slug), and when."""

    org: str
    text: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a dataset (`ORG/SLUG`): who asks and who sells (slugs), whether there is something new for who looks."""

    id: str
    dataset: str
    title: str
    asker: str
    seller: str
    created_ns: int
    newest_ns: int
    is_unread: bool
    messages: Sequence[QuestionMessage] = ()


def ask(ex: Exchange, by: Actor, ref: str, text: str) -> Question:
    """Ask the seller of a dataset on sale something.

    Raises: Denied, NotFound (`dataset.unknown`), Conflict (`question.own`), Invalid (`text.malformed`), Limited (`question.too_many`).
    """
    org_id = authority.member(by)
    text = _checked(ex, by, text)
    with act(ex, by) as conn:
        row = products.on_offer(conn, *ref.split("/", 1))
        if row["seller_id"] == org_id:
            raise Conflict("question.own", "This dataset is your own; questions go to other sellers.")
        now, question_id = ex.now(), ids.new("que")
        values = {"id": question_id, "dataset_id": row["dataset_id"], "org_id": org_id, "created_ns": now}
        conn.execute(insert(schema.question).values(**values, newest_ns=now, asker_seen_ns=now))
        return _send(conn, ex, by, question_id, text, now)


def answer(ex: Exchange, by: Actor, question_id: str, text: str) -> Question:
    """Write on in a question of the own organisation, asked or received.

    Raises: Denied, NotFound (`question.unknown`), Conflict (`question.full`), Invalid (`text.malformed`), Limited (`question.too_many`).
    """
    authority.member(by)
    text = _checked(ex, by, text)
    with act(ex, by, f"question:{question_id}") as conn:
        message = schema.question_message.c
        _row(conn, by, question_id)
        if conn.execute(select(func.count()).where(message.question_id == question_id)).scalar_one() >= MOST_MESSAGES:
            raise Conflict("question.full", f"This question has {MOST_MESSAGES} messages; ask a new one.")
        return _send(conn, ex, by, question_id, text, ex.now())


def of(ex: Exchange, by: Actor) -> Sequence[Question]:
    """The questions that the own organisation asked or received, those with something new first; of an operator all.

    Raises: Denied: an auditor.
    """
    _may_look(by)
    with db.read(ex) as conn:
        rows = conn.execute(_questions(by).order_by(schema.question.c.newest_ns.desc()).limit(MOST_LISTED)).mappings()
        return sorted((_question(row, by) for row in rows), key=lambda one: not one.is_unread)


def read(ex: Exchange, by: Actor, question_id: str) -> Question:
    """A question with its messages; from now on it is nothing new to the own organisation.

    Raises: Denied, NotFound (`question.unknown`).
    """
    _may_look(by)
    with db.read(ex) as conn:
        found = _whole(conn, by, question_id)
    if found.is_unread:
        with act(ex, by) as conn:
            _see(conn, by, question_id, found.newest_ns)
    return found


def unread(ex: Exchange, by: Actor) -> int:
    """How many questions hold something new for the own organisation."""
    if by.org_id is None:
        return 0
    question, dataset = schema.question.c, schema.dataset.c
    asked = (question.org_id == by.org_id) & (question.newest_ns > question.asker_seen_ns)
    received = (dataset.org_id == by.org_id) & (question.newest_ns > question.seller_seen_ns)
    query = select(func.count()).select_from(schema.question.join(schema.dataset, dataset.id == question.dataset_id))
    with db.read(ex) as conn:
        return int(conn.execute(query.where(or_(asked, received))).scalar_one())


def _checked(ex: Exchange, by: Actor, text: str) -> str:
    checked = check_text(text.replace("\r\n", "\n"), "text", LONGEST)
    counted = attempts.count(ex, f"questions {by.person_id}", _DAY_S)
    if counted.count > MOST_A_DAY:
        wait = max(1, (counted.ends_ns - ex.now()) // NS)
        raise Limited("question.too_many", f"{MOST_A_DAY} messages a day are enough; go on in {wait} s.", retry_after_s=wait)
    return checked


def _send(conn: Connection, ex: Exchange, by: Actor, question_id: str, text: str, now: int) -> Question:
    """Every message goes through here, and so does the notice of it to the other side."""
    about = {"question_id": question_id, "org_id": by.org_id, "person_id": by.person_id, "text": text, "at_ns": now}
    conn.execute(insert(schema.question_message).values(id=ids.new("msg"), **about))
    conn.execute(update(schema.question).where(schema.question.c.id == question_id).values(newest_ns=now))
    _see(conn, by, question_id, now)
    found = _whole(conn, by, question_id)
    details = {"question": question_id, "text_sha256": hashlib.sha256(text.encode()).hexdigest()}
    entry = AuditEntry(Action.QUESTION_SENT, owner=found.seller, dataset=found.dataset.partition("/")[2], details=details)
    append(conn, ex, by, entry)
    _announce(conn, ex, by, question_id, found.dataset)
    return found


def _announce(conn: Connection, ex: Exchange, by: Actor, question_id: str, dataset: str) -> None:
    """The other side is to know, once for all that comes until it looks."""
    row = _row(conn, by, question_id)
    is_asker = row["org_id"] == by.org_id
    other, seen = (row["seller_id"], row["seller_seen_ns"]) if is_asker else (row["org_id"], row["asker_seen_ns"])
    news = News(NoticeKind.QUESTION, f"{question_id}:{seen}", {"question": question_id, "dataset": dataset})
    outbox.to_orgs(conn, ex, news, [other])


def _see(conn: Connection, by: Actor, question_id: str, until_ns: int) -> None:
    row = conn.execute(select(schema.question).where(schema.question.c.id == question_id)).mappings().one()
    seen = {"asker_seen_ns" if row["org_id"] == by.org_id else "seller_seen_ns": until_ns}
    conn.execute(update(schema.question).where(schema.question.c.id == question_id).values(**seen))


def _may_look(by: Actor) -> None:
    if by.role == "auditor":
        raise Denied("role.member", "Questions are between buyer and seller; an auditor sees in the log that they were sent.")


def _questions(by: Actor) -> Any:
    """Query of the questions that `by` may see."""
    asker, seller = schema.organisation.alias("asker"), schema.organisation.alias("seller")
    question, dataset = schema.question.c, schema.dataset.c
    query = (
        select(schema.question, dataset.slug, dataset.title, dataset.org_id.label("seller_id"))
        .add_columns(asker.c.slug.label("asker"), seller.c.slug.label("seller"))
        .join_from(schema.question, schema.dataset, dataset.id == question.dataset_id)
        .join(asker, asker.c.id == question.org_id)
        .join(seller, seller.c.id == dataset.org_id)
    )
    return query if by.role == "operator" else query.where(or_(question.org_id == by.org_id, dataset.org_id == by.org_id))


def _row(conn: Connection, by: Actor, question_id: str) -> RowMapping:
    row = conn.execute(_questions(by).where(schema.question.c.id == question_id)).mappings().first()
    if row is None:
        raise NotFound("question.unknown", "There is no such question.")
    return row


def _whole(conn: Connection, by: Actor, question_id: str) -> Question:
    row = _row(conn, by, question_id)
    message, org = schema.question_message.c, schema.organisation.c
    query = select(org.slug, message.text, message.at_ns).join_from(schema.question_message, schema.organisation, org.id == message.org_id)
    messages = conn.execute(query.where(message.question_id == question_id).order_by(message.at_ns, message.id))
    return _question(row, by, tuple(QuestionMessage(*one) for one in messages))


def _question(row: RowMapping, by: Actor, messages: Sequence[QuestionMessage] = ()) -> Question:
    is_mine = by.org_id is not None and by.org_id in (row["org_id"], row["seller_id"])
    seen = row["asker_seen_ns"] if row["org_id"] == by.org_id else row["seller_seen_ns"]
    same = {name: row[name] for name in ("id", "title", "asker", "seller", "created_ns", "newest_ns")}
    return Question(**same, dataset=f"{row['seller']}/{row['slug']}", is_unread=is_mine and row["newest_ns"] > seen, messages=messages)
