"""A track in a file beside a recording: GPX, NMEA or CSV, read as a stream in bounded memory."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.parsers import expat

import numpy as np

from ingest.findings import info
from mapex.catalogue.finding import Finding
from tiles.arrays import Float64s

MOST_POINTS = 5_000_000
_CHUNK, _LINE, _DEPTH = 1 << 16, 4096, 32
_NAMES = {
    "lat": ("lat", "latitude", "위도", "y"), "lon": ("lon", "lng", "long", "longitude", "경도", "x"),
    "h": ("ele", "elevation", "alt", "altitude", "height", "고도"),
    "time": ("time", "timestamp", "utc", "datetime", "date_time", "시각", "시간"),
}  # fmt: skip
"""Names of columns, in small letters and without units in brackets."""


@dataclass(slots=True)
class TrackFile:
    """A track: UTC seconds, and lon, lat, height (NaN: unknown) of each point. `above_sea`: heights count from the sea."""

    times: list[float] = field(default_factory=list)
    places: list[tuple[float, float, float]] = field(default_factory=list)
    above_sea: bool = True
    skipped: int = 0

    def arrays(self) -> tuple[Float64s, Float64s]:
        """Times in order, and places."""
        times, places = np.array(self.times, np.float64), np.array(self.places, np.float64).reshape(-1, 3)
        order = np.argsort(times, kind="stable")
        return times[order], places[order]

    def add(self, time_s: float | None, lon: float, lat: float, h: float) -> None:
        """Take a point in; one without a time, or off the world, is counted and left out."""
        is_good = time_s is not None and abs(lon) <= 180 and abs(lat) <= 90 and not (lon == lat == 0) and len(self.times) < MOST_POINTS
        if not is_good or time_s is None:
            self.skipped += 1
            return
        self.times.append(time_s)
        self.places.append((lon, lat, h))


def unused(track: TrackFile, name: str, where: Mapping[str, str]) -> Iterator[Finding]:
    """What a track beside a recording holds that is no position of a time; `name` is its file."""
    if track.skipped:
        text = f"{track.skipped} of {track.skipped + len(track.times)} points of {name} have no time or no place; they place nothing."
        yield info("recording.no_fix", text, "Nothing to do.", count=track.skipped, **{**where, "feature": name})


def read_track(path: Path) -> TrackFile | None:
    """The track in a file; None when it is none of the three formats, or holds no point with a time."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    text = head.decode("utf-8-sig", "replace").lstrip()
    found = TrackFile()
    try:
        if text.startswith("<"):
            _gpx(path, found)
        elif re.match(r"[\s\S]{0,400}?\$[A-Z]{2}(GGA|RMC),", text):
            _nmea(path, found)
        else:
            _csv(path, found)
    except (expat.ExpatError, csv.Error, ValueError):
        pass  # what came before is kept
    return found if found.times else None


def seconds_of(text: str) -> float | None:
    """Seconds since 1970 of a time in ISO 8601 (without a zone: UTC) or of such a number; None when it is none."""
    text = text.strip()
    try:
        if re.fullmatch(r"\d{9,10}(\.\d+)?", text):
            return float(text)
        if re.fullmatch(r"\d{13}", text):
            return float(text) / 1000
        found = datetime.fromisoformat(text.replace("/", "-"))
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return float("nan")


# ---- GPX -------------------------------------------------------------------------------------------------------------------------------


class _Gpx:
    """Takes elements: a point of a track with its time and height."""

    def __init__(self, found: TrackFile) -> None:
        self._found, self._depth = found, 0
        self._at: tuple[float, float] | None = None
        self._texts: dict[str, str] = {}
        self._name = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEPTH:
            raise ValueError("depth")
        self._name = name.rpartition(":")[2]
        if self._name == "trkpt":
            self._at, self._texts = (_number(attributes.get("lon")), _number(attributes.get("lat"))), {}

    def text(self, data: str) -> None:
        if self._at is not None and self._name in ("time", "ele"):
            self._texts[self._name] = (self._texts.get(self._name, "") + data)[:64]

    def end(self, name: str) -> None:
        self._depth -= 1
        self._name = ""
        if name.rpartition(":")[2] == "trkpt" and self._at is not None:
            self._found.add(seconds_of(self._texts.get("time", "")), *self._at, _number(self._texts.get("ele")))
            self._at = None


def _refuse(*_: object) -> None:
    raise ValueError("a document type")


def _gpx(path: Path, found: TrackFile) -> None:
    handler, parser = _Gpx(found), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = handler.start, handler.end, handler.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            parser.Parse(piece, False)


# ---- lines -----------------------------------------------------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[str]:
    """Lines of bounded length; of a longer one its beginning."""
    with path.open("rb") as stream:
        first = True
        while line := stream.readline(_LINE):
            yield line.decode("utf-8-sig" if first else "utf-8", "replace").rstrip("\r\n")
            first = False
            while not line.endswith(b"\n") and (line := stream.readline(_LINE)):
                pass


def _nmea(path: Path, found: TrackFile) -> None:
    """RMC gives the date, GGA the height; a position is taken from both, each time once."""
    day: str = ""
    last: tuple[str, str] = ("", "")
    held: tuple[str, float, float, float] | None = None
    for line in _lines(path):
        fields = line[line.find("$") + 1 :].split("*")[0].split(",") if "$" in line and _is_whole(line) else []
        kind = fields[0][-3:] if fields else ""
        if kind == "RMC" and len(fields) > 9 and fields[2] == "A":
            day = fields[9]
            if held is not None and held[0] == fields[1]:
                found.add(_nmea_s(day, held[0]), *held[1:])
                last = (day, held[0])
            elif (day, fields[1]) != last:
                found.add(_nmea_s(day, fields[1]), _degrees(fields[5], fields[6]), _degrees(fields[3], fields[4]), float("nan"))
                last = (day, fields[1])
            held = None
        elif kind == "GGA" and len(fields) > 11 and fields[6] not in ("", "0"):
            apart = _number(fields[11])
            found.above_sea = found.above_sea and not np.isfinite(apart)
            h = _number(fields[9]) + (apart if np.isfinite(apart) else 0.0)
            held = (fields[1], _degrees(fields[4], fields[5]), _degrees(fields[2], fields[3]), h)
            if day and (day, fields[1]) != last:
                found.add(_nmea_s(day, held[0]), *held[1:])
                last, held = (day, held[0]), None


def _is_whole(line: str) -> bool:
    """Whether the checksum of a sentence fits, where it has one."""
    body, mark, stated = line[line.find("$") + 1 :].partition("*")
    if not mark:
        return True
    sum_ = 0
    for letter in body.encode("latin-1", "replace"):
        sum_ ^= letter
    try:
        return int(stated[:2], 16) == sum_
    except ValueError:
        return False


def _degrees(text: str, side: str) -> float:
    """Degrees of ddmm.mmmm with N, S, E or W."""
    value = _number(text)
    whole = value // 100
    degrees = whole + (value - whole * 100) / 60
    return -degrees if side in ("S", "W") else degrees


def _nmea_s(day: str, time: str) -> float | None:
    try:
        base = datetime.strptime(day + time[:6], "%d%m%y%H%M%S").replace(tzinfo=UTC).timestamp()
        return base + float(f"0{time[6:]}" if time[6:] else 0)
    except ValueError:
        return None


def _csv(path: Path, found: TrackFile) -> None:
    """A table whose first line names longitude, latitude and time."""
    lines = _lines(path)
    head = next(lines, "")
    cut = max(",;\t", key=head.count)
    names = [re.sub(r"\W*\(.*?\)|\W*\[.*?\]", "", name).strip().strip('"').lower() for name in head.split(cut)]
    at = {want: next((names.index(name) for name in known if name in names), -1) for want, known in _NAMES.items()}
    if min(at["lat"], at["lon"], at["time"]) < 0:
        return
    for row in csv.reader(lines, delimiter=cut):
        if len(row) == len(names):
            h = _number(row[at["h"]]) if at["h"] >= 0 else float("nan")
            found.add(seconds_of(row[at["time"]]), _number(row[at["lon"]]), _number(row[at["lat"]]), h)
        elif row:
            found.skipped += 1
