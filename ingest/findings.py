"""Findings: what is wrong or worth knowing about a record, as values; and the counts that must always balance.

A bad row is a `Finding`, never an exception: a file gives all its findings at once. `error` blocks publication, `warning` lowers the
quality score, `info` says what was assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in a source: where, what, why it matters, and what to do.

    `file` is the uploader's name, `feature` the record's id (or row, or byte) in it, `value` the offending value as text, all ""
    when they do not apply. `lon, lat` in degrees WGS 84 when the place is known. `count` is how many records this line speaks
    for; `rejected` how many of them were read and left out because of it (they enter `Counts.rejected`). A record that stays in a
    batch without geometry is counted as unplaced by the converter, so it must not be named in `rejected` too.
    """

    severity: Severity
    code: str
    file: str
    layer: str
    feature: str
    value: str
    message: str
    fix: str
    lon: float | None = None
    lat: float | None = None
    count: int = 1
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Records of a layer: `read` = `placed` + `unplaced` + `rejected`, always."""

    read: int = 0
    placed: int = 0
    unplaced: int = 0
    rejected: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.read + other.read, self.placed + other.placed, self.unplaced + other.unplaced, self.rejected + other.rejected)

    @property
    def balance(self) -> bool:
        """Whether nothing was lost silently."""
        return self.read == self.placed + self.unplaced + self.rejected


def error(code: str, message: str, fix: str, **where: Any) -> Finding:
    """An error finding; `where` names any of file, layer, feature, value, lon, lat, count, rejected."""
    return _finding(Severity.ERROR, code, message, fix, where)


def warning(code: str, message: str, fix: str, **where: Any) -> Finding:
    """A warning finding; `where` as for `error`."""
    return _finding(Severity.WARNING, code, message, fix, where)


def info(code: str, message: str, fix: str = "", **where: Any) -> Finding:
    """An information finding; `where` as for `error`."""
    return _finding(Severity.INFO, code, message, fix, where)


def _finding(severity: Severity, code: str, message: str, fix: str, where: Mapping[str, Any]) -> Finding:
    texts = {name: str(where.get(name, "")) for name in ("file", "layer", "feature", "value")}
    rest = {name: value for name, value in where.items() if name not in texts}
    return Finding(severity, code, texts["file"], texts["layer"], texts["feature"], texts["value"], message, fix, **rest)


def as_json(finding: Finding) -> dict[str, Any]:
    """The finding as the JSON object that `mapex inspect` prints and the exchange stores."""
    record = asdict(finding)
    record["severity"] = str(finding.severity)
    return record


def blocks(found: Iterable[Finding]) -> bool:
    """Whether any of them forbids publication."""
    return any(f.severity is Severity.ERROR for f in found)


@dataclass(slots=True)
class FindingLog:
    """Gathers findings in bounded memory: after `examples` of the same (severity, code, file, layer) only the counts grow.

    The last example of a full group carries the number of all that followed, so the counts of a group always sum to what was found.
    """

    examples: int = 20
    rejected: int = 0
    _groups: dict[tuple[str, str, str, str], list[Finding]] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Take one finding in."""
        self.rejected += finding.rejected
        group = self._groups.setdefault((str(finding.severity), finding.code, finding.file, finding.layer), [])
        if len(group) < self.examples:
            group.append(finding)
        else:
            last = group[-1]
            group[-1] = replace(last, count=last.count + finding.count, rejected=last.rejected + finding.rejected)

    def count(self, severity: Severity) -> int:
        """How many records the findings of a severity speak for."""
        return sum(finding.count for key, group in self._groups.items() if key[0] == severity for finding in group)

    def all(self) -> list[Finding]:
        """Findings, errors first, then in the order in which their kind was first seen."""
        order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
        flat = [finding for group in self._groups.values() for finding in group]
        return sorted(flat, key=lambda finding: order[finding.severity])
