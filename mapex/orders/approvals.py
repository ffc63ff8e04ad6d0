"""Approvals: who may not pay a quote asks those who may; one of them pays it (`mapex.orders.orders.place`) or refuses with a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from mapex import authority, ids
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import approval, person, quote
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.notices import outbox
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import News
from mapex.people import purchase_rights
from mapex.prices import quotes
from mapex.rights import named_users
from mapex.texts import check_text

LONGEST = 1000
"""Characters of a note or a reason."""
STATES = ("open", "paid", "refused", "withdrawn")
MOST = 1000


@dataclass(frozen=True, slots=True)
class Approval:
    """A request to pay a quote. `asker` and `ender` are e-mails; `persons` those who shall download; `order` what it was paid as."""

    id: str
    quote: str
    asker: str
    note: str
    persons: tuple[str, ...]
    state: str
    created_ns: int
    name: str
    total: int
    expires_ns: int
    ended_ns: int | None = None
    ender: str = ""
    reason: str = ""
    order: str | None = None


def ask(ex: Exchange, by: Actor, quote_id: str, note: str, *, persons: Sequence[str] = ()) -> Approval:
    """Ask those of the own organisation who may pay to pay a quote.

    Raises:
        NotFound: `quote.unknown`. Invalid: `text.malformed` (no note), `order.persons`, `order.persons_needed`.
        Conflict: `quote.bought`, `quote.expired`, `approval.open` (the quote is asked for already).
    """
    org_id = authority.member(by)
    note = check_text(note, "note", LONGEST)
    named = sorted({email.strip().lower() for email in persons})
    with act(ex, by, purchase_rights.turn_of(org_id)) as conn:
        held = quotes.load(conn, ex, org_id, quote_id)
        quotes.check_open(held, ex.now())
        if (before := _open_one(conn, held.id)) is not None:
            raise Conflict("approval.open", "Approval for this quote was asked already; wait for the answer.", approval=before)
        named_users.members(conn, org_id, named)
        named_users.check_enough(named, (line.handling_class for line in held.estimate.lines))
        made = {"id": ids.new("apr"), "quote_id": held.id, "asker_id": by.person_id, "note": note, "persons": json.dumps(named)}
        conn.execute(insert(approval).values(**made, org_id=org_id, state="open", created_ns=ex.now()))
        details = {"approval": made["id"], "quote": held.id, "total": held.estimate.total, "note": note}
        append(conn, ex, by, AuditEntry(Action.APPROVAL_ASKED, purpose=str(held.estimate.purpose), details=details))
        payers = purchase_rights.who_may_pay(conn, org_id) - {by.person_id}
        outbox.to_persons(conn, ex, News(NoticeKind.APPROVAL, made["id"], {"quote": held.id}), payers)
        return _get(conn, org_id, made["id"])


def close(ex: Exchange, by: Actor, approval_id: str, reason: str = "") -> Approval:
    """Refuse a request, with a reason; who asked withdraws it.

    Raises:
        NotFound: `approval.unknown`: absent or foreign. Denied: `purchase.right`: no approver, and did not ask.
        Conflict: `approval.ended`. Invalid: `text.malformed` (no reason).
    """
    org_id = authority.member(by)
    with act(ex, by, purchase_rights.turn_of(org_id)) as conn:
        found = _get(conn, org_id, approval_id)
        is_own = found.asker == by.email
        if not is_own and not purchase_rights.right_of(conn, by.person_id, org_id).may_pay:
            raise Denied("purchase.right", "You may not pay for your organisation, and so not refuse it either; ask who may.")
        if found.state != "open":
            raise Conflict("approval.ended", f"This request is {found.state} already.", state=found.state)
        reason = check_text(reason, "reason", LONGEST) if reason.strip() or not is_own else ""
        state = "withdrawn" if is_own else "refused"
        values = {"state": state, "ended_ns": ex.now(), "ender_id": by.person_id, "reason": reason}
        conn.execute(update(approval).where(approval.c.id == found.id).values(**values))
        action = Action.APPROVAL_WITHDRAWN if is_own else Action.APPROVAL_REFUSED
        append(conn, ex, by, AuditEntry(action, details={"approval": found.id, "quote": found.quote, "reason": reason}))
        if not is_own:
            _answer(conn, ex, found.id, {"news": state, "quote": found.quote})
        return _get(conn, org_id, found.id)


def follow(ex: Exchange, by: Actor, before: str, now: str) -> None:
    """The open request for the quote `before`, if there is one, is from now on for the quote `now`, which asked for its price anew."""
    org_id = authority.member(by)
    with act(ex, by, purchase_rights.turn_of(org_id)) as conn:
        found = _open_one(conn, before)
        if found is None:
            return
        conn.execute(update(approval).where(approval.c.id == found).values(quote_id=now))
        append(conn, ex, by, AuditEntry(Action.APPROVAL_RENEWED, details={"approval": found, "before": before, "quote": now}))


def settle(conn: Connection, ex: Exchange, by: Actor, quote_id: str, order_id: str) -> Approval | None:
    """The open request for a quote is paid by this order, in its transaction; None: nobody asked."""
    found = _open_one(conn, quote_id)
    if found is None:
        return None
    values = {"state": "paid", "ended_ns": ex.now(), "ender_id": by.person_id, "order_id": order_id}
    conn.execute(update(approval).where(approval.c.id == found).values(**values))
    _answer(conn, ex, found, {"news": "paid", "order": order_id})
    return _get(conn, by.org_id or "", found)


def of(ex: Exchange, by: Actor, *, state: str = "", quote_id: str = "") -> list[Approval]:
    """Requests of `by`'s organisation, newest first. Raises: Invalid: `approval.state`."""
    org_id = authority.member(by)
    if state and state not in STATES:
        raise Invalid("approval.state", f"`state` must be one of {', '.join(STATES)}, not {state!r}.", state=state)
    query = _rows().where(approval.c.org_id == org_id)
    if state:
        query = query.where(approval.c.state == state)
    if quote_id:
        query = query.where(approval.c.quote_id == quote_id)
    with db.read(ex) as conn:
        rows = conn.execute(query.order_by(approval.c.created_ns.desc(), approval.c.id).limit(MOST)).mappings().all()
    return [_approval(row) for row in rows]


def waiting(ex: Exchange, by: Actor) -> int:
    """How many requests of others wait for `by`, who may pay; nobody else has any."""
    if by.role != "member" or by.org_id is None:
        return 0
    theirs = (approval.c.org_id == by.org_id, approval.c.state == "open", approval.c.asker_id != by.person_id)
    with db.read(ex) as conn:
        count = conn.execute(select(func.count()).where(*theirs)).scalar_one()
        return count if count and purchase_rights.right_of(conn, by.person_id, by.org_id).may_pay else 0


def _answer(conn: Connection, ex: Exchange, approval_id: str, about: Mapping[str, str]) -> None:
    """What became of a request, to who asked."""
    asker = conn.execute(select(approval.c.asker_id).where(approval.c.id == approval_id)).scalar_one()
    outbox.to_persons(conn, ex, News(NoticeKind.APPROVAL, f"{approval_id}:{about['news']}", about), [asker])


def _open_one(conn: Connection, quote_id: str) -> str | None:
    query = select(approval.c.id).where(approval.c.quote_id == quote_id, approval.c.state == "open")
    return conn.execute(query).scalar()


def _get(conn: Connection, org_id: str, approval_id: str) -> Approval:
    row = conn.execute(_rows().where(approval.c.id == approval_id, approval.c.org_id == org_id)).mappings().first()
    if row is None:
        raise NotFound("approval.unknown", f"There is no request {approval_id!r} of your organisation.", approval=approval_id)
    return _approval(row)


def _rows() -> Any:
    asker, ender = person.alias("asker"), person.alias("ender")
    names = (quote.c.name, quote.c.total, quote.c.expires_ns, asker.c.email.label("asker"), ender.c.email.label("ender"))
    joined = approval.join(quote, quote.c.id == approval.c.quote_id).join(asker, asker.c.id == approval.c.asker_id)
    return select(approval, *names).select_from(joined.outerjoin(ender, ender.c.id == approval.c.ender_id))


def _approval(row: RowMapping) -> Approval:
    plain = ("id", "asker", "note", "state", "created_ns", "name", "total", "expires_ns", "ended_ns", "reason")
    values = {name: row[name] for name in plain}
    persons = tuple(json.loads(row["persons"]))
    return Approval(**values, quote=row["quote_id"], order=row["order_id"], ender=row["ender"] or "", persons=persons)
