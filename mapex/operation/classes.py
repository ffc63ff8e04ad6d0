"""Layers that were released as something less than `original`, and their tiles, for who looks at them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, and_, or_, select

from mapex.catalogue.versions import Layer, layer_from
from mapex.database import db, schema
from mapex.exchange import Exchange
from mapex.operation.invariants.asking import RELEASED
from mapex.rules.licences import HandlingClass
from tiles.batch import QUANTITIES, EncodedTile, Quantities
from tiles.box import Box
from tiles.formats import of_kind

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Released:
    """A layer of a version that is or was on sale; `dataset` is ORG/SLUG."""

    dataset: str
    version: int
    layer: Layer


def lesser(ex: Exchange, dataset: str | None = None) -> Sequence[Released]:
    """Released layers that anybody may have bought without the permit for original footage, and of which the operator saw no proof."""
    layer, version, data, org = (table.c for table in (schema.layer, schema.dataset_version, schema.dataset, schema.organisation))
    query = (
        select(schema.layer, org.slug.label("org_slug"), data.slug.label("dataset_slug"), version.number)
        .join_from(schema.layer, schema.dataset_version, version.id == layer.version_id)
        .join(schema.dataset, data.id == version.dataset_id)
        .join(schema.organisation, org.id == data.org_id)
        .where(version.state.in_(RELEASED), layer.handling_class != str(HandlingClass.ORIGINAL))
        .order_by(org.slug, data.slug, version.number, layer.name)
    )
    with db.read(ex) as conn:
        rows = conn.execute(query).mappings().all()
    found = [Released(f"{row['org_slug']}/{row['dataset_slug']}", row["number"], layer_from(row)) for row in rows]
    return [one for one in found if one.layer.facts.cleared is None and dataset in (None, one.dataset)]


def tiles_of(ex: Exchange, layer: Layer) -> Iterator[tuple[str, EncodedTile]]:
    """The tiles of a layer, each with the key of its object; no transaction stays open meanwhile."""
    tile = schema.tile.c
    query = select(schema.tile).where(tile.layer_id == layer.id).order_by(tile.cell, tile.part).limit(_PAGE)
    after = tile.cell >= 0
    while True:
        with db.read(ex) as conn:
            rows = conn.execute(query.where(after)).mappings().all()
        for row in rows:
            yield row["object_key"], _tile(layer, row)
        if len(rows) < _PAGE:
            return
        cell, part = rows[-1]["cell"], rows[-1]["part"]
        after = or_(tile.cell > cell, and_(tile.cell == cell, tile.part > part))


def _tile(layer: Layer, row: RowMapping) -> EncodedTile:
    from tiles.grid.grid import quadkey

    form, amounts = of_kind(layer.kind), Quantities(**{name: int(row[name]) for name in QUANTITIES})
    path, box = form.path(layer.name, quadkey(row["cell"]), row["part"]), Box(row["west"], row["south"], row["east"], row["north"])
    return EncodedTile(layer.name, row["cell"], row["part"], path, row["sha256"], amounts.bytes, row["media_type"], amounts, box)
