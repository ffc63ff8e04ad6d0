"""Unmet demand: where buyers asked for a price and nothing was on offer. It shows where and of what kind, never who.

Counted when a quote is asked for, not while the mouse still draws. A place is a cell of zoom 14 (about 2 km), a time is a month.
An organisation counts once a day for a cell and kind: what remembers that for the day is a hash under a secret that is thrown
away with all of the day's hashes at the first question of another day (see docs/decisions/0007).
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

MOST_SHOWN = 5000


@dataclass(frozen=True, slots=True)
class Demand:
    """A cell (Morton number at `DEMAND_ZOOM`) and how often a kind of layer was asked for in vain since a month."""

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
    day = kst_day(ex.now())
    missing = [(cell, kind) for kind in kinds for cell in _uncovered(conn, request.cover, kind)]
    if not missing:
        return
    secret = _secret_of(conn, day)
    for cell, kind in missing:
        token = hmac.new(bytes.fromhex(secret), f"{org_id} {cell} {kind}".encode(), hashlib.sha256).hexdigest()
        values = {"token": token, "cell": cell, "kind": kind, "month": day[:7]}
        seen = conn.execute(text("INSERT INTO demand_seen (token) VALUES (:token) ON CONFLICT (token) DO NOTHING"), values)
        if seen.rowcount:
            conn.execute(
                text(
                    "INSERT INTO demand (cell, kind, month, count) VALUES (:cell, :kind, :month, 1) "
                    "ON CONFLICT (cell, kind, month) DO UPDATE SET count = demand.count + 1"
                ),
                values,
            )


def unmet(ex: Exchange, by: Actor, *, since: str = "") -> Sequence[Demand]:
    """Where and for what kinds buyers asked in vain, from the month `since` (`2026-11`) on; the most asked for first.

    Raises: Denied: `by` is of no organisation.
    """
    authority.member(by)
    statement = text(
        "SELECT cell, kind, CAST(SUM(count) AS bigint) AS asked FROM demand WHERE month >= :since "
        "GROUP BY cell, kind ORDER BY asked DESC, cell, kind LIMIT :most"
    )
    with db.read(ex) as conn:
        return [Demand(int(row[0]), row[1], int(row[2])) for row in conn.execute(statement, {"since": since, "most": MOST_SHOWN})]


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


def _secret_of(conn: Connection, day: str) -> str:
    """The secret of this day; those of other days are gone with everything that was hashed under them."""
    db.take_turns(conn, "demand")
    secret = conn.execute(select(demand_day.c.secret).where(demand_day.c.day == day)).scalar()
    if secret is None:
        conn.execute(delete(demand_day))
        conn.execute(delete(demand_seen))
        secret = secrets.token_hex(32)
        conn.execute(insert(demand_day).values(day=day, secret=secret))
    return str(secret)
