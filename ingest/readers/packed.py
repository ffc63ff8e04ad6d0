"""Files that are packed as a whole by gzip or bzip2: read as a stream, unpacked piece by piece."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
FAULTS = (EOFError, OSError, zlib.error)
"""What reading of a packed file raises where it is cut or damaged."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file for reading, unpacked where it is packed; give `read1` a size, so that what stands before a fault is had."""
    with path.open("rb") as file:
        lead = file.read(len(BZIP2))
        file.seek(0)
        if lead.startswith(GZIP):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
        elif lead == BZIP2:
            with bz2.BZ2File(file) as unpacked_too:
                yield cast(BinaryIO, unpacked_too)
        else:
            yield file


def head_of(body: bytes, length: int = 65536) -> bytes:
    """What the first bytes of a packed file unpack to; b"" when it is not packed so, or is damaged."""
    try:
        if body.startswith(GZIP):
            return zlib.decompressobj(31).decompress(body, length)
        return bz2.BZ2Decompressor().decompress(body, length) if body.startswith(BZIP2) else b""
    except FAULTS:
        return b""
