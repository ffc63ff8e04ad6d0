"""The third caged task: what may be looked at before buying, made of the tiles that were verified.

It sees tiles and their records, never the upload, and runs apart from the conversion: whatever breaks here, the upload stands. A layer
whose preview cannot be made is reported with the reason, and the others go on.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.cage.answer import tile_from_json
from tiles import extras
from tiles.batch import EncodedTile
from tiles.errors import ExtraMissing

Emit = Callable[[Mapping[str, Any]], None]

MAKERS = {
    "features": "ingest.previews.lines:make",
    "points": "ingest.previews.cloud:make",
    "frames": "ingest.previews.frames:make",
}
"""Content of a layer -> function (layer, out) that yields `Made` and `Without`; features first, pictures last: they take longest."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A verified tile and the file that it is."""

    record: EncodedTile
    path: Path


@dataclass(frozen=True, slots=True)
class LayerTiles:
    """A layer and its tiles. `pictures`: the seller asked for a class whose pictures may be shown, blurred."""

    name: str
    kind: str
    content: str
    pictures: bool
    tiles: tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A preview: `path` is its file, None when all of it is in `about`."""

    kind: str
    about: Mapping[str, Any]
    path: Path | None = None
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Without:
    """What is not shown, and why."""

    code: str
    message: str


def preview(request: Mapping[str, Any], emit: Emit) -> None:
    """The caged task `preview`: request {layers: [{name, kind, content, pictures}]} -> lines of `preview` and `without`."""
    out = Path(request["writes"])
    wishes = sorted(request["layers"], key=lambda wish: list(MAKERS).index(wish["content"]))
    tiles = _tiles(Path(request["reads"]))
    for wish in wishes:
        layer = LayerTiles(wish["name"], wish["kind"], wish["content"], bool(wish["pictures"]), tuple(tiles.get(wish["name"], ())))
        folder = out / layer.name
        folder.mkdir()
        try:
            for one in _maker(layer.content)(layer, folder):
                emit(_line(layer, one, out))
        except ExtraMissing as why:
            emit(_line(layer, Without(why.code, why.message), out))
        except Exception as why:  # the outermost loop of a layer: the reason goes to the seller
            traceback.print_exc()
            emit({"without": {"layer": layer.name, "code": "preview.failed", "message": f"{type(why).__name__}: {str(why)[:300]}"}})


def _maker(content: str) -> Callable[[LayerTiles, Path], Iterator[Made | Without]]:
    module, _, name = MAKERS[content].partition(":")
    found: Callable[[LayerTiles, Path], Iterator[Made | Without]] = getattr(extras.load(module), name)
    return found


def _line(layer: LayerTiles, one: Made | Without, out: Path) -> dict[str, Any]:
    if isinstance(one, Without):
        return {"without": {"layer": layer.name, "code": one.code, "message": one.message[:500]}}
    path = one.path.relative_to(out).as_posix() if one.path is not None else None
    return {"preview": {"layer": layer.name, "kind": one.kind, "ordinal": one.ordinal, "path": path, "about": dict(one.about)}}


def _tiles(folder: Path) -> dict[str, list[Stored]]:
    """The tiles of all parts by layer, in order of cell and part."""
    found: dict[str, list[Stored]] = {}
    for records in sorted(folder.glob("*/done/records.jsonl")):
        with records.open(encoding="utf-8") as lines:
            for line in lines:
                tile = tile_from_json(json.loads(line))
                found.setdefault(tile.layer, []).append(Stored(tile, records.parent / "tiles" / tile.path))
    for stored in found.values():
        stored.sort(key=lambda one: (one.record.cell, one.record.part))
    return found
