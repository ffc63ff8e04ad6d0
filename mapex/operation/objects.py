"""Objects of the store and the rows that name them: both lists are walked side by side, in key order, so that neither is held whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, collate, func, select, union_all

from mapex.database import db, schema
from mapex.exchange import Exchange
from mapex.intake.keys import REVIEWS
from mapex.operation.invariants.asking import RELEASED, Offender
from mapex.times import DAY_NS
from tiles.errors import ObjectMissing
from tiles.store.protocol import Bucket, ObjectInfo


@dataclass(frozen=True, slots=True)
class ObjectCheck:
    """What the comparison found: objects that published rows name and that are missing or different; objects that no row names."""

    wrong: Sequence[Offender]
    unnamed: Sequence[Offender]


@dataclass(frozen=True, slots=True)
class _Named:
    """An object as the rows of tiles, previews and reviews name it; `is_released` when one of them was published once."""

    key: str
    sha256: str
    least_bytes: int
    most_bytes: int
    is_released: bool


def compare(ex: Exchange, conn: Connection, *, deep: bool) -> ObjectCheck:
    """Compare the rows of tiles, previews and reviews with the objects of the store, side by side in the order of the keys.

    Args:
        deep: also read the objects of published versions and compare their sha256; else their sizes only.
    """
    wrong: list[Offender] = []
    unnamed: list[Offender] = []
    oldest = ex.now() - DAY_NS
    for named, stored in _side_by_side(_named(conn), _listed(ex)):
        if named is None:
            if stored is not None and stored.modified_ns < oldest:
                unnamed.append(f"object {stored.key} ({stored.size} bytes)")
        elif named.is_released and (fault := _fault(ex, named, stored, deep=deep)):
            wrong.append(fault)
    return ObjectCheck(wrong, unnamed)


def _side_by_side(named: Iterator[_Named], stored: Iterator[ObjectInfo]) -> Iterator[tuple[_Named | None, ObjectInfo | None]]:
    """Both streams, sorted by key, merged: each key once, with None on the side where it is not."""
    row, there = next(named, None), next(stored, None)
    while row is not None or there is not None:
        if there is None or (row is not None and row.key < there.key):
            yield row, None
            row = next(named, None)
        elif row is None or there.key < row.key:
            yield None, there
            there = next(stored, None)
        else:
            yield row, there
            row, there = next(named, None), next(stored, None)


def _fault(ex: Exchange, named: _Named, stored: ObjectInfo | None, *, deep: bool) -> Offender | None:
    """What is wrong with the object of a published row, or None."""
    kind = "preview" if named.key.startswith("previews/") else "document" if named.key.startswith(REVIEWS) else "tile"
    if stored is None:
        return f"object {named.key} of a published {kind} is missing"
    if not named.least_bytes == named.most_bytes == stored.size:
        return f"object {named.key} has {stored.size} bytes and its {kind} names {named.most_bytes}"
    if deep and (found := _sha256(ex, named.key)) != named.sha256:
        return f"object {named.key} has sha256 {found} and its {kind} names {named.sha256}"
    return None


def _named(conn: Connection) -> Iterator[_Named]:
    """The objects that rows name, by key in the order of its bytes, which is the order of every store."""
    tile, preview, layer, version = (table.c for table in (schema.tile, schema.preview, schema.layer, schema.dataset_version))
    review = schema.footage_review.c
    of_tiles = select(layer.version_id, tile.object_key, tile.sha256, tile.bytes).join_from(
        schema.tile, schema.layer, layer.id == tile.layer_id
    )
    of_previews = (
        select(layer.version_id, preview.object_key, preview.sha256, preview.bytes)
        .join_from(schema.preview, schema.layer, layer.id == preview.layer_id)
        .where(preview.object_key.is_not(None))
    )
    of_reviews = select(review.version_id, review.object_key, review.sha256, review.bytes).where(review.object_key.is_not(None))
    rows = union_all(of_tiles, of_previews, of_reviews).subquery()
    key = rows.c.object_key if db.is_sqlite(conn) else collate(rows.c.object_key, "C")
    is_released = func.max(case((version.state.in_(RELEASED), 1), else_=0))
    query = (
        select(key, func.min(rows.c.sha256), func.min(rows.c.bytes), func.max(rows.c.bytes), is_released)
        .join_from(rows, schema.dataset_version, version.id == rows.c.version_id)
        .group_by(key)
        .order_by(key)
    )
    for object_key, sha256, least, most, released in conn.execute(query, execution_options={"yield_per": 10_000}):
        yield _Named(object_key, sha256, least, most, bool(released))


def _listed(ex: Exchange) -> Iterator[ObjectInfo]:
    after = ""
    while page := ex.store.list(Bucket.DATA, after=after):
        yield from page
        after = page[-1].key


def _sha256(ex: Exchange, key: str) -> str:
    digest = hashlib.sha256()
    try:
        for piece in ex.store.read(Bucket.DATA, key):
            digest.update(piece)
    except ObjectMissing:
        return "(gone)"
    return digest.hexdigest()
