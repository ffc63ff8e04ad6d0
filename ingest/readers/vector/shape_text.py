"""Which encoding the text of a shapefile is really in: the bytes decide, the .cpg and the language byte only vote.

Real Korean files are cp949 without a .cpg; read as Latin-1 they give `Â÷·Î` for 차로 and no error.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from ingest.findings import warning
from mapex.catalogue.finding import Finding

_SAMPLE_BYTES = 4 << 20
_LANGUAGE_KOREAN = (0x4E, 0x79)  # dBASE language driver: Korean Windows, Korean MS-DOS


@dataclass(frozen=True, slots=True)
class TextSeen:
    """An encoding in GDAL's spelling, whether it was guessed, and what is to be reported about it."""

    encoding: str
    finding: Finding | None = None


def encoding_of(shp: Path, file: str) -> TextSeen:  # noqa: PLR0911 - one return an encoding
    """The encoding of the .dbf that belongs to a .shp; ASCII text needs none and is UTF-8."""
    dbf = beside(shp, ".dbf")
    if dbf is None:
        return TextSeen("UTF-8")
    stated = _stated(shp)
    values, language = _values(dbf)
    if not values:
        return TextSeen("UTF-8")
    korean = _fits(values, "cp949")
    if _fits(values, "utf-8"):
        is_false = stated is not None and _canonical(stated) not in ("utf-8", None)
        return TextSeen("UTF-8", _contradicts(stated, "UTF-8", file) if is_false else None)
    if stated is not None and _canonical(stated) not in ("utf-8", None) and _fits(values, stated) and not (korean and _is_one_byte(stated)):
        return TextSeen("CP949" if _canonical(stated) in ("cp949", "euc_kr") else stated)
    if korean:
        if stated is not None and _canonical(stated) not in ("cp949", "euc_kr"):
            return TextSeen("CP949", _contradicts(stated, "cp949", file))
        why = "its language byte means Korean" if language in _LANGUAGE_KOREAN else "all of it reads as Korean"
        sentence = f"{shp.name}: no .cpg states how the text is encoded; cp949 was assumed, since {why}."
        return TextSeen(
            "CP949", warning("text.encoding_guessed", sentence, "Add a .cpg file with the name of the encoding.", file=file, value="cp949")
        )
    text = f"{shp.name}: the text is neither UTF-8 nor cp949; it was read as Latin-1 and may show wrong letters."
    bad = warning("text.encoding_unknown", text, "Add a .cpg file with the name of the encoding.", file=file, value=stated or "")
    return TextSeen("ISO-8859-1", bad)


def beside(shp: Path, ending: str) -> Path | None:
    """The file with the same stem and another ending, in lower or upper case."""
    for candidate in (shp.with_suffix(ending), shp.with_suffix(ending.upper())):
        if candidate.is_file():
            return candidate
    return None


def _stated(shp: Path) -> str | None:
    cpg = beside(shp, ".cpg")
    if cpg is None:
        return None
    with cpg.open("rb") as stream:
        name = stream.read(64).decode("ascii", errors="replace").strip()
    return f"cp{name}" if name.isdigit() else (name or None)


def _values(dbf: Path) -> tuple[list[bytes], int]:
    """The non-ASCII names and values of the text columns in the first megabytes, and the language byte."""
    with dbf.open("rb") as stream:
        data = stream.read(_SAMPLE_BYTES)
    if len(data) < 33:
        return [], 0
    header, length = int.from_bytes(data[8:10], "little"), int.from_bytes(data[10:12], "little")
    fields, at, column = [], 32, 1
    found: set[bytes] = set()
    while at + 32 <= min(header, len(data)) and data[at] != 0x0D:
        name = data[at : at + 11].split(b"\0")[0]
        if not name.isascii():
            found.add(name)
        width = data[at + 16]
        if data[at + 11 : at + 12] == b"C":
            fields.append((column, width))
        column += width
        at += 32
    if length > 0:
        for start in range(header, len(data) - length + 1, length):
            for offset, width in fields:
                value = data[start + offset : start + offset + width].rstrip(b" \0")
                if not value.isascii():
                    found.add(value)
    return list(found), data[29]


def _fits(values: list[bytes], encoding: str) -> bool:
    """Whether all values decode; the last character of a value may have been cut by the width of its column."""
    return all(_decodes(value, encoding) for value in values)


def _decodes(value: bytes, encoding: str) -> bool:
    for cut in (0, 1, 2):
        try:
            value[: len(value) - cut].decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        return cut == 0 or len(value) >= 10
    return False


def _canonical(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _is_one_byte(name: str) -> bool:
    try:
        return len(bytes(range(0xA1, 0xFF)).decode(name, errors="replace")) == 0xFF - 0xA1
    except LookupError:
        return False


def _contradicts(stated: str | None, real: str, file: str) -> Finding:
    text = f"The .cpg states {stated}, but the text is {real}; it was read as {real}."
    return warning("text.encoding_lies", text, "Correct the .cpg file.", file=file, value=stated or "")
