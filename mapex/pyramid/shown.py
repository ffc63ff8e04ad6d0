"""What the map shows: for every cell and zoom, each kind of layer on offer there, how many, how fresh, how good.

`shown_layer` holds what the map shows of each layer on offer; `kind_sum` is the same per cell and kind over all sellers: counts are
added, the newest sight and the best quality win. A tile of the map then reads a few thousand rows however many firms sell the place.
Both follow `tile_sum` (see `mapex.pyramid`) in the same transaction. A layer that is not shown leaves no row, so that nothing, not
even the time of an answer, tells what is withdrawn, suspended or masked from what never was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, String, bindparam, text

from mapex.database import db
from mapex.rules import quality

_NEWER = "CASE WHEN excluded.{0} > kind_sum.{0} THEN excluded.{0} ELSE kind_sum.{0} END"


def show(conn: Connection, layer_id: str) -> None:
    """Show a layer whose sums are in `tile_sum`; one that is shown already, or of a suspended organisation, stays as it is."""
    take_turns(conn)
    found = conn.execute(
        text(
            "SELECT l.kind, l.name, l.about, l.version_id, v.published_ns, v.created_ns FROM layer l "
            "JOIN dataset_version v ON v.id = l.version_id JOIN dataset d ON d.id = v.dataset_id "
            "JOIN organisation g ON g.id = d.org_id AND g.state = 'active' "
            "LEFT JOIN shown_layer k ON k.layer_id = l.id WHERE l.id = :layer AND k.layer_id IS NULL"
        ),
        {"layer": layer_id},
    ).mappings()
    row = found.first()
    if row is None:
        return
    seen, score = quality.of_layer(
        json.loads(row["about"]), warnings_of(conn, row["version_id"], row["name"]), row["published_ns"] or row["created_ns"]
    )
    values = {"layer": layer_id, "kind": row["kind"], "seen": seen, "quality": score}
    conn.execute(text("INSERT INTO shown_layer (layer_id, kind, seen_ns, quality) VALUES (:layer, :kind, :seen, :quality)"), values)
    conn.execute(
        text(
            "INSERT INTO kind_sum (z, cell, kind, cells, seen_ns, quality) "
            "SELECT s.z, s.cell, k.kind, s.cells, k.seen_ns, k.quality FROM shown_layer k "
            "JOIN tile_sum s ON s.layer_id = k.layer_id WHERE k.layer_id = :layer "
            "ON CONFLICT (z, cell, kind) DO UPDATE SET cells = kind_sum.cells + excluded.cells, "
            f"seen_ns = {_NEWER.format('seen_ns')}, quality = {_NEWER.format('quality')}"
        ),
        {"layer": layer_id},
    )


def hide(conn: Connection, layer_ids: Sequence[str]) -> None:
    """Stop showing layers; to be called while their sums are still in `tile_sum`."""
    take_turns(conn)
    values = {"layers": list(layer_ids)}
    where = "SELECT s.z, s.cell, k.kind FROM shown_layer k JOIN tile_sum s ON s.layer_id = k.layer_id WHERE k.layer_id IN :layers"
    conn.execute(_of_layers(f"DELETE FROM kind_sum WHERE (z, cell, kind) IN ({where})"), values)
    # What else is there is summed again from what stays; CROSS JOIN keeps SQLite to this order.
    conn.execute(
        _of_layers(
            "INSERT INTO kind_sum (z, cell, kind, cells, seen_ns, quality) "
            "SELECT h.z, h.cell, h.kind, SUM(s.cells), MAX(k.seen_ns), MAX(k.quality) "
            f"FROM (SELECT DISTINCT z, cell, kind FROM ({where}) w) h CROSS JOIN tile_sum s CROSS JOIN shown_layer k "
            "WHERE s.z = h.z AND s.cell = h.cell AND k.layer_id = s.layer_id AND k.kind = h.kind AND k.layer_id NOT IN :layers "
            "GROUP BY h.z, h.cell, h.kind"
        ),
        values,
    )
    conn.execute(_of_layers("DELETE FROM shown_layer WHERE layer_id IN :layers"), values)


def show_org(conn: Connection, org_id: str, *, active: bool) -> None:
    """Show or hide everything that an organisation has on offer."""
    take_turns(conn)
    on_offer = text(
        "SELECT l.id FROM offer o JOIN layer l ON l.version_id = o.version_id WHERE o.org_id = :org AND o.state = 'live' ORDER BY l.id"
    )
    layer_ids = list(conn.execute(on_offer, {"org": org_id}).scalars())
    if not active:
        hide(conn, layer_ids)
        return
    for layer_id in layer_ids:
        show(conn, layer_id)


def take_turns(conn: Connection) -> None:
    """One at a time until the commit: sellers share the rows of a cell, which would be taken in any order and summed half changed."""
    db.take_turns(conn, "shown")


def warnings_of(conn: Connection, version_id: str, layer: str) -> int:
    """For how many records the warnings and confirmed questions of a layer speak; one that names no layer counts for each."""
    asked = text(
        "SELECT COALESCE(SUM(count), 0) FROM finding "
        "WHERE version_id = :version AND severity IN ('question', 'warning') AND layer IN (:layer, '')"
    )
    return int(conn.execute(asked, {"version": version_id, "layer": layer}).scalar_one())


def _of_layers(sql: str) -> Any:
    return text(sql).bindparams(bindparam("layers", expanding=True, type_=String()))
