"""Video (MP4, QuickTime) with H.264 or HEVC: each frame placed by where the camera was when it was shown; the pictures are not unpacked.

Positions come from the film itself (GPMF of GoPro, CAMM) or a track beside it (GPX, NMEA, CSV); the time from the receiver, never from the
creation time of the file, which cameras write in local time and mark as UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.findings import error, info, question, warning
from ingest.reader import Placed, Source, Survey
from ingest.readers.recordings.track import Track
from ingest.readers.video.film import Film, Part, film_of
from ingest.readers.video.positions import FAR_S
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from tiles.arrays import Bools
from tiles.batch import Batch, Content, LayerKind
from tiles.video import units

BATCH_ROWS = 50_000

_COLUMNS = pa.schema(
    [
        ("t_ns", pa.int64()), ("lon", pa.float64()), ("lat", pa.float64()), ("h", pa.float64()), ("topic", pa.string()),
        ("seq", pa.int64()), ("name", pa.string()), ("size", pa.int64()), ("file", pa.int32()),
    ]
)  # fmt: skip
"""Columns of a batch: no picture, only where each was taken. `seq` is its sample in file number `file` of `Batch.meta["video"]`."""


class Video:
    """MP4 and QuickTime files: one, or all of a recording that a camera split."""

    format = "video"
    layer = "video"
    kind = LayerKind.VIDEO
    content = Content.FRAMES

    def survey(self, source: Source, given: Placement) -> Survey:
        """Frames, and whether anything states where they were taken."""
        film = film_of(source, self.layer)
        found: tuple[Finding, ...] = ()
        datum, known = _heights(film, given)
        if len(film.positions):
            placed = Placed("EPSG:4326", Known.FILE, datum, known)
        elif given.origin is not None:
            note = "No position is recorded; all of it was put where the uploader placed it."
            placed = Placed("EPSG:4326", Known.GIVEN, given.height_datum or "ellipsoid", Known.GIVEN, given.origin, note)
        else:
            placed = Placed(None, Known.NONE)
            text = f"{source.name} holds no position (GPMF, CAMM), and no track beside it covers it, so nobody knows where it was taken."
            fix = "Send a GPX, NMEA or CSV track of the same name with it, or give --origin LON,LAT[,H] if the camera did not move."
            found = (error("crs.none", text, fix, file=source.name, layer=self.layer),)
        return Survey(self.format, (self.layer,), film.frames, placed, findings=found, details=film.camera)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All frames, by file, in the order of decoding."""
        film = film_of(source, self.layer)
        where = {"file": source.name, "layer": self.layer}
        yield from film.findings
        track = film.positions.track()
        is_put = not len(film.positions) and placed.origin is not None
        if is_put and placed.origin is not None:
            track.add(0, *placed.origin)
            text = "Nobody knows when the frames were taken: the clock of a camera alone may be local time, and is not used."
            yield warning("video.no_time", text, "Record with a camera that writes the time of its receiver.", **where)
        named = [{"path": str(part.path), "name": part.name} for part in film.parts]
        meta = {"video": json.dumps({"files": named, "camera": film.camera}, ensure_ascii=False)}
        rows = _FilmRows(film, track, meta, self.layer, is_put=is_put)
        alike = _Alike(film.parts[0])
        for number, part in enumerate(film.parts):
            if not alike.takes(part):
                yield _other(part, where)
                continue
            good = _good(part)
            yield from _about(part, good, where)
            yield from rows.of(number, part, good)
        yield from _left_out(film, where)


def _heights(film: Film, given: Placement) -> tuple[str, Known]:
    if given.height_datum:
        return given.height_datum, Known.GIVEN
    if film.positions.datum:
        return film.positions.datum, Known.FILE if film.origin in ("GPMF", "CAMM") else Known.GUESSED
    return ("ellipsoid", Known.GUESSED) if film.origin == "GPMF" else ("unknown", Known.NONE)


@dataclass(frozen=True, slots=True)
class _Alike:
    """What all files of a recording have in common, so that their frames fit behind one another."""

    first: Part

    def takes(self, part: Part) -> bool:
        """Whether frames of a part fit behind those of the first."""
        same = ("timescale", "width", "height", "matrix")
        alike = all(getattr(self.first.video, name) == getattr(part.video, name) for name in same)
        return alike and units.sets_of(self.first.video.entry) == units.sets_of(part.video.entry)


def _other(part: Part, where: dict[str, str]) -> Finding:
    count = len(part.video.samples)
    text = f"{part.name} was recorded with other settings than the files before it; its {count} frames were left out."
    return error("video.mixed", text, "Upload it by itself.", feature=part.name, count=count, rejected=count, **where)


def _about(part: Part, good: Bools, where: dict[str, str]) -> Iterator[Finding]:
    """What of a file is not as it should be."""
    where = {**where, "feature": part.name}
    samples, movie = part.video.samples, part.movie
    lost = int((~_there(part)).sum())
    if lost:
        text = f"{lost} of the {len(samples)} frames that {part.name} describes are not there: it was cut."
        yield question("video.cut", text, "Upload it again, or confirm that this is all of it.", count=lost, rejected=lost, **where)
    elif movie.ends_early:
        text = f"{part.name} ends in the middle of a fragment; all whole ones were read."
        yield question("video.cut", text, "Upload it again, or confirm that this is all of it.", **where)
    broken = int((_there(part) & ~good).sum())
    if broken:
        text = f"{broken} of the {len(samples)} frames of {part.name} are damaged and were left out."
        yield question("video.frames", text, "Upload it again, or confirm that this is all of it.", count=broken, rejected=broken, **where)
    if part.video.edits > 1:
        text = (
            f"{part.name} has an edit list that shows {part.video.edits} pieces; all frames that were recorded are taken, in their order."
        )
        yield info("video.edits", text, "Nothing to do.", **where)
    others = movie.of(b"vide")[1:]
    if others:
        count = sum(len(track.samples) for track in others)
        text = f"{part.name} holds {len(others)} more tracks of pictures ({count} frames); the first is taken, these were left out."
        yield warning("video.tracks", text, "Upload each track as a file of its own.", count=count, **where)
    sound = movie.of(b"soun")
    if sound:
        text = f"{part.name} holds sound, which is never sold: it may record people who do not know of it. It was left out."
        yield info("video.sound", text, "Nothing to do.", **where)


def _left_out(film: Film, where: dict[str, str]) -> Iterator[Finding]:
    """What of the telemetry is damaged or places nothing; other sensors of the camera, by name and number of samples."""
    if lost := film.positions.unusable:
        text = f"{lost} of {lost + len(film.positions)} positions are without a fix, not finite, or 0,0; they place nothing."
        yield info("recording.no_fix", text, "Nothing to do.", count=lost, **where)
    if film.damaged:
        text = f"{film.damaged} pieces of the camera's telemetry are damaged; positions in them were not used."
        yield warning("video.telemetry", text, "Check the way on the map.", count=film.damaged, **where)
    if film.sensors:
        listed = ", ".join(f"{name} {count}" for name, count in sorted(film.sensors.items()))
        text = f"The camera recorded {len(film.sensors)} other sensors, which tiles of video do not hold. They were left out."
        yield info("video.sensors", text, "Nothing to do.", value=listed[:1900], **where)


def _there(part: Part) -> Bools:
    """Which samples are in the file, up to the first that is not."""
    samples = part.video.samples
    return np.asarray(np.logical_and.accumulate(samples.at + samples.size <= part.movie.end), bool)


def _good(part: Part) -> Bools:
    """Which samples can be sold: there, and each one picture, whole."""
    return _there(part) & units.whole(part.path, part.video.samples, units.sets_of(part.video.entry))


@dataclass(slots=True)
class _FilmRows:
    """Frames to batches."""

    film: Film
    track: Track
    meta: dict[str, str]
    layer: str
    is_put: bool

    def of(self, number: int, part: Part, good: Bools) -> Iterator[Batch]:
        """Batches of one file."""
        there = np.flatnonzero(good)
        at_s, t_ns = self.film.times_s(part), self.film.times_ns(part)
        for begin in range(0, len(there), BATCH_ROWS):
            own = there[begin : begin + BATCH_ROWS]
            lon, lat, h, apart = self.track.at(np.rint(at_s[own] * 1e9).astype(np.int64))
            if not self.is_put:
                lon = np.where(apart > FAR_S * 1e9, np.nan, lon)
            columns = [
                t_ns[own], lon, lat, pa.array(h, pa.float64(), mask=np.isnan(h)), [part.name] * len(own), own, [None] * len(own),
                part.video.samples.size[own], np.full(len(own), number),
            ]  # fmt: skip
            arrays = [pa.array(values, kind) for values, kind in zip(columns, _COLUMNS.types, strict=True)]
            yield Batch(Content.FRAMES, self.layer, LayerKind.VIDEO, pa.Table.from_arrays(arrays, schema=_COLUMNS), "EPSG:4326", self.meta)
