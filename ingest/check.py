"""Checks of a placed batch: what has no place, and what lies outside the world. Findings are values; nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.findings import Finding, error, warning
from tiles.batch import Batch, Content

MAX_LAT = 85.05112877980659  # the grid ends there: OGC 17-083r4, WebMercatorQuad

Bools = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of a batch, and what was taken out of it. `box` is in degrees for features and frames, None for points."""

    batch: Batch
    unplaced: int = 0
    rejected: int = 0
    findings: tuple[Finding, ...] = ()
    box: Box | None = None
    times: tuple[int, int] | None = None


def check(batch: Batch, file: str) -> Checked:
    """Take rows without a place and rows outside the world out of a batch in EPSG:4326 (points: in their own CRS, finite only)."""
    if batch.content is Content.FEATURES:
        return _check_features(batch, file)
    return _check_frames(batch, file) if batch.content is Content.FRAMES else _check_points(batch, file)


def _check_features(batch: Batch, file: str) -> Checked:
    import shapely

    geometry = shapely.from_wkb(batch.table.column("geometry").to_numpy(zero_copy_only=False), on_invalid="ignore")
    bounds = shapely.bounds(geometry)
    missing = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    outside = ~missing & _outside(bounds)
    ids = batch.table.column("feature_id")
    findings = []
    if missing.any():
        text = "These records have no geometry and refer to none that has: they cannot be put into a tile."
        fix = "Give them a geometry, or leave them out if they mean nothing."
        findings += _findings(warning, "feature.no_place", text, fix, (batch, file), ids, missing, rejected=False)
    if outside.any():
        text = f"The coordinates lie outside the world (longitude +-180, latitude +-{MAX_LAT:.4f}) or are not finite."
        fix = "Check the axis order and the CRS; say --crs EPSG:n."
        findings += _findings(error, "geometry.out_of_range", text, fix, (batch, file), ids, outside, rejected=True, bounds=bounds)
    return _kept(batch, missing, outside, findings, _box(bounds[~missing & ~outside]))


def _check_frames(batch: Batch, file: str) -> Checked:
    lon = batch.table.column("lon").to_numpy(zero_copy_only=False).astype(float)
    lat = batch.table.column("lat").to_numpy(zero_copy_only=False).astype(float)
    missing = ~(np.isfinite(lon) & np.isfinite(lat))
    bounds = np.stack([lon, lat, lon, lat], axis=1)
    outside = ~missing & _outside(bounds)
    ids = batch.table.column("name" if batch.kind == "photos" else "topic")
    findings = []
    if missing.any():
        text = "These frames have no position, and none can be taken from their neighbours."
        fix = "Record a position (NavSatFix, EXIF GPS), or say --origin LON,LAT."
        findings += _findings(warning, "frame.no_place", text, fix, (batch, file), ids, missing, rejected=False)
    if outside.any():
        text = "The position lies outside the world."
        findings += _findings(error, "frame.out_of_range", text, "Check the receiver's record.", (batch, file), ids, outside, rejected=True)
    good = ~missing & ~outside
    t_ns = batch.table.column("t_ns").to_numpy(zero_copy_only=False)[good]
    times = (int(t_ns.min()), int(t_ns.max())) if len(t_ns) else None
    return _kept(batch, missing, outside, findings, _box(bounds[good]), times)


def _check_points(batch: Batch, file: str) -> Checked:
    columns = [batch.table.column(axis).to_numpy(zero_copy_only=False) for axis in ("x", "y", "z")]
    outside = ~np.isfinite(columns[0]) | ~np.isfinite(columns[1]) | ~np.isfinite(columns[2])
    findings = []
    if outside.any():
        count = int(outside.sum())
        text = f"{count} points have no finite coordinates (organised clouds hold such rows where the sensor saw nothing)."
        fix = "Nothing to do: they carry no measurement and are left out."
        findings.append(warning("points.not_finite", text, fix, file=file, layer=batch.layer, count=count, rejected=count))
    return _kept(batch, np.zeros_like(outside), outside, findings, None)


def _outside(bounds: npt.NDArray[np.float64]) -> Bools:
    with np.errstate(invalid="ignore"):
        inside = (bounds[:, 0] >= -180) & (bounds[:, 2] <= 180) & (bounds[:, 1] >= -MAX_LAT) & (bounds[:, 3] <= MAX_LAT)
    return np.asarray(~inside, dtype=bool)


def _box(bounds: npt.NDArray[np.float64]) -> Box | None:
    if not len(bounds):
        return None
    low, high = bounds.min(axis=0), bounds.max(axis=0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])


def _findings(
    make: Callable[..., Finding],
    code: str,
    text: str,
    fix: str,
    where: tuple[Batch, str],
    ids: pa.ChunkedArray,
    rows: Bools,
    *,
    rejected: bool,
    bounds: npt.NDArray[np.float64] | None = None,
) -> list[Finding]:
    """One finding a row for the first few, one for the rest together."""
    batch, file = where
    numbers = np.flatnonzero(rows)
    found = []
    for row in numbers[:_EXAMPLES]:
        value = "" if bounds is None else ", ".join(f"{v:.6g}" for v in bounds[row][:2])
        found.append(
            make(code, text, fix, file=file, layer=batch.layer, feature=str(ids[int(row)].as_py()), value=value, rejected=int(rejected))
        )
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
