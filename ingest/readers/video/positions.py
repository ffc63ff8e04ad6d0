"""Where a camera was, by the time of its film, and what the receiver's clock was then."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.readers.recordings.track import Track
from tiles.arrays import Float64s, Int64s

FAR_S = 10.0
"""A frame that is further in time from any position has none."""
_EARLIEST_S, _LATEST_S = 946_684_800.0, 4_102_444_800.0
"""2000 and 2100: a clock beyond says nothing."""
_STEP_S = 2.0
"""Two readings of a clock that differ by more belong to different pieces of the film."""
_NULL_DEG = 1e-9


@dataclass(slots=True)
class Positions:
    """Positions and readings of the clock at times of the film (seconds). `datum`: what heights count from, "" when unknown; `unusable`
    are so many that were none.
    """

    datum: str = ""
    unusable: int = 0
    _at: list[Float64s] = field(default_factory=list)
    _places: list[Float64s] = field(default_factory=list)
    _read: list[Float64s] = field(default_factory=list)
    _utc: list[Float64s] = field(default_factory=list)
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def add_all(self, at_s: Float64s, places: Float64s) -> None:
        """Take positions in (lon, lat, height, a row each), but for those that are none: not a number, off the world, exactly at 0, 0."""
        lon, lat = places[:, 0], places[:, 1]
        with np.errstate(invalid="ignore"):
            good = (np.abs(lon) <= 180) & (np.abs(lat) <= 90) & ~((np.abs(lon) < _NULL_DEG) & (np.abs(lat) < _NULL_DEG)) & np.isfinite(at_s)
        kept = places[good].copy()
        kept[~np.isfinite(kept[:, 2]), 2] = np.nan
        self._at.append(at_s[good])
        self._places.append(kept)
        self._count += int(good.sum())
        self.unusable += int((~good).sum())

    def read_all(self, at_s: Float64s, utc_s: Float64s) -> None:
        """Take readings of the clock in: seconds since 1970."""
        with np.errstate(invalid="ignore"):
            good = (utc_s > _EARLIEST_S) & (utc_s < _LATEST_S) & np.isfinite(at_s)
        self._read.append(at_s[good])
        self._utc.append(utc_s[good])

    @property
    def has_clock(self) -> bool:
        """Whether the receiver's clock is known."""
        return any(map(len, self._read))

    def moved(self, by_s: float) -> Positions:
        """The same, later in the film."""
        at, read = [at + by_s for at in self._at], [at + by_s for at in self._read]
        return Positions(self.datum, self.unusable, at, self._places, read, self._utc, self._count)

    def joined(self, other: Positions) -> Positions:
        """These and others of the same film."""
        return Positions(
            self.datum or other.datum, self.unusable + other.unusable, self._at + other._at, self._places + other._places,
            self._read + other._read, self._utc + other._utc, self._count + other._count,
        )  # fmt: skip

    def track(self) -> Track:
        """To be asked for places; times are nanoseconds of the film."""
        track = Track()
        for at, places in zip(self._at, self._places, strict=True):
            for time, (lon, lat, h) in zip(_ns(at).tolist(), places.tolist(), strict=True):
                track.add(time, lon, lat, h)
        return track

    def utc_ns(self, at_s: Float64s) -> Int64s:
        """UTC nanoseconds at times of the film, 0 without a clock.

        Receivers round and are late by parts of a second, and the first reading is often wrong, so the median of the difference between
        clock and film counts; where it jumps by more than two seconds for good, another piece of the film begins.
        """
        if not self.has_clock:
            return np.zeros(len(at_s), np.int64)
        read, utc = np.concatenate(self._read), np.concatenate(self._utc)
        order = np.argsort(read, kind="stable")
        read, offset = read[order], (utc - read)[order]
        starts, offsets = _pieces(read, offset)
        which = np.clip(np.searchsorted(starts, at_s, side="right") - 1, 0, len(starts) - 1)
        whole = np.floor(offsets)
        return _ns(at_s + np.round(offsets - whole, 6)[which]) + whole.astype(np.int64)[which] * 1_000_000_000

    def begins_s(self) -> float | None:
        """UTC seconds at the beginning of the film; None without a clock."""
        return float(self.utc_ns(np.zeros(1))[0]) / 1e9 if self.has_clock else None


def _pieces(read: Float64s, offset: Float64s) -> tuple[Float64s, Float64s]:
    """Where pieces of a film begin, and clock minus film in each; a single reading that is off is of no piece."""
    edges = [0, *(np.flatnonzero(np.abs(np.diff(offset)) > _STEP_S) + 1).tolist(), len(read)]
    found = [(read[a], float(np.median(offset[a:b])), b - a) for a, b in zip(edges, edges[1:], strict=False)]
    several = [one for one in found if one[2] > 1] or [max(found, key=lambda one: one[2])]
    kept: list[tuple[float, float, int]] = []
    for one in several:
        if not kept or abs(kept[-1][1] - one[1]) > _STEP_S:
            kept.append(one)
    return np.array([one[0] for one in kept]), np.array([one[1] for one in kept])


def _ns(seconds: NDArray[np.float64]) -> Int64s:
    return np.rint(seconds * 1e9).astype(np.int64)
