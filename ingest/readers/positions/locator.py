"""The positions of one recording, message by message: which channels state any, and what each message states."""

from __future__ import annotations

from dataclasses import dataclass, field

from mcap.records import Schema

from ingest.readers.positions import ros
from ingest.readers.positions.earth import Poses, is_pose
from ingest.readers.positions.receivers import POSES, Decode, decoder_of

CLOCKS_AGREE_NS = 10 * 1_000_000_000
"""A time in a message that is further from the log time is of another clock (boot time, zero) and not used."""


@dataclass(frozen=True, slots=True)
class Located:
    """How the positions of a channel are read. `rank`: the lowest that a recording has places it (`receivers.FIXES` and so on)."""

    rank: int
    schema: str
    encoding: str
    decode: Decode | None = None

    @property
    def is_receiver(self) -> bool:
        """Whether each message should state a position."""
        return self.decode is not None


@dataclass(slots=True)
class Locator:
    """Takes the messages of a recording in, in their order."""

    _poses: Poses = field(default_factory=Poses)

    def channel(self, schema: Schema | None, encoding: str) -> Located | None:
        """How the positions of a channel are read; None for one without."""
        if schema is None:
            return None
        if (found := decoder_of(schema, encoding)) is not None:
            return Located(found[0], schema.name, encoding, found[1])
        return Located(POSES, schema.name, encoding) if is_pose(schema, encoding) else None

    def position(self, located: Located, data: memoryview) -> ros.Fix | None:
        """The position that a message states, unless there was no fix: status, not a number, out of range, or exactly 0,0."""
        fix = located.decode(data) if located.decode is not None else self._poses.take(located.schema, data, located.encoding)
        if fix is None or fix.status <= ros.NO_FIX or not (abs(fix.lon) <= 180 and abs(fix.lat) <= 90) or fix.lon == fix.lat == 0:
            return None
        return fix
