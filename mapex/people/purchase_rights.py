"""Who of an organisation may pay, and how much; who has no right asks those who have (`mapex.orders.approvals`).

Without a row a person may pay everything. The operator sets rights, and members who may pay without limit; one of these always stays.
Whoever a member invites who is none of them may pay nothing at first, or that member could pay through another address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, select, text, true

from mapex import authority
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import order, person, purchase_right
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people.persons import Person, check_email, find_person
from mapex.rules.bounds import MAX_AMOUNT
from mapex.times import kst_month_start


@dataclass(frozen=True, slots=True)
class Right:
    """What a person may pay, in KRW with VAT; None: no limit."""

    may_pay: bool = True
    order_limit: int | None = None
    month_limit: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the person may pay without limit: it approves what others ask for, and sets rights."""
        return self.may_pay and self.order_limit is None and self.month_limit is None

    @property
    def about(self) -> dict[str, Any]:
        """The right as the log names it."""
        return {"may_pay": self.may_pay, "order_limit": self.order_limit, "month_limit": self.month_limit}


WHOLE, NONE = Right(), Right(may_pay=False)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The right of a person, and what it paid this month in Korea."""

    right: Right
    spent: int

    def barrier(self, total: int) -> str:
        """Why the person may not pay `total` KRW: `right`, `order_limit`, `month_limit`; nothing: it may. 0 KRW are within any limit."""
        if not self.right.may_pay:
            return "right"
        if self.right.order_limit is not None and total > self.right.order_limit:
            return "order_limit"
        is_over = self.right.month_limit is not None and self.spent + total > self.right.month_limit
        return "month_limit" if total and is_over else ""


def turn_of(org_id: str) -> str:
    """Whoever orders for an organisation, or changes who may, takes this turn: a sum of the month stays as it was read."""
    return f"orders:{org_id}"


def right_of(conn: Connection, person_id: str, org_id: str) -> Right:
    """What a person may pay in an organisation."""
    known = purchase_right.c
    row = conn.execute(select(purchase_right).where(known.person_id == person_id, known.org_id == org_id)).first()
    return Right(row.may_pay, row.order_limit, row.month_limit) if row else WHOLE


def who_may_pay(conn: Connection, org_id: str) -> set[str]:
    """Ids of the members of an organisation who may pay, in the caller's transaction."""
    right = purchase_right.c
    joined = person.outerjoin(purchase_right, and_(right.person_id == person.c.id, right.org_id == person.c.org_id))
    may = func.coalesce(right.may_pay, true()).is_(True)
    return set(conn.execute(select(person.c.id).select_from(joined).where(person.c.org_id == org_id, may)).scalars())


def allowance(ex: Exchange, by: Actor) -> Allowance:
    """What `by` may pay, and paid this month. Raises: Denied: no member."""
    org_id = authority.member(by)
    with db.read(ex) as conn:
        return Allowance(right_of(conn, by.person_id, org_id), _spent(conn, by.person_id, org_id, ex.now()))


def of_members(ex: Exchange, by: Actor) -> Mapping[str, Right]:
    """The rights of the members of `by`'s organisation by e-mail, for an operator of all members. Raises: Denied: anybody else."""
    whose = () if by.role == "operator" else (person.c.org_id == authority.member(by),)
    joined = person.outerjoin(purchase_right, and_(purchase_right.c.person_id == person.c.id, purchase_right.c.org_id == person.c.org_id))
    columns = purchase_right.c
    query = select(person.c.email, columns.may_pay, columns.order_limit, columns.month_limit).select_from(joined)
    with db.read(ex) as conn:
        rows = conn.execute(query.where(person.c.role == "member", *whose)).all()
    return {email: WHOLE if may_pay is None else Right(may_pay, *limits) for email, may_pay, *limits in rows}


def check(conn: Connection, by: Actor, org_id: str, total: int, now: int) -> None:
    """Pass when `by` may pay `total` KRW now. The caller holds the turn of the organisation.

    Raises: Denied: `purchase.right`, `purchase.order_limit`, `purchase.month_limit`.
    """
    mine = Allowance(right_of(conn, by.person_id, org_id), _spent(conn, by.person_id, org_id, now))
    barrier = mine.barrier(total)
    if not barrier:
        return
    once, month = mine.right.order_limit, mine.right.month_limit
    sentences = {
        "right": "You may not pay for your organisation; ask for approval.",
        "order_limit": f"You may pay at most {once} KRW for one order, and this one costs {total} KRW; ask for approval.",
        "month_limit": f"Of {month} KRW a month you have paid {mine.spent} KRW, and this costs {total} KRW; ask for approval.",
    }
    details = {"total": total, "order_limit": once, "month_limit": month, "spent": mine.spent}
    raise Denied(f"purchase.{barrier}", sentences[barrier], **details)


def set_right(ex: Exchange, by: Actor | None, email: str, right: Right) -> Right:
    """Let a member pay, or no more, or up to limits; effective on the next order.

    Raises:
        Denied: `purchase.approver`: neither operator nor a member who may pay without limit; `session.stale`.
        NotFound: `person.unknown`: absent, foreign, or no member. Invalid: `purchase.limit`.
        Conflict: `purchase.last`: nobody else of the organisation could pay without limit.
    """
    authority.confirmed_by_factor(ex, by)
    email, right = check_email(email), _checked(right)
    with db.read(ex) as conn:
        org_id = _place(conn, by, email).org_id or ""
    with act(ex, by, turn_of(org_id)) as conn:
        check_approver(conn, by)
        whose = _place(conn, by, email)
        if whose.org_id != org_id:  # it went elsewhere meanwhile
            raise NotFound("person.unknown", "There is no such person.")
        if right_of(conn, whose.id, org_id) != right:
            if not right.is_whole:
                _keep_an_approver(conn, whose)
            _write(conn, whose.id, org_id, right)
            append(conn, ex, by, AuditEntry(Action.RIGHT_SET, owner=whose.org_slug, details={"subject": email, **right.about}))
    return right


def start(conn: Connection, ex: Exchange, who: Actor, invited: Person, inviter_id: str | None) -> None:
    """Give a person who comes by an invitation the right that its inviter can give, in the caller's transaction."""
    if invited.org_id is None or inviter_id is None:
        return
    inviter = conn.execute(select(person.c.role, person.c.org_id).where(person.c.id == inviter_id)).one()
    if inviter.role == "operator" or right_of(conn, inviter_id, invited.org_id).is_whole:
        return
    _write(conn, invited.id, invited.org_id, NONE)
    append(conn, ex, who, AuditEntry(Action.RIGHT_SET, owner=invited.org_slug, details={"subject": invited.email, **NONE.about}))


def check_approver(conn: Connection, by: Actor | None) -> None:
    """Pass for the operator, and for a member who may pay without limit.

    Raises: Denied: `purchase.approver`.
    """
    if by is None or by.role == "operator":
        return
    if not right_of(conn, by.person_id, authority.member(by)).is_whole:
        sentence = "Only a member who may pay without limit can do this; ask one of your organisation, or the operator."
        raise Denied("purchase.approver", sentence)


def _place(conn: Connection, by: Actor | None, email: str) -> Person:
    found = find_person(conn, email)
    is_ours = by is None or by.role == "operator" or found.org_id == by.org_id
    if found.org_id is None or not is_ours:
        raise NotFound("person.unknown", "There is no such person.")
    return found


def _keep_an_approver(conn: Connection, leaving: Person) -> None:
    if leaving.state != "active" or not right_of(conn, leaving.id, leaving.org_id or "").is_whole:
        return
    others = select(person.c.id).where(person.c.org_id == leaving.org_id, person.c.state == "active", person.c.id != leaving.id)
    if not any(right_of(conn, other, leaving.org_id or "").is_whole for other in conn.execute(others).scalars()):
        sentence = f"{leaving.email} is the only one of {leaving.org_slug} who may pay without limit; let somebody else do so first."
        raise Conflict("purchase.last", sentence, email=leaving.email)


def _checked(right: Right) -> Right:
    for limit in (right.order_limit, right.month_limit):
        if limit is not None and not 0 < limit <= MAX_AMOUNT:
            raise Invalid("purchase.limit", f"A limit is a whole number of KRW from 1 to {MAX_AMOUNT}, or none.", limit=str(limit))
    return right if right.may_pay else NONE


def _write(conn: Connection, person_id: str, org_id: str, right: Right) -> None:
    statement = (
        "INSERT INTO purchase_right (person_id, org_id, may_pay, order_limit, month_limit) VALUES (:person, :org, :may, :once, :month) "
        "ON CONFLICT (person_id, org_id) DO UPDATE SET may_pay = :may, order_limit = :once, month_limit = :month"
    )
    values = {"person": person_id, "org": org_id, "may": right.may_pay, "once": right.order_limit, "month": right.month_limit}
    conn.execute(text(statement), values)


def _spent(conn: Connection, person_id: str, org_id: str, now: int) -> int:
    """What a person paid for an organisation this month in Korea; what a recall returned stays spent."""
    mine = (order.c.person_id == person_id, order.c.org_id == org_id, order.c.created_ns >= kst_month_start(now))
    return int(conn.execute(select(func.sum(order.c.total)).where(*mine)).scalar() or 0)
