"""The values of attributes, read from the JSON text of tiles without a loss: numbers of any size, with all of their digits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntFlag
from typing import Any

_SURE = 16  # a decimal of so many characters has 15 digits or fewer: a double gives them back
_EXACT = 1 << 53
_INT64 = 1 << 63
UNREAL: Mapping[str, float] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""What tiles write for the numbers that JSON does not have."""


@dataclass(frozen=True, slots=True)
class Long:
    """A number that a double would change: its text."""

    text: str


class Sort(IntFlag):
    """What a value is. A column has the sorts of all of its values."""

    NULL = 0
    BOOL = 1
    INT = 2
    WIDE = 4
    """a whole number of 64 bits that a double would change"""
    LONG = 8
    """a number beyond 64 bits, or with more digits than a double"""
    FLOAT = 16
    UNREAL = 32
    """NaN or an infinity, or a text that says so"""
    TEXT = 64
    NESTED = 128


def attributes_of(text: str) -> dict[str, Any]:
    """The attributes of a feature: what JSON has, numbers that a double would change as `Long`.

    Raises: ValueError: the text is not a JSON object.
    """
    found = _DECODER.decode(text)
    if not isinstance(found, dict):
        raise ValueError("the properties of a feature are no JSON object")
    return found


def _decimal(text: str) -> float | Long:
    number = float(text)
    if len(text) <= _SURE and "e" not in text and "E" not in text:
        return number
    return number if math.isfinite(number) and Decimal(repr(number)) == Decimal(text) else Long(text)


_DECODER = json.JSONDecoder(parse_float=_decimal)


def sort_of(value: Any) -> Sort:
    """What a value of `attributes_of` is."""
    if value is None:
        return Sort.NULL
    if isinstance(value, str):
        return Sort.UNREAL if value in UNREAL else Sort.TEXT
    if isinstance(value, bool):
        return Sort.BOOL
    if isinstance(value, int):
        return Sort.INT if -_EXACT <= value <= _EXACT else _sort_of_wide(value)
    if isinstance(value, float):
        return Sort.FLOAT if math.isfinite(value) else Sort.UNREAL | Sort.FLOAT
    return Sort.LONG if isinstance(value, Long) else Sort.NESTED


def _sort_of_wide(value: int) -> Sort:
    if not -_INT64 <= value < _INT64:
        return Sort.LONG
    return Sort.INT if int(float(value)) == value else Sort.WIDE


def as_json(value: Any) -> str:
    """A value as JSON text, every number as exact as it came; NaN and infinities are null, since JSON has none."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        return _exact_json(value)
    return text if is_text(text) else json.dumps(value)


def _exact_json(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_json(key)}: {as_json(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_json, value)) + "]"
    if isinstance(value, Long):
        return value.text
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    return json.dumps(value)


def as_text(value: Any) -> str | None:
    """A value for a column of texts: texts as they are, all else as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, number in UNREAL.items() if number == value or (math.isnan(number) and math.isnan(value)))
    return as_json(value)


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: JSON can hold halves of characters (lone surrogates), files cannot."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
