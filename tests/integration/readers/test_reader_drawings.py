"""KML, GML and DXF: what they hold comes in unchanged, and nothing of it lands at 0."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import geopandas
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.reader import Source
from ingest.readers.sniff import reader_for
from ingest.tasks.entries import entries
from mapex.errors import Invalid, MapexError
from mapex.intake.placement import Placement
from tests.support.reader_examples import MADE
from tests.support.reading import Received, received
from tiles.batch import Batch

KML = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns:gx="g"><Document><Folder><name>강남</name>{}</Folder></Document></kml>'
SHAPES = [
    shapely.Point(127.1, 37.4),
    shapely.LineString([(127.1, 37.4), (127.2, 37.5), (127.3, 37.4)]),
    shapely.Polygon([(127, 37), (128, 37), (128, 38)], [[(127.5, 37.2), (127.6, 37.2), (127.6, 37.3)]]),
    shapely.MultiPoint([(127, 37), (128, 38)]),
]


def kml(folder: Path, body: str) -> Received:
    (folder / "a.kml").write_text(KML.format(body), encoding="utf-8")
    return received(folder / "a.kml")


def frame() -> Any:
    columns = {"name": ["가", "나", "다", "라"], "code": ["007", "010", "", "x"]}
    return geopandas.GeoDataFrame(columns, geometry=SHAPES, crs="EPSG:4326")


def test_a_placemark_keeps_all_that_stands_in_it(tmp_path: Path) -> None:
    schema = '<SchemaData><SimpleData name="n">007</SimpleData></SchemaData>'
    extended = f'<ExtendedData><Data name="type"><value>crosswalk</value></Data>{schema}</ExtendedData>'
    point = "<Point><altitudeMode>absolute</altitudeMode><coordinates>127,37,5</coordinates></Point>"
    there = kml(tmp_path, f'<Placemark id="p"><name>길</name><TimeStamp><when>2026</when></TimeStamp>{extended}{point}</Placemark>')
    (answer,) = there.properties().values()
    del answer["@source"]
    expected = {"name": "길", "TimeStamp": {"when": "2026"}, "type": "crosswalk", "n": "007", "folder": "강남"}
    assert answer == {**expected, "geometry": {"altitudeMode": "absolute"}}
    assert there.shapes()["p"].equals(shapely.Point(127, 37, 5)) and there.kinds() == {"crossing": 1}


def test_shapes_of_kml_are_those_that_gdal_writes(tmp_path: Path) -> None:
    pyogrio.write_dataframe(frame(), tmp_path / "a.kml", driver="KML")
    shapes = list(received(tmp_path / "a.kml").shapes().values())
    assert [shapely.equals(shapely.force_2d(a), b) for a, b in zip(shapes, SHAPES, strict=True)] == [True] * 4


def test_a_kmz_is_its_document_and_its_signs_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.kmz", "w") as archive:
        archive.writestr("doc.kml", KML.format("<Placemark><Point><coordinates>127,37</coordinates></Point></Placemark>"))
        archive.writestr("files/icon.png", b"\x89PNG\r\n\x1a\n")
        archive.writestr("files/photo.jpg", b"\xff\xd8\xff")
    (entry,) = entries(tmp_path / "a.kmz", "a.kmz", tmp_path / "scratch", {})
    assert reader_for(entry.source).format == "kml"
    assert [(finding.code, finding.count) for finding in entry.findings] == [("file.ignored", 2)]


def test_tracks_links_and_shapes_that_cannot_be_drawn(tmp_path: Path) -> None:
    times = "<when>2020-01-01T00:00:00Z</when><when>2020-01-01T00:00:01Z</when>"
    track = f"<gx:Track>{times}<gx:coord>127 37 3</gx:coord><gx:coord>127.1 37 3</gx:coord></gx:Track>"
    bad = "<Placemark><Point><coordinates>abc,37</coordinates></Point></Placemark>"
    link = "<NetworkLink><Link><href>file:///etc/passwd</href></Link></NetworkLink>"
    there = kml(tmp_path, f"<Placemark>{track}</Placemark>{bad}{link}")
    drawn, none = there.shapes().values()
    assert drawn.equals(shapely.LineString([(127, 37, 3), (127.1, 37, 3)])) and none is None
    assert there.properties()["placemarks/1"]["geometry"]["when"] == [["2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z"]]
    assert (there.finding("kml.shape").feature, there.finding("kml.links").value) == ("placemarks/2", "NetworkLink (1)")


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:5186"])
@pytest.mark.parametrize("version", ["GML2", "GML3.2"])
def test_gml_comes_in_as_it_was_written_whatever_its_axes(tmp_path: Path, version: str, crs: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    pyogrio.write_dataframe(frame().to_crs(crs), out / "a.gml", driver="GML", FORMAT=version)
    for schema in out.glob("*.xsd"):
        schema.unlink()
    there = received(out / "a.gml")
    assert [path.name for path in out.iterdir()] == ["a.gml"], "GDAL leaves nothing beside it"
    assert [shapely.equals_exact(a, b, tolerance=1e-7) for a, b in zip(there.shapes().values(), SHAPES, strict=True)] == [True] * 4
    assert [answer["code"] for answer in there.properties().values()] == ["007", "010", None, "x"], "what looks like a number stays text"


@pytest.mark.parametrize("bad", ["abc", "", "nan", "1e999"])
def test_a_coordinate_of_gml_that_is_no_number_is_never_zero(tmp_path: Path, bad: str) -> None:
    path = MADE["gml"].make(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("127.1002", bad, 1), encoding="utf-8")
    there = received(path)
    assert [name for name, shape in there.shapes().items() if shape is None] == ["f2"]
    assert there.finding("geometry.no_number").count == 1


def dxf(folder: Path, body: str, *, encoding: str = "utf-8", page: str = "") -> Path:
    head = f"  0\nSECTION\n  2\nHEADER\n  9\n$DWGCODEPAGE\n  3\n{page}\n  0\nENDSEC\n" if page else ""
    text = f"{head}  0\nSECTION\n  2\nENTITIES\n{body}  0\nENDSEC\n  0\nEOF\n"
    (folder / "a.dxf").write_bytes(text.encode(encoding))
    return folder / "a.dxf"


LINE = "  0\nLINE\n  5\nA1\n  8\n{}\n 10\n200000\n 20\n550000\n 11\n200010\n 21\n550000\n"


@pytest.mark.parametrize(("encoding", "page"), [("utf-8", ""), ("utf-8", "ANSI_1252"), ("cp949", "ANSI_949"), ("cp949", "")])
def test_a_drawing_keeps_layer_and_handle_and_is_asked_for_its_place(tmp_path: Path, encoding: str, page: str) -> None:
    path = dxf(tmp_path, LINE.format("횡단보도"), encoding=encoding, page=page)
    assert received(path).survey.placed.crs is None
    there = received(path, Placement(crs="EPSG:5186"))
    assert there.properties()["A1"]["Layer"] == "횡단보도" and there.kinds() == {"crossing": 1}


def test_curves_become_short_lines_and_what_has_no_outline_is_counted(tmp_path: Path) -> None:
    circle = "  0\nCIRCLE\n  5\nC1\n  8\n0\n 10\n200000\n 20\n550000\n 40\n100.0\n"
    there = received(dxf(tmp_path, circle + "  0\n3DSOLID\n  5\nS1\n  8\n0\n"), Placement(crs="EPSG:5186"))
    (round_,) = [shapely.from_wkb(wkb) for batch in there.raw for wkb in batch.table["geometry"].to_pylist() if wkb is not None]
    assert abs(shapely.hausdorff_distance(shapely.Point(200000, 550000).buffer(100, quad_segs=720).exterior, round_)) < 0.02
    assert (there.finding("dxf.curves").count, there.finding("dxf.left_out").count) == (1, 1)


def test_a_coordinate_of_a_drawing_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="line 12 is a coordinate"):
        received(dxf(tmp_path, LINE.format("0").replace("200000", "abc")))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["kml", "gml", "dxf"]), st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), max_size=6))
def test_damaged_drawings_end_in_findings(tmp_path_factory: pytest.TempPathFactory, kind: str, edits: list[Any]) -> None:
    path = MADE[kind].make(tmp_path_factory.mktemp("a"))
    body = bytearray(path.read_bytes())
    for at, piece in edits:
        body[at % len(body) : at % len(body) + len(piece)] = piece
    path.write_bytes(bytes(body))
    source = Source.of(path)
    try:
        chosen = reader_for(source)
        entries = list(chosen.read(source, chosen.survey(source, MADE[kind].placement).placed))
    except MapexError:
        return
    for entry in entries:
        if isinstance(entry, Batch):
            entry.table.validate(full=True)
