"""A made-up drive of a mapping car: points on both sides of a street, in the order of time, LAS 1.4 format 6 in UTM 52N.

2,500 points a metre within 60 m, 1 mm steps, GPS time, ground and walls; packed with lazrs some 8.6 bytes a point. The same seed gives the
same points. python -m benchmarks.generate_points --n 2e7 --out FILE.laz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

POINTS_A_METRE = 2500
BLOCK = 1_000_000
START = (322_100.0, 4_152_300.0)


def blocks(n, seed=7):
    """Columns of up to a million points each."""
    rng = np.random.default_rng(seed)
    (x, y), heading, z, t = START, 0.3, 35.0, 4.0e8
    while n:
        m = min(BLOCK, n)
        n -= m
        along = np.arange(m) / POINTS_A_METRE
        bend = rng.normal(0, 1 / 800)
        chord, here = heading + bend * along / 2, heading + bend * along
        px, py = x + along * np.cos(chord), y + along * np.sin(chord)
        side, ahead = np.clip(rng.standard_normal(m) * 14, -60, 60), np.clip(rng.standard_normal(m) * 12, -50, 50)
        wall = (np.abs(side) > 18) & (rng.random(m) < 0.6)
        height = np.where(wall, rng.random(m) * 12, rng.standard_normal(m) * 0.02)
        yield {
            "x": px + ahead * np.cos(here) - side * np.sin(here),
            "y": py + ahead * np.sin(here) + side * np.cos(here),
            "z": z + 0.01 * along + height,
            "intensity": (np.where(wall, 9000, 3000) + rng.integers(0, 1500, m)).astype("u2"),
            "gps_time": t + np.arange(m) * 1e-6,
            "classification": np.where(wall, 6, 2).astype("u1"),
            "return_number": np.ones(m, "u1"),
            "number_of_returns": np.ones(m, "u1"),
            "scan_angle": (side * 100).astype("i2"),
            "point_source_id": np.full(m, 7, "u2"),
        }
        x, y = px[-1], py[-1]
        heading = here[-1] + (rng.choice([-1, 0, 0, 1]) * np.pi / 2 if rng.random() < 0.3 else 0)
        z += 0.01 * along[-1]
        t += m * 1e-6


def write(path, n, seed=7):
    """The drive as LAS or LAZ, by the ending of `path`."""
    import laspy
    import pyproj

    header = laspy.LasHeader(version="1.4", point_format=6)
    header.scales, header.offsets = [0.001] * 3, [320_000, 4_150_000, 0]
    header.creation_date = None
    header.add_crs(pyproj.CRS.from_epsg(32652))
    packed = Path(path).suffix == ".laz"
    with laspy.open(path, "w", header=header, do_compress=packed, laz_backend=laspy.LazBackend.LazrsParallel) as writer:
        for columns in blocks(n, seed):
            points = laspy.ScaleAwarePointRecord.zeros(len(columns["x"]), header=header)
            for name, values in columns.items():
                points[name] = values
            writer.write_points(points)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=float, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    write(given.out, int(given.n), given.seed)
