"""`mapex inspect`: the dry run. What a file is, where it would land and how that is known, what is wrong with it; nothing is sent.

All of it is read, in the same cage as an upload, so the counts are true and not what a header claims.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ingest.cage import answer, launch
from ingest.cage.answer import SourceReport
from ingest.cage.child import MIB, Limits
from ingest.conversion.convert import failure, is_heavy, layer_json, local_sources
from mapex.catalogue.draft import Counts
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement

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
        sources = local_sources(path, work / "in")
        told = [_inspect_one(*source, placement, work / str(n), picture is not None, cage, progress) for n, source in enumerate(sources)]
        if picture is not None:
            _keep_picture(work, picture)
    return _together(told, path.name)


def _inspect_one(
    name: str,
    reads: Path,
    size: int,
    placement: Placement,
    out: Path,
    picture: bool,
    cage: str,
    progress: Callable[[Mapping[str, Any]], None],
) -> SourceReport:
    out.mkdir()
    limits = Limits.for_size(size, heavy=is_heavy(reads))
    reports: list[SourceReport] = []
    failed: list[Finding] = []

    def hear(line: Mapping[str, Any]) -> None:
        if "report" in line and not reports:
            reports.append(answer.report_from_json(line["report"], name))
        elif "failed" in line:
            failed.append(failure(line["failed"], name))
        elif "progress" in line:
            progress(line["progress"])

    ending = launch.run(
        "inspect",
        {"name": name, "part": 0, "placement": placement.as_json(), "picture": picture},
        reads=reads,
        writes=out,
        limits=limits,
        on_line=hear,
        choice=cage,
    )
    if failed or not ending.done or not reports:
        why = failed[0] if failed else launch.finding_of(ending, name, limits)
        raise Invalid(why.code, f"{why.message} {why.fix}".strip() if not failed else why.message, file=name, value=why.value)
    return reports[0]


def _keep_picture(work: Path, picture: Path) -> None:
    """Hand the drawn picture on when it is one; a child that was taken over may have left anything."""
    for drawn in sorted(work.glob("*/picture.png")):
        if drawn.is_file() and not drawn.is_symlink() and drawn.stat().st_size <= _MOST_PICTURE:
            with drawn.open("rb") as stream:
                if stream.read(8) == _PNG:
                    shutil.copyfile(drawn, picture)
                    return


def _together(reports: list[SourceReport], name: str) -> dict[str, Any]:
    """One answer for all sources of a folder; the first one says the CRS, and the weakest how it is known."""
    first = reports[0]
    layers = [layer_json(layer, about, 0) for report in reports for layer, about in sorted(report.layers.items())]
    counts = sum((about.facts.counts for report in reports for about in report.layers.values()), Counts())
    boxes = [about.facts.box for report in reports for about in report.layers.values() if about.facts.box is not None]
    box = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)] if boxes else None
    weakest = max((report.placed.crs_source for report in reports), key=list(Known).index)
    for layer in layers:
        del layer["tiles"]
    return {
        "file": name,
        "kind": layers[0]["kind"] if layers else None,
        "format": first.format,
        "crs": first.placed.crs,
        "crs_source": str(weakest),
        "height_datum": first.placed.height_datum,
        "height_source": str(first.placed.height_source),
        "note": first.placed.note,
        "box": box,
        "counts": asdict(counts),
        "layers": layers,
        "findings": [finding.as_json() for report in reports for finding in report.findings],
    }
