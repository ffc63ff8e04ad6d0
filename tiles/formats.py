"""One door to all tile formats: open a stored tile by its media type, count again, compare with its record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from tiles.batch import EncodedTile
from tiles.errors import InvalidContent, TilesError

CODECS = {
    "application/vnd.apache.parquet": "tiles.features.codec",
    "application/vnd.laszip": "tiles.points.codec",
    "application/x-mcap": "tiles.frames.codec",
    "application/x-tar": "tiles.frames.codec",
}
"""Media type of a tile: the module whose `verify(path, tile)` opens and recounts it, imported on first use. One that also has
`verify_each` is asked for many tiles at once.
"""


def verify(path: Path, tile: EncodedTile) -> None:
    """Check that a file is the tile that its record describes: size, sha256, and what its format's codec counts in it.

    Raises: InvalidContent: it is not; the sentence names the file and the difference.
    """
    module = _codec(path, tile)
    module.verify(path, tile)


def verify_each(stored: Iterable[tuple[Path, EncodedTile]]) -> Iterator[tuple[EncodedTile, TilesError | None]]:
    """`verify` of many tiles, faster for small ones: each tile, in order, and what is wrong with it, if anything."""
    for (media_type, flawed), group in groupby(_looked_at(stored), key=lambda entry: (entry[1].media_type, entry[2] is not None)):
        if not flawed and hasattr(module := import_module(CODECS[media_type]), "verify_each"):
            yield from module.verify_each((path, tile) for path, tile, _ in group)
            continue
        for path, tile, fault in group:
            yield tile, fault if fault is not None else _fault(path, tile)


def _looked_at(stored: Iterable[tuple[Path, EncodedTile]]) -> Iterator[tuple[Path, EncodedTile, InvalidContent | None]]:
    for path, tile in stored:
        try:
            _codec(path, tile)
        except InvalidContent as fault:
            yield path, tile, fault
        else:
            yield path, tile, None


def _fault(path: Path, tile: EncodedTile) -> TilesError | None:
    try:
        import_module(CODECS[tile.media_type]).verify(path, tile)
    except TilesError as fault:
        return fault
    return None


def _codec(path: Path, tile: EncodedTile) -> Any:
    """The codec of a tile whose size and sha256 are those of its record."""
    name = CODECS.get(tile.media_type)
    if name is None:
        raise InvalidContent(f"{tile.path}: {tile.media_type!r} is not the media type of a tile", media_type=tile.media_type)
    if not path.is_file():
        raise InvalidContent(f"{tile.path} was promised but not written")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = path.stat().st_size
    if (size, digest) != (tile.size, tile.sha256):
        raise InvalidContent(
            f"{tile.path} has {size} bytes and sha256 {digest}, its record says {tile.size} and {tile.sha256}", size=size, sha256=digest
        )
    if tile.quantities.bytes != size:
        raise InvalidContent(f"{tile.path} has {size} bytes, its quantities say {tile.quantities.bytes}")
    return import_module(name)
