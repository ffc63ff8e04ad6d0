"""What a buyer asks the price of: the cells of an area, which layers of which dataset, and what for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mapex.errors import Invalid
from mapex.rules import licences
from mapex.rules.choice import BY_RULE, Choice
from tiles.arrays import Float64s, UInt64s
from tiles.grid import grid
from tiles.grid.borders import on_borders
from tiles.grid.cover import Cover
from tiles.grid.fractions import fractions
from tiles.grid.region import Region
from tiles.grid.scan import cover

Area = Region | Cover

MAX_CELLS = 400_000
"""Sale cells of one request: about the whole of South Korea; more is a mistake or an attack."""

NO_CELLS = Cover(np.zeros((0, 2), np.uint64))

EDGE_FRACTION = 0.05
"""A tile with less than this part of its ground in the area was hardly meant: an edge tile."""


@dataclass(frozen=True, slots=True)
class EdgeTiles:
    """The tiles of which less than `EDGE_FRACTION` is in the area. Unless they are `left_out`, they are sold with the others."""

    cells: Cover = NO_CELLS
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """A checked request; None means all layers, all datasets, no purpose named yet.

    `cover` are the tiles to be sold, the `edge` tiles among them unless they are left out. `region` is the area as it was drawn
    (GeoJSON, WGS 84); None where cells were named. `choice` is what is bought of several that sell the same. `lists_squares`: the
    squares in which something is on offer are wanted too.
    """

    cover: Cover
    area_m2: float
    layers: frozenset[str] | None = None
    dataset: str | None = None
    purpose: str | None = None
    edge: EdgeTiles = field(default_factory=EdgeTiles)
    region: Mapping[str, Any] | None = None
    choice: Choice = BY_RULE
    lists_squares: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """What a quote keeps of it, as JSON values."""
        kept: dict[str, Any] = {"region": self.region, "layers": sorted(self.layers) if self.layers else None, "dataset": self.dataset}
        return kept if self.choice == BY_RULE else {**kept, "choice": self.choice.document}


def of_area(
    area: Area,
    *,
    layers: Sequence[str] | None = None,
    dataset: str | None = None,
    purpose: str | None = None,
    without: UInt64s | None = None,
    leave_edge: bool = False,
    choice: Choice = BY_RULE,
) -> PriceRequest:
    """The request for an area.

    Args:
        layers: names or kinds of layers; None = all.
        dataset: slug, or `org/slug` where two organisations use the same slug.
        purpose: None = any: permits and licences are then judged for the best purpose that the buyer could name.
        without: sale cells that are not wanted.
        leave_edge: nor the edge tiles. Of an area that is small in every tile it touches, no tile is one.
        choice: what is bought of several that sell the same.
    Raises: Invalid: `purpose.unknown`, `region.too_large`.
    """
    if purpose is not None:
        licences.check_purpose(purpose)
    ground = on_borders(area) if isinstance(area, Region) else area
    cells = cover(ground) if isinstance(ground, Region) else ground
    if cells.count > MAX_CELLS:
        raise Invalid("region.too_large", f"The area has {cells.count} cells; ask for at most {MAX_CELLS} at a time.", cells=cells.count)
    dropped = NO_CELLS if without is None else Cover.from_cells(without).intersection(cells)
    kept = cells.difference(dropped)
    edge, area_m2 = _edge_of(ground, dropped) if isinstance(ground, Region) else (NO_CELLS, kept.area_m2)
    if edge.count == kept.count:
        edge = NO_CELLS
    return PriceRequest(
        cover=kept.difference(edge) if leave_edge else kept,
        area_m2=area_m2,
        layers=frozenset(layers) if layers else None,
        dataset=dataset,
        purpose=purpose,
        edge=EdgeTiles(edge, leave_edge),
        region=area.geojson if isinstance(area, Region) else None,
        choice=choice,
    )


def _edge_of(region: Region, dropped: Cover) -> tuple[Cover, float]:
    """The edge tiles of a region that are not dropped, and its ground in m2 without what is."""
    cut, fraction = fractions(region)
    edge = Cover.from_cells(cut[fraction < EDGE_FRACTION]).difference(dropped)
    return edge, region.area_m2 - _inside_m2(dropped, cut, fraction)


def _inside_m2(cells: Cover, cut: UInt64s, fraction: Float64s) -> float:
    """Ground of the cells in the area whose outline cuts the cells `cut`, of each of which a `fraction` is inside."""
    inside = cells.cells()
    if not len(inside):
        return 0.0
    at = np.minimum(np.searchsorted(cut, inside), max(len(cut) - 1, 0))
    part = np.where(cut[at] == inside, fraction[at], 1.0) if len(cut) else np.ones(len(inside))
    return float((grid.area_m2(inside) * part).sum())
