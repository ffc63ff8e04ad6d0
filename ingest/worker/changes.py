"""What a version changes, found while its job runs: its new tiles beside those of the version before, some cells at a time in the cage."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.conversion import comparison
from ingest.conversion.comparison import Place
from ingest.conversion.layout import limits_for
from ingest.worker import trust
from ingest.worker.lease import Lease
from mapex.catalogue import comparisons
from mapex.catalogue.comparison import CellChange, LayerComparison
from mapex.catalogue.draft import DraftLayer
from mapex.catalogue.finding import Finding
from mapex.catalogue.versions import Layer, Version
from mapex.exchange import Exchange
from mapex.intake import jobs
from mapex.operation.classes import tiles_of
from tiles.batch import Content, EncodedTile
from tiles.grid import grid
from tiles.store.protocol import Bucket

_MOST_CELLS, _MOST_BYTES = 256, 256 << 20
"""Of one cage, the cells around them left out."""


@dataclass(slots=True)
class _VersionTiles:
    """The tiles of one version by layer and cell, each with where it is: a key of the store, or a file of this job."""

    tiles: dict[Place, list[tuple[str | Path, EncodedTile]]] = field(default_factory=dict)

    def add(self, layer: str, where: str | Path, tile: EncodedTile) -> None:
        self.tiles.setdefault((layer, tile.cell), []).append((where, tile))

    def contents(self, place: Place) -> list[str]:
        return sorted(tile.sha256 for _, tile in self.tiles.get(place, ()))

    def size(self, place: Place) -> int:
        return sum(tile.size for _, tile in self.tiles.get(place, ()))


@dataclass(frozen=True, slots=True)
class NewTiles:
    """What a job made: layers and tiles, and the folder of the tiles of each part."""

    layers: Sequence[DraftLayer]
    tiles: Sequence[EncodedTile]
    folders: Mapping[int, Path]


def find(ex: Exchange, version: Version, made: NewTiles, folder: Path, lease: Lease) -> tuple[list[LayerComparison], list[Finding]]:
    """What a version changes against the one that was published last, and why that is not known of a layer."""
    before = {layer.name: layer for layer in comparisons.layers_before(ex, version)}
    found: list[LayerComparison] = []
    findings: list[Finding] = []
    for layer in made.layers:
        old = before.get(layer.name)
        if old is None or old.content is not layer.content:
            continue
        lease.report(jobs.JobProgress("compare"))
        cells, finding = _of_layer(ex, old, layer, made, folder, lease)
        if finding is not None:
            findings.append(finding)
            continue
        sizes = old.quantities.owned(old.content), layer.facts.counts.placed
        if layer.content is Content.FRAMES:
            sizes = old.quantities.frames, sum(tile.quantities.frames for tile in made.tiles if tile.layer == layer.name)
        found.append(LayerComparison.of(layer.name, old.id, sizes, cells))
    return found, findings


def _of_layer(
    ex: Exchange, old: Layer, layer: DraftLayer, made: NewTiles, folder: Path, lease: Lease
) -> tuple[list[CellChange], Finding | None]:
    sides = _VersionTiles(), _VersionTiles()
    for key, tile in tiles_of(ex, old):
        sides[0].add(layer.name, key, tile)
    for tile in made.tiles:
        if tile.layer == layer.name:
            sides[1].add(layer.name, made.folders[tile.part] / tile.path, tile)
    places = sorted(
        place for place in sides[0].tiles.keys() | sides[1].tiles.keys() if sides[0].contents(place) != sides[1].contents(place)
    )
    cells: list[CellChange] = []
    for some in _pieces(places, sides):
        lease.report(jobs.JobProgress("compare", len(cells), len(places)))
        here = (folder / "compare" / "before", folder / "compare" / "after")
        if here[0].parent.exists():  # of the piece before; what could not be removed must not be compared again
            shutil.rmtree(here[0].parent)
        wanted = _with_neighbours(some) if layer.content is Content.FEATURES else some
        size = sum(_lay_out(ex, side, wanted, where) for side, where in zip(sides, here, strict=True))
        limits = limits_for([where / "tiles" / layer.name for where in here if (where / "tiles" / layer.name).is_dir()], size)
        answer = comparison.compare(here, some, limits, stop=(folder / "stop").exists, cage=str(trust.cage_of(ex.settings)))
        lease.check()
        if answer.finding is not None:
            return [], answer.finding
        cells += answer.cells.values()
    return cells, None


def _pieces(places: Sequence[Place], sides: tuple[_VersionTiles, _VersionTiles]) -> Iterator[list[Place]]:
    some: list[Place] = []
    size = 0
    for place in places:
        more = sum(side.size(place) for side in sides)
        if some and (len(some) >= _MOST_CELLS or size + more > _MOST_BYTES):
            yield some
            some, size = [], 0
        some.append(place)
        size += more
    if some:
        yield some


def _with_neighbours(places: Sequence[Place]) -> list[Place]:
    return sorted({(layer, cell) for layer, one in places for cell in (one, *grid.neighbours(one))})


def _lay_out(ex: Exchange, side: _VersionTiles, places: Iterable[Place], folder: Path) -> int:
    """Bring the tiles of some cells into a folder with their list; returns their bytes."""
    size = 0
    (folder / "tiles").mkdir(parents=True)
    with (folder / "records.jsonl").open("w", encoding="utf-8") as records:
        for place in places:
            for where, tile in side.tiles.get(place, ()):
                path = folder / "tiles" / place[0] / f"{tile.cell}-{tile.part}.{tile.path.rpartition('.')[2]}"
                path.parent.mkdir(exist_ok=True)
                _bring(ex, where, path)
                size += tile.size
                record = {"layer": place[0], "cell": tile.cell, "path": f"{place[0]}/{path.name}", "media_type": tile.media_type}
                records.write(json.dumps(record, separators=(",", ":")) + "\n")
    return size


def _bring(ex: Exchange, where: str | Path, path: Path) -> None:
    if isinstance(where, Path):
        try:
            os.link(where, path)
        except OSError:
            shutil.copyfile(where, path)
        return
    with path.open("wb") as stream:
        for piece in ex.store.read(Bucket.DATA, where):
            stream.write(piece)
