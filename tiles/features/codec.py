"""Vector tiles: GeoParquet 1.1 (WKB, longitude and latitude WGS 84), zstd, with a bbox covering column.

Columns: `feature_id`, `kind`, `owner` (this cell owns the feature), `inside_mm` (measured length inside this cell, null when the feature
is not measured: what the price counts, feature by feature), `properties` (JSON text), `geometry`, `bbox`; then whatever else the source's
batches had (`measure`: the line that was measured in place of the geometry). Rows are in the order of feature_id, then of the source.
Same rows, same bytes (of one version of Arrow). The key `mapex` of the file metadata is what is known of heights and the source's system.

Source: https://geoparquet.org/releases/v1.1.0/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tiles.arrays import Bools, Int64s, UInt64s
from tiles.batch import TILE_KEY, EncodedTile, Kind, Quantities
from tiles.box import Box
from tiles.errors import InvalidContent
from tiles.features import wkb
from tiles.features.assign import COUNTS, LENGTHS
from tiles.features.remembered import Remembered
from tiles.footage.tables import TableProof
from tiles.formats import GEOPARQUET, Doubting, Recounted
from tiles.grid.grid import quadkeys

BOX = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
COLUMNS: dict[str, pa.DataType] = {
    "feature_id": pa.string(),
    "kind": pa.string(),
    "owner": pa.bool_(),
    "inside_mm": pa.int64(),
    "properties": pa.string(),
    "geometry": pa.binary(),
    "bbox": BOX,
}
"""The columns that every vector tile starts with."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_COVERING = json.dumps({"bbox": {side: ["bbox", side] for side in _SIDES}}, separators=(",", ":"))
_DIMENSIONS = ("", " Z", " M", " ZM")
_LONGEST = 1 << 16  # rows of a row group
_RECOUNTED_ROWS, _RECOUNTED_BYTES = 1 << 13, 32 << 20
_SMALL = ("kind", "owner", "inside_mm", *(f"bbox.{side}" for side in _SIDES))
_OPTIONS: dict[str, Any] = {
    "use_dictionary": ["kind"],
    "write_statistics": [f"bbox.{side}" for side in _SIDES],
    "store_schema": False,
}


def _compression(names: list[str]) -> dict[str, str]:
    """zstd, but not for columns of a few hundred bytes: it makes them hardly smaller, and starting it costs a quarter of the whole tile."""
    return {**dict.fromkeys(names, "zstd"), **dict.fromkeys(_SMALL, "none")}


@lru_cache(maxsize=4096)
def _types(mask: int) -> str:
    """JSON list of geometry types of a set bit for each type and dimension."""
    found = [wkb.TYPES[bit % 8] + _DIMENSIONS[bit // 8] for bit in range(32) if mask >> bit & 1]
    return json.dumps(found, separators=(",", ":"))


def metadata(mask: int, box: Box, *, measured: bool) -> bytes:
    """The `geo` metadata of geometries of these types (see `type_bits`) and this box; no `crs` key means OGC:CRS84."""
    more = ',"measure":{"encoding":"WKB","geometry_types":[]}' if measured else ""
    geometry = f'{{"encoding":"WKB","geometry_types":{_types(mask)},"bbox":{json.dumps(box)},"covering":{_COVERING}}}'
    return f'{{"version":"1.1.0","primary_column":"geometry","columns":{{"geometry":{geometry}{more}}}}}'.encode()


def type_bits(codes: NDArray[np.int16]) -> Int64s:
    """One bit for each ISO WKB code: 8 types, four kinds of dimensions."""
    bits: Int64s = np.left_shift(1, codes.astype(np.int64) % 1000 + 8 * (codes.astype(np.int64) // 1000))
    return bits


def encode(table: pa.Table, geo: bytes, placing: str = "") -> pa.Buffer:
    """The bytes of one tile; `table` has `COLUMNS` first, `geo` is its `metadata`, `placing` as in `tiles.batch.PLACING`."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, compression=_compression(table.column_names), **_OPTIONS) as writer:
        writer.write_table(table, row_group_size=_LONGEST)
        writer.add_key_value_metadata({"geo": geo.decode(), **({TILE_KEY: placing} if placing else {})})
    return sink.getvalue()


def quantities(kind: pa.Array, owner: Bools, mm: Int64s, starts: Int64s) -> dict[str, Int64s]:
    """Price vectors of the groups of rows that begin at `starts` (not empty): lengths of all rows, counts of the owned ones."""
    codes = np.asarray(pc.fill_null(pc.index_in(kind, pa.array([str(k) for k in Kind])), -1))
    found = {"features": np.add.reduceat(owner.astype(np.int64), starts)}
    kinds = list(Kind)
    for name in dict.fromkeys(LENGTHS.values()):
        some = np.isin(codes, [kinds.index(k) for k, n in LENGTHS.items() if n == name])
        found[name] = np.add.reduceat(np.where(some, np.maximum(mm, 0), 0), starts)
    for k, name in COUNTS.items():
        found[name] = np.add.reduceat((owner & (codes == kinds.index(k))).astype(np.int64), starts)
    return found


def write_tiles(
    out: Path, layer: str, part: int, cells: UInt64s, table: pa.Table, codes: NDArray[np.int16], placing: str = ""
) -> Iterator[EncodedTile]:
    """Write one file for each cell.

    Args:
        out: folder; files are `<layer>/<quadkey>-<part>.parquet` below it (the layer's folder exists).
        layer: its name.
        part: number of the source file.
        cells: cell of each row, ascending.
        table: `COLUMNS`, in chunks of one, rows of a cell in their final order.
        codes: ISO WKB type of each row.
        placing: what each tile states of the place of its source (`tiles.batch.PLACING`).
    """
    starts = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    ends = np.r_[starts[1:], len(cells)]
    mm = table.column("inside_mm").fill_null(-1).to_numpy()
    sums = quantities(table.column("kind").chunk(0), table.column("owner").to_numpy(), mm, starts)
    bounds = _bounds(table.column("bbox").chunk(0), starts)
    masks = np.bitwise_or.reduceat(type_bits(codes), starts).tolist()
    measured = "measure" in table.column_names
    for k, (i, j, key) in enumerate(zip(starts.tolist(), ends.tolist(), quadkeys(cells[starts]), strict=True)):
        body = encode(table.slice(i, j - i), metadata(masks[k], bounds[k], measured=measured), placing)
        path = GEOPARQUET.path(layer, key, part)
        with open(out / path, "wb", buffering=0) as file:
            file.write(body)
        amounts = Quantities(**{name: int(v[k]) for name, v in sums.items()}, bytes=len(body))
        yield EncodedTile(
            layer, int(cells[i]), part, path, hashlib.sha256(body).hexdigest(), len(body), GEOPARQUET.media_type, amounts, bounds[k]
        )


def _bounds(box: pa.StructArray, starts: Int64s) -> list[Box]:
    """Boxes of the groups of rows that begin at `starts`."""
    fold = (np.minimum, np.minimum, np.maximum, np.maximum)
    sides = [f.reduceat(np.asarray(box.field(side)), starts).tolist() for f, side in zip(fold, _SIDES, strict=True)]
    return [Box(*edges) for edges in zip(*sides, strict=True)]


def read(path: Path) -> pa.Table:
    """All rows of a vector tile. Raises InvalidContent: it is not a vector tile."""
    try:
        file = pq.ParquetFile(path)
        geo = json.loads((file.metadata.metadata or {}).get(b"geo", b"null"))
        table = file.read(use_threads=False)
        table.validate(full=True)  # the bytes of a text may be no UTF-8: Arrow reads them all the same, strict readers die of them
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidContent(f"{path.name} is not readable Parquet: {error}") from error
    if not isinstance(geo, dict) or geo.get("version") != "1.1.0":
        raise InvalidContent(f"{path.name} has no metadata of GeoParquet 1.1.")
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InvalidContent(f"{path.name} lacks the columns {', '.join(missing)}.", missing=missing)
    for name, kind in COLUMNS.items():
        if table.schema.field(name).type != kind:
            raise InvalidContent(f"{path.name}: column {name} is {table.schema.field(name).type}, not {kind}.")
    return table


def recount_each(stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None) -> Iterator[Recounted]:
    """See `tiles.formats.Codec`: features are assigned and measured again, some thousand at a time, which costs a third; long ones once.

    Wrong are a file that cannot be read, and a record, owner flags or lengths that are not what the features give.
    """
    waiting: list[tuple[EncodedTile, pa.Table | InvalidContent]] = []
    known = Remembered()
    rows = size = 0
    for path, tile in stored:
        try:
            table = read(path)
        except InvalidContent as fault:
            waiting.append((tile, fault))
            continue
        if doubt is not None:
            _look(tile, table, doubt)
        waiting.append((tile, table if table.num_rows else InvalidContent(f"{tile.path} holds no feature.")))
        rows, size = rows + table.num_rows, size + table.nbytes
        if rows >= _RECOUNTED_ROWS or size >= _RECOUNTED_BYTES:
            yield from _recounted(waiting, known)
            waiting, rows, size = [], 0, 0
    yield from _recounted(waiting, known)


def _look(tile: EncodedTile, table: pa.Table, doubt: Doubting) -> None:
    """What of a tile cannot be proven to be free of pictures."""
    proof = TableProof()
    proof.take(table, {key: value for key, value in (table.schema.metadata or {}).items() if key != b"ARROW:schema"})
    for one in proof.doubts():
        doubt(tile, one)


def _recounted(stored: list[tuple[EncodedTile, pa.Table | InvalidContent]], known: Remembered) -> Iterator[Recounted]:
    good = [(tile, table) for tile, table in stored if isinstance(table, pa.Table)]
    faults = iter(_faults([tile for tile, _ in good], [table for _, table in good], known)) if good else iter(())
    for tile, table in stored:
        if isinstance(table, InvalidContent):
            yield tile, table
        else:
            why = next(faults)
            yield tile, InvalidContent(f"{tile.path} {why}.", tile=tile.path) if why else None


def _faults(tiles: list[EncodedTile], tables: list[pa.Table], known: Remembered) -> list[str]:
    """What is wrong with each of some tiles that hold features, or nothing: their features assigned and measured again, all at once."""
    names = [*COLUMNS, "measure"]
    table = pa.concat_tables(
        [t.select([n for n in names if n in t.column_names]) for t in tables], promote_options="default"
    ).combine_chunks()
    n = table.num_rows
    starts = np.concatenate([[0], np.cumsum([t.num_rows for t in tables])[:-1]]).astype(np.int64)
    which = np.repeat(np.arange(len(tables)), np.diff(np.r_[starts, n]))
    found = known.assign(table)
    here = np.array([tile.cell for tile in tiles], np.uint64)[which[found.row]] == found.cell
    owner, mm = np.zeros(n, np.bool_), np.full(n, -2, np.int64)  # -2: the feature does not touch this cell
    owner[found.row[here]], mm[found.row[here]] = found.owner[here], found.mm[here]
    wrong = [
        (found.status != wkb.OK, "holds a feature whose geometry cannot be used"),
        (mm == -2, "holds a feature that does not touch its cell"),
        (owner != table.column("owner").fill_null(False).to_numpy(), "claims to own other features than those that begin in its cell"),
        (mm != table.column("inside_mm").fill_null(-1).to_numpy(), "has a length in inside_mm that is not what is inside the cell"),
    ]
    why = [""] * len(tables)
    for mask, text in reversed(wrong):
        for k in np.unique(which[mask]).tolist():
            row = int(np.argmax(mask & (which == k)))
            name, status = table.column("feature_id")[row].as_py(), int(found.status[row])
            why[k] = f"{text}: {name!r}" + (f" {wkb.REASONS[status][1]}" if status else "")
    sums = quantities(table.column("kind").combine_chunks(), owner, mm, starts)
    folded = [f.reduceat(found.bounds[:, c], starts).tolist() for c, f in enumerate((np.minimum, np.minimum, np.maximum, np.maximum))]
    for k, tile in enumerate(tiles):
        amounts = Quantities(**{name: int(v[k]) for name, v in sums.items()}, bytes=tile.size)
        box = Box(*(side[k] for side in folded))
        if not why[k] and amounts != tile.quantities:
            why[k] = f"has the record {tile.quantities}, its features give {amounts}"
        if not why[k] and box != tile.bbox:
            why[k] = f"has the record of the box {tuple(tile.bbox)}, its features give {tuple(box)}"
    return why
