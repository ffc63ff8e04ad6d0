"""A finding: what is wrong or worth knowing about a record of a source, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding weighs: an error forbids publication, a question has to be answered by the seller first."""

    ERROR = "error"
    QUESTION = "question"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in a source: where, what, why it matters, and what to do.

    `file` is the uploader's name, `feature` the record's id (or row, or byte) in it, `value` the offending value as text, all ""
    when they do not apply. `lon, lat` in degrees WGS 84 when the place is known. `count` is how many records this line speaks
    for; `rejected` how many of them were read and left out because of it (they enter `Counts.rejected`; not kept in the database).
    A record that stays in a batch without geometry is counted as unplaced by the converter, so it must not be named in `rejected` too.
    """

    severity: Severity
    code: str
    message: str
    fix: str
    file: str = ""
    layer: str = ""
    feature: str = ""
    value: str = ""
    lon: float | None = None
    lat: float | None = None
    count: int = 1
    rejected: int = 0

    def as_json(self) -> dict[str, Any]:
        """The finding as the JSON object that `mapex inspect` prints."""
        names = ("code", "file", "layer", "feature", "value", "message", "fix", "lon", "lat", "count", "rejected")
        return {"severity": str(self.severity), **{name: getattr(self, name) for name in names}}
