"""The second cage seen from outside: what it finds wrong with tiles, and what in them may be a picture.

Its doubts only ever raise the class of a layer. A reader that was taken over can state what it likes of its layers: it is this cage, which
never saw the upload, that has to find nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ingest.cage import answer, faults, launch
from ingest.cage.answer import SourceReport
from ingest.cage.child import Ending, Limits
from ingest.findings import error
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid

_MOST = 1000
_TELL = "The file may be made to break readers, or mapex has a fault: tell the operator."


@dataclass(frozen=True, slots=True)
class TileSet:
    """Tiles to recount: `folder` holds `records.jsonl` and `tiles/`; `total` of them are expected. `name` is for messages."""

    folder: Path
    name: str
    total: int
    cage: str = "auto"


@dataclass(frozen=True, slots=True)
class Doubted:
    """Something in the tiles of a part and layer that may be a picture."""

    part: int
    finding: Finding


@dataclass(slots=True)
class RecountAnswer:
    """Takes the lines of the cage in; `wrong` is why the tiles cannot be used, `doubts` is why a layer is `original`."""

    name: str
    on_progress: Callable[[object], None] = lambda progress: None
    verified: int = 0
    wrong: list[Finding] = field(default_factory=list)
    doubts: list[Doubted] = field(default_factory=list)

    def take(self, line: Mapping[str, Any]) -> None:
        """Take one line in."""
        if "bad" in line:
            message = str(line["bad"].get("message", ""))[:500] if isinstance(line["bad"], dict) else ""
            self.wrong.append(error("tile.bad", f"A tile does not hold what its record says: {message}", _TELL, file=self.name))
        elif "doubt" in line:
            self._doubt(line)
        elif "verified" in line and isinstance(line["verified"], int):
            self.verified = line["verified"]
        elif "progress" in line:
            self.on_progress(line["progress"])

    def _doubt(self, line: Mapping[str, Any]) -> None:
        try:
            finding = answer.finding_from_json(line["doubt"], self.name)
            part = answer.part_from_json(line.get("part"))
        except Invalid as why:
            self.wrong.append(error(why.code, why.message, _TELL, file=self.name))
            return
        # However many doubts one layer raises, the first of every other is kept: each decides the class of its layer.
        is_first = all((one.part, one.finding.layer) != (part, finding.layer) for one in self.doubts)
        if finding.code == "footage.unproven" and (is_first or len(self.doubts) < _MOST):
            self.doubts.append(Doubted(part, finding))

    def finish(self, ending: Ending, total: int, limits: Limits) -> None:
        """Take the end of the cage in."""
        if not ending.done:
            self.wrong.append(faults.finding_of(ending, self.name, limits))
        elif not self.wrong and self.verified != total:
            text = f"{self.verified} of {total} tiles were verified."
            self.wrong.append(error("tile.bad", text, "Report it to the operator.", file=self.name))


def recount(
    tiles: TileSet, limits: Limits, *, stop: Callable[[], bool], on_progress: Callable[[object], None] = lambda progress: None
) -> tuple[RecountAnswer, Ending]:
    """Recount every tile in a cage that sees the tiles only."""
    found = RecountAnswer(tiles.name, on_progress)
    request = {"name": tiles.name, "total": tiles.total}
    ending = launch.run("verify", request, reads=tiles.folder, writes=None, limits=limits, on_line=found.take, stop=stop, choice=tiles.cage)
    found.finish(ending, tiles.total, limits)
    return found, ending


def raised(report: SourceReport, part: int, doubts: Sequence[Doubted]) -> SourceReport:
    """The report of a part whose layers are footage where the second cage doubts it, and the findings that its reader kept back."""
    layers, findings = dict(report.layers), list(report.findings)
    for layer in {one.finding.layer for one in doubts if one.part == part} & set(layers):
        if not layers[layer].facts.footage:
            findings += [one.finding for one in doubts if (one.part, one.finding.layer) == (part, layer)]
            layers[layer] = replace(layers[layer], facts=replace(layers[layer].facts, footage=True))
    return replace(report, layers=layers, findings=tuple(findings[: answer.MOST_FINDINGS]))
