"""The catalogue asked: by words, by filters, in an order, page by page.

Words are compared as names of places are (`mapex.places.spelling`): letter by letter, so that half a syllable finds; first consonants
alone; Latin letters loosely. A particle at the end of a Korean word does not hide what stands before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mapex.exchange import Exchange
from mapex.places.romanisation import romanised
from mapex.places.spelling import folded, initials
from mapex.rules.licences import LICENCES
from mapex.showroom import listings
from mapex.showroom.listings import OnSale

LONGEST_QUESTION = 200
PAGE = 20
SORTS = ("best", "newest", "freshest", "quality", "title", "tiles")
"""The first is the usual one: how well the words fit, then the newest."""

_SHORTEST_WITHIN = 4
"""Letters of a word that is looked for inside of others too."""
_PARTICLES = re.compile("(?<=[가-힣])(에서는|에서|으로|까지|부터|이나|의|에|을|를|은|는|이|가|와|과|로|도|만)$")
_KINDS = {
    "hdmap": "정밀도로지도 차로 차선 HD map lanes",
    "sidewalk": "보행로 네트워크 보도 인도 횡단보도 sidewalks footways",
    "pointcloud": "점군 포인트 클라우드 라이다 point cloud lidar",
    "recording": "주행 영상 센서 데이터 recording drive sensor",
    "photos": "사진 photos",
    "video": "동영상 영상 블랙박스 video dash camera",
}
"""What people call kinds of data."""


@dataclass(frozen=True, slots=True)
class CatalogueQuery:
    """What is looked for; an empty text, or 0 days, is no condition. `page` counts from 1."""

    q: str = ""
    kind: str = ""
    handling_class: str = ""
    licence: str = ""
    purpose: str = ""
    place: str = ""
    unit: str = ""
    seller: str = ""
    fresh: int = 0
    sort: str = SORTS[0]
    page: int = 1


@dataclass(frozen=True, slots=True)
class CataloguePage:
    """One page of what was found; `counts` says of each filter how many there are with each of its values, the other filters kept."""

    found: Sequence[OnSale]
    total: int
    pages: int
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


_VALUES: Mapping[str, Callable[[OnSale], Iterable[str]]] = {
    "kind": lambda one: {layer.kind for layer in one.layers},
    "handling_class": lambda one: {layer.handling_class for layer in one.layers},
    "licence": lambda one: {one.licence},
    "purpose": lambda one: {str(purpose) for purpose in LICENCES[one.licence].purposes},
    "unit": lambda one: one.rates.keys(),
    "seller": lambda one: {one.org},
}
_ORDERS: Mapping[str, Callable[[OnSale], Any]] = {
    "newest": lambda one: -one.published_ns,
    "freshest": lambda one: one.age,
    "quality": lambda one: -one.quality,
    "title": lambda one: one.title.casefold(),
    "tiles": lambda one: -one.tiles,
}


def find(ex: Exchange, asked: CatalogueQuery) -> CataloguePage:
    """The datasets on sale that are meant, one page of them."""
    scored = [(one, score) for one in listings.on_sale(ex) if (score := _score(one, asked.q[:LONGEST_QUESTION]))]
    meant = [one for one, _ in scored]
    scores = {one.ref: score for one, score in scored}
    wanted = {name: value for name in FILTERS if (value := getattr(asked, name))}
    found = [one for one in meant if _passes(one, wanted)]
    order = _ORDERS.get(asked.sort) or (lambda one: -scores[one.ref])
    found.sort(key=lambda one: (order(one), -one.published_ns, one.ref))
    pages = max(1, -(-len(found) // PAGE))
    first = (min(max(1, asked.page), pages) - 1) * PAGE
    return CataloguePage(found[first : first + PAGE], len(found), pages, {name: _counted(name, meant, wanted) for name in _VALUES})


def refs(ex: Exchange, q: str) -> list[str]:
    """`ORG/SLUG` of all datasets on sale that the words mean, the best first."""
    scored = [(-score, -one.published_ns, one.ref) for one in listings.on_sale(ex) if (score := _score(one, q[:LONGEST_QUESTION]))]
    return [ref for _, _, ref in sorted(scored)]


def _counted(name: str, all_: Iterable[OnSale], wanted: Mapping[str, Any]) -> dict[str, int]:
    others = {other: value for other, value in wanted.items() if other != name}
    return dict(Counter(value for one in all_ if _passes(one, others) for value in _VALUES[name](one)))


def _passes(one: OnSale, wanted: Mapping[str, Any]) -> bool:
    return all(FILTERS[name](one, value) for name, value in wanted.items())


def _score(one: OnSale, q: str) -> int:
    """How well the words fit: every word is somewhere, the worthier the place the higher; 1 where nothing is asked, 0 = not meant."""
    if not q.strip():
        return 1
    texts = _texts(one)
    total = 0
    for word in q.split():
        best = max((weight * _fits(word, keys) for weight, keys in texts), default=0)
        if not best:
            return 0
        total += best
    return total


def _texts(one: OnSale) -> tuple[tuple[int, frozenset[str]], ...]:
    """Where words are looked for, each with its weight."""
    kinds = " ".join(_KINDS.get(layer.kind, "") for layer in one.layers)
    described = (one.description, one.described.ko, one.described.en, one.described.method, one.described.sensors, one.attribution)
    return (
        (8, _keys(f"{one.title} {one.slug}")),
        (5, _keys(f"{one.org_name} {one.org}")),
        (5, _place_words(one.places)),
        (4, _keys(kinds)),
        (3, _keys(" ".join(one.attributes).replace("_", " ") + " " + " ".join(one.attributes))),
        (2, _keys(" ".join(described))),
    )


def _place_words(names: tuple[str, ...]) -> frozenset[str]:
    return _keys(" ".join((*names, *map(romanised, names))))


@lru_cache(maxsize=50_000)
def _keys(text: str) -> frozenset[str]:
    """What a text is found by: its words folded, and their first consonants."""
    words = re.split(r"[\s,·;:/()\[\].!?\"']+", text)
    return frozenset(key for word in words for key in (folded(word), initials(word)) if key)


def _fits(text: str, keys: frozenset[str]) -> int:
    """2 where a word is there, 1 where words begin with it or hold it, 0 where none does; of several words the worst counts."""
    return min((max((_fits_word(form, keys) for form in _forms(word)), default=0) for word in text.split()), default=0)


def _forms(word: str) -> set[str]:
    """A word as it was typed, and without its particle, folded."""
    return {key for form in (word, _PARTICLES.sub("", word)) if (key := folded(form))}


def _fits_word(word: str, keys: frozenset[str]) -> int:
    if word in keys:
        return 2
    return int(any(key.startswith(word) or (len(word) >= _SHORTEST_WITHIN and word in key) for key in keys))


FILTERS: Mapping[str, Callable[[OnSale, Any], bool]] = {
    "kind": lambda one, kind: any(layer.kind == kind for layer in one.layers),
    "handling_class": lambda one, code: any(layer.handling_class == code for layer in one.layers),
    "licence": lambda one, code: one.licence == code,
    "purpose": lambda one, code: any(code == purpose for purpose in LICENCES[one.licence].purposes),
    "place": lambda one, text: _fits(text, _place_words(one.places)) > 0,
    "unit": lambda one, unit: unit in one.rates,
    "seller": lambda one, org: one.org == org,
    "fresh": lambda one, days: one.age <= days,
}
"""Each filter: whether a dataset passes it."""
