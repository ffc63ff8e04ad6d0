"""A permit: what the regulator allows an organisation to hold. It names holder, recipients, purposes, classes, an area and a period."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mapex.times import iso_from_ns
from tiles.box import Box

if TYPE_CHECKING:
    from shapely import Geometry

STATES = ("active", "suspended", "revoked")

RULE_SET = "kr-pipc-2026-01"
"""The rules under which permits are given, when no others are named."""

RULE_SETS = (RULE_SET,)
"""The rules that this exchange knows how to apply; a permit under others would be judged by the wrong ones."""


@dataclass(frozen=True, slots=True)
class NewPermit:
    """A permit as it is entered. `org` and `recipients` are slugs, times are UTC ns, half open.

    `area` is GeoJSON (geometry, Feature or FeatureCollection, WGS 84) with an area.
    """

    org: str
    number: str
    purposes: Sequence[str]
    classes: Sequence[str]
    area: Mapping[str, Any] | str
    valid_from_ns: int
    valid_to_ns: int
    recipients: Sequence[str] = ()
    rule_set: str = RULE_SET


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit. `org` is the holder's slug, `recipients` are slugs; `named_ids` are the ids of all of these organisations.

    `area_text` is a GeoJSON geometry (WGS 84), times are UTC ns, half open.
    """

    id: str
    org_id: str
    org: str
    number: str
    rule_set: str
    purposes: tuple[str, ...]
    classes: tuple[str, ...]
    area_text: str
    recipients: tuple[str, ...]
    named_ids: frozenset[str]
    valid_from_ns: int
    valid_to_ns: int
    state: str
    created_ns: int

    @property
    def area(self) -> Mapping[str, Any]:
        """The GeoJSON geometry of the area."""
        geometry: Mapping[str, Any] = json.loads(self.area_text)
        return geometry

    @property
    def terms(self) -> dict[str, Any]:
        """What whoever buys under it must know, as JSON values."""
        return {
            "number": self.number,
            "rule_set": self.rule_set,
            "purposes": list(self.purposes),
            "valid_from": iso_from_ns(self.valid_from_ns),
            "valid_to": iso_from_ns(self.valid_to_ns),
        }

    @property
    def ground(self) -> Geometry:
        """The area as a prepared geometry, in degrees."""
        return _prepared(self.area_text)

    @property
    def box(self) -> Box:
        """The box of the area."""
        import shapely

        return Box(*shapely.bounds(self.ground).tolist())


def area_digest(area: str) -> str:
    """sha256 (hex) of an area as it is stored: what the log says of it."""
    return hashlib.sha256(area.encode()).hexdigest()


@lru_cache(maxsize=256)
def _prepared(area: str) -> Geometry:
    import shapely

    geometry = shapely.from_geojson(area)
    shapely.prepare(geometry)
    return geometry
