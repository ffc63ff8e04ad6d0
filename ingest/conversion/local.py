"""Files of this machine, cut into tiles without an exchange: `mapex tile`."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.cage import answer, paths
from ingest.conversion import grouping
from ingest.conversion.convert import Converted, SourceTask, convert, tiles_of
from ingest.conversion.merged import Merged, layer_as_json
from ingest.conversion.pool import LocalPool
from ingest.reader import Source
from mapex.catalogue.finding import Severity
from mapex.errors import Invalid
from mapex.intake.placement import Placement


@dataclass(frozen=True, slots=True)
class LocalSource:
    """One source on this machine: what to call it, the file or folder to read, and its bytes."""

    name: str
    reads: Path
    size: int


def local_sources(path: Path, folder: Path) -> list[LocalSource]:
    """The sources in a local file or folder; a `.shp` takes its sibling parts along. `folder` is for links to their files.

    Raises: Invalid: `format.empty`.
    """
    path = path.absolute()  # a cage has a working folder of its own
    if path.is_dir():
        real = {p.relative_to(path).as_posix(): p for p in Source.of(path).files}
    elif path.suffix.lower() == ".shp":
        real = {p.name: p for p in path.parent.iterdir() if p.is_file() and p.name.partition(".")[0] == path.name.partition(".")[0]}
    else:
        real = {path.name: path}
    found = []
    for number, group in enumerate(grouping.group(real)):
        members = {paths.safe_name(name): real[name] for name in group.members}
        size = sum(p.stat().st_size for p in members.values())
        name = os.fsencode(group.name).decode("utf-8", "replace")  # a disk may hold names that are no text
        found.append(LocalSource(name, grouping.lay_out(members, folder / str(number)), size))
    if not found:
        raise Invalid("format.empty", f"{path.name} holds no file that can be read.", file=path.name)
    return found


def tile_file(
    path: Path,
    out: Path,
    placement: Placement,
    *,
    processes: int = 0,
    progress: Callable[[float, float | None, str | None], None] = lambda done, total, text: None,
    cage: str = "auto",
    recount: bool = False,
) -> dict[str, Any]:
    """Cut a local file or folder into tiles below `out`, without an exchange; returns what `mapex tile` prints.

    Writes `out/<layer>/<quadkey>-<part>.<ending>` and `out/manifest.json` (layers, counts, findings, and path, sha256, size and
    quantities of each tile). Sources are read in parallel by up to `processes` cages (0: one per core). With `recount` every tile is
    opened again in a second cage, as the exchange does with other people's uploads.

    Raises: Invalid: a source cannot be read or has no place; the sentence names the first reason, `findings` all.
    """
    out = out.absolute()  # a cage has a working folder of its own
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mapex-", dir=out) as name:
        work = Path(name)
        tasks = []
        for part, source in enumerate(local_sources(path, work / "in")):
            folder = work / str(part)
            folder.mkdir()
            tasks.append(SourceTask(source.reads, folder, source.name, part, source.size, placement, work / "stop", cage, recount))
        done = _convert_all(tasks, processes, progress)
        report = _as_json(done)
        if not any(converted.tiles for converted in done):
            _raise_first(done, report)
        tiles = [tile for task, converted in zip(tasks, done, strict=True) if converted.tiles for tile in tiles_of(task.records)]
        for task in tasks:
            _move(task.tiles, out)
    manifest = {**report, "tiles": [answer.tile_as_json(tile) for tile in tiles]}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return {**report, "manifest": str(out / "manifest.json"), "tiles": len(tiles)}


def _convert_all(
    tasks: Sequence[SourceTask], processes: int, progress: Callable[[float, float | None, str | None], None]
) -> list[Converted]:
    """What became of each task, in their order."""
    done = []
    with LocalPool(processes) as pool:
        for converted in pool.run(convert, tasks):
            done.append(converted)
            progress(len(done), len(tasks), converted.name)
    return sorted(done, key=lambda converted: converted.part)


def _move(tiles: Path, out: Path) -> None:
    """Move files to `out`, below the same names; both are on one disk."""
    for file in [p for p in tiles.rglob("*") if p.is_file()]:
        target = out / file.relative_to(tiles)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)


def _as_json(done: Sequence[Converted]) -> dict[str, Any]:
    """Sources, layers and findings of some conversions."""
    merged = Merged.of((converted.name, converted.report) for converted in done if converted.report is not None)
    tiles: Counter[str] = Counter()
    for converted in done:
        tiles.update(converted.layer_tiles)
    return {
        "sources": [
            {
                "name": converted.name,
                "part": converted.part,
                "format": converted.report.format,
                "crs": converted.report.placed.crs,
                "crs_source": str(converted.report.placed.crs_source),
            }
            for converted in done
            if converted.report is not None
        ],
        "layers": [layer_as_json(layer, tiles[name]) for name, layer in merged.layers.items()],
        "findings": [finding.as_json() for one in done for finding in one.findings] + [finding.as_json() for finding in merged.mixed],
    }


def _raise_first(done: Sequence[Converted], report: Mapping[str, Any]) -> None:
    first = next((f for converted in done for f in converted.findings if f.severity is Severity.ERROR), None)
    if first is not None:
        raise Invalid(first.code, f"{first.message} {first.fix}".strip(), findings=report["findings"])
    names = ", ".join(c.name for c in done if c.report is not None and not c.report.placed.is_known)
    if names:
        text = f"{names}: nobody knows where it is. Give --crs EPSG:n, or --origin LON,LAT[,H] for a local frame."
        raise Invalid("place.unknown", text, findings=report["findings"])
    raise Invalid("file.no_records", f"{done[0].name} holds nothing that could be put into a tile.", findings=report["findings"])
