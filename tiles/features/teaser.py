"""Teaser lines: what a vector layer shows before it is bought, generalised so far that it cannot be sold.

Lines are simplified, their corners snapped to a grid of several metres (7.6 m in Korea), cut into segments, and each segment is kept
once whatever lay on it. No height, no id, no attribute, no point: only where lines of a class run.

Bytes: magic `MXT1`, u8 zoom of the grid, 3 zero bytes, u32 number of segments, u32 zero (little endian); then zlib of a column of u8
codes of `CLASSES` and of a column of 4 x i32 `x0 y0 x1 y1`, all sorted.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from tiles.batch import Kind
from tiles.errors import InvalidContent
from tiles.grid import grid

Ints = npt.NDArray[np.int32]

CLASSES: tuple[str, ...] = ("lane", "sidewalk", "crossing", "cycleway")
"""What a line of a teaser can be."""
CLASS_OF: dict[str, str] = {
    Kind.LANE_CENTRE: "lane",
    Kind.LANE_AREA: "lane",
    Kind.LANE_BORDER: "lane",
    Kind.SIDEWALK: "sidewalk",
    Kind.CROSSING: "crossing",
    Kind.CYCLEWAY: "cycleway",
}
FINEST, COARSEST = 22, 16
MOST_SEGMENTS = 200_000
_SIMPLIFY_DEGREES = 5e-5
_HEAD = struct.Struct("<4sB3xII")
_MAGIC = b"MXT1"


@dataclass(frozen=True, slots=True)
class Teaser:
    """`segments` is (n, 4): x0, y0, x1, y1 in cells of the grid of `zoom`; `classes` is (n,) codes of `CLASSES`."""

    zoom: int
    classes: npt.NDArray[np.uint8]
    segments: Ints

    def in_tile(self, z: int, x: int, y: int, extent: int = 4096, margin: int = 64) -> Teaser:
        """The segments that may touch a map tile, in its units (0 to `extent`, whole segments, so some reach outside)."""
        scale = extent * 2.0 ** (z - self.zoom)
        origin = np.array([x, y, x, y], np.float64) * extent
        # Corners are the middles of grid cells.
        units = np.rint((self.segments + 0.5) * scale - origin)
        low, high = np.minimum(units[:, :2], units[:, 2:]), np.maximum(units[:, :2], units[:, 2:])
        near = ((high >= -margin) & (low <= extent + margin)).all(axis=1) & (units[:, :2] != units[:, 2:]).any(axis=1)
        return _distinct(self.zoom, self.classes[near], units[near].astype(np.int32))


def generalise(geometry: npt.NDArray[np.object_], codes: npt.NDArray[np.uint8]) -> Teaser:
    """The teaser of lines and areas in degrees; `codes` of `CLASSES`, one a geometry."""
    plain = shapely.simplify(shapely.force_2d(geometry), _SIMPLIFY_DEGREES)
    places, owner = shapely.get_coordinates(plain, return_index=True)
    if not len(places):
        return Teaser(FINEST, np.zeros(0, np.uint8), np.zeros((0, 4), np.int32))
    x, y = grid.tile_xy(places[:, 0], places[:, 1], FINEST)
    corners = np.floor(np.stack([x, y], axis=1)).astype(np.int32)
    linked = (owner[1:] == owner[:-1]) & (corners[1:] != corners[:-1]).any(axis=1)
    return _distinct(FINEST, codes[owner[1:][linked]], np.concatenate([corners[:-1], corners[1:]], axis=1)[linked])


def merge(pieces: Iterable[Teaser]) -> Teaser:
    """One teaser of several, on a coarser grid when there are too many segments."""
    all_ = list(pieces)
    if not all_:
        return Teaser(FINEST, np.zeros(0, np.uint8), np.zeros((0, 4), np.int32))
    zoom = min(one.zoom for one in all_)
    merged = _distinct(
        zoom, np.concatenate([one.classes for one in all_]), np.concatenate([one.segments >> (one.zoom - zoom) for one in all_])
    )
    while len(merged.segments) > MOST_SEGMENTS and merged.zoom > COARSEST:
        merged = _distinct(merged.zoom - 1, merged.classes, merged.segments >> 1)
    return Teaser(merged.zoom, merged.classes[:MOST_SEGMENTS], merged.segments[:MOST_SEGMENTS])


def encode(teaser: Teaser) -> bytes:
    """The bytes of a teaser; the same lines give the same bytes."""
    body = teaser.classes.tobytes() + teaser.segments.astype("<i4").T.tobytes()
    return _HEAD.pack(_MAGIC, teaser.zoom, len(teaser.segments), 0) + zlib.compress(body, 6)


def decode(body: bytes) -> Teaser:
    """The teaser of some bytes, checked.

    Raises: InvalidContent: they are none.
    """
    try:
        magic, zoom, count, _ = _HEAD.unpack_from(body)
        if magic != _MAGIC or not COARSEST <= zoom <= FINEST or count > MOST_SEGMENTS:
            raise ValueError("the head")
        unpacker = zlib.decompressobj()
        rows = unpacker.decompress(body[_HEAD.size :], 17 * count + 1)
        if len(rows) != 17 * count or not unpacker.eof or unpacker.unused_data:
            raise ValueError("the length")
        classes = np.frombuffer(rows[:count], np.uint8)
        segments = np.frombuffer(rows[count:], "<i4").reshape(4, count).T.astype(np.int32)
        if (classes >= len(CLASSES)).any() or (segments < 0).any() or (segments >= 1 << zoom).any():
            raise ValueError("a value")
    except (struct.error, zlib.error, ValueError) as why:
        raise InvalidContent(f"These bytes are no teaser ({why}).", code="preview.broken") from why
    return Teaser(zoom, classes, segments)


def _distinct(zoom: int, classes: npt.NDArray[np.uint8], segments: Ints) -> Teaser:
    """Each segment once, whichever way it ran, without those that shrank to a point; sorted."""
    flip = (segments[:, 0] > segments[:, 2]) | ((segments[:, 0] == segments[:, 2]) & (segments[:, 1] > segments[:, 3]))
    turned = np.where(flip[:, None], segments[:, [2, 3, 0, 1]], segments)
    rows = np.column_stack([classes.astype(np.int32), turned])
    rows = rows[(rows[:, 1] != rows[:, 3]) | (rows[:, 2] != rows[:, 4])]
    rows = np.unique(rows, axis=0) if len(rows) else rows
    return Teaser(zoom, rows[:, 0].astype(np.uint8), np.ascontiguousarray(rows[:, 1:], np.int32))
