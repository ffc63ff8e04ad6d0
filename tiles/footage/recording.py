"""A recording message by message: proven when each is of a type that only measures, decodes to its last byte, and holds nothing else.

Used for the upload while it is read, and for every slice when it is recounted: both look at the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tiles.footage import signatures
from tiles.footage.clouds import CloudProof, of_sweep
from tiles.footage.definitions import types_of
from tiles.footage.doubts import Doubts, Unproven
from tiles.footage.messages import Held, Walk, WrongMessage
from tiles.footage.numbers import NumberProof, is_random
from tiles.footage.text import TextProof, of_document

MOST_LOOSE = 1024
"""Bytes in sequences of bytes that a channel may hold in all its messages: parameters have some, a picture has more."""
_WAITING = 1 << 18
_REMEMBERED = 10_000
"""Different texts of a channel that are known again: names of frames repeat, pieces of a picture do not."""


@dataclass(slots=True)
class _ChannelProof:
    """One channel: why it is not proven, or how its messages are taken apart."""

    where: str
    encoding: str
    why: str | None
    walk: Walk | None = None
    held: Held = field(default_factory=Held)
    raw: bytearray = field(default_factory=bytearray)
    loose: bytes = b""
    joined: str = ""
    seen: set[str] = field(default_factory=set)
    text: TextProof = field(default_factory=TextProof)
    singles: NumberProof = field(default_factory=NumberProof)
    doubles: NumberProof = field(default_factory=NumberProof)
    cloud: CloudProof = field(default_factory=CloudProof)

    def take(self, data: memoryview) -> str | None:
        """Take a message in; why the channel cannot be proven, once it is known."""
        if self.walk is None:
            return self.why
        try:
            self.walk.take(data, self.encoding)
        except WrongMessage as why:
            return str(why)
        self.raw += data
        return self.look() if len(self.raw) + self.held.size > _WAITING else None

    def look(self) -> str | None:
        """Look at what waits."""
        found = signatures.found_in(bytes(self.raw), packed=False)
        why = f"it holds {found}" if found is not None else self._numbers() or self._bytes() or self._texts() or self._sweeps()
        del self.raw[: max(0, len(self.raw) - signatures.AHEAD)]
        for waiting in (self.held.singles, self.held.doubles, self.held.texts, self.held.sweeps):
            waiting.clear()
        return why

    def _numbers(self) -> str | None:
        order = self.held.order
        singles = self.singles.doubt(np.frombuffer(bytes(self.held.singles), order + "f4"))
        return singles or self.doubles.doubt(np.frombuffer(bytes(self.held.doubles), order + "f8"))

    def _bytes(self) -> str | None:
        self.loose += bytes(self.held.loose)
        self.held.loose.clear()
        found = signatures.found_in(self.loose)
        for octets in self.held.fixed.values():
            found = found or signatures.found_in(bytes(octets))
            if found is None and is_random(bytes(octets)):
                return "its bytes, joined, are as random as packed ones"
            del octets[: max(0, len(octets) - signatures.AHEAD)]
        if found is not None:
            return f"its bytes, joined, are {found}"
        if len(self.loose) > MOST_LOOSE:
            return f"it holds more than {MOST_LOOSE} bytes whose meaning nothing states"
        return None

    def _texts(self) -> str | None:
        for text in self.held.texts:
            if (why := self.text.doubt(text)) is not None:
                return why
        fresh = [text for text in dict.fromkeys(self.held.texts) if text not in self.seen]
        self.seen = {*fresh, *(self.seen if len(self.seen) < _REMEMBERED else ())}
        joined = self.joined + "".join(fresh)
        self.joined = joined[-signatures.AHEAD :]
        return TextProof().doubt(joined) if len(fresh) > 1 else None

    def _sweeps(self) -> str | None:
        for sweep in self.held.sweeps:
            if (why := of_sweep(sweep, self.cloud)) is not None:
                return why
        return None


class RecordingProof:
    """Takes the records of a recording in, in their order; `doubts()` is complete when all were taken."""

    def __init__(self) -> None:
        self._channels: dict[int, _ChannelProof] = {}
        self._doubts = Doubts()

    def channel(self, number: int, topic: str, encoding: str, schema: tuple[str, str, bytes] | None, metadata: Mapping[str, str]) -> None:
        """Take a channel in; `schema` is its name, its encoding and its definition."""
        name, kind, definition = schema or ("", "", b"")
        where = f"channel {topic}"
        self._doubts.add(where, of_document(definition, most=1 << 20))
        self._texts(where, (topic, name, kind, encoding, *metadata, *metadata.values()))
        is_ros1 = encoding == "ros1"
        if (encoding, kind) not in (("cdr", "ros2msg"), ("ros1", "ros1msg")):
            what = "/".join(word for word in (encoding, kind) if word) or "(none)"
            self._channels[number] = _ChannelProof(where, encoding, f"its encoding ({what[:60]}) is not one that is taken apart here")
            return
        types, why = types_of(name, definition, ros1=is_ros1)
        channel = _ChannelProof(where, encoding, why[:200] if why else None)
        channel.walk = Walk(name, types, channel.held) if types else None
        self._channels[number] = channel

    def message(self, number: int, data: memoryview) -> None:
        """Take a message of a channel in."""
        channel = self._channels[number]
        if channel.where not in self._doubts:
            self._doubts.add(channel.where, channel.take(data))

    def attachment(self, name: str, media_type: str, data: bytes) -> None:
        """Take an attachment in; its media type is a label and proves nothing."""
        where = f"attachment {name}"
        self._texts(where, (name, media_type))
        self._doubts.add(where, of_document(data))

    def metadata(self, name: str, values: Mapping[str, str]) -> None:
        """Take a metadata record in."""
        self._texts(f"metadata {name}", (name, *values, *values.values()))

    def other(self, where: str, data: bytes) -> None:
        """Take bytes in that no reader looks into, such as indexes."""
        found = signatures.found_in(data, packed=False)
        self._doubts.add(where, f"it holds {found}" if found is not None else None)

    def doubt(self, where: str, why: str) -> None:
        """Take in what somebody else found."""
        self._doubts.add(where, why)

    def doubts(self) -> list[Unproven]:
        """What cannot be proven."""
        for channel in self._channels.values():
            if channel.walk is not None and channel.where not in self._doubts:
                self._doubts.add(channel.where, channel.look())
        return self._doubts.all()

    def _texts(self, where: str, texts: tuple[str, ...]) -> None:
        proof = TextProof()
        for text in texts:
            self._doubts.add(where, proof.doubt(text))
