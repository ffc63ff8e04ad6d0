"""A placement: what a seller says about where data is on the ground."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mapex.errors import Invalid

_CRS = re.compile(r"(EPSG|ESRI|OGC|IGNF|IAU_2015):[A-Za-z0-9]{1,16}(\+[0-9]{1,6})?")


_DATUM = re.compile(r"[A-Za-z0-9][A-Za-z0-9 :._()/-]{0,63}")


@dataclass(frozen=True, slots=True)
class Placement:
    """What the uploader said about where the data lie. `crs` is AUTHORITY:CODE; `origin` is (lon, lat, h) in degrees and metres."""

    crs: str | None = None
    origin: tuple[float, float, float] | None = None
    height_datum: str | None = None


def check_placement(placement: Placement) -> None:
    """Pass for a placement that can be meant; whether the CRS exists is for the reader to say, in its cage.

    Raises: Invalid (`placement.crs`, `placement.origin`, `placement.height_datum`).
    """
    if placement.crs is not None and not _CRS.fullmatch(placement.crs):
        raise Invalid("placement.crs", f"crs must be AUTHORITY:CODE such as EPSG:5186, not {placement.crs[:80]!r}", crs=placement.crs[:80])
    if placement.origin is not None:
        lon, lat, h = placement.origin
        if not (all(map(math.isfinite, placement.origin)) and abs(lon) <= 180 and abs(lat) <= 90 and abs(h) <= 10_000):
            given = ",".join(f"{v:g}" for v in placement.origin)
            message = f"origin {given} is not longitude (±180) and latitude (±90) in degrees and a height (±10,000) in metres"
            raise Invalid("placement.origin", message, origin=str(placement.origin))
    if placement.height_datum is not None and not _DATUM.fullmatch(placement.height_datum):
        raise Invalid("placement.height_datum", f"{placement.height_datum[:80]!r} is no name of a height datum such as KVD1964")
