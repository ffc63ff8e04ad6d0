"""GML by GDAL, after a pass of our own: no DTD, no entity, no depth without end, and a document that was cut is reported.

GDAL would guess types (`007` a number), write a file beside the source and fetch schemas; it is kept from all of that.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyogrio

from ingest.checks.xml_text import XmlText
from ingest.findings import error, warning
from ingest.reader import Source
from ingest.readers.vector.gdal import GdalLayer, GdalReader, box_of, info_of, stated_crs
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid

OPTIONS = {"WRITE_GFS": "NO", "DOWNLOAD_SCHEMA": "NO", "EXPOSE_GML_ID": "YES", "FORCE_SRS_DETECTION": "YES"}
"""How GDAL opens a document."""
_CONFIGURATION = {"GML_FIELDTYPES": "ALWAYS_STRING", "GML_ATTRIBUTES_TO_OGR_FIELDS": "YES", "GML_SKIP_RESOLVE_ELEMS": "ALL"}


_MEMBERS = ("featureMember", "featureMembers", "member")
_NUMBERS = ("pos", "posList", "coordinates", "lowerCorner", "upperCorner", "X", "Y", "Z")
_COMMA = re.compile(r"\s*,\s*")


class Gml(GdalReader):
    """GML 2 and 3: every type of feature is a layer; all attributes stay as the text that they are."""

    format = "gml"
    driver = "GML"

    def parts(self, source: Source) -> list[GdalLayer]:
        """One part a type of feature."""
        seen = _GmlPass(source.path, source.name)
        pyogrio.set_gdal_config_options(_CONFIGURATION)
        info_of(source.path, self.driver, source.name, **OPTIONS)
        parts = [self._part(source, name, seen) for name in _layers(source.path)]
        if not parts:
            raise Invalid("file.no_records", f"{source.name} is GML without a feature.", file=source.name)
        parts[0] = replace(parts[0], found=tuple(seen.findings()))
        return parts

    def _part(self, source: Source, name: str, seen: _GmlPass) -> GdalLayer:
        about = info_of(source.path, self.driver, source.name, layer=name, **OPTIONS)
        rows = int(about["features"])
        wrong = frozenset(seen.wrong.get(name, ()))
        part = GdalLayer(source.path, name, name, rows if rows >= 0 else None, stated_crs(about), box_of(about), options=OPTIONS)
        return replace(part, shapeless=wrong, box=None if wrong else part.box)


def _layers(path: Path) -> list[str]:
    """The names of the layers; GDAL writes a file beside what it lists them of."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / path.name
        link.symlink_to(path.resolve())
        return [str(name) for name in pyogrio.list_layers(link)[:, 0].tolist()]


class _GmlPass:
    """A pass through the document: what is wrong with its XML, and which features have coordinates that are no numbers.

    GDAL takes what is no number as 0. `wrong`: rows by the name of their layer.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Raises: Invalid: `xml.dtd`, `xml.limit`, `xml.encoding`."""
        self.name = name
        self.wrong: dict[str, set[int]] = {}
        self._counts: Counter[str] = Counter()
        self._stack: list[str] = []
        self._feature = 0
        self._pieces: list[str] | None = None
        self._xml = XmlText(path, name)
        parser = self._xml.parser
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self._start, self._end, self._text
        for _ in self._xml.pieces():
            pass

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        own = element.rpartition(":")[2]
        if not self._feature and self._stack and self._stack[-1] in _MEMBERS:
            self._feature = len(self._stack) + 1
            self._counts[own] += 1
        self._stack.append(own)
        self._xml.check(own, len(self._stack), len(attributes))
        self._pieces = [] if own in _NUMBERS else None

    def _text(self, data: str) -> None:
        if self._pieces is not None:
            self._pieces.append(data)

    def _end(self, _element: str) -> None:
        own = self._stack.pop()
        if own in _NUMBERS and self._feature and self._pieces is not None and not _are_numbers("".join(self._pieces), own):
            layer = self._stack[self._feature - 1]
            self.wrong.setdefault(layer, set()).add(self._counts[layer] - 1)
        self._pieces = None
        if len(self._stack) < self._feature:
            self._feature = 0

    def findings(self) -> Iterator[Finding]:
        """What is to be reported of the document."""
        where = {"file": self.name, "layer": "hdmap"}
        if self._xml.broken:
            text = f"{self.name} ends early or is not well-formed XML ({self._xml.broken}); what came before was kept."
            yield error("file.damaged", text, "Upload the whole file again.", **where)
        if self._xml.is_damaged:
            text = f"{self.name} holds bytes that mean no letter, or characters that XML does not allow; only these were replaced."
            yield warning("text.damaged", text, "Write the file in the encoding that it states.", **where)
        for layer, rows in self.wrong.items():
            text = f"{len(rows)} features of {layer} have coordinates that are no numbers; they have no place."
            yield warning("geometry.no_number", text, "Correct the coordinates.", count=len(rows), **where)


def _are_numbers(text: str, element: str) -> bool:
    """Whether a list of coordinates holds numbers alone, which are finite, and two of them at least where it must."""
    words = _COMMA.sub(",", text).replace(",", " , ").split() if element == "coordinates" else text.split()
    numbers = [word for at, word in enumerate(words) if word != "," or (at == 0 or words[at - 1] == ",")]
    try:
        return len(numbers) >= (1 if len(element) == 1 else 2) and all(map(math.isfinite, map(float, numbers)))
    except ValueError:
        return False
