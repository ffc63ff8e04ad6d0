"""What a cage answers about its sources, line by line; nothing of it is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.cage import answer, faults
from ingest.cage.answer import SourceReport
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid, MapexError
from tiles.batch import EncodedTile
from tiles.errors import ExtraMissing

_FIXES = {ExtraMissing.code: "Then read the same file again."}


@dataclass(frozen=True, slots=True)
class Answered:
    """What a cage answered about one source: its report, or why it has none."""

    part: int
    name: str
    report: SourceReport | None
    failed: Finding | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the source, as far as its reader says."""
        return (self.failed,) if self.failed is not None else self.report.findings if self.report is not None else ()


@dataclass(slots=True)
class Answers:
    """Takes the lines of a reading child in and believes none of them. `names` of the sources by part, `step` as of their tasks.

    Each source ends once, with a report or a failure; `failed` is one of the child as a whole, `wrong` the first line that cannot be.
    """

    names: Mapping[int, str]
    step: int = 1
    on_tile: Callable[[EncodedTile], None] | None = None
    on_progress: Callable[[object], None] = lambda progress: None
    sources: dict[int, Answered] = field(default_factory=dict)
    failed: object = None
    wrong: MapexError | None = None

    def take(self, line: Mapping[str, Any]) -> None:
        """Take one line in."""
        if self.wrong is not None:
            return
        try:
            self._take(line)
        except MapexError as why:
            self.wrong = why

    @property
    def is_whole(self) -> bool:
        """Whether every source that was asked for has its answer, and so have all before one in a zip."""
        has_gap = any(part not in self.names and part - self.step not in self.sources for part in self.sources)
        return self.wrong is None and self.failed is None and set(self.names) <= set(self.sources) and not has_gap

    def ended(self) -> list[Answered]:
        """The answers, in the order of what was sent, with what is in a zip together."""
        return sorted(self.sources.values(), key=lambda one: (one.part % self.step, one.part))

    def _take(self, line: Mapping[str, Any]) -> None:
        if "tile" in line and self.on_tile is not None:
            tile = answer.tile_from_json(line["tile"])
            self._owner(tile.part)
            self.on_tile(tile)
        elif "report" in line:
            part, name = self._source(line)
            self.sources[part] = Answered(part, name, answer.report_from_json(line["report"], name))
        elif "failed" in line and "part" in line:
            part, name = self._source(line)
            self.sources[part] = Answered(part, name, None, failure(line["failed"], name))
        elif "failed" in line:
            self.failed = line["failed"]
        elif "progress" in line:
            self.on_progress(line["progress"])

    def _source(self, line: Mapping[str, Any]) -> tuple[int, str]:
        part = answer.part_from_json(line.get("part", min(self.names)))
        owner, inside = self._owner(part), answer.inside_from_json(line.get("inside", ""))
        return part, f"{owner}/{inside}" if inside else owner

    def _owner(self, part: int) -> str:
        """The name of what was sent that a part belongs to, which has not ended yet."""
        sent = part if part in self.names else part % self.step
        if sent not in self.names or part in self.sources:
            raise Invalid("reader.bad_answer", f"The caged reader answered for a source that it has not ({part}); nothing of it is used.")
        return self.names[sent]


def failure(value: object, name: str, trace: str = "") -> Finding:
    """The finding of a child that gave its file up: what is wrong with the file, or that the reader is at fault. `trace`: of the child."""
    record = value if isinstance(value, dict) else {}
    if record.get("code") == faults.FAILED:
        what = str(record.get("message") or "").replace("\x00", "").encode("utf-8", "replace").decode()
        return faults.failed(name, what[:500] or "no reason given", trace)
    try:
        return answer.finding_from_json(
            {
                **dict.fromkeys(("layer", "feature", "value"), ""),
                "fix": _FIXES.get(str(record.get("code")), "Correct the file and upload it again."),
                "count": 1,
                "rejected": 0,
                "severity": "error",
                "file": name,
                "code": record.get("code"),
                "message": record.get("message"),
            },
            name,
        )
    except Invalid:
        return faults.failed(name, "an answer that is none", trace)
