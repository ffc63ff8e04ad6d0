"""Points as lines of text (ascii PCD and PLY): read in bounded pieces, each value in the type that the head names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tiles.errors import InvalidContent

_PIECE = 4 << 20
_MOST_LINE = 1 << 20
_LINES = 50_000


def lines_of(stream: BinaryIO, offset: int, most: int) -> Iterator[list[bytes]]:
    """Up to `most` lines with something on them, from byte `offset`, some tens of thousands at a time.

    Raises: InvalidContent: `points.text`: a line of more than a megabyte.
    """
    stream.seek(offset)
    rest, found, left = b"", [], most
    while left > 0:
        piece = stream.read(_PIECE)
        lines = (rest + piece).split(b"\n")
        rest = lines.pop() if piece else b""
        if len(rest) > _MOST_LINE:
            raise InvalidContent(f"A line of more than {_MOST_LINE} bytes: this is no table of points.", code="points.text")
        for line in lines:
            if line.strip():
                found.append(line)
        while len(found) >= min(_LINES, left) and left > 0:
            n = min(_LINES, left)
            yield found[:n]
            found, left = found[n:], left - n
        if not piece:
            break
    if found and left > 0:
        yield found[:left]


def table_of(lines: Sequence[bytes], record: np.dtype[np.void]) -> NDArray[np.void]:
    """The values of some lines, by column; those of padding (a type without a meaning) are passed over.

    Raises: InvalidContent: `points.text`: a line has too few or too many values, or one that its type cannot hold.
    """
    width = sum(int(np.prod(record[name].shape, dtype=int)) for name in record.names or ())
    words = [line.replace(b",", b" ").replace(b"\t", b" ").split() for line in lines]
    for row in words:
        if len(row) != width:
            raise InvalidContent(f"The line {b' '.join(row)[:60]!r} has {len(row)} values, the head names {width}.", code="points.text")
    rows = np.empty(len(words), record)
    at = 0
    for name in record.names or ():
        kind = record[name]
        count = int(np.prod(kind.shape, dtype=int))
        if kind.base.kind == "V":
            at += count
            continue
        values = [[row[at + i] for row in words] for i in range(count)]
        typed = np.stack([_typed(column, kind.base, name) for column in values], axis=1)
        rows[name] = typed.reshape(len(words), *kind.shape)
        at += count
    return rows


def _typed(texts: Sequence[bytes], kind: np.dtype[Any], name: str) -> NDArray[Any]:
    try:
        if kind.kind == "f":
            with np.errstate(over="ignore"):  # beyond float32 it is infinite, and counted as such
                return np.array(texts).astype(np.float64).astype(kind)
        return np.array([int(text) for text in texts], dtype=kind)
    except (ValueError, OverflowError) as why:
        raise InvalidContent(f"A value of {name!r} is not of its type ({kind}): {str(why)[:100]}.", code="points.text") from why
