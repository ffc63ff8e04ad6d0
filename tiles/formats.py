"""The formats of tiles, one row each: all that the exchange has to know about a format beside its codec.

A new format is a codec (`Codec`), a splitter (`Splitter`, or one that is there already), a row in `FORMATS`, and its words in
`web.words`. Codecs and splitters are named by their modules and imported on first use: the table itself needs no library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from tiles import extras
from tiles.batch import Batch, EncodedTile, LayerKind
from tiles.errors import TilesError
from tiles.footage.doubts import Unproven

MANIFEST = "_manifest.json"
"""Name of the list of tiles beside them. Parquet libraries pass over names that begin with `_`, so that a folder of vector tiles opens as
one dataset; downloads of old have `OLD_MANIFEST`."""
OLD_MANIFEST = "manifest.json"

Recounted = tuple[EncodedTile, TilesError | None]
"""A tile, and what is wrong with it, if anything."""


Doubting = Callable[[EncodedTile, Unproven], None]
"""Takes in what of a tile cannot be proven to be free of pictures and sound."""


class TileRecount(Protocol):
    """Compares one tile with its record; puts its doubts into the list, if there is one. Raises: TilesError: they differ."""

    def __call__(self, path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None, /) -> None: ...  # noqa: D102


class Codec(Protocol):
    """What a module that reads and writes tiles of a format offers to the rest of the exchange."""

    def recount_each(self, stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None, /) -> Iterator[Recounted]:
        """Open stored tiles and compare what is in them with their records: each tile, in order, with what is wrong.

        Size and sha256 of the files have been compared before (`tiles.recount`). `doubt` gets each thing in a tile that cannot be proven
        to be free of pictures and sound; without it nobody looks.
        """
        ...


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row that has no cell, or `count` of them: its place in the source (0 = first row given), its id, a code and a sentence."""

    row: int
    feature_id: str
    code: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Remark:
    """What a splitter did to rows that it kept, to be known with the tiles: code, sentence, and how many rows."""

    code: str
    message: str
    count: int


class Splitter(Protocol):
    """Cuts the batches of one layer of one source into tiles, in bounded memory."""

    rejected: int
    """Rows that were left out: broken, or without a place on the grid."""
    unplaced: int
    """Rows that were left out because they have no geometry."""
    misfits: Sequence[Misfit]
    """The first of those that were left out, where rows have names."""

    @property
    def remarks(self) -> Sequence[Remark]:
        """What is to be known of rows that were kept."""
        ...

    def add(self, batch: Batch) -> None:
        """Take rows in. Raises: TilesError: the batch does not belong here."""
        ...

    def finish(self) -> Iterator[EncodedTile]:
        """Write the tiles, in the order of their cells."""
        ...


@dataclass(frozen=True, slots=True)
class TileFormat:
    """A row of the table. `name` is the key of its words; `kinds` of layers come in it; `magic` stands at byte `magic_at` of each file.

    `codec` is a module like `Codec`; `splitter` one with `open_splitter(out_dir, first_batch, part) -> Splitter`.
    """

    name: str
    kinds: tuple[LayerKind, ...]
    media_type: str
    ending: str
    magic: bytes
    codec: str
    splitter: str
    magic_at: int = 0

    def fits(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes (512 are enough) can be of this format."""
        return head[self.magic_at :].startswith(self.magic)

    def path(self, layer: str, quadkey: str, part: int) -> str:
        """Where the tile of a cell is, relative to the folder of a version: `<layer>/<quadkey>-<part>.<ending>`."""
        return f"{layer}/{quadkey}-{part}.{self.ending}"

    def load_codec(self) -> Codec:
        """The codec; its libraries are imported now. Raises: ExtraMissing: one is not installed."""
        return cast(Codec, extras.load(self.codec))

    def open_splitter(self, out_dir: Path, first: Batch, part: int) -> Splitter:
        """A splitter for the layer of which `first` is the first batch; tiles go below `out_dir`."""
        return cast(Splitter, extras.load(self.splitter).open_splitter(out_dir, first, part))


GEOPARQUET = TileFormat(
    name="geoparquet",
    kinds=(LayerKind.HDMAP, LayerKind.SIDEWALK),
    media_type="application/vnd.apache.parquet",
    ending="parquet",
    magic=b"PAR1",
    codec="tiles.features.codec",
    splitter="tiles.features.splitter",
)
LAZ = TileFormat(
    name="laz",
    kinds=(LayerKind.POINTCLOUD,),
    media_type="application/vnd.laszip",
    ending="laz",
    magic=b"LASF",
    codec="tiles.points.codec",
    splitter="tiles.points.splitter",
)
MCAP = TileFormat(
    name="mcap",
    kinds=(LayerKind.RECORDING,),
    media_type="application/x-mcap",
    ending="mcap",
    magic=b"\x89MCAP0\r\n",
    codec="tiles.frames.mcap_slice",
    splitter="tiles.frames.splitter",
)
PHOTO_TAR = TileFormat(
    name="photo_tar",
    kinds=(LayerKind.PHOTOS,),
    media_type="application/x-tar",
    ending="tar",
    magic=b"ustar",
    magic_at=257,
    codec="tiles.frames.photo_tar",
    splitter="tiles.frames.splitter",
)
MP4 = TileFormat(
    name="mp4",
    kinds=(LayerKind.VIDEO,),
    media_type="video/mp4",
    ending="mp4",
    magic=b"ftypisom\0\0\x02\0mapx",
    magic_at=4,
    codec="tiles.video.codec",
    splitter="tiles.video.splitter",
)

FORMATS = (GEOPARQUET, LAZ, MCAP, PHOTO_TAR, MP4)

_BY_MEDIA_TYPE = {row.media_type: row for row in FORMATS}
_BY_KIND = {kind: row for row in FORMATS for kind in row.kinds}


def of_media_type(media_type: str) -> TileFormat | None:
    """The format of a stored tile; None when no tile has this media type."""
    return _BY_MEDIA_TYPE.get(media_type)


def of_kind(kind: LayerKind) -> TileFormat:
    """The format in which a layer of this kind is sold."""
    return _BY_KIND[kind]


def one_by_one(recount: TileRecount, stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None) -> Iterator[Recounted]:
    """`Codec.recount_each` of a format that gains nothing from many tiles at once; `recount` raises TilesError."""
    for path, tile in stored:
        found: list[Unproven] | None = None if doubt is None else []
        try:
            recount(path, tile, found)
        except TilesError as fault:
            yield tile, fault
        else:
            for one in found or ():
                if doubt is not None:
                    doubt(tile, one)
            yield tile, None
