"""The common model: columnar batches of features, points and frames (Arrow).

Every reader ends here and every codec starts here. A batch keeps *everything that the source holds*: what has no column of its own
stays in `properties` (features), in extra columns (points) or in the payload itself (frames).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from tiles.box import Box

if TYPE_CHECKING:
    import pyarrow as pa


class Content(StrEnum):
    """What the rows of a batch are."""

    FEATURES = "features"
    POINTS = "points"
    FRAMES = "frames"


class LayerKind(StrEnum):
    """What a layer is to a buyer; closed, the same words for all formats."""

    HDMAP = "hdmap"
    SIDEWALK = "sidewalk"
    POINTCLOUD = "pointcloud"
    RECORDING = "recording"
    PHOTOS = "photos"
    VIDEO = "video"


class Kind(StrEnum):
    """What a feature is, one closed vocabulary across all formats; the source's own class stays in `properties`."""

    LANE_CENTRE = "lane_centre"
    LANE_BORDER = "lane_border"
    LANE_AREA = "lane_area"
    STOP_LINE = "stop_line"
    CROSSING = "crossing"
    SIDEWALK = "sidewalk"
    CYCLEWAY = "cycleway"
    KERB = "kerb"
    SIGN = "sign"
    SIGNAL = "signal"
    POLE = "pole"
    MARKING = "marking"
    BARRIER = "barrier"
    JUNCTION = "junction"
    NODE = "node"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Quantities:
    """The price vector of a tile: integers in small units, so that sums are exact.

    Lengths are geodesic millimetres on WGS 84 of the part inside the cell; `points`, `frames`, `features` and the other
    counts are of what the cell owns; `ms` is recorded time in milliseconds; `bytes` is the size of the stored object. In a layer of
    frames, `features` counts all records (messages, attachments, pictures) and `frames` the pictures and lidar sweeps among them.
    """

    lane_mm: int = 0
    footway_mm: int = 0
    cycleway_mm: int = 0
    crossings: int = 0
    signs: int = 0
    signals: int = 0
    features: int = 0
    points: int = 0
    frames: int = 0
    ms: int = 0
    bytes: int = 0

    def owned(self, content: Content) -> int:
        """How many rows of this content the tile owns: over all tiles of a layer, every placed row once."""
        return self.points if content is Content.POINTS else self.features  # frames are counted among the records of a recording

    def __add__(self, other: Quantities) -> Quantities:
        return Quantities(*map(operator.add, _columns_of(self), _columns_of(other)))

    def __sub__(self, other: Quantities) -> Quantities:
        return Quantities(*map(operator.sub, _columns_of(self), _columns_of(other)))


QUANTITIES: tuple[str, ...] = tuple(f.name for f in fields(Quantities))
"""Names of the columns of a price vector, in their fixed order."""

_columns_of = operator.attrgetter(*QUANTITIES)


PLACING = "placing"
"""Key of `Batch.meta`: a JSON object of what is known of the source, its place above all, which each tile states in itself where it can.

Its members: `licence`, `attribution` (of sources whose licence goes along with the data), `height_datum`, `height_source`,
`source_crs`, `source_crs_known`, `accuracy_m`. The same source gives the same, so that tiles keep their bytes.
"""
TILE_KEY = "mapex"
"""Under which name tiles state it: a key of Parquet metadata, the user of a LAS record, a record of MCAP, a member of GeoJSON."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one layer, in one coordinate reference system.

    Columns by content (others may follow; nothing is dropped because we have no column for it):

    * features: `feature_id` string, `kind` string (`Kind`), `geometry` binary (ISO WKB, Z kept; null when the source gives none),
      `properties` string: a JSON object with the source's own attributes, flat, unchanged, and under the one reserved key
      `"@source"` what is not an attribute (element or layer name, references, members, original class).
    * points: `x`, `y`, `z` float64 in `crs`, then every dimension of the source under its own name.
    * frames: `t_ns` int64 (UTC), `lon`, `lat` float64 degrees WGS 84, `h` float64 metres or null, `topic` string, `seq` int64,
      `name` string or null (file name), `size` int64, `payload` large_binary.

    `crs` is what the coordinates are in (anything `pyproj.CRS` understands; axis order is always x/east/lon first).
    """

    content: Content
    layer: str
    kind: LayerKind
    table: pa.Table
    crs: str = "EPSG:4326"
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedTile:
    """One stored object of one cell: what was written, where, and what it holds.

    `part` numbers the source file within a version: features of two files in one cell are two parts of one tile.
    `path` is relative to the directory that the encoder was given.
    """

    layer: str
    cell: int
    part: int
    path: str
    sha256: str
    size: int
    media_type: str
    quantities: Quantities
    bbox: Box
