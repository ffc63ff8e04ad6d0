"""One layer while it is read: its counts, its box, its times, and the splitter that cuts its tiles."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.fingerprint import Fingerprint
from mapex.catalogue.draft import Counts, Extent, widest
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box
from tiles.footage.clouds import CloudProof
from tiles.footage.doubts import Doubts, Unproven
from tiles.footage.tables import TableProof
from tiles.formats import Splitter, of_kind

if TYPE_CHECKING:
    from ingest.checks.screen import Screened
    from ingest.placing.move import Shapes


@dataclass(slots=True)
class LayerState:
    """What is known of a layer so far. `own` is the box of unplaced rows in the numbers of the file; times are UTC nanoseconds."""

    name: str
    kind: LayerKind
    content: Content
    read: int = 0
    placed: int = 0
    unplaced: int = 0
    rejected: int = 0
    box: Box | None = None
    own: Extent | None = None
    footage: bool = False
    heights: bool = False
    first_ns: int | None = None
    last_ns: int | None = None
    splitter: Splitter | None = None
    table_proof: TableProof = field(default_factory=TableProof)
    cloud_proof: CloudProof = field(default_factory=CloudProof)
    found: Doubts = field(default_factory=Doubts)

    def see(self, batch: Batch) -> None:
        """Count the rows of a batch as read."""
        self.read += batch.table.num_rows
        self.footage |= batch.content is Content.FRAMES and batch.meta.get("footage") != "no"
        if batch.content is Content.FEATURES:
            self.table_proof.take(batch.table)
        elif batch.content is Content.POINTS:
            columns = {name: column.to_numpy() for name, column in zip(batch.table.column_names, batch.table.columns, strict=True)}
            for name, why in self.cloud_proof.doubts(columns).items():
                self.found.add(f"column {name}", why)

    def doubts(self) -> list[Unproven]:
        """What of it may be a picture; of frames their reader says it itself."""
        return [*self.found.all(), *self.table_proof.doubts()]

    def keep_unplaced(self, batch: Batch) -> None:
        """Count all rows of a batch as unplaced, and remember where they are in the numbers of the file."""
        self.unplaced += batch.table.num_rows
        self.own = widest(self.own, _extent(batch))
        self.heights = self.heights or _has_heights(batch, None)

    def keep(self, screened: Screened) -> None:
        """Count what the screen left of a batch and what it took out."""
        self.placed += screened.batch.table.num_rows
        self.unplaced += screened.unplaced
        self.rejected += screened.rejected
        self.heights = self.heights or _has_heights(screened.batch, screened.shapes)
        self.widen(screened.box)
        if screened.times is not None:
            first, last = screened.times
            self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
            self.last_ns = last if self.last_ns is None else max(self.last_ns, last)

    def split(self, batch: Batch, out: Path, part: int) -> None:
        """Hand placed rows to the splitter of the layer, which writes below `out`."""
        if not batch.table.num_rows:
            return
        if self.splitter is None:
            self.splitter = of_kind(batch.kind).open_splitter(out, batch, part)
        self.splitter.add(batch)

    def widen(self, box: Box | None) -> None:
        """Take a box into the layer's own, which never runs over the 180 degree meridian."""
        for half in box.halves() if box is not None else ():
            self.box = self.box.joined(half) if self.box is not None else half

    def fingerprint(self) -> Fingerprint:
        """Of points, by their number and box; of other content nothing, which is taken from its records."""
        is_known = self.content is Content.POINTS and self.box is not None and all(map(math.isfinite, self.box))
        return Fingerprint.of_points(self.placed, self.box) if is_known and self.box is not None else Fingerprint()

    def as_json(self) -> dict[str, Any]:
        """The layer as the report of the cage holds it (`ingest.cage.answer.report_from_json`)."""
        is_finite = self.box is not None and all(map(math.isfinite, self.box))
        return {
            "kind": str(self.kind),
            "content": str(self.content),
            "counts": asdict(Counts(self.read, self.placed, self.unplaced, self.rejected)),
            "box": list(self.box) if self.box is not None and is_finite else None,
            "own": list(self.own) if self.own is not None else None,
            "footage": self.footage or bool(self.doubts()),
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }


def _has_heights(batch: Batch, shapes: Shapes | None) -> bool:
    """Whether a row of a batch has a height; `shapes` are its geometries where they are known already."""
    if batch.content is Content.POINTS:
        return bool(batch.table.num_rows)
    if batch.content is Content.FRAMES:
        heights = batch.table.column("h") if "h" in batch.table.column_names else None
        return heights is not None and heights.null_count < len(heights)
    import shapely

    from ingest.placing.move import shapes_of

    return bool(shapely.has_z(shapes_of(batch.table.column("geometry")) if shapes is None else shapes).any())


def _extent(batch: Batch) -> Extent | None:
    """Least x, least y, greatest x, greatest y of a batch as its source wrote them; None when it has none."""
    import numpy as np

    if batch.content is Content.FRAMES or not batch.table.num_rows:
        return None
    if batch.content is Content.POINTS:
        axes = [batch.table.column(name).to_numpy() for name in ("x", "y")]
    else:
        import shapely

        from ingest.placing.move import shapes_of

        coordinates = shapely.get_coordinates(shapes_of(batch.table.column("geometry")))
        axes = [coordinates[:, 0], coordinates[:, 1]]
    good = np.isfinite(axes[0]) & np.isfinite(axes[1])
    if not good.any():
        return None
    x, y = axes[0][good], axes[1][good]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
