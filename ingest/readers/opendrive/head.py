"""What the head of a file states: its place by `<geoReference>` and `<offset>`, in all the ways in which these are wrong in real files.

A geoReference is used as it stands when the map lands where it says. What contradicts itself, or is a made-up world around 0 N 0 E, is not
used, and the seller is asked; a false origin that the geometry leaves out is a guess, which is reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.placing import resolve, systems
from ingest.placing.move import NULL_ISLAND_DEG, box_of, lonlat
from ingest.reader import Placed
from ingest.readers.opendrive.tree import XmlElement, xml_of
from mapex.intake.placement import Placement
from tiles.box import Box

Floats = NDArray[np.float64]

_LONGEST = 4000
"""Letters of a geoReference."""
_NEAR_M = 100_000.0
"""A map is at most so far from the origin that its own geoReference names."""
_PARAMETER = re.compile(r"\+(\w+)(?:=(\S+))?")
_OF_HEIGHTS = re.compile(r"\+(geoidgrids|geoid_crs|vunits|vto_meter)(=\S+)?\s*")
_GEOIDS = (("egm96", "EGM96"), ("egm08", "EGM2008"), ("egm2008", "EGM2008"))
_INIT = re.compile(r"\+init=(\w+:\w+)", re.IGNORECASE)


@dataclass(slots=True)
class OpenDriveHead:
    """What the parts of a file state of all of it. `corners`: some starts of geometries, in the numbers of the file."""

    reference: str = ""
    offset: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    revision: str = ""
    parts: int = 0
    roads: int = 0
    beside: dict[str, Any] = field(default_factory=dict)
    corners: list[tuple[float, float]] = field(default_factory=list)

    def take(self, part: XmlElement) -> None:
        """Look at one part."""
        self.parts += 1
        if part.name == "header":
            self._take_header(part)
        elif part.name == "road":
            self.roads += 1
            if len(self.corners) < 100_000:
                starts = ((one.number("x", np.nan), one.number("y", np.nan)) for one in part.inside("planView", "geometry"))
                self.corners += [start for start in starts if np.isfinite(start).all()]
        elif part.name not in ("junction", "controller", "junctionGroup", "station"):
            self.beside.setdefault(part.name, []).append(xml_of(part))

    def _take_header(self, part: XmlElement) -> None:
        self.beside["header"] = part.attributes | {one.name: xml_of(one) for one in part.children}
        self.revision = f"{part.text_of('revMajor')}.{part.text_of('revMinor')}"
        reference, offset = part.first("geoReference"), part.first("offset")
        if reference is not None:
            self.reference = " ".join(reference.text.split())[:_LONGEST]
        if offset is not None:
            numbers = [offset.number(name) for name in ("x", "y", "z", "hdg")]
            x, y, z, heading = (0.0 if np.isnan(value) else value for value in numbers)
            self.offset = (x, y, z, heading)

    def placed(self, given: Placement) -> Placed:
        """Where the file is: as is given, else as its geoReference says where that can be."""
        reference = _OF_HEIGHTS.sub("", self.reference).strip()
        init = _INIT.search(reference)
        reference = init.group(1).upper() if init is not None else reference
        height = next((datum for mark, datum in _GEOIDS if mark in self.reference.lower()), None)
        if given.crs or given.origin:
            return resolve.resolve(reference or None, given, height=height)
        crs, assumed, note = self._read(reference)
        return resolve.resolve(crs, given, assumed=assumed, height=height, note=note)

    def _read(self, reference: str) -> tuple[str | None, str | None, str]:
        """The system that the file states, or one that is guessed, or neither; and why, in words."""
        if not reference:
            return None, None, "The file has no geoReference."
        named = dict(_PARAMETER.findall(reference))
        origin = _origin(named)
        if "proj" not in named and origin is not None and reference.startswith("+"):
            return (
                None,
                systems.local_frame(*origin),
                "The geoReference names an origin and no projection; transverse Mercator was assumed.",
            )
        if named.get("proj") == "utm" and (why := self._two_origins(reference, named, origin)):
            return None, None, why
        if self._is_null_island(reference):
            return None, None, "The geoReference puts the map at longitude 0, latitude 0, where no map is: a made-up world."
        has_false_origin = origin is not None and (float_of(named, "x_0") or float_of(named, "y_0"))
        return self._false_origin(reference, origin) if origin is not None and has_false_origin else (reference, None, "")

    def _two_origins(self, reference: str, named: Mapping[str, str], origin: tuple[float, float] | None) -> str:
        """UTM has no origin of its own choice: PROJ leaves lat_0 and lon_0 out, and the map lands elsewhere. "" when it is near them."""
        if origin is None or self._away(reference, origin) <= _NEAR_M:
            return ""
        return (
            f"The geoReference states UTM zone {named.get('zone', '?')[:8]} and the origin latitude {origin[1]:.4f}, longitude "
            f"{origin[0]:.4f}; the map would not be there."
        )

    def _is_null_island(self, reference: str) -> bool:
        lon, lat = self._degrees(reference)
        return bool(len(lon)) and bool(np.median(np.abs(lon)) < NULL_ISLAND_DEG) and bool(np.median(np.abs(lat)) < NULL_ISLAND_DEG)

    def _false_origin(self, reference: str, origin: tuple[float, float]) -> tuple[str | None, str | None, str]:
        """Some exporters write the map coordinates of the origin as false origin, and count the geometry from the origin all the same."""
        without = re.sub(r"\+([xy])_0=\S+", r"+\1_0=0", reference)
        is_grid = all(abs(2 * value - round(2 * value)) < 1e-9 for value in origin)  # 38 N 127 E is that of a country, not of a map
        if self._away(reference, origin) <= _NEAR_M or is_grid or self._away(without, origin) > _NEAR_M:
            return reference, None, ""
        text = (
            f"The geoReference has a false origin (x_0, y_0) that the geometry leaves out; the map was placed around "
            f"latitude {origin[1]:.5f}, longitude {origin[0]:.5f}."
        )
        return None, without, text

    def _away(self, reference: str, origin: tuple[float, float]) -> float:
        """Metres from the middle of the map to an origin, to a percent; infinite when it is nowhere."""
        lon, lat = self._degrees(reference)
        if not len(lon):
            return 0.0
        east = (np.median(lon) - origin[0]) * np.cos(np.radians(origin[1]))
        away = float(np.hypot(east, np.median(lat) - origin[1])) * 111_320.0
        return away if np.isfinite(away) else np.inf

    def _degrees(self, reference: str) -> tuple[Floats, Floats]:
        crs = systems.crs_from(reference)
        if crs is None or not self.corners or not systems.is_on_earth(crs):
            return np.zeros(0), np.zeros(0)
        x, y = self.moved(np.array(self.corners))
        return lonlat(x, y, systems.recognise(crs)[0])

    def moved(self, xy: Floats) -> tuple[Floats, Floats]:
        """Positions as the offset says: turned, then moved."""
        cos, sin = np.cos(self.offset[3]), np.sin(self.offset[3])
        return xy[:, 0] * cos - xy[:, 1] * sin + self.offset[0], xy[:, 0] * sin + xy[:, 1] * cos + self.offset[1]

    def shift(self, placed: Placed) -> tuple[float, float, float, float]:
        """The offset as it is to be used: around an origin that the seller gives, the numbers of the file count from there."""
        return (0.0, 0.0, 0.0, 0.0) if placed.origin is not None else self.offset

    def box(self, placed: Placed) -> Box | None:
        """The box of the starts of geometries."""
        if not self.corners or placed.crs is None:
            return None
        xy = np.array(self.corners)
        x, y = self.moved(xy) if placed.origin is None else xy.T
        return box_of((float(x.min()), float(y.min()), float(x.max()), float(y.max())), placed.crs)


def _origin(named: Mapping[str, str]) -> tuple[float, float] | None:
    lon, lat = float_of(named, "lon_0"), float_of(named, "lat_0")
    return None if lon is None or lat is None or not (abs(lon) <= 180.0 and abs(lat) <= 90.0) else (lon, lat)


def float_of(named: Mapping[str, str], name: str) -> float | None:
    """A parameter of a PROJ text as a number, None where it is none."""
    try:
        value = float(named.get(name, ""))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
