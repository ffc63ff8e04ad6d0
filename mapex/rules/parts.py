"""Which files belong together, by their names alone: the parts of a shapefile, and what programs and people put beside data.

One rule for `push`, `inspect`, `tile`, the worker, and what a zip holds; the upload page has the same endings (`upload/sniff/sniff.js`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

SHAPE_PARTS = (".shp.xml", ".shp", ".dbf", ".shx", ".prj", ".cpg", ".qpj", ".sbn", ".sbx", ".qix")
"""Endings of the files that are a shapefile together."""

ASIDE = (
    *(".cst", ".cpg", ".prj", ".qpj", ".wkt", ".qmd", ".qml", ".qlr", ".sld", ".lyr", ".lyrx"),  # encodings, projections, styles
    *(".atx", ".aih", ".ain", ".ixs", ".mxs", ".fbn", ".fbx", ".sbn", ".sbx", ".qix", ".idm", ".ind"),  # indexes
    *(".aux.xml", ".shp.xml", ".gpkg-wal", ".gpkg-shm", ".gpkg-journal", ".wdp"),
    *(".lrv", ".thm"),  # the small copy and the picture that a camera puts beside its video
    *(".pdf", ".txt", ".md", ".rst", ".rtf", ".doc", ".docx", ".hwp", ".hwpx"),  # documents
)
"""Endings of what stands beside data, and is none (`.wdp`: the waveforms of a LAS file, which tiles cannot hold)."""

_PICTURES = (".png", ".gif", ".jpg", ".jpeg", ".bmp", ".webp")
SHAPELESS = ("turninfo.dbf", "multilink.dbf")
"""Tables of the standard node-link (표준노드링크) that have no shapes."""

_TEXT = re.compile(
    r"(?:.*\.)?(read[-_ ]?me|licen[cs]es?|copying|copyright|notice|changelog|attribution|authors|metadata)([-_ .].*)?", re.IGNORECASE
)
_MAP_TEXT = re.compile(r"(?:base|sim)_map\.txt", re.IGNORECASE)
"""What Apollo calls its maps as text: no document."""
_TEXT_ENDINGS = ("", ".json", ".xml", ".html", ".htm")


def shape_stem(name: str) -> str | None:
    """The name of a part of a shapefile without its ending; None of another file."""
    return next((name[: -len(ending)] for ending in SHAPE_PARTS if name.lower().endswith(ending)), None)


def is_part(name: str) -> bool:
    """Whether a file may be a part of a shapefile beside its `.shp`."""
    return shape_stem(name) is not None and not name.lower().endswith(".shp")


def shapefiles(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each `.shp` among some names with all of its parts, itself too, in order.

    A part belongs to the `.shp` whose stem it has; where none has it, to the only one that differs in capitals or in the form of accents.
    """
    names = sorted(names)
    shapes = [name for name in names if name.lower().endswith(".shp")]
    exact = {str(shape_stem(name)): name for name in reversed(shapes)}
    alike: dict[str, list[str]] = {}
    for name in shapes:
        alike.setdefault(_folded(str(shape_stem(name))), []).append(name)
    found = {name: [name] for name in shapes}
    for name in names:
        stem = shape_stem(name)
        if stem is None or name in found:
            continue
        owners = [exact[stem]] if stem in exact else alike.get(_folded(stem), [])
        if len(owners) == 1:
            found[owners[0]].append(name)
    return {name: tuple(sorted(parts)) for name, parts in found.items()}


def aside(names: Iterable[str]) -> set[str]:
    """Those of some names that stand beside data: styles, indexes, documents, descriptions; parts of shapefiles are none of them."""
    names = set(names)
    own = {part for parts in shapefiles(names).values() for part in parts}
    left = {name for name in names - own if name.lower().endswith(ASIDE) or _is_text(PurePosixPath(name))}
    left = {name for name in left if _MAP_TEXT.fullmatch(PurePosixPath(name).name) is None}
    left |= {name for name in names - own if name.lower().endswith(SHAPELESS)}
    left |= _of_kml(names - own)
    xml = {name for name in names - own - left if name.lower().endswith(".xml")}  # describes the data of its name, or is a map
    described = {_folded(text) for name in names - left - xml for text in (name, _stem(name))}
    return left | {name for name in xml if _folded(_stem(name)) in described}


def _of_kml(names: set[str]) -> set[str]:
    """Signs and pictures that a KML document shows (a .kmz holds them): those below the folder of a .kml; photos beside it are data."""
    folders = {PurePosixPath(name).parent for name in names if name.lower().endswith(".kml")}
    found = {name for name in names if PurePosixPath(name).suffix.lower() in _PICTURES}
    return {name for name in found if folders & set(PurePosixPath(name).parent.parents)}


def with_parts(path: Path) -> list[Path]:
    """A file of this machine; of a `.shp` all of its parts in the same folder, of a recording in SQLite the log that belongs to it."""
    if path.suffix.lower() == ".db3":
        log = path.with_name(f"{path.name}-wal")
        return [path, log] if log.is_file() else [path]
    if path.suffix.lower() != ".shp":
        return [path]
    beside = {other.name: other for other in path.parent.iterdir() if other.is_file()}
    return [beside[name] for name in shapefiles(beside).get(path.name, ())] or [path]


def _is_text(name: PurePosixPath) -> bool:
    """Whether a file is called like a text about data (`LICENSE`, `metadata.json`)."""
    return name.suffix.lower() in _TEXT_ENDINGS and _TEXT.fullmatch(name.name) is not None


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
