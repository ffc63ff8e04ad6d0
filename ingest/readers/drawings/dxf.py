"""DXF by GDAL: entities with their layer and handle; a drawing states no system, so its seller is asked where it is.

Arcs, circles and splines become lines of short pieces; blocks are drawn where they are inserted. The text is read through by us first:
for its end, its encoding, and what GDAL does not draw.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyogrio

from ingest.findings import error, warning
from ingest.reader import Source
from ingest.readers.vector.gdal import GdalLayer, GdalReader, box_of, info_of
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid

_CONFIGURATION = {"OGR_ARC_STEPSIZE": "1", "OGR_ARC_MAX_GAP": "0.01", "DXF_MERGE_BLOCK_GEOMETRIES": "FALSE"}
_CURVED = ("ARC", "CIRCLE", "ELLIPSE", "SPLINE")
_SHAPELESS = ("ACAD_PROXY_ENTITY", "BODY", "REGION", "3DSOLID", "SURFACE", "IMAGE", "OLE2FRAME", "WIPEOUT")
_COORDINATES = frozenset(str(code).encode() for code in range(10, 40))
_LONGEST = 2050
"""Bytes of a line: texts of DXF have at most 2,049."""


class Dxf(GdalReader):
    """Drawings in the exchange format of AutoCAD, as text."""

    format = "dxf"
    driver = "DXF"

    def parts(self, source: Source) -> list[GdalLayer]:
        """All entities are one layer; what they were drawn on is their attribute Layer."""
        seen = _DrawingSeen.of(source.path)
        if seen.wrong:
            text = f"{source.name}: line {seen.wrong} is a coordinate that is no number. Export it again."
            raise Invalid("file.damaged", text, file=source.name)
        pyogrio.set_gdal_config_options({**_CONFIGURATION, "DXF_ENCODING": seen.encoding})
        about = info_of(source.path, self.driver, source.name)
        name = Path(source.name).stem
        codec = "" if seen.has_head else seen.encoding  # without a head GDAL heeds no encoding
        return [GdalLayer(source.path, None, name, None, None, box_of(about), found=tuple(seen.findings(source.name)), codec=codec)]


@dataclass(slots=True)
class _DrawingSeen:
    """A drawing as its pairs of code and value show it."""

    page: str = ""
    is_utf8: bool = True
    has_head: bool = False
    ended: bool = False
    wrong: int = 0
    """the first line with a coordinate that is no number; GDAL takes it as 0"""
    entities: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def of(path: Path) -> _DrawingSeen:
        seen, section, variable, number = _DrawingSeen(), "", "", 0
        utf8 = codecs.getincrementaldecoder("utf-8")()
        with path.open("rb") as stream:
            while line := stream.readline(_LONGEST):
                code, raw, number = line.strip(), stream.readline(_LONGEST), number + 2
                seen.is_utf8 = seen.is_utf8 and _decodes(utf8, raw)
                value = raw.strip().decode("latin-1")
                if code == b"9":
                    variable = value
                elif code == b"3" and variable == "$DWGCODEPAGE":
                    seen.page, variable = value.upper(), ""
                elif code == b"2" and section == "?":
                    section = value.upper()
                    seen.has_head |= section == "HEADER"
                elif code == b"0":
                    section = "?" if value == "SECTION" else "" if value == "ENDSEC" else section
                    seen.ended |= value == "EOF"
                    if section in ("ENTITIES", "BLOCKS"):
                        seen.entities[value.upper()] += 1
                elif code in _COORDINATES and section in ("ENTITIES", "BLOCKS") and not _is_number(value):
                    seen.wrong = seen.wrong or number
        return seen

    @property
    def encoding(self) -> str:
        """As GDAL calls it: since 2007 UTF-8, before that a code page, which the head states."""
        if self.is_utf8:
            return "UTF-8"
        number = self.page.removeprefix("ANSI_")
        return f"CP{number}" if number.isdigit() else "CP949"

    def findings(self, name: str) -> Iterator[Finding]:
        """Entities that become something else, or nothing; and a drawing that was cut."""
        where = {"file": name, "layer": "hdmap"}
        curved, shapeless = (sum(self.entities[kind] for kind in kinds) for kinds in (_CURVED, _SHAPELESS))
        if not self.ended:
            text = f"{name} does not end as a drawing does (EOF): it was cut."
            yield error("file.damaged", text, "Upload it again.", **where)
        if curved:
            text = f"{curved} arcs, circles, ellipses and splines of {name} are lines of short pieces now, at most 1 cm beside them."
            yield warning("dxf.curves", text, "Nothing to do; export polylines if every vertex matters.", count=curved, **where)
        if shapeless:
            text = f"{shapeless} solids, pictures and objects of other programs in {name} have no outline and are not read."
            yield warning("dxf.left_out", text, "Export them as lines or polygons if they matter.", count=shapeless, **where)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _decodes(decoder: codecs.IncrementalDecoder, raw: bytes) -> bool:
    try:
        decoder.decode(raw)
    except UnicodeDecodeError:
        return False
    return True
