"""A small map picture of where a source is, by numpy and Pillow alone; drawn in the cage, no basemap, nothing loaded.

North is up. Features are lines and dots coloured by kind, points are shaded by height, frames are their track.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tiles.batch import Batch, Content

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT, MARGIN = 480, 360, 24
_MOST_POINTS = 400_000
_MOST_LINES = 40_000
_A_BATCH = 40_000

_INK = {
    "lane_centre": "#94a3b8",
    "lane_border": "#475569",
    "lane_area": "#cbd5e1",
    "stop_line": "#dc2626",
    "crossing": "#ea580c",
    "sidewalk": "#059669",
    "cycleway": "#7c3aed",
    "kerb": "#b45309",
    "sign": "#be123c",
    "signal": "#be123c",
}
_OTHER, _TRACK, _PAPER, _FRAME = "#334155", "#2563eb", "#f8fafc", "#94a3b8"


class Sketch:
    """Keeps a bounded sample of what passes, and draws it."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, Floats]] = []
        self._points: list[Floats] = []
        self._kept = 0

    @property
    def sampled(self) -> int:
        """Points that are kept; bounded however many pass."""
        return self._kept

    def add(self, batch: Batch) -> None:
        """Take a sample of a placed batch (features and frames in degrees; points in their own CRS)."""
        if batch.content is Content.FEATURES:
            self._add_features(batch)
            return
        names = ("lon", "lat", "lat") if batch.content is Content.FRAMES else ("x", "y", "z")
        columns = [batch.table.column(name).to_numpy(zero_copy_only=False).astype(float) for name in names]
        xyz = np.stack(columns, axis=1)[:: max(1, len(columns[0]) // _A_BATCH)]
        if batch.content is Content.FRAMES:
            self._lines.append(("track", xyz[:, :2]))
        elif self._kept < _MOST_POINTS:
            self._kept += len(xyz)
            self._points.append(xyz)

    def _add_features(self, batch: Batch) -> None:
        import shapely

        room = _MOST_LINES - len(self._lines)
        table = batch.table.slice(0, max(room, 0))
        geometry = shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False), on_invalid="ignore")
        coordinates, owner = shapely.get_coordinates(geometry, return_index=True)
        cuts = np.flatnonzero(np.diff(owner)) + 1
        pieces = np.split(coordinates, cuts) if len(coordinates) else []
        kinds = table.column("kind").to_pylist()
        firsts = owner[np.concatenate([[0], cuts])] if len(coordinates) else []
        self._lines += [(kinds[int(row)], piece) for row, piece in zip(firsts, pieces, strict=True)]

    def draw(self, path: Path) -> bool:
        """Write the picture (PNG, 480 x 360); False when there is nothing to draw."""
        from PIL import Image, ImageDraw

        everything = [piece for _, piece in self._lines] + [cloud[:, :2] for cloud in self._points]
        everything = [piece for piece in everything if len(piece)]
        if not everything:
            return False
        image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
        if self._points:
            image = Image.fromarray(self._shade(np.concatenate(self._points)))
        pen = ImageDraw.Draw(image)
        view = _View(np.concatenate(everything), metric=bool(self._points))
        for kind, piece in self._lines:
            ink = _TRACK if kind == "track" else _INK.get(kind, _OTHER)
            xy = view.pixels(piece)
            if len(xy) == 1 or kind == "track":
                for x, y in xy[:2000]:
                    pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=ink)
            if len(xy) > 1:
                pen.line([(float(x), float(y)) for x, y in xy], fill=ink, width=1)
        pen.rectangle((0, 0, WIDTH - 1, HEIGHT - 1), outline=_FRAME)
        if not self._points:
            pen.text((6, HEIGHT - 16), view.caption, fill=_OTHER)
        image.save(path, format="PNG")
        return True

    def _shade(self, cloud: Floats) -> npt.NDArray[np.uint8]:
        view = _View(cloud[:, :2], metric=True)
        xy = view.pixels(cloud[:, :2]).astype(np.int64)
        low, high = np.percentile(cloud[:, 2], [2, 98])
        level = np.clip((cloud[:, 2] - low) / max(high - low, 1e-9), 0, 1)
        order = np.argsort(level)  # the highest point of a pixel is seen
        raster = np.full((HEIGHT, WIDTH, 3), 248, dtype=np.uint8)
        inside = (xy[:, 0] >= 0) & (xy[:, 0] < WIDTH) & (xy[:, 1] >= 0) & (xy[:, 1] < HEIGHT)
        order = order[inside[order]]
        tone = level[order, None]
        raster[xy[order, 1], xy[order, 0]] = ((1 - tone) * np.array([30, 64, 120]) + tone * np.array([250, 190, 60])).astype(np.uint8)
        return raster


class _View:
    """From coordinates to pixels: equirectangular about the middle, or as they are when metric."""

    def __init__(self, coordinates: Floats, *, metric: bool) -> None:
        finite = coordinates[np.isfinite(coordinates).all(axis=1)]
        (west, south), (east, north) = finite.min(axis=0), finite.max(axis=0)
        self._squeeze = 1.0 if metric else max(math.cos(math.radians((south + north) / 2)), 0.05)
        self._middle = (west + east) / 2, (south + north) / 2
        wide, tall = max((east - west) * self._squeeze, 1e-9), max(north - south, 1e-9)
        self._scale = min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / tall)
        self.caption = f"{west:.5f},{south:.5f}  {east:.5f},{north:.5f}"

    def pixels(self, coordinates: Floats) -> Floats:
        x = WIDTH / 2 + (coordinates[:, 0] - self._middle[0]) * self._squeeze * self._scale
        y = HEIGHT / 2 - (coordinates[:, 1] - self._middle[1]) * self._scale
        return np.asarray(np.nan_to_num(np.clip(np.stack([x, y], axis=1), -1e5, 1e5)), dtype=np.float64)
