"""Which frames of a cell's video are the same as before: each is one number, made of its time, place and bytes.

A frame at an edge that was packed anew is known by time and place alone: another edition of the packer writes it in other bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from tiles.arrays import UInt64s
from tiles.errors import InvalidContent
from tiles.video import camm, tile
from tiles.video.codec import places_of, texts_of
from tiles.video.movie import read_movie


def marks(paths: Sequence[Path]) -> UInt64s:
    """Numbers of the frames of some tiles. Raises: InvalidContent: a tile cannot be read."""
    return np.array([mark for path in paths for mark in _of(path)], np.uint64)


def _of(path: Path) -> list[int]:
    movie = read_movie(path)
    samples = movie.of(b"vide")[0].samples
    order = np.argsort(samples.pts, kind="stable")
    try:
        anew = json.loads(texts_of(path)[tile.ABOUT])["packed_anew"]
        places = places_of(path, movie.of(camm.HANDLER)[0])
        changed = {number for run in anew for number in range(run["first_frame"], run["first_frame"] + run["frames"])}
    except (IndexError, KeyError, TypeError, ValueError) as why:
        raise InvalidContent(f"{path.name} does not state when its frames were taken.", code="tile.damaged") from why
    found = []
    with path.open("rb") as stream:
        for number, (sample, place) in enumerate(zip(order.tolist(), places, strict=True)):
            stream.seek(int(samples.at[sample]))
            body = b"" if number in changed else stream.read(int(samples.size[sample]))
            found.append(int.from_bytes(sha256(place.tobytes() + body).digest()[:8]))
    return found
