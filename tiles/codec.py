"""One door to all tile formats: open a stored tile by its media type, count again, compare with its record."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

from tiles.batch import EncodedTile
from tiles.errors import InvalidContent

CODECS = {
    "application/vnd.apache.parquet": "tiles.codec_features:verify",
    "application/vnd.laszip": "tiles.codec_points:verify",
    "application/x-mcap": "tiles.codec_frames:verify",
    "application/x-tar": "tiles.codec_frames:verify",
}
"""Media type of a tile: "module:function" that opens and recounts it, imported on first use."""


def verify(path: Path, tile: EncodedTile) -> None:
    """Check that a file is the tile that its record describes: size, sha256, and what its format's codec counts in it.

    Raises: InvalidContent: it is not; the sentence names the file and the difference.
    """
    entry = CODECS.get(tile.media_type)
    if entry is None:
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
    module, _, function = entry.partition(":")
    getattr(import_module(module), function)(path, tile)
