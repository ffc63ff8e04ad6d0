"""What a buyer paid before, under narrower terms, for the tiles of offers that credit it: a wider use then costs the difference.

A tile counts when the buyer holds the same content of the same layer for a use that the one on sale covers, paid for it, and neither owns
it for that use already nor gets it for nothing (`mapex.pyramid.unbilled`). What was paid for it is its part of the line on which it was
billed: the amount, and what was credited there itself, so that it moves on with each wider use. It is credited once: `credited_tile` has
each entitlement at most once, for all time.
What was returned counts no more: tiles of a recalled version, and what was credited on a line to which any such tile was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, String, bindparam, text

from mapex import authority
from mapex.pyramid import cell_sums, owned, unbilled
from mapex.pyramid.live_layers import LiveLayer
from mapex.pyramid.unbilled import Owner
from mapex.rules import terms
from mapex.rules.pricing import UNITS, part_of
from tiles.arrays import UInt64s
from tiles.grid.grid import ZOOM

Key = TypeVar("Key")

_SAME_TILE = "{0}.cell = e.cell AND {0}.part = e.part AND {0}.sha256 = e.sha256"

# CROSS JOIN keeps SQLite to this order, so that the index (organisation, dataset, cell) of what is held answers each range.
_EARLIER = (
    "layer l CROSS JOIN offer o CROSS JOIN r CROSS JOIN entitlement e CROSS JOIN tile t CROSS JOIN offer f "
    "WHERE l.id IN :layers AND o.version_id = l.version_id AND o.state = 'live' AND o.credits_earlier "
    "AND e.org_id = :org AND e.dataset_id = o.dataset_id AND e.cell >= r.lo AND e.cell < r.hi AND e.layer_name = l.name "
    f"AND e.purpose IN :covered AND e.paid = 1 AND e.state = 'active' AND t.layer_id = l.id AND {_SAME_TILE.format('t')} "
    "AND f.id = e.offer_id AND EXISTS (SELECT 1 FROM licences k WHERE k.held = o.licence AND k.wanted = f.licence) "
    "AND NOT EXISTS (SELECT 1 FROM credited_tile c WHERE c.entitlement_id = e.id) "
    "AND NOT EXISTS (SELECT 1 FROM entitlement h JOIN offer b ON b.id = h.offer_id "
    "JOIN licences k ON k.held = b.licence AND k.wanted = o.licence WHERE h.org_id = e.org_id AND h.dataset_id = e.dataset_id "
    f"AND h.layer_name = e.layer_name AND {_SAME_TILE.format('h')} AND h.purpose IN :covering AND h.state = 'active')"
)
"""The tiles `e` of earlier orders that count for offers `o` in the ranges."""

PART = "CASE n.unit " + " ".join(f"WHEN '{unit}' THEN p.{unit.column}" for unit in UNITS.values()) + " END"
"""What a tile `p` counts in the unit of a line `n`."""

RETURNED = (
    "returned(order_id, dataset_id, layer) AS (SELECT c.order_id, e.dataset_id, e.layer_name FROM credited_tile c "
    "JOIN entitlement e ON e.id = c.entitlement_id AND e.state = 'recalled' UNION SELECT c.order_id, e.dataset_id, e.layer_name "
    "FROM returned b JOIN entitlement e ON e.order_id = b.order_id AND e.dataset_id = b.dataset_id AND e.layer_name = b.layer "
    "JOIN credited_tile c ON c.entitlement_id = e.id)"
)
"""A table for a WITH RECURSIVE: the layers of orders to which something was credited that was returned since, over however many orders."""

BILLED = (
    "JOIN order_line n ON n.order_id = e.order_id AND n.dataset_id = e.dataset_id AND n.layer = e.layer_name AND n.amount + n.earlier > 0 "
    "JOIN tile p ON p.layer_id = e.layer_id AND p.cell = e.cell AND p.part = e.part"
)
"""The lines `n` on which tiles `e` were billed for anything, and the tiles `p` as they were when they were bought."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What one organisation paid before, seen for one purpose at one time; in the caller's transaction."""

    conn: Connection
    owner: Owner

    def of_layers(self, offers: Iterable[LiveLayer], ranges: UInt64s) -> Mapping[str, int]:
        """KRW by layer id, for the tiles in the sale-zoom ranges; layers of which nothing counts are left out."""
        return _added((layer_id, amount) for _, layer_id, amount in self._parts(offers, ranges, "0"))

    def of_cells(self, offers: Iterable[LiveLayer], ranges: UInt64s) -> Mapping[tuple[int, str], int]:
        """KRW by cell and layer id; rounded down cell by cell, the sum of many is not exactly that of the layer."""
        return _added(((cell, layer_id), amount) for cell, layer_id, amount in self._parts(offers, ranges, "e.cell"))

    def take(self, order_id: str, layer_ids: Collection[str], ranges: UInt64s) -> None:
        """Note that what counts for these layers was credited to an order whose lines are stored, and whose tiles are not yet."""
        used = (
            "EXISTS (SELECT 1 FROM order_line n WHERE n.order_id = :order AND n.dataset_id = o.dataset_id AND n.layer = l.name "
            "AND n.earlier > 0)"
        )
        head = "INSERT INTO credited_tile (entitlement_id, order_id) SELECT e.id, :order"
        self._ask(f"{head} FROM {self._counting()} AND {used}", layer_ids, ranges, order=order_id)

    def _parts(self, offers: Iterable[LiveLayer], ranges: UInt64s, cell: str) -> Iterable[tuple[int, str, int]]:
        """Cell, layer id and KRW of each line of an order in which tiles were bought that count."""
        layer_ids = [one.layer_id for one in offers if one.credits_earlier]
        if not layer_ids or not len(ranges) or self.owner.org_id == authority.NOBODY:
            return
        counted = f"SELECT e.*, l.id AS wanted FROM {self._counting()}"
        lost = "EXISTS (SELECT 1 FROM returned b WHERE (b.order_id, b.dataset_id, b.layer) = (n.order_id, n.dataset_id, n.layer))"
        credited = f"CASE WHEN {lost} THEN 0 ELSE n.earlier END" if self._was_refunded() else "n.earlier"
        statement = (
            f"SELECT {cell}, e.wanted, n.amount + {credited}, n.small, CAST(SUM({PART}) AS bigint) "
            f"FROM ({counted}) e {BILLED} GROUP BY {cell + ', ' if cell != '0' else ''}e.wanted, n.order_id, n.ordinal, n.amount, "
            "n.earlier, n.small, n.dataset_id, n.layer"
        )
        for at, layer_id, paid, whole, small in self._ask(statement, layer_ids, ranges):
            yield at, layer_id, part_of(paid, small, whole)

    def _counting(self) -> str:
        return f"{_EARLIER} AND NOT {unbilled.is_free(self.conn, self.owner, 'e.cell')}"

    def _was_refunded(self) -> bool:
        """Whether anything was ever returned to the organisation; else nobody looks through what was credited."""
        query = text("SELECT 1 FROM purchase_order p JOIN refund f ON f.order_id = p.id WHERE p.org_id = :org LIMIT 1")
        return self.conn.execute(query, {"org": self.owner.org_id}).first() is not None

    def _ask(self, statement: str, layer_ids: Collection[str], ranges: UInt64s, **more: str) -> Any:
        head, values = cell_sums.with_ranges(self.conn, [(ZOOM, ranges)])
        lists = {
            "layers": sorted(layer_ids),
            "covered": terms.covered(self.owner.purpose),
            "covering": terms.covering(self.owner.purpose),
        }
        typed = [bindparam(name, expanding=True, type_=String()) for name in lists]
        typed += [bindparam(name, type_=String()) for name in ("org", *more)]
        recursive = head.replace("WITH ", "WITH RECURSIVE ", 1)
        asked = text(f"{recursive}, {owned.counting()}, {RETURNED} {statement}").bindparams(*typed)
        return self.conn.execute(asked, {**values, **lists, **more, "org": self.owner.org_id, "at": self.owner.at_ns})


def _added(parts: Iterable[tuple[Key, int]]) -> Mapping[Key, int]:
    found: dict[Key, int] = defaultdict(int)
    for key, amount in parts:
        found[key] += amount
    return {key: amount for key, amount in found.items() if amount}
