"""What a first pass through recordings finds: channels, clocks, pictures, damage."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcap.records import Attachment, Channel, Header, Metadata, Schema

from ingest.findings import info, question, unproven
from ingest.readers.bags.scan import Scan, scanning
from ingest.readers.positions import ros
from ingest.readers.positions.locator import CLOCKS_AGREE_NS, Located, Locator
from ingest.readers.recordings.track import Track
from mapex.catalogue.finding import Finding
from tiles.errors import InvalidContent
from tiles.footage.definitions import known_forms
from tiles.footage.recording import RecordingProof
from tiles.frames import ros_types
from tiles.frames.mcap_proof import brought
from tiles.frames.mcap_scan import Message
from tiles.frames.repeated import Latched, LatchedMessage, Repeat, SmallAttachment, repeat_of
from tiles.frames.track import NAME


@dataclass(slots=True)
class KnownChannel:
    """A channel as the whole recording knows it: two files that define the same channel mean one."""

    number: int
    topic: str
    encoding: str
    schema: str
    has_header: bool
    located: Located | None
    repeat: Repeat


@dataclass(slots=True)
class Inventory:
    """What the first pass finds: track, channels, metadata, damage."""

    name: str
    layer: str
    tracks: dict[int, Track] = field(default_factory=dict)
    locator: Locator = field(default_factory=Locator)
    channels: dict[str, KnownChannel] = field(default_factory=dict)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    fixes: int = 0
    unusable: int = 0
    messages: int = 0
    seen: int = 0
    unpacked: int = 0
    undefined: set[str] = field(default_factory=set)
    first_ns: int | None = None
    with_messages: set[int] = field(default_factory=set)
    pictures: Counter[str] = field(default_factory=Counter)
    repeated: set[str] = field(default_factory=set)
    too_large: set[str] = field(default_factory=set)
    kinds: dict[int, Repeat] = field(default_factory=dict)
    proof: RecordingProof = field(default_factory=RecordingProof)
    latched: Latched = field(init=False)
    _found: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.latched = Latched(self.kinds)

    @property
    def rank(self) -> int | None:
        """Which of the positions place the recording: those that a receiver states before all others; None without any."""
        return min(self.tracks, default=None)

    @property
    def track(self) -> Track:
        """The positions that place the recording."""
        return Track() if self.rank is None else self.tracks[self.rank]

    def take(self, path: Path) -> None:
        """Read one file through.

        Raises: InvalidContent: `recording.unreadable`, `recording.channels`.
        """
        with scanning(path) as recorded:
            scan = recorded.scan
            local: dict[int, KnownChannel] = {}
            for item in recorded.items():
                if isinstance(item, Message):
                    self._message(item, local[item.channel_id])
                elif isinstance(item, Channel):
                    local[item.id] = self.channel(item, scan.schema_of(item))
                elif isinstance(item, Metadata):
                    self.proof.metadata(item.name, item.metadata)
                    self.metadata.append({"name": item.name, "metadata": item.metadata})
                elif isinstance(item, Header):
                    self.proof.metadata("header", {item.profile: item.library})
                    self.headers.append(item)
                elif isinstance(item, Attachment):
                    self._time(item.log_time)
                    self._attachment(item)
        self.messages += scan.messages
        self.seen += scan.messages + scan.orphans + scan.unusable
        self.unpacked += recorded.unpacked
        self._damage(path, scan)

    def channel(self, channel: Channel, schema: Schema | None) -> KnownChannel:
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
        headed = schema is not None and _is_headed(schema, channel.message_encoding)
        known = KnownChannel(
            len(self.channels),
            channel.topic,
            channel.message_encoding,
            name,
            headed,
            self.locator.channel(schema, channel.message_encoding),
            repeat_of(channel.topic, name, channel.metadata),
        )
        if schema is not None and not schema.data and channel.message_encoding in ("cdr", "ros1"):
            self.undefined.add(schema.name)
        if key not in self.channels:
            self.proof.channel(known.number, channel.topic, channel.message_encoding, brought(schema), channel.metadata)
        known = self.channels.setdefault(key, known)
        self.kinds[known.number] = known.repeat
        return known

    def _message(self, message: Message, channel: KnownChannel) -> None:
        self._time(message.log_time)
        self.with_messages.add(channel.number)
        self.proof.message(channel.number, message.data)
        if ros_types.is_picture(channel.schema):
            self.pictures[channel.topic] += 1
        if channel.repeat is not Repeat.NEVER:
            latched = LatchedMessage(channel.number, message.sequence, message.publish_time, bytes(message.data))
            (self.repeated if self.latched.see(latched) else self.too_large).add(channel.topic)
        if channel.located is not None:
            self._position(message, channel, channel.located)

    def _position(self, message: Message, channel: KnownChannel, located: Located) -> None:
        fix = self.locator.position(located, message.data)
        if located.is_receiver:
            self.fixes += 1
            self.unusable += fix is None
        if fix is not None:
            stamp = fix.stamp_ns if abs(fix.stamp_ns - message.log_time) <= CLOCKS_AGREE_NS else measured_ns(message, channel)
            self.tracks.setdefault(located.rank, Track()).add(stamp, fix.lon, fix.lat, fix.h)

    def _attachment(self, item: Attachment) -> None:
        self.proof.attachment(item.name, item.media_type, item.data)
        small = SmallAttachment(item.name, item.media_type, item.create_time, item.log_time, item.data)
        if item.name != NAME:
            (self.repeated if self.latched.see_attachment(small) else self.too_large).add(item.name)

    def _time(self, t_ns: int) -> None:
        self.first_ns = t_ns if self.first_ns is None else min(self.first_ns, t_ns)

    def _damage(self, path: Path, scan: Scan) -> None:
        """What is missing. It can be sold without: its seller has to confirm that, since only they know whether there is more of it."""
        where = {"file": self.name, "layer": self.layer, "feature": path.name}
        if scan.fault and not scan.messages and not scan.attachments:
            raise InvalidContent(f"{path.name}: not one message can be read. {scan.fault}", code="recording.unreadable")
        if scan.fault:
            text = f"{scan.fault} {scan.messages} messages were read up to there."
            fix = "Send the whole recording if you have it, or confirm what was read when you publish (--confirm recording.cut)."
            self._found.append(question("recording.cut", text, fix, **where))
        damaged = "Record or copy it again, or confirm what was read when you publish (--confirm recording.damaged)."
        for text in scan.damaged:
            self._found.append(question("recording.damaged", f"Left out: {text}.", damaged, **where))
        if scan.damaged.more:
            text = f"{scan.damaged.more} more parts of it are damaged and were left out."
            self._found.append(question("recording.damaged", text, damaged, count=scan.damaged.more, **where))
        if scan.unusable:
            text = f"{scan.unusable} messages cannot be unpacked or are too large; the first is {scan.first_unusable}."
            fix = "Record them again, or confirm what was read when you publish (--confirm recording.unusable)."
            self._found.append(question("recording.unusable", text, fix, count=scan.unusable, rejected=scan.unusable, **where))
        if scan.orphans:
            text = f"{scan.orphans} messages belong to channels that the file does not define, so nobody can tell what they are."
            fix = "Send the whole recording if you have it, or confirm what was read when you publish (--confirm recording.orphans)."
            self._found.append(question("recording.orphans", text, fix, count=scan.orphans, rejected=scan.orphans, **where))
        there = scan.messages + scan.orphans + scan.unusable
        if scan.claimed is not None and scan.claimed != there:
            text = f"The file claims {scan.claimed} messages, {there} are in it."
            fix = "Send the whole recording if you have it, or confirm what was read when you publish (--confirm recording.count)."
            self._found.append(question("recording.count", text, fix, value=scan.claimed, **where))

    def findings(self) -> Iterator[Finding]:
        """Damage, positions that could not be used, and whether there are pictures."""
        yield from self._found
        where = {"file": self.name, "layer": self.layer}
        if self.unusable:
            text = f"{self.unusable} of {self.fixes} positions are without a fix, not finite, or 0,0; they place nothing."
            yield info(
                "recording.no_fix", text, "Nothing to do: their messages are placed by the neighbours.", count=self.unusable, **where
            )
        if self.unpacked:
            text = f"{self.unpacked} messages were packed one by one; slices hold them unpacked, as they were before."
            yield info("recording.unpacked", text, "Nothing to do.", count=self.unpacked, **where)
        if self.undefined:
            names = ", ".join(sorted(self.undefined))
            text = f"The recording brings no definition of {names[:1000]}; slices name the types only, as the recording does."
            fix = "Buyers need the packages of these types; ROS 2 writes definitions from Iron on, and into MCAP."
            yield info("recording.undefined", text, fix, count=len(self.undefined), value=names[:200], **where)
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

    def unproven(self) -> Iterator[Finding]:
        """What may be a picture beside the channels that are known to be some."""
        named = {f"channel {topic}" for topic in self.pictures}
        found = [doubt for doubt in self.proof.doubts() if doubt.where not in named]
        yield from (unproven(doubt, file=self.name, layer=self.layer) for doubt in found)

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


def _is_headed(schema: Schema, encoding: str) -> bool:
    """Whether messages begin with a header, by the definition that was brought, or else by the well-known one."""
    if schema.data:
        return ros.begins_with_header(schema.data, schema.encoding)
    forms = known_forms(schema.name, ros1=encoding == "ros1") if encoding in ("cdr", "ros1") else ()
    return bool(forms) and bool(forms[0]) and forms[0][0].type == "std_msgs/Header"


def measured_ns(message: Message, channel: KnownChannel) -> int:
    """When a message was measured: its header's time if that is of the same clock as the log, else its log time."""
    stamp = ros.stamp_of(message.data, channel.encoding) if channel.has_header else None
    return message.log_time if stamp is None or abs(stamp - message.log_time) > CLOCKS_AGREE_NS else stamp
