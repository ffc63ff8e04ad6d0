"""What versions change, stored and asked: with which version a new one is compared, what came of it, which old tiles are still current."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from sqlalchemy import Connection, delete, insert, select, update

from mapex.catalogue.comparison import CellChange, ChangeCounts, LayerComparison
from mapex.catalogue.versions import Layer, Version, layers_of
from mapex.database import db
from mapex.database.schema import dataset_version, layer, layer_change, same_tile, tile_change
from mapex.errors import Conflict, Invalid
from mapex.exchange import Exchange
from mapex.rules.accuracy import DEFAULT_MM, STEPS_MM, Drift, Shift, is_change

ALL_LAYERS = "*"
_CHUNK = 2000
_MOST_STEPS = 50
"""Versions that are looked back on: what is older is compared by its contents."""


@dataclass(frozen=True, slots=True)
class LayerChanges:
    """What a version changes of a layer by an accuracy: the one that was stated, or would be if nobody states another.

    `against` is the number of the version before. `cells` counts those that are a change, by accuracy (`STEPS_MM`); `within` are the cells
    that differ and are none.
    """

    kind: str
    against: int
    accuracy_mm: int
    comparison: LayerComparison
    cells: Mapping[int, int]
    within: frozenset[int]

    @property
    def moved(self) -> int:
        """Features that moved by more than the accuracy."""
        return self.comparison.counts.moved_by(self.accuracy_mm)

    @property
    def unchanged(self) -> int:
        """Features that are the same by the accuracy."""
        return self.comparison.counts.unchanged_of(self.comparison.after, self.accuracy_mm)


def layers_before(ex: Exchange, version: Version) -> Sequence[Layer]:
    """The layers of the version with which a new one of the dataset is compared: what was published last, and not recalled."""
    column = dataset_version.c
    query = (
        select(column.id)
        .where(column.dataset_id == version.dataset_id, column.id != version.id)
        .where(column.published_ns.is_not(None), column.state.in_(("published", "superseded", "withdrawn")))
        .order_by(column.published_ns.desc(), column.number.desc())
        .limit(1)
    )
    with db.read(ex) as conn:
        before = conn.execute(query).scalar()
        return layers_of(conn, before) if before else []


def store(conn: Connection, layer_ids: Mapping[str, str], comparisons: Sequence[LayerComparison]) -> None:
    """Keep what a draft changes, in the caller's transaction."""
    for one in comparisons:
        layer_id = layer_ids[one.name]
        conn.execute(insert(layer_change).values(layer_id=layer_id, against_id=one.against_id, counts=one.as_text()))
        rows = (_row(layer_id, cell) for cell in one.cells)
        while chunk := list(islice(rows, _CHUNK)):
            conn.execute(insert(tile_change), chunk)


def _row(layer_id: str, one: CellChange) -> dict[str, object]:
    counts = json.dumps(one.counts.as_json(), sort_keys=True, separators=(",", ":"))
    return {"layer_id": layer_id, "cell": one.cell, "others": int(one.shift.others), "shift_um": one.shift.um, "counts": counts}


def clear(conn: Connection, version_id: str) -> None:
    """Forget what a version that was never on sale changes."""
    of_it = select(layer.c.id).where(layer.c.version_id == version_id)
    for table in (tile_change, layer_change, same_tile):
        conn.execute(delete(table).where(table.c.layer_id.in_(of_it)))


def digest(conn: Connection, version_id: str) -> str | None:
    """sha256 over what is stored of what a version changes; None when it was compared with nothing."""
    of_it = select(layer.c.id, layer.c.name).where(layer.c.version_id == version_id).order_by(layer.c.name)
    found, there = hashlib.sha256(), False
    for layer_id, name in conn.execute(of_it).all():
        for against, counts in conn.execute(
            select(layer_change.c.against_id, layer_change.c.counts).where(layer_change.c.layer_id == layer_id)
        ):
            there = True
            found.update(f"{name} {against} {counts}\n".encode())
        cells = select(tile_change.c.cell, tile_change.c.others, tile_change.c.shift_um, tile_change.c.counts)
        for row in conn.execute(cells.where(tile_change.c.layer_id == layer_id).order_by(tile_change.c.cell)):
            found.update((" ".join(map(str, row)) + "\n").encode())
    return found.hexdigest() if there else None


def state_accuracy(conn: Connection, version: Version, given: Mapping[str, int]) -> dict[str, int]:
    """Note how accurate each layer of a version that is published is (mm), and which older tiles are the same by it; returns it by layer.

    Args:
        given: by layer, `*` for those that are not named; the others keep what the version before stated.
    Raises: Invalid: `layer.unknown`.
    """
    layers = layers_of(conn, version.id)
    if unknown := given.keys() - {ALL_LAYERS, *(one.name for one in layers)}:
        names = ", ".join(sorted(unknown))
        raise Invalid("layer.unknown", f"Version {version.number} has no layer {names}.", layers=sorted(unknown))
    stated = {}
    for one in layers:
        stated[one.name] = given.get(one.name, given.get(ALL_LAYERS, 0)) or usual(conn, one.id)
        conn.execute(update(layer).where(layer.c.id == one.id).values(accuracy_mm=stated[one.name]))
        conn.execute(delete(same_tile).where(same_tile.c.layer_id == one.id))
        rows = ({"layer_id": one.id, "cell": cell, "held_id": held} for cell, held in same(conn, one.id, stated[one.name]))
        while chunk := list(islice(rows, _CHUNK)):
            conn.execute(insert(same_tile), chunk)
    return stated


def check_stated(conn: Connection, version: Version, given: Mapping[str, int]) -> None:
    """Refuse another accuracy for a version that is published: buyers rely on what it was.

    Raises: Conflict: `accuracy.published`.
    """
    for one in conn.execute(select(layer.c.name, layer.c.accuracy_mm).where(layer.c.version_id == version.id)):
        asked = given.get(one.name, given.get(ALL_LAYERS, one.accuracy_mm))
        if asked != (one.accuracy_mm or asked):
            sentence = (
                f"The accuracy of {one.name} was stated when version {version.number} was published; the next version can state another."
            )
            raise Conflict("accuracy.published", sentence, layer=one.name)


def accuracies(conn: Connection, version_id: str) -> dict[str, int]:
    """What was stated of each layer (mm)."""
    query = select(layer.c.name, layer.c.accuracy_mm).where(layer.c.version_id == version_id, layer.c.accuracy_mm.is_not(None))
    return {name: stated for name, stated in conn.execute(query)}


def all_accuracies(conn: Connection) -> dict[str, dict[str, int]]:
    """What was stated of each layer (mm) of each version, by id."""
    found: dict[str, dict[str, int]] = {}
    query = select(layer.c.version_id, layer.c.name, layer.c.accuracy_mm).where(layer.c.accuracy_mm.is_not(None))
    for version_id, name, stated in conn.execute(query):
        found.setdefault(version_id, {})[name] = stated
    return found


def compared(conn: Connection) -> set[str]:
    """Ids of the versions of which anything is stored about what they change."""
    found: set[str] = set()
    for table in (layer_change, tile_change, same_tile):
        query = select(layer.c.version_id).join_from(table, layer, layer.c.id == table.c.layer_id).distinct()
        found.update(conn.execute(query).scalars())
    return found


def is_unsettled(conn: Connection, version_id: str) -> bool:
    """Whether other old tiles count as the same than what is stored of the changes makes the same."""
    for layer_id, stated in conn.execute(select(layer.c.id, layer.c.accuracy_mm).where(layer.c.version_id == version_id)).all():
        kept = {(row.cell, row.held_id) for row in conn.execute(select(same_tile).where(same_tile.c.layer_id == layer_id))}
        if kept != (set(same(conn, layer_id, stated)) if stated else set()):
            return True
    return False


def usual(conn: Connection, layer_id: str) -> int:
    """The accuracy of a layer of which nobody states one: that of the layer it was compared with, else the default."""
    query = select(layer.c.accuracy_mm).join_from(layer_change, layer, layer.c.id == layer_change.c.against_id)
    return conn.execute(query.where(layer_change.c.layer_id == layer_id)).scalar() or DEFAULT_MM


def same(conn: Connection, layer_id: str, accuracy_mm: int) -> Iterator[tuple[int, str]]:
    """Each cell of a layer that differs from an older one, and is the same by the accuracy: cell, and id of the older layer.

    From version to version back: what features moved adds up, and a change of anything else ends it.
    """
    ways: dict[int, Drift] = {}
    for newer, older in _line(conn, layer_id):
        rows = select(tile_change.c.cell, tile_change.c.others, tile_change.c.shift_um).where(tile_change.c.layer_id == newer)
        for cell, others, um in conn.execute(rows):
            ways[cell] = ways.get(cell, Drift(accuracy_mm)).back(Shift(bool(others), um))
        yield from ((cell, older) for cell, way in sorted(ways.items()) if way.is_none)


def _line(conn: Connection, layer_id: str) -> Iterator[tuple[str, str]]:
    """A layer and the one it was compared with, that one and its own, and so on."""
    newer = layer_id
    for _ in range(_MOST_STEPS):
        older = conn.execute(select(layer_change.c.against_id).where(layer_change.c.layer_id == newer)).scalar()
        if older is None:
            return
        yield newer, older
        newer = older


def of_version(conn: Connection, version_id: str) -> dict[str, LayerChanges]:
    """What a version changes, by layer, as far as it was compared."""
    older = layer.alias("older")
    query = (
        select(layer.c.id, layer.c.name, layer.c.kind, layer.c.accuracy_mm, layer_change.c.against_id, layer_change.c.counts)
        .add_columns(dataset_version.c.number.label("against"))
        .join_from(layer_change, layer, layer.c.id == layer_change.c.layer_id)
        .join(older, older.c.id == layer_change.c.against_id)
        .join(dataset_version, dataset_version.c.id == older.c.version_id)
        .where(layer.c.version_id == version_id)
        .order_by(layer.c.name)
    )
    found = {}
    for row in conn.execute(query).all():
        stated = row.accuracy_mm or usual(conn, row.id)
        shifts = {
            cell: Shift(bool(others), um)
            for cell, others, um in conn.execute(
                select(tile_change.c.cell, tile_change.c.others, tile_change.c.shift_um).where(tile_change.c.layer_id == row.id)
            )
        }
        cells = {limit: sum(is_change(shift, limit) for shift in shifts.values()) for limit in STEPS_MM}
        within = frozenset(cell for cell, shift in shifts.items() if not is_change(shift, stated))
        found[row.name] = LayerChanges(row.kind, row.against, stated, _comparison(row.name, row.against_id, row.counts), cells, within)
    return found


def of_cells(conn: Connection, layer_id: str, held_id: str, cells: Sequence[int]) -> ChangeCounts | None:
    """What became of the features of some cells from one version to a later one, summed over those between; None: not compared."""
    total, wanted = ChangeCounts(), set(cells)
    for newer, older in _line(conn, layer_id):
        rows = select(tile_change.c.cell, tile_change.c.counts).where(tile_change.c.layer_id == newer)
        for cell, counts in conn.execute(rows):
            if cell in wanted:
                total += ChangeCounts.from_json(json.loads(counts))
        if older == held_id:
            return total
    return None


def fresh(conn: Connection, layer_id: str, held: Mapping[str, Collection[int]]) -> dict[tuple[str, int], int]:
    """How many features (points, frames) of cells of a layer are not as an older one has them, by its id and cell.

    Over some versions the changes add up, and each of these may move a feature by its part of the accuracy alone, so that many small
    shifts do not creep away. What was not compared is left out.

    Args:
        held: the cells that are asked for, by older layer.
    """
    wanted = {cell for cells in held.values() for cell in cells}
    stated = conn.execute(select(layer.c.accuracy_mm).where(layer.c.id == layer_id)).scalar() or usual(conn, layer_id)
    steps: dict[int, list[ChangeCounts]] = defaultdict(list)
    found: dict[tuple[str, int], int] = {}
    missing = set(held)
    for newer, older in _line(conn, layer_id) if wanted else ():
        rows = select(tile_change.c.cell, tile_change.c.counts).where(tile_change.c.layer_id == newer)
        for cell, counts in conn.execute(rows.where(tile_change.c.cell.between(min(wanted), max(wanted)))):
            if cell in wanted:
                steps[cell].append(ChangeCounts.from_json(json.loads(counts)))
        for cell in held.get(older, ()):
            found[older, cell] = sum(one.fresh_by(stated // len(steps[cell])) for one in steps[cell])
        missing.discard(older)
        if not missing:
            break
    return found


def _comparison(name: str, against_id: str, text: str) -> LayerComparison:
    record = json.loads(text)
    made = LayerComparison(name, against_id, record["before"], record["after"], counts=ChangeCounts.from_json(record))
    return replace(made, attributes=record["attributes"], examples=record["examples"])
