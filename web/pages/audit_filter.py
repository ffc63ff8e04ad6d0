"""The one-line filter of the audit pages: `actor:kim@dongil.example action:access.granted from:2026-11-17`, read and written.

Times without a zone are Korean. A value with spaces stands in quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from mapex.atlas import grounds
from mapex.audit.log import EventFilter
from mapex.errors import Invalid
from mapex.times import DAY_NS, KST, NS, ns_from_iso
from web.edge.auth import exchange

FIELDS = (
    *("actor", "person", "org", "owner", "action", "class", "dataset", "layer", "tile", "region", "purpose", "permit", "flag"),
    *("from", "to"),
)
LONGEST = 6000
"""Characters of a line: the outline of an area is the longest word of one."""


_WORD = re.compile(r'([a-z]+):(?:"([^"]*)"|(\S+))|(\S+)')


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter as people write it: (field, value) in order; `actor` is a person (with an @) or an organisation."""

    words: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The line."""
        return " ".join(f'{name}:"{value}"' if re.search(r"\s", value) else f"{name}:{value}" for name, value in self.words)

    @property
    def filter(self) -> EventFilter:
        """What the service understands.

        Raises: Invalid: `time.malformed`, `audit.region`; NotFound, InvalidRegion, Unavailable: as `mapex.atlas.grounds.read`.
        """
        plain: dict[str, Any] = {}
        for name, value in self.words:
            if name in ("from", "to"):
                plain[f"{name}_ns"] = ns_from_text(value)
            elif name == "actor":
                plain["person" if "@" in value else "org"] = value
            elif name == "region":
                plain["ground"] = grounds.read(exchange(), value)
            else:
                plain["handling_class" if name == "class" else name] = value
        return EventFilter(**plain)

    @property
    def api(self) -> str:
        """The same as a query string of the API."""
        plain: dict[str, str] = {}
        for name, value in self.words:
            key = ("person" if "@" in value else "org") if name == "actor" else name
            plain[key] = iso_kst(ns_from_text(value)) if name in ("from", "to") else value
        return urlencode(plain)

    def same_as(self, other: Asked) -> bool:
        """Whether both ask for the same, in whatever order."""
        return dict(self.words) == dict(other.words)

    def without(self, name: str) -> Asked:
        """Without one field."""
        return Asked(tuple(word for word in self.words if word[0] != name))

    def with_(self, name: str, value: str) -> Asked:
        """With one field set."""
        return Asked((*self.without(name).words, (name, value)))

    @property
    def query(self) -> str:
        """Address query of a page with this filter, `?` included; of no filter too, for without one the page begins with originals."""
        return f"?{urlencode({'q': self.text})}"


ORIGINALS = Asked((("class", "original"), ("action", "access")))
"""What the page begins with: accesses to original footage, refused ones too."""


def read(text: str) -> Asked:
    """The filter that a line holds; of a field that comes twice the last counts.

    Raises: Invalid: `audit.query` names the word that is not understood.
    """
    found: dict[str, str] = {}
    for match in _WORD.finditer(text[:LONGEST]):
        name, quoted, plain, bare = match.groups()
        value = quoted if quoted is not None else plain
        if bare is not None or name not in FIELDS:
            word = bare or f"{name}:"
            raise Invalid(
                "audit.query", f"{word[:80]!r} is not understood; write field:value with one of {', '.join(FIELDS)}.", word=word[:80]
            )
        if value:
            found.pop(name, None)
            found[name] = value
    return Asked(tuple(found.items()))


def after_day(text: str) -> str:
    """The day after a day, which a half-open time ends with: a form asks for the last day. Raises: Invalid: `time.malformed`."""
    return day_of(ns_from_text(text[:10]) + DAY_NS)


def day_of(at_ns: int) -> str:
    """The Korean day of a moment."""
    return iso_kst(at_ns)[:10]


def last_day(to: str) -> str:
    """The last day before a half-open end, for the form; a day that it ends within is whole there.

    Raises: Invalid: `time.malformed`.
    """
    return day_of(ns_from_text(to) - 1)


def ns_from_text(text: str) -> int:
    """UTC nanoseconds of an ISO date or time, Korean where it names no zone.

    Raises: Invalid: `time.malformed`, `time.range`.
    """
    return ns_from_iso(text, KST)


def iso_kst(at_ns: int) -> str:
    """`2026-11-17T04:30:00+09:00`; microseconds when there are any."""
    seconds, rest = divmod(at_ns, NS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000).astimezone(KST).isoformat()
