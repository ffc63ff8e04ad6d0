"""NMEA logs: every sentence as it is, a recording without pictures; its fixes also as NavSatFix, so that tools find the way.

A file is read twice: once for the dates and where the receiver was, once for the messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ingest.findings import error, info, warning
from ingest.reader import Placed, Source, Survey
from ingest.readers.recordings.track import Track
from ingest.readers.tracks.messages import FIX, SENTENCE, TrackRows, about, is_place, nav_sat_fix, sentence
from ingest.readers.tracks.nmea import UNDATED, Clock, Sentence, first_day, is_cut, sentences
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind

_SENTENCE, _FIX = "/nmea_sentence", "/fix"
_ORDER = ("GGA", "GNS", "RMC", "GLL")
"""Which sentences give the fixes: the first of these that the file has; GGA and GNS state heights."""


@dataclass(slots=True)
class _Way:
    """What the first pass finds."""

    track: Track = field(default_factory=Track)
    kinds: Counter[str] = field(default_factory=Counter)
    first_ns: int = 0
    dated: bool = False
    count: int = 0
    others: int = 0
    unsound: int = 0
    heights: int = 0

    @property
    def fixes(self) -> str:
        """The sentences that give the fixes."""
        return next((kind for kind in _ORDER if self.kinds[kind]), "")


class Nmea:
    """The reader of NMEA 0183 logs."""

    format = "nmea"
    layer = "recording"
    kind = LayerKind.RECORDING
    content = Content.FRAMES

    def survey(self, source: Source, given: Placement) -> Survey:
        """NMEA is in WGS 84; a height with its separation is above the ellipsoid."""
        way = _look(source.files[0])
        if not len(way.track):
            text = f"{source.name} holds no sentence with a fix (GGA, GNS, RMC, GLL), so nobody knows where it was recorded."
            found = error("crs.none", text, "Record with a fix, or give --origin LON,LAT[,H].", file=source.name, layer=self.layer)
            placed = Placed(None, Known.NONE) if given.origin is None else Placed("EPSG:4326", Known.GIVEN, origin=given.origin)
            return Survey(self.format, (self.layer,), way.count, placed, findings=(found,) if given.origin is None else ())
        height, how = (given.height_datum, Known.GIVEN) if given.height_datum else ("ellipsoid", Known.FILE)
        known = (height, how) if way.heights or given.height_datum else ("unknown", Known.NONE)
        return Survey(self.format, (self.layer,), way.count, Placed("EPSG:4326", Known.FILE, *known))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All sentences in file order."""
        path = source.files[0]
        way = _look(path)
        if not way.count:
            raise Invalid("file.no_records", f"{source.name} holds no NMEA sentence.", file=source.name)
        if not len(way.track) and placed.origin is not None:
            way.track.add(way.first_ns, *placed.origin)
        yield from _messages(path, way)
        if is_cut(path):
            text = f"{source.name} ends inside of a sentence: it was cut."
            yield error("file.damaged", text, "Upload it again.", file=source.name, layer=self.layer)
        yield from _about(way, source.name)


def _clock(path: Path) -> Clock:
    day = first_day(path)
    return Clock(day or UNDATED, is_dated=day is not None)


def _look(path: Path) -> _Way:
    way, clock = _Way(), _clock(path)
    way.dated = clock.is_dated
    fixes: dict[str, list[tuple[int, tuple[float, float, float]]]] = {}
    for one in sentences(path):
        if one is None:
            way.others += 1
            continue
        way.count += 1
        way.unsound += not one.is_sound
        t_ns = clock.take(one)
        way.first_ns = way.first_ns or (t_ns or 0)
        if one.place is not None and t_ns is not None and is_place(one.place[0], one.place[1]):
            way.kinds[one.kind] += 1
            fixes.setdefault(one.kind, []).append((t_ns, one.place))
    for t_ns, place in fixes.get(way.fixes, ()):
        way.heights += place[2] == place[2]
        way.track.add(t_ns, *place)
    return way


def _messages(path: Path, way: _Way) -> Iterator[Batch]:
    clock = _clock(path)
    silent = () if way.fixes else (1,)
    rows = TrackRows("recording", way.track, about(((_SENTENCE, SENTENCE), (_FIX, FIX)), [], silent))
    for one in sentences(path):
        if one is None:
            continue
        t_ns = clock.take(one)
        at = way.first_ns if t_ns is None else t_ns
        rows.add(at, 0, _SENTENCE, sentence(at, "gps", one.text))
        if _is_fix(one, way.fixes):
            assert one.place is not None  # noqa: S101 - asked just before
            rows.add(at, 1, _FIX, nav_sat_fix(at, "gps", one.place), is_fix=True)
        if rows.is_full:
            yield rows.batch()
    if rows.rows:
        yield rows.batch()


def _is_fix(one: Sentence, kind: str) -> bool:
    return one.kind == kind and one.place is not None and is_place(one.place[0], one.place[1])


def _about(way: _Way, file: str) -> Iterator[Finding]:
    where = {"file": file, "layer": "recording"}
    if way.others:
        text = f"{way.others} lines of {file} are no sentences of NMEA; they were left out."
        yield warning("nmea.other", text, "Nothing to do if they are remarks or binary.", count=way.others, rejected=way.others, **where)
    if way.unsound:
        text = f"The checksums of {way.unsound} sentences do not fit; they are kept, and place nothing."
        yield warning("nmea.checksum", text, "Check the cable or the logger.", count=way.unsound, **where)
    if not way.dated:
        text = f"{file} states times of the day, and no date; it is recorded as if on 1 January 1970."
        yield warning("nmea.no_date", text, "Log RMC or ZDA sentences too, which state the date.", **where)
    if way.fixes:
        text = f"Of {way.count} sentences, those of {way.fixes} were also made NavSatFix messages, {way.kinds[way.fixes]} in number."
        yield info("nmea.fixes", text, "Nothing to do.", count=way.kinds[way.fixes], **where)
