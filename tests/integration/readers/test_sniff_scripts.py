"""What the upload page reads from the heads and tails of files, run by Node and compared with pyproj, laspy, pyogrio and pyarrow."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import geopandas
import laspy
import numpy as np
import pytest
from pyproj import CRS, Transformer
from shapely.geometry import LineString, box

import web
from mapex.rules.parts import ASIDE, SHAPE_PARTS
from tests.support.opendrive import geometry, road, xodr
from tests.support.processes import node
from tests.support.reader_examples import MADE

SCRIPTS = Path(web.__file__).parent / "static" / "js" / "upload" / "sniff"
SNIFF = """
import { openAsBlob, existsSync } from "node:fs";
const { sniff } = await import(process.argv[1]);
for (const path of process.argv.slice(2)) {
  const sibling = {};
  for (const ending of ["shp", "prj"]) {
    const other = path.replace(/\\.\\w+$/, `.${ending}`);
    if (existsSync(other)) sibling[ending] = await openAsBlob(other);
  }
  console.log(JSON.stringify(await sniff(await openAsBlob(path), path.split("/").at(-1), (ending) => sibling[ending] ?? null)));
}
"""
INVERSE = """
const { inverse, systemOf } = await import(process.argv[1]);
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(([code, x, y]) => inverse(systemOf(code), x, y))));
"""
PANGYO = (127.1, 37.4, 127.11, 37.41)


def sniffed(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in node(SNIFF, (SCRIPTS / "sniff.js").as_uri(), *map(str, paths)).splitlines()]


@pytest.mark.parametrize("name", MADE)
def test_the_upload_page_knows_every_format_that_is_read(name: str, tmp_path: Path) -> None:
    made = MADE[name].make(tmp_path)
    for path in sorted(made.rglob("*")) if made.is_dir() else [made]:
        if path.suffix != ".yaml" and path.is_file():  # a rosbag's own description goes with its recording
            (found,) = sniffed(path)
            assert found["format"] and not {"foreign", "unknown"} & set(found["notes"]), (path.name, found)


def near(found: list[float] | None, wanted: tuple[float, ...], *, within: float = 3e-4) -> bool:
    return found is not None and all(abs(a - b) < within for a, b in zip(found, wanted, strict=True))


def own_of(code: str) -> tuple[float, float, float, float]:
    west, south, east, north = Transformer.from_crs("EPSG:4326", code, always_xy=True).transform_bounds(*PANGYO)
    return float(west), float(south), float(east), float(north)


def a_las(path: Path, code: str | None, *, version: str = "1.4") -> Path:
    x0, y0, x1, y1 = own_of(code or "EPSG:5186")
    las = laspy.create(point_format=6 if version == "1.4" else 3, file_version=version)
    las.header.scales, las.header.offsets = np.full(3, 0.001), np.array([x0, y0, 0])
    las.x, las.y, las.z = np.array([x0, x1]), np.array([y0, y1]), np.array([30.0, 31.0])
    if code:
        las.header.add_crs(CRS(code))
    las.write(path)
    return path


def test_the_own_inverse_agrees_with_proj_below_a_millimetre() -> None:
    points, wanted, at = [], [], random.Random(5)
    for code, lon in (("EPSG:5186", 127), ("EPSG:5187", 129), ("EPSG:5179", 127.5), ("EPSG:32652", 129), ("EPSG:32718", -75)):
        to = Transformer.from_crs(CRS(code).geodetic_crs, code, always_xy=True)
        for _ in range(40):
            place = (lon + at.uniform(-3, 3), at.uniform(33, 39) * (-1 if code == "EPSG:32718" else 1))
            points.append([code, *to.transform(*place)])
            wanted.append(place)
    found = json.loads(node(INVERSE, (SCRIPTS / "project.js").as_uri(), json.dumps(points)))
    assert max(np.abs(np.array(found) - np.array(wanted)).ravel()) < 1e-8


def test_point_clouds_say_system_count_and_place(tmp_path: Path) -> None:
    keys, wkt, none = sniffed(
        a_las(tmp_path / "keys.las", "EPSG:5186", version="1.2"),
        a_las(tmp_path / "wkt.laz", "EPSG:32652"),
        a_las(tmp_path / "none.las", None),
    )
    assert (keys["format"], keys["kind"], keys["count"], keys["crs"]) == ("LAS 1.2", "pointcloud", 2, "EPSG:5186")
    assert near(keys["box"], PANGYO)
    assert (wkt["format"], wkt["crs"]) == ("LAZ 1.4", "EPSG:32652") and near(wkt["box"], PANGYO)
    assert none["box"] is None and none["notes"] == ["no_crs"] and near(none["own"], own_of("EPSG:5186"), within=0.01)


@pytest.mark.parametrize(("ending", "driver"), [("fgb", "FlatGeobuf"), ("shp", "ESRI Shapefile"), ("parquet", ""), ("geojson", "GeoJSON")])
@pytest.mark.parametrize("code", ["EPSG:5179", "EPSG:4326"])
def test_vector_files_say_system_and_place(tmp_path: Path, ending: str, driver: str, code: str) -> None:
    if ending == "geojson" and code != "EPSG:4326":
        code = "EPSG:32652"
    x0, y0, x1, y1 = own_of(code)
    frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=[LineString([(x0, y0), (x1, y1)]), box(x0, y0, x1, y1)], crs=code)
    frame = frame.iloc[:1] if ending == "shp" else frame
    path = tmp_path / f"lanes.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_file(path, driver=driver)
    (found,) = sniffed(path)
    assert found["format"] == {"fgb": "FlatGeobuf", "shp": "Shapefile", "parquet": "GeoParquet", "geojson": "GeoJSON"}[ending]
    assert near(found["box"], PANGYO), found
    if ending in ("fgb", "parquet"):
        assert (found["crs"], found["count"]) == (code, 2)


def test_osm_and_what_only_pretends_to_have_a_place(tmp_path: Path) -> None:
    node_ = '<node id="{}" visible="true" lat="{}" lon="{}">{}</node>'
    local = '<tag k="local_x" v="1.0"/><tag k="local_y" v="2.0"/>'
    lanelet = '<relation id="9"><tag k="type" v="lanelet"/></relation>'
    real = tmp_path / "real.osm"
    real.write_text("<osm>" + "".join(node_.format(i, 37.4 + i * 0.005, 127.1 + i * 0.005, "") for i in range(3)) + lanelet + "</osm>")
    nowhere = tmp_path / "nowhere.osm"
    nowhere.write_text("<osm>" + "".join(node_.format(i, 0, 0, local) for i in range(3)) + lanelet + "</osm>")
    swapped = tmp_path / "swapped.geojson"
    line = {"type": "LineString", "coordinates": [[37.4, 127.1], [37.41, 127.11]]}
    swapped.write_text(
        json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"w": [1, 2]}, "geometry": line}]})
    )
    island = tmp_path / "island.geojson"
    island.write_text(swapped.read_text().replace("37.4", "0.4").replace("127.1", "0.1"))
    found = sniffed(real, nowhere, swapped, island)
    assert (found[0]["format"], found[0]["kind"]) == ("Lanelet2", "hdmap") and near(found[0]["box"], PANGYO)
    assert found[1]["box"] is None and "local" in found[1]["notes"]
    assert found[2]["box"] is None and found[2]["notes"] == ["swapped"]
    assert found[3]["box"] is None and found[3]["notes"] == ["null_island"]


def test_opendrive_is_placed_where_its_georeference_is_plain(tmp_path: Path) -> None:
    plain = "+proj=tmerc +lat_0=37.4 +lon_0=127.1 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m"
    references = [plain, "EPSG:5186", "", plain.replace("37.4", "0").replace("127.1", "0"), plain.replace("x_0=0", "x_0=5e5"), "somewhere"]
    paths = []
    for number, reference in enumerate(references):
        x, y = (200_000.0, 550_000.0) if reference.startswith("EPSG") else (0.0, 0.0)
        plan = geometry("<line/>", 1000.0, x=x, y=y) + geometry("<line/>", 10.0, x=x + 1000, y=y + 1000)
        paths.append(tmp_path / f"{number}.xodr")
        paths[-1].write_text(xodr(road(plan=plan), reference=reference))
    found = sniffed(*paths)
    assert {(one["format"], one["kind"]) for one in found} == {("OpenDRIVE", "hdmap")}
    assert near(found[0]["box"], (127.1, 37.4, 127.1113, 37.409), within=1e-4)
    assert near(found[1]["box"], (127.0, 37.549, 127.0113, 37.558), within=1e-3)
    assert [one["notes"] for one in found[2:]] == [["no_crs"], ["null_island"], ["later"], ["later"]]


def test_a_large_file_is_looked_at_in_pieces(tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "properties": {"t": "x" * 900}, "geometry": {"type": "Point", "coordinates": [127 + i * 1e-5, 37.5]}}
        for i in range(8000)
    ]
    path = tmp_path / "large.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert path.stat().st_size > 4 << 20
    (found,) = sniffed(path)
    assert found["notes"] == ["part"] and near(found["box"], (127.0, 37.5, 127.08, 37.5), within=0.002)


def test_broken_and_foreign_files_are_reported_and_break_nothing(tmp_path: Path) -> None:
    files = {
        "cut.las": b"LASF" + b"\0" * 40,
        "cut.fgb": b"fgb\x03fgb\x01\xff\xff\xff\x7f",
        "cut.parquet": b"PAR1" + struct.pack("<I", 1 << 30) + b"PAR1",
        "odd.parquet": b"PAR1" + b"\xff" * 64 + struct.pack("<I", 64) + b"PAR1",
        "program.laz": b"MZ\x90\x00" * 9,
        "photo.jpg": b"\xff\xd8\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\x7f",
        "bag.bag": b"#ROSBAG V1.2\n",
        "noise.bin": bytes(random.Random(1).randbytes(5000)),
        "empty.geojson": b'{"type": "FeatureCollection", "features": []}',
        "deep.prj.shp": b"\x00\x00\x27\x0a" + b"\xff" * 96,
    }
    paths = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        paths.append(tmp_path / name)
    found = dict(zip(files, sniffed(*paths), strict=True))
    assert all(report["box"] is None for report in found.values())
    notes = {name: report["notes"] for name, report in found.items()}
    assert notes["cut.las"] == notes["cut.fgb"] == notes["cut.parquet"] == notes["odd.parquet"] == ["cut"]
    assert notes["program.laz"] == notes["bag.bag"] == ["foreign"] and notes["noise.bin"] == ["unknown"]
    assert notes["photo.jpg"] == ["no_gps"] and notes["empty.geojson"] == ["empty"]


def test_real_files(samples: Path) -> None:
    laz, copc, utm, lanelet, photo = sniffed(
        samples / "pointcloud" / "autzen_trim.laz",
        samples / "pointcloud" / "lone-star.copc.laz",
        samples / "pointcloud" / "utm17.las",
        samples / "lanelet2" / "karlsruhe_mapping_example.osm",
        samples / "recordings" / "photos_gps" / "DSC00001.JPG",
    )
    assert (laz["format"], laz["count"], laz["box"]) == ("LAZ 1.2", 110_000, None)
    assert "Lambert" in laz["crsName"] and laz["notes"] == ["later"]
    assert (copc["format"], copc["count"]) == ("COPC", 518_862)
    assert utm["crs"] == "EPSG:32617" and near(utm["box"], (-83.4276, 39.0126, -83.4275, 39.0126), within=1e-3)
    assert lanelet["kind"] == "hdmap" and near(lanelet["box"], (8.4119, 49.0018, 8.4588, 49.0111), within=1e-3)
    assert near(photo["box"], (-122.5728, 45.5169, -122.5728, 45.5169), within=1e-3)


def test_what_stands_beside_data_is_named_as_such_and_never_as_unknown(tmp_path: Path) -> None:
    """The page has the endings of `mapex.rules.parts`."""
    names = [f"roads{ending}" for ending in sorted({*ASIDE, *SHAPE_PARTS} - {".shp"})]
    for name in names:
        (tmp_path / name).write_bytes(b"anything")
    alone = {name: there["notes"] for name, there in zip(names, sniffed(*(tmp_path / name for name in names)), strict=True)}
    assert {name for name, notes in alone.items() if notes == ["aside"]} == {f"roads{ending}" for ending in ASIDE}
    (tmp_path / "roads.shp").write_bytes(b"anything")
    beside = dict(zip(names, sniffed(*(tmp_path / name for name in names)), strict=True))
    assert all(beside[f"roads{ending}"]["notes"] == ["part_of"] for ending in SHAPE_PARTS if ending not in (".shp", ".shp.xml"))
