"""Where something was at a time: the track of a receiver, asked for many times at once."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BRIDGED_NS = 10 * 1_000_000_000
"""Between two fixes that are closer in time than this, positions are interpolated; else the nearer fix is taken as it is."""


@dataclass(slots=True)
class Track:
    """Fixes in any order of arrival; 32 bytes each."""

    _times: array[int] = field(default_factory=lambda: array("q"))
    _places: array[float] = field(default_factory=lambda: array("d"))
    _sorted: tuple[Ints, Floats] | None = None

    def add(self, t_ns: int, lon: float, lat: float, h: float) -> None:
        """Take a fix in: nanoseconds, degrees WGS 84, metres (NaN when unknown)."""
        self._times.append(t_ns)
        self._places.extend((lon, lat, h))
        self._sorted = None

    def __len__(self) -> int:
        return len(self._times)

    def at(self, t_ns: Ints) -> tuple[Floats, Floats, Floats, Ints]:
        """Longitude, latitude, height at each time, and how far in time (nanoseconds) the nearest fix is.

        Before the first and after the last fix, that fix is taken. With no fix at all everything is NaN.
        """
        if not len(self):
            nothing = np.full(len(t_ns), np.nan)
            return nothing, nothing.copy(), nothing.copy(), np.full(len(t_ns), np.iinfo(np.int64).max)
        times, places = self._in_order()
        right = np.clip(np.searchsorted(times, t_ns, side="right"), 0, len(times) - 1)
        left = np.maximum(right - (times[right] > t_ns), 0)
        before, after = t_ns - times[left], times[right] - t_ns
        gap = before + after
        # Seconds of difference are far below 2**53 nanoseconds wherever this share is used, so the division is exact enough.
        share = np.where((before > 0) & (after > 0), before / np.maximum(gap, 1), np.where(np.abs(after) < np.abs(before), 1.0, 0.0))
        step = places[right] - places[left]
        nearest = (gap > BRIDGED_NS) | (np.abs(step[:, 0]) > 180.0)  # a pause, or the antimeridian between the two
        share = np.where(nearest, np.rint(share), share)
        found = places[left] + step * share[:, None]
        found[share == 0] = places[left][share == 0]  # exact, and no NaN height of the other end
        found[share == 1] = places[right][share == 1]
        return found[:, 0], found[:, 1], found[:, 2], np.minimum(np.abs(before), np.abs(after))

    def _in_order(self) -> tuple[Ints, Floats]:
        if self._sorted is None:
            times, places = np.array(self._times, np.int64), np.array(self._places, np.float64).reshape(-1, 3)
            times, first = np.unique(times, return_index=True)  # of two fixes at one time the one that was recorded first
            self._sorted = times, places[first]
        return self._sorted
