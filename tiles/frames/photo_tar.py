"""Pictures of one cell: an uncompressed tar with the original files, untouched, and `.trajectory.geojson` first.

WebDataset makes a sample of each name that has something before its first dot, so the trajectory's name begins with one (in tiles of
old it does not): every sample of a tile is a picture.
Deterministic: files by name, owner 0, mode 0644, time of the file = when the picture was taken (0 when unknown).
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.footage.doubts import Unproven
from tiles.formats import Doubting, Recounted, one_by_one
from tiles.frames.codec import FrameCounts, comparing
from tiles.frames.picture_tables import PictureTables
from tiles.frames.track import NAME as OLD_TRAJECTORY

TRAJECTORY = f".{OLD_TRAJECTORY}"
TRAJECTORIES = (TRAJECTORY, OLD_TRAJECTORY)
"""Names of what is no picture in an archive; one of them stands first."""


def write(stream: BinaryIO, tables: PictureTables, cell: int, trajectory: bytes) -> None:
    """Write the pictures of a cell; one segment of the tables is in memory at a time when they arrived in order of name."""
    index: list[tuple[str, int, int]] = []
    for at, table in tables.segments(cell):
        index += [(name, at, row) for row, name in enumerate(table.column("name").to_pylist())]
    index.sort()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, TRAJECTORY, trajectory, 0)
        held, table = -1, pa.table({})
        for number, (name, at, row) in enumerate(index):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or name in TRAJECTORIES or (number and index[number - 1][0] == name):
                raise InvalidContent(f"{name!r} cannot be the name of a picture in a tile (unsafe, or there twice).", code="tile.name")
            if at != held:
                held, table = at, tables.segment(cell, at)
            t_ns = table.column("t_ns")[row].as_py()
            _add(archive, name, table.column("payload")[row].as_py(), max(0, (t_ns or 0) // 1_000_000_000))


def _add(archive: tarfile.TarFile, name: str, body: bytes, t_s: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(body), t_s, 0o644
    archive.addfile(entry, io.BytesIO(body))


def count(path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None) -> FrameCounts:
    """Pictures in an archive (each is a record and a frame), and its trajectory; they are the doubt.

    Raises: InvalidContent: something else than JPEG files of different names is in it, or no trajectory at its beginning.
    """
    names: list[str] = []
    trajectory = b""
    try:
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                body = archive.extractfile(entry) if entry.isreg() else None
                if body is None or PurePosixPath(entry.name).is_absolute() or ".." in PurePosixPath(entry.name).parts:
                    raise InvalidContent(f"{tile.path} holds {entry.name!r}, which is no plain file.", code="tile.damaged")
                if not names:
                    trajectory = body.read() if entry.name in TRAJECTORIES else b""
                elif body.read(3) != b"\xff\xd8\xff":
                    raise InvalidContent(f"{tile.path} holds {entry.name!r}, which is no JPEG.", code="tile.damaged")
                names.append(entry.name)
    except tarfile.TarError as error:
        raise InvalidContent(f"{tile.path} is damaged: {error}.", code="tile.damaged") from error
    if not trajectory or len(set(names)) != len(names):
        raise InvalidContent(f"{tile.path} has no trajectory, or a name twice.", code="tile.damaged")
    if doubts is not None:
        doubts.append(Unproven("photos", "they are pictures"))
    return FrameCounts(len(names) - 1, len(names) - 1, trajectory)


def recount_each(stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None) -> Iterator[Recounted]:
    """See `tiles.formats.Codec`."""
    return one_by_one(comparing(count), stored, doubt)
