"""What several sources of one upload, file or folder gave together; the same data twice counts once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from ingest.cage.answer import SourceReport
from ingest.findings import error
from ingest.fingerprint import Fingerprint
from mapex.catalogue.draft import Counts, DraftLayer, weakest
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known
from tiles.box import Box


@dataclass(frozen=True, slots=True)
class Merged:
    """The reports of some sources, in their order; their layers by name, each filled by one source or more.

    `findings`: what is wrong with them together: layers that two sources fill with different content (that of the first stays), sources
    that hold the same data (`repeated`, by their place in the order; they are in no layer and no count).
    """

    reports: tuple[SourceReport, ...]
    layers: Mapping[str, DraftLayer]
    findings: tuple[Finding, ...]
    repeated: frozenset[int] = frozenset()

    @staticmethod
    def of(named: Iterable[tuple[str, SourceReport]]) -> Merged:
        """The reports, each with the name of its source."""
        named = list(named)
        same = _same(named)
        layers: dict[str, DraftLayer] = {}
        mixed: list[Finding] = []
        for number, (source, report) in enumerate(named):
            for name, fresh in ({} if number in same else report.layers).items():
                known = layers.setdefault(name, fresh)
                if (known.kind, known.content) != (fresh.kind, fresh.content):
                    text = f"{source} fills layer {name} with {fresh.content}, another source with {known.content}."
                    mixed.append(error("layer.mixed", text, "Upload them as two datasets.", file=source, layer=name))
                elif known is not fresh:
                    layers[name] = replace(known, facts=known.facts.with_source(fresh.facts))
        found = (*same.values(), *mixed)
        return Merged(tuple(report for _, report in named), {name: layers[name] for name in sorted(layers)}, found, frozenset(same))

    @property
    def counted(self) -> list[SourceReport]:
        """The reports of the sources that count."""
        return [report for number, report in enumerate(self.reports) if number not in self.repeated]

    @property
    def counts(self) -> Counts:
        """Records of all layers of all sources."""
        return sum((layer.facts.counts for report in self.counted for layer in report.layers.values()), Counts())

    @property
    def box(self) -> Box | None:
        """(west, south, east, north) of everything in degrees WGS 84; None when nothing has a place."""
        return Box.around(layer.facts.box for layer in self.layers.values() if layer.facts.box is not None)

    @property
    def crs_source(self) -> Known:
        """How the place of the least well known source is known."""
        return weakest(*(report.placed.crs_source for report in self.reports))


def _same(named: Sequence[tuple[str, SourceReport]]) -> dict[int, Finding]:
    """Sources that hold the same placed records as one before them, and formats that hold the same as another in fewer or more files."""
    prints = [report.fingerprint for _, report in named]
    found: dict[int, Finding] = {}
    alike: dict[int, list[int]] = {}
    for number, print_ in enumerate(prints):
        first = next((one for one in alike.setdefault(print_.records, []) if print_.matches(prints[one])), None)
        if first is None:
            alike[print_.records].append(number)
        else:
            found[number] = _same_finding(named[number][0], named[first][0], print_.records)
    formats: dict[str, list[int]] = {}
    for number, (_, report) in enumerate(named):
        if number not in found:
            formats.setdefault(report.format, []).append(number)
    for several, others in combinations(formats.values(), 2):
        a, b = (sum((prints[number] for number in some), Fingerprint()) for some in (several, others))
        if a.matches(b):
            found |= {number: _same_finding(named[number][0], _names(named, several), prints[number].records) for number in others}
    return found


def _names(named: Sequence[tuple[str, SourceReport]], numbers: Sequence[int]) -> str:
    """Names of some sources, in a few words."""
    names = [named[number][0] for number in numbers]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _same_finding(name: str, first: str, records: int) -> Finding:
    text = f"{name} holds the same {records} records as {first}, so they would be sold twice."
    return error("source.same", text, f"Upload one of them: {name} or {first}.", file=name, value=first, count=records)


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
