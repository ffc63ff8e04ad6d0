"""Pictures, sound, films and packed data by their own bytes, wherever in some bytes they begin.

Each is looked for by its magic number and confirmed by what must follow it, so that measured numbers, of which there are millions, are not
taken for one by chance: what is confirmed here is less likely than once in 2**40 bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AHEAD = 1024
"""Bytes behind a magic number that confirm it: who looks at pieces keeps so many of the piece before."""

_Follows = Callable[[bytes, int], bool]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of data: its words, its magic numbers, and what must follow where these alone are too short.

    `behind`: how many bytes of it stand before its magic number.
    """

    words: str
    magic: tuple[bytes, ...]
    follows: _Follows | None = None
    behind: int = 0
    is_packed: bool = False


def _jpeg(data: bytes, at: int) -> bool:
    """Two segments, or one and the beginning of the next: a marker, its length, and another marker behind it."""
    at += 2
    for step in range(2):
        if at + 4 > len(data):
            return step > 0
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or not (0xC0 <= marker <= 0xFE) or marker in (0xD8, 0xD9) or length < 2:
            return False
        if marker == 0xE0 and data[at + 4 : at + 8] in (b"JFIF", b"JFXX", b"AVI1") or marker == 0xE1 and data[at + 4 : at + 8] == b"Exif":
            return True
        at += 2 + length
    return True


def _tiff(data: bytes, at: int) -> bool:
    order = "<" if data[at] == 0x49 else ">"
    if at + 8 > len(data):
        return False
    (first,) = struct.unpack_from(order + "I", data, at + 4)
    if not 8 <= first <= 1 << 28:
        return False
    if at + first + 14 > len(data):
        return first == 8 or first % 2 == 0 and len(data) - at >= 64 and first < 1 << 24
    entries, tag, kind, _ = struct.unpack_from(order + "HHHI", data, at + first)
    return bool(1 <= entries <= 500 and tag in _TIFF_FIRST and 1 <= kind <= 13)


_TIFF_FIRST = frozenset({254, 255, 256, 257, 258, 259, 262, 269, 270, 271, 272, 273, 274, 277, 282, 306, 315})


def _bmp(data: bytes, at: int) -> bool:
    if at + 30 > len(data):
        return False
    _, reserved, offset, header, width, height, planes, bits = struct.unpack_from("<IIIIiiHH", data, at + 2)
    is_head = reserved == 0 and header in (40, 52, 56, 64, 108, 124) and offset >= 14 + header and offset < 1 << 16
    return bool(is_head and planes == 1 and bits in (1, 4, 8, 16, 24, 32) and 0 < width < 1 << 16 and 0 < abs(height) < 1 << 16)


def _box(data: bytes, at: int) -> bool:
    """`ftyp` of MP4, HEIC, AVIF, CR3 and so on: a box of sensible length and a brand of printable letters."""
    size = int.from_bytes(data[at : at + 4], "big")
    return 16 <= size <= 512 and all(0x20 <= byte < 0x7F for byte in data[at + 8 : at + 12])


def _annex_b(data: bytes, at: int) -> bool:
    """The parameter sets of an H.264 or H.265 stream, one start code after the other."""
    first = at + 3
    if data[at:first] != b"\x00\x00\x01":
        return False
    if data[first] & 0x1F == 7:
        return re.search(rb"\x00\x00\x01[\x28\x48\x68]", data[first : first + 256]) is not None
    return re.search(rb"\x00\x00\x01\x42\x01", data[first : first + 256]) is not None


def _frames_of_sound(data: bytes, at: int) -> bool:
    """Four MPEG audio frames in a row, each where the one before says that it ends."""
    for _ in range(4):
        if at + 4 > len(data):
            return False
        length = _mp3_length(data[at : at + 4])
        if length is None:
            return False
        at += length
    return True


_MP3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_HZ = (44_100, 48_000, 32_000)


def _mp3_length(head: bytes) -> int | None:
    """Bytes of an MPEG 1 layer III frame, None where these four bytes begin none."""
    rate, hz = head[2] >> 4, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] & 0xFE != 0xFA or rate in (0, 15) or hz == 3:
        return None
    return 144_000 * _MP3_KBPS[rate] // _MP3_HZ[hz] + (head[2] >> 1 & 1)


def _adts(data: bytes, at: int) -> bool:
    for _ in range(4):
        if at + 7 > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
            return False
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        if length < 8:
            return False
        at += length
    return True


def _gzip(data: bytes, at: int) -> bool:
    return at + 10 <= len(data) and data[at + 3] <= 0x1F and data[at + 8] in (0, 2, 4) and (data[at + 9] <= 13 or data[at + 9] == 255)


def _transport(data: bytes, at: int) -> bool:
    return at + 4 * 188 < len(data) and all(data[at + 188 * n] == 0x47 for n in range(5))


def _form(data: bytes, at: int) -> bool:
    return data[at : at + 4] in (b".snd", b"MThd") or at >= 8 and data[at - 8 : at - 4] == b"FORM"


def _riff(data: bytes, at: int) -> bool:
    return data[at + 8 : at + 12] in (b"WEBP", b"AVI ", b"WAVE", b"AVIX", b"RMID")


_KINDS = (
    _Kind("a JPEG picture", (b"\xff\xd8\xff",), _jpeg),
    _Kind("a PNG picture", (b"\x89PNG\r\n\x1a\n",)),
    _Kind("a GIF picture", (b"GIF87a", b"GIF89a")),
    _Kind("a TIFF picture", (b"II*\x00", b"MM\x00*"), _tiff),
    _Kind("a BMP picture", (b"BM",), _bmp),
    _Kind("a RIFF file (WebP, AVI, WAV)", (b"RIFF",), _riff),
    _Kind("an MP4, HEIC or AVIF file", (b"ftyp",), _box, behind=4),
    _Kind("a JPEG 2000 or JPEG XL picture", (b"jP  \r\n\x87\n", b"JXL \r\n\x87\n", b"\xff\x4f\xff\x51\x00")),
    _Kind("a picture (QOI, PSD, EXR, BPG)", (b"qoif\x00\x00", b"8BPS\x00\x01\x00", b"v/1\x01\x02\x00\x00", b"BPG\xfb")),
    _Kind("a Matroska or WebM film", (b"\x1a\x45\xdf\xa3",)),
    _Kind("a film (FLV, ASF)", (b"FLV\x01\x01\x00\x00\x00", b"FLV\x01\x05\x00\x00\x00", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    _Kind("a transport stream", (b"\x47\x40\x00",), _transport),
    _Kind("a stream of H.264 or H.265", (b"\x01\x67", b"\x01\x27", b"\x01\x47", b"\x01\x40\x01"), _annex_b, behind=2),
    _Kind("a sound file (Ogg, FLAC, AMR, CAF)", (b"OggS\x00", b"fLaC\x00\x00\x00", b"fLaC\x80\x00\x00", b"#!AMR", b"caff\x00\x01")),
    _Kind("a sound file (AIFF, AU, MIDI)", (b"AIFF", b"AIFC", b".snd\x00\x00\x00", b"MThd\x00\x00\x00\x06"), _form),
    _Kind("sound (MP3)", (b"ID3\x02\x00", b"ID3\x03\x00", b"ID3\x04\x00")),
    _Kind("sound (MP3)", (b"\xff\xfb", b"\xff\xfa"), _frames_of_sound),
    _Kind("sound (AAC)", (b"\xff\xf1", b"\xff\xf9", b"\xff\xf0", b"\xff\xf8"), _adts),
    _Kind("a PDF or PostScript document", (b"%PDF-", b"%!PS-Adobe")),
    _Kind("gzip data", (b"\x1f\x8b\x08",), _gzip, is_packed=True),
    _Kind("zstd data", (b"\x28\xb5\x2f\xfd",), is_packed=True),
    _Kind("xz, bzip2 or 7z data", (b"\xfd7zXZ\x00", b"1AY&SY", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"), is_packed=True),
    _Kind("lz4 data", (b"\x04\x22\x4d\x18",), is_packed=True),
    _Kind("a zip archive", (b"PK\x03\x04", b"PK\x05\x06\x00\x00"), is_packed=True),
    _Kind("a tar archive", (b"ustar\x0000", b"ustar  \x00"), is_packed=True),
    _Kind("a file of arrays (HDF5, numpy, SQLite)", (b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"SQLite format 3\x00"), is_packed=True),
)

_BY_PAIR: dict[int, list[tuple[bytes, _Kind]]] = {}
for _kind in _KINDS:
    for _magic in _kind.magic:
        _BY_PAIR.setdefault(_magic[0] << 8 | _magic[1], []).append((_magic, _kind))
_IS_PAIR: NDArray[np.bool_] = np.isin(np.arange(1 << 16), list(_BY_PAIR))
_PIECE = 1 << 18


def found_in(data: bytes | memoryview, *, packed: bool = True) -> str | None:
    """What begins somewhere in these bytes, in words ("a JPEG picture"); None when nothing does. `packed`: packed data too.

    The first two bytes of each magic number are looked up for all places at once; what is left is compared one by one.
    """
    if len(data) < 4:
        return None
    whole, numbers = bytes(data), np.frombuffer(data, np.uint8)
    for begin in range(0, len(numbers), _PIECE):
        piece = numbers[begin : begin + _PIECE + 1]
        pairs = piece[:-1].astype(np.uint16) << 8 | piece[1:]
        for at in (np.flatnonzero(_IS_PAIR[pairs]) + begin).tolist():
            for magic, kind in _BY_PAIR[whole[at] << 8 | whole[at + 1]]:
                if whole.startswith(magic, at) and (packed or not kind.is_packed) and _is_followed(kind, whole, at - kind.behind):
                    return kind.words
    return None


def _is_followed(kind: _Kind, data: bytes, at: int) -> bool:
    return at >= 0 and (kind.follows is None or kind.follows(data, at))
