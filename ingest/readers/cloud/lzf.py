"""LZF as PCL writes it (`DATA binary_compressed`), bounded by the length that is promised.

Source: LibLZF 3.6, lzf_d.c: literal runs of 1 to 32 bytes; back references of 3 to 264 bytes, at most 8 KiB back.
"""

from __future__ import annotations

from tiles.errors import InvalidContent

MOST = 88
"""Bytes that one byte of LZF can become at most: 264 from three."""


def unpack(body: bytes, length: int) -> bytes:
    """The `length` bytes that `body` stands for.

    Raises: InvalidContent: `pcd.compressed`: it stands for more or fewer, or refers to what was not there yet.
    """
    out = bytearray()
    at, end = 0, len(body)
    try:
        while at < end:
            control = body[at]
            at += 1
            if control < 32:
                out += body[at : at + control + 1]
                at += control + 1
                continue
            count = (control >> 5) + 2
            if count == 9:
                count += body[at]
                at += 1
            back = ((control & 31) << 8) + body[at] + 1
            at += 1
            _repeat(out, back, count)
            if len(out) > length:
                break
    except IndexError:
        at = end + 1
    if at != end or len(out) != length:
        raise InvalidContent(f"The compressed points unpack to {len(out)} bytes, {length} are promised.", code="pcd.compressed")
    return bytes(out)


def _repeat(out: bytearray, back: int, count: int) -> None:
    begin = len(out) - back
    if begin < 0:
        raise InvalidContent("The compressed points refer to bytes before their beginning.", code="pcd.compressed")
    piece = out[begin : begin + count]
    if len(piece) < count:  # it reaches into what it writes: a run
        piece = (piece * (count // len(piece) + 1))[:count]
    out += piece
