"""What the first elements of an OSM file state: its flavour, its place, and what it holds beside elements."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ingest.placing import resolve
from ingest.placing.systems import WGS84
from ingest.reader import Placed
from ingest.readers.lanelet2.index import degrees_of
from ingest.readers.lanelet2.osm_xml import Document
from ingest.readers.lanelet2.projector import Projector
from mapex.intake.placement import Placement
from mapex.rules.licences import ODBL, SourceLicence, stated_in
from tiles.box import Box

_SURVEYED = 300_000
"""Elements that a survey looks at."""


@dataclass(slots=True)
class OsmHead:
    """What the first elements of a file show."""

    elements: int = 0
    nodes: int = 0
    with_degrees: int = 0
    with_local: int = 0
    with_code: int = 0
    lanelets: int = 0
    relations: int = 0
    highways: int = 0
    numbered: int = 0
    """elements with a number and a version of a database; those that were only drawn have none"""
    west: float = np.inf
    south: float = np.inf
    east: float = -np.inf
    north: float = -np.inf
    complete: bool = True

    @property
    def flavour(self) -> str:
        """What kind of .osm file this is, in words."""
        if self.lanelets:
            return "Lanelet2, Autoware flavour" if self.with_local else "Lanelet2"
        if self.highways:
            return "plain OpenStreetMap"
        return "Lanelet2 debug file without relations" if not self.relations else "OSM file without lanelets"

    @property
    def box(self) -> Box | None:
        """The box of the nodes seen."""
        return Box(self.west, self.south, self.east, self.north) if self.with_degrees else None


def head_of(document: Document) -> OsmHead:
    """What the first elements of the document show."""
    head = OsmHead()
    for element in document.elements():
        head.elements += 1
        if element.kind == "node":
            head.nodes += 1
            lon, lat = degrees_of(element)
            if np.isfinite(lon) and np.isfinite(lat):
                head.with_degrees += 1
                head.west, head.east = min(head.west, lon), max(head.east, lon)
                head.south, head.north = min(head.south, lat), max(head.north, lat)
            head.with_local += "local_x" in element.tags
            head.with_code += "mgrs_code" in element.tags
        head.relations += element.kind == "relation"
        head.lanelets += element.kind == "relation" and element.tags.get("type") == "lanelet"
        attributes = element.attributes
        head.numbered += "version" in attributes and not attributes.get("id", "-").startswith("-")
        head.highways += "highway" in element.tags
        if head.elements >= _SURVEYED:
            head.complete = False
            break
    return head


def licence_of(document: Document, head: OsmHead) -> SourceLicence | None:
    """That of OpenStreetMap, where the document states it, or holds nothing but what is drawn and numbered there."""
    stated = [*document.root.values(), *(text for name, found in document.others if name == "note" for text in found.values())]
    is_plain = not head.lanelets and not head.with_local and head.highways and head.numbered
    return ODBL if is_plain else stated_in(stated)


def placed_by(head: OsmHead, given: Placement, projector: Projector | None = None) -> Placed:
    """Where the file is: in degrees when its nodes are, else as is given, or as the file beside it states, or nowhere."""
    if head.with_degrees:
        spoken = replace(given, crs=None, origin=None)
        note = ""
        if given.crs and given.crs.upper() not in (WGS84, "WGS84", "OGC:CRS84") or given.origin:
            note = "The nodes carry WGS 84 latitude and longitude, which were used; the CRS or origin given was not needed."
        return resolve.resolve(WGS84, spoken, note=note)
    if given.crs or given.origin:
        return resolve.resolve(None, given, note="The nodes have no latitude and longitude; local_x and local_y were used.")
    if head.with_code:
        note = "The nodes have no latitude and longitude; they were placed by local_x, local_y and the 100-km square of mgrs_code."
        return resolve.resolve(None, given, assumed=WGS84, note=note)
    if projector is not None and projector.is_grid and head.with_local:
        note = (
            f"The nodes have no latitude and longitude; map_projector_info.yaml states the square {projector.grid} of local_x and local_y."
        )
        return resolve.resolve(WGS84, given, note=note)
    return resolve.resolve(
        None, given, note="The nodes have no latitude and longitude, and no mgrs_code states in which square local_x and local_y are."
    )


def stated_beside(document: Document) -> dict[str, Any]:
    """What the document states for all of the map: MetaInfo, bounds, notes, and attributes of its root beside version and program."""
    found: dict[str, Any] = {}
    for name, attributes in document.others:
        found.setdefault(name, []).append(attributes)
    return {name: value for name, value in document.root.items() if name not in ("version", "generator", "upload")} | found


def meta_of(document: Document) -> dict[str, str]:
    """What a batch carries of the document: attributes of the root and elements that are no feature."""
    others = [{"element": name, **attributes} for name, attributes in document.others]
    return {"osm": json.dumps({"attributes": document.root, "others": others[:50]}, ensure_ascii=False)}
