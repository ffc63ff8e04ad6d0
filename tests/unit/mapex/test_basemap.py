"""The map below the maps: what is cut into tiles and put into a file is what an independent reader (GDAL) finds in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
import shapely.geometry
from hypothesis import given, settings
from hypothesis import strategies as st

from mapex.basemap import archive, mosaic, world
from mapex.basemap.cutting import MapLayer, Tile, cut
from mapex.basemap.mosaic import COAST, Mosaic
from mapex.cli.demo import town
from mapex.cli.demo.district import outline

BOX = (126.0, 36.0, 128.0, 38.0)
SEOUL = shapely.box(126.9, 37.4, 127.1, 37.6)


def file_of(folder: Path, features: Iterable[MapLayer], zooms: Iterable[int]) -> Path:
    path = folder / "map.pmtiles"
    rows = [*features]
    kinds = {str: "String", int: "Number"}
    fields = {one.layer: {key: kinds[type(value)] for key, value in one.values[0].items()} for one in rows}
    layers = [{"id": name, "fields": found} for name, found in fields.items()]
    archive.write(path, (tile for zoom in zooms for tile in cut(rows, zoom)), {"attribution": "us", "vector_layers": layers}, BOX)
    return path


def read(path: Path, layer: str, zoom: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Geometries in degrees and values of a layer at a zoom, by GDAL."""
    about, _, shapes, values = pyogrio.raw.read(path, layer=layer, ZOOM_LEVEL=str(zoom))
    metres = shapely.from_wkb(shapes)
    side = 20037508.342789244

    def degrees(at: np.ndarray) -> np.ndarray:
        return np.column_stack([at[:, 0] / side * 180, np.degrees(2 * np.arctan(np.exp(at[:, 1] / side * np.pi)) - np.pi / 2)])

    return shapely.transform(metres, degrees), dict(zip(about["fields"], values, strict=True))


@pytest.mark.parametrize("zoom", [0, 3, 9, 12])
def test_areas_lines_and_names_are_read_back_where_they_were(tmp_path: Path, zoom: int) -> None:
    features = [
        MapLayer("land", [SEOUL], [{"kind": "city"}]),
        MapLayer("lines", [SEOUL.boundary], [{"level": 2}]),
        MapLayer("names", [shapely.Point(127.0, 37.5)], [{"ko": "서울", "size": 9}]),
    ]
    path = file_of(tmp_path, features, [zoom])
    unit = 360 / 2**zoom / 4096
    land, values = read(path, "land", zoom)
    # Each tile holds its part and a little more on every side.
    assert shapely.hausdorff_distance(shapely.union_all(shapely.buffer(land, unit)), SEOUL) < 3 * unit
    assert set(values["kind"]) == {"city"}
    lines, values = read(path, "lines", zoom)
    assert shapely.hausdorff_distance(shapely.union_all(lines), SEOUL.boundary) < 2 * unit
    assert set(values["level"]) == {2}
    names, values = read(path, "names", zoom)
    assert len(names) == 1 and shapely.distance(names[0], features[2].geometries[0]) < 2 * unit
    assert (values["ko"][0], values["size"][0]) == ("서울", 9)


def test_what_bears_the_name_of_one_layer_is_one_layer(tmp_path: Path) -> None:
    points = [MapLayer("names", [shapely.Point(127 + i / 10, 37.5)], [{"ko": str(i)}]) for i in range(3)]
    _, values = read(file_of(tmp_path, points, [4]), "names", 4)
    assert sorted(values["ko"]) == ["0", "1", "2"]


def test_the_same_features_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    features = [MapLayer("land", [SEOUL], [{"kind": "city"}])]
    assert file_of(tmp_path / "one", features, range(8)).read_bytes() == file_of(tmp_path / "two", features, range(8)).read_bytes()


def test_a_file_of_more_tiles_than_one_directory_holds_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    spots = shapely.points(rng.uniform(120, 135, 9000), rng.uniform(30, 45, 9000))
    names = [{"n": number} for number in range(9000)]
    path = file_of(tmp_path, [MapLayer("names", spots, names)], [11])
    assert path.read_bytes()[:7] == b"PMTiles"
    _, values = read(path, "names", 11)
    assert sorted(values["n"]) == [*range(9000)]


@given(z=st.integers(0, 20), at=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)))
def test_tiles_are_numbered_along_a_curve_without_a_jump(z: int, at: tuple[float, float]) -> None:
    x, y = (int(value * 2**z) for value in at)
    first = (4**z - 1) // 3
    assert first <= archive.number(Tile(z, x, y)) < first + 4**z
    beside = [(x + i, y + j) for i, j in ((1, 0), (-1, 0), (0, 1), (0, -1)) if 0 <= x + i < 2**z and 0 <= y + j < 2**z]
    steps = {abs(archive.number(Tile(z, *one)) - archive.number(Tile(z, x, y))) for one in beside}
    assert z == 0 or 1 in steps


@settings(deadline=None)
@given(west=st.floats(-179, 179), wide=st.floats(0.5, 170), south=st.floats(-80, 70), tall=st.floats(0.5, 10))
def test_a_ring_over_the_180th_meridian_is_split_and_loses_nothing(west: float, wide: float, south: float, tall: float) -> None:
    lon = np.array([west, west + wide / 2, west + wide, west + wide, west + wide / 2, west, west])
    lat = np.array([south, south, south, south + tall, south + tall, south + tall, south])
    parts = [*world.split(np.column_stack([(lon + 180) % 360 - 180, lat]))]
    assert sum(part.area for part in parts) == pytest.approx(wide * tall, rel=1e-6)
    for part in parts:
        assert part.bounds[0] >= -180 and part.bounds[2] <= 180 and part.bounds[2] - part.bounds[0] <= wide + 1e-6


def test_a_ring_that_never_comes_back_encloses_the_pole() -> None:
    lon = np.append(np.arange(-180.0, 180.0, 10.0), -180.0)
    ring = np.column_stack([lon, np.full(len(lon), -70.0)])
    assert sum(part.area for part in world.split(ring)) == pytest.approx(360 * 20)


def test_no_coast_follows_the_180th_meridian() -> None:
    """Two islands, one over the meridian, in the form of the source: rings that jump from 180 to -180."""
    across = [[1790, 100], [-3580, 0], [0, 50], [3580, 0], [0, -50]]
    korea = [[[1260, 370], [10, 0], [0, 10], [-10, 0], [0, -10]], [[1260, 380], [10, 0], [0, 10], [-10, 0], [0, -10]]]
    topology = {
        "transform": {"scale": [0.1, 0.1], "translate": [0, 0]},
        "arcs": [across, *korea],
        "objects": {
            "countries": {"geometries": [{"id": code, "type": "Polygon", "arcs": [[at]]} for at, code in enumerate(("242", "410", "408"))]}
        },
    }
    found = world.read(topology)
    assert (shapely.bounds(found.ground)[:, 2] - shapely.bounds(found.ground)[:, 0]).max() < 3
    assert shapely.union_all(found.ground).contains(shapely.Point(179.5, 12)) and shapely.union_all(found.ground).contains(
        shapely.Point(-179.5, 12)
    )
    assert not shapely.union_all(found.ground).contains(shapely.Point(126.5, 37.5))  # South Korea has a map of its own
    on_edge = shapely.intersection(
        found.coast, shapely.union_all([shapely.box(-181, -90, -179.9995, 90), shapely.box(179.9995, -90, 181, 90)])
    )
    assert shapely.length(on_edge).sum() == 0


def test_a_line_between_two_divisions_is_one_line_of_the_level_at_which_they_differ() -> None:
    gap = 2e-4  # twenty metres, closed on every side
    parts = np.array([shapely.box(0, 0, 1, 1), shapely.box(1 + gap, 0, 2, 1), shapely.box(0, 1, 2, 2), shapely.box(0, -1, 2, 0)], object)
    codes = ["1111010100", "1111010200", "2611010100", "2611010100"]
    mosaic._close(parts, np.array(codes))
    made = Mosaic(codes, parts)
    lines = made.lines()
    assert set(lines) == {0, 2, COAST}
    assert lines[2].length == pytest.approx(1, abs=0.01)  # between two emd: once
    assert lines[0].length == pytest.approx(4, abs=0.01)  # between two sido
    assert lines[COAST].length == pytest.approx(10, abs=0.01)
    assert made.land().area == pytest.approx(6, abs=0.01)
    assert [*made.dissolved(0).codes] == ["11", "26"]


def test_the_demo_draws_streets_names_houses_and_water_of_its_district(tmp_path: Path) -> None:
    town.write(tmp_path / town.FILE)
    roads, values = read(tmp_path / town.FILE, "roads", 15)
    assert {"가운데대로", "큰길로"} <= set(values["name"]) and {"major_road", "minor_road"} == set(values["kind"])
    district = shapely.buffer(shapely.geometry.shape(outline()), 0.002)
    assert shapely.within(roads, district).all()
    houses, _ = read(tmp_path / town.FILE, "buildings", 15)
    assert len(houses) > 300
    assert not shapely.intersects(shapely.union_all(houses), shapely.union_all(roads))
    assert {"water", "stream"} <= set(read(tmp_path / town.FILE, "water", 15)[1]["kind"])
    town.write(tmp_path / "again.pmtiles")
    assert (tmp_path / "again.pmtiles").read_bytes() == (tmp_path / town.FILE).read_bytes()
