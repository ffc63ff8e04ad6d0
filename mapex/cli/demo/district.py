"""A made-up district for the demo: streets, lanes, sidewalks and crossings, the same bytes at every run.

Nothing here is surveyed. Streets stand on a 300 m raster around a point in Pangyo and are bent a little, so that no two cells are alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

Metres = npt.NDArray[np.float64]

CENTRE = (127.1112, 37.3947)  # lon, lat of the local zero point
STEP = 300.0  # metres between streets
HALF = 3  # streets on each side of the middle one
LANE = 3.25  # width of a lane, metres
KERB = 2 * LANE  # from the centre line to the kerb
WALK = KERB + 2.2  # from the centre line to the middle of the sidewalk
INSET = 16.0  # junction area: segments end so far before the crossing of the centre lines


@dataclass(frozen=True, slots=True)
class Segment:
    """A street between two junctions, along x or y of the unbent raster; `line(offset)` runs parallel to its centre."""

    name: str
    start: tuple[float, float]
    end: tuple[float, float]

    def line(self, offset: float, *, inset: float = INSET, every: float = 10.0) -> Metres:
        """(n, 2) local metres of the line `offset` metres to the left of the centre line (negative: right), bent."""
        (x0, y0), (x1, y1) = self.start, self.end
        length = math.hypot(x1 - x0, y1 - y0)
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        t = np.linspace(inset, length - inset, max(2, round((length - 2 * inset) / every) + 1))
        return bend(np.column_stack([x0 + ux * t - uy * offset, y0 + uy * t + ux * offset]))


def bend(xy: Metres) -> Metres:
    """Raster coordinates to the gently bent ones, metres."""
    x, y = xy[:, 0], xy[:, 1]
    return np.column_stack([x + 28 * np.sin(y / 410 + 0.4), y + 21 * np.sin(x / 360)])


def height(xy: Metres) -> Metres:
    """Ellipsoidal height of the ground, metres: a slope with two soft hills."""
    return 62.0 + 0.006 * xy[:, 0] + 3.5 * np.sin(xy[:, 0] / 520) * np.cos(xy[:, 1] / 470)


def lonlat(xy: Metres) -> Metres:
    """Local metres to (lon, lat) degrees, WGS 84, rounded to 1e-9 degree (0.1 mm)."""
    lon, lat = _frame().transform(xy[:, 0], xy[:, 1])
    return np.round(np.column_stack([lon, lat]), 9)


@cache
def _frame() -> Any:
    """Local metres to WGS 84; made once, since pyproj takes 10 ms to find an operation."""
    from pyproj import Transformer

    frame = f"+proj=tmerc +lat_0={CENTRE[1]} +lon_0={CENTRE[0]} +k=1 +ellps=WGS84 +units=m"
    return Transformer.from_crs(frame, "EPSG:4326", always_xy=True)


def segments(west: int = -HALF, east: int = HALF) -> Iterator[Segment]:
    """The streets of the raster whose column numbers are between `west` and `east`."""
    for i in range(west, east + 1):
        for j in range(-HALF, HALF + 1):
            x, y = i * STEP, j * STEP
            if i < east:
                yield Segment(f"E{i}_{j}", (x, y), (x + STEP, y))
            if j < HALF:
                yield Segment(f"N{i}_{j}", (x, y), (x, y + STEP))


# ---- Lanelet2 ------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Osm:
    """Collects nodes, ways and relations of an OSM file with ids given in order."""

    next_id: int = 1
    nodes: list[str] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)

    def way(self, xy: Metres, **tags: str) -> int:
        refs = []
        for (lon, lat), ele in zip(lonlat(xy), height(xy), strict=True):
            self.nodes.append(f'<node id="{self.next_id}" lat="{lat:.9f}" lon="{lon:.9f}"><tag k="ele" v="{ele:.3f}"/></node>')
            refs.append(self.next_id)
            self.next_id += 1
        inside = "".join(f'<nd ref="{r}"/>' for r in refs) + _tags(tags)
        self.ways.append(f'<way id="{self.next_id}">{inside}</way>')
        self.next_id += 1
        return self.next_id - 1

    def relation(self, members: Sequence[tuple[str, int, str]], **tags: str) -> int:
        inside = "".join(f'<member type="{t}" ref="{r}" role="{role}"/>' for t, r, role in members) + _tags(tags)
        self.relations.append(f'<relation id="{self.next_id}">{inside}</relation>')
        self.next_id += 1
        return self.next_id - 1

    def write(self, path: Path) -> None:
        body = "\n".join([*self.nodes, *self.ways, *self.relations])
        path.write_text(
            f"<?xml version='1.0' encoding='UTF-8'?>\n<osm version='0.6' generator='mapex demo'>\n{body}\n</osm>\n", encoding="utf-8"
        )


def _tags(tags: dict[str, str]) -> str:
    return "".join(f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items())


def write_lanelet2(path: Path, streets: Sequence[Segment]) -> None:
    """An HD map of the streets in Lanelet2 form: two lanes each way, kerbs, stop lines, crosswalks, signals."""
    osm = _Osm()
    road = {
        "type": "lanelet",
        "subtype": "road",
        "location": "urban",
        "one_way": "yes",
        "participant:vehicle": "yes",
        "speed_limit": "50 km/h",
    }
    for street in streets:
        kerb_left = osm.way(street.line(KERB), type="curbstone", subtype="high")
        dash_left = osm.way(street.line(LANE), type="line_thin", subtype="dashed")
        centre = osm.way(street.line(0.0), type="line_thin", subtype="solid_solid", color="yellow")
        dash_right = osm.way(street.line(-LANE), type="line_thin", subtype="dashed")
        kerb_right = osm.way(street.line(-KERB), type="curbstone", subtype="high")
        lanes = [
            osm.relation([("way", left, "left"), ("way", right, "right")], **road, street=street.name)
            for left, right in ((centre, dash_right), (dash_right, kerb_right), (centre, dash_left), (dash_left, kerb_left))
        ]
        for lane_pair, side, end in ((lanes[:2], -1, -1), (lanes[2:], 1, 0)):
            edge, middle = street.line(side * KERB)[end], street.line(0.0)[end]
            stop = osm.way(np.array([middle, edge]), type="stop_line", subtype="solid")
            light = osm.way(np.array([edge, edge + 0.4]), type="traffic_light", subtype="red_yellow_green", height="5.2")
            osm.relation(
                [("way", light, "refers"), ("way", stop, "ref_line"), *(("relation", lane, "cancels") for lane in lane_pair)],
                type="regulatory_element",
                subtype="traffic_light",
            )
        for inset in (INSET - 4.0, math.hypot(*np.subtract(street.end, street.start)) - INSET + 1.0):
            near = _across(street, inset)
            far = _across(street, inset + 3.0)
            osm.relation(
                [("way", osm.way(near, type="pedestrian_marking"), "left"), ("way", osm.way(far, type="pedestrian_marking"), "right")],
                type="lanelet",
                subtype="crosswalk",
                **{"location": "urban", "participant:pedestrian": "yes"},
            )
    osm.write(path)


def _across(street: Segment, at: float) -> Metres:
    """A line over the carriageway `at` metres after the start of the street."""
    (x0, y0), (x1, y1) = street.start, street.end
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    offsets = np.linspace(KERB, -KERB, 5)
    return bend(np.column_stack([x0 + ux * at - uy * offsets, y0 + uy * at + ux * offsets]))


# ---- OpenSidewalks ---------------------------------------------------------------------------------------------------------------


def write_opensidewalks(folder: Path, streets: Sequence[Segment]) -> None:
    """The sidewalk network of the streets as OpenSidewalks 0.2: `<name>.nodes.geojson` and `<name>.edges.geojson`."""
    nodes: dict[str, tuple[float, float]] = {}
    edges: list[dict[str, object]] = []

    def node(name: str, position: npt.NDArray[np.float64]) -> str:
        nodes.setdefault(name, (float(position[0]), float(position[1])))
        return name

    def edge(name: str, line: Metres, ends: tuple[str, str], **tags: object) -> None:
        coordinates = lonlat(line)
        start, end = node(ends[0], coordinates[0]), node(ends[1], coordinates[-1])
        properties = {"_id": name, "_u_id": start, "_v_id": end, "highway": "footway", **tags}
        edges.append(_feature("LineString", [[*map(float, c)] for c in coordinates], properties))

    for street in streets:
        for side, letter in ((WALK, "l"), (-WALK, "r")):
            ends = (f"n{street.name}{letter}0", f"n{street.name}{letter}1")
            edge(f"e{street.name}{letter}", street.line(side), ends, footway="sidewalk", surface="paving_stones", width=2.4, incline=0.01)
        for end in (0, 1):
            ends = (f"n{street.name}l{end}", f"n{street.name}r{end}")
            line = np.array([street.line(WALK)[-end], street.line(-WALK)[-end]])
            edge(f"x{street.name}{end}", line, ends, footway="crossing", **{"crossing:markings": "yes"})
    kerbs = [
        _feature("Point", list(p), {"_id": n, "barrier": "kerb", "kerb": "lowered", "tactile_paving": "yes"}) for n, p in nodes.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, features in (("nodes", kerbs), ("edges", edges)):
        about = {
            "$schema": "https://sidewalks.washington.edu/opensidewalks/0.2/schema.json",
            "type": "FeatureCollection",
            "features": features,
        }
        (folder / f"district.{name}.geojson").write_text(json.dumps(about), encoding="utf-8")


def _feature(kind: str, coordinates: object, properties: dict[str, object]) -> dict[str, object]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def outline(margin: float = 40.0) -> dict[str, object]:
    """The district's box as a GeoJSON polygon, WGS 84."""
    edge = HALF * STEP + margin
    corners = lonlat(np.array([[-edge, -edge], [edge, -edge], [edge, edge], [-edge, edge], [-edge, -edge]]))
    return {"type": "Polygon", "coordinates": [[[*map(float, c)] for c in corners]]}
