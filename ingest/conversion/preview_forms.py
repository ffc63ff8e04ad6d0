"""What a preview may be, byte for byte: checked outside the cage by code that decodes no picture.

A preview is small, of the one form that we make, and carries no more than it should: no EXIF or other metadata in pictures, no points
finer than centimetres, no more than a quarter of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mapex.errors import Invalid
from tiles.errors import InvalidContent
from tiles.features import teaser
from tiles.points import sample

WIDEST = 320
"""Pixels of a picture of footage."""


@dataclass(frozen=True, slots=True)
class Form:
    """Media type ("" = no file), how many of them a layer may have, and the bytes of each."""

    media_type: str
    most: int
    most_bytes: int


FORMS: Mapping[str, Form] = {
    "facts": Form("", 1, 0),
    "names": Form("", 50, 0),
    "attributes": Form("", 5, 0),
    "teaser": Form("application/x-mapex-teaser", 1, 4 << 20),
    "cloud": Form("application/x-mapex-cloud", 1, 14 << 20),
    "still": Form("image/png", 1, 2 << 20),
    "strip": Form("image/jpeg", 12, 128 << 10),
    "clip": Form("video/mp4", 1, 4 << 20),
}


def refusal(what: str) -> Invalid:
    """A preview that is not what it should be."""
    return Invalid("preview.broken", f"A preview was not kept, because the caged program answered something impossible ({what}).")


def check_about(kind: str, about: Mapping[str, Any]) -> None:
    """Pass for a description that is a whole preview: of names each is a text with a place on earth, attributes are rows of a table.

    Raises: Invalid: `preview.broken`.
    """
    rows = about.get("rows")
    if kind == "attributes" and not (about.keys() == {"of", "kinds", "rows"} and isinstance(rows, list) and all(map(_is_attribute, rows))):
        raise refusal("attributes")
    if kind == "names" and not (about.keys() == {"rows"} and isinstance(rows, list) and rows and all(map(_is_name, rows))):
        raise refusal("names")


def _is_attribute(row: object) -> bool:
    return isinstance(row, list) and len(row) >= 4 and all(isinstance(row[at], str) for at in (0, 1, 3)) and type(row[2]) is int


def _is_name(row: object) -> bool:
    if not isinstance(row, list) or len(row) != 3 or not isinstance(row[0], str) or not row[0].strip():
        return False
    places = [one for one in row[1:] if isinstance(one, int | float) and not isinstance(one, bool)]
    return len(places) == 2 and abs(places[0]) <= 180 and abs(places[1]) <= 85


def check(kind: str, body: bytes, about: Mapping[str, Any]) -> None:
    """Pass for the bytes of a preview of this kind.

    Raises: Invalid: `preview.broken`.
    """
    try:
        if kind == "teaser":
            teaser.decode(body)
        elif kind == "cloud":
            sample.check(body)
        elif kind == "still":
            _png(body)
        elif kind == "strip":
            _jpeg(body)
        elif kind == "clip":
            _mp4(body)
    except (InvalidContent, struct.error, IndexError, ValueError) as why:
        raise refusal(f"{kind}: {why}") from why
    if kind in ("strip", "clip") and about.get("blurred") is not True:
        raise refusal(f"{kind} without blur")


def _png(body: bytes) -> None:
    if not body.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("no PNG")
    at, names = 8, []
    while at < len(body):
        (length,) = struct.unpack_from(">I", body, at)
        names.append(body[at + 4 : at + 8])
        if names[-1] == b"IHDR" and max(struct.unpack_from(">II", body, at + 8)) > 1024:
            raise ValueError("too large")
        at += 12 + length
    if at != len(body) or set(names) - {b"IHDR", b"PLTE", b"IDAT", b"IEND"} or names[0] != b"IHDR" or names[-1] != b"IEND":
        raise ValueError("chunks")


_JPEG_MARKERS = {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}  # JFIF, tables, baseline frame, scan: no EXIF (E1), no ICC (E2), no comment (FE)


def _jpeg(body: bytes) -> None:
    if not body.startswith(b"\xff\xd8") or not body.endswith(b"\xff\xd9"):
        raise ValueError("no JPEG")
    at = 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", body, at)
        if mark != 0xFF or kind not in _JPEG_MARKERS:
            raise ValueError(f"marker {kind:02x}")
        if kind == 0xC0 and struct.unpack_from(">H", body, at + 7)[0] > WIDEST:
            raise ValueError("too wide")
        at += 2 + length
        if kind == 0xDA:
            # In the scan only stuffed FF and the end may follow: nothing is hidden behind.
            if body.find(b"\xff\xd9", at) != len(body) - 2:
                raise ValueError("bytes behind the end")
            return


def _boxes(body: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start < end:
        length, name = struct.unpack_from(">I4s", body, start)
        if length < 8 or start + length > end:
            raise ValueError("a box")
        yield name, start + 8, start + length
        start += length


def _mp4(body: bytes) -> None:
    top = list(_boxes(body, 0, len(body)))
    if [name for name, _, _ in top][:1] != [b"ftyp"] or {name for name, _, _ in top} - {b"ftyp", b"moov", b"mdat", b"free"}:
        raise ValueError("boxes")
    moov = next(((start, end) for name, start, end in top if name == b"moov"), None)
    tracks = [(s, e) for name, s, e in _boxes(body, *(moov or (0, 0))) if name == b"trak"]
    if len(tracks) != 1:
        raise ValueError("tracks")
    for name, start, end in _boxes(body, *tracks[0]):
        if name == b"tkhd" and (end - start < 84 or struct.unpack_from(">I", body, end - 8)[0] >> 16 > WIDEST):
            raise ValueError("too wide")
