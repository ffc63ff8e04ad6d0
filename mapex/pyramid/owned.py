"""What each buyer owns of the layers on offer, by purpose: `owned_sum`, the pyramid that an estimate takes off the sums of the layers.

A row is for a *wanted* purpose: it counts what is held, with the same content, for a purpose and under a licence that cover that purpose
and the licence of the live offer (`mapex.rules.terms`). So a look at one purpose finds what is owned for it without any comparison.
`ANY_PURPOSE` has rows of its own, for whoever named none yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

import numpy as np
from sqlalchemy import Connection, String, bindparam, text

from mapex.pyramid import cell_sums
from mapex.pyramid.cell_sums import ZMIN, Piece, Sum, join_ranges, with_ranges
from mapex.rules import terms
from mapex.rules.licences import LICENCES, Purpose
from tiles.arrays import UInt64s
from tiles.batch import QUANTITIES
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM

COARSE = 11
"""Zoom at which it is looked up where a buyer owns anything at all: cells of 15 km, some hundreds in Korea."""

_COLUMNS = ", ".join(("cells", *QUANTITIES))
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in ("cells", *QUANTITIES))


@lru_cache(maxsize=1)
def counting() -> str:
    """Two tables for a WITH: `purposes` and `licences` (held, wanted), what is held and for what else it counts."""
    purposes = [(held, wanted) for wanted in (terms.ANY_PURPOSE, *Purpose) for held in terms.covering(wanted)]
    licences = [(held, wanted) for held in LICENCES for wanted in LICENCES if terms.covers_licence(held, wanted)]
    return f"purposes(held, wanted) AS (VALUES {_values(purposes)}), licences(held, wanted) AS (VALUES {_values(licences)})"


def sums(
    conn: Connection, org_id: str, purpose: str, areas: Sequence[Cover], columns: Collection[str] = QUANTITIES
) -> list[dict[str, Sum]]:
    """What the organisation owns for a purpose, with the same content, of the layers on offer inside each of the areas, by layer id.

    Quantities that are not among `columns` are 0.
    """
    owned = text("SELECT DISTINCT cell FROM owned_sum WHERE org_id = :org AND purpose = :purpose AND z = :z ORDER BY cell")
    cells = np.array(conn.execute(owned, {"org": org_id, "purpose": purpose, "z": COARSE}).scalars().all(), np.uint64)
    mine, found = "s.org_id = :org AND s.purpose = :purpose", []
    for area in areas:
        near = _near(area.pyramid(ZMIN), cells) if len(cells) else []
        rows = cell_sums.grouped(conn, near, "owned_sum", mine, columns, org=org_id, purpose=purpose) if near else ()
        found.append({layer_id: one for layer_id, one, _ in rows})
    return found


def fill(conn: Connection, layer_id: str, licence: str) -> None:
    """Find what buyers own of a layer that goes on offer under a licence: a cell counts in whole when all its parts do."""
    conn.execute(text("DELETE FROM owned_sum WHERE layer_id = :layer"), {"layer": layer_id})
    each = ", ".join(f"SUM(t.{name})" for name in QUANTITIES)
    which = text(
        "SELECT l.id AS layer, l.name AS name, v.dataset_id AS dataset FROM layer l "
        "JOIN dataset_version v ON v.id = l.version_id WHERE l.id = :layer"
    )
    layer = conn.execute(which, {"layer": layer_id}).mappings().one()
    # CROSS JOIN keeps SQLite to this order, so that the index (organisation, dataset, cell) serves.
    conn.execute(
        text(
            f"WITH {counting()} INSERT INTO owned_sum (org_id, purpose, z, cell, layer_id, {_COLUMNS}) "
            f"SELECT e.org_id, e.purpose, {ZOOM}, t.cell, t.layer_id, CASE WHEN COUNT(*) = "
            "(SELECT COUNT(*) FROM tile p WHERE p.layer_id = t.layer_id AND p.cell = t.cell) THEN 1 ELSE 0 END, "
            f"{each} FROM (SELECT DISTINCT e.org_id, p.wanted AS purpose, e.cell, e.part, e.sha256 "
            "FROM organisation o CROSS JOIN entitlement e CROSS JOIN offer f CROSS JOIN licences l CROSS JOIN purposes p "
            "WHERE e.org_id = o.id AND e.state = 'active' AND e.dataset_id = :dataset AND e.layer_name = :name "
            "AND f.id = e.offer_id AND l.held = f.licence AND l.wanted = :licence AND p.held = e.purpose) e "
            "JOIN tile t ON t.layer_id = :layer AND t.cell = e.cell AND t.part = e.part AND t.sha256 = e.sha256 "
            "GROUP BY e.org_id, e.purpose, t.cell, t.layer_id"
        ),
        {**layer, "licence": licence},
    )
    each = ", ".join(f"SUM({name})" for name in ("cells", *QUANTITIES))
    for z in range(ZOOM - 1, ZMIN - 1, -1):
        conn.execute(
            text(
                f"INSERT INTO owned_sum (org_id, purpose, z, cell, layer_id, {_COLUMNS}) SELECT org_id, purpose, {z}, cell >> 2, layer_id, "
                f"{each} FROM owned_sum WHERE layer_id = :layer AND z = {z + 1} GROUP BY org_id, purpose, cell >> 2, layer_id"
            ),
            {"layer": layer_id},
        )


def add(conn: Connection, org_id: str, purpose: str, layer_ids: Sequence[str], ranges: UInt64s) -> None:
    """Note that the organisation owns, from now on and for a purpose, every tile of the layers on offer in the sale-zoom `ranges`."""
    counts_for = [wanted for wanted in (terms.ANY_PURPOSE, *Purpose) if purpose in terms.covering(wanted)]
    lists = [bindparam(name, expanding=True, type_=String()) for name in ("layers", "purposes")]
    owner = {"org": org_id, "layers": list(layer_ids), "purposes": [str(wanted) for wanted in counts_for]}
    head, values = with_ranges(conn, [(ZOOM, ranges)])
    conn.execute(
        text(
            f"{head}, {counting()} INSERT INTO owned_sum (org_id, purpose, z, cell, layer_id, {_COLUMNS}) "
            f"SELECT :org, p.wanted, s.z, s.cell, s.layer_id, {_COLUMNS} "
            f"FROM {join_ranges(conn, 'tile_sum', 's.layer_id IN :layers')} CROSS JOIN purposes p WHERE p.held = :held "
            f"ON CONFLICT (org_id, purpose, z, cell, layer_id) DO UPDATE SET {_REPLACE}"
        ).bindparams(lists[0], bindparam("org", type_=String())),
        {**values, "held": purpose, "org": org_id, "layers": owner["layers"]},
    )
    each = ", ".join(f"SUM(s.{name})" for name in ("cells", *QUANTITIES))
    mine = "s.org_id = :org AND s.purpose IN :purposes AND s.layer_id IN :layers"
    for z in range(ZOOM - 1, ZMIN - 1, -1):
        # The parents of what changed are summed again from all their children, so that the result does not depend on what was there.
        changed = Cover(ranges).at(z)
        head, values = with_ranges(conn, [(z + 1, changed.at(z + 1).ranges)])
        conn.execute(
            text(
                f"{head} INSERT INTO owned_sum (org_id, purpose, z, cell, layer_id, {_COLUMNS}) "
                f"SELECT :org, s.purpose, {z}, s.cell >> 2, s.layer_id, {each} FROM {join_ranges(conn, 'owned_sum', mine)} WHERE TRUE "
                "GROUP BY s.purpose, s.cell >> 2, s.layer_id "
                f"ON CONFLICT (org_id, purpose, z, cell, layer_id) DO UPDATE SET {_REPLACE}"
            ).bindparams(*lists, bindparam("org", type_=String())),
            {**values, **owner},
        )


def _values(pairs: Iterable[tuple[str, str]]) -> str:
    """The pairs as rows of SQL; only words of ours come here."""
    return ", ".join(f"('{held}', '{wanted}')" for held, wanted in pairs)


def _near(pieces: Sequence[Piece], cells: UInt64s) -> list[Piece]:
    """The pieces without the ranges far from the `COARSE` cells in which anything is owned: each that is left costs a search."""
    near = []
    for z, ranges in pieces:
        finer, coarser = np.uint64(2 * max(z - COARSE, 0)), np.uint64(2 * max(COARSE - z, 0))
        first, last = ranges[:, 0] << coarser >> finer, (ranges[:, 1] << coarser) - np.uint64(1) >> finer
        kept = ranges[np.searchsorted(cells, last, side="right") > np.searchsorted(cells, first)]
        if len(kept):
            near.append((z, kept))
    return near
