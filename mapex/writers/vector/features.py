"""The features of vector tiles, each whole and once: what a writer gets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mapex.errors import Invalid
from mapex.writers.target import datum_of
from mapex.writers.vector.moving import Moving
from mapex.writers.vector.values import Sort, attributes_of, sort_of
from tiles.batch import TILE_KEY

if TYPE_CHECKING:
    import pyarrow as pa

Key = TypeVar("Key")
Progress = Callable[[float, float], None]
NEEDED = ("feature_id", "kind", "owner", "properties", "geometry")
"""The columns of a vector tile that a join needs."""


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """Features of one tile: ids, kinds, attributes as `values.attributes_of` gives them, ISO WKB."""

    ids: list[str]
    kinds: list[str]
    attributes: list[dict[str, Any]]
    geometries: list[bytes]

    def of_kind(self, kind: str) -> FeatureRows:
        """Those of one kind."""
        return self._some([k for k, found in enumerate(self.kinds) if found == kind])

    def by(self, key: Callable[[str, bytes], Key]) -> Iterator[tuple[Key, FeatureRows]]:
        """Those that have the same key by kind and geometry, together."""
        groups: dict[Key, list[int]] = {}
        for k, (kind, geometry) in enumerate(zip(self.kinds, self.geometries, strict=True)):
            groups.setdefault(key(kind, geometry), []).append(k)
        for found, some in groups.items():
            yield found, self._some(some)

    def _some(self, rows: Sequence[int]) -> FeatureRows:
        parts = ([of[k] for k in rows] for of in (self.ids, self.kinds, self.attributes, self.geometries))
        return FeatureRows(*parts)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Features:
    """The features of some tiles in the order of tiles and rows, read a tile at a time.

    `heights`: the datum of each tile. `seen`: by kind of feature, the sorts of the values of each attribute. `count` of them, of which
    `guests` begin in tiles that are not here.
    """

    paths: Sequence[Path]
    picked: Sequence[Sequence[int]]
    heights: Sequence[str]
    seen: Mapping[str, Mapping[str, Sort]]
    count: int
    guests: int
    moving: Moving
    progress: Progress

    def rows(self) -> Iterator[FeatureRows]:
        """All of them, in the coordinate reference system of the file."""
        for number, (path, picked, datum) in enumerate(zip(self.paths, self.picked, self.heights, strict=True), 1):
            if picked:
                rows = _rows(path, read(path).take(picked))
                yield FeatureRows(rows.ids, rows.kinds, rows.attributes, self.moving.of(rows.geometries, datum))
            self.progress(len(self.paths) + number, 2 * len(self.paths))

    @property
    def names(self) -> dict[str, Sort]:
        """The sorts of the values of each attribute, over all kinds."""
        every: dict[str, Sort] = {}
        for seen in self.seen.values():
            for name, sorts in seen.items():
                every[name] = every.get(name, Sort.NULL) | sorts
        return every


def is_tile(path: Path) -> bool:
    """Whether a Parquet file is a vector tile.

    Raises: Invalid: `join.damaged`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(NEEDED) <= set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error


def read(path: Path) -> pa.Table:
    """The columns of a vector tile that a join needs.

    Raises: Invalid: `join.damaged`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read(columns=list(NEEDED))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error


def height_datum(path: Path) -> str:
    """Above what the heights of a vector tile count, as it states itself; `UNKNOWN` where it does not."""
    import pyarrow.parquet as pq

    return datum_of(dict(pq.read_metadata(path).metadata or {}).get(TILE_KEY.encode(), b""))


def _damaged(path: Path) -> Invalid:
    return Invalid("join.damaged", f"{path} cannot be read as Parquet. Download it again (mapex get goes on where it was).", file=str(path))


def features_of(paths: Sequence[Path], moving: Moving, progress: Progress) -> Features:
    """The features of the tiles, each once, although a tile holds whole what reaches into it.

    A feature is taken from the tile that owns it; one whose owner is not among the tiles (a road that comes from a cell that was not
    bought) from the first that holds it. `progress` is called with what was read and what there is to read, in two passes.
    """
    owned: set[bytes] = set()
    guests: list[tuple[int, int, bytes]] = []
    picked: list[list[int]] = []
    seen: dict[str, dict[str, Sort]] = {}
    for number, path in enumerate(paths):
        table = read(path)
        rows = _rows(path, table)
        _see(rows, seen)
        owner = table.column("owner").to_pylist()
        keys = _keys(path, rows)
        owned.update(key for key, own in zip(keys, owner, strict=True) if own)
        guests += [(number, row, key) for row, (key, own) in enumerate(zip(keys, owner, strict=True)) if not own]
        picked.append([row for row, own in enumerate(owner) if own])
        progress(number + 1, 2 * len(paths))
    count = sum(map(len, picked))
    first: dict[bytes, int] = {}
    for number, row, key in guests:
        if key not in owned and first.setdefault(key, number) == number:
            picked[number].append(row)
    total, heights = sum(map(len, picked)), [height_datum(path) for path in paths]
    return Features(paths, [sorted(rows) for rows in picked], heights, seen, total, total - count, moving, progress)


def _rows(path: Path, table: pa.Table) -> FeatureRows:
    ids, kinds, properties = (_texts(table.column(name)) for name in ("feature_id", "kind", "properties"))
    try:
        attributes = [attributes_of(text) for text in properties]
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid("join.damaged", f"{path} holds a feature whose properties are no JSON object.", file=str(path)) from error
    return FeatureRows(ids, kinds, attributes, table.column("geometry").to_pylist())


def _texts(column: pa.ChunkedArray) -> list[str]:
    r"""The texts of a column; tiles of old may hold bytes that are no UTF-8, which become half characters (`\udcff`)."""
    import pyarrow as pa

    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        return [value.decode("utf-8", "surrogateescape") for value in column.cast(pa.binary()).to_pylist()]


def _keys(path: Path, rows: FeatureRows) -> list[bytes]:
    """What tells copies of one feature from other features: its source (folder and part of the tile) and all that it holds."""
    place = f"{path.parent}\0{path.stem.rpartition('-')[2]}\0"
    return [
        hashlib.blake2b(f"{place}{name}\0{kind}\0{attributes!r}\0".encode("utf-8", "surrogatepass") + shape, digest_size=16).digest()
        for name, kind, attributes, shape in zip(rows.ids, rows.kinds, rows.attributes, rows.geometries, strict=True)
    ]


def _see(rows: FeatureRows, seen: dict[str, dict[str, Sort]]) -> None:
    for kind, attributes in zip(rows.kinds, rows.attributes, strict=True):
        known = seen.setdefault(kind, {})
        for name, value in attributes.items():
            sort, before = sort_of(value), known.get(name)
            if sort is not before:  # nearly always it is
                known[name] = sort if before is None else before | sort
