"""The same fault in every format that can show it: text, places, jumps, values, heights. What is sold is what was given."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from ingest.tasks.convert import convert
from mapex.intake.placement import Placement
from tests.support import clouds
from tests.support.reader_examples import UTM52, jpeg

TABLES = {"geojson": "geojson", "geopackage": "gpkg", "shapefile": "shp", "flatgeobuf": "fgb", "geoparquet": "parquet"}
VECTORS = (*TABLES, "opensidewalks", "lanelet2")
KOREAN = "판교역로 백현동 대왕판교로 삼평동"
LON, LAT = 127.1, 37.4
STEP = 0.0005
"""Degrees between neighbours of a line: about 50 m."""


def written(form: str, folder: Path, shapes: Sequence[BaseGeometry], values: Mapping[str, Sequence[Any]], crs: str | None = None) -> Path:
    """A source of the format; its folder, or its file."""
    out = folder / "map"
    out.mkdir()
    if form == "lanelet2":
        return _osm(out / "map.osm", shapes, values)
    if form == "opensidewalks":
        features = [
            {
                "type": "Feature",
                "properties": {"_id": str(n), "_u_id": "1", "_v_id": "2", **{name: column[n] for name, column in values.items()}},
                "geometry": shapely.geometry.mapping(shape),
            }
            for n, shape in enumerate(shapes)
        ]
        body = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
        (out / "a.edges.geojson").write_text(body, encoding="utf-8")
        return out
    import geopandas

    frame = geopandas.GeoDataFrame(dict(values), geometry=list(shapes), crs=crs or "EPSG:4326")
    path = out / f"map.{TABLES[form]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # long lines of text, systems that GeoJSON does not want
        if form == "geoparquet":
            frame.to_parquet(path, compression="none")
        else:
            frame.to_file(path, engine="pyogrio", **({"encoding": "utf-8"} if form == "shapefile" else {}))
    return out if form == "shapefile" else path


def _osm(path: Path, shapes: Sequence[BaseGeometry], values: Mapping[str, Sequence[Any]]) -> Path:
    nodes, ways = [], []
    for n, shape in enumerate(shapes):
        first = len(nodes) + 1
        for lon, lat, *height in shapely.get_coordinates(shape, include_z=shape.has_z).tolist():
            ele = f'<tag k="ele" v="{height[0]}"/>' if height else ""
            nodes.append(f'<node id="{len(nodes) + 1}" lat="{lat!r}" lon="{lon!r}">{ele}</node>')
        refs = "".join(f'<nd ref="{number}"/>' for number in range(first, len(nodes) + 1))
        tags = "".join(f'<tag k="{name}" v="{column[n]}"/>' for name, column in values.items())
        ways.append(f'<way id="{100000 + n}">{refs}<tag k="type" v="road_border"/>{tags}</way>')
    path.write_text(f'<?xml version="1.0"?>\n<osm version="0.6">{"".join(nodes + ways)}</osm>\n', encoding="utf-8")
    return path


def converted(path: Path, given: Placement | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the caged task reports of a source, and the rows of its tiles, each feature once, with its attributes."""
    lines: list[Mapping[str, Any]] = []
    out = path.parent / "out"
    out.mkdir()
    asked = {"do": "convert", "reads": [str(path)], "writes": str(out), "sources": [{"part": 0, "name": path.name}], "step": 1}
    convert({**asked, "placement": (given or Placement()).as_json()}, lines.append)
    (report,) = [line["report"] for line in lines if "report" in line]
    for layer in report["layers"].values():
        counts = layer["counts"]
        assert counts["read"] == counts["placed"] + counts["unplaced"] + counts["rejected"]
    rows = []
    for tile in (line["tile"] for line in lines if "tile" in line):
        table = pq.read_table(out / tile["path"])
        table.validate(full=True)  # text is UTF-8, offsets are in order
        rows += [{**row, **json.loads(row["properties"])} for row in table.to_pylist() if row["owner"]]
    return report, rows


def codes(report: Mapping[str, Any]) -> dict[str, str]:
    """Code and severity of what was found."""
    return {finding["code"]: finding["severity"] for finding in report["findings"]}


def lines(count: int = 6) -> list[shapely.LineString]:
    """Short lines beside each other."""
    return [shapely.LineString([(LON + n * STEP, LAT + k * STEP) for k in range(8)]) for n in range(count)]


@pytest.mark.parametrize("form", VECTORS)
def test_a_letter_cut_in_half_loses_itself_alone_and_is_named(form: str, tmp_path: Path) -> None:
    names = [f"{KOREAN} {n}" for n in range(6)]
    path = written(form, tmp_path, lines(), {"road": names})
    marked = "삼평동 4".encode()
    [file] = [p for p in ([path] if path.is_file() else sorted(path.iterdir())) if marked in p.read_bytes()]
    file.write_bytes(file.read_bytes().replace(marked, marked[:8] + b"  4"))  # without the last byte of the last letter
    report, rows = converted(path)
    read = {row.get("road") for row in rows}
    assert read >= set(names) - {names[4]}, "one bad value changes the reading of no other"
    [bad] = [text for text in read - set(names) if text]
    assert bad.startswith(KOREAN[:-1]) and "\ufffd" in bad
    [finding] = [one for one in report["findings"] if one["code"] == "text.damaged"]
    assert finding["count"] == 1


MOVED = {
    "degrees called metres": ("EPSG:5179", lambda x, y: (x, y), "crs.contradicts"),
    "metres called degrees": ("EPSG:4326", Transformer.from_crs("EPSG:4326", "EPSG:5179", always_xy=True).transform, "crs.contradicts"),
    "axes exchanged": ("EPSG:4326", lambda x, y: (y, x), "crs.swapped"),
}
FAULTY = [(form, fault) for form in VECTORS for fault in MOVED if form in TABLES or fault != "degrees called metres"]
"""OpenSidewalks and Lanelet2 state no system: they are in degrees by definition."""


@pytest.mark.parametrize(("form", "fault"), FAULTY)
def test_what_is_in_the_wrong_place_is_not_sold(form: str, fault: str, tmp_path: Path) -> None:
    crs, move, code = MOVED[fault]
    shapes = [shapely.transform(line, lambda at: np.column_stack(move(at[:, 0], at[:, 1]))) for line in lines()]
    report, rows = converted(written(form, tmp_path, shapes, {"road": ["a"] * 6}, crs))
    assert rows == []
    assert codes(report)[code] == "error"


@pytest.mark.parametrize("make", [clouds.a_pcd, clouds.a_ply])
@pytest.mark.parametrize(("crs", "at"), [("EPSG:32652", (LON, LAT)), ("EPSG:4326", UTM52[:2])])
def test_a_cloud_in_the_wrong_place_is_not_sold(make: Any, crs: str, at: tuple[float, float], tmp_path: Path) -> None:
    x, y = (np.linspace(start, start + 0.001, 5) for start in at)
    path = make(tmp_path / f"cloud.{make.__name__[2:]}", {"x": x, "y": y, "z": np.zeros(5)})
    report, rows = converted(path, Placement(crs=crs))
    assert (rows, codes(report)["crs.contradicts"]) == ([], "error")


def test_las_in_the_wrong_place_is_not_sold(tmp_path: Path) -> None:
    degrees = clouds.a_las(tmp_path / "cloud.las", 5, crs="EPSG:32652", spread_m=0.001, at=(LON, LAT, 30.0), scale=1e-7)
    report, rows = converted(degrees)
    assert (rows, codes(report)["crs.contradicts"]) == ([], "error")


def test_photos_whose_axes_are_exchanged_have_no_place(tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    for n in range(3):
        (out / f"{n}.jpg").write_bytes(jpeg(LAT, LON))
    report, rows = converted(out)
    assert rows == []
    assert "error" in codes(report).values()


@pytest.mark.parametrize("form", VECTORS)
def test_a_line_that_jumps_has_to_be_answered(form: str, tmp_path: Path) -> None:
    places = shapely.get_coordinates(lines()[3])
    places[4, 0] += 1.0  # one digit: 88 km
    report, rows = converted(written(form, tmp_path, [*lines(3), shapely.LineString(places), *lines(6)[4:]], {"road": ["a"] * 6}))
    [jump] = [one for one in report["findings"] if one["code"] == "geometry.jump"]
    assert (jump["severity"], jump["count"]) == ("question", 1)
    assert len([row for row in rows if row["kind"] != "node"]) == 6, "it is asked about, not dropped"


@pytest.mark.parametrize("form", VECTORS)
def test_heights_above_nothing_have_to_be_answered(form: str, tmp_path: Path) -> None:
    shapes = [shapely.force_3d(line, 30.0 + n) for n, line in enumerate(lines())]
    report, rows = converted(written(form, tmp_path, shapes, {"road": ["a"] * 6}))
    assert "height.datum_unknown" in codes(report)
    sold = {z for row in rows for z in shapely.get_coordinates(shapely.from_wkb(row["geometry"]), include_z=True)[:, 2]}
    assert sold == {30.0 + n for n in range(6)}, "and stay as they are"


LARGEST = 2**63 - 1
VALUES: dict[str, Sequence[Any]] = {
    "parcel": [1111010100100010001, 2**53 + 1, LARGEST, -LARGEST, 0, 1],
    "width": [3.25, 0.1, 0.0, 1e-7, 123456.789, 2.5],
    "name": ["판교", "", 'a"b', "한 글", "x" * 200, "0012"],
}
WIDTH_LOST = {"shapefile"}
"""What pyogrio writes into a column of numbers of a .dbf is itself rounded to the column's decimals, and a .dbf has no empty text."""


@pytest.mark.parametrize("form", TABLES)
def test_values_are_sold_to_the_last_digit(form: str, tmp_path: Path) -> None:
    values = {**VALUES, "parcel": [1111010100100010001, 2**53 + 1, 10**17, -(10**16), 0, 1]} if form in WIDTH_LOST else VALUES
    _, rows = converted(written(form, tmp_path, lines(), values))
    for name in set(values) - ({"width"} if form in WIDTH_LOST else set()):
        found = [row.get(name) or type(values[name][0])() for row in rows] if form in WIDTH_LOST else [row[name] for row in rows]
        assert sorted(map(repr, found)) == sorted(map(repr, values[name])), name


@pytest.mark.parametrize("form", ["opensidewalks", "geojson", "geoparquet"])
def test_numbers_and_truths_beside_nothing_stay_what_they_are(form: str, tmp_path: Path) -> None:
    import pandas

    numbers, truths = [2**53 + 1, None, 3, None, 5, 6], [True, None, False, None, True, False]
    values = {"n": numbers, "yes": truths}
    if form != "opensidewalks":  # geopandas would write floats
        values = {"n": pandas.array(numbers, "Int64"), "yes": pandas.array(truths, "boolean")}
    _, rows = converted(written(form, tmp_path, lines(), values))
    assert sorted(repr(row.get("n")) for row in rows) == sorted(map(repr, numbers))
    assert sorted(repr(row.get("yes")) for row in rows) == sorted(map(repr, truths))
