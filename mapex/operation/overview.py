"""What an operator looks at first: how much there is, and what waits or failed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Executable, func, select, text

from mapex import authority
from mapex.database import db
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


_COUNTS: dict[str, Executable] = {
    "organisations": text("SELECT COUNT(*) FROM organisation"),
    "suspended": text("SELECT COUNT(*) FROM organisation WHERE state = 'suspended'"),
    "persons": text("SELECT COUNT(*) FROM person"),
    "offers": select(func.count()).select_from(live_offers),
    "orders": text("SELECT COUNT(*) FROM purchase_order"),
    "revenue": text("SELECT COALESCE(SUM(total), 0) FROM purchase_order"),
    "jobs_waiting": text("SELECT COUNT(*) FROM job WHERE state IN ('queued', 'running')"),
    "jobs_failed": text("SELECT COUNT(*) FROM job WHERE state = 'failed'"),
    "permits": text("SELECT COUNT(*) FROM permit WHERE state = 'active' AND valid_from_ns <= :now AND valid_to_ns > :now"),
}


def overview(ex: Exchange, by: Actor) -> Overview:
    """The counts.

    Raises: Denied: `by` is no operator.
    """
    authority.operator(by)
    with db.read(ex) as conn:
        now = {"now": ex.now()}
        return Overview(**{name: int(conn.execute(query, now).scalar_one()) for name, query in _COUNTS.items()})


def balances(ex: Exchange, by: Actor) -> dict[str, int]:
    """KRW in the wallet of each organisation, by slug.

    Raises: Denied: `by` is no operator.
    """
    authority.operator(by)
    statement = text(
        "SELECT g.slug, COALESCE(a.balance, 0) FROM organisation g LEFT JOIN ledger_account a ON a.org_id = g.id AND a.kind = 'wallet'"
    )
    with db.read(ex) as conn:
        return {str(slug): int(balance) for slug, balance in conn.execute(statement)}
