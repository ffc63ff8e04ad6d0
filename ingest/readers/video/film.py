"""The files of a recording as one film: where and when each frame was taken, by what is inside the files or beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ingest import chapters
from ingest.findings import error, info, question, warning
from ingest.formats import is_video
from ingest.reader import Source
from ingest.readers.positions.beside import TrackFile, read_track, unused
from ingest.readers.video.gpmf import Telemetry
from ingest.readers.video.positions import Positions
from mapex.catalogue.finding import Finding
from tiles.arrays import Float64s, Int64s
from tiles.errors import InvalidContent
from tiles.video import camm, units
from tiles.video.boxes import Damaged
from tiles.video.movie import Movie, MovieTrack, read_movie

LARGEST_SAMPLE = 4 << 20
_APART_S = 3600.0
_CONTIGUOUS_S = 2.0
_ZONE_S = 900
_DAY_S = 14 * 3600
_TEN_YEARS_S = 5 * 365 * 86_400
_SAME_LENGTH_S = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the film: what it holds, its video track, and where in the film (seconds) it begins."""

    path: Path
    name: str
    movie: Movie
    video: MovieTrack
    positions: Positions
    begins_s: float = 0.0


@dataclass(slots=True)
class Film:
    """All files of a recording in order, and the positions of all of them by the time of the film."""

    parts: list[Part] = field(default_factory=list)
    positions: Positions = field(default_factory=Positions)
    findings: list[Finding] = field(default_factory=list)
    camera: dict[str, str] = field(default_factory=dict)
    sensors: Counter[str] = field(default_factory=Counter)
    damaged: int = 0
    """payloads of telemetry that could not be read"""
    origin: str = ""
    """what gave the positions: GPMF, CAMM, or the name of a track beside"""

    @property
    def frames(self) -> int:
        """Frames that its files state."""
        return sum(len(part.video.samples) for part in self.parts)

    def times_s(self, part: Part) -> Float64s:
        """When each sample of a part is shown, in seconds of the film."""
        return np.asarray(part.video.times_s() + part.begins_s, np.float64)

    def times_ns(self, part: Part) -> Int64s:
        """The same in UTC nanoseconds; 0 where nobody knows."""
        return self.positions.utc_ns(self.times_s(part))


def film_of(source: Source, layer: str) -> Film:
    """The film of a source.

    Raises: InvalidContent: a file cannot be read at all (`video.no_index`, `video.damaged`, `video.no_pictures`, ...).
    """
    film = Film()
    where = {"file": source.name, "layer": layer}
    parts = _parts(source, film, where)
    tracks = [(source.label(path), found) for path in source.files if not is_video(_head(path)) and (found := read_track(path)) is not None]
    if not any(len(part.positions) for part in parts) and tracks:
        parts = _with_track(film, parts, tracks, where)
    film.parts = _in_film(parts)
    for part in film.parts:
        film.positions = film.positions.joined(part.positions.moved(part.begins_s))
    _check_clock(film, where)
    return film


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(16)


def _videos(source: Source) -> list[Path]:
    return sorted((path for path in source.files if is_video(_head(path))), key=lambda path: chapters.order(source.label(path)))


def _parts(source: Source, film: Film, where: dict[str, str]) -> list[Part]:
    """The files of a source that can be read; of the others a finding each.

    Raises: InvalidContent: none can be read.
    """
    found, wrong = list[Part](), list[Damaged]()
    for path in _videos(source):
        try:
            found.append(_part(source, path, film))
        except InvalidContent as why:
            text, fix = f"{source.label(path)}: {why.message}", "Copy it from the camera again, or leave it out."
            wrong.append(Damaged(f"{text} {fix}", code=why.code))
            film.findings.append(error(why.code, text, fix, feature=source.label(path), **where))
    if not found:
        raise wrong[0] if wrong else Damaged(f"{source.name} holds no video.", code="video.no_pictures")
    return found


def _part(source: Source, path: Path, film: Film) -> Part:
    movie = read_movie(path)
    videos = movie.of(b"vide")
    if not videos:
        raise Damaged("The file holds no video.", code="video.no_pictures")
    units.sets_of(videos[0].entry)
    for name, text in movie.texts.items():
        film.camera.setdefault(name, text)
    return Part(path, source.label(path), movie, videos[0], _inside(path, movie, film))


def _inside(path: Path, movie: Movie, film: Film) -> Positions:
    """The positions that a file states itself."""
    found = Positions()
    for track in movie.tracks:
        if track.codec == b"gpmd":
            telemetry = Telemetry()
            for body, begin, lasts in _samples(path, track, movie.end):
                telemetry.take(body, begin, lasts)
            film.sensors += telemetry.sensors
            film.damaged += telemetry.damaged
            if telemetry.device:
                film.camera.setdefault("model", telemetry.device)
            if len(telemetry.positions):
                film.origin = film.origin or "GPMF"
                found = found.joined(telemetry.positions)
        elif track.handler == camm.HANDLER or track.codec == b"camm":
            positions = _camm(path, track, movie)
            if len(positions):
                film.origin = film.origin or "CAMM"
                found = found.joined(positions)
    return found


def _samples(path: Path, track: MovieTrack, end: int) -> Iterator[tuple[bytes, float, float]]:
    """Samples of a track with their times in the film: begin, and how long they last."""
    samples, times = track.samples, track.times_s()
    lasts = np.diff(samples.dts, append=samples.dts[-1] + samples.last) / track.timescale
    with path.open("rb") as stream:
        for number in range(len(samples)):
            at, size = int(samples.at[number]), int(samples.size[number])
            if at + size <= end and size <= LARGEST_SAMPLE:
                stream.seek(at)
                yield stream.read(size), float(times[number]), float(lasts[number])


def _camm(path: Path, track: MovieTrack, movie: Movie) -> Positions:
    found = Positions("ellipsoid")
    rows, times, clock = [], [], []
    for body, begin, _ in _samples(path, track, movie.end):
        one = camm.position(body)
        if one is not None and one.fix != 0:
            rows.append((one.lon, one.lat, one.h))
            times.append(begin)
            clock.append(one.gps_s if one.gps_s is not None else 0.0)
    if rows:
        found.add_all(np.array(times), np.array(rows, np.float64))
        stated = np.array(clock, np.float64)
        with np.errstate(invalid="ignore"):
            gps = np.where((stated > 0) & (stated < 1e11), stated, 0.0)
        # The standard counts from 1980; some cameras count from 1970. The two are ten years apart, which their other clock shows.
        is_unix = movie.created_s is not None and abs(float(np.median(gps)) - movie.created_s) < _TEN_YEARS_S
        utc = gps if is_unix else np.where(gps > 0, camm.utc_ns(gps) / 1e9, 0.0)
        found.read_all(np.array(times)[gps > 0], utc[gps > 0])
    return found


def _in_film(parts: Sequence[Part]) -> list[Part]:
    """The parts in order, each with its beginning: at the end of the one before where it goes on there, else far behind it."""
    clocks = [part.positions.begins_s() for part in parts]
    if None not in clocks:
        order = sorted(range(len(parts)), key=lambda n: (clocks[n] or 0.0, n))
        parts, clocks = [parts[n] for n in order], [clocks[n] for n in order]
    found: list[Part] = []
    at = 0.0
    for number, part in enumerate(parts):
        before = found[-1] if found else None
        if before is not None:
            ended, begins = clocks[number - 1], clocks[number]
            both = ended is not None and begins is not None
            goes_on = (
                abs((begins or 0.0) - (ended or 0.0) - before.video.seconds) <= _CONTIGUOUS_S if both else chapters.is_chapter(part.name)
            )
            at = before.begins_s + before.video.seconds + (0.0 if goes_on else _APART_S)
        found.append(Part(part.path, part.name, part.movie, part.video, part.positions, at))
    return found


def _check_clock(film: Film, where: dict[str, str]) -> None:
    """What is to be known of the clocks: a camera's own is often local time, and never used where the receiver's is known."""
    first = film.parts[0]
    begins = film.positions.begins_s()
    if begins is None:
        if len(film.positions):
            text = "The receiver states no time, so nobody knows when the frames were taken."
            film.findings.append(warning("video.no_time", text, "Record with a camera that writes the time of its receiver.", **where))
    elif first.movie.created_s is not None and abs(first.movie.created_s - begins) > 60:
        hours = (first.movie.created_s - begins) / 3600
        text = f"The clock of the camera is {hours:+.2f} hours off that of the receiver, which counts."
        film.findings.append(info("video.clock_off", text, "Nothing to do.", value=f"{hours:.2f} h", **where))


# ---- a track beside the video ----------------------------------------------------------------------------------------------------------


def _with_track(film: Film, parts: Sequence[Part], tracks: Sequence[tuple[str, TrackFile]], where: dict[str, str]) -> list[Part]:
    """The parts with the positions of tracks beside them: by the camera's clock or by their lengths; the seller is asked."""
    whole = TrackFile()
    for name, one in tracks:
        whole.times += one.times
        whole.places += one.places
        whole.above_sea = whole.above_sea and one.above_sea
        film.findings += unused(one, name, where)
    times, places = whole.arrays()
    film.origin = ", ".join(name for name, _ in tracks)[:200]
    found: list[Part] = []
    for part in parts:
        begins, why = _begin(part, times, alone=len(parts) == 1)
        if begins is None:
            found.append(part)
            continue
        inside = (times >= begins - 60) & (times <= begins + part.video.seconds + 60)
        positions = Positions("mean sea level" if whole.above_sea else "ellipsoid")
        positions.add_all(times[inside] - begins, places[inside])
        positions.read_all(np.zeros(2), np.full(2, begins))
        film.findings.append(
            question("video.by_clock", f"{part.name} was put on {film.origin}: {why}.", _LOOK, **{**where, "feature": part.name})
        )
        found.append(Part(part.path, part.name, part.movie, part.video, positions))
    return found


_LOOK = "Look at the map whether the frames are where they were taken; else give a track of exactly this video."


def _begin(part: Part, times: Float64s, *, alone: bool) -> tuple[float | None, str]:
    """UTC seconds at which a video begins, judged by a track, and how that is known."""
    first, last = float(times[0]), float(times[-1])
    length, created = part.video.seconds, part.movie.created_s
    if created is not None:
        fits = [shift for shift in range(-_DAY_S, _DAY_S + 1, _ZONE_S) if first - 2 <= created - shift <= last + 2 - length]
        if 0 in fits:
            return float(created), "the camera's clock says when it was taken"
        if len(fits) == 1:
            return float(created - fits[0]), f"the camera's clock was taken for local time, {fits[0] / 3600:g} hours from UTC"
    if alone and abs((last - first) - length) <= max(_SAME_LENGTH_S, length / 50):
        return first, "both are equally long, so they begin together"
    return None, ""
