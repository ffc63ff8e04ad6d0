"""`mapex inspect`: the dry run. What a file is, where it would land and how that is known, what is wrong with it; nothing is sent.

All of it is read, in the same cage as an upload, so the counts are true and not what a header claims.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.cage import answer, faults, launch
from ingest.cage.answer import SourceReport
from ingest.cage.child import MIB
from ingest.conversion.convert import failure
from ingest.conversion.grouping import limits_for
from ingest.conversion.local import LocalSource, local_sources
from ingest.conversion.merged import Merged, layer_as_json
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
    look = _Look(placement, picture is not None, cage, progress)
    with tempfile.TemporaryDirectory(prefix="mapex-inspect-") as name:
        work = Path(name)
        sources = local_sources(path, work / "in")
        reports = [(source.name, look.at(source, work / str(n))) for n, source in enumerate(sources)]
        if picture is not None:
            _keep_picture(work, picture)
    return _as_json(Merged.of(reports), path.name)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is asked of every source."""

    placement: Placement
    picture: bool
    cage: str
    progress: Callable[[Mapping[str, Any]], None]

    def at(self, source: LocalSource, out: Path) -> SourceReport:
        """The report of one source; `out` is made, and a picture is left in it.

        Raises: Invalid: it cannot be read at all.
        """
        out.mkdir()
        limits = limits_for(source.reads, source.size)
        reports: list[SourceReport] = []
        failed: list[object] = []

        def take(line: Mapping[str, Any]) -> None:
            if "report" in line and not reports:
                reports.append(answer.report_from_json(line["report"], source.name))
            elif "failed" in line:
                failed.append(line["failed"])
            elif "progress" in line:
                self.progress(line["progress"])

        request = {"name": source.name, "part": 0, "placement": self.placement.as_json(), "picture": self.picture}
        request |= {"folders": list(source.folders)}
        ending = launch.run("inspect", request, reads=source.reads, writes=out, limits=limits, on_line=take, choice=self.cage)
        if failed or not ending.done or not reports:
            why = failure(failed[0], source.name, ending.stderr) if failed else faults.finding_of(ending, source.name, limits)
            is_of_file = failed and why.code != faults.FAILED  # then the sentence says already what to do
            raise Invalid(why.code, why.message if is_of_file else f"{why.message} {why.fix}", file=source.name, value=why.value)
        return reports[0]


def _keep_picture(work: Path, picture: Path) -> None:
    """Hand the drawn picture on when it is one; a child that was taken over may have left anything."""
    for drawn in sorted(work.glob("*/picture.png")):
        if drawn.is_file() and not drawn.is_symlink() and drawn.stat().st_size <= _MOST_PICTURE:
            with drawn.open("rb") as stream:
                if stream.read(8) == _PNG:
                    shutil.copyfile(drawn, picture)
                    return


def _as_json(merged: Merged, name: str) -> dict[str, Any]:
    """One answer for all sources of a folder; the first one gives the CRS, and the weakest how it is known."""
    first = merged.reports[0]
    layers = [layer for report in merged.reports for _, layer in sorted(report.layers.items())]
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
        "findings": [finding.as_json() for report in merged.reports for finding in report.findings],
    }
