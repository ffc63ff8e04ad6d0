"""Proportions: a layer of which one feature makes most of the length, area or number of cells is named with that feature.

It may be right (one motorway among driveways); it is what a wrong coordinate, a wrong unit or an outline round the whole map looks like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.checks.jumps import PathSegments
from ingest.findings import warning
from ingest.placing.move import Floats, Shapes
from mapex.catalogue.finding import Finding
from tiles.batch import Batch
from tiles.grid.grid import tile_xy

RATIO = 100.0
"""The largest feature is out of proportion when it is so many times the usual one, and makes more than half of the whole."""
FEWEST = 5
_M2 = 111_320.0**2


class Measure(StrEnum):
    """What is compared."""

    LENGTH = "length"
    AREA = "area"
    CELLS = "number of cells"


LEAST: dict[Measure, float] = {Measure.LENGTH: 2_000.0, Measure.AREA: 1_000_000.0, Measure.CELLS: 50.0}
"""Below this (m, m2, cells), the largest feature of a layer costs nobody much."""
_UNITS: dict[Measure, tuple[float, str]] = {Measure.LENGTH: (1e-3, " km"), Measure.AREA: (1e-6, " km²"), Measure.CELLS: (1.0, "")}


@dataclass(slots=True)
class _Sizes:
    """The sizes of all features of a layer that have any, and the id and place of the largest one."""

    runs: list[NDArray[np.float32]] = field(default_factory=list)
    largest: float = 0.0
    feature: str = ""
    spot: tuple[float, float] = (0.0, 0.0)

    def add(self, batch: Batch, shapes: Shapes, sizes: Floats) -> None:
        self.runs.append(sizes[sizes > 0].astype(np.float32))
        row = int(sizes.argmax())
        if sizes[row] > self.largest:
            self.largest, self.feature = float(sizes[row]), str(batch.table.column("feature_id")[row])
            first = shapely.get_coordinates(shapes[row])[0]
            self.spot = (float(first[0]), float(first[1]))


@dataclass(slots=True)
class Proportions:
    """Looks at the sizes of the features of one source, batch by batch (12 bytes a feature); `findings` in the end."""

    _sizes: dict[tuple[str, Measure], _Sizes] = field(default_factory=dict)

    def look(self, batch: Batch, shapes: Shapes, found: PathSegments) -> None:
        """Take the features of a batch in. `found`: their segments."""
        rows = batch.table.num_rows
        box = shapely.bounds(shapes)
        # Geometries are moved to the equator's scale by their own latitude: good to a few percent, which no rule here depends on.
        area = shapely.area(shapes) * _M2 * np.cos(np.radians(np.nan_to_num((box[:, 1] + box[:, 3]) / 2)))
        measures = {
            Measure.LENGTH: np.bincount(found.row, weights=found.metres, minlength=rows),
            Measure.AREA: area,
            Measure.CELLS: _cells(box),
        }
        for measure, sizes in measures.items():
            self._sizes.setdefault((batch.layer, measure), _Sizes()).add(batch, shapes, np.nan_to_num(sizes))

    def findings(self, file: str) -> Iterator[Finding]:
        """A warning for each layer and measure that is out of proportion."""
        for (layer, measure), sizes in sorted(self._sizes.items()):
            all_sizes = np.concatenate(sizes.runs)
            if len(all_sizes) < FEWEST or sizes.largest <= LEAST[measure]:
                continue
            total = float(all_sizes.sum(dtype=np.float64))
            if sizes.largest > total / 2 and sizes.largest > RATIO * float(np.median(all_sizes)):
                factor, unit = _UNITS[measure]
                shown = f"{sizes.largest * factor:,.1f}".removesuffix(".0") + unit
                text = f"One of {len(all_sizes)} features makes {sizes.largest / total:.0%} of the {measure} of the layer: {shown}."
                place = {"feature": sizes.feature, "value": shown, "lon": sizes.spot[0], "lat": sizes.spot[1]}
                yield warning("layer.proportion", text, "Check this feature on the map.", file=file, layer=layer, **place)


def _cells(box: Floats) -> Floats:
    """About how many cells the boxes of features reach over: their longer side, so that a line across the map counts as one."""
    whole = np.nan_to_num(box)
    west, north = tile_xy(whole[:, 0], whole[:, 3])
    east, south = tile_xy(whole[:, 2], whole[:, 1])
    return np.asarray(np.maximum(np.abs(east - west), np.abs(south - north)), dtype=np.float64)
