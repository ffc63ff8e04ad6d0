"""LAZ as a row of chunks that are packed on their own: found, unpacked, packed and laid side by side without touching the others.

Only lazrs is used. It unpacks and packs several chunks at once on `RAYON_NUM_THREADS` cores inside this one process, which works in the
cage too, where no process may be started.

Source: LASzip 3 (chunk table, item list, layered chunks of point formats 6 to 10).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import lazrs
import numpy as np
from numpy.typing import NDArray

from tiles.errors import InvalidContent
from tiles.points.header import WAVEFORM_FORMATS, Header

Records: TypeAlias = NDArray[np.uint8]
"""(n, record length) bytes: points exactly as they stand in a LAS file."""

CHUNK = 50_000
"""Points of a chunk that we pack: the value of LASzip and laspy."""
MAX_CHUNK = 2_000_000
"""Points of a chunk that is unpacked at once; larger ones (a file in one piece) go through the streaming decoder."""
_LAYERED, _CHUNKED = 3, 2
_VARIABLE = 0xFFFFFFFF
_XYZ_RETURNS = lazrs.SELECTIVE_DECOMPRESS_XY_RETURNS_CHANNEL | lazrs.SELECTIVE_DECOMPRESS_Z


@dataclass(frozen=True, slots=True)
class Chunk:
    """`count` points in `size` bytes at byte `at` of the file."""

    at: int
    size: int
    count: int


@contextmanager
def lazrs_errors() -> Iterator[None]:
    """Turns the errors of lazrs, its panics too (a BaseException that no `except Exception` would see), into InvalidContent."""
    try:
        yield
    except lazrs.LazrsError as why:
        raise InvalidContent(f"The packed points cannot be read: {why}.", code="laz.broken") from why
    except BaseException as why:
        if type(why).__name__ != "PanicException":
            raise
        raise InvalidContent(f"The packed points cannot be read; the decoder gave up: {why}.", code="laz.broken") from why


class Packing:
    """How the points of a file are packed, and how tiles of it are.

    `copyable`: its chunks can go into a tile as they are (the same items in the same versions as lazrs writes).
    """

    def __init__(self, header: Header) -> None:
        if header.point_format in WAVEFORM_FORMATS:
            raise InvalidContent(
                f"Packed points of format {header.point_format} have waveforms and cannot be unpacked. Export LAS, or format 1, 3, 6 or 7.",
                code="las.waveform", point_format=header.point_format,
            )  # fmt: skip
        self.length = header.record_length
        with lazrs_errors():
            # A fixed chunk size for one chunk at a time, the variable one for what tiles state of themselves.
            self._variable = lazrs.LazVlr.new_for_compression(header.point_format, header.extra_bytes, True)
        self.tile_record: bytes = self._variable.record_data()
        self.source_record = b""
        self.compressor = 0
        if header.compressed:
            vlr = header.vlr("laszip encoded", 22204)
            if vlr is None or len(vlr.data) < 34:
                raise InvalidContent(
                    "The points are packed, but the record that describes it (laszip encoded) is missing.", code="laz.record"
                )
            self.source_record = vlr.data
            self.compressor = struct.unpack_from("<H", vlr.data)[0]
            with lazrs_errors():
                self._source = lazrs.LazVlr(vlr.data)
                if self._source.item_size() != header.record_length:
                    raise InvalidContent(
                        f"The packing record describes points of {self._source.item_size()} bytes, the header of {header.record_length}.",
                        code="laz.record",
                    )  # fmt: skip
        items = self.source_record[32:]
        self.copyable = (
            self.compressor in (_CHUNKED, _LAYERED) and items[: 2 + 6 * int.from_bytes(items[:2], "little")] == self.tile_record[32:]
        )
        self.layered = self.compressor == _LAYERED
        self.chunked = self.compressor in (_CHUNKED, _LAYERED)
        # X and Y, Z, classes, flags, intensity, angle, user data, source, time; then colours, infrared and each extra byte have their own.
        self._layers = 9 + {7: 1, 8: 2}.get(header.point_format, 0) + header.extra_bytes

    def chunks(self, stream: BinaryIO, header: Header) -> list[Chunk] | None:
        """The chunks of a packed file, or None when it has no table of chunks that can be used (plain, cut, in one piece, streamed).

        Raises: InvalidContent: `laz.chunks`: the table contradicts the header or the file's length.
        """
        if not self.chunked:
            return None
        begin = header.point_offset + 8
        stream.seek(header.point_offset)
        (at,) = struct.unpack("<q", stream.read(8).ljust(8, b"\xff"))
        if at == -1:  # a writer that could not seek back leaves the place of the table at the end of the file
            stream.seek(max(begin, header.size - 8))
            (at,) = struct.unpack("<q", stream.read(8).ljust(8, b"\xff"))
        if not begin <= at <= header.size - 8:
            return None
        stream.seek(at)
        version, number = struct.unpack("<II", stream.read(8))
        # A packed chunk holds at least its first point as it is.
        if version != 0 or number * self.length > max(0, at - begin):
            raise InvalidContent(f"The table at byte {at} lists {number} chunks in {at - begin} bytes.", code="laz.chunks")
        stream.seek(header.point_offset)
        try:
            with lazrs_errors():
                table = lazrs.read_chunk_table(stream, self._source)
        except InvalidContent as why:
            raise InvalidContent(f"The table of chunks at the end of the file is damaged or cut. {why.message}", code="laz.chunks") from why
        return self._chunks_of(table, header, begin, at)

    def _chunks_of(self, table: Sequence[Any], header: Header, begin: int, end: int) -> list[Chunk] | None:
        pairs = [(None, int(e)) if isinstance(e, int) else (int(e[0]), int(e[1])) for e in table]
        if not self._source.uses_variable_size_chunks():
            full = self._source.chunk_size()
            pairs = [(full, size) for _, size in pairs]
            if pairs:
                last = header.count - full * (len(pairs) - 1)
                pairs[-1] = (last if last <= full else -1, pairs[-1][1])
        counts = [0 if count is None else count for count, _ in pairs]
        if sum(counts) != header.count or any(c < 0 for c in counts) or begin + sum(size for _, size in pairs) > end:
            raise InvalidContent(
                f"The table of {len(pairs)} chunks does not fit the {header.count} points and {end - begin} bytes that the header names.",
                code="laz.chunks",
            )  # fmt: skip
        if any(c > MAX_CHUNK for c in counts):
            return None
        found, at = [], begin
        for count, (_, size) in zip(counts, pairs, strict=True):
            if count:
                found.append(Chunk(at, size, count))
            at += size
        return found

    def unpack(self, bodies: Sequence[bytes], counts: Sequence[int], *, only_xyz: bool = False) -> list[Records]:
        """The points of some chunks; with `only_xyz` only X, Y, Z and the return number are sure (in formats 6 and up).

        Raises: InvalidContent: `laz.broken`.
        """
        for body, count in zip(bodies, counts, strict=True):
            self._check_layers(body, count)
        out = np.zeros(sum(counts) * self.length, np.uint8)
        table = [(count, len(body)) for count, body in zip(counts, bodies, strict=True)]
        selection = lazrs.DecompressionSelection(_XYZ_RETURNS if only_xyz and self.layered else lazrs.SELECTIVE_DECOMPRESS_ALL)
        with lazrs_errors():
            lazrs.decompress_points_with_chunk_table(b"".join(bodies), self.source_record, out, table, selection)
        rows = out.reshape(-1, self.length)
        ends = np.cumsum(counts).tolist()
        return [rows[end - count : end] for end, count in zip(ends, counts, strict=True)]

    def _check_layers(self, body: bytes, count: int) -> None:
        """A layered chunk states how many points and how many bytes a layer it has: both must agree with the table."""
        if len(body) < self.length:
            raise InvalidContent(f"A chunk of {len(body)} bytes cannot hold a point of {self.length}.", code="laz.broken")
        if not self.layered:
            return
        head = self.length + 4 + 4 * self._layers
        claimed, *sizes = struct.unpack_from(f"<{1 + self._layers}I", body.ljust(head, b"\0"), self.length)
        if claimed != count:
            raise InvalidContent(f"A chunk claims to have {claimed} points, the table {count}.", code="laz.chunks")
        if head + sum(sizes) != len(body):
            raise InvalidContent(f"The layers of a chunk add up to {head + sum(sizes)} bytes, it has {len(body)}.", code="laz.broken")

    def pack(self, groups: Sequence[Records]) -> list[bytes]:
        """One packed chunk for each group of points (1 to `CHUNK` of them), packed side by side on all cores."""
        target = io.BytesIO()
        with lazrs_errors():
            writer = lazrs.ParLasZipCompressor(target, self._variable)
            writer.reserve_offset_to_chunk_table()
            writer.compress_chunks([np.ascontiguousarray(g).reshape(-1) for g in groups])
            writer.done()
            target.seek(0)
            table = lazrs.read_chunk_table(target, self._variable)
        found, at, body = [], 8, target.getbuffer()
        for _, size in table:
            found.append(bytes(body[at : at + size]))
            at += size
        return found

    def table_bytes(self, table: Sequence[tuple[int, int]]) -> bytes:
        """The table of (count, size) pairs that stands behind the chunks of a tile."""
        target = io.BytesIO()
        with lazrs_errors():
            lazrs.write_chunk_table(target, list(table), self._variable)
        return target.getvalue()

    def stream(self, source: BinaryIO, header: Header, block: int) -> Iterator[Records]:
        """The points in order, `block` at a time, for files without a table of chunks; InvalidContent where the file is cut."""
        source.seek(header.point_offset)
        with lazrs_errors():
            decoder = lazrs.LasZipDecompressor(source, self.source_record)
        done = 0
        while done < header.count:
            n = min(block, header.count - done)
            out = np.zeros(n * self.length, np.uint8)
            with lazrs_errors():
                decoder.decompress_many(out)
            yield out.reshape(n, self.length)
            done += n
