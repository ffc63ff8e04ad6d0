"""The operator's own places: GeoJSON, or addresses as tables (CSV, or the files of the address authority as it hands them out).

A table has a first line with names of columns (`COLUMNS`), or is one of the authority's without such a line: 위치정보요약DB (18 columns)
and 내비게이션용DB (27 and more). Signs are UTF-8 or CP949; places are degrees (경도, 위도) or EPSG:5179 as the authority writes them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.places.index import Place
from tiles import plain_json

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

TABLES = (".csv", ".txt", ".tsv")
MAPS = (".geojson", ".json")
MOST_ROWS = 500_000
"""Rows of all files together: a city or two. All six million addresses of Korea would fill the memory of every server."""

COLUMNS = {
    "sido": ("시도명", "시도", "ctp_kor_nm", "sido"),
    "sigungu": ("시군구명", "시군구", "sig_kor_nm", "sigungu"),
    "road": ("도로명", "rn", "road"),
    "below": ("지하여부", "buld_se_cd", "underground"),
    "main": ("건물본번", "buld_mnnm", "number"),
    "sub": ("건물부번", "buld_slno", "subnumber"),
    "name": ("건물명", "시군구용건물명", "이름", "명칭", "buld_nm", "name"),
    "x": ("x좌표", "출입구_x좌표", "경도", "x", "lon", "longitude"),
    "y": ("y좌표", "출입구_y좌표", "위도", "y", "lat", "latitude"),
}
_SUMMARY = {"sido": 3, "sigungu": 4, "road": 7, "below": 8, "main": 9, "sub": 10, "name": 11, "x": 16, "y": 17}
_NAVIGATION = {"sido": 1, "sigungu": 2, "road": 5, "below": 6, "main": 7, "sub": 8, "name": 11, "x": 25, "y": 26}


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Places to be found, and of those that have one the outline by name."""

    places: list[Place] = field(default_factory=list)
    areas: dict[str, BaseGeometry] = field(default_factory=dict)
    numbers: dict[tuple[str, ...], dict[str, tuple[float, float]]] = field(default_factory=dict)
    """Of each road (its names) the places of its numbers: a street of a thousand doors is one name to be searched."""

    def addresses(self, roads: Iterable[Place], number: str) -> list[Place]:
        """The address of this number at each road; where there is none, those that divide it (146-1)."""
        found = []
        for road in roads:
            known = self.numbers.get(road.names, {})
            chosen = [number] if number in known else [one for one in known if one.startswith(f"{number}-")]
            found += [Place("address", (*road.names[:-1], f"{road.name} {one}"), *known[one]) for one in chosen]
        return found


def read(files: Iterable[Path]) -> Gazetteer:
    """All places of these files.

    Raises: OSError, ValueError, KeyError, TypeError: one cannot be read.
    """
    rows: list[dict[str, str]] = []
    features: list[Mapping[str, Any]] = []
    for path in files:
        if path.suffix.lower() in TABLES:
            rows += _rows(path, most=MOST_ROWS - len(rows))
        else:
            features += plain_json.loads(path.read_text(encoding="utf-8-sig"))["features"]
    points, areas = _features(features)
    found = Gazetteer(points, areas)
    _add_addresses(found, rows)
    return found


def files_of(path: Path) -> list[Path]:
    """The file, or of a folder the tables and maps in it."""
    return sorted(one for one in path.iterdir() if one.suffix.lower() in (*TABLES, *MAPS)) if path.is_dir() else [path]


def _features(features: Sequence[Mapping[str, Any]]) -> tuple[list[Place], dict[str, BaseGeometry]]:
    """Points and lines one by one; several areas of one name are one place."""
    import shapely

    parts: dict[str, list[BaseGeometry]] = {}
    found: list[Place] = []
    for feature in features:
        name, shape = str(feature["properties"]["name"]), shapely.from_geojson(json.dumps(feature["geometry"]))
        if shape.geom_type in ("Polygon", "MultiPolygon"):
            parts.setdefault(name, []).append(shape)
        elif not shape.is_empty:
            found.append(_of_shape("road" if shape.geom_type.endswith("LineString") else "place", name, shape))
    areas = {name: shapely.union_all(parts[name]) for name in sorted(parts)}
    return [*(_of_shape("area", name, shape, key=name) for name, shape in areas.items()), *found], areas


def _of_shape(kind: str, name: str, shape: BaseGeometry, *, key: str = "") -> Place:
    middle = shape.representative_point()
    w, s, e, n = shape.bounds
    return Place(kind, (name,), middle.x, middle.y, (w, s, e, n) if kind != "place" else None, key)


def _rows(path: Path, *, most: int) -> list[dict[str, str]]:
    lines = _text(path).splitlines()
    if len(lines) > most + 1:
        raise ValueError(f"more than {MOST_ROWS} rows of addresses; supply those of the cities that are on offer")
    first = lines[0] if lines else ""
    sign = max("|,\t", key=first.count)
    table = csv.reader(lines, delimiter=sign, quoting=csv.QUOTE_NONE if sign == "|" else csv.QUOTE_MINIMAL)
    at, has_head = _columns(next(csv.reader([first], delimiter=sign), []))
    if has_head:
        next(table)
    return [{name: row[i].strip() for name, i in at.items()} for row in table if len(row) > max(at.values())]


def _text(path: Path) -> str:
    body = path.read_bytes()
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp949")


def _columns(first: Sequence[str]) -> tuple[dict[str, int], bool]:
    """Where each column is, and whether the first line is names of columns.

    Raises: ValueError: it is neither that nor a row of a known file.
    """
    named = [cell.strip().lower() for cell in first]
    at = {
        name: min(named.index(one) for one in known if one in named) for name, known in COLUMNS.items() if not set(known).isdisjoint(named)
    }
    if {"x", "y"} <= at.keys() and at.keys() & {"name", "road"}:
        return at, True
    if len(first) == len(("",) * 18):
        return _SUMMARY, False
    if len(first) > max(_NAVIGATION.values()):
        return _NAVIGATION, False
    raise ValueError("its columns are not known; the first line has to name 도로명 or 건물명, and X좌표 and Y좌표")


def _add_addresses(found: Gazetteer, rows: Sequence[Mapping[str, str]]) -> None:
    """Add each building that has a name, and each road with its numbers, in the middle of them."""
    import numpy as np

    known = [row for row in rows if _is_number(row["x"]) and _is_number(row["y"])]
    if not known:
        return
    xy = _degrees(np.array([[float(row["x"]), float(row["y"])] for row in known]))
    roads: dict[tuple[str, ...], list[int]] = {}
    for at, (row, (lon, lat)) in enumerate(zip(known, xy.tolist(), strict=True)):
        around = tuple(name for name in (row.get("sido", ""), row.get("sigungu", "")) if name)
        if road := row.get("road", ""):
            roads.setdefault((*around, road), []).append(at)
            if number := _number(row):
                found.numbers.setdefault((*around, road), {})[number] = (lon, lat)
        if name := row.get("name", ""):
            found.places.append(Place("place", (*around, name), lon, lat))
    for names, members in roads.items():
        own = xy[members]
        (w, s), (e, n) = own.min(axis=0).tolist(), own.max(axis=0).tolist()
        lon, lat = own[np.argsort(own[:, 0])[len(own) // 2]].tolist()
        found.places.append(Place("road", names, lon, lat, (w, s, e, n)))


def _number(row: Mapping[str, str]) -> str:
    main, sub = (row.get(name, "").lstrip("0") for name in ("main", "sub"))
    below = "지하" if row.get("below") == "1" else ""
    return f"{below}{main}-{sub}" if main and sub else f"{below}{main}" if main else ""


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e8
    except ValueError:
        return False


def _degrees(xy: Any) -> Any:
    """Degrees as they are; else metres of EPSG:5179, in which the address authority writes."""
    from pyproj import Transformer

    if (abs(xy) <= 180).all():
        return xy
    import numpy as np

    lon, lat = Transformer.from_crs(5179, 4326, always_xy=True).transform(xy[:, 0], xy[:, 1])
    return np.column_stack([lon, lat])
