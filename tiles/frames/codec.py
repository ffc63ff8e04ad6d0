"""What the codecs of frames have in common: a tile's counts and its trajectory compared with its record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tiles.arrays import Float64s
from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.footage.doubts import Unproven
from tiles.formats import TileRecount
from tiles.grid import grid


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What is in a tile of frames: how many records, how many frames among them, and the trajectory (GeoJSON)."""

    records: int
    frames: int
    trajectory: bytes


class Read(Protocol):
    """Reads a tile of frames; puts into `doubts`, if there are any, what cannot be proven to be free of pictures."""

    def __call__(self, path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None) -> FrameCounts: ...  # noqa: D102


def comparing(read: Read) -> TileRecount:
    """A function that reads a tile with `read` and compares it with its record.

    It raises InvalidContent: `tile.counts`, `tile.place`, or what `read` found (`tile.damaged`).
    """

    def recount(path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None) -> None:
        found = read(path, tile, doubts)
        counts = (found.records, found.frames)
        stated = (tile.quantities.features, tile.quantities.frames)
        if counts != stated:
            raise InvalidContent(f"{tile.path} holds {counts} records and frames, its record states {stated}.", code="tile.counts")
        places = _vertices(found.trajectory, tile)
        if (grid.cells_at(places[:, 0], places[:, 1]) != np.uint64(tile.cell)).any():
            raise InvalidContent(f"{tile.path} has a trajectory outside its cell.", code="tile.place")

    return recount


def _vertices(trajectory: bytes, tile: EncodedTile) -> Float64s:
    try:
        shapes = [feature["geometry"] for feature in json.loads(trajectory)["features"]]
        rows = [p[:2] for s in shapes for p in ([s["coordinates"]] if s["type"] == "Point" else s["coordinates"])]
        return np.array(rows, np.float64).reshape(-1, 2)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidContent(f"{tile.path} has a trajectory that cannot be read.", code="tile.place") from error
