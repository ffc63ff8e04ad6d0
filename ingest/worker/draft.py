"""From what became of the sources to the draft that the catalogue stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata

from ingest.conversion.convert import Converted
from ingest.conversion.merged import Merged
from ingest.findings import FindingLog
from ingest.grouping import Grouping
from ingest.worker.fetch import Fetched
from mapex.catalogue.comparison import LayerComparison
from mapex.catalogue.draft import Draft, DraftLayer, DraftPreview, DraftSource
from mapex.catalogue.finding import Finding, Severity
from tiles.batch import EncodedTile

MOST_FINDINGS = 5000
"""Lines of findings of one version; their counts still sum to what was found."""

_NO_QUESTION = frozenset({"crs.swapped"})
"""Faults of a place that no answer of the seller mends."""

_TOOLS = (
    "mapex",
    "apsw",
    "av",
    "laspy",
    "lazrs",
    "mcap",
    "numpy",
    "open3d-cpu",
    "opencv-python-headless",
    "pillow",
    "pyarrow",
    "pyogrio",
    "pyproj",
    "rosbags",
    "shapely",
)


@dataclass(slots=True)
class DraftParts:
    """What is known of a version while its job runs; `as_draft` makes the draft of it."""

    files: Sequence[Fetched]
    formats: dict[str, str] = field(default_factory=dict)
    layers: Sequence[DraftLayer] = ()
    findings: list[Finding] = field(default_factory=list)
    unplaced: bool = False
    tiles: Sequence[EncodedTile] = ()
    previews: Sequence[DraftPreview] = ()
    changes: Sequence[LayerComparison] = ()

    def take(self, done: Sequence[Converted], grouping: Grouping) -> None:
        """Take in what became of the sources: layers, findings, and the format of each file (of a zip that of the first in it)."""
        self.findings += grouping.findings()
        self.findings += [_asked(finding, converted) for converted in done for finding in converted.findings]
        self.unplaced = any(map(_is_unplaced, done))
        self.formats |= dict.fromkeys(grouping.left, "ignored")
        for converted in reversed(done):
            if converted.report is not None:
                members = grouping.groups[converted.part % len(grouping.groups)].members
                self.formats |= dict.fromkeys(members, converted.report.format)
        merged = Merged.of((converted.name, converted.report) for converted in done if converted.report is not None)
        self.layers = list(merged.layers.values())
        self.findings += merged.findings

    @property
    def is_usable(self) -> bool:
        """Whether its tiles are worth storing: every source has a place, and no finding forbids publication."""
        return not self.unplaced and not any(finding.severity is Severity.ERROR for finding in self.findings)

    def as_draft(self) -> Draft:
        """The draft, its findings in bounded number."""
        sources = [DraftSource(f.name, f.sha256, f.size, self.formats.get(f.name, "unknown")) for f in self.files]
        return Draft(sources, self.layers, self.tiles, _bounded(self.findings), self.unplaced, _tools(), self.previews, self.changes)


def _is_unplaced(converted: Converted) -> bool:
    return converted.report is not None and not converted.report.placed.is_known


def _asked(finding: Finding, converted: Converted) -> Finding:
    """An unknown place is no error of the version: it is asked for, and the version waits as `unplaced`."""
    waits = _is_unplaced(converted) and finding.code.startswith("crs.") and finding.code not in _NO_QUESTION
    return replace(finding, severity=Severity.WARNING) if waits else finding


def _bounded(found: Sequence[Finding]) -> list[Finding]:
    """Findings of many files in bounded number, errors first; their counts still sum to what was found."""
    kept = FindingLog(examples=20)
    for finding in found:
        kept.add(finding)
    return kept.all()[:MOST_FINDINGS]


def _tools() -> dict[str, str]:
    """Versions of what read and wrote, for the manifest."""
    found = {}
    for name in _TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
