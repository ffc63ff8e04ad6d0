"""The preview of a point cloud: a coarse sample without its place, and a still picture of it for browsers without WebGL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ingest.previews import still
from ingest.previews.make import LayerTiles, Made, Stored, Without
from tiles.points import sample
from tiles.points.cell_finder import CellFinder
from tiles.points.crs import tile_crs
from tiles.points.header import TILE_VLRS, Header, read_header
from tiles.points.laz import Chunk, Packing, Records

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

MOST_UNPACKED = 8_000_000
"""Points that are unpacked for a sample; of a larger cloud evenly spaced chunks are looked at, so the time does not grow with it."""
FEWEST = 100
_A_GROUP = 4
_RGB_AT = {2: 20, 3: 28, 5: 28, 7: 30, 8: 30, 10: 30}
"""Point format -> byte of the red value (LAS 1.4 R15, 2.6)."""


@dataclass(slots=True)
class _Sampled:
    """What was taken: places in metres east, north, up; colours of 16 bits as they stood (none: zeros); intensity."""

    xyz: list[Floats] = field(default_factory=list)
    rgb: list[npt.NDArray[np.uint16]] = field(default_factory=list)
    intensity: list[npt.NDArray[np.uint16]] = field(default_factory=list)


def make(layer: LayerTiles, out: Path) -> Iterator[Made | Without]:
    """Facts, sample and still picture."""
    total = sum(stored.record.quantities.points for stored in layer.tiles)
    wanted = min(sample.MOST_POINTS, total // sample.SHARE)
    if wanted < FEWEST:
        yield Without("preview.too_few", f"The cloud has {total} points, too few to show a part of them.")
        return
    taken = _Sampled()
    frame = _Frame()
    at = 0
    for number, stored in enumerate(layer.tiles):
        before, at = at, at + stored.record.quantities.points
        share = wanted * at // total - wanted * before // total
        _take(stored, share, min(1.0, MOST_UNPACKED / total), np.random.default_rng([1, number]), frame, taken)
    xyz, rgb, intensity = np.concatenate(taken.xyz), np.concatenate(taken.rgb), np.concatenate(taken.intensity)
    coloured = bool(rgb.any())
    light = _bytes_of(intensity)
    colours = (rgb >> (8 if rgb.max(initial=0) > 255 else 0)).astype(np.uint8) if coloured else np.repeat(light[:, None], 3, axis=1)
    body, step = sample.encode(sample.Sample(xyz, np.column_stack([colours, light]), coloured))
    size = [round(float(length), 1) for length in xyz.max(axis=0) - xyz.min(axis=0)]
    yield Made("facts", {"points": total, "size_m": size, "colour": coloured, "intensity": bool(intensity.any())})
    path = out / "cloud"
    path.write_bytes(body)
    yield Made("cloud", {"points": len(xyz), "step_m": round(step, 3)}, path)
    picture = out / "still.png"
    still.draw(xyz, colours if coloured else None, picture)
    yield Made("still", {}, picture)


class _Frame:
    """Coordinates of all tiles in metres of one plane: their own where they are metric and the same, else around the first point."""

    def __init__(self) -> None:
        self._finders: dict[str, CellFinder] = {}
        self._crs = ""
        self._origin: tuple[float, float] | None = None

    def finder(self, header: Header) -> CellFinder:
        """The finder of a tile; to make one takes longer than to sample a small tile, and most tiles state the same."""
        crs = tile_crs(header).crs
        if crs is None:
            raise ValueError("a tile does not state its coordinate system")
        wkt = crs.to_wkt()
        if wkt not in self._finders:
            self._finders[wkt] = CellFinder(crs)
        return self._finders[wkt]

    def metres(self, finder: CellFinder, xyz: Floats) -> Floats:
        """Coordinates of a tile in the common frame."""
        wkt = finder.crs.to_wkt()
        axis = finder.crs.axis_info[0] if finder.crs.axis_info else None
        if axis is not None and axis.unit_name == "metre" and self._crs in ("", wkt) and self._origin is None:
            self._crs = wkt
            return xyz
        if self._crs:
            raise ValueError("the files are in several coordinate systems")
        lon, lat = finder.lonlat(xyz[:, 0].copy(), xyz[:, 1].copy(), xyz[:, 2].copy())
        if self._origin is None:
            self._origin = (float(lon[0]), float(lat[0]))
        east = (lon - self._origin[0]) * 111_320 * np.cos(np.radians(self._origin[1]))
        return np.column_stack([east, (lat - self._origin[1]) * 110_950, xyz[:, 2]])


def _take(stored: Stored, share: int, part: float, random: np.random.Generator, frame: _Frame, taken: _Sampled) -> None:
    """Take `share` points of a tile, evenly from `part` of its chunks."""
    if not share:
        return
    with stored.path.open("rb") as stream:
        header = read_header(stream, TILE_VLRS)
        packing, finder = Packing(header), frame.finder(header)
        chunks = packing.chunks(stream, header) or []
        number = max(1, math.ceil(len(chunks) * part))
        looked = [chunks[int(i)] for i in np.unique(np.linspace(0, len(chunks) - 1, number).round())] if chunks else []
        count = sum(chunk.count for chunk in looked)
        keep = np.sort(random.choice(count, min(share, count), replace=False))
        done = 0
        for first in range(0, len(looked), _A_GROUP):
            for records in _unpacked(stream, packing, looked[first : first + _A_GROUP]):
                mine = keep[(keep >= done) & (keep < done + len(records))] - done
                done += len(records)
                if len(mine):
                    _keep(records[mine], header, frame.metres(finder, _places(records[mine], header)), taken)


def _unpacked(stream: BinaryIO, packing: Packing, chunks: list[Chunk]) -> list[Records]:
    bodies = []
    for chunk in chunks:
        stream.seek(chunk.at)
        bodies.append(stream.read(chunk.size))
    return packing.unpack(bodies, [chunk.count for chunk in chunks])


def _places(records: Records, header: Header) -> Floats:
    return np.asarray(records[:, :12].copy().view("<i4") * np.array(header.scales) + np.array(header.offsets))


def _keep(records: Records, header: Header, xyz: Floats, taken: _Sampled) -> None:
    taken.xyz.append(xyz)
    taken.intensity.append(records[:, 12:14].copy().view("<u2")[:, 0])
    at = _RGB_AT.get(header.point_format)
    taken.rgb.append(records[:, at : at + 6].copy().view("<u2") if at is not None else np.zeros((len(records), 3), np.uint16))


def _bytes_of(intensity: npt.NDArray[np.uint16]) -> Bytes:
    """Intensity as 0 to 255, between its 2nd and 98th hundredth; a middle grey where there is none."""
    low, high = np.percentile(intensity, [2, 98])
    if high <= low:
        return np.full(len(intensity), 128, np.uint8)
    return np.asarray(np.clip((intensity - low) / (high - low), 0, 1) * 255, np.uint8)
