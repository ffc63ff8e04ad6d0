"""The still picture of a point cloud from above, for browsers without WebGL.

open3d, where it is installed (extra `pointcloud`), thins the cloud to one point a pixel and finds the normal of its surface at each, so
that walls, kerbs and vehicles stand out in the light; without it the light falls on the raster of heights.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tiles import extras

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 640, 480
FEWEST_FOR_NORMALS = 20_000
"""A smaller cloud has no surface that a picture could show, and loading open3d takes longer than drawing it."""
_NEIGHBOURS = 12
_NIGHT = np.array([10, 20, 32])
_LOW, _HIGH = np.array([70, 96, 150]), np.array([250, 214, 120])


@dataclass(frozen=True, slots=True)
class Surface:
    """Points of a cloud at most one a voxel: `xyz` (n, 3) metres, `colours` (n, 3) or None, `normals` (n, 3) of length 1, upwards."""

    xyz: Floats
    colours: Bytes | None
    normals: Floats


def surface_of(xyz: Floats, colours: Bytes | None, voxel_m: float) -> Surface | None:
    """The surface of a cloud, its points and colours averaged over voxels of this size; None without open3d. Same points, same surface."""
    try:
        import open3d
    except (ImportError, OSError) as why:  # not installed, or a shared library of its own is missing
        log.info("open3d cannot be used (%s); the light falls on the raster of heights (%s)", why, extras.line("pointcloud"))
        return None
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(np.ascontiguousarray(xyz)))
    if colours is not None:
        cloud.colors = open3d.utility.Vector3dVector(colours / 255.0)
    thin = cloud.voxel_down_sample(voxel_m)
    thin.estimate_normals(open3d.geometry.KDTreeSearchParamHybrid(radius=4 * voxel_m, max_nn=_NEIGHBOURS))
    normals = np.asarray(thin.normals)
    normals = normals * np.where(normals[:, 2:] < 0, -1.0, 1.0)
    averaged = None if colours is None else np.rint(np.asarray(thin.colors) * 255).astype(np.uint8)
    return Surface(np.asarray(thin.points), averaged, normals)


def draw(xyz: Floats, colours: Bytes | None, path: Path) -> None:
    """Write the PNG: the highest point of a pixel, its colour, and the light of a low sun in the north-west.

    Args:
        xyz: (n, 3) metres east, north, up.
        colours: (n, 3) red, green, blue, or None: then it is coloured by height.
        path: the file to write.
    """
    from PIL import Image

    grid = _Grid.around(xyz)
    surface = surface_of(xyz, colours, grid.metres) if len(xyz) >= FEWEST_FOR_NORMALS else None
    if surface is not None:
        xyz, colours = surface.xyz, surface.colours
    rows, columns = grid.at(xyz)
    order = np.argsort(xyz[:, 2], kind="stable")  # the highest point of a pixel is seen
    there = rows[order], columns[order]
    heights = np.full((grid.rows, grid.columns), np.nan)
    heights[there] = xyz[order, 2]
    seen = np.isfinite(heights)
    floor = np.where(seen, heights, np.nanmin(heights))
    if surface is None:
        south, east = np.gradient(floor / grid.metres)
        toward_sun = (south + east) / np.sqrt(1 + south**2 + east**2)
    else:
        toward_sun = np.zeros_like(floor)
        toward_sun[there] = (surface.normals[:, 1] - surface.normals[:, 0])[order]
    light = np.clip(0.75 + 0.35 * toward_sun, 0.35, 1.15)
    bottom, top = np.percentile(xyz[:, 2], [2, 98])
    level = np.clip((floor - bottom) / max(top - bottom, 1e-6), 0, 1)[..., None]
    paint = (1 - level) * _LOW + level * _HIGH
    if colours is not None:
        paint[there] = 0.55 * colours[order] + 0.45 * paint[there]
    picture = np.where(seen[..., None], np.clip(paint * light[..., None], 0, 255), _NIGHT)
    large = picture.astype(np.uint8).repeat(grid.cell, axis=0).repeat(grid.cell, axis=1)[:HEIGHT, :WIDTH]
    Image.fromarray(large).save(path, format="PNG", optimize=False)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Squares of `cell` pixels, as large as the cloud is dense, so that no ground shines through; `metres` is the side of one."""

    middle: Floats
    scale: float
    cell: int

    @staticmethod
    def around(xyz: Floats) -> _Grid:
        low, high = xyz.min(axis=0), xyz.max(axis=0)
        scale = min((WIDTH - 20) / max(high[0] - low[0], 1e-6), (HEIGHT - 20) / max(high[1] - low[1], 1e-6))
        pixels = (high[0] - low[0]) * (high[1] - low[1]) * scale * scale
        return _Grid((low + high) / 2, float(scale), max(1, round(float(np.sqrt(pixels / len(xyz)) * 1.2))))

    @property
    def metres(self) -> float:
        return self.cell / self.scale

    @property
    def columns(self) -> int:
        return -(-WIDTH // self.cell)

    @property
    def rows(self) -> int:
        return -(-HEIGHT // self.cell)

    def at(self, xyz: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Row and column of each point."""
        x = ((xyz[:, 0] - self.middle[0]) * self.scale + WIDTH / 2) // self.cell
        y = (HEIGHT / 2 - (xyz[:, 1] - self.middle[1]) * self.scale) // self.cell
        return np.clip(y, 0, self.rows - 1).astype(np.int64), np.clip(x, 0, self.columns - 1).astype(np.int64)
