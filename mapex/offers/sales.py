"""What a seller sold: by month and dataset, without saying who bought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, select

from mapex import authority
from mapex.database import db
from mapex.database.schema import dataset, entitlement, order, order_line
from mapex.exchange import Actor, Exchange
from mapex.times import kst_month


@dataclass(frozen=True, slots=True)
class Month:
    """Sales of one dataset in one month (`2026-11`, Korean time): `tiles` that were paid for, `amount` in KRW without VAT."""

    month: str
    dataset: str
    orders: int
    tiles: int
    amount: int


@dataclass(frozen=True, slots=True)
class MonthTotal:
    """Sales of all datasets in one month. An order of several of them counts once."""

    month: str
    orders: int
    tiles: int
    amount: int


def by_month(ex: Exchange, by: Actor) -> Sequence[Month]:
    """Sales of `by`'s organisation, the newest month first, then by dataset.

    The amounts are before the fee of the exchange, and before what a recall returned (`mapex.orders.settlements`).

    Raises: Denied: `by` is of no organisation.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for row in _sold(ex, authority.member(by)):
        sums = found.setdefault((kst_month(row.created_ns), row.slug), [0, 0, 0])
        sums[0] += 1
        sums[1] += int(row.tiles)
        sums[2] += int(row.amount)
    months = [Month(month, slug, *sums) for (month, slug), sums in found.items()]
    return sorted(months, key=lambda one: (-int(one.month.replace("-", "")), one.dataset))


def totals(ex: Exchange, by: Actor) -> Sequence[MonthTotal]:
    """As `by_month`, over all datasets.

    Raises: Denied.
    """
    orders: dict[str, set[str]] = {}
    sums: dict[str, list[int]] = {}
    for row in _sold(ex, authority.member(by)):
        month = kst_month(row.created_ns)
        orders.setdefault(month, set()).add(row.id)
        both = sums.setdefault(month, [0, 0])
        both[0] += int(row.tiles)
        both[1] += int(row.amount)
    return [MonthTotal(month, len(orders[month]), *sums[month]) for month in sorted(orders, reverse=True)]


def _sold(ex: Exchange, org_id: str) -> Iterator[Row[Any, Any, Any, Any, Any]]:
    """What was paid for each dataset of an organisation in each order."""
    amounts = (
        select(order_line.c.order_id, order_line.c.dataset_id, func.sum(order_line.c.amount).label("amount"))
        .join(dataset)
        .where(dataset.c.org_id == org_id)
        .group_by(order_line.c.order_id, order_line.c.dataset_id)
        .subquery()
    )
    paid = (
        select(entitlement.c.order_id, entitlement.c.dataset_id, func.sum(entitlement.c.paid).label("tiles"))
        .join(dataset)
        .where(dataset.c.org_id == org_id)
        .group_by(entitlement.c.order_id, entitlement.c.dataset_id)
        .subquery()
    )
    query = (
        select(order.c.id, order.c.created_ns, dataset.c.slug, paid.c.tiles, amounts.c.amount)
        .join_from(amounts, paid, and_(paid.c.order_id == amounts.c.order_id, paid.c.dataset_id == amounts.c.dataset_id))
        .join(order, order.c.id == amounts.c.order_id)
        .join(dataset, dataset.c.id == amounts.c.dataset_id)
    )
    with db.read(ex) as conn:
        yield from conn.execute(query)
