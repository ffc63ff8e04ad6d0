"""MCAP recordings with ROS messages: every message is carried untouched, and placed by where the receiver was at its time.

A file is read twice: once for the track (NavSatFix), the channels and the damage, once for the messages. The time of a message is that
of its own header where there is a usable one, else when it was logged: the two differ by the age of the message at the recorder.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from mcap.records import Attachment, Channel, Header, Metadata, Schema

from ingest.findings import error, info, warning
from ingest.reader import Placed, Source, Survey
from ingest.readers.recordings import ros
from ingest.readers.recordings.track import Track
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.errors import InvalidContent
from tiles.frames import ros_types
from tiles.frames.mcap_scan import MAGIC, McapScan, Message, claimed_messages
from tiles.frames.repeated import Latched, LatchedMessage, Repeat, SmallAttachment, repeat_of
from tiles.frames.track import NAME

BATCH_ROWS = 20_000
BATCH_BYTES = 8 << 20
CLOCKS_AGREE_NS = 10 * 1_000_000_000
"""A header time further from the log time is of another clock (boot time, zero) and not used."""
FAR_NS = 60 * 1_000_000_000

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
    """MCAP files, or a folder of them (a rosbag2 recording that is split over files)."""

    format = "mcap"
    layer = "recording"
    kind = LayerKind.RECORDING
    content = Content.FRAMES

    def survey(self, source: Source, given: Placement) -> Survey:
        """What the summary claims, and whether there is a position: reads until the first usable fix."""
        claimed = [_claimed(path) for path in _recordings(source)]
        total = sum(n for n in claimed if n is not None) if None not in claimed else None
        height = given.height_datum or "ellipsoid"
        height_source = Known.GIVEN if given.height_datum else Known.FILE
        found: tuple[Finding, ...] = ()
        if _has_fix(source):
            placed = Placed("EPSG:4326", Known.FILE, height, height_source)
        elif given.origin is not None:
            note = "No position is recorded; all of it was put where the uploader placed it."
            placed = Placed("EPSG:4326", Known.GIVEN, height, Known.GIVEN, given.origin, note)
        else:
            placed = Placed(None, Known.NONE)
            text = f"{source.name} holds no usable position (sensor_msgs/NavSatFix), so nobody knows where it was recorded."
            fix = "Record a NavSatFix topic, or give --origin LON,LAT[,H] if the sensor did not move."
            found = (error("crs.none", text, fix, file=source.name, layer=self.layer),)
        return Survey(self.format, (self.layer,), total, placed, findings=found)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All messages and attachments in file order.

        Raises: InvalidContent: `mcap.unreadable`: not one record can be read.
        """
        first = _Inventory(source.name, self.layer)
        for path in _recordings(source):
            first.take(path)
        if first.origin_only and placed.origin is not None:
            first.track.add(0, *placed.origin)
        yield from first.findings()
        rows = _Rows(first, self.layer)
        for path in _recordings(source):
            yield from rows.of(path)
        yield from rows.of_others(_others(source), source.path)
        yield from rows.rest()
        yield from rows.findings(source.name)


def _recordings(source: Source) -> list[Path]:
    """The MCAP files of a source, `x_2` before `x_10`."""
    found = [path for path in source.files if _begins(path, MAGIC)]
    return sorted(found, key=lambda path: [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", path.as_posix())])


def _others(source: Source) -> list[Path]:
    """What is beside the recordings (rosbag2's metadata.yaml)."""
    return [path for path in source.files if not _begins(path, MAGIC)]


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def _claimed(path: Path) -> int | None:
    with path.open("rb") as stream:
        return claimed_messages(stream)


def _has_fix(source: Source) -> bool:
    for path in _recordings(source):
        with path.open("rb") as stream:
            scan = McapScan(stream)
            kinds: dict[int, str] = {}
            for item in scan.items():
                if isinstance(item, Channel):
                    kinds[item.id] = item.message_encoding if _is_fix(scan.schema_of(item)) else ""
                elif isinstance(item, Message) and kinds.get(item.channel_id) and _usable(item.data, kinds[item.channel_id]):
                    return True
    return False


def _is_fix(schema: Schema | None) -> bool:
    return schema is not None and schema.name in ("sensor_msgs/msg/NavSatFix", "sensor_msgs/NavSatFix")


def _usable(data: ros.Bytes, encoding: str) -> ros.Fix | None:
    """The fix in a message, unless the receiver had none: status, NaN, out of range, or exactly 0,0."""
    fix = ros.decode_fix(data, encoding)
    if fix is None or fix.status <= ros.NO_FIX or not (abs(fix.lon) <= 180 and abs(fix.lat) <= 90) or fix.lon == fix.lat == 0:
        return None
    return fix


@dataclass(slots=True)
class _Known:
    """A channel as the whole recording knows it: two files that define the same channel mean one."""

    number: int
    topic: str
    encoding: str
    schema: str
    has_header: bool
    pictureless: bool
    is_fix: bool
    repeat: Repeat


@dataclass(slots=True)
class _Inventory:
    """What the first pass finds: track, channels, metadata, damage."""

    name: str
    layer: str
    track: Track = field(default_factory=Track)
    channels: dict[str, _Known] = field(default_factory=dict)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    fixes: int = 0
    unusable: int = 0
    messages: int = 0
    first_ns: int | None = None
    with_messages: set[int] = field(default_factory=set)
    pictures: Counter[str] = field(default_factory=Counter)
    repeated: set[str] = field(default_factory=set)
    too_large: set[str] = field(default_factory=set)
    kinds: dict[int, Repeat] = field(default_factory=dict)
    latched: Latched = field(init=False)
    _found: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.latched = Latched(self.kinds)

    @property
    def origin_only(self) -> bool:
        """Whether no fix of the recording can be used."""
        return not len(self.track)

    def take(self, path: Path) -> None:
        """Read one file through."""
        with path.open("rb") as stream:
            scan = McapScan(stream)
            local: dict[int, _Known] = {}
            for item in scan.items():
                if isinstance(item, Message):
                    self._message(item, local[item.channel_id])
                elif isinstance(item, Channel):
                    local[item.id] = self.channel(item, scan.schema_of(item))
                elif isinstance(item, Metadata):
                    self.metadata.append({"name": item.name, "metadata": item.metadata})
                elif isinstance(item, Header):
                    self.headers.append(item)
                elif isinstance(item, Attachment):
                    self._time(item.log_time)
                    self._attachment(item)
        self.messages += scan.messages
        self._damage(path, scan)

    def channel(self, channel: Channel, schema: Schema | None) -> _Known:
        """The channel under the number that it has in the whole recording."""
        record = {
            "topic": channel.topic,
            "encoding": channel.message_encoding,
            "metadata": channel.metadata,
            "schema": None
            if schema is None
            else {"name": schema.name, "encoding": schema.encoding, "data": base64.b64encode(schema.data).decode()},
        }
        key = json.dumps(record, ensure_ascii=False)
        name = schema.name if schema else ""
        headed = schema is not None and ros.begins_with_header(schema.data, schema.encoding)
        known = _Known(
            len(self.channels),
            channel.topic,
            channel.message_encoding,
            name,
            headed,
            ros_types.is_pictureless(name),
            _is_fix(schema),
            repeat_of(channel.topic, name, channel.metadata),
        )
        known = self.channels.setdefault(key, known)
        self.kinds[known.number] = known.repeat
        return known

    def _message(self, message: Message, channel: _Known) -> None:
        self._time(message.log_time)
        self.with_messages.add(channel.number)
        if ros_types.is_picture(channel.schema):
            self.pictures[channel.topic] += 1
        if channel.repeat is not Repeat.NEVER:
            latched = LatchedMessage(channel.number, message.sequence, message.publish_time, bytes(message.data))
            (self.repeated if self.latched.see(latched) else self.too_large).add(channel.topic)
        if channel.is_fix:
            self.fixes += 1
            fix = _usable(message.data, channel.encoding)
            if fix is None:
                self.unusable += 1
            else:
                self.track.add(measured_ns(message, channel), fix.lon, fix.lat, fix.h)

    def _attachment(self, item: Attachment) -> None:
        small = SmallAttachment(item.name, item.media_type, item.create_time, item.log_time, item.data)
        if item.name != NAME:
            (self.repeated if self.latched.see_attachment(small) else self.too_large).add(item.name)

    def _time(self, t_ns: int) -> None:
        self.first_ns = t_ns if self.first_ns is None else min(self.first_ns, t_ns)

    def _damage(self, path: Path, scan: McapScan) -> None:
        where = {"file": self.name, "layer": self.layer, "feature": path.name}
        if scan.fault and not scan.messages and not scan.attachments:
            raise InvalidContent(f"{path.name}: not one message can be read. {scan.fault}", code="mcap.unreadable")
        recover = "Run `mcap recover` on it, or record it again; what was read is kept."
        if scan.fault:
            text = f"{scan.fault} {scan.messages} messages were read up to there."
            self._found.append(error("mcap.cut", text, recover, **where))
        for text in scan.damaged:
            self._found.append(error("mcap.damaged", f"Left out: {text}.", recover, **where))
        if scan.orphans:
            text = f"{scan.orphans} messages belong to channels that the file does not define, so nobody can tell what they are."
            self._found.append(error("mcap.orphans", text, recover, count=scan.orphans, rejected=scan.orphans, **where))
        if scan.claimed is not None and scan.claimed != scan.messages + scan.orphans:
            text = f"The file claims {scan.claimed} messages, {scan.messages + scan.orphans} are in it."
            self._found.append(error("mcap.count", text, recover, value=scan.claimed, **where))

    def findings(self) -> Iterator[Finding]:
        """Damage, positions that could not be used, and whether there are pictures."""
        yield from self._found
        where = {"file": self.name, "layer": self.layer}
        if self.unusable:
            text = f"{self.unusable} of {self.fixes} positions are without a fix, not finite, or 0,0; they place nothing."
            yield info(
                "recording.no_fix", text, "Nothing to do: their messages are placed by the neighbours.", count=self.unusable, **where
            )
        if self.repeated:
            names = ", ".join(sorted(self.repeated))
            text = f"Every slice needs {names}: they are in each, marked as repeated, and counted once."
            yield info("recording.repeated", text, "Nothing to do.", value=names[:200], **where)
        if self.too_large:
            names = ", ".join(sorted(self.too_large))
            text = f"{names} would be of use in every slice, but are too large to be repeated; they are only where they were recorded."
            yield info("recording.not_repeated", text, "Sell them beside the recording if buyers need them.", value=names[:200], **where)
        if self.pictures:
            topics = ", ".join(f"{topic} ({n})" for topic, n in sorted(self.pictures.items()))
            text = f"Pictures are inside: {topics}. Unless they are proven free of people and plates, the layer is of the class original."
            yield info("recording.pictures", text, "Give the class of the layer; original needs a permit to buy.", value=topics, **where)

    def as_json(self) -> str:
        """Channels (and which of them have no message) and metadata, for the tiles."""
        header = self.headers[0] if self.headers else Header(profile="", library="")
        return json.dumps(
            {
                "profile": header.profile,
                "library": header.library,
                "channels": [json.loads(key) for key in self.channels],
                "metadata": self.metadata,
                "silent": sorted(set(range(len(self.channels))) - self.with_messages),
            },
            ensure_ascii=False,
        )


def measured_ns(message: Message, channel: _Known) -> int:
    """When a message was measured: its header's time if that is of the same clock as the log, else its log time."""
    stamp = ros.stamp_of(message.data, channel.encoding) if channel.has_header else None
    return message.log_time if stamp is None or abs(stamp - message.log_time) > CLOCKS_AGREE_NS else stamp


class _Rows:
    """The second pass: messages and attachments to batches."""

    def __init__(self, first: _Inventory, layer: str) -> None:
        self.first, self.layer = first, layer
        self.meta = first.as_json()
        self.far = self.other_clock = self.out_of_time = 0
        self._clear()

    def _clear(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.times: list[int] = []
        self.bytes = 0
        self.footage = False

    def of(self, path: Path) -> Iterator[Batch]:
        """Batches of one file."""
        with path.open("rb") as stream:
            scan = McapScan(stream)
            local: dict[int, _Known] = {}
            for item in scan.items():
                if isinstance(item, Message):
                    self._message(item, local[item.channel_id])
                elif isinstance(item, Channel):
                    local[item.id] = self.first.channel(item, scan.schema_of(item))
                elif isinstance(item, Attachment):
                    self._attachment(item)
                if len(self.rows) >= BATCH_ROWS or self.bytes >= BATCH_BYTES:
                    yield self._batch()

    def of_others(self, paths: Sequence[Path], root: Path) -> Iterator[Batch | Finding]:
        """What is beside the recordings goes along as an attachment, at the time of the first message."""
        for path in paths:
            name = path.relative_to(root).as_posix() if path != root else path.name
            with path.open("rb") as stream:
                body = stream.read(BATCH_BYTES + 1)
            if len(body) > BATCH_BYTES:
                text = f"{name} is beside the recording and has more than {BATCH_BYTES} bytes; it was left out."
                yield error("mcap.attachment", text, "Leave it out of the folder.", layer=self.layer, feature=name, rejected=1)
                continue
            kind = "application/yaml" if path.suffix in (".yaml", ".yml") else "application/octet-stream"
            self._attachment(Attachment(0, self.first.first_ns or 0, name, kind, body))
            if self.bytes >= BATCH_BYTES:
                yield self._batch()

    def rest(self) -> Iterator[Batch]:
        """The last rows."""
        if self.rows:
            yield self._batch()

    def _message(self, message: Message, channel: _Known) -> None:
        if (message.log_time | message.publish_time) >> 63:
            self.out_of_time += 1
            return
        t_ns = measured_ns(message, channel)
        if channel.has_header and t_ns == message.log_time and ros.stamp_of(message.data, channel.encoding) != t_ns:
            self.other_clock += 1
        frame = ros_types.is_frame(channel.schema)
        self.footage |= not channel.pictureless
        # A copy: pyarrow 26 never lets go of a memoryview that it has read.
        row = (message.log_time, channel.topic, message.sequence, None, len(message.data), bytes(message.data))
        self._add(t_ns, (*row, message.publish_time, channel.number, None, None, frame, channel.is_fix))

    def _attachment(self, item: Attachment) -> None:
        if (item.log_time | item.create_time) >> 63:
            self.out_of_time += 1
            return
        self.footage |= not item.media_type.startswith(("text/", "application/json", "application/yaml", "application/x-yaml"))
        row = (item.log_time, "", 0, item.name, len(item.data), item.data)
        self._add(item.log_time, (*row, 0, -1, item.media_type, item.create_time, False, False))

    def _add(self, t_ns: int, row: tuple[Any, ...]) -> None:
        self.rows.append(row)
        self.times.append(t_ns)
        self.bytes += row[4]

    def _batch(self) -> Batch:
        lon, lat, h, apart = self.first.track.at(np.array(self.times, np.int64))
        self.far += 0 if self.first.origin_only or len(self.first.track) < 2 else int((apart > FAR_NS).sum())
        t_ns, *others = zip(*self.rows, strict=True)
        columns = [t_ns, lon, lat, h, *others]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, _COLUMNS.types, strict=True)]
        heights = pa.array(h, pa.float64(), mask=np.isnan(h))
        table = pa.Table.from_arrays([*arrays[:3], heights, *arrays[4:]], schema=_COLUMNS)
        meta = {"mcap": self.meta} if self.footage else {"mcap": self.meta, "footage": "no"}
        self._clear()
        return Batch(Content.FRAMES, self.layer, LayerKind.RECORDING, table, "EPSG:4326", meta)

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
            yield error("recording.time", text, "Check the recorder's clock.", count=self.out_of_time, rejected=self.out_of_time, **where)
