"""The hand-written encoder of squares against an independent reading of the vector tile format (MVT 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mapex.basemap.vector_tile import EXTENT, line_layer, packed, packed_array
from mapex.pyramid.coverage import Covered, Shown
from tiles.grid import grid
from web.api.buying.coverage import KINDS, encode


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def message(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
            yield key >> 3, value
        else:
            assert key & 7 == 2
            length, at = varint(data, at)
            yield key >> 3, data[at : at + length]
            at += length


def packed_numbers(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


def zigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def squares(tile: bytes) -> dict[int, tuple[list[tuple[int, int]], dict[str, int]]]:
    """Corner points and attributes of each feature, by id."""
    [(number, layer)] = list(message(tile))
    assert number == 3
    fields = list(message(layer))
    keys = [value.decode() for number, value in fields if number == 3]
    values = [dict(message(value))[5] for number, value in fields if number == 4]
    assert dict(fields)[1] == b"coverage" and dict(fields)[5] == EXTENT and dict(fields)[15] == 2
    found = {}
    for number, body in fields:
        if number != 2:
            continue
        feature = dict(message(body))
        tags = packed_numbers(feature[2])
        commands = packed_numbers(feature[4])
        assert feature[3] == 3 and commands[0] == 9 and commands[3] == 26 and commands[-1] == 15
        steps = [zigzag(value) for value in (*commands[1:3], *commands[4:10])]
        x = y = 0
        ring = []
        for dx, dy in zip(steps[::2], steps[1::2], strict=True):
            x, y = x + dx, y + dy
            ring.append((x, y))
        found[feature[1]] = (ring, {keys[tags[i]]: values[tags[i + 1]] for i in range(0, len(tags), 2)})
    return found


SHOWN = st.builds(Shown, st.integers(1, 5000), st.integers(0, 9999), st.integers(-1, 100))


def attributes(kinds: dict[str, Shown]) -> dict[str, int]:
    """What a square must say of these kinds."""
    answer = {}
    for kind, shown in kinds.items():
        answer |= {kind: shown.cells, f"{kind}_age": shown.age} | ({f"{kind}_q": shown.quality} if shown.quality >= 0 else {})
    return answer


@given(
    st.dictionaries(st.integers(0, 1023), st.dictionaries(st.sampled_from(KINDS), SHOWN, min_size=1), min_size=1, max_size=40),
    st.integers(0, 4**11 - 1),
)
def test_squares_decode_to_the_cells_that_were_encoded(cells: dict[int, dict[str, Shown]], tile: int) -> None:
    lo, _ = grid.children(tile, 11, 16)
    decoded = squares(encode([Covered(lo + n, kinds) for n, kinds in sorted(cells.items())], lo, EXTENT >> 5))
    assert {cell - lo: answer for cell, (_, answer) in decoded.items()} == {n: attributes(kinds) for n, kinds in cells.items()}
    for cell, (ring, _) in decoded.items():
        x, y = grid.xy(cell - lo)
        assert ring == [(x * 128, y * 128), (x * 128 + 128, y * 128), (x * 128 + 128, y * 128 + 128), (x * 128, y * 128 + 128)]


def test_nothing_is_no_bytes() -> None:
    assert encode([], 0, 128) == b""


@given(st.lists(st.integers(0, 2**35 - 1), max_size=50))
def test_arrays_are_packed_like_numbers(numbers: list[int]) -> None:
    assert packed_array(np.array(numbers, np.uint64)) == packed(numbers)


SEGMENT = st.tuples(*[st.integers(-200, 1300)] * 4)


@given(st.lists(st.tuples(st.sampled_from(("hdmap", "sidewalk")), st.lists(SEGMENT, min_size=1, max_size=9)), min_size=1, max_size=4))
def test_lines_decode_to_the_segments_that_were_encoded(given_lines: list[tuple[str, list[tuple[int, int, int, int]]]]) -> None:
    body = line_layer("teaser", [(kind, np.array(found, np.int32)) for kind, found in given_lines], 1024)
    [(number, layer)] = list(message(body))
    fields = list(message(layer))
    assert number == 3 and dict(fields)[1] == b"teaser" and dict(fields)[5] == 1024
    assert [value for number, value in fields if number == 3] == [b"kind"], "nothing but the kind is shown"
    kinds = [dict(message(value))[1].decode() for number, value in fields if number == 4]
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for number, feature in fields:
        if number == 2:
            parts = dict(message(feature))
            assert parts[3] == 2
            found[kinds[packed_numbers(parts[2])[1]]] = drawn(packed_numbers(parts[4]))
    wanted: dict[str, list[tuple[int, int, int, int]]] = {}
    for kind, lines in given_lines:
        wanted.setdefault(kind, []).extend(lines)
    assert found == wanted


def drawn(commands: list[int]) -> list[tuple[int, int, int, int]]:
    """What a pen draws on MoveTo, LineTo, MoveTo, ..."""
    x = y = 0
    lines = []
    for at in range(0, len(commands), 6):
        move, dx, dy, line, ex, ey = commands[at : at + 6]
        assert (move, line) == (9, 10)
        x, y = x + zigzag(dx), y + zigzag(dy)
        lines.append((x, y, x + zigzag(ex), y + zigzag(ey)))
        x, y = lines[-1][2:]
    return lines


def test_no_lines_are_no_bytes() -> None:
    assert line_layer("teaser", [("hdmap", np.zeros((0, 4), np.int32))], 1024) == b""
