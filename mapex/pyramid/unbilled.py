"""What of the layers on offer a buyer need not pay: what it owns already, and newer versions that an order of its promised for nothing.

A cell of a layer on sale is *free* when the buyer paid for that cell of the layer of the same name in an order whose free updates run
(`order_line.free_until_ns`), for a purpose and under a licence that cover those of now, and was not paid back since. Nothing follows from
tiles that cost nothing themselves: the time counts from the order that was paid. What is owned in whole is owned, and not free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, bindparam, text

from mapex import authority
from mapex.pyramid import cell_sums, owned
from mapex.rules import terms
from tiles.arrays import UInt64s
from tiles.batch import QUANTITIES, Quantities
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose ownership counts (id of an organisation), for what purpose (`terms.ANY_PURPOSE` for whichever), and at what time."""

    org_id: str
    purpose: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Unbilled:
    """Cells of one layer that are owned in whole, those that are free, and the price vector of all that need not be paid."""

    owned: int = 0
    free: int = 0
    quantities: Quantities = Quantities()

    def __add__(self, other: Unbilled) -> Unbilled:
        return Unbilled(self.owned + other.owned, self.free + other.free, self.quantities + other.quantities)

    def __sub__(self, other: Unbilled) -> Unbilled:
        return Unbilled(self.owned - other.owned, self.free - other.free, self.quantities - other.quantities)


NOTHING = Unbilled()

_PROMISED = (
    "g.org_id = :org AND g.dataset_id = o.dataset_id AND g.layer_name = l.name AND g.paid = 1 AND g.state = 'active' "
    "AND g.purpose IN :covering AND EXISTS (SELECT 1 FROM order_line n WHERE n.order_id = g.order_id AND n.dataset_id = g.dataset_id "
    "AND n.layer = g.layer_name AND n.free_until_ns > :at) AND EXISTS (SELECT 1 FROM offer q "
    "JOIN licences b ON b.held = q.licence AND b.wanted = o.licence WHERE q.id = g.offer_id)"
)
"""Whether a tile `g` that was paid makes its cell of the layer `l` of the offer `o` free; `licences` is that of `owned.counting`."""

# CROSS JOIN keeps SQLite to this order, so that the index (organisation, dataset, cell) of what is held answers each range.
_FREE = (
    "promised(dataset_id, layer) AS (SELECT DISTINCT n.dataset_id, n.layer FROM purchase_order p JOIN order_line n ON n.order_id = p.id "
    "WHERE p.org_id = :org AND n.free_until_ns > :at), free(layer_id, cell) AS (SELECT DISTINCT l.id, g.cell FROM promised m "
    "CROSS JOIN offer o CROSS JOIN layer l CROSS JOIN r CROSS JOIN entitlement g WHERE o.dataset_id = m.dataset_id AND o.state = 'live' "
    f"AND l.version_id = o.version_id AND l.name = m.layer AND g.cell >= r.lo AND g.cell < r.hi AND {_PROMISED})"
)


def sums(conn: Connection, owner: Owner, areas: Sequence[Cover], columns: Collection[str] = QUANTITIES) -> list[dict[str, Unbilled]]:
    """What of each of the areas the owner need not pay, by layer on offer; quantities that are not among `columns` are 0."""
    if owner.org_id == authority.NOBODY:
        return [{} for _ in areas]
    own = owned.sums(conn, owner.org_id, owner.purpose, areas, columns)
    found = [{layer_id: Unbilled(one.cells, 0, one.quantities) for layer_id, one in held.items()} for held in own]
    if is_promised(conn, owner):
        for area, unbilled in zip(areas, found, strict=True):
            _add_free(conn, owner, area, columns, unbilled)
    return found


def _add_free(conn: Connection, owner: Owner, area: Cover, columns: Collection[str], found: dict[str, Unbilled]) -> None:
    each = ", ".join(f"CAST(SUM(s.{name} - COALESCE(w.{name}, 0)) AS bigint)" if name in columns else "0" for name in QUANTITIES)
    for layer_id, count, *quantities in _free(conn, owner, area.ranges, f"s.layer_id, COUNT(*), {each}", "GROUP BY s.layer_id"):
        found[layer_id] = found.get(layer_id, NOTHING) + Unbilled(0, count, Quantities(*quantities))


def free_cells(conn: Connection, owner: Owner, ranges: UInt64s) -> dict[tuple[int, str], Unbilled]:
    """What is free cell by cell, by cell and layer on offer."""
    each = ", ".join(f"s.{name} - COALESCE(w.{name}, 0)" for name in QUANTITIES)
    rows = _free(conn, owner, ranges, f"s.cell, s.layer_id, {each}") if is_promised(conn, owner) else ()
    return {(int(cell), layer_id): Unbilled(0, 1, Quantities(*quantities)) for cell, layer_id, *quantities in rows}


def is_promised(conn: Connection, owner: Owner) -> bool:
    """Whether any order of the owner has free updates at that time; else nobody looks through what was paid."""
    if owner.org_id == authority.NOBODY:
        return False
    query = text(
        "SELECT 1 FROM purchase_order p JOIN order_line n ON n.order_id = p.id WHERE p.org_id = :org AND n.free_until_ns > :at LIMIT 1"
    )
    return conn.execute(query, {"org": owner.org_id, "at": owner.at_ns}).first() is not None


def is_free(conn: Connection, owner: Owner, cell: str) -> str:
    """SQL: whether the column `cell` of the layer `l` of the live offer `o` is free; its statement binds `org`, `at` and `covering`."""
    return f"EXISTS (SELECT 1 FROM entitlement g WHERE g.cell = {cell} AND {_PROMISED})" if is_promised(conn, owner) else "1 = 0"


def _free(conn: Connection, owner: Owner, ranges: UInt64s, columns: str, group: str = "") -> Iterator[Any]:
    """`columns` of each free cell `s` of the pyramid, of which the owner owns `w`, a part or nothing."""
    if not len(ranges):
        return
    head, values = cell_sums.with_ranges(conn, [(ZOOM, ranges)])
    statement = text(
        f"{head}, {owned.counting()}, {_FREE} SELECT {columns} FROM free f JOIN tile_sum s ON s.z = {ZOOM} AND s.cell = f.cell "
        f"AND s.layer_id = f.layer_id LEFT JOIN owned_sum w ON w.org_id = :org AND w.purpose = :purpose AND w.z = {ZOOM} "
        f"AND w.cell = s.cell AND w.layer_id = s.layer_id WHERE COALESCE(w.cells, 0) = 0 {group}"
    ).bindparams(bindparam("covering", expanding=True, type_=String()))
    asked = {"org": owner.org_id, "purpose": owner.purpose, "at": owner.at_ns, "covering": terms.covering(owner.purpose)}
    yield from conn.execute(statement, {**values, **asked}).all()
