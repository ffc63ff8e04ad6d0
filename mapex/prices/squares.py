"""The ground that is bought: squares of the grid, each once however many layers are sold on it, and files, of which there may be more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from mapex.prices.estimate import NO_SQUARES, Estimate, Pin, Squares
from mapex.prices.request import NO_CELLS
from mapex.pyramid import grounds
from tiles.arrays import UInt64s
from tiles.grid import grid
from tiles.grid.cover import Cover


@dataclass(frozen=True, slots=True)
class _Sold:
    """The ground of a layer that may be bought, and how many files it is."""

    cover: Cover
    files: int


def of(conn: Connection, estimate: Estimate) -> Squares:
    """What an estimate prices."""
    sold = _sold(conn, estimate.pins, estimate.areas)
    if not sold:
        return NO_SQUARES
    cells = _together([one.cover for one in sold]).cells()
    return Squares(len(cells), float(grid.area_m2(cells).sum()), sum(one.files for one in sold))


def on_offer(conn: Connection, pins: Sequence[Pin], areas: Sequence[UInt64s]) -> Cover:
    """The squares of an area in which something can be bought, chosen or not: asked for them alone, the price is the same."""
    return _together([one.cover for one in _sold(conn, pins, areas)])


def _sold(conn: Connection, pins: Sequence[Pin], areas: Sequence[UInt64s]) -> list[_Sold]:
    found = grounds.of(conn, sorted({pin.layer_id for pin in pins}))
    inside = [(found[pin.layer_id], Cover(areas[pin.area])) for pin in pins]
    return [_Sold(ground.cover.intersection(area), ground.files_in(area)) for ground, area in inside]


def _together(covers: Sequence[Cover]) -> Cover:
    return Cover.from_ranges(np.concatenate([NO_CELLS.ranges, *(one.ranges for one in covers)]))
