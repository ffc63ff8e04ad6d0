"""What several sources of one upload, file or folder gave together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ingest.cage.answer import SourceReport
from ingest.findings import error
from mapex.catalogue.draft import Counts, DraftLayer, weakest
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known
from tiles.box import Box


@dataclass(frozen=True, slots=True)
class Merged:
    """The reports of some sources, in their order; their layers by name, each filled by one source or more.

    `mixed`: layers that two sources fill with different content; the content of the first stays.
    """

    reports: tuple[SourceReport, ...]
    layers: Mapping[str, DraftLayer]
    mixed: tuple[Finding, ...]

    @staticmethod
    def of(named: Iterable[tuple[str, SourceReport]]) -> Merged:
        """The reports, each with the name of its source."""
        reports: list[SourceReport] = []
        layers: dict[str, DraftLayer] = {}
        mixed: list[Finding] = []
        for source, report in named:
            reports.append(report)
            for name, fresh in report.layers.items():
                known = layers.setdefault(name, fresh)
                if (known.kind, known.content) != (fresh.kind, fresh.content):
                    text = f"{source} fills layer {name} with {fresh.content}, another source with {known.content}."
                    mixed.append(error("layer.mixed", text, "Upload them as two datasets.", file=source, layer=name))
                elif known is not fresh:
                    layers[name] = replace(known, facts=known.facts.with_source(fresh.facts))
        return Merged(tuple(reports), {name: layers[name] for name in sorted(layers)}, tuple(mixed))

    @property
    def counts(self) -> Counts:
        """Records of all layers of all sources."""
        return sum((layer.facts.counts for report in self.reports for layer in report.layers.values()), Counts())

    @property
    def box(self) -> Box | None:
        """(west, south, east, north) of everything in degrees WGS 84; None when nothing has a place."""
        return Box.around(layer.facts.box for layer in self.layers.values() if layer.facts.box is not None)

    @property
    def crs_source(self) -> Known:
        """How the place of the least well known source is known."""
        return weakest(*(report.placed.crs_source for report in self.reports))


def layer_as_json(layer: DraftLayer, tiles: int | None = None) -> dict[str, Any]:
    """A layer as `mapex tile` (with the number of its tiles) and `mapex inspect` print it."""
    return {
        "name": layer.name,
        "kind": str(layer.kind),
        "content": str(layer.content),
        **({} if tiles is None else {"tiles": tiles}),
        "counts": asdict(layer.facts.counts),
        "box": layer.facts.box,
        "crs": layer.facts.crs,
        "crs_source": str(layer.facts.crs_source),
        "height_datum": layer.facts.height_datum,
        "height_source": str(layer.facts.height_source),
        "accuracy_m": layer.facts.accuracy_m,
        "captured": layer.facts.captured or None,
    }
