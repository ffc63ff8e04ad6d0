"""Sums of price vectors over cells of every zoom from `ZMIN` to the sale zoom: what makes a province cost its outline, not its area.

`tile_sum` holds the layers that are on offer; `owned_sum` (`mapex.pyramid.owned`) what each buyer owns of them already, and what the map
shows of them is in `mapex.pyramid.shown`. All are filled and queried by set-based SQL that SQLite and PostgreSQL share; only the table of
ranges is made differently. A *piece* is `(z, ranges)` with half-open Morton ranges `uint64[n, 2]`, as
`tiles.grid.region.Cover.pyramid` gives them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, String, bindparam, text

from mapex.database.db import is_sqlite
from mapex.pyramid import shown
from tiles.arrays import UInt64s
from tiles.batch import QUANTITIES, Quantities
from tiles.grid import grid
from tiles.grid.grid import ZOOM

ZMIN = 6
"""Coarsest zoom of the pyramid: a cell is about 500 km wide in Korea, more than the largest area that may be asked for."""

Piece = tuple[int, UInt64s]

_NAMES = ", ".join(QUANTITIES)
_COLUMNS = f"cells, {_NAMES}"


@dataclass(frozen=True, slots=True)
class Sum:
    """Cells of one layer in an area, and the price vector of all of them."""

    cells: int
    quantities: Quantities

    def __sub__(self, other: Sum) -> Sum:
        return Sum(self.cells - other.cells, self.quantities - other.quantities)

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.cells + other.cells, self.quantities + other.quantities)


NOTHING = Sum(0, Quantities())


def with_ranges(conn: Connection, pieces: Sequence[Piece]) -> tuple[str, dict[str, Any]]:
    """`WITH r(z, lo, hi) AS (...)` and its parameters: the pieces as a table, for a statement that joins it."""
    z = np.repeat(np.array([zoom for zoom, _ in pieces], np.uint64), [len(ranges) for _, ranges in pieces])
    lo, hi = np.concatenate([np.zeros((0, 2), np.uint64), *(ranges for _, ranges in pieces)]).T
    # One whole number for each range (5 bits of z, 32 of lo, 26 of its length) and all of them as one text: both databases take that apart
    # faster than three arrays, of which a driver turns every number into a text of its own.
    if len(lo) and int((hi - lo).max()) >> 26:
        raise OverflowError("a range of more than 67 million cells")
    packed = json.dumps((z << np.uint64(58) | lo << np.uint64(26) | (hi - lo)).tolist())
    if is_sqlite(conn):
        hint, each, value = "NOT MATERIALIZED", "json_each(:r)", "value"
    else:
        hint, each, value = "MATERIALIZED", "unnest(CAST(CAST(:r AS text) AS bigint[])) AS each(one)", "one"
        packed = f"{{{packed[1:-1]}}}"
    low = f"({value} >> 26) & 4294967295"
    return f"WITH r(z, lo, hi) AS {hint} (SELECT {value} >> 58, {low}, ({low}) + ({value} & 67108863) FROM {each})", {"r": packed}


def join_ranges(conn: Connection, table: str, condition: str = "") -> str:
    """`r CROSS JOIN ...`: the rows `s` of a table with the columns `z, cell` that are inside the ranges and meet the `condition`.

    The ranges must lead and the primary key answer each of them. SQLite keeps to the order of a CROSS JOIN; PostgreSQL would join
    by hashing `z` (all rows of a zoom for each range), which OFFSET 0 forbids.
    """
    where = f"s.z = r.z AND s.cell >= r.lo AND s.cell < r.hi{' AND ' + condition if condition else ''}"
    if is_sqlite(conn):
        return f"r CROSS JOIN {table} s ON {where}"
    return f"r CROSS JOIN LATERAL (SELECT * FROM {table} s WHERE {where} OFFSET 0) s"


def sums(conn: Connection, pieces: Sequence[Piece], columns: Collection[str] = QUANTITIES) -> dict[str, Sum]:
    """What every layer on offer has inside the pieces, by layer id; quantities that are not among `columns` are 0."""
    return {layer_id: found for layer_id, found, _ in grouped(conn, pieces, "tile_sum", "", columns)}


def cell_sums(conn: Connection, ranges: UInt64s, columns: Collection[str] = QUANTITIES) -> dict[str, tuple[frozenset[int], Sum]]:
    """By layer on offer: the sale cells in `ranges` that have something of it, and the sum of them; see `sums` for `columns`."""
    # One row for each layer, its cells in one text: a thousand rows less to carry out of the database.
    listed = "group_concat(s.cell)" if is_sqlite(conn) else "string_agg(CAST(s.cell AS text), ',')"
    rows = grouped(conn, [(ZOOM, ranges)], "tile_sum", "", columns, listed)
    return {layer_id: (frozenset(map(int, cells.split(","))), found) for layer_id, found, cells in rows}


def layers_in(conn: Connection, z: int, cell: int) -> list[str]:
    """The layers on offer that have something in a cell, by id; one look at the index, however many layers there are elsewhere.

    Args:
        z, cell: a cell of any zoom; a finer one than the sale cell has the layers of its sale cell.
    """
    zoom = min(max(z, ZMIN), ZOOM)
    lo, hi = (cell >> 2 * (z - zoom), (cell >> 2 * (z - zoom)) + 1) if z >= zoom else grid.children(cell, z, zoom)
    query = text("SELECT DISTINCT layer_id FROM tile_sum WHERE z = :z AND cell >= :lo AND cell < :hi ORDER BY layer_id")
    return [str(row[0]) for row in conn.execute(query, {"z": zoom, "lo": int(lo), "hi": int(hi)})]


def fill(conn: Connection, layer_id: str) -> None:
    """Add a layer that goes on offer."""
    each = ", ".join(f"SUM({name})" for name in QUANTITIES)
    conn.execute(
        text(
            f"INSERT INTO tile_sum (z, cell, layer_id, {_COLUMNS}) SELECT {ZOOM}, cell, layer_id, 1, {each} "
            "FROM tile WHERE layer_id = :layer GROUP BY layer_id, cell"
        ),
        {"layer": layer_id},
    )
    for z in range(ZOOM - 1, ZMIN - 1, -1):
        conn.execute(
            text(
                f"INSERT INTO tile_sum (z, cell, layer_id, {_COLUMNS}) SELECT {z}, cell >> 2, layer_id, SUM(cells), {each} "
                f"FROM tile_sum WHERE layer_id = :layer AND z = {z + 1} GROUP BY cell >> 2, layer_id"
            ),
            {"layer": layer_id},
        )
    shown.show(conn, layer_id)


def drop(conn: Connection, layer_ids: Sequence[str]) -> None:
    """Remove layers that are on offer no longer."""
    shown.hide(conn, layer_ids)
    for table in ("tile_sum", "owned_sum"):
        statement = text(f"DELETE FROM {table} WHERE layer_id IN :layers").bindparams(bindparam("layers", expanding=True, type_=String()))
        conn.execute(statement, {"layers": list(layer_ids)})


def grouped(
    conn: Connection, pieces: Sequence[Piece], table: str, condition: str, columns: Collection[str], more: str = "NULL", **values: Any
) -> Iterator[tuple[str, Sum, Any]]:
    """By layer: its id, what a table of the pyramid has of it inside the pieces, and `more`, an aggregate over the same rows."""
    head, ranges = with_ranges(conn, pieces)
    each = ", ".join(f"CAST(SUM(s.{name}) AS bigint)" if name in columns else "0" for name in QUANTITIES)
    rows = conn.execute(
        text(
            f"{head} SELECT s.layer_id, {more}, CAST(SUM(s.cells) AS bigint), {each} "
            f"FROM {join_ranges(conn, table, condition)} GROUP BY s.layer_id"
        ),
        {**values, **ranges},
    )
    for layer_id, extra, cells, *quantities in rows.all():
        yield layer_id, Sum(cells, Quantities(*quantities)), extra
