"""Small point clouds for tests: LAS and LAZ written by laspy (independent of our writer), PCD and PLY byte by byte."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pyproj
from numpy.typing import NDArray

from tiles.batch import EncodedTile

KARLSRUHE = (457_000.0, 5_427_000.0, 110.0)
"""Metres, EPSG:32632."""


def a_las(
    path: Path,
    n: int = 5000,
    *,
    point_format: int = 3,
    version: str | None = None,
    crs: str | None = "EPSG:32632",
    spread_m: float = 800.0,
    scale: float = 0.001,
    extra: bool = False,
    at: tuple[float, float, float] = KARLSRUHE,
    seed: int = 1,
    drive: bool = False,
) -> Path:
    """Write `n` points over `spread_m` metres (a line with noise when `drive`, else scattered); the ending says LAS or LAZ."""
    rng = np.random.default_rng(seed)
    header = laspy.LasHeader(point_format=point_format, version=version or ("1.4" if point_format > 5 else "1.2"))
    header.scales, header.offsets = [scale, scale, scale / 2], [at[0] - 100, at[1] - 50, 0]
    header.creation_date = None
    if crs:
        header.add_crs(pyproj.CRS.from_user_input(crs))
    if extra:
        header.add_extra_dims([laspy.ExtraBytesParams("echo_width", "u2"), laspy.ExtraBytesParams("reflectance", "f4")])
    points = laspy.ScaleAwarePointRecord.zeros(n, header=header)
    if drive:
        along = np.linspace(0, spread_m, n)
        points.x, points.y = at[0] + along, at[1] + 0.3 * along + rng.normal(0, 8, n)
    else:
        points.x, points.y = at[0] + rng.uniform(0, spread_m, n), at[1] + rng.uniform(0, spread_m, n)
    points.z = at[2] + rng.normal(0, 3, n)
    points.intensity = rng.integers(0, 65536, n).astype("u2")
    points.return_number = rng.integers(1, 5, n).astype("u1")
    points.number_of_returns = np.full(n, 4, "u1")
    points.classification = rng.integers(0, 31, n).astype("u1")
    points.user_data = rng.integers(0, 256, n).astype("u1")
    points.point_source_id = rng.integers(0, 65536, n).astype("u2")
    for name, values in (("gps_time", np.cumsum(rng.random(n))), ("red", rng.integers(0, 65536, n)), ("blue", rng.integers(0, 65536, n))):
        if name in header.point_format.dimension_names:
            points[name] = values
    if extra:
        points["echo_width"] = rng.integers(0, 65536, n).astype("u2")
        points["reflectance"] = rng.normal(0, 1, n).astype("f4")
    with laspy.open(path, "w", header=header, do_compress=path.suffix == ".laz", laz_backend=laspy.LazBackend.Lazrs) as writer:
        writer.write_points(points)
    return path


def sorted_records(paths: Sequence[Path]) -> NDArray[Any]:
    """All records of LAS or LAZ files, read by laspy, as sorted byte strings: equal when the same points are there, bit for bit."""
    arrays = [laspy.read(path).points.array for path in paths]
    return np.sort(np.concatenate([np.frombuffer(a.tobytes(), f"S{a.dtype.itemsize}") for a in arrays if len(a)]))


def tile_paths(out: Path, tiles: Sequence[EncodedTile]) -> list[Path]:
    """Where tiles are."""
    return [out / tile.path for tile in tiles]


def a_pcd(path: Path, columns: dict[str, NDArray[Any]], *, data: str = "ascii", points: int | None = None, head: str = "") -> Path:
    """A PCD; `points` is what its head claims, `head` replaces all lines before DATA."""
    n = len(next(iter(columns.values())))
    kinds = {"f": "F", "u": "U", "i": "I"}
    widths = {name: values.shape[1] if values.ndim > 1 else 1 for name, values in columns.items()}
    claimed = n if points is None else points
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS " + " ".join(columns),
        "SIZE " + " ".join(str(v.dtype.itemsize) for v in columns.values()),
        "TYPE " + " ".join(kinds[v.dtype.kind] for v in columns.values()),
        "COUNT " + " ".join(str(w) for w in widths.values()),
        f"WIDTH {claimed}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {claimed}",
    ]
    text = (head or "\n".join(lines)) + f"\nDATA {data}\n"
    if data == "ascii":
        rows = [" ".join(repr(x.item()) for v in columns.values() for x in np.atleast_1d(v[i])) for i in range(n)]
        body = "".join(row + "\n" for row in rows).encode()
    elif data == "binary":
        rec = np.zeros(n, [(name, v.dtype, v.shape[1:]) for name, v in columns.items()])
        for name, v in columns.items():
            rec[name] = v
        body = rec.tobytes()
    else:
        raw = b"".join(np.ascontiguousarray(v).tobytes() for v in columns.values())
        # LZF of literals only: what any decoder must take.
        packed = b"".join(bytes([len(raw[i : i + 32]) - 1]) + raw[i : i + 32] for i in range(0, len(raw), 32))
        body = len(packed).to_bytes(4, "little") + len(raw).to_bytes(4, "little") + packed
    path.write_bytes(text.encode() + body)
    return path


def a_ply(path: Path, columns: dict[str, NDArray[Any]], *, form: str = "binary_little_endian", points: int | None = None) -> Path:
    """A PLY of vertices; `points` is what its head claims."""
    n = len(next(iter(columns.values())))
    names = {"f4": "float", "f8": "double", "u1": "uchar", "i1": "char", "u2": "ushort", "i2": "short", "u4": "uint", "i4": "int"}
    lines = ["ply", f"format {form} 1.0", f"element vertex {n if points is None else points}"]
    lines += [f"property {names[v.dtype.str[1:]]} {name}" for name, v in columns.items()]
    head = "\n".join([*lines, "end_header"]) + "\n"
    order = ">" if "big" in form else "<"
    if form == "ascii":
        body = "".join(" ".join(repr(v[i].item()) for v in columns.values()) + "\n" for i in range(n)).encode()
    else:
        rec = np.zeros(n, [(name, v.dtype.newbyteorder(order)) for name, v in columns.items()])
        for name, v in columns.items():
            rec[name] = v
        body = rec.tobytes()
    path.write_bytes(head.encode() + body)
    return path


def a_street_cloud(n: int, *, side_m: float = 160.0, seed: int = 3) -> bytes:
    """A coloured LAZ (format 7, EPSG:32652, in Seoul) of a street between blocks of houses; grass, asphalt, bright marks."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-side_m / 2, side_m / 2, n), rng.uniform(-side_m / 2, side_m / 2, n)
    house = (np.abs(x) > 18) & (np.floor(y / 24) % 2 == 0)
    z = np.where(house, 9 + 4 * (np.floor(y / 24) % 3), 0.02 * x) + rng.normal(0, 0.01, n)
    paint = np.where(house[:, None], [190, 120, 90], np.where(np.abs(x)[:, None] < 7, [90, 90, 96], [80, 150, 70]))
    paint = np.where(((np.abs(x) < 0.15) & ~house)[:, None], [250, 240, 200], paint) + rng.integers(-8, 8, (n, 1))
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.scales, header.offsets = [0.001] * 3, [321_000, 4_159_000, 0]
    header.creation_date = None
    header.add_crs(pyproj.CRS.from_epsg(32652))
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = x + 321_300, y + 4_159_300, z + 61.5
    cloud.intensity = (rng.integers(2000, 60_000, n)).astype(np.uint16)
    cloud.red, cloud.green, cloud.blue = (paint.clip(0, 255) * 257).astype(np.uint16).T
    cloud.return_number[:], cloud.number_of_returns[:] = 1, 1
    body = io.BytesIO()
    cloud.write(body, do_compress=True)
    return body.getvalue()
