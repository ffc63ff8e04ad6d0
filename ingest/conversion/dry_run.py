"""`mapex inspect`: the dry run. What a file is, where it would land and how that is known, what is wrong with it; nothing is sent.

All of it is read, in the same cage as an upload, so the counts are true and not what a header claims.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from ingest.cage import faults, launch
from ingest.cage.child import MIB, Ending, Limits
from ingest.conversion.answers import Answered, Answers, failure
from ingest.conversion.convert import request_for
from ingest.conversion.layout import bundled, limits_for
from ingest.conversion.local import LocalSource, local_sources
from ingest.conversion.merged import Merged, layer_as_json
from ingest.findings import error
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PICTURE = 2 * MIB


def inspect(
    path: Path,
    placement: Placement,
    *,
    picture: Path | None = None,
    cage: str = "auto",
    progress: Callable[[Mapping[str, Any]], None] = lambda line: None,
) -> dict[str, Any]:
    """What `mapex inspect FILE --json` prints, for a file or a folder; with `picture` also a small map picture (PNG).

    Raises: Invalid: nothing in it can be read at all (wrong type, empty, crashed its reader, over a limit).
    """
    if not path.exists():
        raise Invalid("file.absent", f"There is no file {path}.", file=str(path))
    with tempfile.TemporaryDirectory(prefix="mapex-inspect-") as name:
        work = Path(name)
        sources, left = local_sources(path, work / "in")
        look = _Look(placement, len(sources), picture is not None, cage, progress)
        answered = []
        for number, bundle in enumerate(bundled([_Part(part, source) for part, source in enumerate(sources)])):
            answered += look.at(bundle, work / str(number))
        answered.sort(key=lambda one: (one.part % len(sources), one.part))
        if not any(one.report for one in answered):
            _raise_first(answered)
        if picture is not None:
            _keep_picture(work, picture)
    return _as_json(answered, left, path.name)


@dataclass(frozen=True, slots=True)
class _Part:
    """A source with the part that it would be in an upload."""

    part: int
    source: LocalSource

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.source.size


@dataclass(frozen=True, slots=True)
class _Look:
    """What is asked of every source; `step` is their number."""

    placement: Placement
    step: int
    picture: bool
    cage: str
    progress: Callable[[Mapping[str, Any]], None]

    def at(self, asked: Sequence[_Part], out: Path) -> list[Answered]:
        """What a cage says of some sources; `out` is made, and a picture is left in it. When it ends badly, each is read alone."""
        out.mkdir()
        names = {one.part: one.source.name for one in asked}
        answers = Answers(names, self.step, on_progress=self._progress)
        limits = limits_for([one.source.reads for one in asked], sum(one.size for one in asked))
        ending = launch.run(
            "inspect",
            {**request_for({one.part: one.source for one in asked}, self.step, self.placement), "picture": self.picture},
            reads=[one.source.reads for one in asked],
            writes=out,
            limits=limits,
            on_line=answers.take,
            choice=self.cage,
        )
        if ending.done and answers.is_whole:
            return answers.ended()
        if len(asked) > 1:
            return [answer for one in asked for answer in self.at((one,), out / str(one.part))]
        return [Answered(asked[0].part, asked[0].source.name, None, _why(answers, ending, limits))]

    def _progress(self, line: object) -> None:
        if isinstance(line, dict):
            self.progress(line)


def _why(answers: Answers, ending: Ending, limits: Limits) -> Finding:
    """Why a cage gave no answer about its only source."""
    (name,) = answers.names.values()
    if answers.failed is not None:
        return failure(answers.failed, name, ending.stderr)
    if answers.wrong is not None:
        return error(answers.wrong.code, answers.wrong.message, "", file=name)
    if ending.done:
        return error("reader.bad_answer", "The caged reader ended without a report; nothing of it is used.", "", file=name)
    return faults.finding_of(ending, name, limits)


def _raise_first(answered: Sequence[Answered]) -> NoReturn:
    """Nothing can be read at all."""
    why = next(one.failed for one in answered if one.failed is not None)
    is_of_cage = why.code.startswith("reader.")  # all other sentences state already what to do
    raise Invalid(why.code, f"{why.message} {why.fix}".strip() if is_of_cage else why.message, file=why.file, value=why.value)


def _keep_picture(work: Path, picture: Path) -> None:
    """Hand the drawn picture on when it is one; a child that was taken over may have left anything."""
    for drawn in sorted(work.glob("**/picture.png")):
        if drawn.is_file() and not drawn.is_symlink() and drawn.stat().st_size <= _MOST_PICTURE:
            with drawn.open("rb") as stream:
                if stream.read(8) == _PNG:
                    shutil.copyfile(drawn, picture)
                    return


def _as_json(answered: Sequence[Answered], left: Sequence[Finding], name: str) -> dict[str, Any]:
    """One answer for all sources of a folder; the first one gives the CRS, and the weakest how it is known."""
    merged = Merged.of((one.name, one.report) for one in answered if one.report is not None)
    first = merged.reports[0]
    layers = [layer for report in merged.counted for _, layer in sorted(report.layers.items())]
    found = [*left, *(finding for one in answered for finding in one.findings), *merged.findings]
    return {
        "file": name,
        "kind": str(layers[0].kind) if layers else None,
        "format": first.format,
        "crs": first.placed.crs,
        "crs_source": str(merged.crs_source),
        "height_datum": first.placed.height_datum,
        "height_source": str(first.placed.height_source),
        "accuracy_m": first.placed.accuracy_m,
        "note": first.placed.note,
        "box": list(merged.box) if merged.box is not None else None,
        "counts": asdict(merged.counts),
        "layers": [layer_as_json(layer) for layer in layers],
        "findings": [finding.as_json() for finding in found],
    }
