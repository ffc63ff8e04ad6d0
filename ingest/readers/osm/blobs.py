"""The blobs of an OSM PBF file: found, measured and unpacked one at a time, within the limits of the format.

Source: wiki.openstreetmap.org/wiki/PBF_Format. What follows a fault is not read; what came before is kept.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ingest.readers.lanelet2.osm_xml import history
from ingest.readers.protobuf import Bytes, fields, signed
from mapex.errors import Invalid

MAX_HEAD, MAX_BLOB = 64 << 10, 32 << 20
"""Bytes that the format allows for the head of a blob, and for what is in it."""
_KNOWN = {"OsmSchema-V0.6", "DenseNodes"}
_HISTORY = "HistoricalInformation"
_CODECS = {6: "lz4_raw", 7: "zstd"}


@dataclass(frozen=True, slots=True)
class PbfHeader:
    """What a file states of itself; degrees are whole nanodegrees (west, east, north, south)."""

    box: tuple[int, int, int, int] | None = None
    program: str = ""
    source: str = ""
    stated: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class BlobFile:
    """One pass over a file; `broken` is why it ended early, "" when it did not."""

    path: Path
    name: str
    broken: str = ""

    def header(self) -> PbfHeader:
        """The first blob. Raises: Invalid: `file.damaged`, `osm.history`, `osm.feature`."""
        kind, body = next(self._blobs(), ("", b""))
        try:
            if kind != "OSMHeader":
                raise ValueError(self.broken or "the first blob is no header")
            return _header(body, self.name)
        except (ValueError, UnicodeDecodeError) as why:
            text = f"{self.name} is no whole OSM PBF file ({why}). Upload it again."
            raise Invalid("file.damaged", text, file=self.name) from why

    def blocks(self) -> Iterator[bytes]:
        """The unpacked blobs of data, in order; kinds that are not known are passed over, as the format demands."""
        for kind, body in self._blobs():
            if kind == "OSMData":
                yield body

    def _blobs(self) -> Iterator[tuple[str, bytes]]:
        with self.path.open("rb") as file:
            while lead := file.read(4):
                try:
                    kind, size = _head(file.read(_checked(int.from_bytes(lead, "big"), MAX_HEAD)))
                    body = file.read(_checked(size, MAX_BLOB))
                    if len(lead) < 4 or len(body) < size:
                        raise ValueError("the file is cut")
                    unpacked = _unpacked(body)
                except (ValueError, zlib.error, lzma.LZMAError, pa.ArrowException, OSError) as why:
                    self.broken = str(why) or type(why).__name__
                    return
                yield kind, unpacked


def _checked(size: int, most: int) -> int:
    if not 0 <= size <= most:
        raise ValueError(f"a blob of {size} bytes, where at most {most} are allowed")
    return size


def _head(body: bytes) -> tuple[str, int]:
    kind, size = "", -1
    for number, value in fields(body):
        if number == 1 and not isinstance(value, int):
            kind = bytes(value).decode("ascii", "replace")
        elif number == 3 and isinstance(value, int):
            size = value
    return kind, size


def _unpacked(body: bytes) -> bytes:
    size, found = 0, b""
    kind = 0
    for number, value in fields(body):
        if number == 2 and isinstance(value, int):
            size = _checked(value, MAX_BLOB)
        elif isinstance(value, bytes):
            kind, found = number, value
    if kind == 1:
        return found
    if kind == 3:
        made = zlib.decompressobj().decompress(found, MAX_BLOB + 1)
    elif kind == 4:
        made = lzma.LZMADecompressor(memlimit=256 << 20).decompress(found, MAX_BLOB + 1)
    elif kind in _CODECS:
        made = pa.Codec(_CODECS[kind]).decompress(found, size, asbytes=True)
    else:
        raise ValueError(f"a blob that is packed in an unknown way ({kind})")
    if len(made) != size:
        raise ValueError("a blob is longer or shorter than it states")
    return made


def _header(body: Bytes, name: str) -> PbfHeader:
    box: tuple[int, int, int, int] | None = None
    texts: dict[int, list[str]] = {}
    for number, value in fields(body):
        if isinstance(value, int):
            texts.setdefault(number, []).append(str(signed(value)))
        elif number == 1:
            sides = {side: value for side, value in fields(value) if isinstance(value, int)}
            west, east, north, south = ((sides.get(side, 0) >> 1) ^ -(sides.get(side, 0) & 1) for side in (1, 2, 3, 4))
            box = west, east, north, south
        else:
            texts.setdefault(number, []).append(bytes(value).decode())
    needed = texts.get(4, [])
    if _HISTORY in needed:
        raise history(name)
    if unknown := sorted(set(needed) - _KNOWN):
        text = f"{name} needs {', '.join(unknown)[:80]}, which is not known here. Export it again as plain OSM PBF."
        raise Invalid("osm.feature", text, file=name)
    names = {16: "writingprogram", 17: "source", 32: "osmosis_replication_timestamp", 33: "osmosis_replication_sequence_number"}
    stated = {word: texts[number][0] for number, word in {**names, 34: "osmosis_replication_base_url"}.items() if number in texts}
    return PbfHeader(box, stated.pop("writingprogram", ""), stated.get("source", ""), stated)
