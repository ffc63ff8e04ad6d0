"""The still picture of a cloud shows its surface, with open3d and without."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ingest.previews import still


def a_roof(points: int = 40_000) -> NDArray[np.float64]:
    """A roof whose ridge runs north to south, 20 m wide, each side 45 degrees steep: its west side looks at the sun."""
    random = np.random.default_rng(3)
    xy = random.uniform(-10, 10, (points, 2))
    return np.column_stack([xy, 10 - np.abs(xy[:, 0])])


def brightness(path: Path) -> tuple[float, float]:
    """Mean brightness of the west and the east half of the middle."""
    with Image.open(path, formats=["PNG"]) as image:
        assert image.size == (still.WIDTH, still.HEIGHT)
        grey = np.asarray(image.convert("L"), float)
    middle = grey[200:280, :]
    return float(middle[:, 200:300].mean()), float(middle[:, 340:440].mean())


def test_normals_point_up_and_have_the_slope_of_the_roof() -> None:
    surface = still.surface_of(a_roof(), None, 0.4)
    assert surface is not None
    assert len(surface.xyz) < 10_000
    side = surface.xyz[:, 0] < -1
    assert np.median(surface.normals[side], axis=0) == pytest.approx([-np.sqrt(0.5), 0, np.sqrt(0.5)], abs=0.05)
    assert (surface.normals[:, 2] >= 0).all()
    assert surface.colours is None


def test_colours_are_averaged_with_the_points() -> None:
    roof = a_roof()
    surface = still.surface_of(roof, np.where(roof[:, :1] < 0, [200, 0, 0], [0, 100, 0]).astype(np.uint8), 0.4)
    assert surface is not None
    assert surface.colours is not None
    assert surface.colours[surface.xyz[:, 0] < -1].tolist() == [[200, 0, 0]] * int((surface.xyz[:, 0] < -1).sum())


@pytest.mark.parametrize("installed", [True, False])
def test_side_that_looks_at_the_sun_is_brighter(installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "open3d", None)
    still.draw(a_roof(), None, tmp_path / "still.png")
    west, east = brightness(tmp_path / "still.png")
    assert west > east * 1.2


def test_small_cloud_is_drawn_without_a_surface(tmp_path: Path) -> None:
    still.draw(a_roof(500), np.full((500, 3), 255, np.uint8), tmp_path / "still.png")
    assert (tmp_path / "still.png").stat().st_size > 1000
