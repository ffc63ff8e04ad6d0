"""The formats that are read: the reader of each, and how its files are recognised. One row a format; opens nothing.

A file's own bytes always win over its name: names decide only which reader looks at a folder or a zip, and at JSON that states nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ingest.deliveries import NGII, NODE_LINK, ngii_layer

Pattern = re.Pattern[str]


def _pattern(text: str) -> Pattern:
    return re.compile(text, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Format:
    """One format that is read.

    `reader` is "module:Class"; imported on first use, so that a reader costs nothing until a file needs it. `title` is for people.

    A file is recognised by its first bytes (`magic` or `begins`, and what has to stand in its first 64 KiB or its name, `within`), as XML
    by its root element, as JSON by what stands in its first 64 KiB (`json`) or, where that states nothing, by its name (`json_name`), as
    other text by how it begins (`text`) or its name (`text_name`). A folder or a zip is recognised when one of its names matches
    `folder`, and all of them match `folder_only` where that is given. `gdal`: drivers of GDAL that its reader needs; all others are
    switched off in the cage. `is_heavy`: files may need the larger memory limit. `is_packed`: they also come as `.gz` and `.bz2`.
    """

    name: str
    reader: str
    title: str
    magic: tuple[bytes, ...] = ()
    within: Pattern | None = None
    begins: re.Pattern[bytes] | None = None
    xml_root: str = ""
    json: Pattern | None = None
    json_name: Pattern | None = None
    text: Pattern | None = None
    text_name: Pattern | None = None
    folder: Pattern | None = None
    folder_only: Pattern | None = None
    gdal: tuple[str, ...] = ()
    is_heavy: bool = False
    is_packed: bool = False

    def fits(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes is of the format, by its bytes alone."""
        return head.startswith(self.magic) or (self.begins is not None and self.begins.match(head) is not None)


_OSW = _pattern(r"\.(nodes|edges|points|lines|zones|polygons)(\.osw)?\.geojson$|(^|[._-])(nodes|edges)\.geojson$")
PHOTO = (".jpg", ".jpeg")
_RECORDED = _pattern(r"(\.(mcap|bag|bag\.active|db3|gpx|nmea|nma|csv)|\.db3-(wal|shm|journal)|(^|/)metadata\.yaml)$")
_PHOTO = _pattern(r"\.jpe?g$")
_MGEO = r"(link|node)_set\.json"
"""What every folder of MORAI's maps has."""
_MGEO_PART = _pattern(r"(^|/)([a-z0-9_]+_set|global_info|intersection_controller_data|road_mesh_[a-z_]+)\.json$")
_PROJECTOR = _pattern(r"(^|/)map_projector_info\.yaml$")
"""What Autoware puts beside a Lanelet2 map: how its local metres are meant."""
_MAP_AND_PROJECTOR = _pattern(r"(\.osm|(^|/)map_projector_info\.yaml)$")
_OSM_PBF = tuple(bytes([0, 0, 0, size]) + b"\x0a\x09OSMHeader" for size in range(13, 18))
"""The length of the head of the first blob, and how it begins; the length states how large the blob is."""
_APOLLO = re.compile(
    r"(#[^\n]*\n|\s)*(header\s*:?\s*[{<]\s*(version|date|projection|district|generation|rev_m|left|top|right|bottom|vendor)\b"
    r"|(crosswalk|junction|lane|stop_sign|signal|yield|overlap|clear_area|speed_bump|road|parking_space|pnc_junction)\s*:?\s*[{<]\s*id\b)"
)
_VIDEO = _pattern(r"\.(mp4|mov|m4v|360)$")
_VIDEO_ONLY = _pattern(r"\.(mp4|mov|m4v|360|gpx|nmea|nma|csv)$")
_FILM = re.compile(rb"\x00[\s\S]{3}(ftyp(?!hei[cmsx]|hev[cx]|mif1|msf1|avi[fs]|crx |jp2 |jxl )|moov|mdat|wide|skip)")
"""The first box of MP4 and QuickTime, but not of the pictures that are packed in such boxes too (HEIC, AVIF, CR3)."""
_DXF = re.compile(r"(?:\s*999\r?\n[^\n]*\n){0,20}\s*0\r?\n\s*SECTION\s")
_NMEA = re.compile(r"(?:[^\n]{0,200}\n){0,4}\W{0,8}\$[A-Z]{5},")
_GEOMETRY = r"FeatureCollection|Feature|GeometryCollection|(Multi)?(Point|LineString|Polygon)"

FORMATS: tuple[Format, ...] = (
    Format(
        "lanelet2",
        "ingest.readers.lanelet2.reader:Lanelet2",
        "Lanelet2 (.osm)",
        xml_root="osm",
        folder=_PROJECTOR,
        folder_only=_MAP_AND_PROJECTOR,
        is_packed=True,
    ),
    Format("osm", "ingest.readers.osm.reader:Osm", "OpenStreetMap (.osm, .osm.pbf)", magic=_OSM_PBF, is_heavy=True),
    Format("opendrive", "ingest.readers.opendrive.reader:OpenDrive", "OpenDRIVE (.xodr)", xml_root="OpenDRIVE", is_packed=True),
    Format(
        "opensidewalks",
        "ingest.readers.vector.opensidewalks:OpenSidewalks",
        "OpenSidewalks",
        json=re.compile(r"\A.{0,1987}opensidewalks", re.IGNORECASE | re.DOTALL),  # `$schema` stands at the beginning
        json_name=_OSW,
        folder=_OSW,
    ),
    Format(
        "mgeo",
        "ingest.readers.vector.mgeo:MGeo",
        "MORAI MGeo",
        json_name=_pattern(rf"(^|/){_MGEO}$"),
        folder=_pattern(rf"(^|/){_MGEO}$"),
    ),
    Format(
        "geojson",
        "ingest.readers.vector.geojson:GeoJson",
        "GeoJSON",
        json=re.compile(rf'"type"\s*:\s*"({_GEOMETRY})"'),
        json_name=_pattern(r"\.geojson[ls]?$"),  # a long header may come first; the reader reports when it is none
        gdal=("GeoJSON", "GeoJSONSeq"),
    ),
    Format(
        "rosbag2",
        "ingest.readers.recordings.mcap:Ros2Bag",
        "ROS 2 bag (SQLite)",
        magic=(b"SQLite format 3\x00",),
        within=re.compile(r"\A(?!.*gpkg_contents).*(CREATE TABLE ['\"`\[]?(topics|messages)\b|\.db3\Z)", re.IGNORECASE | re.DOTALL),
        folder=_pattern(r"\.db3$"),
        folder_only=_RECORDED,
    ),
    Format("geopackage", "ingest.readers.vector.gdal:GeoPackage", "GeoPackage", magic=(b"SQLite format 3\x00",), gdal=("GPKG",)),
    Format(
        "ngii",
        "ingest.readers.ngii.reader:Ngii",
        "NGII Shapefile",
        folder=_pattern(NGII.pattern.removesuffix("$") + r"\.shp$"),
        gdal=("ESRI Shapefile",),
    ),
    Format(
        "nodelink",
        "ingest.readers.ngii.reader:NodeLink",
        "MOCT Shapefile",
        folder=_pattern(NODE_LINK.pattern.removesuffix("$") + r"\.shp$"),
        gdal=("ESRI Shapefile",),
    ),
    Format(
        "shapefile",
        "ingest.readers.vector.shapefile:Shapefile",
        "Shapefile",
        magic=(b"\x00\x00\x27\x0a",),
        folder=_pattern(r"\.shp$"),
        gdal=("ESRI Shapefile",),
    ),
    Format("flatgeobuf", "ingest.readers.vector.gdal:FlatGeobuf", "FlatGeobuf", magic=(b"fgb\x03",), gdal=("FlatGeobuf",)),
    Format("geoparquet", "ingest.readers.vector.geoparquet:GeoParquet", "GeoParquet", magic=(b"PAR1",)),
    Format("apollo", "ingest.readers.apollo.reader:Apollo", "Apollo", text=_APOLLO),
    Format("las", "ingest.readers.cloud.las:Las", "LAS, LAZ, COPC", magic=(b"LASF",), is_heavy=True),
    Format(
        "pcd",
        "ingest.readers.cloud.pcd:Pcd",
        "PCD",
        text=re.compile(r"# \.PCD|(#[^\n]*\n)*\s*VERSION\s+0?\.\d"),
        is_heavy=True,
    ),
    Format("ply", "ingest.readers.cloud.ply:Ply", "PLY", magic=(b"ply\n", b"ply\r"), is_heavy=True),
    Format(
        "mcap",
        "ingest.readers.recordings.mcap:Mcap",
        "MCAP",
        magic=(b"\x89MCAP0\r\n",),
        folder=_pattern(r"\.mcap$"),
        folder_only=_RECORDED,
        is_heavy=True,
    ),
    Format(
        "rosbag1",
        "ingest.readers.recordings.mcap:Ros1Bag",
        "ROS 1 bag",
        magic=(b"#ROSBAG V2.0\n",),
        folder=_pattern(r"\.bag(\.active)?$"),
        folder_only=_RECORDED,
        is_heavy=True,
    ),
    Format(
        "video",
        "ingest.readers.video.reader:Video",
        "MP4, MOV",
        begins=_FILM,
        folder=_VIDEO,
        folder_only=_VIDEO_ONLY,
        is_heavy=True,
    ),
    Format("kml", "ingest.readers.drawings.kml_reader:Kml", "KML", xml_root="kml"),
    Format("gml", "ingest.readers.drawings.gml:Gml", "GML", xml_root="FeatureCollection", gdal=("GML",)),
    Format("dxf", "ingest.readers.drawings.dxf:Dxf", "DXF", text=_DXF, gdal=("DXF",)),
    Format("csv", "ingest.readers.sheets.reader:Csv", "CSV", text_name=_pattern(r"\.(csv|tsv)$")),
    Format("gpx", "ingest.readers.tracks.gpx_reader:Gpx", "GPX", xml_root="gpx"),
    Format("nmea", "ingest.readers.tracks.nmea_reader:Nmea", "NMEA", text=_NMEA),
    Format(
        "photos",
        "ingest.readers.recordings.photos:Photos",
        "photos",
        magic=(b"\xff\xd8\xff",),
        folder=_PHOTO,
        folder_only=_PHOTO,
        is_heavy=True,
    ),
)
"""Every format, in the order in which text and names are tried."""

READERS: dict[str, str] = {one.name: one.reader for one in FORMATS}
"""Format name -> "module:Class"."""

SUPPORTED = ", ".join(one.title for one in FORMATS)

ZIP = (b"PK\x03\x04", b"PK\x05\x06")

FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"#ROSBAG V", "a ROS 1 bag of an old version, which `rosbag fix` makes new"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file (WebP, AVI)"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd stream"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xff\xe0\x04o5", "an OpenStreetMap file in the form o5m"),
    (b"\x7fELF", "a Linux program"),
    (b"MZ", "a Windows program"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"AutoCAD Binary DXF", "a binary DXF drawing; save it as text"),
    (b"ffconcat", "an ffconcat list"),
    (b"#EXTM3U", "an HLS playlist"),
)
"""First bytes of what is known and not read here, and what to call it; a row of `FORMATS` goes before these."""

FOREIGN_XML: dict[str, str] = {
    "osmChange": "a change file of OpenStreetMap (.osc), which holds what became of a map and not the map",
    "OGRVRTDataSource": "a GDAL VRT, which only points at other files",
    "VRTDataset": "a GDAL VRT, which only points at other files",
    "OGRWFSDataSource": "a GDAL WFS description, which only points at a server",
    "html": "a web page",
    "svg": "an SVG drawing",
}
"""The same for XML, by its root element."""

_JUNK = _pattern(r"(^|/)(__MACOSX/|\.DS_Store$|\._|Thumbs\.db$|desktop\.ini$)")


def is_junk(name: str) -> bool:
    """Whether a file is only what a desktop leaves behind (`__MACOSX/`, `.DS_Store`, `Thumbs.db`)."""
    return _JUNK.search(name) is not None


def is_opensidewalks(name: str) -> bool:
    """Whether a file name is that of a part of an OpenSidewalks data set (any prefix, known only by its ending)."""
    return _OSW.search(name) is not None


def is_projector(name: str) -> bool:
    """Whether a file name is that of what Autoware puts beside a Lanelet2 map."""
    return _PROJECTOR.search(name) is not None


def is_mgeo(name: str) -> bool:
    """Whether a file name is that of a part that every map of MORAI has."""
    return re.search(rf"(^|/){_MGEO}$", name, re.IGNORECASE) is not None


def is_mgeo_part(name: str) -> bool:
    """Whether a file name is that of a part of a map of MORAI, where such a map is in the same folder."""
    return _MGEO_PART.search(name) is not None


def is_ngii(name: str) -> bool:
    """Whether a file name is that of a part of a layer of the Korean precise road map."""
    return ngii_layer(name) != ""


def is_node_link(name: str) -> bool:
    """Whether a file name is that of a part of a layer of the standard node-link."""
    return NODE_LINK.search(name) is not None


def is_heavy(head: bytes) -> bool:
    """Whether a file that begins so may need the larger memory limit: point clouds, recordings, pictures, and what a zip may hold."""
    text = head.decode("latin-1")
    return head.startswith(ZIP) or any(
        one.is_heavy and (one.fits(head) or (one.text is not None and one.text.match(text) is not None)) for one in FORMATS
    )


def is_packed(name: str) -> bool:
    """Whether files of a format are read as `.gz` and `.bz2` too."""
    return any(one.name == name and one.is_packed for one in FORMATS)


def is_video(head: bytes) -> bool:
    """Whether a file that begins so is an MP4 or QuickTime video."""
    return _FILM.match(head) is not None


def format_of_magic(head: bytes, name: str = "") -> str | None:
    """The format whose first bytes these are, or None; `name` counts only where several share them and the rest does not show it."""
    text = f"{head.decode('latin-1')}\n{name}" if any(one.within and one.fits(head) for one in FORMATS) else ""
    return next((one.name for one in FORMATS if one.fits(head) and (one.within is None or one.within.search(text))), None)


def format_of_xml(root: str) -> str | None:
    """The format whose XML begins with this element, or None."""
    return next((one.name for one in FORMATS if one.xml_root and one.xml_root == root), None)


def format_of_json(text: str, name: str) -> str | None:
    """The format of the beginning of a JSON text in a file called `name`, or None."""
    for one in FORMATS:
        if (one.json and one.json.search(text)) or (one.json_name and one.json_name.search(name)):
            return one.name
    return None


def format_of_text(text: str, name: str) -> str | None:
    """The format of the beginning of a text that is neither XML nor JSON in a file called `name`, or None."""
    shown = next((one.name for one in FORMATS if one.text and one.text.match(text)), None)
    return shown or next((one.name for one in FORMATS if one.text_name and one.text_name.search(name)), None)


def format_of_names(names: Iterable[str]) -> str | None:
    """The format of a folder or an archive by the names in it, or None when the names alone do not show it."""
    kept = [name for name in names if not is_junk(name)]
    for one in FORMATS:
        shown = one.folder is not None and any(one.folder.search(name) for name in kept)
        if shown and (one.folder_only is None or all(one.folder_only.search(name) for name in kept)):
            return one.name
    return None
