"""Stored tiles looked at again: which layers were sold as something less than `original` and may show pictures.

The rule was weaker when they were read, or the reader that read them was taken over. Tiles are opened in the cage that recounts them,
some at a time; nothing of them is changed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.cage.answer import tile_as_json
from ingest.conversion.layout import limits_for
from ingest.conversion.recount import TileSet, recount
from mapex.catalogue.finding import Finding
from mapex.exchange import Exchange
from mapex.operation.classes import Released, lesser, tiles_of
from tiles.batch import EncodedTile
from tiles.store.protocol import Bucket

_MOST_TILES, _MOST_BYTES = 500, 256 << 20


@dataclass(frozen=True, slots=True)
class TooLow:
    """A released layer whose class is too low, and why: a finding of its tiles."""

    released: Released
    finding: Finding


def look(ex: Exchange, dataset: str | None = None) -> Iterator[tuple[Released, Sequence[TooLow]]]:
    """Each layer that was released as less than `original`, with what in it may be a picture.

    Raises: TilesError: an object is missing.
    """
    for released in lesser(ex, dataset):
        yield released, [TooLow(released, finding) for finding in _findings(ex, released)]


def _findings(ex: Exchange, released: Released) -> Sequence[Finding]:
    """What the tiles of a layer give, each thing once; a tile that cannot be opened is a finding too."""
    found: dict[tuple[str, str], Finding] = {}
    for some in _pieces(tiles_of(ex, released.layer)):
        with tempfile.TemporaryDirectory(prefix="mapex-look-") as name:
            folder = Path(name)
            _fetch(ex, some, folder)
            tiles = TileSet(folder, released.dataset, len(some), ex.settings.cage)
            limits = limits_for([folder / "tiles"], sum(tile.size for _, tile in some))
            again, _ = recount(tiles, limits, stop=lambda: False)
        for finding in (*again.wrong, *(one.finding for one in again.doubts)):
            found.setdefault((finding.code, finding.feature), finding)
    return list(found.values())


def _pieces(tiles: Iterator[tuple[str, EncodedTile]]) -> Iterator[list[tuple[str, EncodedTile]]]:
    some: list[tuple[str, EncodedTile]] = []
    for one in tiles:
        some.append(one)
        if len(some) >= _MOST_TILES or sum(tile.size for _, tile in some) >= _MOST_BYTES:
            yield some
            some = []
    if some:
        yield some


def _fetch(ex: Exchange, tiles: Sequence[tuple[str, EncodedTile]], folder: Path) -> None:
    with (folder / "records.jsonl").open("w", encoding="utf-8") as records:
        for key, tile in tiles:
            path = folder / "tiles" / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                for piece in ex.store.read(Bucket.DATA, key):
                    stream.write(piece)
            records.write(json.dumps(tile_as_json(tile), separators=(",", ":")) + "\n")
