"""What a file is, its bytes say; a name only helps where bytes are silent."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ingest.formats import READERS, format_of_names
from ingest.reader import Source
from ingest.readers.sniff import format_of, format_of_bytes
from mapex.errors import Invalid
from mapex.intake.placement import Placement

LANELET = b'<?xml version="1.0"?>\n<!-- made by vmb -->\n<osm version="0.6"><node id="1"/></osm>'


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        (b"LASF\x00\x00", "x.bin", "las"),
        (b"\x89MCAP0\r\n", "x", "mcap"),
        (b"SQLite format 3\x00", "x.shp", "geopackage"),
        (b"#ROSBAG V2.0\nE\x00", "x", "rosbag1"),
        (b"SQLite format 3\x00" + bytes(3000) + b"CREATE TABLE topics(id INTEGER)", "x.gpkg", "rosbag2"),
        (b"SQLite format 3\x00" + bytes(3000), "x.db3", "rosbag2"),
        (b"SQLite format 3\x00" + bytes(3000) + b"CREATE TABLE topics(id)gpkg_contents", "x.db3", "geopackage"),
        (b"fgb\x03fgb\x00", "x", "flatgeobuf"),
        (b"PAR1", "x", "geoparquet"),
        (b"\x00\x00\x27\x0a" + bytes(90), "x", "shapefile"),
        (b"ply\nformat ascii 1.0", "x", "ply"),
        (b"# .PCD v0.7 - Point Cloud Data\nVERSION 0.7", "x", "pcd"),
        (b"VERSION .7\nFIELDS x y z", "x.pcd", "pcd"),
        (b"\xff\xd8\xff\xe1", "x", "photos"),
        (b"\x00\x00\x00 ftypisom", "x", "video"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "x", "video"),
        (LANELET, "map.osm", "lanelet2"),
        (b'<?xml version="1.0"?><OpenDRIVE xmlns="http://code.asam.net/opendrive"><header/></OpenDRIVE>', "x.xml", "opendrive"),
        (b'{"type": "FeatureCollection", "features": []}', "x.json", "geojson"),
        (b'\xef\xbb\xbf{"type":"Feature"}', "x.json", "geojson"),
        (b"<kml/>", "x.xodr", "kml"),
        (b'{"type": "FeatureCollection"}', "city.nodes.OSW.geojson", "opensidewalks"),
        (b'{"$schema": "https://sidewalks.washington.edu/opensidewalks/0.3/schema.json"}', "x.geojson", "opensidewalks"),
    ],
)
def test_first_bytes_say_the_format(head: bytes, name: str, found: str) -> None:
    assert format_of_bytes(head, name) == found
    assert found in READERS


@pytest.mark.parametrize(
    ("head", "name", "words"),
    [
        (b"<OGRVRTDataSource><OGRVRTLayer/></OGRVRTDataSource>", "map.gpkg", "VRT"),
        (b"<OGRWFSDataSource><URL>http://x</URL></OGRWFSDataSource>", "map.gml", "WFS"),
        (b'{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline"}', "map.geojson", "GDALG"),
        (b"%PDF-1.7", "map.osm", "PDF"),
        (b"\x7fELF", "map.las", "program"),
        (b"II*\x00", "cloud.las", "TIFF"),
        (b"\x00\x00\x00 ftypheic", "drive.mp4", "HEIC"),
        (b"ffconcat version 1.0", "x.mp4", "ffconcat"),
        (b"<svg/>", "x.xodr", "SVG"),
        (b'{"a": 1}', "x.json", "not GeoJSON"),
        (b"#ROSBAG V1.2\n", "x.bag", "ROS 1 bag of an old version"),
    ],
)
def test_wrong_type_under_a_good_name_is_named_for_what_it_is(head: bytes, name: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        format_of_bytes(head, name)
    assert caught.value.code == "format.unsupported"
    assert name in caught.value.message
    assert "Lanelet2" in caught.value.message


def test_unknown_bytes_are_shown() -> None:
    with pytest.raises(Invalid, match="de ad be ef") as caught:
        format_of_bytes(b"\xde\xad\xbe\xef", "x.las")
    assert caught.value.code == "format.unknown"


def test_empty_file_is_reported_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "x.osm").touch()
    with pytest.raises(Invalid, match="0 bytes"):
        format_of(Source.of(tmp_path / "x.osm"))


def test_folder_is_known_by_its_names() -> None:
    assert format_of_names(["a/b.nodes.geojson", "a/b.edges.geojson", "__MACOSX/a/._b"]) == "opensidewalks"
    assert format_of_names(["A1.SHP", "A1.dbf", "A1.shx", ".DS_Store"]) == "shapefile"
    assert format_of_names(["1.JPG", "2.jpeg"]) == "photos"
    assert format_of_names(["x_0.mcap", "metadata.yaml"]) == "mcap"
    assert format_of_names(["x_0.bag", "x_1.bag", "x.gpx"]) == "rosbag1"
    assert format_of_names(["x_0.db3", "x_0.db3-wal", "metadata.yaml"]) == "rosbag2"
    assert format_of_names(["a.txt", "b.csv"]) is None


def test_zip_is_known_by_the_names_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a/b.nodes.geojson", "{}")
        archive.writestr("a/b.edges.geojson", "{}")
    assert format_of(Source.of(tmp_path / "x.zip")) == "opensidewalks"


def test_placement_survives_json() -> None:
    placement = Placement("EPSG:5186", (127.0, 37.5, 12.0), "EGM2008")
    assert Placement.from_json(placement.as_json()) == placement
    assert Placement.from_json({"origin": [127, 37]}).origin == (127.0, 37.0, 0.0)
    with pytest.raises(Invalid):
        Placement.from_json({"origin": [127]})
