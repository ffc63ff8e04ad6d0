"""The regions in which something is on offer, the largest first, and where a map opens.

A region is a city, county or district of Korea; elsewhere what lies near each other. Only what the map shows is counted
(`mapex.pyramid.shown`), so that nothing here tells of what is withdrawn, suspended or masked.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from mapex.atlas import lookup, naming
from mapex.atlas.naming import Named
from mapex.database import db
from mapex.errors import Unavailable
from mapex.exchange import Exchange
from tiles.box import Box
from tiles.grid import grid
from tiles.grid.grid import ZOOM

EXACT = 20_000
"""Squares up to which each is looked at; of more, sums of 16 are."""
SUMMED = 14
NEAR = 9
"""Zoom whose neighbouring cells (some 60 km wide) are one region abroad."""
TOGETHER = 12
"""Zoom whose neighbouring cells (some 8 km wide) are seen in one view."""
WIDEST = 1.0  # degrees of a view in which single squares are still seen
_AROUND = 0.01  # degrees around a home that is a point

_State = tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class OnOffer:
    """A region: what it is called, how many squares have something on offer, and where these are."""

    named: Named
    squares: int
    box: Box
    middle: tuple[int, int]
    """The covered cell next to the middle of it, and its zoom."""


def regions(ex: Exchange) -> Sequence[OnOffer]:
    """All regions with something on offer, the most squares first."""
    return _seen(ex)[0]


def home(ex: Exchange) -> Box | None:
    """Where a map opens that nothing else aims: the configured home, else where most squares lie together, else nowhere."""
    if ex.settings.home and (box := _home(ex)):
        return box
    return _seen(ex)[1]


def example(ex: Exchange) -> Box | None:
    """An area of up to four sale cells in the middle of the largest region; None when nothing is on offer."""
    largest = next(iter(regions(ex)), None)
    if largest is None:
        return None
    cell, z = largest.middle
    if z < ZOOM - 1:
        fullest = text("SELECT cell FROM kind_sum WHERE z = :z AND cell >= :lo AND cell < :hi ORDER BY cells DESC, cell LIMIT 1")
        lo, hi = grid.children(cell, z, ZOOM - 1)
        with db.read(ex) as conn:
            cell, z = int(conn.execute(fullest, {"z": ZOOM - 1, "lo": lo, "hi": hi}).scalar() or lo), ZOOM - 1
    return grid.bounds(grid.parent(cell, z, ZOOM - 1), ZOOM - 1)


_Seen = tuple[Sequence[OnOffer], Box | None]
_known: dict[str, tuple[_State, _Seen]] = {}
"""What was found last in each database, and in which state of what is on offer."""


def _seen(ex: Exchange) -> _Seen:
    """The regions, and where most squares lie together."""
    with db.read(ex) as conn:
        state = _state(conn)
        known = _known.get(str(ex.engine.url))
        if known and known[0] == state:
            return known[1]
        z, squares = _squares(conn)
    found = sorted((_region(ex, z, cells, squares) for cells in _groups(ex, z, squares)), key=lambda one: (-one.squares, one.box))
    _known[str(ex.engine.url)] = state, (found, _densest(z, squares, found))
    return _known[str(ex.engine.url)][1]


def _densest(z: int, squares: Mapping[int, int], found: Sequence[OnOffer]) -> Box | None:
    """Around the most squares that lie together; of a province or more of them, around the largest region."""
    near: dict[int, list[int]] = defaultdict(list)
    for cell in squares:
        near[grid.parent(cell, z, TOGETHER)].append(cell)
    groups = sorted(_joined(near, TOGETHER), key=lambda cells: (-sum(squares[cell] for cell in cells), min(cells)))
    if not groups:
        return None
    box = Box.around(grid.bounds(cell, z) for cell in groups[0])
    return box if box and max(box.width, box.height) <= WIDEST else found[0].box


def _state(conn: Connection) -> _State:
    """What changes with everything that comes on offer or goes: sums of the coarsest cells, and the offers themselves."""
    sums = conn.execute(text("SELECT cell, kind, cells, seen_ns, quality FROM kind_sum WHERE z = 6 ORDER BY cell, kind")).all()
    shown = conn.execute(text("SELECT COUNT(*), MIN(layer_id), MAX(layer_id) FROM shown_layer")).all()
    return tuple(tuple(row) for row in (*sums, *shown))


def _squares(conn: Connection) -> tuple[int, dict[int, int]]:
    """Covered cells, of the sale zoom or of a coarser one, each with the sale cells in it that have something on offer."""
    fine = conn.execute(text(f"SELECT DISTINCT cell FROM kind_sum WHERE z = {ZOOM} LIMIT {EXACT + 1}")).scalars().all()
    if len(fine) <= EXACT:
        return ZOOM, dict.fromkeys(map(int, fine), 1)
    parts = 4 ** (ZOOM - SUMMED)
    sums = conn.execute(
        text(f"SELECT cell / {parts} AS parent, COUNT(DISTINCT cell) FROM kind_sum WHERE z = {ZOOM} GROUP BY cell / {parts}")
    )
    return SUMMED, {int(cell): int(count) for cell, count in sums}


def _groups(ex: Exchange, z: int, squares: Mapping[int, int]) -> Iterable[list[int]]:
    """Cells of one region each."""
    named = naming.divisions_of(ex, list(squares), z)
    korean: dict[tuple[str, ...], list[int]] = defaultdict(list)
    abroad: dict[int, list[int]] = defaultdict(list)
    for cell in squares:
        if names := named[cell]:
            korean[names].append(cell)
        else:
            abroad[grid.parent(cell, z, NEAR)].append(cell)
    yield from korean.values()
    yield from _joined(abroad, NEAR)


def _joined(cells: Mapping[int, list[int]], z: int) -> Iterable[list[int]]:
    """Cells of coarse cells (of zoom `z`) that touch each other, together."""
    left = set(cells)
    while left:
        todo, found = [left.pop()], []
        while todo:
            at = todo.pop()
            found += cells[at]
            near = left & set(grid.neighbours(at, z))
            left -= near
            todo += near
        yield found


def _region(ex: Exchange, z: int, cells: Sequence[int], squares: Mapping[int, int]) -> OnOffer:
    ordered = sorted(cells)
    box = Box.around(grid.bounds(cell, z) for cell in ordered)
    named = naming.of_cells(ex, ordered, z)
    assert box is not None and named is not None
    return OnOffer(named, sum(squares[cell] for cell in ordered), box, (_central(ordered, z, box), z))


def _central(cells: Sequence[int], z: int, box: Box) -> int:
    """The cell next to the middle of all, so that an example lies where there is most around it."""
    lon, lat = (box.west + box.east) / 2, (box.south + box.north) / 2

    def distance(cell: int) -> float:
        one = grid.bounds(cell, z)
        return (one.west + one.east - 2 * lon) ** 2 + (one.south + one.north - 2 * lat) ** 2

    return min(cells, key=distance)


def _home(ex: Exchange) -> Box | None:
    """The configured home as a box; None, and a line in the log, when it is nowhere."""
    try:
        return _placed(ex, ex.settings.home)
    except Unavailable as error:
        logging.getLogger("mapex").warning("%s", error)
        return None


def _placed(ex: Exchange, home: str) -> Box | None:
    numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", home)]
    if len(numbers) == len(Box._fields) and not re.search(r"[^\d\s.,;-]", home):
        return Box(*numbers)
    found = lookup.find(ex, home, limit=1)
    if not found:
        raise Unavailable("home.unknown", f"`home` is {home!r}, which is no known place. Write it as the search shows it.")
    place = found[0].place
    return Box(*place.box) if place.box else Box(place.lon - _AROUND, place.lat - _AROUND, place.lon + _AROUND, place.lat + _AROUND)
