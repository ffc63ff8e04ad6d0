"""What a made-up camera films in the made-up district: an H.264 film that knows where it was (CAMM)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from mapex.cli.demo.district import height, lonlat
from mapex.cli.demo.drive import DRIVE_START_NS, paint_street, route
from tiles import extras

PER_SECOND = 10


def write_film(path: Path, *, seconds: int = 45) -> int:
    """A film of the first seconds of the drive, a frame for each position; returns the number of frames."""
    from tiles.video import camm, tile
    from tiles.video.movie import read_movie

    xy = route()[: seconds * PER_SECOND]
    plain = path.with_suffix(".part")
    _write_pictures(plain, [paint_street(number, xy) for number in range(len(xy))])
    track = read_movie(plain).of(b"vide")[0]
    samples = track.samples
    frames = tile.Frames(samples.size, samples.pts - samples.pts.min(), samples.sync, samples.last)
    pictures = tile.Pictures(track.entry, track.timescale, track.width, track.height, track.matrix)
    places = np.column_stack([lonlat(xy), height(xy)])
    t_ns = DRIVE_START_NS + np.arange(len(xy)) * (1_000_000_000 // PER_SECOND)
    with plain.open("rb") as stream, path.open("wb") as film:
        film.write(tile.head(pictures, frames, DRIVE_START_NS, {}))
        for at, size in zip(samples.at.tolist(), samples.size.tolist(), strict=True):
            stream.seek(at)
            film.write(stream.read(size))
        film.write(camm.packets(t_ns, places))
    plain.unlink()
    return len(xy)


def _write_pictures(path: Path, pictures: list[bytes]) -> None:
    """An H.264 film of JPEG pictures, a key every two seconds."""
    with extras.needed():
        import av
    from PIL import Image

    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=PER_SECOND)
        stream.options = {"preset": "veryfast", "crf": "24", "g": str(2 * PER_SECOND), "bf": "0", "threads": "1", "flags": "+bitexact"}
        for number, body in enumerate(pictures):
            frame = av.VideoFrame.from_image(Image.open(io.BytesIO(body)))  # type: ignore[no-untyped-call]
            if not number:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
