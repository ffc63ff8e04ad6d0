"""Single values out of ROS messages, by the definition that a recording brings; all before them is passed over.

What a definition can make of it is bounded: its steps are counted when it is read, and no sequence is longer than its message.
Source: DDS-XTypes 1.3, 7.4 (alignment counts from behind the four bytes of encapsulation); ROS 1 packs without alignment.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiles.footage.definitions import Field, Fields, definitions, known_forms, short
from tiles.footage.messages import WrongMessage, begin_of

MOST_STEPS = 2000
"""Fields of a type and of those in it, one after another."""
_DEEPEST = 12
_FORMS = {
    "bool": "?", "byte": "B", "char": "B", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip

Value = float | int | str


class Cursor:
    """A place in a message. Raises: WrongMessage, struct.error: it is too short."""

    def __init__(self, data: memoryview, encoding: str) -> None:
        self.order, self._widest, _, self._body = begin_of(data, encoding)
        self.at, self.is_ros1 = 0, encoding == "ros1"

    def number(self, form: str) -> float | int:
        """One number (a letter of `struct`)."""
        return self.numbers(form, 1)[0]

    def numbers(self, form: str, count: int) -> tuple[float | int, ...]:
        """Some numbers of one kind."""
        self.skip(form, 0)
        found = struct.unpack_from(f"{self.order}{count}{form}", self._body, self.at)
        self.at += struct.calcsize(form) * count
        return found

    def skip(self, form: str, count: int) -> None:
        """Pass over some numbers; over none, to where the next one begins."""
        size = struct.calcsize(form)
        step = min(size, self._widest)
        self.at = -(-self.at // step) * step + size * count

    def count(self) -> int:
        """The length of a sequence, which is never more than there are bytes."""
        found = int(self.number("I"))
        if found > len(self._body):
            raise WrongMessage("a message is shorter than its type says")
        return found

    def text(self) -> str:
        """A string."""
        length = self.count()
        begin, self.at = self.at, self.at + length
        return bytes(self._body[begin : self.at]).removesuffix(b"\0").decode("utf-8", "replace")

    def header(self) -> tuple[int, str]:
        """Time (nanoseconds) and frame of a std_msgs/Header."""
        if self.is_ros1:
            self.skip("I", 1)
        seconds, nanoseconds = self.numbers("I", 2)
        return int(seconds) * 1_000_000_000 + int(nanoseconds), self.text()


@dataclass(frozen=True, slots=True)
class _Step:
    """A field on the way; `inner` are the steps of each element of a sequence of structures, `wanted` the path whose value is kept."""

    type: str
    length: int | None
    wanted: str
    inner: tuple[_Step, ...] = ()


class Plan:
    """How some fields of a type are reached; `paths` are names joined by slashes.

    Raises: ValueError: the type is not defined, lacks one of them, or is not one that a message could have.
    """

    def __init__(self, name: str, definition: bytes, *, ros1: bool, paths: Collection[str]) -> None:
        types = definitions(name, definition.decode("utf-8", "replace")) if definition.strip() else {}
        steps: list[_Step] = []
        for step in _steps(short(name), _Types(types, ros1), "", 0):
            steps.append(step)
            if len(steps) > MOST_STEPS:
                raise ValueError(f"{name} has more than {MOST_STEPS} fields")
        last = max((at for at, step in enumerate(steps) if step.wanted in paths), default=-1)
        self._steps = [step if step.wanted in paths else _Step(step.type, step.length, "", step.inner) for step in steps[: last + 1]]
        if missing := set(paths) - {step.wanted for step in self._steps}:
            raise ValueError(f"{name} has no {', '.join(sorted(missing))}")

    def values(self, data: memoryview, encoding: str) -> dict[str, Value]:
        """The wanted values of a message, by path. Raises: WrongMessage, struct.error: it is not of this type."""
        cursor = Cursor(data, encoding)
        found: dict[str, Value] = {}
        for step in self._steps:
            if step.wanted:
                found[step.wanted] = cursor.text() if step.type == "string" else cursor.number(_FORMS[step.type])
            else:
                _pass(cursor, step)
        return found


@dataclass(frozen=True, slots=True)
class _Types:
    """Types that a recording defines, and the well-known ones."""

    own: Mapping[str, Fields]
    ros1: bool

    def fields(self, name: str) -> Fields:
        if name in self.own:
            return self.own[name]
        if name in ("builtin_interfaces/Time", "builtin_interfaces/Duration"):
            return (Field("sec", "int32"), Field("nanosec", "uint32"))
        if forms := known_forms(name, ros1=self.ros1):
            return forms[0]
        raise ValueError(f"{name} is not defined")


def _steps(name: str, known: _Types, path: str, depth: int) -> Iterator[_Step]:
    if depth > _DEEPEST:
        raise ValueError(f"{name} goes deeper than any type")
    for field in known.fields(name):
        inside = f"{path}/{field.name}".lstrip("/")
        if field.type in _FORMS or field.type == "string":
            yield _Step(field.type, field.length, inside if field.length is None else "")
        elif field.length is None:
            yield from _steps(field.type, known, inside, depth + 1)
        else:
            inner = []
            for step in _steps(field.type, known, "", depth + 1):
                inner.append(_Step(step.type, step.length, "", step.inner))
                if len(inner) > MOST_STEPS:
                    raise ValueError(f"{name} has more than {MOST_STEPS} fields")
            yield _Step(field.type, field.length, "", tuple(inner))


def _pass(cursor: Cursor, step: _Step) -> None:
    count = 1 if step.length is None else step.length or cursor.count()
    if step.type in _FORMS:
        if count:
            cursor.skip(_FORMS[step.type], count)
        return
    for _ in range(count):
        if step.type == "string":
            cursor.text()
        else:
            _pass_all(cursor, step.inner)


def _pass_all(cursor: Cursor, steps: Sequence[_Step]) -> None:
    for step in steps:
        _pass(cursor, step)
