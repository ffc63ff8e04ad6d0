"""What a version changes on the map: cells added, changed and removed against what was published last, layer by layer.

A cell is changed when the contents of its objects differ; the order of files and their part numbers do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, and_, or_, select, text

from mapex.catalogue.versions import Version, find_version
from mapex.database import db, schema
from mapex.exchange import Actor, Exchange


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """Cells (z16 Morton numbers, sorted) of one layer that differ, and how many do not."""

    kind: str
    added: tuple[int, ...]
    changed: tuple[int, ...]
    removed: tuple[int, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Differences:
    """A version against the one published before it (`against`: its number; None: there is none, so all is added)."""

    version: Version
    against: int | None
    layers: Mapping[str, LayerDifference]


def of(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> Differences:
    """What a version that `by` may see differs in from the version that was published last before it.

    Raises: NotFound.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        before = _published_before(conn, version)
        layers = _layers(conn, version.id, before[0] if before else "")
    return Differences(version, before[1] if before else None, layers)


def _published_before(conn: Connection, version: Version) -> tuple[str, int] | None:
    """Id and number of the version that was on sale when this one came, or would be when it came now."""
    row = schema.dataset_version.c
    earlier = row.published_ns < version.published_ns if version.published_ns else row.published_ns.is_not(None)
    tie = and_(row.published_ns == version.published_ns, row.number < version.number) if version.published_ns else None
    query = select(row.id, row.number).where(row.dataset_id == version.dataset_id, row.id != version.id)
    query = query.where(or_(earlier, tie) if tie is not None else earlier).order_by(row.published_ns.desc(), row.number.desc()).limit(1)
    found = conn.execute(query).first()
    return (found.id, found.number) if found else None


_CONTENTS = (
    "SELECT l.name, t.cell, t.sha256, COUNT(*) AS copies FROM layer l JOIN tile t ON t.layer_id = l.id "
    "WHERE l.version_id = :{0} GROUP BY l.name, t.cell, t.sha256"
)
_DIFFERING = (
    f"WITH a AS ({_CONTENTS.format('after')}), b AS ({_CONTENTS.format('before')}), "
    "d AS (SELECT name, cell FROM (SELECT * FROM a EXCEPT SELECT * FROM b) x "
    "UNION SELECT name, cell FROM (SELECT * FROM b EXCEPT SELECT * FROM a) y), "
    "ka AS (SELECT DISTINCT name, cell FROM a), kb AS (SELECT DISTINCT name, cell FROM b) "
    "SELECT d.name, d.cell, ka.cell IS NOT NULL AS is_after, kb.cell IS NOT NULL AS is_before FROM d "
    "LEFT JOIN ka ON ka.name = d.name AND ka.cell = d.cell LEFT JOIN kb ON kb.name = d.name AND kb.cell = d.cell "
    "ORDER BY d.name, d.cell"
)


def _layers(conn: Connection, after_id: str, before_id: str) -> dict[str, LayerDifference]:
    row = schema.layer.c
    known = conn.execute(select(row.version_id, row.name, row.kind, row.cells).where(row.version_id.in_([after_id, before_id]))).all()
    kinds = {one.name: one.kind for one in sorted(known, key=lambda one: bool(one.version_id == after_id))}
    whole = {one.name: one.cells for one in known if one.version_id == after_id}
    cells: dict[str, tuple[list[int], list[int], list[int]]] = {name: ([], [], []) for name in sorted(kinds)}
    for name, cell, is_after, is_before in conn.execute(text(_DIFFERING), {"after": after_id, "before": before_id}):
        cells[name][0 if not is_before else 1 if is_after else 2].append(cell)
    return {
        name: LayerDifference(kinds[name], tuple(added), tuple(changed), tuple(removed), whole.get(name, 0) - len(added) - len(changed))
        for name, (added, changed, removed) in cells.items()
    }
