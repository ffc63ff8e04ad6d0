"""The points of LAZ tiles: what a writer of point clouds gets. Tiles of one form are one cloud; others are clouds of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.errors import Invalid
from mapex.writers.cloud.shift import CloudShift
from mapex.writers.target import Target, datum_of
from tiles.batch import TILE_KEY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tiles.points.header import Header
    from tiles.points.laz import Records

    Floats = NDArray[np.float64]

Progress = Callable[[float, float], None]
EXTRA_BYTES = ("LASF_Spec", 4)
_DESCRIBED = 192
_NAMES_RECORD = 1  # of a tile whose source was no LAS file: what its columns are called there


@dataclass(frozen=True, slots=True)
class CloudTile:
    """A LAZ tile and its head."""

    path: Path
    header: Header

    def record(self, user: str, number: int) -> bytes:
        """The data of one of its records; empty where it has none."""
        found = self.header.vlr(user, number)
        return found.data if found is not None else b""

    @property
    def heights(self) -> str:
        """Above what its heights count."""
        from tiles.points.crs import PLACING_RECORD

        return datum_of(self.record(TILE_KEY, PLACING_RECORD))

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """Its packed chunks: how many points, and the bytes.

        Raises: Invalid: `join.damaged`.
        """
        from tiles.errors import InvalidContent
        from tiles.points.laz import Packing
        from tiles.points.records import body_of

        try:
            with self.path.open("rb") as stream:
                chunks = Packing(self.header).chunks(stream, self.header)
                if chunks is None:
                    raise InvalidContent("A tile has no table of chunks.")
                for chunk in chunks:
                    yield chunk.count, body_of(stream, chunk)
        except InvalidContent as error:
            raise _damaged(self.path) from error


@dataclass(frozen=True)
class BoughtCloud:
    """Tiles with the same form: fields, system (unless they are moved), heights. Points come in the order of tiles.

    Attributes:
        shift: from the tiles to where the buyer wants them.
        progress: called with tiles that were read, and how many there are.
    """

    tiles: Sequence[CloudTile]
    shift: CloudShift
    progress: Progress

    @property
    def count(self) -> int:
        """How many points there are."""
        return sum(tile.header.count for tile in self.tiles)

    @cached_property
    def box(self) -> Floats:
        """Least and greatest x, y, z at the end, [[x, y, z], [x, y, z]], with some centimetres to spare where they are moved."""
        import numpy as np

        corners = np.concatenate([self.shift.of(_shell(tile.header)) for tile in self.tiles])
        return np.array([corners.min(axis=0), corners.max(axis=0)])

    @cached_property
    def fields(self) -> Mapping[str, np.dtype[Any]]:
        """Name and type of each column beside x, y, z."""
        import numpy as np

        header = self.tiles[0].header
        empty = _columns(np.zeros((0, header.record_length), np.uint8), self.tiles[0])
        return {name: values.dtype for name, values in empty.items()}

    def columns(self) -> Iterator[tuple[Floats, dict[str, NDArray[Any]]]]:
        """The points, some at a time: x, y, z as three columns, and the fields by name."""
        for tile, records in self.records():
            yield self.shift.of(xyz_of(records, tile.header)), _columns(records, tile)

    def records(self) -> Iterator[tuple[CloudTile, Records]]:
        """The points as they stand in the tiles.

        Raises: Invalid: `join.damaged`.
        """
        for number, tile in enumerate(self.tiles, 1):
            for records in self.records_of(tile):
                yield tile, records
            self.progress(number, len(self.tiles))

    def records_of(self, tile: CloudTile) -> Iterator[Records]:
        """Those of one tile, some chunks at a time.

        Raises: Invalid: `join.damaged`.
        """
        from tiles.errors import InvalidContent
        from tiles.points.codec import unpacked

        try:
            with tile.path.open("rb") as stream:
                yield from unpacked(stream, tile.header)
        except InvalidContent as error:
            raise _damaged(tile.path) from error


def clouds_of(paths: Sequence[Path], target: Target, progress: Progress) -> list[BoughtCloud]:
    """The clouds of some LAZ tiles.

    Raises: Invalid: `join.damaged`.
    """
    groups: dict[object, list[CloudTile]] = {}
    for path in paths:
        tile = CloudTile(path, _header(path))
        groups.setdefault(_form(tile, target), []).append(tile)
    return [BoughtCloud(tiles, CloudShift.between(tiles[0].header, tiles[0].heights, target), progress) for tiles in groups.values()]


def in_utm(cloud: BoughtCloud) -> BoughtCloud:
    """The cloud in UTM of the zone of its middle, unless it was asked for in a system of UTM.

    Raises: Invalid: `join.crs`: in another one, which was asked for.
    """
    from pyproj import CRS

    crs = cloud.shift.crs
    if crs.utm_zone and crs.is_projected and crs.to_epsg(min_confidence=70) in (*range(32601, 32661), *range(32701, 32761)):
        return cloud
    if cloud.shift.in_metres:
        raise Invalid("join.crs", f"This format is in UTM, not in {crs.name}. Leave --crs out, or name a zone of UTM (EPSG:32652).")
    lon, lat = middle_of(cloud)
    code = (32600 if lat >= 0 else 32700) + min(int((lon + 180) // 6) + 1, 60)
    lifted = cloud.shift.heights if cloud.shift.heights != cloud.shift.given else ""
    (moved,) = clouds_of([tile.path for tile in cloud.tiles], Target(CRS.from_epsg(code), lifted), cloud.progress)
    return moved


def middle_of(cloud: BoughtCloud) -> tuple[float, float]:
    """Longitude and latitude of the middle of a cloud."""
    from pyproj import CRS, Transformer

    crs = cloud.shift.crs
    low, high = cloud.box
    way = Transformer.from_crs(crs, CRS.from_epsg(4979 if crs.is_geocentric else 4326), always_xy=True)
    found = way.transform(*((low + high) / 2)) if crs.is_geocentric else way.transform(*((low + high) / 2)[:2])
    return float(found[0]), float(found[1])


def _header(path: Path) -> Header:
    from tiles.errors import InvalidContent
    from tiles.points.crs import tile_crs
    from tiles.points.header import TILE_VLRS, read_header

    try:
        with path.open("rb") as stream:
            header = read_header(stream, TILE_VLRS)
        if tile_crs(header).crs is None:
            raise InvalidContent("It states no coordinate system.")
    except InvalidContent as error:
        raise _damaged(path) from error
    return header


def _damaged(path: Path) -> Invalid:
    return Invalid("join.damaged", f"{path} cannot be read as LAZ. Download it again (mapex get goes on where it was).", file=str(path))


def _form(tile: CloudTile, target: Target) -> object:
    """What tiles of one cloud have in common."""
    from tiles.points.crs import tile_crs

    header = tile.header
    found = tile_crs(header)
    place = "" if target.crs is not None and found.crs is not None else found.crs.to_wkt() if found.crs is not None else ""
    form = (header.point_format, header.record_length, without_range(tile.record(*EXTRA_BYTES)), header.encoding & 1)
    return (*form, place, found.height_unit, tile.heights, tile.record(TILE_KEY, _NAMES_RECORD))


def without_range(described: bytes) -> bytes:
    """The description of extra bytes without the least and greatest value, which are those of a source file each."""
    found = bytearray(described)
    for at in range(0, len(found) - _DESCRIBED + 1, _DESCRIBED):
        found[at + 3] &= ~0b110
        found[at + 64 : at + 112] = bytes(48)
    return bytes(found)


def xyz_of(records: Records, header: Header) -> Floats:
    """x, y, z of records in the system of the tile, as three columns."""
    import numpy as np

    numbers: Floats = records[:, :12].copy().view("<i4") * np.array(header.scales) + np.array(header.offsets)
    return numbers


def _shell(header: Header) -> Floats:
    """Points of the box that a head states, enough to know its box elsewhere."""
    import numpy as np

    low, high = np.array(header.mins), np.array(header.maxs)
    along = np.linspace(0.0, 1.0, 5)
    grid = np.stack(np.meshgrid(along, along, along[[0, -1]]), axis=-1).reshape(-1, 3)
    shell: Floats = low + grid * (high - low)
    return shell


def _columns(records: Records, tile: CloudTile) -> dict[str, NDArray[Any]]:
    """The fields of records by their names in the source; numbers that LAS keeps as steps are what they mean."""
    import numpy as np

    from tiles.points.fields import columns_of, point_format

    form = point_format(tile.header)
    stored = columns_of(records, tile.header, form)
    found: dict[str, NDArray[Any]] = {}
    for name, place in _names(tile, stored).items():
        values = np.asarray(stored[place])
        info = form.dimension_by_name(place)
        if info.scales is not None:
            values = values * info.scales + info.offsets
        parts = {name: values} if values.ndim == 1 else {f"{name}_{at}": values[:, at] for at in range(values.shape[1])}
        found |= parts
    return found


def _names(tile: CloudTile, stored: Mapping[str, object]) -> dict[str, str]:
    """Column -> field of LAS: those that the source had where it was no LAS file, else all that LAS has."""
    try:
        named = json.loads(tile.record(TILE_KEY, _NAMES_RECORD) or b"{}").get("columns")
    except (ValueError, RecursionError, AttributeError):
        named = None
    if isinstance(named, dict) and all(place in stored for place in named.values()):
        return {str(name): str(place) for name, place in named.items() if name not in ("x", "y", "z")}
    return {name: name for name in stored if name not in ("x", "y", "z")}
