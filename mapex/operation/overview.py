"""What an operator looks at first: how much there is, and what waits or failed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, func, select

from mapex import authority
from mapex.database import db, schema
from mapex.database.live_offers import live_offers
from mapex.exchange import Actor, Exchange


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts of this moment; `revenue` is KRW paid by buyers in all orders, VAT included."""

    organisations: int
    suspended: int
    persons: int
    offers: int
    orders: int
    revenue: int
    jobs_waiting: int
    jobs_failed: int
    permits: int


def overview(ex: Exchange, by: Actor) -> Overview:
    """The counts.

    Raises: Denied: `by` is no operator.
    """
    authority.operator(by)
    now = ex.now()
    org, job, permit, order = schema.organisation.c, schema.job.c, schema.permit.c, schema.order.c
    is_valid = (permit.state == "active") & (permit.valid_from_ns <= now) & (permit.valid_to_ns > now)
    counts = {
        "organisations": _count(schema.organisation),
        "suspended": _count(schema.organisation, org.state == "suspended"),
        "persons": _count(schema.person),
        "offers": _count(live_offers),
        "orders": _count(schema.order),
        "revenue": select(func.coalesce(func.sum(order.total), 0)).scalar_subquery(),
        "jobs_waiting": _count(schema.job, job.state.in_(("queued", "running"))),
        "jobs_failed": _count(schema.job, job.state == "failed"),
        "permits": _count(schema.permit, is_valid),
    }
    with db.read(ex) as conn:
        row = conn.execute(select(*(count.label(name) for name, count in counts.items()))).mappings().one()
        return Overview(**{name: int(row[name]) for name in counts})


def balances(ex: Exchange, by: Actor) -> dict[str, int]:
    """KRW in the wallet of each organisation, by slug.

    Raises: Denied: `by` is no operator.
    """
    authority.operator(by)
    org, account = schema.organisation.c, schema.ledger_account.c
    wallet = (account.org_id == org.id) & (account.kind == "wallet")
    query = select(org.slug, func.coalesce(account.balance, 0)).join_from(schema.organisation, schema.ledger_account, wallet, isouter=True)
    with db.read(ex) as conn:
        return {str(slug): int(balance) for slug, balance in conn.execute(query)}


def _count(rows: FromClause, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(rows).where(*conditions).scalar_subquery()
