"""Unmet demand: where buyers asked for a price and nothing was on offer. It shows where and of what kind, never who.

Counted when a quote is asked for, not while the mouse still draws. A place is a cell of zoom 14 (about 2 km), a time is a month.
An organisation counts once a month for a cell and kind: what remembers that for the month is a hash under a secret that is thrown
away with all of the month's hashes at the first question of another month. So `firms` is a number of organisations, and it is shown
when its month is over and at least `FEWEST` asked: no single question can be seen. What versions before counted, once a day for an
organisation and shown at once, stays shown (see docs/decisions/0007).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, text

from mapex import authority
from mapex.database import db
from mapex.database.schema import demand_day, demand_seen
from mapex.exchange import Actor, Exchange
from mapex.prices.request import PriceRequest
from mapex.pyramid.cell_sums import join_ranges, with_ranges
from mapex.times import kst_day
from tiles.batch import LayerKind
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM

DEMAND_ZOOM = 14
"""About 2 km in Korea: coarse enough that a drawn area is not given away."""

ANY = "any"
"""The kind of a question that named no layers: nothing at all was on offer there."""

MOST_CELLS = 4096
"""Sale cells of a question that is counted: a larger one (a province) names no place that anybody could go and map."""

FEWEST = 3
"""Organisations that asked for a kind in a cell in one month, below which nothing is shown of it."""

MOST_SHOWN = 5000


@dataclass(frozen=True, slots=True)
class Demand:
    """A cell (Morton number at `DEMAND_ZOOM`) and how many asked for a kind of layer in vain, summed over months since one."""

    cell: int
    kind: str
    count: int


def record(conn: Connection, ex: Exchange, org_id: str, request: PriceRequest) -> None:
    """Count what an organisation asked for and nobody offers, in the caller's transaction.

    A question for one dataset is about that dataset, and counts for nothing.
    """
    if request.dataset is not None or not 0 < request.cover.count <= MOST_CELLS:
        return
    kinds = [str(kind) for kind in LayerKind if kind in request.layers] if request.layers else [ANY]
    month = _month(ex)
    missing = [(cell, kind) for kind in kinds for cell in _uncovered(conn, request.cover, kind)]
    if not missing:
        return
    secret = _secret_of(conn, month)
    for cell, kind in missing:
        token = hmac.new(bytes.fromhex(secret), f"{org_id} {cell} {kind}".encode(), hashlib.sha256).hexdigest()
        values = {"token": token, "cell": cell, "kind": kind, "month": month}
        seen = conn.execute(text("INSERT INTO demand_seen (token) VALUES (:token) ON CONFLICT (token) DO NOTHING"), values)
        if seen.rowcount:
            conn.execute(
                text(
                    "INSERT INTO demand (cell, kind, month, count, firms) VALUES (:cell, :kind, :month, 1, 1) "
                    "ON CONFLICT (cell, kind, month) DO UPDATE SET count = demand.count + 1, firms = demand.firms + 1"
                ),
                values,
            )


def unmet(ex: Exchange, by: Actor, *, since: str = "") -> Sequence[Demand]:
    """Where and for what kinds several buyers asked in vain, from the month `since` (`2026-11`) to the last that is over; the most first.

    Raises: Denied: `by` is of no organisation.
    """
    authority.member(by)
    statement = text(
        "SELECT cell, kind, CAST(SUM(shown) AS bigint) AS asked FROM (SELECT cell, kind, count - firms + "
        "CASE WHEN month < :now AND firms >= :fewest THEN firms ELSE 0 END AS shown FROM demand WHERE month >= :since) AS each_month "
        "GROUP BY cell, kind HAVING SUM(shown) > 0 ORDER BY asked DESC, cell, kind LIMIT :most"
    )
    values = {"since": since, "now": _month(ex), "fewest": FEWEST, "most": MOST_SHOWN}
    with db.read(ex) as conn:
        return [Demand(int(row[0]), row[1], int(row[2])) for row in conn.execute(statement, values)]


def _uncovered(conn: Connection, asked: Cover, kind: str) -> Iterable[int]:
    """Cells of `DEMAND_ZOOM` in which at least one asked sale cell has no layer of this kind on offer, ascending."""
    import numpy as np

    head, values = with_ranges(conn, [(ZOOM, asked.ranges)])
    table = "kind_sum"
    condition = "" if kind == ANY else "s.kind = :kind"
    rows = conn.execute(text(f"{head} SELECT DISTINCT s.cell FROM {join_ranges(conn, table, condition)}"), {**values, "kind": str(kind)})
    covered = np.array([int(row[0]) for row in rows], dtype=np.uint64)
    left = asked.difference(Cover.from_cells(covered)) if len(covered) else asked
    found: list[int] = left.at(DEMAND_ZOOM).cells().tolist() if left.count else []
    return found


def _month(ex: Exchange) -> str:
    return kst_day(ex.now())[:7]


def _secret_of(conn: Connection, month: str) -> str:
    """The secret of this month; those of other months are gone with everything that was hashed under them."""
    db.take_turns(conn, "demand")
    secret = conn.execute(select(demand_day.c.secret).where(demand_day.c.day == month)).scalar()
    if secret is None:
        conn.execute(delete(demand_day))
        conn.execute(delete(demand_seen))
        secret = secrets.token_hex(32)
        conn.execute(insert(demand_day).values(day=month, secret=secret))
    return str(secret)
