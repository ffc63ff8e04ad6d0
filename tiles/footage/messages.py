"""ROS messages taken apart by their well-known types, to the last byte: what is in them, sorted by what it is.

CDR (DDS-XTypes 1.3, 7.4: alignment counts from behind the four bytes of encapsulation) and the packed form of ROS 1. Integers of more
than a byte are only passed over; what they hold is seen in the whole message (`tiles.footage.recording`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tiles.footage.definitions import Field, Fields, short

_SIZES = {
    "bool": 1, "byte": 1, "char": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float32": 4, "float64": 8,
}  # fmt: skip
_ORDER = {0: ">", 1: "<", 6: ">", 7: "<"}
_WIDEST = {0: 8, 1: 8, 6: 4, 7: 4}  # XCDR2 aligns to four bytes at most
SWEEP = "sensor_msgs/PointCloud2"


class WrongMessage(ValueError):
    """A message that is not of its type."""


@dataclass(slots=True)
class Held:
    """What the messages of a channel hold, until somebody looks at it and clears it.

    `fixed` are single bytes, by the field that they are of, `loose` those of sequences; `order` is the byte order of the floats.
    """

    order: str = "<"
    singles: bytearray = field(default_factory=bytearray)
    doubles: bytearray = field(default_factory=bytearray)
    fixed: dict[str, bytearray] = field(default_factory=dict)
    loose: bytearray = field(default_factory=bytearray)
    texts: list[str] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return len(self.singles) + len(self.doubles) + sum(map(len, self.fixed.values())) + len(self.loose) + sum(map(len, self.texts))


@dataclass(frozen=True, slots=True)
class Sweep:
    """A PointCloud2 as it stands in its message; `fields` are (name, offset, datatype, count)."""

    height: int
    width: int
    fields: tuple[tuple[str, int, int, int], ...]
    order: str
    point_step: int
    row_step: int
    data: memoryview


def begin_of(data: memoryview, encoding: str) -> tuple[str, int, int, memoryview]:
    """Byte order, widest alignment (1: packed), how many zeros may fill up the end, and the body.

    Raises: WrongMessage: of no known encoding.
    """
    if encoding == "ros1":
        return "<", 1, 0, data
    if encoding != "cdr" or len(data) < 4 or data[0] != 0 or data[1] not in _ORDER or data[2] or data[3] > 3:
        raise WrongMessage("it is encoded in a way that is not read here")
    return _ORDER[data[1]], _WIDEST[data[1]], 3, data[4:]


class Walk:
    """One way through the messages of a type: `held` is filled by each message."""

    def __init__(self, name: str, types: Mapping[str, Fields], held: Held) -> None:
        self._name, self._types, self._held = short(name), types, held
        self._steps = {one: _merged(_flat(fields, types)) for one, fields in types.items()}
        self._order, self._widest, self._body, self._at = "<", 8, memoryview(b""), 0

    def take(self, data: memoryview, encoding: str) -> None:
        """Take a message in. Raises: WrongMessage: it is not of this type, to its last byte."""
        self._order, self._widest, slack, self._body = begin_of(data, encoding)
        self._at = 0
        try:
            if self._name == SWEEP:
                self._held.sweeps.append(self._sweep())
            else:
                self._struct(self._name)
        except (struct.error, IndexError, UnicodeDecodeError) as why:
            raise WrongMessage("a message does not hold what its type says") from why
        rest = bytes(self._body[self._at :])
        if len(rest) > slack or any(rest):
            raise WrongMessage(f"a message goes on for {len(rest)} bytes behind what its type says")

    def _struct(self, name: str) -> None:
        if self._at > len(self._body):
            raise WrongMessage("a message is shorter than its type says")
        for step in self._steps[name]:
            self._field(step)

    def _field(self, step: Field) -> None:
        if step.type in _SIZES:
            self._numbers(step)
            return
        count = 1 if step.length is None else step.length or self._count()
        read: Callable[[], None] = self._text if step.type == "string" else lambda: self._struct(step.type)
        if step.type in ("wstring", "time", "duration"):
            raise WrongMessage(f"its type has a {step.type}, which is not read here")
        if count > len(self._body):
            raise WrongMessage("a message is shorter than its type says")
        for _ in range(count):
            read()

    def _numbers(self, step: Field) -> None:
        size, is_loose = _SIZES[step.type], step.length == 0
        count = 1 if step.length is None else step.length or self._count()
        if count:
            self._align(size)
        begin, end = self._at, self._at + size * count
        if end > len(self._body):
            raise WrongMessage("a message is shorter than its type says")
        self._at = end
        if step.type == "float64":
            self._held.doubles += self._body[begin:end]
        elif step.type == "float32":
            self._held.singles += self._body[begin:end]
        elif size == 1:
            kept = self._held.loose if is_loose else self._held.fixed.setdefault(step.name, bytearray())
            kept += self._body[begin:end]
        self._held.order = self._order

    def _align(self, size: int) -> None:
        step = min(size, self._widest)
        begin, self._at = self._at, -(-self._at // step) * step
        if begin != self._at and any(self._body[begin : self._at]):
            self._held.fixed.setdefault("", bytearray()).extend(
                self._body[begin : self._at]
            )  # what fills up should be zero; writers leave what was there

    def _count(self) -> int:
        self._align(4)
        (count,) = struct.unpack_from(self._order + "I", self._body, self._at)
        self._at += 4
        return int(count)

    def _text(self) -> None:
        self._held.texts.append(self._string())

    def _string(self) -> str:
        length = self._count()
        body = bytes(self._body[self._at : self._at + length])
        if len(body) < length:
            raise WrongMessage("a message is shorter than its type says")
        self._at += length
        return body.removesuffix(b"\0").decode()

    def _sweep(self) -> Sweep:
        self._struct("std_msgs/Header")
        height, width = self._count(), self._count()
        fields = []
        for _ in range(self._count()):
            name, offset = self._string(), self._count()
            datatype = self._body[self._at]
            self._at += 1
            fields.append((name, offset, datatype, self._count()))
        is_big = bool(self._body[self._at])
        self._at += 1
        point_step, row_step, length = self._count(), self._count(), self._count()
        begin, self._at = self._at, self._at + length + 1
        if self._at > len(self._body):
            raise WrongMessage("a message is shorter than its type says")
        self._held.texts += [name for name, *_ in fields]
        data = self._body[begin : begin + length]
        return Sweep(height, width, tuple(fields), ">" if is_big else "<", point_step, row_step, data)


def _flat(fields: Sequence[Field], types: Mapping[str, Fields]) -> Iterator[Field]:
    """The fields with those of single nested types in their place: alignment counts for primitives alone."""
    for one in fields:
        if one.length is None and one.type in types:
            yield from _flat(types[one.type], types)
        else:
            yield one


def _merged(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Neighbours of one primitive in one step, so that a message costs few."""
    found: list[Field] = []
    for one in fields:
        before = found[-1] if found else None
        if before is not None and one.type == before.type and _SIZES.get(one.type, 0) > 1 and 0 not in (one.length, before.length):
            found[-1] = Field(before.name, one.type, (before.length or 1) + (one.length or 1))
        else:
            found.append(one)
    return tuple(found)
