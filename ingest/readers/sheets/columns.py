"""Which columns of a table are what: proposed by their names and first cells, or stated by the seller (`--map lon=경도,lat=위도`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mapex.errors import Invalid

_NAMES: Mapping[str, Sequence[str]] = {
    "lon": ("lon", "lng", "long", "longitude", "경도", "wgs84경도", "경도wgs84", "gpslongitude", "lonwgs84", "wgs84lon"),
    "lat": ("lat", "latitude", "위도", "wgs84위도", "위도wgs84", "gpslatitude", "latwgs84", "wgs84lat"),
    "x": ("x", "x좌표", "좌표x", "좌표정보x", "easting", "tmx", "utmx", "utmkx", "xcoord", "coordx", "pointx"),
    "y": ("y", "y좌표", "좌표y", "좌표정보y", "northing", "tmy", "utmy", "utmky", "ycoord", "coordy", "pointy"),
    "h": ("h", "z", "height", "ele", "elevation", "alt", "altitude", "고도", "표고", "높이", "pointz", "zcoord"),
    "kind": ("종류", "유형", "구분", "시설종류", "시설유형", "시설물종류", "시설물구분"),
    "id": ("id", "관리번호", "고유번호", "객체id", "mgtno"),
}
_KINDS = "POINT|LINESTRING|POLYGON|MULTIPOINT|MULTILINESTRING|MULTIPOLYGON|GEOMETRYCOLLECTION"
_SHAPE = re.compile(rf"\s*(SRID=\d+;)?\s*({_KINDS})\s*(Z|M|ZM)?\s*(\(|EMPTY)", re.IGNORECASE)
_PLAIN = re.compile(r"[\s_.()\[\]°:/-]+")


def proposed(names: Sequence[str], cells: Mapping[str, Sequence[str | None]]) -> dict[str, str]:
    """What is what, as far as names and first cells tell; without a place where they do not."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_PLAIN.sub("", name).lower(), name)
    found: dict[str, str] = {}
    shapes = [name for name in names if any(cell and _SHAPE.match(cell) for cell in cells.get(name, ()))]
    if shapes:
        found["wkt"] = "|".join(shapes)
    else:
        for pair in (("lon", "lat"), ("x", "y")):
            own = [next((plain[word] for word in _NAMES[key] if word in plain), None) for key in pair]
            if own[0] is not None and own[1] is not None:
                found = {pair[0]: own[0], pair[1]: own[1]}
                break
    for key in ("h", "id", "kind") if found else ():
        column = next((plain[word] for word in _NAMES[key] if word in plain), None)
        if column is not None and column not in found.values() and not (key == "h" and shapes):
            found[key] = column
    return found


def check(columns: Mapping[str, str], names: Sequence[str], file: str) -> None:
    """Pass for a statement that the table can be read by.

    Raises: Invalid: `csv.no_column`, `csv.pair`.
    """
    for key, value in columns.items():
        missing = [name for name in value.split("|") if name not in names]
        if missing and key != "kind":
            text = f"{file} has no column {missing[0]!r}; its columns are: {', '.join(names)[:500]}"
            raise Invalid("csv.no_column", text, file=file, column=missing[0])
    for pair in (("lon", "lat"), ("x", "y")):
        if len([key for key in pair if key in columns]) == 1:
            raise Invalid("csv.pair", f"Name the columns of both {pair[0]} and {pair[1]}, or the one of wkt.", file=file)


def has_place(columns: Mapping[str, str]) -> bool:
    """Whether columns of a place are among them."""
    return "wkt" in columns or {"lon", "lat"} <= columns.keys() or {"x", "y"} <= columns.keys()
