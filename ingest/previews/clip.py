"""Small pictures and a short clip of footage: shrunk, blurred, and written anew, so that nothing of the file's own metadata is left."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from ingest.previews.blur import Picture

WIDEST = 320
PER_SECOND = 4
MOST_FRAMES = 32
"""Frames of a clip: eight seconds; to find the faces in each takes a quarter of a second."""


def small(picture: Picture) -> Picture:
    """The picture at most 320 pixels wide, both sides even (H.264 wants that)."""
    from PIL import Image

    tall, wide = picture.shape[:2]
    factor = min(1.0, WIDEST / wide, WIDEST / tall)
    size = (max(2, int(wide * factor) // 2 * 2), max(2, int(tall * factor) // 2 * 2))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def write_picture(picture: Picture, path: Path) -> None:
    """A baseline JPEG without any metadata."""
    from PIL import Image

    body = io.BytesIO()
    Image.fromarray(picture).save(body, "JPEG", quality=80, optimize=False, progressive=False)
    path.write_bytes(body.getvalue())


def write_clip(pictures: Sequence[Picture], path: Path) -> None:
    """An H.264 clip of pictures of one size, a key frame every second, so that seeking is exact enough and cheap."""
    import av

    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=PER_SECOND)
        tall, wide = pictures[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = wide, tall, "yuv420p"
        # One thread: the same pictures give the same bytes on every machine.
        stream.options = {"preset": "medium", "crf": "27", "profile": "main", "threads": "1", "g": str(PER_SECOND), "flags": "+bitexact"}
        stream.time_base = Fraction(1, PER_SECOND)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
