"""Geometries of tiles on their way into the coordinate reference system of the file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mapex.errors import Invalid

TYPES = ("Unknown", "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
"""Names of geometry types by their number in WKB."""


@dataclass(frozen=True, slots=True)
class Moving:
    """From WGS 84, longitude first, to `crs` (a `pyproj.CRS`), x (east, longitude) first; heights keep their number."""

    crs: Any
    _transformer: Any = field(init=False)

    def __post_init__(self) -> None:
        from pyproj import Transformer

        here = self.crs.equals("EPSG:4326", ignore_axis_order=True)
        made = None if here else Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)
        object.__setattr__(self, "_transformer", made)

    def of(self, geometries: list[bytes]) -> list[bytes]:
        """The geometries there (ISO WKB); bit for bit the same when there is nothing to move.

        Raises: Invalid: `join.outside`.
        """
        if self._transformer is None:
            return geometries
        import numpy as np

        moved = [bytearray(geometry) for geometry in geometries]
        spots = [[*_positions(geometry, 0)[0]] for geometry in geometries]
        views = [
            np.frombuffer(shape, order + "f8", count * size, at).reshape(count, size)[:, :2]
            for shape, runs in zip(moved, spots, strict=True)
            for at, count, size, order in runs
        ]
        if not views:
            return geometries
        here = np.concatenate(views)
        there = np.column_stack(self._transformer.transform(here[:, 0], here[:, 1]))
        if not np.isfinite(there).all():
            text = f"Some features are outside of what {self.crs.name} can express. Choose another system with --crs."
            raise Invalid("join.outside", text, crs=str(self.crs))
        at = 0
        for view in views:
            view[:] = there[at : at + len(view)]
            at += len(view)
        return [bytes(shape) for shape in moved]


def _positions(wkb: bytes, at: int) -> tuple[list[tuple[int, int, int, str]], int]:
    """Where the coordinates of a geometry in ISO WKB are: runs of (offset, how many, numbers of each, byte order); and where it ends."""
    order = "<" if wkb[at] else ">"

    def number(where: int) -> int:
        return int(struct.unpack_from(order + "I", wkb, where)[0])

    code = number(at + 1)
    kind, size = code % 1000, 2 + (0, 1, 1, 2)[code // 1000]
    at += 5
    if kind == 1:
        return [(at, 1, size, order)], at + 8 * size
    runs = []
    parts, at = (1, at) if kind == 2 else (number(at), at + 4)
    for _ in range(parts):
        if kind > 3:
            inner, at = _positions(wkb, at)
            runs += inner
        else:
            runs.append((at + 4, number(at), size, order))
            at += 4 + 8 * size * number(at)
    return runs, at


def moving_to(text: str) -> Moving:
    """To the coordinate reference system of this name.

    Raises: Invalid: `join.crs`.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError, ProjError

    try:
        return Moving(CRS.from_user_input(text))
    except (CRSError, ProjError) as error:
        raise Invalid("join.crs", f"{text!r} is no coordinate reference system. Write one like EPSG:5186.", crs=text) from error


def code_of(geometry: bytes) -> int:
    """The ISO code of the type: 1 a point, 1001 one with Z, 2001 with M, 3001 with both."""
    return int.from_bytes(geometry[1:5], "little" if geometry[0] else "big")


def name_of_all(codes: Iterable[int]) -> str:
    """The one type of all geometries of a layer (`Polygon Z`), or `Unknown` when they have several, or M values."""
    several = set(codes)
    code = several.pop() if len(several) == 1 else 0
    return TYPES[code % 1000] + " Z" * (code // 1000) if code < 2000 else TYPES[0]


def names_of(codes: Sequence[int]) -> list[str]:
    """The names of types that GeoParquet lists; none (which says nothing about them) when it has no name for one."""
    return sorted({name_of_all([code]) for code in codes}) if all(code < 2000 for code in codes) else []
