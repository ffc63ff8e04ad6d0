"""A placement: what a seller states about where data is on the ground, and how a place is known."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mapex.errors import Invalid

_CRS = re.compile(r"(EPSG|ESRI|OGC|IGNF|IAU_2015):[A-Za-z0-9]{1,16}(\+[0-9]{1,6})?")
COLUMNS = ("wkt", "lon", "lat", "x", "y", "h", "id", "kind")
"""What a column of a table as text can be."""
_MOST_COLUMN = 400
_DATUM = re.compile(r"[A-Za-z0-9][A-Za-z0-9 :._()/-]{0,63}")


class Known(StrEnum):
    """How a coordinate reference system or a height datum is known, from the surest to the weakest."""

    FILE = "file"
    GIVEN = "given"
    GUESSED = "guessed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Placement:
    """What the uploader stated about where the data is; None = nothing was stated.

    `crs` is AUTHORITY:CODE where it came through the exchange (`check_placement`), anything pyproj understands on the command line;
    `origin` is (lon, lat, height) in degrees and metres of the local frame's zero point. `columns` are pairs of a word of `COLUMNS` and the
    name of a column (several: "a|b"), for tables as text.
    """

    crs: str | None = None
    origin: tuple[float, float, float] | None = None
    height_datum: str | None = None
    columns: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The placement as a JSON object, as it is stored and handed to the cage."""
        stated = {"crs": self.crs, "origin": list(self.origin) if self.origin else None, "height_datum": self.height_datum}
        return {**stated, **({"columns": dict(self.columns)} if self.columns else {})}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Placement:
        """The placement of a JSON object; `origin` may have two or three numbers.

        Raises: Invalid: `placement.origin`.
        """
        origin = record.get("origin")
        numbers = [float(v) for v in origin] if origin else []
        if numbers and len(numbers) not in (2, 3):
            raise Invalid("placement.origin", f"An origin is LON,LAT or LON,LAT,H, not {len(numbers)} numbers.", origin=origin)
        at = (numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else 0.0) if numbers else None
        columns = tuple((str(key), str(name)) for key, name in (record.get("columns") or {}).items())
        return Placement(record.get("crs"), at, record.get("height_datum"), columns)


def check_placement(placement: Placement) -> None:
    """Pass for a placement that can be meant; whether the CRS exists is for the reader to find out, in its cage.

    Raises: Invalid (`placement.crs`, `placement.origin`, `placement.height_datum`, `placement.columns`).
    """
    if placement.crs is not None and not _CRS.fullmatch(placement.crs):
        raise Invalid(
            "placement.crs", f"A CRS must be AUTHORITY:CODE such as EPSG:5186, not {placement.crs[:80]!r}.", crs=placement.crs[:80]
        )
    if placement.origin is not None:
        lon, lat, h = placement.origin
        if not (all(map(math.isfinite, placement.origin)) and abs(lon) <= 180 and abs(lat) <= 90 and abs(h) <= 10_000):
            given = ",".join(f"{v:g}" for v in placement.origin)
            message = (
                f"The origin {given} is not longitude (±180) and latitude (±90) in degrees and a height (±10,000) in metres; correct it."
            )
            raise Invalid("placement.origin", message, origin=str(placement.origin))
    if placement.height_datum is not None and not _DATUM.fullmatch(placement.height_datum):
        raise Invalid("placement.height_datum", f"{placement.height_datum[:80]!r} is no name of a height datum such as KVD1964.")
    for key, name in placement.columns:
        is_text = "\x00" not in name and name.encode("utf-8", "replace").decode() == name
        if key not in COLUMNS or not name.strip() or len(name) > _MOST_COLUMN or not is_text:
            text = f"{key[:40]}={name[:40]} names no column: give one or more of {', '.join(COLUMNS)}, each with the name of a column."
            raise Invalid("placement.columns", text, column=key[:40])
