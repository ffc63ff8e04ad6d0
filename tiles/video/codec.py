"""A tile of video recounted: every byte of it belongs to a frame or to what describes them, and each frame is one picture with a place."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tiles.batch import EncodedTile
from tiles.errors import InvalidContent, InvalidTile
from tiles.footage.doubts import Unproven
from tiles.formats import Doubting, Recounted, one_by_one
from tiles.frames.codec import FrameCounts, comparing
from tiles.grid import grid
from tiles.video import camm, units
from tiles.video import tile as tiles_of_video
from tiles.video.boxes import MOOV_LIMIT, Atom, Damaged, boxes, child, top_boxes
from tiles.video.movie import MovieTrack, read_movie

_KINDS = [b"ftyp", b"moov", b"mdat"]


def count(path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None) -> FrameCounts:
    """Frames of a tile (each is a record), and its trajectory; the video is the doubt.

    Raises: InvalidContent: damaged, not a tile of ours, or with bytes that belong to nothing.
    """
    try:
        found = _counted(path, tile)
    except InvalidTile as why:
        raise InvalidContent(f"{tile.path} has a frame at no place.", code="tile.place") from why
    except (Damaged, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, struct.error) as why:
        raise InvalidContent(f"{tile.path} is damaged: {why}", code="tile.damaged") from why
    if doubts is not None:
        doubts.append(Unproven("video", "it is a video"))
    return found


def _counted(path: Path, tile: EncodedTile) -> FrameCounts:
    with path.open("rb") as stream:
        top = list(top_boxes(stream, path.stat().st_size))
    if [one.kind for one in top] != _KINDS or top[-1].is_cut or top[-1].end != tile.size:
        raise ValueError("it is not made of ftyp, moov and mdat alone.")
    movie = read_movie(path)
    video, ways = movie.of(b"vide"), movie.of(camm.HANDLER)
    if len(video) != 1 or len(ways) != 1 or len(movie.tracks) != 2:
        raise ValueError("it does not hold one track of pictures and one of places.")
    _check_bytes(top[-1], video[0], ways[0])
    _check_pictures(path, video[0])
    trajectory = texts_of(path).get(tiles_of_video.TRAJECTORY, b"")
    number = len(video[0].samples)
    if len(ways[0].samples) != number or not 0 < _vertices(trajectory) <= number:
        raise ValueError("not every frame has one place.")
    places = places_of(path, ways[0])
    if (grid.cells_at(places["lon"], places["lat"]) != np.uint64(tile.cell)).any():
        raise InvalidContent(f"{tile.path} has a frame outside its cell.", code="tile.place")
    return FrameCounts(number, number, trajectory)


def _check_bytes(mdat: Atom, video: MovieTrack, ways: MovieTrack) -> None:
    """Pass when pictures and places fill the data, one behind the other."""
    at = np.concatenate([video.samples.at, ways.samples.at])
    size = np.concatenate([video.samples.size, ways.samples.size])
    ends = np.concatenate([[mdat.start], at + size])
    if (at != ends[:-1]).any() or ends[-1] != mdat.end or (size <= 0).any():
        raise ValueError("its frames do not fill it.")


def _check_pictures(path: Path, video: MovieTrack) -> None:
    """Pass when each sample is one picture (or its two fields), whole."""
    if not units.whole(path, video.samples, units.sets_of(video.entry)).all():
        raise ValueError("a frame of it is not one picture.")


def places_of(path: Path, ways: MovieTrack) -> Any:
    """The packets of a track of places, one a frame: `time`, `lon`, `lat`, `h`. Raises: ValueError: they are none of ours."""
    with path.open("rb") as stream:
        stream.seek(int(ways.samples.at[0]))
        body = stream.read(int(ways.samples.size.sum()))
    if (ways.samples.size != camm.SIZE).any():
        raise ValueError("a place is not one.")
    return np.frombuffer(body, camm.ROW)


def texts_of(path: Path) -> dict[str, bytes]:
    """The texts in the metadata of a tile. Raises: Damaged."""
    with path.open("rb") as stream:
        moov = next((one for one in top_boxes(stream, path.stat().st_size) if one.kind == b"moov"), None)
        if moov is None or moov.end - moov.start > MOOV_LIMIT:
            return {}
        stream.seek(moov.start)
        data = stream.read(moov.end - moov.start)
    whole = Atom(b"moov", 0, 0, len(data))
    keys, values = child(data, whole, b"meta", b"keys"), child(data, whole, b"meta", b"ilst")
    if keys is None or values is None:
        return {}
    names = [data[one.start : one.end].decode("utf-8", "replace") for one in boxes(data, keys.start + 8, keys.end)]
    found = {}
    for item in boxes(data, values.start, values.end):
        number, body = int.from_bytes(item.kind), child(data, item, b"data")
        if body is not None and 0 < number <= len(names):
            found[names[number - 1]] = data[body.start + 8 : body.end]
    return found


def _vertices(trajectory: bytes) -> int:
    """How many places a trajectory has."""
    shapes = [one["geometry"] for one in json.loads(trajectory)["features"]] if trajectory else []
    return sum(1 if shape["type"] == "Point" else len(shape["coordinates"]) for shape in shapes)


def recount_each(stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None) -> Iterator[Recounted]:
    """See `tiles.formats.Codec`."""
    return one_by_one(comparing(count), stored, doubt)
