"""What the readers of point clouds share: where they are, how fine their numbers are, batches of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyproj import CRS

from ingest.checks import place
from ingest.findings import error, info, warning
from ingest.placing import systems
from ingest.placing.move import lonlat, transformer
from ingest.placing.resolve import contradiction, resolve, unplaced
from ingest.reader import Placed, Source
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box
from tiles.points.layout import MOST_BYTES, MOST_COLUMNS
from tiles.points.splitter import LAS_HEADER

LAYER = "points"
ROWS = 100_000
"""Rows of a batch."""
_COARSE_M = 0.01

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


def file_of(source: Source, *endings: str) -> Source:
    """The one file of a source, also when it came in a folder or zip.

    Raises: Invalid: `format.several`: the folder holds several such files.
    """
    if not source.path.is_dir():
        return source
    files = [path for path in source.files if path.suffix.lower() in endings]
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:5])
        raise Invalid(
            "format.several", f"{source.name} holds {len(files)} point clouds ({names}). Upload them one by one.", file=source.name
        )
    return Source.of(files[0], source.name)


def settle(crs: CRS | None, given: Placement, sample: tuple[Floats, Floats, Floats], note: str, file: str) -> tuple[Placed, list[Finding]]:
    """Where points are; a system that contradicts the numbers is not used, and that is reported (`crs.contradicts`)."""
    placed = resolve(crs, given, note=note)
    if placed.crs is None:
        return placed, []
    misfit = place.misfit(systems.parsed(placed.crs), *sample, given=placed.crs_source is Known.GIVEN)
    where = {"file": file, "layer": LAYER}
    if misfit is None:
        return placed, []
    if not misfit.certain:
        return placed, [misfit.finding(where)]
    found = [contradiction(misfit.text, placed, **where)]
    if not misfit.asks:  # no other system would help: that is no question to the seller
        found.append(misfit.finding(where))
    return unplaced(placed, misfit.text), found


def box(crs: str | None, low: Floats, high: Floats) -> Box | None:
    """The box of points between `low` and `high` (x, y, z) in `crs`; None without a place."""
    if crs is None or not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    u, v = (g.ravel() for g in np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9)))
    x, y = low[0] + u * (high[0] - low[0]), low[1] + v * (high[1] - low[1])
    if systems.parsed(crs).is_geocentric:
        lon, lat, _ = transformer(crs).transform(x, y, np.full_like(x, (low[2] + high[2]) / 2))
    else:
        lon, lat = lonlat(x, y, crs)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    found = Box(float(np.min(lon)), float(np.min(lat)), float(np.max(lon)), float(np.max(lat)))
    return found if found.is_on_earth else None


def local_axes(placed: Placed, file: str) -> list[Finding]:
    """What is assumed about a local frame that is placed by its origin."""
    if placed.origin is None or placed.crs is None or "+proj=tmerc +lat_0" not in placed.crs:
        return []
    lon, lat, height = placed.origin
    text = f"The frame's zero point was put at {lon}, {lat}, height {height} m, with x to the east and y to the north."
    fix = "Turn the cloud first if its x axis points elsewhere; a bearing cannot be given."
    return [info("place.local_frame", text, fix, file=file, layer=LAYER)]


@dataclass(slots=True)
class Cloud:
    """Turns columns of a file into batches and keeps what is to be reported at its end: not finite, too coarse, in the wrong place."""

    source: Source
    placed: Placed
    meta: Mapping[str, str]
    float32: bool
    read: int = 0
    bad: int = 0
    left_out: tuple[str, ...] = ()
    low: Floats = field(default_factory=lambda: np.full(3, np.inf))
    high: Floats = field(default_factory=lambda: np.full(3, -np.inf))

    def batches(self, columns: Columns) -> Iterator[Batch]:
        """Batches of rows whose x, y, z are finite; the others are counted."""
        x, y, z = (np.asarray(columns[axis], np.float64) for axis in "xyz")
        good = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
        self.read += len(x)
        self.bad += int(len(x) - good.sum())
        for begin in range(0, len(x), ROWS):
            keep = good[begin : begin + ROWS]
            if not keep.any():
                continue
            rows = {name: values[begin : begin + ROWS][keep] for name, values in {**columns, "x": x, "y": y, "z": z}.items()}
            for i, axis in enumerate("xyz"):
                self.low[i], self.high[i] = min(self.low[i], rows[axis].min()), max(self.high[i], rows[axis].max())
            yield self.batch(rows)

    def batch(self, rows: Columns) -> Batch:
        """A batch of columns, x, y, z first. A field of several values becomes as many columns, but for LAS, which has a place for it."""
        columns: Columns = {**{axis: rows[axis] for axis in "xyz"}, **rows}
        if LAS_HEADER not in self.meta:
            columns, self.left_out = single_columns(columns)
        table = pa.table({name: _arrow(values) for name, values in columns.items()})
        return Batch(Content.POINTS, LAYER, LayerKind.POINTCLOUD, table, self.placed.crs or "", dict(self.meta))

    def findings(self, claimed: int) -> Iterator[Finding]:
        """What is to be reported when all is read; `claimed` is what the head promised."""
        where = {"file": self.source.name, "layer": LAYER}
        if self.bad:
            text = f"{self.bad} points have no finite coordinates (organised clouds hold such rows where the sensor saw nothing)."
            fix = "Nothing to do: they carry no measurement and are left out."
            yield warning("points.not_finite", text, fix, count=self.bad, rejected=self.bad, **where)
        if self.read != claimed:
            text = f"The head promises {claimed} points, {self.read} are there."
            yield error("points.missing", text, "The file was cut, or its head is false: export or upload it again.", **where)
        elif not claimed:
            yield error("points.none", "The file holds no points.", "Export it again.", **where)
        if self.left_out:
            named = ", ".join(self.left_out[:5]) + (", ..." if len(self.left_out) > 5 else "")
            text = f"A point in a tile holds at most {MOST_COLUMNS} columns; left out: {named}."
            fix = "Upload a second cloud with these fields, or leave out fields that nobody needs."
            yield warning("points.left_out", text, fix, value=named, count=len(self.left_out), **where)
        if self.read > self.bad:
            yield from self._coarse()
            yield from self._misplaced()

    def _coarse(self) -> Iterator[Finding]:
        if not self.float32:
            return
        largest = np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float32)
        steps = np.spacing(largest)
        if steps[:2].max() < _COARSE_M:
            return
        text = f"Coordinates are 32-bit floats: at these numbers x moves in steps of {steps[0]:g} and y of {steps[1]:g}."
        fix = "Export in doubles, or with an offset subtracted and given as --origin."
        yield warning("points.float32_steps", text, fix, file=self.source.name, layer=LAYER, value=f"{steps[0]:g}, {steps[1]:g}")

    def _misplaced(self) -> Iterator[Finding]:
        if self.placed.crs is None:
            return
        corners = (np.array([a, b]) for a, b in zip(self.low, self.high, strict=True))
        misfit = place.misfit(systems.parsed(self.placed.crs), *corners, given=self.placed.crs_source is Known.GIVEN)
        if misfit is not None and misfit.certain:
            yield contradiction(misfit.text, self.placed, file=self.source.name, layer=LAYER)


def text_end(stream: BinaryIO, file: str) -> Iterator[Finding]:
    """A table of text whose last line does not end: its last number may be cut, and would still be a number.

    Only for information: PCL itself writes no end to the last line.
    """
    size = stream.seek(0, 2)
    stream.seek(max(0, size - 1))
    if size and stream.read(1) not in (b"\n", b"\r"):
        text = "The last line of the file has no end: its last number may have been cut."
        yield info("points.text_end", text, "Compare the size of the file with the original.", file=file, layer=LAYER)


def single_columns(fields: Columns) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Columns of one value a point, a field `normal` of three as `normal_0` to `normal_2`; and the fields for which a tile has no place."""
    found = {axis: fields[axis] for axis in "xyz"}
    used, left_out, size = set(fields), list[str](), 0
    for name, values in fields.items():
        if name in found:
            continue
        width = values.shape[1] if values.ndim > 1 else 1
        if len(found) + width > MOST_COLUMNS or size + width * values.itemsize > MOST_BYTES:
            left_out.append(name)
            continue
        size += width * values.itemsize
        if values.ndim == 1:
            found[name] = values
        for at in range(width if values.ndim > 1 else 0):
            own = free_name(f"{name}_{at}" if width > 1 else name, used - {name})
            used.add(own)
            found[own] = values[:, at]
    return found, tuple(left_out)


def free_name(name: str, used: Collection[str]) -> str:
    """`name`, or with a number behind it when it is taken."""
    if name not in used:
        return name
    return next(other for number in count(1) if (other := f"{name}_{number}") not in used)


def _arrow(values: NDArray[Any]) -> pa.Array:
    native = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
    if native.ndim == 1:
        return pa.array(native)
    return pa.FixedSizeListArray.from_arrays(pa.array(native.reshape(-1)), native.shape[1])
