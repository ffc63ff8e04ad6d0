"""Deliveries of the Korean precise road map: a folder or zip with sections, of each section one product, of each product its layers.

Models 2019, 2020 and 2024 and the layers before them (`ingest.deliveries`). The attributes stay as they are; what their codes mean stands
under `"@source"` (`ingest.readers.vector.ngii_codes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ingest.deliveries import ngii_model
from ingest.findings import info, warning
from ingest.placing import systems
from ingest.placing.names import system_of
from ingest.reader import Placed, Source, Survey
from ingest.readers.ngii import products, references
from ingest.readers.ngii.layers import DeliveredLayer, layers_of
from ingest.readers.ngii.products import ChosenLayers
from ingest.readers.vector.gdal import GdalLayer
from ingest.readers.vector.shapefile import Shapefile, shapes_in
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch

REQUIRED = {
    "2020": ("A1_NODE", "A2_LINK", "B2_SURFACELINEMARK", "C3_VEHICLEPROTECTIONSAFETY"),
    "2024": ("NT1_NODE", "NT2_LINK", "RS1_ROADBORDER"),
}
"""Layers that the manual asks for in every section; all others are there only where there is something to draw."""
_FEW = 3
"""Layers that are sent alone on purpose."""


class Ngii(Shapefile):
    """Shapefiles in the layout of the precise road map."""

    format = "ngii"

    def survey(self, source: Source, given: Placement) -> Survey:
        """Which sections, products and layers there are, and what they state."""
        choice = _choice(source, height=given.height_datum, crs=given.crs)
        parts = self._parts(choice, source)
        seen = self.survey_of(parts, source, given, choice.height)
        found = (*seen.findings, *choice.findings, *_about(choice.layers, source.name))
        models = sorted({ngii_model(layer.code) for layer in choice.layers if layer.code})
        return replace(seen, findings=found, details={"model": ", ".join(models)})

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All layers of the product that is read, then what they refer to."""
        height = placed.height_datum if placed.height_source is not Known.NONE else None
        choice = _choice(source, height=height, crs=placed.crs if placed.crs_source is Known.GIVEN else None)
        yield from self.read_of(self._parts(choice, source), source, placed)
        yield from references.check([layer for layer in choice.layers if layer.code], source.name)

    def _parts(self, choice: ChosenLayers, source: Source) -> list[GdalLayer]:
        """The layers as GDAL opens them; one without a system has that of its folder, which is reported."""
        parts = self.parts_of([layer.path for layer in choice.layers], source)
        folders = {layer.path: layer.folder for layer in choice.layers}
        stated: dict[str, str] = {}
        for part in parts:
            if part.crs:
                stated.setdefault(folders[part.path], part.crs)
        return [part if part.crs else _with_system(part, folders[part.path], stated, source.name) for part in parts]


class NodeLink(Ngii):
    """The standard node-link (표준노드링크): the roads of the country as MOCT_NODE and MOCT_LINK."""

    format = "nodelink"


def _choice(source: Source, *, height: str | None, crs: str | None) -> ChosenLayers:
    return products.choose(layers_of(shapes_in(source), source), source.name, height=height, crs=crs)


def _with_system(part: GdalLayer, folder: str, stated: dict[str, str], file: str) -> GdalLayer:
    """A layer that came without .prj: it is in the system of the others in its folder, else in that which the folder is called by."""
    if folder in stated:
        text = f"{part.name} states no coordinate system; that of the other layers in its folder was used."
        found = warning("ngii.no_system", text, "Upload the .prj file beside it.", file=file, value=part.name)
        return replace(part, crs=stated[folder], found=(*part.found, found))
    named = system_of([folder])
    if named is None:
        return part
    guess = f"No layer states its CRS; the folder {folder} is called like {named} ({systems.parsed(named).name}), which was assumed."
    return replace(part, crs=named, guess=guess)


def _about(layers: Sequence[DeliveredLayer], file: str) -> Iterator[Finding]:
    """Layers that the manual asks for and the delivery lacks, and two models of the same ground."""
    codes = {layer.code for layer in layers}
    models = sorted({ngii_model(code) for code in codes if code})
    if len(models) > 1:
        text = f"{file} holds layers of {len(models)} data models ({', '.join(models)}); all are read."
        yield info("ngii.models", text, "Upload one model only if they are of the same streets.", file=file, value=", ".join(models))
    for model in models:
        own = [code for code in codes if code and ngii_model(code) == model]
        missing = [code for code in REQUIRED.get(model, ()) if code not in codes] if len(own) > _FEW else []
        if missing:
            text = f"{file} lacks layers that the manual asks for: {', '.join(missing)}"
            yield info("ngii.layer_absent", text, "Deliver them too if there is something to draw.", file=file, value=", ".join(missing))
