"""What a buyer paid before that a purchase is credited: for the same tiles under narrower terms, and for what did not change of older ones.

*A wider use.* Where the offer credits it, a tile counts when the buyer holds the same content of the same layer for a use that the one on
sale covers, paid for it, and neither owns it for that use already nor gets it for nothing (`mapex.pyramid.unbilled`).

*A newer version.* A tile of another content counts when the buyer holds it for a use that covers the one on sale, and paid it in an order
whose updates cost the difference (`mapex.rules.update_policy`). What is credited of it is what did not change, as far as the versions were
compared (`mapex.catalogue.comparisons`): by `pricing.kept_credit`, never more than the same costs now. Where the same content was paid for,
that alone counts.

What was paid for a tile is its part of the line on which it was billed: the amount, and what was credited there itself, so that it moves on
with each purchase. It is credited once: `credited_tile` has each entitlement at most once, for all time.
What was returned counts no more: tiles of a recalled version, and what was credited on a line to which any such tile was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, String, bindparam, insert, text

from mapex import authority
from mapex.catalogue import comparisons
from mapex.database.schema import credited_tile
from mapex.pyramid import cell_sums, owned, unbilled
from mapex.pyramid.live_layers import LiveLayer
from mapex.pyramid.unbilled import Owner
from mapex.rules import terms
from mapex.rules.pricing import UNITS, kept_credit, least_price, parsed_rates, part_of
from mapex.rules.update_policy import DIFFERENCE
from tiles.arrays import UInt64s
from tiles.batch import QUANTITIES, Quantities
from tiles.grid.cover import Cover
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

COUNTED = "CASE {0}.content " + " ".join(f"WHEN '{one}' THEN {{1}}.{one}" for one in ("features", "points", "frames")) + " END"
"""What of a tile is compared with another version of it, by the content of its layer: a template of the two."""

# As above, CROSS JOIN keeps SQLite to this order.
_OLDER = (
    "layer l CROSS JOIN offer o CROSS JOIN r CROSS JOIN entitlement e CROSS JOIN offer f CROSS JOIN order_line n CROSS JOIN tile p "
    "WHERE l.id IN :layers AND o.version_id = l.version_id AND o.state = 'live' "
    "AND e.org_id = :org AND e.dataset_id = o.dataset_id AND e.cell >= r.lo AND e.cell < r.hi AND e.layer_name = l.name "
    "AND e.layer_id <> l.id AND e.purpose IN :covering AND e.paid = 1 AND e.state = 'active' "
    "AND f.id = e.offer_id AND EXISTS (SELECT 1 FROM licences k WHERE k.held = f.licence AND k.wanted = o.licence) "
    "AND n.order_id = e.order_id AND n.dataset_id = e.dataset_id AND n.layer = e.layer_name AND n.amount + n.earlier > 0 "
    f"AND n.updates = '{DIFFERENCE}' AND p.layer_id = e.layer_id AND p.cell = e.cell AND p.part = e.part "
    f"AND NOT EXISTS (SELECT 1 FROM tile t WHERE t.layer_id = l.id AND {_SAME_TILE.format('t')}) "
    "AND NOT EXISTS (SELECT 1 FROM credited_tile c WHERE c.entitlement_id = e.id)"
)
"""The tiles `e` of older contents that count for layers `l` in the ranges, the lines `n` on which they were billed, and the tiles `p`."""

_LOST = "EXISTS (SELECT 1 FROM returned b WHERE (b.order_id, b.dataset_id, b.layer) = (n.order_id, n.dataset_id, n.layer))"

_Cell = tuple[int, str]
"""A sale cell of a layer on sale."""


@dataclass(slots=True)
class _Held:
    """An older content of a cell as one order paid it: its tiles (entitlements) with how many features each has, and KRW."""

    tiles: dict[str, int] = field(default_factory=dict)
    paid: int = 0


@dataclass(frozen=True, slots=True)
class _Charged:
    """What is not owned of a cell on sale: KRW, and how many features."""

    price: int
    features: int


@dataclass(frozen=True, slots=True)
class _Unchanged:
    """What is credited (KRW) for what did not change of a cell, and the entitlements of which it was paid."""

    amount: int
    entitlement_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What one organisation paid before, seen for one purpose at one time; in the caller's transaction.

    `at_difference`: whether any order of it has updates at the difference; else nobody looks through what was paid for older versions.
    """

    conn: Connection
    owner: Owner
    at_difference: bool

    @staticmethod
    def of(conn: Connection, owner: Owner) -> Earlier:
        """What `owner` paid until now."""
        lines = "purchase_order p JOIN order_line n ON n.order_id = p.id"
        query = text(f"SELECT 1 FROM {lines} WHERE p.org_id = :org AND n.updates = '{DIFFERENCE}' LIMIT 1")
        is_known = owner.org_id != authority.NOBODY
        return Earlier(conn, owner, is_known and conn.execute(query, {"org": owner.org_id}).first() is not None)

    def of_layers(self, offers: Iterable[LiveLayer], ranges: UInt64s) -> Mapping[str, int]:
        """KRW by layer id, for the tiles in the sale-zoom ranges; layers of which nothing counts are left out."""
        return _added((layer_id, amount) for _, layer_id, amount in self._parts(list(offers), ranges, "0"))

    def of_cells(self, offers: Iterable[LiveLayer], ranges: UInt64s) -> Mapping[tuple[int, str], int]:
        """KRW by cell and layer id; rounded down cell by cell, the sum of many is not exactly that of the layer."""
        return _added(((cell, layer_id), amount) for cell, layer_id, amount in self._parts(list(offers), ranges, "e.cell"))

    def take(self, order_id: str, layer_ids: Collection[str], ranges: UInt64s) -> None:
        """Note that what counts for these layers was credited to an order whose lines are stored, and whose tiles are not yet."""
        used = (
            "EXISTS (SELECT 1 FROM order_line n WHERE n.order_id = :order AND n.dataset_id = o.dataset_id AND n.layer = l.name "
            "AND n.earlier > 0)"
        )
        unchanged = self._unchanged(layer_ids, ranges).values()
        head = "INSERT INTO credited_tile (entitlement_id, order_id) SELECT e.id, :order"
        self._ask(f"{head} FROM {self._counting()} AND {used}", layer_ids, ranges, order=order_id)
        if rows := [{"entitlement_id": one, "order_id": order_id} for each in unchanged for one in each.entitlement_ids]:
            self.conn.execute(insert(credited_tile), rows)

    def _parts(self, offers: Sequence[LiveLayer], ranges: UInt64s, cell: str) -> Iterable[tuple[int, str, int]]:
        """Cell, layer id and KRW of all that counts; without the cell where it is not asked for."""
        if not len(ranges) or self.owner.org_id == authority.NOBODY:
            return
        yield from self._of_wider_use([one.layer_id for one in offers if one.credits_earlier], ranges, cell)
        for (at, layer_id), one in self._unchanged([one.layer_id for one in offers], ranges).items():
            yield at, layer_id, one.amount

    def _of_wider_use(self, layer_ids: Sequence[str], ranges: UInt64s, cell: str) -> Iterable[tuple[int, str, int]]:
        """Cell, layer id and KRW of each line of an order in which the same tiles were bought."""
        if not layer_ids:
            return
        counted = f"SELECT e.*, l.id AS wanted FROM {self._counting()}"
        statement = (
            f"SELECT {cell}, e.wanted, n.amount + {self._credited()}, n.small, CAST(SUM({PART}) AS bigint) "
            f"FROM ({counted}) e {BILLED} GROUP BY {cell + ', ' if cell != '0' else ''}e.wanted, n.order_id, n.ordinal, n.amount, "
            "n.earlier, n.small, n.dataset_id, n.layer"
        )
        for at, layer_id, paid, whole, small in self._ask(statement, layer_ids, ranges):
            yield at, layer_id, part_of(paid, small, whole)

    def _counting(self) -> str:
        return f"{_EARLIER} AND NOT {unbilled.is_free(self.conn, self.owner, 'e.cell')}"

    def _unchanged(self, layer_ids: Collection[str], ranges: UInt64s) -> Mapping[_Cell, _Unchanged]:
        """What is credited for what did not change, cell by cell; of several older contents of a cell the one that gives most counts."""
        held = self._held(layer_ids, ranges)
        if not held:
            return {}
        charged = self._charged({at for at, _, _ in held})
        fresh = {layer_id: self._fresh(layer_id, held) for layer_id in {layer_id for (_, layer_id), _, _ in held}}
        found: dict[_Cell, _Unchanged] = {}
        for (at, older, _), one in sorted(held.items()):
            now, cell = charged.get(at, _Charged(0, 0)), (older, at[0])
            if cell not in fresh[at[1]]:
                continue
            kept = max(0, now.features - fresh[at[1]][cell])
            amount = kept_credit(kept, (one.paid, sum(one.tiles.values())), (now.price, now.features))
            if amount > (found[at].amount if at in found else 0):
                found[at] = _Unchanged(amount, tuple(one.tiles))
        return found

    def _held(self, layer_ids: Collection[str], ranges: UInt64s) -> Mapping[tuple[_Cell, str, str], _Held]:
        """The older contents that count, by cell on sale, older layer, and order."""
        if not layer_ids or not len(ranges) or not self.at_difference:
            return {}
        statement = (
            f"SELECT e.cell, l.id, e.layer_id, e.order_id, e.id, n.amount + {self._credited()}, n.small, {PART}, "
            f"{COUNTED.format('l', 'p')} FROM {_OLDER} AND NOT {unbilled.is_free(self.conn, self.owner, 'e.cell')}"
        )
        found: dict[tuple[_Cell, str, str], _Held] = defaultdict(_Held)
        for cell, layer_id, older, order_id, entitlement_id, paid, whole, small, features in self._ask(statement, layer_ids, ranges):
            one = found[(cell, layer_id), older, order_id]
            one.tiles[entitlement_id] = features
            one.paid += part_of(paid, small, whole)
        same = set(map(tuple, self._ask(f"SELECT DISTINCT e.cell, l.id FROM {self._counting()}", layer_ids, ranges))) if found else set()
        return {key: one for key, one in found.items() if key[0] not in same}

    def _fresh(self, layer_id: str, held: Iterable[tuple[_Cell, str, str]]) -> Mapping[tuple[str, int], int]:
        """How many features of the cells of a layer on sale are not as in the older ones, by older layer and cell."""
        cells: dict[str, set[int]] = defaultdict(set)
        for (cell, on_sale), older, _ in held:
            if on_sale == layer_id:
                cells[older].add(cell)
        return comparisons.fresh(self.conn, layer_id, cells)

    def _charged(self, cells: Collection[_Cell]) -> Mapping[_Cell, _Charged]:
        """What is to be paid for cells on sale."""
        layer_ids = sorted({layer_id for _, layer_id in cells})
        each = ", ".join(f"s.{name} - COALESCE(w.{name}, 0)" for name in QUANTITIES)
        offered = cell_sums.join_ranges(self.conn, "tile_sum", "s.layer_id IN :layers")
        statement = (
            f"SELECT s.cell, s.layer_id, o.rate_card, {COUNTED.format('l', 's')} - COALESCE({COUNTED.format('l', 'w')}, 0), {each} "
            f"FROM {offered} JOIN layer l ON l.id = s.layer_id JOIN offer o ON o.version_id = l.version_id AND o.state = 'live' "
            f"LEFT JOIN owned_sum w ON w.org_id = :org AND w.purpose = :purpose AND w.z = {ZOOM} AND w.cell = s.cell "
            "AND w.layer_id = s.layer_id"
        )
        found = {}
        ranges = Cover.from_cells(np.array(sorted({cell for cell, _ in cells}), np.uint64)).ranges
        for cell, layer_id, card, features, *vector in self._ask(statement, layer_ids, ranges, purpose=self.owner.purpose):
            found[cell, layer_id] = _Charged(least_price(parsed_rates(card), Quantities(*vector)), features)
        return found

    def _credited(self) -> str:
        """SQL: what was credited on a line `n`, as far as that was not returned since."""
        return f"CASE WHEN {_LOST} THEN 0 ELSE n.earlier END" if self._was_refunded() else "n.earlier"

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
        lists = {name: words for name, words in lists.items() if f":{name}" in statement}
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
