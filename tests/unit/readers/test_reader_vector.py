"""Traps of vector files: disguises, false headers, missing parts, wrong text, several systems in one file."""

from __future__ import annotations

import sqlite3
import struct
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyogrio
import pytest
import shapely

from ingest.readers.vector.gdal import FlatGeobuf, GeoPackage
from ingest.readers.vector.geojson import GeoJson
from ingest.readers.vector.layer import LayerRows
from ingest.readers.vector.shapefile import Shapefile
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tests.support.reading import Received, received

ROADS = ["차로", "보도", "횡단보도"]
VRT = '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>CSV:/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'
WFS = "<OGRWFSDataSource><URL>http://127.0.0.1:9/wfs</URL></OGRWFSDataSource>"
GDALG = '{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read /etc/passwd ! write"}'


def frame(crs: Any = "EPSG:5179", names: list[str] | None = None, shapes: list[Any] | None = None) -> gpd.GeoDataFrame:
    names = names or ROADS
    made = shapes or [shapely.LineString([(955_000 + n, 1_950_000, 30.5), (955_100 + n, 1_950_050, 31.5)]) for n in range(len(names))]
    return gpd.GeoDataFrame(
        {"ID": [f"L{n}" for n in range(len(names))], "NAME": names, "LANES": list(range(len(names)))}, geometry=made, crs=crs
    )


def write(path: Path, table: gpd.GeoDataFrame, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.to_file(path, engine="pyogrio", **options)
    return path


def names_of(there: Received) -> list[str]:
    return [answer["NAME"] for answer in there.properties().values()]


@pytest.mark.parametrize("text", [VRT, WFS, GDALG])
@pytest.mark.parametrize(
    ("name", "reader"), [("map.gpkg", GeoPackage), ("map.fgb", FlatGeobuf), ("map.shp", Shapefile), ("map.geojson", GeoJson)]
)
def test_a_disguised_pointer_to_other_files_is_refused(tmp_path: Path, text: str, name: str, reader: Any) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(Invalid):
        received(path, choose=lambda _source: reader())
    with pytest.raises(Invalid) as refused:
        received(path)
    assert refused.value.code == "format.unsupported"
    assert "only points at" in refused.value.message


@pytest.mark.parametrize("name", ["map.gpkg", "map.fgb", "map.shp", "map.parquet", "map.geojson"])
def test_every_format_brings_ids_attributes_and_vertices_back(tmp_path: Path, name: str) -> None:
    table = frame()
    path = tmp_path / name
    if name.endswith("parquet"):
        table.to_parquet(path)
    elif name.endswith("geojson"):
        table = table.to_crs(4326)
        path.write_text(table.to_json(drop_id=True), encoding="utf-8")
    else:
        write(path, table, **({"encoding": "UTF-8"} if name.endswith("shp") else {}))
    there = received(tmp_path if name.endswith("shp") else path)
    assert sorted(there.ids) == ["L0", "L1", "L2"]  # FlatGeobuf sorts by place
    answer = there.properties()
    assert [(answer[feature]["NAME"], answer[feature]["LANES"]) for feature in table["ID"]] == list(
        zip(table["NAME"], table["LANES"], strict=True)
    )
    read = there.raw[0].table
    raw = dict(zip(read.column("feature_id").to_pylist(), map(shapely.from_wkb, read.column("geometry").to_pylist()), strict=True))
    for feature, exact, placed in zip(table["ID"], table.geometry, table.to_crs(4326).geometry, strict=True):
        assert shapely.equals_exact(raw[feature], exact, tolerance=0.0)
        assert shapely.equals_exact(there.shapes()[feature], placed, tolerance=1e-9)
        assert there.shapes()[feature].has_z
    assert there.rejected == 0


def test_a_header_that_claims_a_billion_features_is_found_by_counting(tmp_path: Path) -> None:
    path = write(tmp_path / "map.fgb", frame())
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<Q", 3), 8)
    data[at : at + 8] = struct.pack("<Q", 1_000_000_000)
    path.write_bytes(bytes(data))
    there = received(path)
    assert "count.mismatch" in there.codes
    assert there.finding("count.mismatch").value == "1000000000"


@pytest.mark.parametrize("name", ["map.fgb", "map.gpkg", "map.parquet"])
def test_a_cut_file_is_an_error_and_not_silence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = frame(names=["차로"] * 2000)
    if name.endswith("parquet"):
        table.to_parquet(path)
    else:
        write(path, table)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    try:
        there = received(path)
    except Invalid as why:
        assert why.code == "file.damaged"
    else:
        assert there.codes & {"file.damaged", "count.mismatch"}


def test_a_geopackage_with_a_view_is_refused_before_gdal_sees_it(tmp_path: Path) -> None:
    path = write(tmp_path / "map.gpkg", frame())
    with sqlite3.connect(path) as db:
        db.execute("CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
    db.close()
    with pytest.raises(Invalid) as refused:
        received(path)
    assert refused.value.code == "gpkg.view"
    assert "endless" in refused.value.message


def test_virtual_tables_but_the_index_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "map.gpkg", frame())
    assert received(path).ids  # it has an R-tree, which is allowed
    with sqlite3.connect(path) as db:
        db.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    db.close()
    with pytest.raises(Invalid) as refused:
        received(path)
    assert refused.value.code == "gpkg.virtual_table"


def test_computed_columns_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "map.gpkg", frame())
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE c (a, b GENERATED ALWAYS AS (a * 2))")
    db.close()
    with pytest.raises(Invalid) as refused:
        received(path)
    assert refused.value.code == "gpkg.generated"


def test_sqlite_that_is_no_geopackage_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "map.gpkg") as db:
        db.execute("CREATE TABLE t (a)")
    db.close()
    with pytest.raises(Invalid) as refused:
        received(tmp_path / "map.gpkg")
    assert refused.value.code == "gpkg.not_one"


def test_an_open_journal_beside_a_geopackage_is_not_touched(tmp_path: Path) -> None:
    path = write(tmp_path / "map.gpkg", frame())
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    assert received(path).ids == ["L0", "L1", "L2"]
    assert path.read_bytes() == before
    db.close()


def test_layers_in_different_systems_are_each_placed_by_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "map.gpkg", frame(), layer="roads")
    write(path, frame().to_crs("EPSG:32652"), layer="utm", append=True)
    write(path, frame().to_crs("EPSG:4326"), layer="degrees", append=True)
    there = received(path)
    assert "crs.several" in there.codes
    first = [shapely.from_wkb(batch.table.column("geometry")[0].as_py()) for batch in there.placed]
    assert len(first) == 3
    for other in first[1:]:
        assert shapely.equals_exact(first[0], other, tolerance=1e-8)


def test_a_layer_without_system_is_unplaced_while_the_others_are_placed(tmp_path: Path) -> None:
    path = write(tmp_path / "map.gpkg", frame(), layer="roads")
    write(path, frame(crs=None), layer="unknown", append=True)
    there = received(path)
    assert there.finding("crs.none").value == "unknown"
    assert there.table.column("geometry").null_count == 3
    assert received(path, Placement(crs="EPSG:5179")).table.column("geometry").null_count == 0


def test_numeric_ids_of_several_tables_do_not_collide(tmp_path: Path) -> None:
    table = frame().drop(columns="ID")
    path = write(tmp_path / "map.gpkg", table, layer="roads")
    write(path, table, layer="walks", append=True)
    there = received(path)
    assert len(set(there.ids)) == 6
    assert "roads/1" in there.ids
    assert next(iter(there.properties().values()))["fid"] == 1


def shapefile(tmp_path: Path, table: gpd.GeoDataFrame, **options: Any) -> Path:
    folder = tmp_path / "shp"
    folder.mkdir()
    write(folder / "A2_LINK.shp", table, **options)
    return folder


def test_korean_text_without_a_cpg_is_read_as_cp949_and_reported(tmp_path: Path) -> None:
    """As Latin-1 it would be mojibake without an error."""
    folder = shapefile(tmp_path, frame(), encoding="CP949")
    (folder / "A2_LINK.cpg").unlink()
    there = received(folder)
    assert names_of(there) == ROADS
    assert there.finding("text.encoding_guessed").value == "cp949"


def test_a_cpg_that_is_false_is_found_by_the_bytes(tmp_path: Path) -> None:
    folder = shapefile(tmp_path, frame(), encoding="CP949")
    (folder / "A2_LINK.cpg").write_text("UTF-8")
    there = received(folder)
    assert names_of(there) == ROADS
    assert there.finding("text.encoding_lies").severity == "warning"


def test_a_cpg_that_says_latin_over_korean_text_is_not_believed(tmp_path: Path) -> None:
    folder = shapefile(tmp_path, frame(), encoding="CP949")
    (folder / "A2_LINK.cpg").write_text("ISO-8859-1")
    assert names_of(received(folder)) == ROADS


def test_utf8_text_without_a_cpg_is_utf8(tmp_path: Path) -> None:
    folder = shapefile(tmp_path, frame(), encoding="UTF-8")
    (folder / "A2_LINK.cpg").unlink()
    there = received(folder)
    assert names_of(there) == ROADS
    assert not {code for code in there.codes if code.startswith("text.")}


def test_western_text_is_latin_and_reported(tmp_path: Path) -> None:
    names = ["Liberté e Égalité", "Straße nach", "Ålesund, øst"]
    folder = shapefile(tmp_path, frame(names=names), encoding="ISO-8859-1")
    (folder / "A2_LINK.cpg").unlink()
    there = received(folder)
    assert names_of(there) == names
    assert "text.encoding_unknown" in there.codes


def test_a_missing_index_is_rebuilt_and_the_upload_is_not_written_to(tmp_path: Path) -> None:
    folder = shapefile(tmp_path, frame(), encoding="UTF-8")
    (folder / "A2_LINK.shx").unlink()
    before = sorted(path.name for path in folder.iterdir())
    there = received(folder)
    assert there.ids == ["L0", "L1", "L2"]
    assert "shp.no_shx" in there.codes
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_missing_prj_is_unplaced_until_the_uploader_says(tmp_path: Path) -> None:
    folder = shapefile(tmp_path, frame(), encoding="UTF-8")
    (folder / "A2_LINK.prj").unlink()
    there = received(folder)
    assert there.survey.placed.crs_source is Known.NONE
    assert {"crs.none", "shp.no_prj"} <= there.codes
    assert there.table.column("geometry").null_count == 3
    assert received(folder, Placement(crs="EPSG:5179")).table.column("geometry").null_count == 0


def test_a_missing_dbf_leaves_geometry_with_row_ids(tmp_path: Path) -> None:
    folder = shapefile(tmp_path, frame(), encoding="UTF-8")
    (folder / "A2_LINK.dbf").unlink()
    there = received(folder)
    assert there.ids == ["A2_LINK/0", "A2_LINK/1", "A2_LINK/2"]
    assert "shp.no_dbf" in there.codes
    assert there.kinds() == {"lane_centre": 3}


def test_measures_are_taken_aside_and_not_lost(tmp_path: Path) -> None:
    """Drawing software mixes geometries with a measure (M) among those without."""
    folder = shapefile(tmp_path, frame(names=["차로"]), encoding="UTF-8")
    (folder / "A2_LINK.shx").unlink()
    box = struct.pack("<4d", 955_000, 1_950_000, 955_100, 1_950_000)
    body = struct.pack("<i", 13) + box + struct.pack("<3i4d", 1, 2, 0, 955_000, 1_950_000, 955_100, 1_950_000)
    body += struct.pack("<4d", 30, 31, 30, 31) + struct.pack("<4d", 1.5, 2.5, 1.5, 2.5)
    words = (100 + 8 + len(body)) // 2
    head = struct.pack(">7i", 9994, 0, 0, 0, 0, 0, words) + struct.pack("<2i", 1000, 13) + box + struct.pack("<4d", 30, 31, 1.5, 2.5)
    (folder / "A2_LINK.shp").write_bytes(head + struct.pack(">2i", 1, len(body) // 2) + body)
    there = received(folder)
    shape = there.shapes()["L0"]
    assert (shape.has_z, shape.has_m) == (True, False)
    assert [z for _, _, z in shape.coords] == [30.0, 31.0]
    assert there.properties()["L0"]["@source"]["m"] == [1.5, 2.5]
    assert "geometry.measure" in there.codes


def test_a_cut_shapefile_is_an_error(tmp_path: Path) -> None:
    folder = shapefile(tmp_path, frame(names=["차로"] * 100), encoding="UTF-8")
    shp = folder / "A2_LINK.shp"
    shp.write_bytes(shp.read_bytes()[: shp.stat().st_size // 2])
    assert "file.damaged" in received(folder).codes


def test_curves_are_refused_with_their_id(tmp_path: Path) -> None:
    curve = struct.pack("<BII4d", 1, 8, 2, 0.0, 0.0, 1.0, 1.0)
    entries = list(
        LayerRows("roads", "EPSG:4326").batches(pa.table({"id": ["a", "b"]}), pa.array([curve, shapely.to_wkb(shapely.Point(1, 2))]))
    )
    (found,) = [entry for entry in entries if hasattr(entry, "code")]
    assert (found.code, found.feature, found.rejected) == ("geometry.refused", "a", 1)
    assert [entry.table.column("feature_id").to_pylist() for entry in entries if hasattr(entry, "table")] == [["b"]]


def test_the_drivers_that_the_readers_ask_for_are_in_this_gdal() -> None:
    drivers = pyogrio.list_drivers()
    assert all("r" in drivers[reader.driver] for reader in (GeoPackage, FlatGeobuf, Shapefile))
