"""Pictures out of tiles of video, for previews: a frame by its number, decoded from the last key before it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.previews.pictures import Shot
from tiles.arrays import Int64s
from tiles.video.movie import MovieTrack, read_movie

if TYPE_CHECKING:
    from av import VideoFrame

WIDEST = 1280
"""Pixels of the width to which a frame is shrunk at once."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A tile: its track, when it begins (seconds since 1970, 0 unknown), and when frames are shown, in their order."""

    path: Path
    track: MovieTrack
    begins_s: int
    shown: Int64s

    @staticmethod
    def of(path: Path) -> Clip:
        """The tile at a path. Raises: InvalidContent: it is damaged."""
        movie = read_movie(path)
        track = movie.of(b"vide")[0]
        shown = np.sort(np.rint(track.times_s() * track.timescale).astype(np.int64))
        return Clip(path, track, movie.created_s or 0, shown)

    def shots(self, first: int, wanted: Sequence[int]) -> Iterator[tuple[int, Shot]]:
        """Those of the wanted frames that are in the tile, whose first frame has the number `first`."""
        import av

        keys = np.sort(np.rint(self.track.times_s()[self.track.samples.sync] * self.track.timescale).astype(np.int64))
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            at = -1
            frames = container.decode(stream)
            for number in sorted(wanted):
                if not first <= number < first + len(self.shown):
                    continue
                pts = int(self.shown[number - first])
                key = int(keys[max(0, int(np.searchsorted(keys, pts, side="right")) - 1)])
                if key > at:
                    container.seek(key, stream=stream, backward=True)
                    frames = container.decode(stream)
                for frame in frames:
                    at = int(frame.pts or 0)
                    if at >= pts:
                        yield number, self._shot(frame)
                        break

    def _shot(self, frame: VideoFrame) -> Shot:
        factor = min(1.0, WIDEST / frame.width)
        wide, tall = max(2, round(frame.width * factor)), max(2, round(frame.height * factor))
        picture = frame.to_ndarray(format="rgb24", width=wide, height=tall)
        upright = np.ascontiguousarray(np.rot90(picture, -_quarters(self.track.matrix)))
        return Shot("rgb8", upright.tobytes(), upright.shape[1], upright.shape[0], upright.shape[1] * 3)


def _quarters(matrix: bytes) -> int:
    """How many quarters of a circle, clockwise, a film is to be turned."""
    a, b, _, c, d = struct.unpack(">5i", matrix[:20])
    return {(1, 0, 0, 1): 0, (0, 1, -1, 0): 1, (-1, 0, 0, -1): 2, (0, -1, 1, 0): 3}.get(tuple(np.sign([a, b, c, d]).tolist()), 0)
