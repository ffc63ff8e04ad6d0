"""First pass over an OSM file: where every node is, which nodes a way has, which members a relation has; in compact columns.

32 bytes a node and 8 a reference: a city of ten million nodes needs 400 MB, and elements may come in any order.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.placing.mgrs import square
from ingest.placing.move import lonlat
from ingest.readers.lanelet2.osm_xml import Document, Element

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Members = list[tuple[str, str, str]]


def number_of(text: str) -> int | None:
    """The integer id that a text is, or None."""
    try:
        value = int(text)
    except ValueError:
        return None
    return value if -(2**63) <= value < 2**63 else None


def float_of(text: str | None) -> float:
    """The number that a text is, exactly as Python reads it; NaN when it is none."""
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return float("nan")


def degrees_of(element: Element) -> tuple[float, float]:
    """(lon, lat) of a node as its attributes say; NaN when they say nothing, or 0,0 beside local metres (an unfilled form)."""
    lon, lat = float_of(element.attributes.get("lon")), float_of(element.attributes.get("lat"))
    if lon == 0.0 and lat == 0.0 and "local_x" in element.tags:
        return float("nan"), float("nan")
    return lon, lat


class NodeColumn(Protocol):
    """A number for each node of an index, however it is kept."""

    def __getitem__(self, rows: Ints, /) -> Floats:
        """The numbers of some rows."""
        ...


@dataclass(frozen=True, slots=True)
class WayTable:
    """The nodes of each way: 24 bytes a way and 8 a reference. Of two ways with the same id the later one holds."""

    ids: Ints
    starts: Ints
    counts: Ints
    refs: Ints

    @staticmethod
    def of(ids: Ints, counts: Ints, refs: Ints) -> WayTable:
        """The table of ways in the order of the file."""
        starts = np.cumsum(counts) - counts
        if len(ids) < 2 or bool((ids[1:] > ids[:-1]).all()):
            return WayTable(ids, starts, counts, refs)
        order = np.argsort(ids, kind="stable")
        return WayTable(ids[order], starts[order], counts[order], refs)

    def __contains__(self, number: int) -> bool:
        """Whether there is such a way."""
        return self._row(number) >= 0

    def has(self, numbers: Ints) -> NDArray[np.bool_]:
        """Whether there is each of some ways."""
        if not len(self.ids):
            return np.zeros(len(numbers), dtype=np.bool_)
        at = np.minimum(np.searchsorted(self.ids, numbers), len(self.ids) - 1)
        return np.asarray(self.ids[at] == numbers)

    def nodes(self, number: int) -> Ints:
        """The ids of its nodes; none where there is no such way."""
        row = self._row(number)
        return self.refs[self.starts[row] : self.starts[row] + self.counts[row]] if row >= 0 else self.refs[:0]

    def twice(self) -> list[int]:
        """Ids that come more than once."""
        again: list[int] = np.unique(self.ids[1:][self.ids[1:] == self.ids[:-1]]).tolist()
        return again

    def _row(self, number: int) -> int:
        row = int(np.searchsorted(self.ids, number, side="right")) - 1
        return row if row >= 0 and self.ids[row] == number else -1


@dataclass(slots=True)
class Index:
    """Tables of one file. `x, y, z` are what the batches hold: degrees, or local metres; NaN = unknown."""

    ids: Ints
    x: NodeColumn
    y: NodeColumn
    z: NodeColumn
    ways: WayTable
    relations: Mapping[int, tuple[str, Members]]
    referred: dict[int, int] = field(default_factory=dict)
    """regulatory element -> first lanelet that names it"""
    duplicates: list[str] = field(default_factory=list)
    guessed: int = 0
    """nodes placed by their MGRS square"""
    lost: int = 0
    """nodes without any place"""
    codes: set[str] = field(default_factory=set)
    """MGRS codes that name no square"""
    heights: int = 0
    """nodes that state one"""
    disagree: tuple[int, float] = (0, 0.0)
    """nodes whose local metres and degrees differ by more than 0.1 m, and the largest difference in metres"""

    def rows(self, refs: Ints) -> Ints:
        """Row of each node id, -1 when there is none."""
        if not len(self.ids):
            return np.full(len(refs), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.ids, refs), len(self.ids) - 1)
        return np.where(self.ids[at] == refs, at, -1)

    def held(self, members: Members) -> list[bool]:
        """Whether each member of a relation is in the file."""
        numbers = [number_of(ref) for _, ref, _ in members]
        found = [number is not None and number in self.relations for number in numbers]
        for what in ("node", "way"):
            at = [k for k, member in enumerate(members) if member[0] == what]
            ids = np.array([numbers[k] or 0 for k in at], dtype=np.int64)
            is_there = self.rows(ids) >= 0 if what == "node" else self.ways.has(ids)
            for k, there in zip(at, is_there.tolist(), strict=True):
                found[k] = there and numbers[k] is not None
        return found

    def height(self, refs: Ints) -> Floats:
        """Height of each node id, NaN where none is known."""
        return self.z[self.rows(refs)]

    def way(self, number: int) -> Floats | None:
        """(n, 3) coordinates of a way's known nodes, height NaN when unknown; None when the way is unknown or has no known node."""
        rows = self.way_rows(number)
        rows = rows[rows >= 0]
        rows = rows[np.isfinite(self.x[rows])]
        return np.column_stack([self.x[rows], self.y[rows], self.z[rows]]) if len(rows) else None

    def way_nodes(self, number: int) -> list[int]:
        """Node ids of a way."""
        found: list[int] = self.ways.nodes(number).tolist()
        return found

    def way_rows(self, number: int) -> Ints:
        """Rows of a way's nodes, -1 for those that are not in the file."""
        return self.rows(self.ways.nodes(number))


@dataclass(slots=True)
class _Columns:
    ids: array[int] = field(default_factory=lambda: array("q"))
    x: array[float] = field(default_factory=lambda: array("d"))
    y: array[float] = field(default_factory=lambda: array("d"))
    z: array[float] = field(default_factory=lambda: array("d"))
    local: dict[str, tuple[array[int], array[float], array[float]]] = field(default_factory=dict)
    """by MGRS code (five characters): rows and local metres"""
    ways: array[int] = field(default_factory=lambda: array("q"))
    counts: array[int] = field(default_factory=lambda: array("q"))
    refs: array[int] = field(default_factory=lambda: array("q"))


def build(document: Document, *, local: bool, grid: str = "") -> Index:
    """Read a file once.

    Args:
        local: the coordinates are the tags local_x and local_y, else the attributes lon and lat.
        grid: the 100-km square of MGRS of nodes that name none themselves.
    """
    columns = _Columns()
    relations: dict[int, tuple[str, Members]] = {}
    twice: list[int] = []
    for element in document.elements():
        number = number_of(element.attributes.get("id", ""))
        if number is None:
            continue
        if element.kind == "node":
            _add_node(columns, number, element, None if local else grid)
        elif element.kind == "way":
            known = [ref for text in element.refs if (ref := number_of(text)) is not None]
            columns.ways.append(number)
            columns.counts.append(len(known))
            columns.refs.extend(known)
        else:
            if number in relations:
                twice.append(number)
            relations[number] = (element.tags.get("type", ""), element.members)
    return _finished(columns, relations, twice, local=local)


def _add_node(columns: _Columns, number: int, element: Element, grid: str | None) -> None:
    """Add a node; without `grid` its place is in local metres."""
    tags = element.tags
    if grid is None:
        lon, lat = float_of(tags.get("local_x")), float_of(tags.get("local_y"))
    else:
        lon, lat = degrees_of(element)
        code = tags.get("mgrs_code", "") or grid
        if code and "local_x" in tags:
            rows, east, north = columns.local.setdefault(code[:5], (array("q"), array("d"), array("d")))
            rows.append(len(columns.ids))
            east.append(float_of(tags.get("local_x")))
            north.append(float_of(tags.get("local_y")))
    columns.ids.append(number)
    columns.x.append(lon)
    columns.y.append(lat)
    columns.z.append(float_of(tags.get("ele")))


def _finished(columns: _Columns, relations: dict[int, tuple[str, Members]], twice: list[int], *, local: bool) -> Index:
    ids, way_ids, counts, refs = (np.array(values, dtype=np.int64) for values in (columns.ids, columns.ways, columns.counts, columns.refs))
    x, y, z = (np.array(values, dtype=np.float64) for values in (columns.x, columns.y, columns.z))
    ways = WayTable.of(way_ids, counts, refs)
    places = Places(x, y)
    if not local:
        for code, (rows, east, north) in columns.local.items():
            _by_square(places, code, np.array(rows, dtype=np.int64), np.array(east), np.array(north))
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero(np.diff(ids[order]) == 0)
    duplicates = [f"node/{number}" for number in ids[order][again].tolist()]
    duplicates += [*(f"way/{number}" for number in ways.twice()), *(f"relation/{number}" for number in twice)]
    index = Index(ids[order], x[order], y[order], z[order], ways, relations, referred(relations), duplicates)
    index.guessed, index.codes, index.disagree = places.guessed, places.codes, places.disagree
    index.heights = int(np.isfinite(z).sum())
    index.lost = int((~np.isfinite(x) | ~np.isfinite(y)).sum())
    return index


@dataclass(slots=True)
class Places:
    """Degrees of the nodes in the order of the file, while those of MGRS squares are settled; what was found as in `Index`."""

    x: Floats
    y: Floats
    guessed: int = 0
    codes: set[str] = field(default_factory=set)
    disagree: tuple[int, float] = (0, 0.0)


def _by_square(places: Places, code: str, rows: Ints, east: Floats, north: Floats) -> None:
    """Place the nodes of one MGRS square that have no degrees, and compare the others with theirs."""
    found = square(code)
    missing = ~np.isfinite(places.x[rows]) | ~np.isfinite(places.y[rows])
    if found is None:
        places.codes.add(code)
        return
    lon, lat = lonlat(found.easting + east, found.northing + north, found.crs)
    places.guessed += int((missing & np.isfinite(lon)).sum())
    away = np.hypot((lon - places.x[rows]) * np.cos(np.radians(lat)), lat - places.y[rows]) * 111_320.0
    far = ~missing & (away > 0.1)
    if far.any():
        places.disagree = (places.disagree[0] + int(far.sum()), max(places.disagree[1], float(away[far].max())))
    places.x[rows[missing]], places.y[rows[missing]] = lon[missing], lat[missing]


def referred(relations: Mapping[int, tuple[str, Members]]) -> dict[int, int]:
    """Regulatory element -> the first lanelet that names it."""
    found: dict[int, int] = {}
    for number, (_, members) in relations.items():
        for target in _of_role(members, "regulatory_element"):
            found.setdefault(target, number)
    return found


def _of_role(members: Iterable[tuple[str, str, str]], role: str) -> list[int]:
    return [n for kind, ref, named in members if kind == "relation" and named == role and (n := number_of(ref)) is not None]
