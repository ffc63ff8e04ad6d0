"""Reading a file through its reader in tests: everything that comes out, gathered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely

from ingest.checks.screen import on_grid
from ingest.reader import Placed, Reader, Source, Survey
from ingest.readers.sniff import reader_for
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content


@dataclass(frozen=True)
class Received:
    """What a reader gave: its survey, its batches (as read, and placed), its findings (the survey's first)."""

    survey: Survey
    raw: list[Batch]
    placed: list[Batch]
    findings: list[Finding]

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings}

    @property
    def table(self) -> pa.Table:
        return pa.concat_tables([batch.table for batch in self.placed])

    @property
    def ids(self) -> list[str]:
        return [str(value) for value in self.table.column("feature_id").to_pylist()]

    @property
    def rejected(self) -> int:
        return sum(finding.rejected for finding in self.findings)

    def kinds(self) -> dict[str, int]:
        names = self.table.column("kind").to_pylist()
        return {name: names.count(name) for name in sorted(set(names))}

    def shapes(self) -> dict[str, Any]:
        texts = self.table.column("geometry").to_pylist()
        return {name: None if wkb is None else shapely.from_wkb(wkb) for name, wkb in zip(self.ids, texts, strict=True)}

    def properties(self) -> dict[str, dict[str, Any]]:
        return dict(zip(self.ids, map(json.loads, self.table.column("properties").to_pylist()), strict=True))

    def finding(self, code: str) -> Finding:
        return next(finding for finding in self.findings if finding.code == code)


def placed_on_grid(batch: Batch, placed: Placed, file: str) -> tuple[Batch, list[Finding]]:
    """What the screen leaves of a batch, rows without a geometry kept; points and frames pass."""
    if batch.content is not Content.FEATURES:
        return batch, []
    there, _, found = on_grid(batch, placed, file=file)
    return there, found


def received(path: Path, given: Placement | None = None, *, choose: Callable[[Source], Reader] = reader_for) -> Received:
    """Read a file or a folder whole, as the cage does."""
    source = Source.of(path)
    reader = choose(source)
    survey = reader.survey(source, given or Placement())
    raw: list[Batch] = []
    placed: list[Batch] = []
    findings = list(survey.findings)
    for entry in reader.read(source, survey.placed):
        if isinstance(entry, Finding):
            findings.append(entry)
            continue
        raw.append(entry)
        settled, more = placed_on_grid(entry, survey.placed, source.name)
        placed.append(settled)
        findings += more
    return Received(survey, raw, placed, findings)


def report_of(path: Path, placement: Placement, folders: Sequence[str] = ()) -> dict[str, Any]:
    """What the caged task `inspect` reports of one source."""
    from ingest.tasks.convert import inspect

    lines: list[Mapping[str, Any]] = []
    sources = [{"name": path.name, "part": 0, "folders": list(folders)}]
    request = {"do": "inspect", "reads": [str(path)], "writes": str(path.parent), "sources": sources, "step": 1, "picture": False}
    inspect({**request, "placement": placement.as_json()}, lines.append)
    (report,) = (line["report"] for line in lines if "report" in line)
    return dict(report)
