"""KML files as features: a placemark each, in WGS 84 by definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import shapely

from ingest.findings import error, info, warning
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.drawings.kml import GEOMETRIES, KmlDocument, Placemark, attributes_of
from ingest.readers.drawings.kml_shape import shape_of
from ingest.readers.vector.layer import LayerRows
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, LayerKind

_BATCH = 4096
_LAYER = "placemarks"


class Kml:
    """The reader of KML files."""

    format = "kml"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """KML counts in longitude and latitude of WGS 84."""
        return Survey(self.format, (_LAYER,), None, resolve.resolve("OGC:CRS84", given))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All placemarks, and what of the document is none."""
        document = KmlDocument(source.files[0], source.name)
        layer = LayerRows(_LAYER, placed.crs or "EPSG:4326", source.name)
        waiting: list[Placemark] = []
        for placemark in document.placemarks():
            waiting.append(placemark)
            if len(waiting) >= _BATCH:
                yield from _batches(layer, waiting)
                waiting = []
        if waiting:
            yield from _batches(layer, waiting)
        if not layer.rows:
            raise Invalid("file.no_records", f"{source.name} holds no placemark. {document.broken}".strip(), file=source.name)
        yield from layer.findings()
        yield from _about(document, source.name)


def _batches(layer: LayerRows, placemarks: list[Placemark]) -> Iterator[Batch | Finding]:
    attributes = [attributes_of(one) for one in placemarks]
    shapes = [shape_of(one) for one in placemarks]
    for own, (_, more) in zip(attributes, shapes, strict=True):
        if more:
            own["geometry" if "geometry" not in own else "geometry#2"] = more
    names = list(dict.fromkeys(name for own in attributes for name in own)) or ["name"]
    columns = {name: _column([own.get(name) for own in attributes]) for name in names}
    ids = [one.node.attributes.get("id") or f"{_LAYER}/{one.number}" for one in placemarks]
    for name, one, (shape, _) in zip(ids, placemarks, shapes, strict=True):
        if shape is None and any(node.name in GEOMETRIES for node in one.node.children):
            yield bad_shape(name, layer.file)
    wkb = pa.array([None if shape is None else shapely.to_wkb(shape, flavor="iso") for shape, _ in shapes], pa.binary())
    yield from layer.batches(pa.table(columns), wkb, ids=pa.array(ids, pa.string()))


def bad_shape(feature: str, file: str) -> Finding:
    """The finding for a shape that cannot be drawn: its placemark stays, without a place."""
    text = f"The shape of {feature} has a vertex that is no longitude and latitude, or too few of them; it has no place."
    return warning("kml.shape", text, "Correct its coordinates.", file=file, layer="hdmap", feature=feature)


def _column(values: list[Any]) -> Any:
    """Texts as texts; where one is an object or a list, all of them as JSON."""
    if all(value is None or isinstance(value, str) for value in values):
        return pa.array(values, pa.string())
    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return pa.array(texts, pa.string()).cast(pa.json_())


def _about(document: KmlDocument, file: str) -> Iterator[Finding]:
    where = {"file": file, "layer": "hdmap"}
    left = +document.left_out
    if left:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(left.items()))
        text = f"{file} links to other documents or pictures, which are not followed: {names}"
        yield info("kml.links", text, "Send what they lead to.", count=left.total(), value=names, **where)
    if document.broken:
        text = f"{file} ends early or is not well-formed XML ({document.broken}); what came before was kept."
        yield error("file.damaged", text, "Upload the whole file again.", **where)
    if document.is_damaged:
        text = f"{file} holds bytes that mean no letter, or characters that XML does not allow; only these were replaced."
        yield warning("text.damaged", text, "Write the file in the encoding that it states.", **where)
