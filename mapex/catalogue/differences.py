"""What a version changes on the map: cells added, changed and removed against what was published last, layer by layer.

The contents of a changed cell differ (the order of files and their part numbers do not matter), and its features do by more than the
stated accuracy, as far as they were compared when the version was read (`comparisons`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, except_, func, or_, select, union

from mapex.catalogue import comparisons
from mapex.catalogue.comparisons import LayerChanges
from mapex.catalogue.versions import Version, find_version, layers_of
from mapex.database import db, schema
from mapex.exchange import Actor, Exchange


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """Cells (z16 Morton numbers, sorted) of one layer that differ, and how many do not; `within`: by less than the stated accuracy."""

    kind: str
    added: tuple[int, ...]
    changed: tuple[int, ...]
    removed: tuple[int, ...]
    unchanged: int
    within: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Differences:
    """A version against the one published before it (`against`: its number; None: there is none, so all is added).

    `features`: what it changes feature by feature, of the layers that were compared with that version.
    """

    version: Version
    against: int | None
    layers: Mapping[str, LayerDifference]
    features: Mapping[str, LayerChanges]


def of(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> Differences:
    """What a version that `by` may see differs in from the version that was published last before it.

    Raises: NotFound.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        before = _published_before(conn, version)
        features = _features(conn, version, before[0] if before else "")
        layers = _layers(conn, version.id, before[0] if before else "", features)
    return Differences(version, before[1] if before else None, layers, features)


def accuracies(ex: Exchange, by: Actor, ref: str, number: int) -> dict[str, int]:
    """How accurate each layer of a version is (mm): as stated, or as it is taken to be when nobody states it.

    Raises: NotFound.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        stated = comparisons.accuracies(conn, version.id)
        return {one.name: stated.get(one.name) or comparisons.usual(conn, one.id) for one in layers_of(conn, version.id)}


def _features(conn: Connection, version: Version, before_id: str) -> dict[str, LayerChanges]:
    """What was found when the version was read, where that was against the same version as is published before it now."""
    of_it = set(conn.execute(select(schema.layer.c.id).where(schema.layer.c.version_id == before_id)).scalars())
    return {name: one for name, one in comparisons.of_version(conn, version.id).items() if one.comparison.against_id in of_it}


def _published_before(conn: Connection, version: Version) -> tuple[str, int] | None:
    """Id and number of the version that was on sale when this one came, or would be when it came now."""
    versions = schema.dataset_version.c
    earlier = versions.published_ns < version.published_ns if version.published_ns else versions.published_ns.is_not(None)
    tie = and_(versions.published_ns == version.published_ns, versions.number < version.number) if version.published_ns else None
    query = select(versions.id, versions.number).where(versions.dataset_id == version.dataset_id, versions.id != version.id)
    query = (
        query.where(or_(earlier, tie) if tie is not None else earlier)
        .order_by(versions.published_ns.desc(), versions.number.desc())
        .limit(1)
    )
    found = conn.execute(query).first()
    return (found.id, found.number) if found else None


def _contents(version_id: str) -> Select[Any]:
    """Each content (sha256) of each cell of each layer of a version, and how many objects have it."""
    layer, tile = schema.layer.c, schema.tile.c
    what = (layer.name, tile.cell, tile.sha256)
    query = select(*what, func.count().label("copies")).join_from(schema.layer, schema.tile, tile.layer_id == layer.id)
    return query.where(layer.version_id == version_id).group_by(*what)


def _differing(after_id: str, before_id: str) -> Select[Any]:
    """Layer name, cell, and in which of two versions there is one: a row for each cell whose contents differ."""
    after, before = _contents(after_id).cte("after"), _contents(before_id).cte("before")
    fresh = except_(select(after), select(before)).subquery()
    gone = except_(select(before), select(after)).subquery()
    differing = union(select(fresh.c.name, fresh.c.cell), select(gone.c.name, gone.c.cell)).subquery()
    cells = differing.c
    there = {
        name: select(version.c.name, version.c.cell).distinct().subquery() for name, version in (("is_after", after), ("is_before", before))
    }
    query = select(cells.name, cells.cell, *(one.c.cell.is_not(None).label(name) for name, one in there.items())).select_from(differing)
    for one in there.values():
        query = query.outerjoin(one, and_(one.c.name == cells.name, one.c.cell == cells.cell))
    return query.order_by(cells.name, cells.cell)


def _layers(conn: Connection, after_id: str, before_id: str, features: Mapping[str, LayerChanges]) -> dict[str, LayerDifference]:
    layer = schema.layer.c
    known = conn.execute(
        select(layer.version_id, layer.name, layer.kind, layer.cells).where(layer.version_id.in_([after_id, before_id]))
    ).all()
    kinds = {one.name: one.kind for one in sorted(known, key=lambda one: bool(one.version_id == after_id))}
    whole = {one.name: one.cells for one in known if one.version_id == after_id}
    cells: dict[str, list[list[int]]] = {name: [[], [], [], []] for name in sorted(kinds)}
    for name, cell, is_after, is_before in conn.execute(_differing(after_id, before_id)):
        is_none = is_before and is_after and name in features and cell in features[name].within
        cells[name][3 if is_none else 0 if not is_before else 1 if is_after else 2].append(cell)
    return {name: _difference(kinds[name], whole.get(name, 0), found) for name, found in cells.items()}


def _difference(kind: str, whole: int, cells: Sequence[Sequence[int]]) -> LayerDifference:
    added, changed, removed, within = map(tuple, cells)
    return LayerDifference(kind, added, changed, removed, whole - len(added) - len(changed) - len(within), within)
