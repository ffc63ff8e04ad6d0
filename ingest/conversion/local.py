"""Files of this machine: which sources they are, and `mapex tile`, which cuts them into tiles without an exchange."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ingest.cage import answer
from ingest.conversion.convert import Converted, SourceTask, convert, tiles_of
from ingest.conversion.layout import bundled, lay_out
from ingest.conversion.merged import Merged, layer_as_json
from ingest.conversion.pool import LocalPool
from ingest.grouping import group
from ingest.reader import Source
from mapex.catalogue.finding import Finding, Severity
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from mapex.rules.parts import with_parts
from tiles.batch import EncodedTile
from tiles.formats import MANIFEST

_FOLDERS = 2
"""How many folders above a source are looked at for what their names state: NGII's `SEC01_.../HDMap_UTMK_.../`."""


@dataclass(frozen=True, slots=True)
class LocalSource:
    """One source on this machine: what to call it, the file or folder to read, its bytes, the folders it is in, its files' names."""

    name: str
    reads: Path
    size: int
    folders: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def local_sources(path: Path, folder: Path) -> tuple[list[LocalSource], list[Finding]]:
    """The sources in a local file or folder, and what is to be reported about files beside them; a `.shp` takes its parts along.

    `folder` is for links to their files.

    Raises: Invalid: `format.empty`.
    """
    path = path.absolute()  # a cage has a working folder of its own
    files = Source.of(path).files if path.is_dir() else with_parts(path)
    real = {p.relative_to(path if path.is_dir() else path.parent).as_posix(): p for p in files}
    grouping = group(real)
    folders = path.parts[-_FOLDERS:] if path.is_dir() else path.parts[-_FOLDERS - 1 : -1]
    found = []
    for number, one in enumerate(grouping.groups):
        members = {name: real[name] for name in one.members}
        size = sum(p.stat().st_size for p in members.values())
        reads, labels = lay_out(members, folder / str(number))
        found.append(LocalSource(_text(one.name), reads, size, folders, {inside: _text(name) for inside, name in labels.items()}))
    if not found:
        raise Invalid("format.empty", f"{path.name} holds no file that can be read.", file=path.name)
    return found, [replace(finding, file=_text(finding.file), message=_text(finding.message)) for finding in grouping.findings(path.name)]


def _text(name: str) -> str:
    """A name as text: a disk may hold names that are none."""
    return os.fsencode(name).decode("utf-8", "replace")


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

    Writes `out/<layer>/<quadkey>-<part>.<ending>` and `out/_manifest.json` (layers, counts, findings, and path, sha256, size and
    quantities of each tile). Sources are read in parallel by up to `processes` cages (0: one per core). With `recount` every tile is
    opened again in a second cage, as the exchange does with other people's uploads.

    Raises: Invalid: a source cannot be read or has no place; the sentence names the first reason, `findings` all.
    """
    out = out.absolute()  # a cage has a working folder of its own
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mapex-", dir=out) as name:
        work = Path(name)
        sources, left = local_sources(path, work / "in")
        asked = SourceTask(work, work, "", 0, 0, placement, work / "stop", cage, recount, len(sources))
        done = _convert_all([_task(asked, part, source) for part, source in enumerate(sources)], processes, progress)
        report = _as_json(done, left)
        if not any(converted.tiles for converted in done):
            _raise_first(done, report)
        tiles = _move(done, {source["part"] for source in report["sources"]}, out)
    manifest = {**report, "tiles": [answer.tile_as_json(tile) for tile in tiles]}
    (out / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return {**report, "manifest": str(out / MANIFEST), "tiles": len(tiles)}


def _task(asked: SourceTask, part: int, source: LocalSource) -> SourceTask:
    folder = asked.folder / str(part)
    folder.mkdir()
    own = replace(asked, reads=source.reads, folder=folder, name=source.name, part=part, size=source.size)
    return replace(own, folders=source.folders, labels=source.labels)


def _convert_all(
    tasks: Sequence[SourceTask], processes: int, progress: Callable[[float, float | None, str | None], None]
) -> list[Converted]:
    """What became of each source, in their order; what is in one zip stays together."""
    done: list[Converted] = []
    with LocalPool(processes) as pool:
        for some in pool.run(convert, bundled(tasks)):
            done += some
            progress(len(done), max(len(tasks), len(done)), some[-1].name)
    return sorted(done, key=lambda converted: (converted.part % len(tasks), converted.part))


def _move(done: Sequence[Converted], parts: Collection[int], out: Path) -> list[EncodedTile]:
    """Move the tiles of some parts to `out`, below the same names (both are on one disk); these tiles, in order."""
    order = {converted.part: number for number, converted in enumerate(done) if converted.part in parts}
    folders = sorted({converted.done for converted in done if converted.done is not None and converted.tiles})
    moved = []
    for folder in folders:
        for tile in tiles_of(folder / "records.jsonl"):
            if tile.part in order:
                (out / tile.path).parent.mkdir(parents=True, exist_ok=True)
                (folder / "tiles" / tile.path).replace(out / tile.path)
                moved.append(tile)
    return sorted(moved, key=lambda tile: order[tile.part])


def _as_json(done: Sequence[Converted], left: Sequence[Finding]) -> dict[str, Any]:
    """Sources that count, layers and findings of some conversions."""
    read = [(converted, converted.report) for converted in done if converted.report is not None]
    merged = Merged.of((converted.name, report) for converted, report in read)
    counted = [one for number, one in enumerate(read) if number not in merged.repeated]
    tiles: Counter[str] = Counter()
    for converted, _ in counted:
        tiles.update(converted.layer_tiles)
    found = [*left, *(finding for one in done for finding in one.findings), *merged.findings]
    return {
        "sources": [
            {
                "name": converted.name,
                "part": converted.part,
                "format": report.format,
                "crs": report.placed.crs,
                "crs_source": str(report.placed.crs_source),
                "height_datum": report.placed.height_datum,
                "height_source": str(report.placed.height_source),
                "accuracy_m": report.placed.accuracy_m,
            }
            for converted, report in counted
        ],
        "layers": [layer_as_json(layer, tiles[name]) for name, layer in merged.layers.items()],
        "findings": [finding.as_json() for finding in found],
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
