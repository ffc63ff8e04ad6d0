"""Files that claim wrongly, are cut, empty, without a place, or meant to harm: each as an uploader would send it."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support import clouds
from tests.support.uploads import a_map

VRT = "<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>CSV:/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
WFS = "<OGRWFSDataSource><URL>http://127.0.0.1:9/wfs?SERVICE=WFS</URL></OGRWFSDataSource>"
GDALG = '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read /etc/passwd"}'
OSM = (
    '<osm version="0.6"><node id="1" lat="37.5" lon="127.0"/><node id="2" lat="37.501" lon="127.001"/>'
    '<way id="3"><nd ref="1"/><nd ref="2"/><tag k="type" v="line_thin"/></way>{}</osm>'
)
PLY = "ply\nformat ascii 1.0\nelement vertex {}\nproperty double x\nproperty double y\nproperty double z\nend_header\n{}"
PCD = "VERSION 0.7\nFIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {0}\nHEIGHT 1\nPOINTS {0}\nDATA ascii\n{1}"


def features(*coordinates: Any, **members: Any) -> str:
    """A collection of lines; JSON of Python, so that NaN is written as NaN."""
    lines = [
        {"type": "Feature", "id": f"f{n}", "properties": {}, "geometry": {"type": "LineString", "coordinates": line}}
        for n, line in enumerate(coordinates)
    ]
    return json.dumps({"type": "FeatureCollection", **members, "features": lines})


def las(folder: Path, name: str, change: Callable[[bytearray], Any], **given: Any) -> bytes:
    """A good LAS file with some bytes changed."""
    body = bytearray(clouds.a_las(folder / f"source-{name}", **given).read_bytes())
    made = change(body)
    return bytes(made if isinstance(made, bytes | bytearray) else body)


def packed(entries: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, body in entries.items():
            archive.writestr(name, body)
    return stream.getvalue()


def mcap_bomb() -> bytes:
    """A recording whose one chunk of some kilobytes unpacks to a gigabyte."""
    import zstandard

    data = zstandard.ZstdCompressor(level=3).compress(bytes(1 << 30))
    head = struct.pack("<QQQI", 0, 0, 1 << 30, 0) + struct.pack("<I", 4) + b"zstd" + struct.pack("<Q", len(data))
    magic = b"\x89MCAP0\r\n"
    header = struct.pack("<BQ", 1, 8) + struct.pack("<II", 0, 0)
    return magic + header + struct.pack("<BQ", 6, len(head) + len(data)) + head + data + magic


def picture_bomb() -> bytes:
    """A JPEG head that claims 65,000 x 65,000 pixels."""
    frame = struct.pack(">BHHB", 8, 65_000, 65_000, 3) + b"\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xda\x00\x02" + bytes(64) + b"\xff\xd9"


def sqlite_view(folder: Path) -> bytes:
    """A GeoPackage whose one layer is a view that never ends."""
    import sqlite3

    path = folder / "view.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.executescript(
            "PRAGMA application_id = 0x47504B47;"
            "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, identifier TEXT, srs_id INTEGER);"
            "CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER, organization TEXT, definition TEXT);"
            "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, geometry_type_name TEXT, srs_id INTEGER, z, m);"
            "CREATE VIEW roads AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS fid, NULL AS geom FROM n;"
            "INSERT INTO gpkg_contents VALUES ('roads', 'features', 'roads', 4326);"
            "INSERT INTO gpkg_geometry_columns VALUES ('roads', 'geom', 'LINESTRING', 4326, 0, 0);"
        )
    database.close()
    return path.read_bytes()


SEOUL = [[127.0, 37.5], [127.001, 37.501]]
DEEP = '{"type": "GeometryCollection", "geometries": [' * 2000 + "]}" * 2000
CASES: Mapping[str, tuple[str, Callable[[Path], bytes | str], str, tuple[str, ...]]] = {
    "PDF called map.osm": ("map.osm", lambda f: b"%PDF-1.7\nnot a map", "format.unsupported", ("PDF",)),
    "picture called cloud.las": ("cloud.las", lambda f: b"\x89PNG\r\n\x1a\n" + bytes(64), "format.unsupported", ("PNG",)),
    "noise called map.gpkg": ("map.gpkg", lambda f: bytes(range(1, 200)) * 9, "format.unknown", ()),
    "program called photo.jpg": ("photo.jpg", lambda f: b"\x7fELF" + bytes(999), "format.unsupported", ("program",)),
    "VRT called map.gpkg": ("map.gpkg", lambda f: VRT, "format.unsupported", ("VRT",)),
    "VRT called map.geojson": ("map.geojson", lambda f: VRT, "format.unsupported", ("VRT",)),
    "VRT in a zip": ("map.zip", lambda f: packed({"map.gpkg": VRT.encode()}), "format.unsupported", ("VRT",)),
    "WFS called map.gpkg": ("map.gpkg", lambda f: WFS, "format.unsupported", ("WFS",)),
    "GDAL pipeline called map.geojson": ("map.geojson", lambda f: GDALG, "format.unsupported", ()),
    "GeoPackage with an endless view": ("map.gpkg", sqlite_view, "gpkg.view", ("view",)),
    "cut Lanelet2": ("map.osm", lambda f: OSM.format("")[:-30], "file.damaged", ()),
    "cut GeoJSON": ("map.geojson", lambda f: a_map(9)[:-50], "file.damaged", ("not JSON",)),
    "cut LAS": ("cloud.las", lambda f: las(f, "a.las", lambda b: b[: len(b) * 2 // 3]), "points.missing", ()),
    "cut LAZ": ("cloud.laz", lambda f: las(f, "a.laz", lambda b: b[: len(b) * 2 // 3]), "points.missing", ()),
    "cut zip": ("map.zip", lambda f: packed({"map.geojson": a_map(9)})[:-40], "zip.damaged", ()),
    "collection without features": ("map.geojson", lambda f: features(), "file.no_records", ()),
    "LAS that claims 100 million points": (
        "cloud.las",
        lambda f: las(f, "b.las", lambda b: struct.pack_into("<I", b, 107, 100_000_000), n=10),
        "points.missing",
        ("100000000",),
    ),
    "PLY that claims 100 million points": ("cloud.ply", lambda f: PLY.format(100_000_000, "1 2 3\n"), "points.missing", ("100000000",)),
    "zip bomb": ("map.zip", lambda f: packed({"map.geojson": bytes(64 << 20)}), "zip.bomb", ("grows",)),
    "recording bomb": ("drive.mcap", lambda f: mcap_bomb(), "recording.unreadable", ()),
    "picture bomb": ("photo.jpg", lambda f: picture_bomb(), "photo.unreadable", ()),
    "entity bomb": (
        "map.osm",
        lambda f: '<!DOCTYPE osm [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + OSM.format("<note>&b;</note>"),
        "xml.dtd",
        (),
    ),
    "nest of 2,000 collections": (
        "map.geojson",
        lambda f: f'{{"type": "Feature", "properties": {{}}, "geometry": {DEEP}}}',
        "file.no_records",
        (),
    ),
    "latitude and longitude exchanged": (
        "map.geojson",
        lambda f: features(*[[[37.5 + n / 1000, 127.0], [37.501 + n / 1000, 127.001]] for n in range(20)]),
        "crs.swapped",
        ("Latitude and longitude are exchanged",),
    ),
    "NaN coordinates": ("map.geojson", lambda f: features([[float("nan"), 37.5], [127.0, 37.5]]), "geometry.refused", ("NaN", "nan")),
    "infinite coordinates": ("map.geojson", lambda f: features([[float("inf"), 37.5], [127.0, 37.5]]), "geometry.refused", ("inf",)),
    "cloud of NaN": ("cloud.pcd", lambda f: PCD.format(2, "nan nan nan\nnan nan nan\n"), "points.not_finite", ()),
    "LAS of 0 points": ("cloud.las", lambda f: las(f, "c.las", lambda b: None, n=0), "points.none", ("no points",)),
    "PLY of 0 points": ("cloud.ply", lambda f: PLY.format(0, ""), "points.none", ()),
    "PCD of 0 points": ("cloud.pcd", lambda f: PCD.format(0, ""), "points.none", ()),
    "packed text called map.geojson": ("map.geojson", lambda f: zlib.compress(a_map(4)), "format.unknown", ()),
}
"""Case -> (name of the file, its content, the code that is expected, words of which one is in the message)."""
