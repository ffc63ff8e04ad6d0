"""The pyramids, and what the map shows: sums of what is there."""

from __future__ import annotations

from sqlalchemy import Connection

from mapex.operation.invariants import ownership
from mapex.operation.invariants.asking import Offender, ask
from mapex.pyramid import cell_sums
from tiles.batch import QUANTITIES
from tiles.grid.grid import ZOOM


def wrong_sums(conn: Connection) -> list[Offender]:
    """Pyramids that are not the sums of their tiles."""
    numbered = list(enumerate(QUANTITIES, start=1))
    of_tiles = ", ".join(f"SUM(t.{name}) AS c{i}" for i, name in numbered)
    of_sums = ", ".join(f"SUM({name}) AS c{i}" for i, name in numbered)
    differ = " OR ".join(f"a.c{i} <> b.c{i}" for i, _ in numbered)
    everything = " + ".join(f"SUM({name})" for name in QUANTITIES)
    levels = ZOOM - cell_sums.ZMIN + 1
    found = ask(
        conn,
        "layer {0} has other sums than its tiles",
        f"SELECT a.layer_id FROM (SELECT t.layer_id, COUNT(DISTINCT t.cell) AS c0, {of_tiles} FROM tile t "
        "JOIN layer l ON l.id = t.layer_id JOIN offer o ON o.version_id = l.version_id AND o.state = 'live' GROUP BY t.layer_id) a "
        f"LEFT JOIN (SELECT layer_id, SUM(cells) AS c0, {of_sums} FROM tile_sum WHERE z = :zoom GROUP BY layer_id) b "
        f"ON b.layer_id = a.layer_id WHERE b.layer_id IS NULL OR a.c0 <> b.c0 OR {differ}",
        zoom=ZOOM,
    )
    for table, key in (("tile_sum", "layer_id"), ("owned_sum", "org_id, purpose, layer_id")):
        found += ask(
            conn,
            f"{table} of {{0}} differs between zooms",
            f"SELECT layer_id FROM (SELECT {key}, z, SUM(cells) AS c, {everything} AS s FROM {table} GROUP BY {key}, z) p "
            f"GROUP BY {key} HAVING COUNT(*) <> {levels} OR MIN(c) <> MAX(c) OR MIN(s) <> MAX(s)",
        )
    return found + ownership.wrong(conn) + _wrong_showcase(conn)


def _wrong_showcase(conn: Connection) -> list[Offender]:
    """Layers and squares of the map that are not those of the layers on offer."""
    on_offer = (
        "SELECT l.id, l.kind FROM offer o JOIN organisation g ON g.id = o.org_id AND g.state = 'active' "
        "JOIN layer l ON l.version_id = o.version_id WHERE o.state = 'live'"
    )
    sums = "SUM(cells) AS c, MAX(seen_ns) AS n, MAX(quality) AS q, COUNT(DISTINCT cell) AS m"
    true = (
        f"SELECT z, kind, {sums} FROM (SELECT s.z, s.cell, k.kind, s.cells, k.seen_ns, k.quality FROM shown_layer k "
        "JOIN tile_sum s ON s.layer_id = k.layer_id) t GROUP BY z, kind"
    )
    return [
        *ask(
            conn,
            "layer {0} is on offer but not on the map",
            f"SELECT w.id FROM ({on_offer}) w LEFT JOIN shown_layer k ON k.layer_id = w.id AND k.kind = w.kind WHERE k.layer_id IS NULL",
        ),
        *ask(
            conn,
            "layer {0} is on the map but not on offer",
            f"SELECT k.layer_id FROM shown_layer k LEFT JOIN ({on_offer}) w ON w.id = k.layer_id WHERE w.id IS NULL",
        ),
        *ask(
            conn,
            "the map's squares of zoom {0}, {1}, are not those of its layers",
            f"SELECT a.z, a.kind FROM ({true}) a LEFT JOIN (SELECT z, kind, {sums} FROM kind_sum GROUP BY z, kind) b "
            "ON b.z = a.z AND b.kind = a.kind WHERE b.z IS NULL OR a.c <> b.c OR a.n <> b.n OR a.q <> b.q OR a.m <> b.m",
        ),
        *ask(
            conn,
            "the map shows {1} at zoom {0}, which no layer has",
            f"SELECT b.z, b.kind FROM (SELECT DISTINCT z, kind FROM kind_sum) b LEFT JOIN ({true}) a "
            "ON a.z = b.z AND a.kind = b.kind WHERE a.z IS NULL",
        ),
    ]
