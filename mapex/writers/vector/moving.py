"""Geometries of tiles on their way into the coordinate reference system of the file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mapex.errors import Invalid
from mapex.writers.target import UNKNOWN, Target, shifted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TYPES = ("Unknown", "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
"""Names of geometry types by their number in WKB."""


@dataclass(frozen=True, slots=True)
class Moving:
    """From WGS 84, longitude first, to the system of a target, x (east, longitude) first; heights keep their number unless asked for."""

    target: Target
    crs: Any = field(init=False)
    _transformer: Any = field(init=False)

    def __post_init__(self) -> None:
        from pyproj import Transformer

        crs = self.target.or_wgs84().crs
        here = crs.equals("EPSG:4326", ignore_axis_order=True)
        object.__setattr__(self, "crs", crs)
        object.__setattr__(self, "_transformer", None if here else Transformer.from_crs("EPSG:4326", crs, always_xy=True))

    def of(self, geometries: list[bytes], datum: str = UNKNOWN) -> list[bytes]:
        """The geometries there (ISO WKB), heights given above `datum`; bit for bit the same when there is nothing to move.

        Raises: Invalid: `join.outside`, `join.heights`.
        """
        lifts = bool(self.target.heights) and self.target.heights != datum
        if self._transformer is None and not lifts:
            return geometries
        moved = [bytearray(geometry) for geometry in geometries]
        views = [view for shape in moved for view in _views(shape)]
        if views:
            self._move(views, (datum, self.target.heights) if lifts else None)
        return [bytes(shape) for shape in moved]

    def _move(self, views: Sequence[_Vertices], lift: tuple[str, str] | None) -> None:
        import numpy as np

        here = np.concatenate([view.numbers[:, :2] for view in views])
        if lift is not None and (solid := [view for view in views if view.has_z]):
            places = np.concatenate([view.numbers[:, :3] for view in solid])
            heights = shifted(places[:, 0], places[:, 1], places[:, 2], lift)
            at = 0
            for view in solid:
                view.numbers[:, 2] = heights[at : at + len(view.numbers)]
                at += len(view.numbers)
        if self._transformer is None:
            return
        there = np.column_stack(self._transformer.transform(here[:, 0], here[:, 1]))
        if not np.isfinite(there).all():
            text = f"Some features are outside of what {self.crs.name} can express. Choose another system with --crs."
            raise Invalid("join.outside", text, crs=str(self.crs))
        at = 0
        for view in views:
            view.numbers[:, :2] = there[at : at + len(view.numbers)]
            at += len(view.numbers)


class _Vertices(NamedTuple):
    """Numbers of a run of vertices, to be written over in place, and whether the third of each is a height."""

    numbers: NDArray[np.float64]
    has_z: bool


def _views(shape: bytearray) -> list[_Vertices]:
    import numpy as np

    has_z = code_of(shape) // 1000 in (1, 3)
    runs = _positions(shape, 0)[0]
    return [_Vertices(np.frombuffer(shape, order + "f8", count * size, at).reshape(count, size), has_z) for at, count, size, order in runs]


def _positions(wkb: bytes | bytearray, at: int) -> tuple[list[tuple[int, int, int, str]], int]:
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


def code_of(geometry: bytes | bytearray) -> int:
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
