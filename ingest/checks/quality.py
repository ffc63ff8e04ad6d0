"""The quality of placed features: what a buyer would stumble over. It only reports; nothing is changed or left out here.

Errors forbid publication, warnings lower a score. What has no place at all was taken out before, by `ingest.checks.screen`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.checks.jumps import Jumps, PathSegments, segments
from ingest.checks.links import Links
from ingest.checks.proportions import Proportions
from ingest.findings import warning
from ingest.placing.move import Shapes
from mapex.catalogue.finding import Finding
from tiles.batch import Batch, Content

LOWEST_M, HIGHEST_M = -500.0, 9_000.0
"""Heights on land: the shore of the Dead Sea is at -430 m, Mount Everest at 8,849 m."""
STEP_M = 50.0
"""A difference of height between two neighbouring vertices that no road has."""
STEP_ALONG_M = 20.0
_EXAMPLES = 20

Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Quality:
    """Reports on the batches of one source, remembering ids (8 bytes each) and the ends of links. `look` at each, then `finish`."""

    file: str = ""
    _seen: dict[str, list[NDArray[np.uint64]]] = field(default_factory=dict)
    _jumps: Jumps = field(default_factory=Jumps)
    _proportions: Proportions = field(default_factory=Proportions)
    _links: Links = field(default_factory=Links)

    def look(self, batch: Batch, shapes: Shapes) -> Iterator[Finding]:
        """Findings of one screened batch. `shapes` = its geometries; batches of points and frames have none, and no findings here."""
        if batch.content is not Content.FEATURES or not batch.table.num_rows:
            return
        yield from self._ids(batch)
        yield from self._shapes(batch, shapes)
        yield from self._vertices(batch, shapes)
        found = segments(shapes)
        yield from self._steps(batch, found)
        self._jumps.look(batch, found)
        self._proportions.look(batch, shapes, found)
        self._links.take(batch, shapes)

    def finish(self) -> Iterator[Finding]:
        """Findings that need the whole source: segments that are far longer than others, links whose nodes are missing or exchanged."""
        yield from self._jumps.findings(self.file)
        yield from self._proportions.findings(self.file)
        yield from self._links.findings(self.file)

    def _ids(self, batch: Batch) -> Iterator[Finding]:
        ids = batch.table.column("feature_id").to_pylist()
        hashes = np.fromiter((hash(name) & 0xFFFFFFFFFFFFFFFF for name in ids), dtype=np.uint64, count=len(ids))
        order = np.argsort(hashes, kind="stable")
        again = np.zeros(len(ids), dtype=bool)
        again[order[1:]] = hashes[order[1:]] == hashes[order[:-1]]
        runs = self._seen.setdefault(batch.layer, [])
        for run in runs:
            at = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            again |= run[at] == hashes
        runs.append(hashes[order])
        while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):  # few runs of growing size: each id is merged log n times
            runs[-2:] = [np.sort(np.concatenate(runs[-2:]))]
        yield from self._report(batch, again, "id.duplicate", "This id comes more than once.", "Give every feature its own id.")

    def _shapes(self, batch: Batch, shapes: Shapes) -> Iterator[Finding]:
        areal = np.isin(shapely.get_type_id(shapes), (3, 6, 7))
        invalid = np.zeros(len(shapes), dtype=bool)
        invalid[areal] = ~shapely.is_valid(shapes[areal])
        yield from self._report(
            batch,
            invalid,
            "geometry.invalid",
            "The polygon crosses itself or its rings do not fit; it is kept as it is.",
            "Repair the outline.",
            lambda row: str(shapely.is_valid_reason(shapes[row]))[:120],
        )
        linear = np.isin(shapely.get_type_id(shapes), (1, 5))
        still = linear & (shapely.length(shapes) == 0)
        for row in np.flatnonzero(
            still & shapely.has_z(shapes)
        ).tolist():  # upright things (signals, posts) are lines without length on the map
            still[row] = bool(np.ptp(shapely.get_coordinates(shapes[row], include_z=True)[:, 2]) == 0)
        yield from self._report(batch, still, "geometry.zero_length", "The line has no length.", "Remove it, or give it its second end.")

    def _vertices(self, batch: Batch, shapes: Shapes) -> Iterator[Finding]:
        coordinates, owner = shapely.get_coordinates(shapes, include_z=True, return_index=True)
        if not len(coordinates):
            return
        height = coordinates[:, 2]
        with np.errstate(invalid="ignore"):
            odd = (height < LOWEST_M) | (height > HIGHEST_M)
        rows = _rows(owner[odd], len(shapes))
        worst = {int(row): float(value) for row, value in zip(owner[odd][::-1], height[odd][::-1], strict=True)}
        text = f"A height is outside of {LOWEST_M:g} .. {HIGHEST_M:g} m."
        yield from self._report(
            batch, rows, "height.implausible", text, "Check its unit and its no-data value.", lambda row: f"{worst[row]:g}"
        )
        gone = np.isnan(height) & shapely.has_z(shapes)[owner]
        text = "A vertex of a 3D geometry has no height."
        yield from self._report(batch, _rows(owner[gone], len(shapes)), "height.missing", text, "Give every vertex a height.")

    def _steps(self, batch: Batch, found: PathSegments) -> Iterator[Finding]:
        with np.errstate(invalid="ignore"):
            steep = (np.abs(found.rise) > STEP_M) & (found.metres < STEP_ALONG_M)
        text = f"The height jumps by more than {STEP_M:g} m between neighbouring vertices."
        yield from self._report(batch, _rows(found.row[steep], batch.table.num_rows), "height.jump", text, "Correct the height.")

    def _report(
        self, batch: Batch, rows: Flags, code: str, text: str, fix: str, value: Callable[[int], str] = lambda _row: ""
    ) -> Iterator[Finding]:
        """One warning a row for the first of them, one for all the rest."""
        numbers = np.flatnonzero(rows).tolist()
        where: dict[str, Any] = {"file": self.file, "layer": batch.layer}
        for row in numbers[:_EXAMPLES]:
            lon, lat = _spot(batch, row)
            name = str(batch.table.column("feature_id")[row])
            yield warning(code, text, fix, feature=name, value=value(row), lon=lon, lat=lat, **where)
        if len(numbers) > _EXAMPLES:
            yield warning(code, text, fix, count=len(numbers) - _EXAMPLES, **where)


def _rows(owner: NDArray[Any], count: int) -> Flags:
    rows = np.zeros(count, dtype=bool)
    rows[owner] = True
    return rows


def _spot(batch: Batch, row: int) -> tuple[float | None, float | None]:
    """The first vertex of a feature, for the map of findings."""
    wkb = batch.table.column("geometry")[row].as_py()
    first = shapely.get_coordinates(shapely.from_wkb(wkb))[:1] if wkb is not None else np.zeros((0, 2))
    return (float(first[0, 0]), float(first[0, 1])) if len(first) else (None, None)
