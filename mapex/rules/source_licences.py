"""What the licence of a source demands of who sells it on. Pure data and the questions asked of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mapex.errors import Invalid

FINDING = "licence.source"
"""Code of the finding that names the licence of a source; its value is a code of `SOURCES`."""


@dataclass(frozen=True, slots=True)
class SourceLicence:
    """A licence that goes along with the data: what is made from them may be offered under `offered` only, naming `attribution`.

    `word` is what an attribution must hold.
    """

    code: str
    offered: str
    attribution: str
    word: str


ODBL = SourceLicence("ODbL-1.0", "odbl", "© OpenStreetMap contributors", "OpenStreetMap")
SOURCES: dict[str, SourceLicence] = {ODBL.code: ODBL}
"""The licences by their SPDX code."""

_MARKS = ("openstreetmap", "odbl", "opendatacommons.org/licenses/odbl")


def stated_in(texts: Iterable[str]) -> SourceLicence | None:
    """The licence that texts about a source state, as far as it demands anything."""
    return ODBL if any(mark in text.lower() for text in texts for mark in _MARKS) else None


def check_offer(sources: Iterable[str], licence: str, attribution: str) -> None:
    """Pass for an offer that keeps what the licences of its sources demand.

    Raises: Invalid: `licence.demanded`, `offer.attribution_demanded`.
    """
    for source in (SOURCES[code] for code in sorted(set(sources)) if code in SOURCES):
        if licence != source.offered:
            text = (
                f"This version holds data under {source.code} ({source.word}), which may only be passed on under the same licence. "
                f"Choose the licence {source.offered}, or leave the files out."
            )
            raise Invalid("licence.demanded", text, source=source.code, licence=source.offered)
        if source.word.lower() not in attribution.lower():
            text = f"Data under {source.code} must name their source: write {source.attribution!r} into the attribution."
            raise Invalid("offer.attribution_demanded", text, source=source.code, attribution=source.attribution)
