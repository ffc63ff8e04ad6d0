"""The formats that are read: the reader of each, and which one the names of files suggest. Opens nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

READERS: dict[str, str] = {
    "lanelet2": "ingest.readers.lanelet2.reader:Lanelet2",
    "opensidewalks": "ingest.readers.vector.opensidewalks:OpenSidewalks",
    "geojson": "ingest.readers.vector.gdal:GeoJson",
    "geopackage": "ingest.readers.vector.gdal:GeoPackage",
    "shapefile": "ingest.readers.vector.gdal:Shapefile",
    "flatgeobuf": "ingest.readers.vector.gdal:FlatGeobuf",
    "geoparquet": "ingest.readers.vector.gdal:GeoParquet",
    "las": "ingest.readers.cloud.las:Las",  # LAS, LAZ and COPC
    "pcd": "ingest.readers.cloud.pcd:Pcd",
    "ply": "ingest.readers.cloud.ply:Ply",
    "mcap": "ingest.readers.recordings.mcap:Mcap",
    "photos": "ingest.readers.recordings.photos:Photos",
}
"""Format -> "module:Class"; imported on first use, so that a reader costs nothing until a file needs it."""


SUPPORTED = "Lanelet2 (.osm), OpenSidewalks, GeoJSON, GeoPackage, Shapefile, FlatGeobuf, GeoParquet, LAS, LAZ, COPC, PCD, PLY, MCAP, photos"


_OSW = re.compile(r"\.(nodes|edges|points|lines|zones|polygons)(\.osw)?\.geojson$", re.IGNORECASE)


_OSW_LOOSE = re.compile(r"(^|[._-])(nodes|edges)\.geojson$", re.IGNORECASE)


PHOTO = (".jpg", ".jpeg")


_JUNK = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|\._|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)


def is_junk(name: str) -> bool:
    """Whether a file is only what a desktop leaves behind (`__MACOSX/`, `.DS_Store`, `Thumbs.db`)."""
    return _JUNK.search(name) is not None


def is_opensidewalks(name: str) -> bool:
    """Whether a file name is that of a part of an OpenSidewalks data set (any prefix, known only by its ending)."""
    return _OSW.search(name) is not None or _OSW_LOOSE.search(name) is not None


def format_of_names(names: Iterable[str]) -> str | None:
    """The format of a folder or an archive by the names in it, or None when the names alone do not say."""
    kept = [name for name in names if not is_junk(name)]
    if any(is_opensidewalks(name) for name in kept):
        return "opensidewalks"
    lower = [name.lower() for name in kept]
    if any(name.endswith(".shp") for name in lower):
        return "shapefile"
    if lower and all(name.endswith(PHOTO) for name in lower):
        return "photos"
    if any(name.endswith(".mcap") for name in lower) and all(name.endswith((".mcap", "metadata.yaml")) for name in lower):
        return "mcap"
    return None
