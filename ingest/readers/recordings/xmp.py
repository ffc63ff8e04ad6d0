"""The position in an XMP packet. The packet is searched, not parsed: a damaged one may still hold a position.

Source: XMP Specification part 2, GPSCoordinate (`45,31.5N`); programs also write the hemisphere as a property of its own, as EXIF does,
and degrees as decimals or as ratios.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:/\d+)?")
_SIDE = re.compile(r"([NSEW])[a-z]*\s*$", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;")
_AXES = (("GPSLatitude", "NS"), ("GPSLongitude", "EW"))


def position(xmp: bytes, doubts: list[str]) -> tuple[float, float] | None:
    """Longitude and latitude of exif:GPSLatitude and exif:GPSLongitude, attributes or elements; None when they are not there.

    `doubts` gets the reason when something is there that cannot be used.
    """
    found = []
    for name, sides in _AXES:
        value, side = stated(xmp, name), stated(xmp, f"{name}Ref")
        if value is None:
            return None
        degrees = _degrees(value)
        letter = _side(value) or _side(side or "")
        if degrees is None:
            doubts.append("its XMP position is not a number")
            return None
        if not letter or letter not in sides:
            doubts.append("its XMP position does not say which hemisphere it is in")
            return None
        found.append(degrees if letter in "NE" else -degrees)
    return found[1], found[0]


def stated(xmp: bytes, name: str) -> str | None:
    """The text of a property in the exif namespace, as an attribute or as an element; None when it is not there."""
    # What is looked at behind a name is bounded: thousands of names, each looked at to the end of the packet, took seconds a photo.
    pattern = rb"""exif:%s(?:\s{0,99}=\s{0,99}(?:"([^"<]{0,999})"|'([^'<]{0,999})')|(?:\s[^<>]{0,999})?>([^<]{0,999}))"""
    named = re.search(pattern % name.encode(), xmp)
    if named is None:
        return None
    return _ENTITY.sub(" ", next(text for text in named.groups() if text is not None).decode("utf-8", "replace")).strip()


def _side(text: str) -> str:
    found = _SIDE.search(text)
    return found[1].upper() if found else ""


def _degrees(text: str) -> float | None:
    """Degrees of one to three numbers (degrees, minutes, seconds)."""
    words = _NUMBER.findall(text)
    if not 1 <= len(words) <= 3 or "-" in text:
        return None
    try:
        numbers = [float(over) / float(under or 1) for over, _, under in (word.partition("/") for word in words)]
    except ZeroDivisionError:
        return None
    return sum(number / 60.0**power for power, number in enumerate(numbers))
