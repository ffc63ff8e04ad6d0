"""How good and how fresh a layer is: two numbers from what its ingest counted, by a rule that anybody can check.

*Quality* is how completely and cleanly the records of the files became tiles, in percent of the records that were read. A record
that was placed counts 1; one that was placed with a warning counts 1/2; one that has no place or was rejected counts 0. How
exact the survey was is not in it: nobody measured that here.

*Freshness* is the number of whole days since the newest capture in the layer, or, when no file holds the time of its capture, since the
version was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mapex.errors import Invalid
from mapex.times import DAY_NS, ns_from_iso

UNKNOWN = -1
"""Quality of a layer of which nothing was counted."""


def score(counts: Mapping[str, int], warnings: int) -> int:
    """Quality, 0 to 100, rounded down, so that 100 means that nothing was wrong; `UNKNOWN` when no record was read.

    Args:
        counts: records `read` and `placed`. warnings: how many records the layer's warnings speak for.
    """
    read, placed = counts.get("read", 0), counts.get("placed", 0)
    if read <= 0:
        return UNKNOWN
    return (200 * placed - 100 * min(max(warnings, 0), placed)) // (2 * read)


def seen_ns(captured: object, published_ns: int) -> int:
    """When a layer was seen last: the end of its capture (`about["captured"]`, ISO 8601), else its publication."""
    if isinstance(captured, list) and captured and isinstance(captured[-1], str):
        try:
            return min(ns_from_iso(captured[-1]), published_ns)  # a clock of the car that ran ahead makes nothing fresher
        except Invalid:
            return published_ns
    return published_ns


def age_days(seen: int, now_ns: int) -> int:
    """Whole days since a layer was seen."""
    return max(0, now_ns - seen) // DAY_NS


def of_layer(about: Mapping[str, Any], warnings: int, published_ns: int) -> tuple[int, int]:
    """When a layer was seen last, and its quality, from what is stored about it."""
    counts = about.get("counts")
    return seen_ns(about.get("captured"), published_ns), score(counts if isinstance(counts, dict) else {}, warnings)
