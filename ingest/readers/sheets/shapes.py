"""Shapes of the rows of a table: WKT, or two columns of numbers and one of heights; commas of decimals and of thousands are kept apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

_SRID = re.compile(r"\s*SRID\s*=\s*(\d{3,6})\s*;", re.IGNORECASE)
_MOST_NESTED = 16
_NESTED = "GEOMETRYCOLLECTION"
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"


@dataclass(frozen=True, slots=True)
class Shaped:
    """Shapes of some rows as WKB, null where there is none; `wrong` are rows whose cells are not empty and no place."""

    wkb: Any
    wrong: list[int]


def shapes_of(table: pa.Table, columns: Mapping[str, str]) -> Shaped:
    """The shapes of the rows of a table of text."""
    return _of_wkt(table, columns["wkt"].split("|")) if "wkt" in columns else _of_numbers(table, columns)


def srid_of(cells: Sequence[str | None]) -> str | None:
    """The system that extended WKT states, as EPSG code; None when it states none."""
    found = next((match for cell in cells if cell and (match := _SRID.match(cell))), None)
    return f"EPSG:{found[1]}" if found else None


def first_of(table: pa.Table, names: Sequence[str]) -> Any:
    """Of each row the first cell of some columns that is not null."""
    return pc.coalesce(*(table.column(name).combine_chunks() for name in names))


def _of_wkt(table: pa.Table, names: Sequence[str]) -> Shaped:
    texts = [_plain_wkt(text) for text in first_of(table, names).to_pylist()]
    shapes = shapely.from_wkt(np.array(texts, dtype=object), on_invalid="ignore")
    wrong = [row for row, text in enumerate(texts) if text is not None and shapes[row] is None]
    return Shaped(pa.array(shapely.to_wkb(shapes, flavor="iso").tolist(), pa.binary()), wrong)


def _plain_wkt(text: str | None) -> str | None:
    """WKT without its SRID; what is nested so deep that a library may not survive it is none."""
    if text is None:
        return None
    return "" if text.upper().count(_NESTED) > _MOST_NESTED else _SRID.sub("", text, count=1)


def _of_numbers(table: pa.Table, columns: Mapping[str, str]) -> Shaped:
    pair = ("lon", "lat") if "lon" in columns else ("x", "y")
    cells = [table.column(columns[key]).combine_chunks() for key in pair]
    x, y = (numbers_of(column, decimal=pair[0] == "lon") for column in cells)
    given = np.asarray(pc.or_(pc.is_valid(cells[0]), pc.is_valid(cells[1])))
    good = np.isfinite(x) & np.isfinite(y)
    h = numbers_of(table.column(columns["h"]).combine_chunks(), decimal=False) if "h" in columns else np.full(len(x), np.nan)
    shapes = np.full(len(x), None, dtype=object)
    flat, high = good & ~np.isfinite(h), good & np.isfinite(h)
    shapes[flat] = shapely.points(x[flat], y[flat])
    shapes[high] = shapely.points(x[high], y[high], h[high])
    wkb = pa.array(shapely.to_wkb(shapes, flavor="iso").tolist(), pa.binary())
    return Shaped(wkb, np.flatnonzero(given & ~good).tolist())


def numbers_of(cells: Any, *, decimal: bool) -> NDArray[np.float64]:
    """Texts as numbers, NaN where they are none. A comma is that of a decimal where all with one read so, else it parts thousands.

    Args:
        decimal: a comma never parts thousands (degrees have none).
    """
    texts = pc.utf8_trim_whitespace(cells)
    with_comma = texts.filter(pc.fill_null(pc.match_substring(texts, ","), False))
    if len(with_comma):
        parts = not decimal and pc.all(pc.match_substring_regex(with_comma, _THOUSANDS)).as_py()
        texts = pc.replace_substring(texts, ",", "" if parts else ".")
    return np.array([_number(text) for text in texts.to_pylist()], np.float64)


def _number(text: str | None) -> float:
    try:
        return float("nan") if text is None or "_" in text else float(text)
    except ValueError:
        return float("nan")
