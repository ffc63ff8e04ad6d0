"""What goes with every tile of frames: the way that was driven in it, and how long that took."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tiles.arrays import Float64s, Int64s, UInt64s
from tiles.batch import TILE_KEY

PAUSE_NS = 10 * 1_000_000_000
"""A silence longer than this is no recorded time, and ends a line of the trajectory."""

NAME = "trajectory.geojson"
_MS = 1_000_000


class RecordedTime:
    """Recorded milliseconds by cell, so that their sum is the recorded time of the whole, whatever the order of arrival.

    Time between two messages belongs to the cell of the first. 16 bytes for each millisecond with a message.
    """

    def __init__(self) -> None:
        self._ms: list[Int64s] = []
        self._cells: list[UInt64s] = []

    def add(self, t_ns: Int64s, cells: UInt64s) -> None:
        """Take the times and cells of some messages in."""
        ms, first = np.unique(t_ns // _MS, return_index=True)
        self._ms.append(ms)
        self._cells.append(cells[first])

    def by_cell(self) -> dict[int, int]:
        """Milliseconds of each cell that has some."""
        if not self._ms:
            return {}
        ms, first = np.unique(np.concatenate(self._ms), return_index=True)
        cells = np.concatenate(self._cells)[first]
        lasts = np.diff(ms)
        lasts[lasts > PAUSE_NS // _MS] = 0
        distinct, where = np.unique(cells[:-1], return_inverse=True)
        sums = np.zeros(len(distinct), np.int64)
        np.add.at(sums, where, lasts)
        return {int(cell): int(total) for cell, total in zip(distinct, sums, strict=True)}


def line(t_ns: Int64s, places: Float64s, placing: Mapping[str, Any] | None = None) -> bytes:
    """The way through one cell as GeoJSON: a LineString (or Point) a pass, with the time of each vertex in `times`.

    Args:
        t_ns: UTC nanoseconds, any order.
        places: lon, lat in degrees WGS 84 and height in metres (NaN: unknown), one row a time.
        placing: what is known of the heights (`tiles.batch.PLACING`); a member of the collection.
    """
    order = np.argsort(t_ns, kind="stable")
    t_ns, places = t_ns[order], places[order]
    cuts = np.flatnonzero(np.diff(t_ns) > PAUSE_NS) + 1
    passes = zip(np.split(t_ns, cuts), np.split(places, cuts), strict=True)
    return collection([feature({"times": [iso(t) for t in times.tolist()]}, way) for times, way in passes], placing)


def stations(names: Sequence[str], t_ns: Int64s, places: Float64s, placing: Mapping[str, Any] | None = None) -> bytes:
    """Where each picture of one cell was taken, as GeoJSON: a Point with `name` and `time` each, by name; a time of 0 is unknown.

    `placing` as in `line`.
    """
    order = sorted(range(len(names)), key=names.__getitem__)
    about = [{"name": names[i], "time": iso(int(t_ns[i])) if t_ns[i] else None} for i in order]
    return collection([feature(entry, places[i : i + 1]) for entry, i in zip(about, order, strict=True)], placing)


def collection(features: list[dict[str, Any]], placing: Mapping[str, Any] | None) -> bytes:
    """A GeoJSON collection with what is known of its heights (`placing` as in `line`)."""
    more = {TILE_KEY: dict(placing)} if placing else {}
    return json.dumps({"type": "FeatureCollection", **more, "features": features}, ensure_ascii=False, separators=(",", ":")).encode()


def feature(properties: dict[str, Any], places: Float64s) -> dict[str, Any]:
    """A LineString, or a Point of one place; lon, lat and height (NaN: unknown) a row."""
    coordinates = [[lon, lat] if math.isnan(h) else [lon, lat, h] for lon, lat, h in places.tolist()]
    geometry: dict[str, Any] = {"type": "LineString", "coordinates": coordinates}
    if len(coordinates) == 1:
        geometry = {"type": "Point", "coordinates": coordinates[0]}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def iso(t_ns: int) -> str:
    """ISO 8601 in UTC with nanoseconds."""
    seconds, rest = divmod(t_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
