"""Numbers that something measured: what packed bytes are not when they are read as numbers."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_WILD = 32
"""Different numbers beyond what is measured that a column or a channel may hold: marks such as 1e308 for "unknown" are a few."""
LEAST = 4096
"""Bytes from which on randomness can be seen."""
_PIECE, _PACKS_TO = 1 << 16, 0.97
_REACH = {8: 1e100, 4: 1e30}


def wild(values: NDArray[Any]) -> NDArray[Any]:
    """The different numbers of a float array that no sensor gives: beyond 1e100 (1e30 in single precision) or as near to zero.

    Of random bytes two thirds (a fifth) are such numbers. Zero, infinity and one "not a number" are none.
    """
    reach = _REACH.get(values.itemsize)
    if reach is None:
        return values[:0]
    with np.errstate(all="ignore"):
        size = np.abs(values)
        odd = ((size > reach) & np.isfinite(values)) | ((size < 1 / reach) & (values != 0))
    found = np.unique(values[odd])
    unreal = values[np.isnan(values)]
    if len(unreal):
        bits = np.unique(unreal.view(f"{unreal.dtype.byteorder}u{unreal.itemsize}"))
        found = np.concatenate([found, unreal[: max(0, len(bits) - 2)]])
    return found


def is_random(octets: bytes | bytearray | memoryview) -> bool:
    """Whether single bytes, at least `LEAST` of them, are as random as packed ones: what is measured or counted packs."""
    piece = octets[:_PIECE]
    return len(piece) >= LEAST and len(zlib.compress(piece, 1)) > _PACKS_TO * len(piece)


class NumberProof:
    """The floats of one channel or column, which together may hold `MOST_WILD` wild ones."""

    def __init__(self) -> None:
        self._seen: set[float] = set()
        self._unreal = 0

    def doubt(self, values: NDArray[Any]) -> str | None:
        """Why these numbers cannot be proven to be measured, None when they can."""
        found = wild(values)
        self._seen |= set(found[~np.isnan(found)][:1000].tolist())
        self._unreal = max(self._unreal, int(np.isnan(found).sum()))
        if len(self._seen) + self._unreal > MOST_WILD:
            return f"it holds numbers that nothing measures, such as {next(iter(self._seen), float('nan')):.3g}"
        return None
