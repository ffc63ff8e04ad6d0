"""Checks of a placed batch: what has no place, or none on this world. Findings are values; nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.findings import error, warning
from ingest.placing.resolve import MAX_LATITUDE, NULL_ISLAND_DEG, box_of, geometries
from mapex.catalogue.finding import Finding
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box

Bools = npt.NDArray[np.bool_]

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of a batch, and what was taken out of it. `box` is in degrees WGS 84."""

    batch: Batch
    unplaced: int = 0
    rejected: int = 0
    findings: tuple[Finding, ...] = ()
    box: Box | None = None
    times: tuple[int, int] | None = None


def check(batch: Batch, file: str) -> Checked:
    """Take rows without a place and rows outside the world out of a settled batch (`ingest.placing.resolve.settle`)."""
    if batch.content is Content.FEATURES:
        return _check_features(batch, file)
    return _check_frames(batch, file) if batch.content is Content.FRAMES else _check_points(batch, file)


def _check_features(batch: Batch, file: str) -> Checked:
    import shapely

    geometry = geometries(batch.table.column("geometry"))
    missing = np.asarray(shapely.is_missing(geometry) | shapely.is_empty(geometry), dtype=bool)
    found = []
    if missing.any():
        text = "These records have no geometry and refer to none that has: they cannot be put into a tile."
        fix = "Give them a geometry, or leave them out if they mean nothing."
        found = _findings(warning, "feature.no_place", text, fix, (batch, file), batch.table.column("feature_id"), missing)
    return _kept(batch, missing, np.zeros_like(missing), found, _box(shapely.bounds(geometry[~missing])))


def _check_frames(batch: Batch, file: str) -> Checked:
    lon = batch.table.column("lon").to_numpy(zero_copy_only=False).astype(float)
    lat = batch.table.column("lat").to_numpy(zero_copy_only=False).astype(float)
    missing = ~(np.isfinite(lon) & np.isfinite(lat))
    with np.errstate(invalid="ignore"):
        island = ~missing & (np.abs(lon) < NULL_ISLAND_DEG) & (np.abs(lat) < NULL_ISLAND_DEG)
        outside = ~missing & ((np.abs(lon) > 180) | (np.abs(lat) > MAX_LATITUDE))
    ids = batch.table.column("name" if batch.kind is LayerKind.PHOTOS else "topic")
    found = []
    if missing.any():
        text = "These frames have no position, and none can be taken from their neighbours."
        fix = "Record a position (NavSatFix, EXIF GPS), or say --origin LON,LAT."
        found += _findings(warning, "frame.no_place", text, fix, (batch, file), ids, missing)
    if island.any():
        text = "The position is longitude 0, latitude 0, where no road is: the receiver had no fix."
        found += _findings(warning, "place.null_island", text, "Leave such frames out, or record a fix.", (batch, file), ids, island)
    if outside.any():
        text = f"The position lies outside the world (longitude +-180, latitude +-{MAX_LATITUDE:.4f})."
        found += _findings(
            error, "coordinate.out_of_range", text, "Check the receiver's record.", (batch, file), ids, outside, rejected=True
        )
    good = ~(missing | island | outside)
    t_ns = batch.table.column("t_ns").to_numpy(zero_copy_only=False)[good]
    t_ns = t_ns[t_ns > 0]  # 0: nobody knows when
    times = (int(t_ns.min()), int(t_ns.max())) if len(t_ns) else None
    bounds = np.stack([lon, lat, lon, lat], axis=1)[good]
    return _kept(batch, missing | island, outside, found, _box(bounds), times)


def _check_points(batch: Batch, file: str) -> Checked:
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
    return _kept(batch, np.zeros_like(lost), lost, found, box_of(corners, batch.crs))


def _box(bounds: npt.NDArray[np.float64]) -> Box | None:
    if not len(bounds):
        return None
    low, high = bounds.min(axis=0), bounds.max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[2]), float(high[3]))


def _findings(
    make: Callable[..., Finding],
    code: str,
    text: str,
    fix: str,
    where: tuple[Batch, str],
    ids: pa.ChunkedArray,
    rows: Bools,
    *,
    rejected: bool = False,
) -> list[Finding]:
    """One finding a row for the first few, one for the rest together."""
    batch, file = where
    numbers = np.flatnonzero(rows)
    found = []
    for row in numbers[:_EXAMPLES]:
        found.append(make(code, text, fix, file=file, layer=batch.layer, feature=str(ids[int(row)].as_py()), rejected=int(rejected)))
    more = len(numbers) - _EXAMPLES
    if more > 0:
        found.append(make(code, text, fix, file=file, layer=batch.layer, count=more, rejected=more * int(rejected)))
    return found


def _kept(
    batch: Batch, missing: Bools, outside: Bools, findings: list[Finding], box: Box | None, times: tuple[int, int] | None = None
) -> Checked:
    gone = missing | outside
    table = batch.table
    if gone.any():
        table = pc.filter(table, pa.array(~gone))
    kept = Batch(batch.content, batch.layer, batch.kind, table, batch.crs, batch.meta)
    return Checked(kept, int(missing.sum()), int(outside.sum()), tuple(findings), box, times)
