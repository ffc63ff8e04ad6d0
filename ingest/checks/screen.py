"""The screen: places a batch and takes the rows out that have no place, or none on this world. Nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from ingest.checks import place as place_checks
from ingest.findings import error, info, warning
from ingest.placing import antimeridian, systems
from ingest.placing.move import MAX_LATITUDE, NULL_ISLAND_DEG, Floats, Shapes, box_of, place, shapes_of, with_column
from ingest.reader import Placed
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box

Bools = npt.NDArray[np.bool_]

_EXAMPLES = 5
_NOT_FINITE = (
    "coordinate.not_finite",
    "A coordinate is not a number; the feature was left out.",
    "Repair the coordinate and upload again.",
)
_OUT_OF_RANGE = (
    "coordinate.out_of_range",
    "A coordinate is outside of ±180, ±85.05 degrees; the feature was left out.",
    "Check the CRS and the axis order.",
)


def no_shapes() -> Shapes:
    """The geometries of a batch that has none."""
    return np.empty(0, dtype=object)


@dataclass(frozen=True, slots=True)
class Screened:
    """What is left of a batch, and what was taken out of it: rows without a place (`unplaced`) and unusable ones (`rejected`).

    `shapes` are the geometries of the rows that are left (features only). `box` is in degrees WGS 84, `times` UTC nanoseconds.
    """

    batch: Batch
    shapes: Shapes = field(default_factory=no_shapes)
    unplaced: int = 0
    rejected: int = 0
    findings: tuple[Finding, ...] = ()
    box: Box | None = None
    times: tuple[int, int] | None = None


def screen(batch: Batch, placed: Placed, *, file: str = "") -> Screened:
    """The rows of a batch that can be put into tiles, placed.

    Args:
        batch: as a reader gave it, in `batch.crs`.
        placed: where its source is.
        file: the uploader's name of the source, for findings.
    """
    if batch.content is Content.FEATURES:
        return _features(batch, placed, file)
    return _frames(batch, file) if batch.content is Content.FRAMES else _points(batch, file)


def _features(batch: Batch, placed: Placed, file: str) -> Screened:
    there, shapes, found = on_grid(batch, placed, file=file)
    rejected = sum(finding.rejected for finding in found)
    missing = np.asarray(shapely.is_missing(shapes) | shapely.is_empty(shapes), dtype=bool)
    if missing.any():
        text = "These records have no geometry and refer to none that has: they cannot be put into a tile."
        fix = "Give them a geometry, or leave them out if they mean nothing."
        found += _rows(warning, "feature.no_place", text, fix, (there, file, "feature_id"), missing)
    kept = shapes[~missing]
    return Screened(_without(there, missing), kept, int(missing.sum()), rejected, tuple(found), _box(shapely.bounds(kept)))


def on_grid(batch: Batch, placed: Placed, *, file: str = "") -> tuple[Batch, Shapes, list[Finding]]:
    """A placed batch of features without the rows whose coordinates are not finite or off the grid (|lon| > 180, |lat| > 85.05).

    They are `rejected` in their findings. Rows at null island keep everything but their geometry: they are unplaced.
    """
    where = {"file": file, "layer": batch.layer}
    own = shapes_of(batch.table.column("geometry"))
    there, shapes = place(batch, own, placed)
    there, shapes, cuts, uncut = _cut_over_180(there, shapes, where)
    coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    bad = ~np.isfinite(lon) | ~np.isfinite(lat)
    off = ~bad & ((np.abs(lon) > 180.0) | (np.abs(lat) > MAX_LATITUDE))
    null = (np.abs(lon) < NULL_ISLAND_DEG) & (np.abs(lat) < NULL_ISLAND_DEG)
    # The cause before its effects.
    found = [misfit.finding(where)] if (misfit := misfit_of(batch, own, placed)) is not None else []
    found += cuts
    if not (bad.any() or off.any() or null.any() or uncut):
        return there, shapes, found
    rejected = np.zeros(len(shapes), dtype=bool)
    rejected[uncut] = True
    ids = there.table.column("feature_id")
    for mask, words in ((bad, _NOT_FINITE), (off, _OUT_OF_RANGE)):
        found += _reject((ids, owner, coordinates), mask, rejected, words, where)
    island = np.setdiff1d(owner[null], np.flatnonzero(rejected))
    if len(island):
        there, shapes = _unplace(there, shapes, island)
        text = f"{len(island)} features are at longitude 0, latitude 0, where no map is; they are unplaced."
        fix = "The data is local or was converted wrongly: give --crs or --origin."
        found.append(error("place.null_island", text, fix, feature=ids[int(island[0])].as_py(), count=len(island), **where))
    return _without(there, rejected), shapes[~rejected], found


def _cut_over_180(there: Batch, shapes: Shapes, where: dict[str, str]) -> tuple[Batch, Shapes, list[Finding], list[int]]:
    """The batch with its geometries over the 180th meridian in two pieces; and the rows that cannot be cut, which have their findings."""
    rows = antimeridian.crossing(shapes)
    if not len(rows):
        return there, shapes, [], []
    shapes, ids, uncut = shapes.copy(), there.table.column("feature_id"), []
    found: list[Finding] = []
    wkb = there.table.column("geometry").to_pylist()
    for row in rows.tolist():
        try:
            shapes[row] = antimeridian.cut(shapes[row])
        except shapely.GEOSException as why:
            uncut.append(row)
            text = f"The feature goes over the 180 degree meridian and cannot be cut there ({str(why)[:120]}); it was left out."
            found.append(error("geometry.uncut", text, "Repair the outline.", feature=str(ids[row]), rejected=1, **where))
        else:
            wkb[row] = shapely.to_wkb(shapes[row], flavor="iso")
    if len(uncut) < len(rows):
        cut = np.setdiff1d(rows, uncut).tolist()
        text = f"{len(cut)} features go over the 180 degree meridian; they are cut in two there."
        found.append(info("geometry.antimeridian", text, "Check them on the map.", feature=str(ids[cut[0]]), count=len(cut), **where))
    return with_column(there, "geometry", pa.array(wkb, pa.binary())), shapes, found, uncut


def misfit_of(batch: Batch, shapes: Shapes, placed: Placed) -> place_checks.Doubt | None:
    """Why a batch is not where its system puts it; None when it fits, or nobody can tell.

    Args:
        batch: as a reader gave it.
        shapes: its geometries (features only).
        placed: where its source is.
    """
    if batch.content is Content.FRAMES or not batch.crs:
        return None
    crs = systems.parsed(batch.crs)
    if batch.content is Content.POINTS:
        x, y, z = (batch.table.column(axis).to_numpy(zero_copy_only=False) for axis in ("x", "y", "z"))
    else:
        x, y, z = shapely.get_coordinates(shapes, include_z=True).T
    if systems.is_wgs84(crs):
        return place_checks.of_degrees(x, y)
    return place_checks.misfit(crs, x, y, z, given=placed.crs_source is Known.GIVEN)


def _reject(
    rows: tuple[Any, npt.NDArray[np.intp], Floats], mask: Bools, rejected: Bools, words: tuple[str, str, str], where: dict[str, str]
) -> list[Finding]:
    """One finding a row that has a marked coordinate, with the first of them; a row that breaks two rules is counted under the first.

    Args:
        rows: ids of the features; the feature of each coordinate; the coordinates.
        mask: the coordinates that are marked.
        rejected: (features,) is filled in.
        words: code, message, fix.
        where: file and layer, for the findings.
    """
    ids, owner, coordinates = rows
    code, message, fix = words
    fresh = np.setdiff1d(owner[mask], np.flatnonzero(rejected))
    rejected[fresh] = True
    first = dict(zip(owner[mask][::-1].tolist(), np.flatnonzero(mask)[::-1].tolist(), strict=True))
    values = [",".join(f"{v!r}" for v in coordinates[first[row]].tolist()) for row in fresh.tolist()]
    return [
        error(code, message, fix, feature=ids[row].as_py(), value=value, rejected=1, **where)
        for row, value in zip(fresh.tolist(), values, strict=True)
    ]


def _unplace(there: Batch, shapes: Shapes, rows: npt.NDArray[np.intp]) -> tuple[Batch, Shapes]:
    """The batch whose `rows` have no geometry any more; everything else of them stays."""
    keep = np.ones(len(shapes), dtype=bool)
    keep[rows] = False
    column = there.table.column("geometry")
    geometry = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    shapes = shapes.copy()
    shapes[rows] = None
    return with_column(there, "geometry", pc.if_else(pa.array(keep), geometry, pa.scalar(None, geometry.type))), shapes


def _frames(batch: Batch, file: str) -> Screened:
    lon = batch.table.column("lon").to_numpy(zero_copy_only=False).astype(float)
    lat = batch.table.column("lat").to_numpy(zero_copy_only=False).astype(float)
    missing = ~(np.isfinite(lon) & np.isfinite(lat))
    with np.errstate(invalid="ignore"):
        island = ~missing & (np.abs(lon) < NULL_ISLAND_DEG) & (np.abs(lat) < NULL_ISLAND_DEG)
        outside = ~missing & ((np.abs(lon) > 180) | (np.abs(lat) > MAX_LATITUDE))
    where = (batch, file, "name" if batch.kind is LayerKind.PHOTOS else "topic")
    found = []
    if missing.any():
        text = "These frames have no position, and none can be taken from their neighbours."
        fix = "Record a position (NavSatFix, EXIF GPS), or give --origin LON,LAT."
        found += _rows(warning, "frame.no_place", text, fix, where, missing)
    if island.any():
        text = "The position is longitude 0, latitude 0, where no road is: the receiver had no fix."
        found += _rows(warning, "place.null_island", text, "Leave such frames out, or record a fix.", where, island)
    if outside.any():
        if (misfit := place_checks.of_degrees(lon, lat)) is not None:
            found.append(misfit.finding({"file": file, "layer": batch.layer}))
        text = f"The position is outside the world (longitude +-180, latitude +-{MAX_LATITUDE:.4f})."
        found += _rows(error, "coordinate.out_of_range", text, "Check the receiver's record.", where, outside, rejected=True)
    good = ~(missing | island | outside)
    t_ns = batch.table.column("t_ns").to_numpy(zero_copy_only=False)[good]
    t_ns = t_ns[t_ns > 0]  # 0: nobody knows when
    return Screened(
        _without(batch, ~good),
        unplaced=int((missing | island).sum()),
        rejected=int(outside.sum()),
        findings=tuple(found),
        box=_box(np.stack([lon, lat, lon, lat], axis=1)[good]),
        times=(int(t_ns.min()), int(t_ns.max())) if len(t_ns) else None,
    )


def _points(batch: Batch, file: str) -> Screened:
    x, y, z = (batch.table.column(axis).to_numpy(zero_copy_only=False) for axis in ("x", "y", "z"))
    lost = np.asarray(~(np.isfinite(x) & np.isfinite(y) & np.isfinite(z)), dtype=bool)
    found = []
    if lost.any():
        count = int(lost.sum())
        text = f"{count} points have no finite coordinates (organised clouds hold such rows where the sensor saw nothing)."
        fix = "Nothing to do: they carry no measurement and are left out."
        found.append(warning("points.not_finite", text, fix, file=file, layer=batch.layer, count=count, rejected=count))
    good = ~lost
    corners = (float(x[good].min()), float(y[good].min()), float(x[good].max()), float(y[good].max())) if good.any() else None
    return Screened(_without(batch, lost), rejected=int(lost.sum()), findings=tuple(found), box=box_of(corners, batch.crs))


def _box(bounds: Floats) -> Box | None:
    if not len(bounds):
        return None
    low, high = bounds.min(axis=0), bounds.max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[2]), float(high[3]))


def _rows(
    make: Callable[..., Finding], code: str, text: str, fix: str, where: tuple[Batch, str, str], rows: Bools, *, rejected: bool = False
) -> list[Finding]:
    """One finding a row for the first few, one for the rest together. `where`: the batch, its file, the column that names a row."""
    batch, file, names = where
    ids = batch.table.column(names)
    numbers = np.flatnonzero(rows)
    found = []
    for row in numbers[:_EXAMPLES]:
        found.append(make(code, text, fix, file=file, layer=batch.layer, feature=str(ids[int(row)].as_py()), rejected=int(rejected)))
    more = len(numbers) - _EXAMPLES
    if more > 0:
        found.append(make(code, text, fix, file=file, layer=batch.layer, count=more, rejected=more * int(rejected)))
    return found


def _without(batch: Batch, gone: Bools) -> Batch:
    return replace(batch, table=batch.table.filter(pa.array(~gone))) if gone.any() else batch
