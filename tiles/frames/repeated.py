"""What a slice of a recording needs to be used alone: it is repeated in every slice, and counted once, where it was recorded.

Static transforms, the last calibration of each camera, what ROS itself hands to late listeners (a robot description), and small
attachments. Pictures and sweeps are never repeated. A slice names what is repeated in it in two metadata records, `MESSAGES` and
`ATTACHMENTS`: topic or name, and how many. Memory and the bytes that are added to a slice are bounded; what is larger stays where it was
recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Any, NamedTuple

from tiles.frames import ros_types
from tiles.frames.track import NAME

MESSAGES, ATTACHMENTS = "mapex.repeated", "mapex.repeated_attachments"
MOST_MESSAGE, MOST_MESSAGES, MOST_ATTACHMENTS = 1 << 20, 2 << 20, 1 << 20
"""Bytes of one repeated message, of all in a slice, and of all repeated attachments."""

_LATCHED = re.compile(r"\bdurability[\"']?\s*:\s*[\"']?(?:1|transient_local)\b", re.IGNORECASE)
_CALIBRATIONS = frozenset({"CameraInfo", "CameraCalibration"})


class Repeat(Enum):
    """What of a channel is repeated: nothing, the last message before a slice, or all messages that differ."""

    NEVER, LAST, ALL = range(3)


def repeat_of(topic: str, schema: str, metadata: Mapping[str, str]) -> Repeat:
    """What of a channel is repeated."""
    word = ros_types.last_word(schema)
    if ros_types.is_frame(schema) or word == "Log":  # /rosout is latched too
        return Repeat.NEVER
    if topic.rsplit("/", 1)[-1] == "tf_static":
        return Repeat.ALL
    is_latched = _LATCHED.search(metadata.get("offered_qos_profiles", "")) or metadata.get("latching", "").lower() in ("1", "true")
    return Repeat.LAST if is_latched or word in _CALIBRATIONS or topic.rsplit("/", 1)[-1] == "robot_description" else Repeat.NEVER


class LatchedMessage(NamedTuple):
    """A message as it is repeated; its log time in a slice is that of the slice's beginning."""

    channel: int
    sequence: int
    publish_ns: int
    payload: bytes

    @property
    def key(self) -> tuple[int, bytes]:
        """What tells it from others."""
        return self.channel, sha256(self.payload).digest()


class SmallAttachment(NamedTuple):
    """An attachment as it is repeated, all of it as it was."""

    name: str
    media_type: str
    create_ns: int
    log_ns: int
    payload: bytes

    @property
    def key(self) -> tuple[str, bytes]:
        """What tells it from others."""
        return self.name, sha256(self.payload).digest()


class Latched:
    """What was recorded so far that later slices need; `kinds` says of each channel, by its number, what of it is repeated."""

    def __init__(self, kinds: Mapping[int, Repeat]) -> None:
        self._kinds = kinds
        self._all: dict[tuple[int, bytes], LatchedMessage] = {}
        self._last: dict[int, LatchedMessage] = {}
        self._small: dict[tuple[str, bytes], SmallAttachment] = {}
        self._message_bytes = self._attachment_bytes = 0

    @staticmethod
    def of(records: Sequence[Mapping[str, Any]]) -> Latched:
        """For the channels of a recording as `Batch.meta["mcap"]` describes them."""
        names = [(one["topic"], (one["schema"] or {}).get("name", ""), one["metadata"]) for one in records]
        return Latched({number: repeat_of(*name) for number, name in enumerate(names)})

    @property
    def channels(self) -> frozenset[int]:
        """The channels of which something is repeated."""
        return frozenset(number for number, kind in self._kinds.items() if kind is not Repeat.NEVER)

    @property
    def static(self) -> frozenset[int]:
        """The channels of which all is repeated."""
        return frozenset(number for number, kind in self._kinds.items() if kind is Repeat.ALL)

    @property
    def size(self) -> int:
        """Bytes that a slice gets which begins now."""
        return self._message_bytes + self._attachment_bytes

    def see(self, message: LatchedMessage) -> bool:
        """Take a message of one of `channels` in; False when it is too large, or too much is kept already."""
        is_static = self._kinds[message.channel] is Repeat.ALL
        if is_static and message.key in self._all:
            return True
        before = self._last.pop(message.channel, None)  # an older one is worse than none
        self._message_bytes -= len(before.payload) if before else 0
        size = len(message.payload)
        if size > MOST_MESSAGE or self._message_bytes + size > MOST_MESSAGES:
            return False
        self._message_bytes += size
        if is_static:
            self._all[message.key] = message
        else:
            self._last[message.channel] = message
        return True

    def see_attachment(self, attachment: SmallAttachment) -> bool:
        """Take an attachment in; False when it is too large, or too much is kept already. A trajectory is each slice's own."""
        if attachment.name == NAME or attachment.key in self._small:
            return True
        if self._attachment_bytes + len(attachment.payload) > MOST_ATTACHMENTS:
            return False
        self._attachment_bytes += len(attachment.payload)
        self._small[attachment.key] = attachment
        return True

    def now(self) -> list[LatchedMessage]:
        """What a slice that begins now needs."""
        return [*self._all.values(), *(self._last[number] for number in sorted(self._last))]

    def statics(self) -> list[LatchedMessage]:
        """What every slice needs, also one that began earlier."""
        return list(self._all.values())

    def attachments(self) -> list[SmallAttachment]:
        """What every slice needs beside messages."""
        return list(self._small.values())
