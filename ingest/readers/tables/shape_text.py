"""Which encoding the text of a shapefile is in: what is declared (.cpg, else the language byte), unless all its bytes refute it.

Real Korean files are cp949 without a .cpg; read as Latin-1 they give `Â÷·Î` for 차로 and no error. A single broken value refutes nothing.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow.compute as pc

from ingest.checks.encodings import codec_of, decoded
from ingest.findings import warning
from ingest.readers.tables.dbf import Dbf, cells_of
from mapex.catalogue.finding import Finding
from mapex.rules.parts import shapefiles

_KOREAN = "cp949"
_UNKNOWN = "iso8859-1"
_MOST_PRJ = 1 << 20
_BARE, _SURE = 0.5, 0.1
"""The shares of values that may be broken in an encoding that is still believed, and in one that refutes what is declared."""

_LANGUAGES = {
    **dict.fromkeys((0x4E, 0x79), _KOREAN),
    **dict.fromkeys((0x13, 0x7B), "cp932"),
    **dict.fromkeys((0x4D, 0x7A), "gb18030"),
    **dict.fromkeys((0x4F, 0x78), "cp950"),
    **dict.fromkeys((0x01, 0x09, 0x0B, 0x0D, 0x0F, 0x11, 0x15, 0x18, 0x19, 0x1B), "cp437"),
    **dict.fromkeys((0x02, 0x0A, 0x0E, 0x10, 0x12, 0x14, 0x16, 0x1A, 0x1D, 0x25, 0x37), "cp850"),
    **dict.fromkeys((0x1F, 0x22, 0x23, 0x40, 0x64, 0x87), "cp852"),
    **dict.fromkeys((0x26, 0x65), "cp866"),
    **dict.fromkeys((0x58, 0x59), "cp1252"),
    **{0x7C: "cp874", 0x7D: "cp1255", 0x7E: "cp1256", 0xC8: "cp1250", 0xC9: "cp1251", 0xCA: "cp1254", 0xCB: "cp1253", 0xCC: "cp1257"},
}
"""Language bytes that mean something: 0x03 and 0x57 ("ANSI") are written whatever the text is in."""


@dataclass(frozen=True, slots=True)
class TextSeen:
    """A codec, and what is to be reported about how it was found."""

    codec: str
    finding: Finding | None = None


@dataclass(slots=True)
class _Tally:
    """How the non-ASCII values of a table read in one codec: how many are broken, and letters of Hangul among those that are not ASCII."""

    values: int = 0
    broken: int = 0
    letters: int = 0
    hangul: int = 0

    def take(self, value: bytes, codec: str) -> None:
        text, broken = decoded(value, codec)
        foreign = [letter for letter in text if not letter.isascii()]
        self.values += 1
        self.broken += broken
        self.letters += len(foreign)
        self.hangul += sum("가" <= letter <= "힣" for letter in foreign)

    @property
    def fits(self) -> bool:
        """Whether most values read in this codec."""
        return self.broken <= self.values * _BARE

    @property
    def is_sure(self) -> bool:
        """Whether nearly all values read in this codec."""
        return self.broken <= self.values * _SURE

    @property
    def is_korean(self) -> bool:
        """Whether most values read, and as Hangul mostly: two letters of Western text may be one of cp949."""
        return self.fits and self.hangul * 2 > self.letters


def encoding_of(shp: Path, dbf: Dbf, file: str) -> TextSeen:
    """The codec of a table; ASCII text needs none and is UTF-8."""
    stated = _stated(shp)
    declared = (_language(stated) or codec_of(stated) if stated else None) or _LANGUAGES.get(dbf.language)
    seen = _tallies(dbf, {"utf-8", _KOREAN, *([declared] if declared else [])})
    utf8, korean = seen["utf-8"], seen[_KOREAN]
    if not utf8.values:
        return TextSeen("utf-8")
    is_believed = declared is not None and not _refuted(declared, seen)
    if declared is not None and is_believed and (stated or declared != _KOREAN):
        return TextSeen(declared)
    better = "utf-8" if utf8.fits and utf8.broken <= korean.broken else _KOREAN if is_believed or korean.is_korean else ""
    if better and stated:
        return TextSeen(better, _contradicts(stated, better, file))
    if better == "utf-8":
        return TextSeen(better)
    if better:
        why = "its language byte means Korean" if is_believed else "nearly all of it reads as Korean"
        sentence = f"{shp.name}: no .cpg states how the text is encoded; cp949 was assumed, since {why}."
        fix = "Add a .cpg file with the name of the encoding."
        return TextSeen(better, warning("text.encoding_guessed", sentence, fix, file=file, value="cp949"))
    text = f"{shp.name}: the text is neither UTF-8 nor cp949; it was read as Latin-1 and may show wrong letters."
    bad = warning("text.encoding_unknown", text, "Add a .cpg file with the name of the encoding.", file=file, value=stated or "")
    return TextSeen(_UNKNOWN, bad)


def beside(shp: Path, ending: str) -> Path | None:
    """The part of a shapefile with this ending, by the rule of `mapex.rules.parts`; None when it has none."""
    for candidate in (shp.with_suffix(ending), shp.with_suffix(ending.upper())):
        if candidate.is_file():
            return candidate
    own = _shapefiles_in(shp.parent, shp.parent.stat().st_mtime_ns).get(shp.name, ())
    return next((shp.with_name(name) for name in own if name.lower().endswith(ending)), None)


@lru_cache(maxsize=16)
def _shapefiles_in(folder: Path, changed_ns: int) -> dict[str, tuple[str, ...]]:
    """The parts of all shapefiles in a folder; listed once, as long as the folder does not change."""
    return shapefiles(path.name for path in folder.iterdir() if path.is_file())


def system_text(prj: Path) -> str:
    """The text of a .prj: names in it may be Korean, and GDAL gives nothing at all of what is not UTF-8."""
    with prj.open("rb") as stream:
        raw = stream.read(_MOST_PRJ)
    text, broken = decoded(raw.removeprefix(codecs.BOM_UTF8), "utf-8")
    return decoded(raw, _KOREAN)[0] if broken else text


def _stated(shp: Path) -> str:
    cpg = beside(shp, ".cpg")
    if cpg is None:
        return ""
    with cpg.open("rb") as stream:
        return stream.read(64).decode("utf-8-sig", errors="replace").split("\0")[0].strip()


def _language(stated: str) -> str | None:
    """The codec of a language byte that a .cpg names (`LDID/78`)."""
    found = re.fullmatch(r"LDID/(\d{1,3})", stated, re.IGNORECASE)
    return _LANGUAGES.get(int(found.group(1))) if found else None


def _tallies(dbf: Dbf, codecs: set[str]) -> dict[str, _Tally]:
    """How all non-ASCII text of a table (names of columns too) reads in some codecs: all rows, each distinct value of a block once."""
    seen = {codec: _Tally() for codec in codecs}
    names = Counter(column.raw_name for column in dbf.columns if not column.raw_name.isascii())
    for name in names:
        for codec, tally in seen.items():
            tally.take(name, codec)
    for block in dbf.blocks():
        for column in dbf.columns:
            rows = (block[:, column.at : column.at + column.width] >= 0x80).any(axis=1) if column.kind == "C" else None
            if rows is None or not rows.any():
                continue
            for value in pc.unique(cells_of(block[rows], column)).to_pylist():
                for codec, tally in seen.items():
                    tally.take(value, codec)
    return seen


def _refuted(declared: str, seen: dict[str, _Tally]) -> bool:
    """Whether the bytes show that a declared encoding is false: most of it does not read, or all of it is plainly another one."""
    utf8, korean, own = seen["utf-8"], seen[_KOREAN], seen[declared]
    if declared == "utf-8":
        return not own.fits and korean.is_korean and korean.broken < own.broken
    if _is_one_byte(declared):  # every byte is a letter there, so only what the bytes would mean elsewhere can show
        return utf8.is_sure or (korean.is_sure and korean.is_korean)
    return not own.fits or (utf8.is_sure and utf8.broken < own.broken)


def _is_one_byte(codec: str) -> bool:
    return len(bytes(range(0xA1, 0xFF)).decode(codec, errors="replace")) == 0xFF - 0xA1


def _contradicts(stated: str, real: str, file: str) -> Finding:
    text = f"The .cpg states {stated}, but the text is {real}; it was read as {real}."
    return warning("text.encoding_lies", text, "Correct the .cpg file.", file=file, value=stated)
