"""Curves come in as lines near them, flat surfaces as polygons, in every format that can hold them; what cannot be drawn says so."""

from __future__ import annotations

import base64
import math
import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyogrio.raw import write

from ingest.checks import curves
from tests.support.reading import received

X, Y = 209_000.0, 533_000.0
"""Metres in EPSG:5186."""


def wkb(code: int, *parts: bytes, count: bool = True) -> bytes:
    return struct.pack("<BI", 1, code) + (struct.pack("<I", len(parts)) if count else b"") + b"".join(parts)


def path(*points: tuple[float, ...]) -> bytes:
    return struct.pack("<I", len(points)) + b"".join(struct.pack(f"<{len(p)}d", X + p[0], Y + p[1], *p[2:]) for p in points)


def line(*points: tuple[float, ...], code: int = 2) -> bytes:
    return wkb(code, path(*points), count=False)


def arcs(*points: tuple[float, ...], code: int = 8) -> bytes:
    return line(*points, code=code)


HALF = ((0.0, 0.0), (50.0, 50.0), (100.0, 0.0))
CIRCLE = ((0.0, 0.0), (100.0, 0.0), (0.0, 0.0))
SQUARE = ((0.0, 0.0, 1.0), (9.0, 0.0, 1.0), (9.0, 9.0, 1.0), (0.0, 0.0, 1.0))
ROOF = ((0.0, 0.0, 1.0), (9.0, 0.0, 1.0), (9.0, -9.0, 1.0), (0.0, 0.0, 1.0))

CURVED: dict[str, tuple[bytes, str]] = {
    "CircularString": (arcs(*HALF), "LineString"),
    "CircularString Z": (arcs(*((*p, 5.0) for p in HALF), code=1008), "LineString"),
    "a circle": (arcs(*CIRCLE), "LineString"),
    "CompoundCurve": (wkb(9, line((-5.0, 0.0), (0.0, 0.0)), arcs(*HALF), line((100.0, 0.0), (101.0, 0.0))), "LineString"),
    "CurvePolygon": (wkb(10, arcs(*CIRCLE)), "Polygon"),
    "CurvePolygon of parts": (wkb(10, wkb(9, arcs(*HALF), line((100.0, 0.0), (0.0, 0.0)))), "Polygon"),
    "MultiCurve": (wkb(11, line((0.0, 9.0), (1.0, 9.0)), arcs(*HALF), wkb(9, arcs(*HALF))), "MultiLineString"),
    "MultiSurface": (wkb(12, wkb(10, arcs(*CIRCLE)), wkb(3, path((200.0, 0.0), (201.0, 0.0), (201.0, 1.0), (200.0, 0.0)))), "MultiPolygon"),
    "GeometryCollection": (wkb(7, wkb(1, struct.pack("<2d", X, Y), count=False), arcs(*HALF)), "GeometryCollection"),
}
FLAT: dict[str, tuple[bytes, str]] = {
    "Triangle Z": (wkb(1017, path(*SQUARE)), "Polygon"),
    "TIN Z": (wkb(1016, wkb(1017, path(*SQUARE)), wkb(1017, path(*ROOF))), "MultiPolygon"),
    "PolyhedralSurface Z": (wkb(1015, wkb(1003, path(*SQUARE)), wkb(1003, path(*ROOF))), "MultiPolygon"),
    "CurvePolygon of lines": (wkb(10, line((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 0.0))), "Polygon"),
}
BROKEN: dict[str, bytes] = {
    "an even number of points": arcs(*HALF, (101.0, 0.0)),
    "two points": arcs(*HALF[:2]),
    "parts that do not join": wkb(9, line((-5.0, 0.0), (-1.0, 0.0)), arcs(*HALF)),
    "cut": arcs(*HALF)[:-8],
    "not a number": arcs((math.nan, 0.0), *HALF[1:]),
    "a curve without a type": wkb(13),
    "a point in a curve": wkb(11, wkb(1, struct.pack("<2d", X, Y), count=False)),
}


def geopackage(tmp_path: Path, body: bytes) -> Path:
    out = tmp_path / "map.gpkg"
    frame = gpd.GeoDataFrame({"kind": ["lane"]}, geometry=[shapely.Point(X, Y)], crs=5186)
    frame.to_file(out, layer="map", engine="pyogrio", SPATIAL_INDEX="NO")
    with closing(sqlite3.connect(out)) as db, db:
        db.execute("UPDATE map SET geom = ?", (b"GP\x00\x01" + struct.pack("<i", 5186) + body,))
        db.execute("UPDATE gpkg_geometry_columns SET geometry_type_name = 'GEOMETRY', z = 2, m = 2")
    return out


def parquet(tmp_path: Path, body: bytes) -> Path:
    table = pa.table({"kind": ["lane"], "geometry": pa.array([body], pa.binary())})
    about = '{"primary_column":"geometry","columns":{"geometry":{"encoding":"WKB","crs":"EPSG:5186"}}}'
    pq.write_table(table.replace_schema_metadata({"geo": about}), tmp_path / "map.parquet")
    return tmp_path / "map.parquet"


def written(path: Path, driver: str, body: bytes) -> Path:
    kinds = [np.array(["lane"], object)]
    write(path, np.array([body], object), kinds, ["kind"], geometry_type="Unknown", crs="EPSG:5186", driver=driver)
    return path


def flatgeobuf(tmp_path: Path, body: bytes) -> Path:
    return written(tmp_path / "map.fgb", "FlatGeobuf", body)


FORMATS = {"geopackage": geopackage, "parquet": parquet, "flatgeobuf": flatgeobuf}


def tried(names: Iterable[str]) -> list[tuple[str, str]]:
    """Formats and shapes; what writes the FlatGeobuf here leaves heights out."""
    return [(form, name) for form in FORMATS for name in names if form != "flatgeobuf" or not name.endswith("Z")]


def own(there: Any) -> Any:
    (shape,) = shapely.from_wkb(there.raw[0].table.column("geometry").to_pylist())
    return shape


@pytest.mark.parametrize(("form", "name"), tried(CURVED))
def test_arcs_become_lines_near_them_and_are_kept_beside(tmp_path: Path, form: str, name: str) -> None:
    body, becomes = CURVED[name]
    there = received(FORMATS[form](tmp_path, body))
    assert there.codes == {"geometry.curve"}
    assert (there.finding("geometry.curve").value, there.finding("geometry.curve").rejected) == ("0.01 m", 0)
    shape = own(there)
    assert shape.geom_type == becomes
    (properties,) = there.properties().values()
    assert base64.b64decode(properties["@source"]["curve"]) == body
    vertices = {tuple(point) for point in shapely.get_coordinates(shape).tolist()}
    assert {(X, Y), (X + 100, Y)} <= vertices
    away = [math.hypot(x - X - 50, y - Y) for x, y in vertices]
    assert any(abs(distance - 50) < 1e-9 for distance in away)
    if "Polygon" in name:
        assert shape.area == pytest.approx(math.pi * 50**2 / (2 if "parts" in name else 1), rel=1e-3)


@pytest.mark.parametrize(("form", "name"), tried(FLAT))
def test_flat_surfaces_become_polygons_exactly(tmp_path: Path, form: str, name: str) -> None:
    body, becomes = FLAT[name]
    there = received(FORMATS[form](tmp_path, body))
    assert there.codes == {"geometry.surface"}
    shape = own(there)
    assert (shape.geom_type, shape.has_z) == (becomes, name.endswith("Z"))
    wanted = np.array([*SQUARE, *(ROOF if becomes == "MultiPolygon" else ())])[:, :2] + [X, Y]
    assert shapely.get_coordinates(shape).tolist() == wanted.tolist()


@pytest.mark.parametrize("name", ["TIN Z", "PolyhedralSurface Z"])
def test_multipatch_of_a_shapefile_becomes_polygons_exactly(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    written(tmp_path / "in" / "map.shp", "ESRI Shapefile", FLAT[name][0])
    there = received(tmp_path / "in")
    assert "geometry.surface" in there.codes
    wanted = {(X + x, Y + y, z) for x, y, z in (*SQUARE, *ROOF)}
    assert {tuple(point) for point in shapely.get_coordinates(own(there), include_z=True).tolist()} == wanted


@pytest.mark.parametrize("name", BROKEN)
def test_curve_that_cannot_be_drawn_is_refused_in_words(tmp_path: Path, name: str) -> None:
    there = received(parquet(tmp_path, BROKEN[name]))
    assert there.rejected == 1
    assert "curve that cannot be drawn" in there.finding("geometry.refused").message


def test_a_nest_of_collections_is_refused(tmp_path: Path) -> None:
    body = arcs(*HALF)
    for _ in range(30):
        body = wkb(7, body)
    assert received(parquet(tmp_path, body)).rejected == 1


@pytest.mark.parametrize("crs", ["EPSG:5186", "EPSG:4326", "EPSG:2263", ""])
@given(
    radius=st.floats(0.001, 100_000),
    begin=st.floats(0, 2 * math.pi),
    turn=st.floats(0.01, 2 * math.pi - 0.01),
    middle=st.floats(0.05, 0.95),
    way=st.sampled_from([-1, 1]),
)
def test_no_chord_is_farther_from_its_arc_than_is_stated(
    crs: str, radius: float, begin: float, turn: float, middle: float, way: int
) -> None:
    unit = {"EPSG:5186": 1.0, "EPSG:4326": 111_320.0, "EPSG:2263": 0.3048006096, "": 1.0}[crs]
    centre = np.array([127.0, 37.0]) if crs == "EPSG:4326" else np.array([200_000.0, 500_000.0])
    angles = begin + way * turn * np.array([0.0, middle, 1.0])
    points = centre + radius / unit * np.column_stack([np.cos(angles), np.sin(angles)])
    drawn = curves.chords(points, curves.allowed(crs, points))
    assert drawn[[0, -1]].tolist() == points[[0, 2]].tolist()
    assert points[1].tolist() in drawn.tolist()
    middles = (drawn[1:] + drawn[:-1]) / 2
    apart = np.abs(np.hypot(*(middles - centre).T) * unit - radius)
    rounding = 1e-7 + radius * 1e-6
    assert apart.max() <= curves.CHORD_M + rounding
    turned = np.unwrap(np.arctan2(*(drawn - centre).T[::-1]))
    if radius > 1:
        assert abs(turned[-1] - turned[0]) == pytest.approx(turn, abs=1e-3)
