"""Previews: what may be looked at before buying. They are made at ingest; whether one is shown is decided here, each time it is asked for.

Who may look: members, auditors and operators at what is on sale, the owner also at drafts. A layer of the class `original` shows what
its sensor recorded and no picture, whatever was made of it; pictures of footage are shown only when they were blurred.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, and_, select

from mapex import authority
from mapex.catalogue.versions import Layer, Version, find_version, layers_of
from mapex.database import db, schema
from mapex.database.live_offers import live_layers, live_offers
from mapex.errors import NotFound
from mapex.exchange import Actor, Exchange
from mapex.pyramid import cell_sums
from mapex.rules.licences import HandlingClass
from tiles.batch import LayerKind
from tiles.features import teaser
from tiles.grid import grid
from tiles.store.protocol import Bucket, ObjectStore

FACTS = "facts"
TABLES = ("names", "attributes")
"""Names for the search (`mapex.atlas.published`) and attributes (`mapex.showroom.attributes`): they are not looked at one by one."""
MOST_LISTED = 200
PICTURES = ("strip", "clip")
"""Kinds that show what a camera saw."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One preview that may be shown: kind is facts, teaser, cloud, still, strip or clip; `size` in bytes, 0 when `about` is all of it."""

    kind: str
    ordinal: int
    media_type: str
    size: int
    sha256: str
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LayerPreviews:
    """A layer and what of it may be shown. `hidden`: why there is no picture: "" (nothing hidden), `original`, or `not_made`."""

    layer: Layer
    previews: Sequence[Preview]
    hidden: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A preview that is being sent: `read(offset, length)` gives its bytes."""

    preview: Preview
    key: str

    def read(self, store: ObjectStore, offset: int, length: int) -> Iterator[bytes]:
        """Bytes of it from the store."""
        return store.read(Bucket.DATA, self.key, offset=offset, length=length)


@dataclass(frozen=True, slots=True)
class TeaserLines:
    """Teaser lines of one layer on a map tile. `lines` is (n, 4) i32: x0, y0, x1, y1 in units of the tile (0 to extent)."""

    org: str
    dataset: str
    kind: LayerKind
    class_: str
    lines: teaser.Ints


def of_version(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> tuple[Version, Sequence[LayerPreviews]]:
    """The previews of a version, by layer; None: the one on sale, or else the newest draft of an own dataset.

    Raises: NotFound: also when it is foreign and not on sale.
    """
    with db.read(ex) as conn:
        version = _version(conn, by, ref, number)
        return version, [_of_layer(conn, layer) for layer in layers_of(conn, version.id)]


def on_sale(ex: Exchange, by: Actor, kind: str) -> Sequence[Mapping[str, Any]]:
    """Layers of a kind that are on sale: org, dataset, title, version, layer; the newest first.

    Args:
        by: who asks; there must be somebody.
        kind: a `LayerKind`; an unknown one has no layers.
    """
    layer, version = schema.layer.c, schema.dataset_version
    query = (
        select(
            live_offers.c.org, live_offers.c.dataset, schema.dataset.c.title, version.c.number.label("version"), layer.name.label("layer")
        )
        .select_from(live_layers)
        .join(version, version.c.id == layer.version_id)
        .join(schema.dataset, schema.dataset.c.id == version.c.dataset_id)
        .where(layer.kind == kind)
        .order_by(version.c.published_ns.desc(), layer.name)
    )
    with db.read(ex) as conn:
        return [dict(row) for row in conn.execute(query.limit(MOST_LISTED)).mappings()]


def open_one(ex: Exchange, by: Actor, ref: str, number: int, layer: str, kind: str, ordinal: int = 0) -> Opened:
    """One preview that has bytes, if it may be shown.

    Raises: NotFound: `preview.unknown`: there is none, or it may not be shown; the answer is the same.
    """
    with db.read(ex) as conn:
        version = _version(conn, by, ref, number)
        for found in layers_of(conn, version.id):
            if found.name == layer:
                shown = [one for one in _of_layer(conn, found).previews if (one.kind, one.ordinal) == (kind, ordinal) and one.size]
                if shown:
                    preview = schema.preview.c
                    query = select(preview.object_key).where(preview.layer_id == found.id, preview.kind == kind, preview.ordinal == ordinal)
                    return Opened(shown[0], str(conn.execute(query).scalar_one()))
    raise NotFound("preview.unknown", "There is no such preview.")


def teaser_in_tile(
    ex: Exchange, by: Actor | None, z: int, x: int, y: int, *, extent: int = 4096, of: tuple[str, str] | None = None
) -> Sequence[TeaserLines]:
    """Teaser lines of everything on sale on a map tile, by layer and class of line; for the map.

    Only teasers of layers that have a tile there are read: the pyramid of what is on offer is their index.

    Args:
        by: who asks; None is a visitor, who sees no line of a class that needs a permit.
        z, x, y: the map tile.
        extent: units on its side.
        of: organisation and slug of the one dataset that is meant; None = all.
    """
    with db.read(ex) as conn:
        here = cell_sums.layers_in(conn, z, int(grid.morton(x, y)))
        rows = conn.execute(_teasers_on_sale(here, by, of)).mappings().all() if here else []
    found = []
    store: Any = ex.store  # a protocol does not promise that its implementations can be keys of a cache
    for row in rows:
        lines = teaser_of(store, row["object_key"]).in_tile(z, x, y, extent)
        for code, name in enumerate(teaser.CLASSES):
            mine = lines.segments[lines.classes == code]
            if len(mine):
                found.append(TeaserLines(row["org"], row["dataset"], LayerKind(row["kind"]), name, mine))
    return found


@lru_cache(maxsize=128)
def teaser_of(store: Any, key: str) -> teaser.Teaser:
    """A decoded teaser; its key is made from its content, so it never becomes stale."""
    return teaser.decode(b"".join(store.read(Bucket.DATA, key)))


def _version(conn: Connection, by: Actor, ref: str, number: int | None) -> Version:
    """A version whose previews `by` may see: on sale, or of the own organisation."""
    if number is None:
        versions = schema.dataset_version.c
        newest = find_version(conn, by, ref)
        query = select(versions.number).where(versions.dataset_id == newest.dataset_id, versions.state == "published")
        number = conn.execute(query).scalar() or newest.number
    version = find_version(conn, by, ref, number)
    if version.state != "published" and version.org_id != by.org_id and not authority.sees_all(by):
        raise NotFound("version.unknown", "There is no such version.")
    return version


def _of_layer(conn: Connection, layer: Layer) -> LayerPreviews:
    preview = schema.preview.c
    query = select(schema.preview).where(preview.layer_id == layer.id, preview.kind.not_in(TABLES)).order_by(preview.kind, preview.ordinal)
    made = [
        Preview(found["kind"], found["ordinal"], found["media_type"], found["bytes"], found["sha256"], json.loads(found["about"]))
        for found in conn.execute(query).mappings()
    ]
    shown = [one for one in made if may_show(layer.handling_class, one)]
    hidden = ""
    if not any(one.kind != FACTS for one in shown):
        hidden = "original" if layer.handling_class == HandlingClass.ORIGINAL else "not_made"
    return LayerPreviews(layer, shown, hidden)


def may_show(handling_class: str | None, preview: Preview) -> bool:
    """Whether a preview of a layer of this class may be shown: facts always, of `original` nothing else, footage only blurred."""
    if preview.kind == FACTS:
        return True
    if handling_class == HandlingClass.ORIGINAL:
        return False
    return preview.kind not in PICTURES or (handling_class is not None and preview.about.get("blurred") is True)


def _teasers_on_sale(layer_ids: Sequence[str], by: Actor | None, of: tuple[str, str] | None) -> Any:
    layer, preview = schema.layer.c, schema.preview
    hidden = [one for one in HandlingClass if (one.needs_permit if by is None else one == HandlingClass.ORIGINAL)]
    query = (
        select(layer.kind, preview.c.object_key, live_offers.c.dataset, live_offers.c.org)
        .select_from(live_layers)
        .join(preview, and_(preview.c.layer_id == layer.id, preview.c.kind == "teaser"))
        .where(layer.id.in_(layer_ids), layer.handling_class.not_in([str(one) for one in hidden]))
        .order_by(layer.id)
    )
    return query if of is None else query.where(live_offers.c.org == of[0], live_offers.c.dataset == of[1])
