"""The ground that is bought: squares of the grid, each once however many layers are sold on it, and files, of which there may be more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from mapex.prices.estimate import NO_SQUARES, Estimate, Pin, Squares
from mapex.prices.request import NO_CELLS
from mapex.pyramid import grounds
from tiles.arrays import UInt64s
from tiles.grid.cover import Cover


def of(conn: Connection, estimate: Estimate) -> Squares:
    """What an estimate prices."""
    found = _sold(conn, estimate.pins, estimate.areas)
    ground, files = _together([cover for cover, _ in found]), sum(files for _, files in found)
    return Squares(ground.count, ground.area_m2, files) if files else NO_SQUARES


def on_offer(conn: Connection, pins: Sequence[Pin], areas: Sequence[UInt64s]) -> Cover:
    """The squares of an area in which something can be bought, chosen or not: asked for them alone, the price is the same."""
    return _together([cover for cover, _ in _sold(conn, pins, areas)])


def _sold(conn: Connection, pins: Sequence[Pin], areas: Sequence[UInt64s]) -> list[tuple[Cover, int]]:
    """The ground that may be bought of each area, and the files on it."""
    layers: dict[int, set[str]] = defaultdict(set)
    for pin in pins:
        layers[pin.area].add(pin.layer_id)
    return [grounds.inside(conn, sorted(of_area), Cover(areas[area])) for area, of_area in sorted(layers.items())]


def _together(covers: Sequence[Cover]) -> Cover:
    return covers[0] if len(covers) == 1 else Cover.from_ranges(np.concatenate([NO_CELLS.ranges, *(one.ranges for one in covers)]))
