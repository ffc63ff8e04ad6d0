"""The 100-km squares of MGRS, as Autoware writes them (`54SVE037737` and metres inside the square).

Source: NGA.STND.0037 (MGRS), letters by zone: columns A-H, J-R, S-Z repeat every three zones, rows A-V repeat every 2,000 km and start
with F in even zones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = re.compile(r"^(\d{1,2})([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])\d*$")
_COLUMNS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_METRES_PER_DEGREE = 110_900.0


@dataclass(frozen=True, slots=True)
class MgrsSquare:
    """A 100-km square: its UTM system and the easting and northing of its south-west corner in metres."""

    crs: str
    easting: float
    northing: float


def square(code: str) -> MgrsSquare | None:
    """The square of a code, or None when no such square exists (real files carry fakes such as `99XXX000000`)."""
    match = _CODE.match(code.strip().upper())
    if match is None:
        return None
    zone, band, column, row = int(match[1]), match[2], match[3], match[4]
    columns = _COLUMNS[(zone - 1) % 3]
    if not 1 <= zone <= 60 or column not in columns:
        return None
    easting = (columns.index(column) + 1) * 100_000.0
    north = band >= "N"
    cycle = ((_ROWS.index(row) - (5 if zone % 2 == 0 else 0)) % 20) * 100_000.0
    # The band states which of the 2,000-km cycles: the northing next to the middle of its eight degrees (twelve in X).
    latitude = _BANDS.index(band) * 8 - 80 + (6 if band == "X" else 4)
    middle = latitude * _METRES_PER_DEGREE + (0.0 if north else 10_000_000.0)
    northing = cycle + round((middle - cycle) / 2_000_000.0) * 2_000_000.0
    if abs(northing + 50_000.0 - middle) > 900_000.0 or northing < 0:
        return None
    return MgrsSquare(f"EPSG:{32600 + zone if north else 32700 + zone}", easting, northing)
