"""Recordings in MCAP and in bags: every message is carried untouched, and placed by where the receiver was at its time.

A file is read twice: once for the track, the channels and the damage, once for the messages. The time of a message is that
of its own header where there is a usable one, else when it was logged: the two differ by the age of the message at the recorder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from mcap.records import Attachment, Channel

from ingest.findings import error, info, question, warning
from ingest.reader import Placed, Source, Survey
from ingest.readers.bags.described import BagDescription, plain
from ingest.readers.bags.scan import claimed, in_order, is_beside, is_recording, scanning
from ingest.readers.positions import ros
from ingest.readers.positions.beside import TrackFile, read_track, unused
from ingest.readers.positions.locator import Located, Locator
from ingest.readers.positions.receivers import BESIDE
from ingest.readers.recordings.inventory import Inventory, KnownChannel, measured_ns
from ingest.readers.recordings.track import Track
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.frames import ros_types
from tiles.frames.mcap_scan import Message
from tiles.frames.track import iso

BATCH_ROWS = 20_000
BATCH_BYTES = 8 << 20
S_NS = 1_000_000_000
FAR_NS = 60 * S_NS
_MOST_NAMED = 100
_TRACK = re.compile(r"\.(gpx|nmea|nma|csv)$", re.IGNORECASE)

_COLUMNS = pa.schema(
    [
        ("t_ns", pa.int64()), ("lon", pa.float64()), ("lat", pa.float64()), ("h", pa.float64()), ("topic", pa.string()),
        ("seq", pa.int64()), ("name", pa.string()), ("size", pa.int64()), ("payload", pa.large_binary()),
        ("publish_ns", pa.int64()), ("channel", pa.int32()), ("media_type", pa.string()), ("create_ns", pa.int64()),
        ("frame", pa.bool_()), ("fix", pa.bool_()),
    ]
)  # fmt: skip
"""Columns of a batch. `t_ns` is the log time; `channel` counts the channels of `Batch.meta["mcap"]`, -1 for an attachment."""


class Mcap:
    """MCAP files, or a folder of them (a rosbag2 recording that is split over files); bags among them are read as well."""

    format = "mcap"
    layer = "recording"
    kind = LayerKind.RECORDING
    content = Content.FRAMES

    def survey(self, source: Source, given: Placement) -> Survey:
        """What the summaries claim, and whether there is a position: reads until the first usable one."""
        claims = [claimed(path) for path in _recordings(source)]
        total = sum(n for n in claims if n is not None) if None not in claims else None
        height = given.height_datum or "ellipsoid"
        height_source = Known.GIVEN if given.height_datum else Known.FILE
        found: tuple[Finding, ...] = ()
        span = _span_without_position(source)
        track, name = _track_beside(source) if span is not None and given.origin is None else (None, "")
        if span is None:
            placed = Placed("EPSG:4326", Known.FILE, height, height_source)
        elif given.origin is not None:
            note = "No position is recorded; all of it was put where the uploader placed it."
            placed = Placed("EPSG:4326", Known.GIVEN, height, Known.GIVEN, given.origin, note)
        elif track is not None and _is_of(track, span):
            placed = Placed("EPSG:4326", Known.FILE, height, height_source, note=f"No position is recorded; it was placed by {name}.")
        else:
            placed = Placed(None, Known.NONE)
            found = tuple(_unplaced(source, span, track, name, self.layer))
        return Survey(self.format, (self.layer,), total, placed, findings=found)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All messages and attachments in file order.

        Raises: InvalidContent: `recording.unreadable`: not one record can be read.
        """
        first = Inventory(source.name, self.layer)
        for path in _recordings(source):
            first.take(path)
        if first.rank is None and placed.is_known:
            beside, name = _track_beside(source) if placed.origin is None else (None, "")
            first.tracks[BESIDE] = _put(placed, beside)
            if beside is not None:
                yield from unused(beside, name, {"file": source.name, "layer": self.layer})
        others = _others(source)
        for path in others:
            first.proof.attachment(source.label(path), "", _beginning(path))
        yield from first.findings()
        yield from first.unproven()
        yield from _described(source, others, first.seen, self.layer)
        rows = _Rows(first, self.layer)
        for path in _recordings(source):
            yield from rows.of(path)
        yield from rows.of_others(others, source)
        yield from rows.rest()
        yield from rows.findings(source.name)


class Ros1Bag(Mcap):
    """ROS 1 bags: one, or a folder of those of one drive."""

    format = "rosbag1"


class Ros2Bag(Mcap):
    """SQLite files of rosbag2: one, or a folder of those of one recording."""

    format = "rosbag2"


def _recordings(source: Source) -> list[Path]:
    """The files of a source that hold messages, `x_2` before `x_10`."""
    return in_order([path for path in source.files if not is_beside(path) and is_recording(path)])


def _others(source: Source) -> list[Path]:
    """What is beside the recordings (rosbag2's metadata.yaml, a track)."""
    return [path for path in source.files if not is_beside(path) and not is_recording(path)]


def _beginning(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(BATCH_BYTES + 1)


def _span_without_position(source: Source) -> tuple[int, int] | None:
    """First and last time (nanoseconds) of a recording without any position; None when it has one."""
    locator = Locator()
    first, last = 1 << 63, 0
    for path in _recordings(source):
        with scanning(path) as recorded:
            channels: dict[int, Located] = {}
            for item in recorded.items():
                if isinstance(item, Channel):
                    if (located := locator.channel(recorded.scan.schema_of(item), item.message_encoding)) is not None:
                        channels[item.id] = located
                elif isinstance(item, Message):
                    first, last = min(first, item.log_time), max(last, item.log_time)
                    located = channels.get(item.channel_id)
                    if located is not None and locator.position(located, item.data) is not None:
                        return None
    return first, last


def _track_beside(source: Source) -> tuple[TrackFile | None, str]:
    """The track in the first file beside a recording that is one, and its name."""
    for path in _others(source):
        if _TRACK.search(source.label(path)) and (found := read_track(path)) is not None:
            return found, source.label(path)
    return None, ""


def _is_of(track: TrackFile, span: tuple[int, int]) -> bool:
    """Whether a track and a recording are of one time."""
    return min(track.times) * S_NS - FAR_NS <= span[1] and max(track.times) * S_NS + FAR_NS >= span[0]


def _described(source: Source, others: Sequence[Path], seen: int, layer: str) -> Iterator[Finding]:
    """What of a recording the description beside it states, and is not there."""
    for path in others:
        about = BagDescription.of(_beginning(path)) if source.label(path).rpartition("/")[2] == "metadata.yaml" else None
        if about is None:
            continue
        where = {"file": source.name, "layer": layer, "feature": source.label(path)}
        there = {plain(source.label(one)) for one in _recordings(source)}
        fix = "Send the whole recording if you have it, or confirm what was read when you publish (--confirm recording.missing)."
        for name in about.missing(there)[:_MOST_NAMED]:
            yield question("recording.missing", f"{name} belongs to the recording by its metadata.yaml, and was not sent.", fix, **where)
        if there == set(about.files) and about.messages not in (None, 0, seen):
            text = f"metadata.yaml states {about.messages} messages, {seen} are in the recording."
            yield question("recording.missing", text, fix, value=about.messages, **where)


def _put(placed: Placed, beside: TrackFile | None) -> Track:
    """What places a recording that states no position itself. Heights above the sea are left out: all here are above the ellipsoid."""
    track = Track()
    if placed.origin is not None:
        track.add(0, *placed.origin)
    elif beside is not None:
        for time_s, (lon, lat, h) in zip(beside.times, beside.places, strict=True):
            track.add(round(time_s * S_NS), lon, lat, np.nan if beside.above_sea else h)
    return track


def _unplaced(source: Source, span: tuple[int, int], track: TrackFile | None, name: str, layer: str) -> Iterator[Finding]:
    where = {"file": source.name, "layer": layer}
    text = f"{source.name} holds no usable position of a receiver, and none in a frame of the Earth, so nobody knows where it was recorded."
    fix = "Send a GPX, NMEA or CSV track of the same name with it, or give --origin LON,LAT[,H] if the sensor did not move."
    yield error("crs.none", text, fix, **where)
    if track is not None and span[0] <= span[1]:
        sides = (round(min(track.times) * S_NS), round(max(track.times) * S_NS), *span)
        begin, end, first, last = (iso(t)[:19] if 0 <= t < 1 << 62 else "?" for t in sides)
        text = f"{name} is a track from {begin} to {end} and was not used: the recording is from {first} to {last} (UTC)."
        yield warning("recording.track_time", text, "Send the track of this drive, in UTC.", feature=name, **where)


class _Rows:
    """The second pass: messages and attachments to batches."""

    def __init__(self, first: Inventory, layer: str) -> None:
        self.first, self.layer = first, layer
        about = {"mcap": first.as_json()}
        self.meta = about if first.proof.doubts() else {**about, "footage": "no"}
        self.track = first.track
        self.far = self.other_clock = self.out_of_time = 0
        self._clear()

    def _clear(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.times: list[int] = []
        self.bytes = 0

    def of(self, path: Path) -> Iterator[Batch]:
        """Batches of one file."""
        with scanning(path) as recorded:
            local: dict[int, KnownChannel] = {}
            for item in recorded.items():
                if isinstance(item, Message):
                    self._message(item, local[item.channel_id])
                elif isinstance(item, Channel):
                    local[item.id] = self.first.channel(item, recorded.scan.schema_of(item))
                elif isinstance(item, Attachment):
                    self._attachment(item)
                if len(self.rows) >= BATCH_ROWS or self.bytes >= BATCH_BYTES:
                    yield self._batch()

    def of_others(self, paths: Sequence[Path], source: Source) -> Iterator[Batch | Finding]:
        """What is beside the recordings goes along as an attachment, at the time of the first message."""
        for path in paths:
            name = source.label(path)
            body = _beginning(path)
            if len(body) > BATCH_BYTES:
                text = f"{name} is beside the recording and has more than {BATCH_BYTES} bytes; it was left out."
                yield error("recording.attachment", text, "Leave it out of the folder.", layer=self.layer, feature=name, rejected=1)
                continue
            kind = "application/yaml" if path.suffix in (".yaml", ".yml") else "application/octet-stream"
            self._attachment(Attachment(0, self.first.first_ns or 0, name, kind, body))
            if self.bytes >= BATCH_BYTES:
                yield self._batch()

    def rest(self) -> Iterator[Batch]:
        """The last rows."""
        if self.rows:
            yield self._batch()

    def _message(self, message: Message, channel: KnownChannel) -> None:
        if (message.log_time | message.publish_time) >> 63:
            self.out_of_time += 1
            return
        t_ns = measured_ns(message, channel)
        if channel.has_header and t_ns == message.log_time and ros.stamp_of(message.data, channel.encoding) != t_ns:
            self.other_clock += 1
        frame = ros_types.is_frame(channel.schema)
        is_fix = channel.located is not None and channel.located.rank == self.first.rank
        # A copy: pyarrow 26 never lets go of a memoryview that it has read.
        row = (message.log_time, channel.topic, message.sequence, None, len(message.data), bytes(message.data))
        self._add(t_ns, (*row, message.publish_time, channel.number, None, None, frame, is_fix))

    def _attachment(self, item: Attachment) -> None:
        if (item.log_time | item.create_time) >> 63:
            self.out_of_time += 1
            return
        row = (item.log_time, "", 0, item.name, len(item.data), item.data)
        self._add(item.log_time, (*row, 0, -1, item.media_type, item.create_time, False, False))

    def _add(self, t_ns: int, row: tuple[Any, ...]) -> None:
        self.rows.append(row)
        self.times.append(t_ns)
        self.bytes += row[4]

    def _batch(self) -> Batch:
        lon, lat, h, apart = self.track.at(np.array(self.times, np.int64))
        self.far += int((apart > FAR_NS).sum()) if len(self.track) > 1 else 0
        t_ns, *others = zip(*self.rows, strict=True)
        columns = [t_ns, lon, lat, h, *others]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, _COLUMNS.types, strict=True)]
        heights = pa.array(h, pa.float64(), mask=np.isnan(h))
        table = pa.Table.from_arrays([*arrays[:3], heights, *arrays[4:]], schema=_COLUMNS)
        self._clear()
        return Batch(Content.FRAMES, self.layer, LayerKind.RECORDING, table, "EPSG:4326", self.meta)

    def findings(self, name: str) -> Iterator[Finding]:
        """What the second pass met."""
        where = {"file": name, "layer": self.layer}
        if self.other_clock:
            text = f"{self.other_clock} messages carry a header time that is more than 10 s from their log time; the log time placed them."
            yield info("recording.clock", text, "Set the clocks of the sensors if positions matter.", count=self.other_clock, **where)
        if self.far:
            text = f"{self.far} messages are more than a minute from any position; they were put at the nearest in time."
            yield warning("recording.far", text, "Check where the receiver had no fix.", count=self.far, **where)
        if self.out_of_time:
            text = f"{self.out_of_time} records have a time beyond the year 2262."
            fix = "Check the recorder's clock, or confirm what was read when you publish (--confirm recording.time)."
            yield question("recording.time", text, fix, count=self.out_of_time, rejected=self.out_of_time, **where)
