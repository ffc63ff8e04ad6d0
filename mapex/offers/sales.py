"""What a seller earned: by month and dataset, without saying who bought."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from mapex import authority
from mapex.database import db
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


def by_month(ex: Exchange, by: Actor) -> Sequence[Month]:
    """Sales of `by`'s organisation, the newest month first, then by dataset. The amounts are what its wallet was credited.

    Raises: Denied: `by` is of no organisation.
    """
    org_id = authority.member(by)
    # An order has lines of several sellers; which orders concern this one is in what they gave the right to.
    statement = text(
        "SELECT p.id, p.created_ns, p.lines, d.slug AS dataset, CAST(SUM(e.paid) AS bigint) AS tiles FROM entitlement e "
        "JOIN dataset d ON d.id = e.dataset_id JOIN purchase_order p ON p.id = e.order_id WHERE d.org_id = :org "
        "GROUP BY p.id, p.created_ns, p.lines, d.slug"
    )
    found: dict[tuple[str, str], list[int]] = {}
    with db.read(ex) as conn:
        for row in conn.execute(statement, {"org": org_id}):
            lines = [line for line in json.loads(row.lines) if (line["org"], line["dataset"]) == (by.org_slug, row.dataset)]
            sums = found.setdefault((kst_month(row.created_ns), row.dataset), [0, 0, 0])
            sums[0] += 1
            sums[1] += row.tiles
            sums[2] += sum(line["amount"] for line in lines)
    months = [Month(month, dataset, *sums) for (month, dataset), sums in found.items()]
    return sorted(months, key=lambda one: (-int(one.month.replace("-", "")), one.dataset))
