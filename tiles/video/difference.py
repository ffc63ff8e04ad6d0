"""Which frames of a cell's video are the same as before: each is one number, made of its time and its bytes.

A frame at an edge that was packed anew is known by its time alone: another edition of the packer writes it in other bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from tiles.arrays import UInt64s
from tiles.errors import InvalidContent
from tiles.video import tile
from tiles.video.codec import texts_of
from tiles.video.movie import read_movie


def marks(paths: Sequence[Path]) -> UInt64s:
    """Numbers of the frames of some tiles. Raises: InvalidContent: a tile cannot be read."""
    return np.array([mark for path in paths for mark in _of(path)], np.uint64)


def _of(path: Path) -> list[int]:
    samples = read_movie(path).of(b"vide")[0].samples
    order = np.argsort(samples.pts, kind="stable")
    texts = texts_of(path)
    try:
        ways = json.loads(texts[tile.TRAJECTORY])["features"]
        anew = json.loads(texts[tile.ABOUT])["packed_anew"]
        known = [time for way in ways for time in way["properties"]["times"] or [""] * len(way["geometry"]["coordinates"])]
        changed = {number for run in anew for number in range(run["first_frame"], run["first_frame"] + run["frames"])}
    except (KeyError, TypeError, ValueError) as why:
        raise InvalidContent(f"{path.name} does not state when its frames were taken.", code="tile.damaged") from why
    found = []
    with path.open("rb") as stream:
        for number, (sample, time) in enumerate(zip(order.tolist(), known, strict=True)):
            stream.seek(int(samples.at[sample]))
            body = b"" if number in changed and time else stream.read(int(samples.size[sample]))
            found.append(int.from_bytes(sha256(time.encode() + b"\0" + body).digest()[:8]))
    return found
