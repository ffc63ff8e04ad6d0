"""A filter by ground finds exactly the entries whose tiles are on it, however the ground is named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mapex.atlas.grounds import read as ground_of
from mapex.atlas.grounds import region_of
from mapex.audit import log
from mapex.audit.log import Action, AuditEntry, EventFilter
from mapex.database import db
from mapex.errors import MapexError
from mapex.exchange import Exchange
from tests.support.exchange import a_person
from tests.support.market import block
from tiles.errors import TilesError
from tiles.grid import grid, scan

CELLS = block(6)


@pytest.fixture
def read(exchange: Exchange) -> Exchange:
    """Each tile of a block was read once; one entry has no tile."""
    entry = AuditEntry(Action.ACCESS_GRANTED, owner="hanbit", dataset="drive")
    buyer, tiles = a_person(exchange, "dongil"), ["", *(grid.quadkey(cell) for cell in CELLS)]
    with db.begin(exchange) as conn:
        log.append_many(conn, exchange, buyer, [replace(entry, tile=tile) for tile in tiles])
    return exchange


def found(ex: Exchange, region: str) -> set[str]:
    wanted = EventFilter(action="access", ground=ground_of(ex, region))
    return {event.tile for event in log.events(ex, a_person(ex, role="auditor"), wanted, limit=1000).events}


W, S, E, N = (
    min(grid.bounds(cell).west for cell in CELLS),
    min(grid.bounds(cell).south for cell in CELLS),
    max(grid.bounds(cell).east for cell in CELLS),
    max(grid.bounds(cell).north for cell in CELLS),
)
MIDDLE = (W + (E - W) * 0.4, S + (N - S) * 0.4)
OUTLINE = [(W, S), (MIDDLE[0], S), (W, MIDDLE[1])]


@pytest.mark.parametrize(
    "region",
    [
        f"{W},{S},{MIDDLE[0]},{MIDDLE[1]}",
        ";".join(f"{lon},{lat}" for lon, lat in OUTLINE),
        json.dumps({"type": "Polygon", "coordinates": [[*OUTLINE, OUTLINE[0]]]}),
        f"{MIDDLE[0]},{MIDDLE[1]}",
        f"{W - 1},{S - 1},{E + 1},{N + 1}",
        "0,0,1,1",
        "41",  # the division of Korea of this code
    ],
)
def test_the_entries_of_a_region_are_those_whose_tiles_are_on_it(read: Exchange, region: str) -> None:
    inside = scan.cover(region_of(read, region)).contains(np.array(CELLS, np.uint64)).tolist()
    assert found(read, region) == {grid.quadkey(cell) for cell, holds in zip(CELLS, inside, strict=True) if holds}


def test_a_crossing_at_a_corner_of_tiles_has_all_four(read: Exchange) -> None:
    box = grid.bounds(sorted(CELLS)[0])
    corner = f"{box.east},{box.south}"
    there = {grid.quadkey(int(cell)) for cell in scan.cover(region_of(read, corner)).cells()}
    assert len(there) == 4
    assert found(read, corner) == there & {grid.quadkey(cell) for cell in CELLS}


@pytest.mark.parametrize(
    ("region", "code"),
    [
        ("1,2,3", "audit.region"),
        ("1,2;3,4", "audit.region"),
        ("1,2,x", "place.unknown"),
        ("500,2", "audit.region"),
        ("no such place", "place.unknown"),
        ("2,2,1,1", "region.out_of_range"),
        ("-170,-80,170,80", "region.too_winding"),
        ("{}", "region.malformed"),
        (";".join(["127.1,37.4"] * 2000), "audit.region"),
    ],
)
def test_a_region_that_cannot_be_read_is_refused_with_what_to_do(exchange: Exchange, region: str, code: str) -> None:
    with pytest.raises((MapexError, TilesError)) as refused:
        found(exchange, region)
    assert isinstance(refused.value, MapexError | TilesError)
    assert refused.value.code == code
