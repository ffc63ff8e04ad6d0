"""An index of named places in memory: what a few letters could mean, the likeliest first, in a few milliseconds among 100,000 names."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mapex.places.romanisation import romanised, romanised_road
from mapex.places.spelling import folded, initials, words

MOST_CANDIDATES = 120
"""Names that are looked at closely; of more those of the highest rank."""
SHORTEST_WITHIN = 3
"""Letters of a question that is looked for inside of names too, not only at their beginning."""

RANKS = {"sido": 0, "city": 1, "sigungu": 1, "emd": 2, "area": 2, "road": 3, "place": 4, "ri": 4, "address": 5}
"""Kinds of places, the likelier the lower."""

SHORT = re.compile(r"(특별자치시|특별자치도|특별시|광역시|(?<=[남북기])도)$")
"""What is left out of the name of a division of the first level."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A named place: its Korean names from the largest division down to its own, or the only names that it has.

    `key` is what `mapex.prices.lookup.place` finds its outline by; empty for a point.
    """

    kind: str
    names: tuple[str, ...]
    lon: float
    lat: float
    box: Box | None = None
    key: str = ""

    @property
    def name(self) -> str:
        """Its own name."""
        return self.names[-1]

    @property
    def latin(self) -> tuple[str, ...]:
        """Its names in Latin letters."""
        own = romanised_road if self.kind in ("road", "address") else romanised
        return (*map(_romanised, self.names[:-1]), own(self.name))


class Index:
    """All names of places, sorted by their folded words."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        entries = sorted({(key, at) for at, place in enumerate(places) for key in _keys(place)})
        self._keys = [key for key, _ in entries]
        self._owners = np.array([at for _, at in entries], dtype=np.int32)
        ranks = np.array([RANKS[place.kind] * 64 + min(63, len(place.name)) for place in places], dtype=np.int32)
        self._ranks = ranks[self._owners] if len(places) else ranks
        self._text = "\n".join(folded(place.name) for place in places)
        self._starts = np.cumsum([0, *(len(line) + 1 for line in self._text.split("\n"))])

    def search(self, text: str, *, limit: int = 10) -> list[Place]:
        """Places of which every word of `text` begins a name, and one its own name; those that it names whole come first."""
        asked = words(text)
        if not asked:
            return []
        ranges = [self._range(word) for word in asked]
        order = sorted(range(len(asked)), key=lambda i: (ranges[i][1] - ranges[i][0] == 0, ranges[i][1] - ranges[i][0]))
        found: dict[int, None] = {}
        for i in order:
            rest = [word for j, word in enumerate(asked) if j != i]
            candidates = self._best(*ranges[i], exact=asked[i])
            found |= dict.fromkeys(at for at in candidates if _fits(self._places[at], rest))
        if len(found) < limit and len(asked) == 1 and len(asked[0]) >= SHORTEST_WITHIN:
            found |= dict.fromkeys(self._within(asked[0]))
        return [self._places[at] for at in sorted(found, key=lambda at: likeliness(self._places[at], asked))[:limit]]

    def _range(self, word: str) -> tuple[int, int]:
        return bisect_left(self._keys, word), bisect_left(self._keys, word + "\U0010ffff")

    def _best(self, begin: int, end: int, *, exact: str) -> Iterator[int]:
        """Owners of the keys from `begin` to `end`: those that are exactly the word, and the others of the highest rank."""
        whole = bisect_left(self._keys, exact + "\0", begin, end)
        if end - begin > MOST_CANDIDATES:
            chosen = np.argpartition(self._ranks[begin:end], MOST_CANDIDATES)[:MOST_CANDIDATES] + begin
            same = np.argsort(self._ranks[begin:whole], kind="stable")[:MOST_CANDIDATES] + begin
            yield from self._owners[np.concatenate([same, chosen])].tolist()
        else:
            yield from self._owners[begin:end].tolist()

    def _within(self, word: str) -> Iterator[int]:
        at = self._text.find(word)
        for _ in range(MOST_CANDIDATES):
            if at < 0:
                return
            line = int(np.searchsorted(self._starts, at, side="right")) - 1
            yield line
            at = self._text.find(word, int(self._starts[line + 1]))


def _keys(place: Place) -> Iterator[str]:
    """Folded words under which a place is found: of its own name whole, of its words, in Latin letters, its first consonants."""
    for own in (place.name, place.latin[-1], *short_names(place.name)):
        parts = own.split()
        for word in {*parts, "".join(parts)}:
            yield from _spellings(word)


def short_names(name: str) -> tuple[str, ...]:
    """What people call a division of the first level: 서울특별시 is 서울, 충청북도 is 충북 too."""
    short = SHORT.sub("", name)
    if short == name:
        return ()
    return (short, short[0] + short[2]) if len(short) == 3 and short[2] in "남북" else (short,)


def _fits(place: Place, rest: Iterable[str]) -> bool:
    """Whether every other word begins one of the names."""
    known = [key for name in (*place.names, *place.latin) for word in name.split() for key in _spellings(word)]
    return all(any(key.startswith(word) for key in known) for word in rest)


@lru_cache(maxsize=40_000)
def _own(name: str, kind: str) -> tuple[frozenset[str], frozenset[str]]:
    """Spellings of a name whole and without its unit (백현 of 백현동), and of its words."""
    latin = Place(kind, (name,), 0, 0).latin[-1]
    whole = {key for one in (name, latin, *short_names(name)) for key in _spellings(one)}
    plain = {key for one in (name[:-1], latin.rpartition("-")[0]) if one for key in _spellings(one)}
    return frozenset(whole | plain), frozenset(key for one in (name, latin) for word in one.split() for key in _spellings(word))


def likeliness(place: Place, asked: Sequence[str]) -> tuple[int, int, int, tuple[str, ...]]:
    """What sorts places that fit: those named whole, those of which a word is whole; then larger ones, then shorter names."""
    whole, parts = _own(place.name, place.kind)
    return (
        0 if any(word in whole for word in asked) else 1 if any(word in parts for word in asked) else 2,
        RANKS[place.kind],
        len(place.name),
        place.names,
    )


@lru_cache(maxsize=100_000)
def _spellings(word: str) -> tuple[str, ...]:
    return tuple(key for key in (folded(word), initials(word)) if key)


_romanised = lru_cache(maxsize=20_000)(romanised)
