"""Where the buyer wants coordinates and heights: a coordinate reference system, and above what heights count.

Horizontal places are moved by PROJ. Heights keep their number, as everywhere here, unless another datum is asked for: then PROJ must have
the grid of its geoid on this machine. It is never left out in silence, which would be 23 to 30 m in Korea.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mapex.errors import Invalid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WGS84 = "EPSG:4326"
UNKNOWN = "unknown"
ELLIPSOID = "ellipsoid"
DATUMS = MappingProxyType({ELLIPSOID: "", "EGM96": "+5773", "EGM2008": "+3855", "KVD1964": "+5193", "NAVD88": "+5703", "DHHN2016": "+7837"})
"""Height datums that can be asked for: name -> what stands behind the code of a horizontal system in EPSG."""
_MARKS = (("EGM96", "EGM96"), ("EGM2008", "EGM2008"), ("KVD1964", "KVD1964"), ("NAVD88", "NAVD88"), ("DHHN2016", "DHHN2016"))


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for: `crs` (a two-dimensional `pyproj.CRS`, None: as the tiles are), `heights` ("": as they are)."""

    crs: Any = None
    heights: str = ""

    def or_wgs84(self) -> Target:
        """The same, but in WGS 84 where no system was named: what vector tiles are in."""
        return self if self.crs is not None else Target(_parsed(WGS84), self.heights)


def target_of(crs: str | None, heights: str | None) -> Target:
    """What the options say. A system with heights of its own (EPSG:4979, EPSG:5186+5193) names their datum too.

    Raises: Invalid: `join.crs`, `join.heights`.
    """
    whole = _parsed(crs) if crs else None
    stated = height_datum_of(whole) if whole is not None else ""
    wanted = (heights or "").strip() or stated
    known = {name.casefold(): name for name in DATUMS}
    if wanted and wanted.casefold() not in known:
        text = f"Heights above {wanted!r} cannot be had. Choose one of {', '.join(DATUMS)}, or leave heights as they are."
        raise Invalid("join.heights", text, heights=wanted)
    name = known.get(wanted.casefold(), "")
    if heights and stated and name != known.get(stated.casefold()):
        raise Invalid("join.heights", f"{crs} has heights above {stated}, and {name} was asked for. Give one of the two.", heights=wanted)
    return Target(flat(whole) if whole is not None else None, name)


def datum_of(record: bytes) -> str:
    """The height datum that a tile states in its record of the place (`tiles.batch.PLACING`); `UNKNOWN` where it states none."""
    try:
        stated = json.loads(record).get("height_datum")
    except (ValueError, RecursionError, AttributeError):
        return UNKNOWN
    return stated if isinstance(stated, str) and stated else UNKNOWN


def _parsed(text: str) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError, ProjError

    try:
        crs = CRS.from_user_input(text)
    except (CRSError, ProjError) as error:
        raise Invalid("join.crs", f"{text!r} is no coordinate reference system. Write one like EPSG:5186.", crs=text) from error
    if (crs.is_vertical and not crs.is_compound) or crs.is_engineering or crs.is_geocentric:
        raise Invalid("join.crs", f"{text!r} ({crs.name}) says nothing of east and north. Write one like EPSG:5186.", crs=text)
    return crs


def flat(crs: Any) -> Any:
    """The horizontal part of a system; a geocentric one, which has none, as it is."""
    if crs.is_compound:
        return flat(crs.sub_crs_list[0])
    return crs.to_2d() if len(crs.axis_info) > 2 and not crs.is_geocentric and not crs.is_bound else crs


def height_datum_of(crs: Any) -> str:
    """The height datum that a system names; "" for one without heights."""
    if crs.is_compound:
        name = str(crs.sub_crs_list[1].name)
        return next((short for mark, short in _MARKS if mark.lower() in name.lower()), name)
    return ELLIPSOID if len(crs.axis_info) > 2 else ""


def shifted(lon: NDArray[np.float64], lat: NDArray[np.float64], z: NDArray[np.float64], there: tuple[str, str]) -> NDArray[np.float64]:
    """Heights above another datum: `there` is (from, to), places are in degrees WGS 84, heights in metres.

    Raises: Invalid: `join.heights`: nobody stated above what they count, or PROJ has no grid for it, here or on this ground.
    """
    import numpy as np

    source, wanted = there
    if source == wanted:
        return z
    if source not in DATUMS:
        stated = f"above {source}, which PROJ does not know" if source and source != UNKNOWN else "above nobody knows what"
        text = f"Heights cannot be brought to {wanted}: they count {stated}. Leave heights as they are, and ask the seller."
        raise Invalid("join.heights", text, heights=wanted)
    moved = np.asarray(_way(source, wanted).transform(lon, lat, z)[2], np.float64)
    if not np.isfinite(moved).all():
        text = f"Heights cannot be brought from {source} to {wanted} here: the geoid that this machine has does not reach so far."
        raise Invalid("join.heights", text, heights=wanted)
    return moved


@lru_cache(maxsize=16)
def _way(source: str, wanted: str) -> Any:
    """From (longitude, latitude, height above `source`) to heights above `wanted`; never one that leaves the geoid out."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    begin, end = (f"{WGS84}{DATUMS[name]}" if DATUMS[name] else "EPSG:4979" for name in (source, wanted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Transformer.from_crs(begin, end, always_xy=True, allow_ballpark=False)
        except ProjError as error:
            text = f"Heights cannot be brought from {source} to {wanted}: PROJ has no geoid for it on this machine. {_help(begin, end)}"
            raise Invalid("join.heights", text, heights=wanted) from error


def _help(begin: str, end: str) -> str:
    """Where to put which file, so that it could."""
    from pyproj import CRS
    from pyproj.datadir import get_user_data_dir  # type: ignore[attr-defined]
    from pyproj.transformer import TransformerGroup

    ways = TransformerGroup(CRS.from_user_input(begin), CRS.from_user_input(end), always_xy=True, allow_ballpark=False)
    names = dict.fromkeys(grid.short_name for way in ways.unavailable_operations for grid in way.grids)
    grids = f"Put {' or '.join([*names][:2])} into {get_user_data_dir()}, or leave" if names else "Leave"
    return f"{grids} heights as they are."
