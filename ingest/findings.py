"""Findings: what is wrong or worth knowing about a record, as values; and the counts that must always balance.

A bad row is a `Finding`, never an exception: a file gives all its findings at once. `error` blocks publication, `question` does until the
seller confirms that it is right, `warning` lowers the quality score, `info` says what was assumed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mapex.catalogue.finding import Finding, Severity
from tiles.footage.doubts import Unproven


def error(code: str, message: str, fix: str, **where: Any) -> Finding:
    """An error finding; `where` names any of file, layer, feature, value, lon, lat, count, rejected."""
    return _finding(Severity.ERROR, code, message, fix, where)


def question(code: str, message: str, fix: str, **where: Any) -> Finding:
    """A finding that the seller has to answer before publication; `where` as for `error`."""
    return _finding(Severity.QUESTION, code, message, fix, where)


def warning(code: str, message: str, fix: str, **where: Any) -> Finding:
    """A warning finding; `where` as for `error`."""
    return _finding(Severity.WARNING, code, message, fix, where)


def info(code: str, message: str, fix: str = "", **where: Any) -> Finding:
    """An information finding; `where` as for `error`."""
    return _finding(Severity.INFO, code, message, fix, where)


def _finding(severity: Severity, code: str, message: str, fix: str, where: Mapping[str, Any]) -> Finding:
    texts = {name: str(where[name]) for name in ("file", "layer", "feature", "value") if name in where}
    return Finding(severity, code, message, fix, **{**where, **texts})


_MOST = 1900  # characters of a value


def beside(members: Mapping[str, Any], **where: Any) -> Iterator[Finding]:
    """What a source states beside its features, which tiles do not hold: they would change, and be paid again, with every export.

    Buyers read it in the findings of the version.
    """
    if members:
        stated = json.dumps(members, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        text = f"The file states {', '.join(members)[:200]} for all of the map. Tiles hold features only; here is what it states."
        yield info("source.beside", text, "", value=stated if len(stated) <= _MOST else stated[:_MOST] + " ...", **where)


def unproven(doubt: Unproven, **where: Any) -> Finding:
    """Something that may hold a picture or sound: its layer is `original`, until the operator was shown a proof."""
    text = f"Nobody can be sure that this is free of pictures and sound: {doubt.why}. So the layer is handled as original."
    return info(
        "footage.unproven", text, "Leave it out, or show the operator that nobody can be recognised in it.", feature=doubt.where,
        value=doubt.why[:200], **where,
    )  # fmt: skip


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
        order = list(Severity)
        flat = [finding for group in self._groups.values() for finding in group]
        return sorted(flat, key=lambda finding: order.index(finding.severity))
