"""Named users: who of the buyer's organisation may download an order. An order that names nobody is open to all of them; one with
original footage names somebody.

The rule is asked at every grant; addresses that are out end when somebody loses the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select

from mapex import authority
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import order, order_line, order_person, person
from mapex.errors import Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import signers
from mapex.rules.licences import HandlingClass

MOST = 200


def of_order(ex: Exchange, by: Actor, order_id: str) -> Sequence[str]:
    """E-mails of the named users of an own order, sorted; none = everybody of the organisation.

    Raises: NotFound: `order.unknown`.
    """
    org_id = authority.member(by)
    with db.read(ex) as conn:
        _orderer(conn, org_id, order_id)
        return _named(conn, order_id)


def change(ex: Exchange, by: Actor, order_id: str, emails: Sequence[str]) -> Sequence[str]:
    """Name others instead, or nobody; answers who is named now. Only the one who ordered and those who are named may do it;
    anybody of the organisation when none of the named is left.

    Raises: NotFound: `order.unknown`. Denied: `order.not_named`. Invalid: `order.persons`, `order.persons_needed`.
    """
    org_id = authority.member(by)
    wanted = sorted({email.strip().lower() for email in emails})
    with signers.retiring(ex) as retire, act(ex, by, f"named:{order_id}") as conn:
        if _orderer(conn, org_id, order_id) != by.person_id and _somebody_is_left(conn, org_id, order_id):
            check(conn, order_id, by)
        before = _named(conn, order_id)
        check_enough(wanted, conn.execute(select(order_line.c.handling_class).where(order_line.c.order_id == order_id)).scalars())
        if wanted != before:
            conn.execute(delete(order_person).where(order_person.c.order_id == order_id))
            put(conn, ex, by, order_id, wanted)
            if wanted and (not before or not set(before) <= set(wanted)):
                retire(conn, [org_id])
    return wanted


def check(conn: Connection, order_id: str, by: Actor) -> None:
    """Pass when `by` may download the order as far as named users go.

    Raises: Denied: `order.not_named`.
    """
    named = conn.execute(select(order_person.c.person_id).where(order_person.c.order_id == order_id)).scalars().all()
    if named and by.person_id not in named:
        raise Denied(
            "order.not_named",
            f"Order {order_id} names who may use it, and {by.email} is not among them. Ask one of them to name you.",
            order=order_id,
        )


def is_for_named(classes: Iterable[str]) -> bool:
    """Whether anything of these handling classes may be downloaded by named persons alone."""
    return HandlingClass.ORIGINAL in set(classes)


def check_enough(emails: Sequence[str], classes: Iterable[str]) -> None:
    """Pass when somebody is named, or nothing of an order is of a class that is for named persons.

    Raises: Invalid: `order.persons_needed`.
    """
    if not emails and is_for_named(classes):
        raise Invalid(
            "order.persons_needed",
            "Original footage is for named persons. Name by e-mail who of your organisation may download it.",
        )


def put(conn: Connection, ex: Exchange, by: Actor, order_id: str, emails: Sequence[str]) -> None:
    """Name these users of an order that names none yet, and log it.

    Raises: Invalid: `order.persons`: not active members of the organisation, or too many.
    """
    found = members(conn, by.org_id, emails)
    if found:
        conn.execute(insert(order_person), [{"order_id": order_id, "person_id": found[email]} for email in emails])
    append(conn, ex, by, AuditEntry(Action.ORDER_NAMED, owner=by.org_slug, details={"order": order_id, "persons": list(emails)}))


def members(conn: Connection, org_id: str | None, emails: Sequence[str]) -> Mapping[str, str]:
    """The ids of these persons by e-mail, who are all active members of the organisation.

    Raises: Invalid: `order.persons`: one is none, or they are too many.
    """
    query = select(person.c.id, person.c.email).where(
        person.c.email.in_(list(emails)[: MOST + 1]), person.c.org_id == org_id, person.c.state == "active"
    )
    found = {row.email: row.id for row in conn.execute(query)}
    unknown = [email for email in emails if email not in found]
    if len(emails) > MOST or unknown:
        named = f"{unknown[0]!r} is none" if unknown else f"{len(emails)} are too many"
        raise Invalid("order.persons", f"Name up to {MOST} active members of your organisation by their e-mail: {named}.", persons=unknown)
    return found


def _orderer(conn: Connection, org_id: str, order_id: str) -> str:
    found: str | None = conn.execute(select(order.c.person_id).where(order.c.id == order_id, order.c.org_id == org_id)).scalar()
    if found is None:
        raise NotFound("order.unknown", f"There is no order {order_id!r} of your organisation.", order=order_id)
    return found


def _somebody_is_left(conn: Connection, org_id: str, order_id: str) -> bool:
    """Whether one of those who are named still acts for the organisation; if not, nobody could ever name another one."""
    named = select(person.c.id).join(order_person, order_person.c.person_id == person.c.id).where(order_person.c.order_id == order_id)
    return conn.execute(named.where(person.c.org_id == org_id, person.c.state == "active")).first() is not None


def _named(conn: Connection, order_id: str) -> list[str]:
    query = select(person.c.email).join(order_person, order_person.c.person_id == person.c.id).where(order_person.c.order_id == order_id)
    return sorted(conn.execute(query).scalars())
