"""A PMTiles file (version 3): all tiles of a map in one file, of which a browser asks for ranges. The same tiles give the same bytes."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapex.basemap.cutting import Tile
from mapex.basemap.vector_tile import varint

_HEAD = struct.Struct("<7sB11Q6B4iB2i")
_HEAD_BYTES = 127
_ROOT_BYTES = 16_384 - _HEAD_BYTES
"""What a reader fetches first holds the header and the root directory."""
_LEAF_ENTRIES = 4096
_GZIP, _VECTOR = 2, 1
Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Entry:
    """A run of tiles of the same content, or, with a run of 0, a directory of further entries."""

    number: int
    offset: int
    length: int
    run: int = 1


def write(path: Path, tiles: Iterable[tuple[Tile, bytes]], about: Mapping[str, Any], box: Box) -> int:
    """Write the file at once or not at all; how many tiles there are.

    Args:
        about: for readers: `attribution`, `vector_layers`. box: west, south, east, north.
    """
    numbered = sorted((number(tile), tile.z, body) for tile, body in tiles)
    entries, content = _laid_out([(at, body) for at, _, body in numbered])
    root, leaves = _directories(entries)
    facts = gzip.compress(json.dumps(about, sort_keys=True, ensure_ascii=False).encode(), 9, mtime=0)
    starts = [_HEAD_BYTES, _HEAD_BYTES + len(root), _HEAD_BYTES + len(root) + len(facts)]
    sizes = (starts[0], len(root), starts[1], len(facts), starts[2], len(leaves), starts[2] + len(leaves), len(content))
    counts = (len(numbered), len(entries), len({one.offset for one in entries}))
    zooms = [z for _, z, _ in numbered] or [0]
    corners = [round(value * 1e7) for value in box]
    middle = [(corners[0] + corners[2]) // 2, (corners[1] + corners[3]) // 2]
    kinds = (1, _GZIP, _GZIP, _VECTOR, min(zooms), max(zooms))
    head = _HEAD.pack(b"PMTiles", 3, *sizes, *counts, *kinds, *corners, min(zooms), *middle)
    part = path.with_name(path.name + ".part")
    part.write_bytes(head + root + facts + leaves + content)
    part.replace(path)
    return len(numbered)


def number(tile: Tile) -> int:
    """The place of a tile among all: zoom by zoom, each along a Hilbert curve, so that neighbours are near in the file."""
    z, x, y = tile
    found = 0
    side = 1 << z >> 1
    while side:
        right, low = int(bool(x & side)), int(bool(y & side))
        found += side * side * ((3 * right) ^ low)
        if not low:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        side >>= 1
    return ((1 << 2 * z) - 1) // 3 + found


def _laid_out(tiles: Sequence[tuple[int, bytes]]) -> tuple[list[_Entry], bytes]:
    """Entries in order, and the content of all; what is the same stands once."""
    entries: list[_Entry] = []
    places: dict[bytes, _Entry] = {}
    content = bytearray()
    for at, body in tiles:
        known = places.get(body)
        last = entries[-1] if entries else None
        if known and last and last.offset == known.offset and last.number + last.run == at:
            last.run += 1
            continue
        packed = b"" if known else gzip.compress(body, 9, mtime=0)
        entry = _Entry(at, known.offset, known.length) if known else _Entry(at, len(content), len(packed))
        content += packed
        entries.append(entry)
        places.setdefault(body, entry)
    return entries, bytes(content)


def _directories(entries: Sequence[_Entry]) -> tuple[bytes, bytes]:
    """The root directory and, where all entries are too many for it, the leaves that it names."""
    root = _directory(entries)
    if len(root) <= _ROOT_BYTES:
        return root, b""
    leaves = b""
    names = []
    for start in range(0, len(entries), _LEAF_ENTRIES):
        leaf = _directory(entries[start : start + _LEAF_ENTRIES])
        names.append(_Entry(entries[start].number, len(leaves), len(leaf), 0))
        leaves += leaf
    return _directory(names), leaves


def _directory(entries: Sequence[_Entry]) -> bytes:
    """Column by column: numbers as steps, runs, lengths, and offsets, of which 0 means "right after the one before"."""
    columns = [varint(len(entries))]
    columns += [varint(one.number - before) for before, one in zip([0, *(one.number for one in entries)], entries, strict=False)]
    columns += [varint(one.run) for one in entries] + [varint(one.length) for one in entries]
    for at, one in enumerate(entries):
        follows = at and one.offset == entries[at - 1].offset + entries[at - 1].length
        columns.append(varint(0 if follows else one.offset + 1))
    return gzip.compress(b"".join(columns), 9, mtime=0)
