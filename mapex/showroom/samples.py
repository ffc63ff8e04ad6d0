"""Sample tiles: one tile of each layer that may be shown, free for whoever is signed in, when its seller gives samples.

It is the tile of the version on sale whose size is in the middle: neither the emptiest nor the fullest. Of a layer with few tiles there is
none, because one of them would be much of it. Nothing that needs a permit is ever a sample. Each is written to the log first.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from mapex.audit.log import Action, AuditEntry, append
from mapex.catalogue.versions import Layer, layers_of
from mapex.database import attempts, db
from mapex.database.acts import act
from mapex.errors import Limited, NotFound
from mapex.exchange import Actor, Exchange
from mapex.offers import products
from mapex.rules.licences import HandlingClass
from mapex.showroom import descriptions
from mapex.times import NS
from tiles.batch import Content
from tiles.errors import TilesError
from tiles.formats import of_media_type
from tiles.grid import grid
from tiles.store.protocol import Bucket

FEWEST_TILES = 5
CLASSES = frozenset({HandlingClass.OPEN, HandlingClass.PSEUDONYMISED})
PURPOSE = "sample"
"""The word of the log for what a sample is taken for."""
MOST_AN_HOUR = 60
MOST_FEATURES = 3000
"""Features of a sample that a page draws."""
_HOUR_S, _DAY_S = 3600, 86_400


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file of a sample tile; `name` is what it is called on a disk."""

    part: int
    name: str
    key: str
    sha256: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class SampleTile:
    """The sample of a layer: its tile (`quadkey`) and the files of it."""

    dataset: str
    version: int
    layer: Layer
    quadkey: str
    files: Sequence[SampleFile]


def of(ex: Exchange, ref: str) -> Sequence[SampleTile]:
    """The samples of a dataset on offer (`ORG/SLUG`); none when its seller gives none.

    Raises: NotFound (`dataset.unknown`).
    """
    with db.read(ex) as conn:
        return _of(ex, conn, ref)


def take(ex: Exchange, by: Actor, ref: str, layer: str, part: int) -> tuple[SampleFile, Iterator[bytes]]:
    """A file of a sample: logged, then its bytes.

    Raises: NotFound (`dataset.unknown`, `sample.none`), Limited (`sample.too_many`).
    """
    _count(ex, by)
    with act(ex, by) as conn:
        found = _one(_of(ex, conn, ref), layer)
        files = [one for one in found.files if one.part == part]
        if not files:
            raise _none()
        _log(conn, ex, by, found, {"part": part, "sha256": files[0].sha256})
    return files[0], ex.store.read(Bucket.DATA, files[0].key)


def features(ex: Exchange, by: Actor, ref: str, layer: str) -> Mapping[str, Any]:
    """The features of the sample of a vector layer as GeoJSON, to be drawn; logged once a day for each person and version.

    Raises: NotFound (`dataset.unknown`, `sample.none`), Limited (`sample.too_many`).
    """
    counted = attempts.count(ex, f"sample drawn {by.person_id} {ref} {layer}", _DAY_S)
    if counted.count == 1:
        _count(ex, by)
    with act(ex, by) as conn:
        found = _one(_of(ex, conn, ref), layer)
        if found.layer.content != Content.FEATURES:
            raise _none()
        if counted.count == 1:
            _log(conn, ex, by, found, {"sha256": found.files[0].sha256, "drawn": True})
    store: Any = ex.store  # a protocol does not promise that its implementations can be keys of a cache
    try:
        drawn = [one for file in found.files for one in _drawn(store, file.key)]
    except TilesError as why:  # a tile of a version from before what is read today
        raise _none() from why
    return {"type": "FeatureCollection", "features": drawn[:MOST_FEATURES]}


def _count(ex: Exchange, by: Actor) -> None:
    counted = attempts.count(ex, f"samples {by.person_id}", _HOUR_S)
    if counted.count > MOST_AN_HOUR:
        wait = max(1, (counted.ends_ns - ex.now()) // NS)
        message = f"{MOST_AN_HOUR} samples an hour are free; go on in {wait} s."
        raise Limited("sample.too_many", message, retry_after_s=wait)


def _log(conn: Connection, ex: Exchange, by: Actor, found: SampleTile, details: Mapping[str, Any]) -> None:
    org, _, dataset = found.dataset.partition("/")
    append(
        conn,
        ex,
        by,
        AuditEntry(
            Action.SAMPLE_TAKEN,
            owner=org,
            dataset=dataset,
            layer=found.layer.name,
            tile=found.quadkey,
            purpose=PURPOSE,
            handling_class=str(found.layer.handling_class),
            details={"version": found.version, **details},
        ),
    )


def _one(found: Sequence[SampleTile], layer: str) -> SampleTile:
    for one in found:
        if one.layer.name == layer:
            return one
    raise _none()


def _none() -> NotFound:
    return NotFound("sample.none", "There is no free sample of this.")


def _of(ex: Exchange, conn: Connection, ref: str) -> list[SampleTile]:
    org, _, slug = ref.partition("/")
    row = products.on_offer(conn, org, slug)
    if not descriptions.of_dataset(conn, row["dataset_id"]).sample:
        return []
    layers = [one for one in layers_of(conn, row["version_id"]) if one.handling_class in CLASSES and one.cells >= FEWEST_TILES]
    return [
        SampleTile(ref, row["number"], one, grid.quadkey(cell), _files(conn, one, cell)) for one in layers for cell in [_middle(conn, one)]
    ]


def _middle(conn: Connection, layer: Layer) -> int:
    """The cell of a layer whose size is in the middle."""
    return int(conn.execute(_MIDDLE, {"layer": layer.id, "middle": (layer.cells - 1) // 2}).scalar_one())


def _files(conn: Connection, layer: Layer, cell: int) -> list[SampleFile]:
    found = []
    for row in conn.execute(_FILES, {"layer": layer.id, "cell": cell}):
        form = of_media_type(row.media_type)
        name = f"{layer.name}-{grid.quadkey(cell)}-{row.part}.{form.ending if form is not None else 'bin'}"
        found.append(SampleFile(row.part, name, row.object_key, row.sha256, int(row.bytes), row.media_type))
    return found


_MIDDLE = text("SELECT cell FROM tile WHERE layer_id = :layer GROUP BY cell ORDER BY SUM(bytes), cell LIMIT 1 OFFSET :middle")
_FILES = text("SELECT part, object_key, sha256, bytes, media_type FROM tile WHERE layer_id = :layer AND cell = :cell ORDER BY part")


@lru_cache(maxsize=32)
def _drawn(store: Any, key: str) -> tuple[Mapping[str, Any], ...]:
    """The features of a vector tile as GeoJSON; a key is made from the content, so it never becomes stale."""
    import shapely

    from tiles.features import codec

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.parquet"
        path.write_bytes(b"".join(store.read(Bucket.DATA, key)))
        table = codec.read(path).slice(0, MOST_FEATURES)
    shapes = shapely.force_2d(shapely.from_wkb(table.column("geometry").to_pylist()))
    named = (table.column(name).to_pylist() for name in ("feature_id", "kind", "properties"))
    return tuple(
        {"type": "Feature", "properties": {"id": id_, "kind": kind, "properties": properties or "{}"}, "geometry": json.loads(geometry)}
        for id_, kind, properties, geometry in zip(*named, shapely.to_geojson(shapes).tolist(), strict=True)
    )
