"""Placing: from what a file or its uploader says to degrees WGS 84, longitude first, and metres above a *named* height datum.

Nothing is placed silently: a CRS comes from the file, from the uploader, or from a guess that is said; else the source is unplaced.
Heights are never shifted from one datum to another (that needs a geoid that we may not have): they are brought to metres and their
datum is recorded beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.enums import TransformDirection

from ingest.findings import error, info, warning
from ingest.placing import systems
from ingest.placing.systems import WGS84
from ingest.reader import Placed
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content
from tiles.box import Box

NULL_ISLAND_DEG = 1.0
"""|lat| and |lon| both below this: no map of ours lies there, made-up worlds and failed conversions do."""
MAX_LATITUDE = 85.0511287798066
"""Edge of the grid (WebMercatorQuad)."""

_EDGE_DEG, _FAR_DEG = 0.05, 3.0
"""How far outside of a CRS's area of use is still inside, and how far is too far."""

Floats = NDArray[np.float64]


def resolve(
    file_crs: CRS | str | None, given: Placement, *, assumed: str | None = None, height: str | None = None, note: str = ""
) -> Placed:
    """Where a source lies and how that is known.

    The uploader's word beats the file's (a wrong label is the commonest fault of all), the file's beats a guess.

    Args:
        file_crs: what the file says, in any form pyproj reads; None or not understood = it says nothing.
        given: what the uploader said.
        assumed: a guess of the reader for a file that says nothing; `note` must then say why.
        height: height datum that the reader infers when neither CRS nor uploader names one (a folder name, a standard).
        note: a guess or an assumption in words.

    Raises: Invalid: `placement.crs`, `placement.origin`: the uploader's words cannot be used.
    """
    said = systems.crs_from(file_crs)
    notes = [note] if note else []
    if file_crs is not None and said is None and str(file_crs).strip():
        notes.append(f"The file's CRS text is not understood: {str(file_crs)[:80]!r}.")
    text, source, crs = _chosen(said, given, assumed, notes)
    datum, datum_source = _height(crs, given, height, source)
    return Placed(text, source, datum, datum_source, given.origin, " ".join(notes))


def _chosen(said: CRS | None, given: Placement, assumed: str | None, notes: list[str]) -> tuple[str | None, Known, CRS | None]:
    if given.crs:
        crs = systems.crs_from(given.crs)
        if crs is None:
            raise Invalid("placement.crs", f"The CRS {given.crs!r} is not known; give a code such as EPSG:5179, or WKT.", crs=given.crs)
        if said is not None and not systems.horizontal(said).equals(systems.horizontal(crs), ignore_axis_order=True):
            notes.append(f"The file says {said.name!r}; the uploader's {given.crs} was used instead.")
        return systems.recognise(crs)[0], Known.GIVEN, crs
    if given.origin is not None and (said is None or not said.is_geographic):
        lon, lat, _ = given.origin
        if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
            raise Invalid("placement.origin", f"The origin {lon},{lat} is not LON,LAT in degrees.", origin=list(given.origin))
        text = systems.local_frame(lon, lat)
        return text, Known.GIVEN, systems.parsed(text)
    if said is not None:
        text, guessed, why = systems.recognise(said)
        if guessed:
            notes.append(why)
        return text, Known.GUESSED if guessed else Known.FILE, said
    if assumed:
        crs = systems.parsed(assumed)
        return systems.recognise(crs)[0], Known.GUESSED, crs
    return None, Known.NONE, None


def _height(crs: CRS | None, given: Placement, inferred: str | None, source: Known) -> tuple[str, Known]:
    if given.height_datum:
        return given.height_datum, Known.GIVEN
    stated = systems.height_datum(crs) if crs is not None else None
    if stated:
        return stated, source
    return (inferred, Known.GUESSED) if inferred else ("unknown", Known.NONE)


def findings(placed: Placed, *, file: str = "", layer: str = "") -> list[Finding]:
    """What a placement leaves to be said: unplaced, guessed, assumed, or less exact than a metre."""
    found: list[Finding] = []
    where = {"file": file, "layer": layer}
    if placed.crs_source is Known.NONE:
        why = f"Nothing says in which coordinate system this lies. {placed.note}".strip()
        found.append(error("crs.none", why, "Give --crs EPSG:n, or --origin LON,LAT[,H] for local metres.", **where))
    elif placed.crs_source is Known.GUESSED:
        said = placed.note or f"{placed.crs} was assumed."
        found.append(warning("crs.guessed", said, "Check the box on the map; give --crs to settle it.", value=placed.crs or "", **where))
    elif placed.note:
        found.append(info("crs.note", placed.note, "Check the box on the map.", value=placed.crs or "", **where))
    exact = accuracy_m(placed.crs) if placed.crs else 0.0
    if exact is None or exact > 1.0:
        size = "an unknown amount" if exact is None else f"up to {exact:g} m"
        found.append(
            info("crs.inaccurate", f"The way from this CRS to WGS 84 may be off by {size}.", "Deliver in WGS 84 if that matters.", **where)
        )
    return found


@lru_cache(maxsize=64)
def transformer(crs: str) -> Transformer:
    """From the horizontal part of `crs` to WGS 84, x/east/longitude first on both sides; geocentric goes to (lon, lat, h)."""
    flat = systems.horizontal(systems.parsed(crs))
    return Transformer.from_crs(flat, CRS.from_epsg(4979 if flat.is_geocentric else 4326), always_xy=True)


@lru_cache(maxsize=64)
def accuracy_m(crs: str) -> float | None:
    """Metres that PROJ promises for the way to WGS 84, 0.0 when none is needed, None when it does not say."""
    if systems.is_wgs84(systems.parsed(crs)):
        return 0.0
    accuracy = float(transformer(crs).accuracy)
    if accuracy >= 0:
        return accuracy
    flat = systems.horizontal(systems.parsed(crs))
    base = flat.geodetic_crs
    # A projection on WGS 84 itself (UTM, a local frame) is exact by definition, although PROJ promises nothing for a custom one.
    ellipsoid = base.ellipsoid if base is not None else None
    return 0.0 if ellipsoid is not None and ellipsoid.semi_major_metre == 6378137.0 and not flat.is_bound else None


def lonlat(x: Floats, y: Floats, crs: str) -> tuple[Floats, Floats]:
    """Degrees WGS 84 of points in `crs` (x/east first); the same arrays when `crs` is WGS 84 already. Not placeable = inf."""
    if systems.is_wgs84(systems.parsed(crs)):
        return x, y
    lon, lat = transformer(crs).transform(x, y)
    return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


def place(batch: Batch, placed: Placed) -> Batch:
    """The batch in WGS 84, longitude first.

    Features (`geometry` and `measure`): bit for bit the same when their CRS is WGS 84, else transformed; heights keep their number
    unless the CRS counts them in feet or the origin of a local frame has a height. A batch without CRS loses its geometries (its rows
    are unplaced). Points keep the coordinates of the source, since nothing may be re-quantised: their CRS is set, and whoever needs
    degrees asks `lonlat`. Frames are WGS 84 by definition.
    """
    if batch.content is Content.FRAMES:
        return batch
    crs = batch.crs
    if batch.content is Content.POINTS:
        return replace(batch, crs=crs)
    if not crs:
        return replace(batch, table=_set(batch.table, "geometry", pa.nulls(batch.table.num_rows, pa.binary())), crs=WGS84)
    full = systems.parsed(crs)
    scale, lift = systems.height_factor(full), placed.origin[2] if placed.origin and crs == placed.crs else 0.0
    if systems.is_wgs84(full) and scale == 1.0 and lift == 0.0:
        return replace(batch, crs=WGS84)
    table = batch.table
    for name in ("geometry", "measure"):
        if name in table.column_names:
            table = _set(table, name, _moved(table.column(name), crs, scale, lift))
    return replace(batch, table=table, crs=WGS84)


def _set(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


_parsed: list[tuple[Any, NDArray[np.object_]]] = []
"""The last column that `geometries` parsed, and its geometries: placing, checking and validating a batch read the same one."""


def geometries(column: Any) -> NDArray[np.object_]:
    """Shapely geometries of a WKB column; null stays None. The column must have passed `readers.checks_wkb`. Do not change the result."""
    if _parsed and _same(_parsed[0][0], column):
        return _parsed[0][1]
    with np.errstate(invalid="ignore"):  # NaN is looked for, not stumbled over
        shapes = np.asarray(shapely.from_wkb(column.to_numpy(zero_copy_only=False), on_invalid="ignore"), dtype=object)
    _parsed[:] = [(column, shapes)]
    return shapes


def _same(one: Any, other: Any) -> bool:
    """Whether two columns are the same rows of the same memory (held by the first, so that it cannot be used again)."""
    return _memory(one) == _memory(other)


def _memory(column: Any) -> list[tuple[int, ...]]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [(c.offset, len(c), *(b.address if b is not None else 0 for b in c.buffers())) for c in chunks]


def _moved(column: Any, crs: str, scale: float, lift: float) -> Any:
    shapes = geometries(column).copy()
    solid = shapely.has_z(shapes)
    for mask, dimensions in ((solid, 3), (~solid, 2)):
        if not mask.any():
            continue
        some = shapes[mask]
        here = shapely.get_coordinates(some, include_z=dimensions == 3)
        there = _moved_coordinates(here, crs, scale, lift)
        shapes[mask] = shapely.set_coordinates(some, there[:, :dimensions])
    return pa.array(shapely.to_wkb(shapes, flavor="iso"), pa.binary())


def _moved_coordinates(here: Floats, crs: str, scale: float, lift: float) -> Floats:
    there = here.copy()
    if systems.parsed(crs).is_geocentric:
        height = here[:, 2] if here.shape[1] > 2 else np.zeros(len(here))
        return np.column_stack(transformer(crs).transform(here[:, 0], here[:, 1], height))
    there[:, 0], there[:, 1] = lonlat(here[:, 0], here[:, 1], crs)
    if here.shape[1] > 2:
        there[:, 2] = here[:, 2] * scale + lift
    return there


def settle(batch: Batch, placed: Placed, *, file: str = "") -> tuple[Batch, list[Finding]]:
    """`place`, and then nothing leaves that lies nowhere.

    Rows with a coordinate that is not finite, or off the grid (|lon| > 180, |lat| > 85.05), are taken out (`rejected` in their
    finding); rows at null island keep everything but their geometry (unplaced). Points and frames pass through.
    """
    there = place(batch, placed)
    if there.content is not Content.FEATURES or not there.table.num_rows:
        return there, []
    shapes = geometries(there.table.column("geometry"))
    coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    where = {"file": file, "layer": batch.layer}
    bad = ~np.isfinite(lon) | ~np.isfinite(lat)
    off = ~bad & ((np.abs(lon) > 180.0) | (np.abs(lat) > MAX_LATITUDE))
    null = (np.abs(lon) < NULL_ISLAND_DEG) & (np.abs(lat) < NULL_ISLAND_DEG)
    if not (bad.any() or off.any() or null.any()):
        return there, _outside(batch, coordinates, where)
    return _screened(there, (owner, coordinates, bad, off, null), where, _outside(batch, coordinates[~bad & ~off], where))


def _screened(there: Batch, marks: tuple[Any, ...], where: dict[str, str], found: list[Finding]) -> tuple[Batch, list[Finding]]:
    owner, coordinates, bad, off, null = marks
    ids = there.table.column("feature_id")
    rejected = np.zeros(there.table.num_rows, dtype=bool)
    # A value that breaks two rules is counted under the first.
    for mask, code, message, fix in (
        (
            bad,
            "coordinate.not_finite",
            "A coordinate is not a number; the feature was left out.",
            "Repair the coordinate and upload again.",
        ),
        (
            off,
            "coordinate.out_of_range",
            "A coordinate lies outside of ±180, ±85.05 degrees; the feature was left out.",
            "Check the CRS and the axis order.",
        ),
    ):
        rows = np.setdiff1d(owner[mask], np.flatnonzero(rejected))
        rejected[rows] = True
        first = dict(zip(*(v[::-1] for v in (owner[mask], np.flatnonzero(mask))), strict=True))
        for row in rows.tolist():
            value = ",".join(f"{v!r}" for v in coordinates[first[row]].tolist())
            found.append(error(code, message, fix, feature=ids[row].as_py(), value=value, rejected=1, **where))
    found = _swapped(coordinates, off, where) + found  # the cause before its effects
    table = there.table
    island = np.setdiff1d(owner[null], np.flatnonzero(rejected))
    if len(island):
        keep = np.ones(table.num_rows, dtype=bool)
        keep[island] = False
        geometry = (
            table.column("geometry").combine_chunks() if isinstance(table.column("geometry"), pa.ChunkedArray) else table.column("geometry")
        )
        table = _set(table, "geometry", pa.compute.if_else(pa.array(keep), geometry, pa.scalar(None, geometry.type)))
        text = f"{len(island)} features lie at longitude 0, latitude 0, where no map is; they are unplaced."
        fix = "The data are local or were converted wrongly: give --crs or --origin."
        found.append(error("place.null_island", text, fix, feature=ids[int(island[0])].as_py(), count=len(island), **where))
    return replace(there, table=table.filter(pa.array(~rejected))), found


def _swapped(coordinates: Floats, off: NDArray[np.bool_], where: dict[str, str]) -> list[Finding]:
    """Latitude beyond 90 whose swap would be a place: the columns were exchanged."""
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    swapped = off & (np.abs(lat) > 90.0) & (np.abs(lat) <= 180.0) & (np.abs(lon) <= 90.0)
    if not swapped.any():
        return []
    first = int(np.flatnonzero(swapped)[0])
    value = f"{lon[first]:.6f},{lat[first]:.6f}"
    text = "Latitude and longitude are exchanged: a latitude is beyond 90 degrees."
    return [error("crs.swapped", text, "Write longitude first.", value=value, **where)]


def _outside(batch: Batch, placed: Floats, where: dict[str, str]) -> list[Finding]:
    """Far outside of the area for which a CRS is made: wrong label, or the axes are exchanged (tried by placing them exchanged)."""
    area = systems.parsed(batch.crs).area_of_use if batch.crs else None
    if area is None or not len(placed) or systems.is_wgs84(systems.parsed(batch.crs)):
        return []
    if area.west > area.east:  # across the antimeridian
        return []

    def share(lon: Floats, lat: Floats, margin: float) -> float:
        east_west = (lon >= area.west - margin) & (lon <= area.east + margin)
        return float(np.mean(east_west & (lat >= area.south - margin) & (lat <= area.north + margin)))

    if share(placed[:, 0], placed[:, 1], _EDGE_DEG) > 0.5:
        return []
    middle = placed[len(placed) // 2]
    value = f"{middle[0]:.4f},{middle[1]:.4f}"
    sample = placed[:: max(1, len(placed) // 1000)]
    x, y = transformer(batch.crs).transform(sample[:, 0], sample[:, 1], direction=TransformDirection.INVERSE)
    if share(*lonlat(np.asarray(y), np.asarray(x), batch.crs), _EDGE_DEG) > 0.5:
        text = "East and north are exchanged: swapped, the features lie where their CRS is used."
        return [error("crs.swapped", text, "Write east (x) first.", value=value, **where)]
    if share(placed[:, 0], placed[:, 1], _FAR_DEG) > 0.5:  # a little outside is common: one zone is used beyond its edge
        return []
    text = f"The features lie far outside of the area of use of {batch.crs[:40]}."
    return [warning("crs.outside_area", text, "Check the CRS.", value=value, **where)]


def box_of(corners: Sequence[float] | None, crs: str | None) -> Box | None:
    """The box of degrees of a box in `crs`, its edges densified; None when it cannot be placed."""
    if corners is None or not crs or not np.isfinite(np.asarray(corners, dtype=float)).all():
        return None
    x0, y0, x1, y1 = (float(v) for v in corners)
    if systems.is_wgs84(systems.parsed(crs)):
        return Box(x0, y0, x1, y1)
    box = Box(*transformer(crs).transform_bounds(x0, y0, x1, y1, densify_pts=21))
    return box if np.isfinite(box).all() else None
