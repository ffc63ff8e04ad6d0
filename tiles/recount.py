"""The one door to stored tiles of every format: compare file and record, then let the format's codec count what is in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.formats import Doubting, Recounted, TileFormat, of_media_type

_Opened = tuple[Path, EncodedTile, TileFormat | None, InvalidContent | None]


def verify(path: Path, tile: EncodedTile) -> None:
    """Check that a file is the tile that its record describes: size, sha256, and what its format's codec counts in it.

    Raises: TilesError: it is not (nearly always InvalidContent); the sentence names the file and the difference.
    """
    for _, fault in verify_each([(path, tile)]):
        if fault is not None:
            raise fault


def verify_each(stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None) -> Iterator[Recounted]:
    """`verify` of many tiles, faster for small ones: each tile, in order, and what is wrong with it, if anything.

    `doubt` gets what of a tile cannot be proven to be free of pictures and sound (`tiles.footage`), before the tile itself comes.
    """
    for form, group in groupby(map(_opened, stored), key=lambda entry: entry[2]):
        if form is None:
            yield from ((tile, fault) for _, tile, _, fault in group)
        else:
            yield from form.load_codec().recount_each(((path, tile) for path, tile, _, _ in group), doubt)


def _opened(entry: tuple[Path, EncodedTile]) -> _Opened:
    """A stored tile with its format; without one, and with what is wrong, when its file is not the one of its record."""
    path, tile = entry
    try:
        return path, tile, _checked(path, tile), None
    except InvalidContent as fault:
        return path, tile, None, fault


def _checked(path: Path, tile: EncodedTile) -> TileFormat:
    """The format of a tile whose size and sha256 are those of its record; the file is hashed here and nowhere else in this process."""
    form = of_media_type(tile.media_type)
    if form is None:
        raise InvalidContent(f"{tile.path}: {tile.media_type!r} is not the media type of a tile.", media_type=tile.media_type)
    if not path.is_file():
        raise InvalidContent(f"{tile.path} was promised but not written.")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = path.stat().st_size
    if (size, digest) != (tile.size, tile.sha256):
        raise InvalidContent(
            f"{tile.path} has {size} bytes and sha256 {digest}, its record states {tile.size} and {tile.sha256}.", size=size, sha256=digest
        )
    if tile.quantities.bytes != size:
        raise InvalidContent(f"{tile.path} has {size} bytes, its quantities state {tile.quantities.bytes}.")
    return form
