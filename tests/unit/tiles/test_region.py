"""Regions: what is accepted, what is refused and how, and covers that equal the answer of GEOS."""

import json
import time
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import shapely
from pyproj import Geod

from tiles.errors import InvalidRegion
from tiles.grid import grid, scan
from tiles.grid.cover import Cover
from tiles.grid.fractions import fractions
from tiles.grid.region import MAX_DEPTH, Region
from tiles.grid.scan import cover

SEOUL = (126.98, 37.57)


def cells_by_geos(geometry, z=16):
    """Cells whose inside meets the inside of an area: every box of the bounding box asked one by one."""
    w, s, e, n = geometry.bounds
    (x0, x1), (y0, y1) = (np.floor(v).astype(int) for v in grid.tile_xy([w, e], [n, s], z))
    x, y = (v.ravel() for v in np.meshgrid(np.arange(x0 - 1, x1 + 2), np.arange(y0 - 1, y1 + 2)))
    cells = grid.morton(x, y)
    boxes = shapely.box(*grid.bounds_of(cells, z).T)
    shapely.prepare(geometry)
    return set(cells[shapely.relate_pattern(geometry, boxes, "T********")].tolist())


def cells_by_fractions(lon_lat, z):
    """Half-open cells of a line with exact rational arithmetic, one segment and one cell after the other."""
    found = set()
    for (lon0, lat0), (lon1, lat1) in zip(lon_lat[:-1], lon_lat[1:], strict=True):
        (x0, x1), (y0, y1) = (
            np.floor(v).astype(int) for v in grid.tile_xy([min(lon0, lon1), max(lon0, lon1)], [max(lat0, lat1), min(lat0, lat1)], z)
        )
        for x in range(x0, x1 + 1):
            for y in range(y0, y1 + 1):
                w, s, e, n = (Fraction(v) for v in grid.bounds(grid.morton(x, y), z))
                a, b, c, d = Fraction(lon0), Fraction(lat0), Fraction(lon1), Fraction(lat1)
                # t in [0, 1] with w <= a + t(c-a) < e and s < b + t(d-b) <= n: closed and open ends of one interval
                lows, highs = [(Fraction(0), True)], [(Fraction(1), True)]
                for p, q, low, low_in, high, high_in in ((a, c - a, w, True, e, False), (b, d - b, s, False, n, True)):
                    if q == 0:
                        if not ((low < p or (low_in and low == p)) and (p < high or (high_in and p == high))):
                            lows.append((Fraction(2), True))
                        continue
                    ends = [((low - p) / q, low_in), ((high - p) / q, high_in)]
                    lows.append(ends[0] if q > 0 else ends[1])
                    highs.append(ends[1] if q > 0 else ends[0])
                t0 = max(v for v, _ in lows)
                t1 = min(v for v, _ in highs)
                closed = all(i for v, i in lows if v == t0) and all(i for v, i in highs if v == t1)
                if t0 < t1 or (t0 == t1 and closed):
                    found.add(grid.morton(x, y))
    return found


def star(rng, centre, radius, n):
    angle = np.sort(rng.uniform(0, 2 * np.pi, n))
    r = radius * rng.uniform(0.3, 1, n)
    return np.c_[centre[0] + r * np.cos(angle), centre[1] + r * np.sin(angle)]


def polygon_json(*rings):
    return {"type": "Polygon", "coordinates": [np.asarray(r).tolist() for r in rings]}


def refused(code, given, **limits):
    with pytest.raises(InvalidRegion) as caught:
        Region.from_geojson(given, **limits)
    assert caught.value.code == f"region.{code}"
    return caught.value.message


@pytest.mark.parametrize("radius", [0.0001, 0.004, 0.02, 0.2])
@pytest.mark.parametrize("seed", range(12))
def test_cover_of_an_area_with_a_hole_and_parts_is_that_of_geos(radius, seed):
    rng = np.random.default_rng(seed)
    shape = shapely.union_all(
        [
            shapely.Polygon(star(rng, (SEOUL[0] + rng.normal(0, radius), SEOUL[1] + rng.normal(0, radius)), radius, 30)).buffer(0)
            for _ in range(3)
        ]
    )
    shape = shape.difference(shapely.Polygon(star(rng, SEOUL, radius / 2, 12)).buffer(0))
    region = Region.from_geojson(shapely.to_geojson(shape))
    assert set(cover(region).cells().tolist()) == cells_by_geos(region.geometry)


@pytest.mark.parametrize("seed", range(8))
def test_cover_is_exact_where_corners_and_edges_are_on_the_grid(seed):
    """Outlines made of grid corners: diagonals through corners, and edges along cells."""
    rng = np.random.default_rng(seed)
    x, y = grid.xy(int(grid.cells_at(*SEOUL)[0]))
    i, j = rng.integers(-6, 7, 7), rng.integers(-6, 7, 7)
    points = np.c_[grid.lon_of(x + i), grid.lat_of(y + j)]
    hull = shapely.MultiPoint(points).convex_hull
    region = Region.from_geojson(shapely.to_geojson(hull))
    assert set(cover(region).cells().tolist()) == cells_by_geos(region.geometry)


def test_a_box_of_whole_cells_covers_these_cells_and_no_neighbour():
    x, y = grid.xy(int(grid.cells_at(*SEOUL)[0]))
    w, n = grid.lon_of(x), grid.lat_of(y)
    e, s = grid.lon_of(x + 3), grid.lat_of(y + 2)
    region = Region.from_bbox(float(w), float(s), float(e), float(n))
    want = {grid.morton(x + i, y + j) for i in range(3) for j in range(2)}
    assert set(cover(region).cells().tolist()) == want
    assert region.area_m2 == pytest.approx(grid.area_m2(cover(region).cells()).sum(), rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_cover_of_a_line_is_exact_also_on_corners(seed):
    rng = np.random.default_rng(seed)
    z = 16
    x, y = grid.xy(int(grid.cells_at(*SEOUL)[0]))
    points = np.c_[SEOUL[0] + rng.normal(0, 0.02, 6), SEOUL[1] + rng.normal(0, 0.02, 6)]
    on_grid = np.c_[grid.lon_of(x + rng.integers(-3, 4, 6)), grid.lat_of(y + rng.integers(-3, 4, 6))]
    line = np.where(rng.random((6, 1)) < 0.6, on_grid, points)
    line = line[np.r_[True, (np.diff(line, axis=0) != 0).any(axis=1)]]
    region = Region.from_geojson({"type": "LineString", "coordinates": line.tolist()})
    assert set(cover(region, z).cells().tolist()) == cells_by_fractions(line.tolist(), z)


def test_cover_of_points_is_their_half_open_cells():
    lon, lat = SEOUL[0] + np.arange(5) * 0.01, SEOUL[1] + np.arange(5) * 0.01
    region = Region.from_geojson({"type": "MultiPoint", "coordinates": np.c_[lon, lat].tolist()})
    assert (cover(region).cells() == np.unique(grid.cells_at(lon, lat))).all()


def test_cover_of_a_mixed_collection_is_the_union():
    area, line, point = (
        Region.from_bbox(126.9, 37.5, 126.95, 37.52),
        {"type": "LineString", "coordinates": [[127, 37.5], [127.02, 37.52]]},
        {"type": "Point", "coordinates": [127.1, 37.6]},
    )
    mixed = {"type": "GeometryCollection", "geometries": [area.geojson, {"type": "GeometryCollection", "geometries": [line]}, point]}
    want = cover(area).union(cover(Region.from_geojson(line))).union(cover(Region.from_geojson(point)))
    assert cover(Region.from_geojson(mixed)) == want
    features = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": g} for g in mixed["geometries"]],
    }
    assert cover(Region.from_geojson(features)) == want


def test_islands_far_apart_are_covered_part_by_part():
    boxes = [shapely.box(126.5, 33.3, 126.6, 33.4), shapely.box(130.85, 37.45, 130.95, 37.55), shapely.box(-0.01, -0.01, 0.01, 0.01)]
    region = Region.from_geojson(shapely.to_geojson(shapely.MultiPolygon(boxes)))
    want = set().union(*(cells_by_geos(b) for b in boxes))
    assert set(cover(region).cells().tolist()) == want


def test_overlapping_areas_are_joined_and_counted_once():
    boxes = [shapely.box(126.9, 37.5, 127.0, 37.6), shapely.box(126.95, 37.55, 127.05, 37.65)]
    region = Region.from_geojson(shapely.to_geojson(shapely.GeometryCollection(boxes)))
    assert region.area_m2 == pytest.approx(Region.from_wkt(shapely.union_all(boxes).wkt).area_m2, rel=1e-12)
    assert set(cover(region).cells().tolist()) == cells_by_geos(shapely.union_all(boxes))


def test_a_province_is_covered_fast_and_exactly():
    rng = np.random.default_rng(5)
    region = Region.from_geojson(polygon_json(np.r_[(p := star(rng, (127.5, 36.8), 1.2, 200)), p[:1]]))
    cover(region)
    started = time.thread_time()
    cells = cover(region)
    took = time.thread_time() - started
    assert cells.count > 50_000
    assert set(cells.cells().tolist()) == cells_by_geos(region.geometry)
    assert took < 0.5  # 15 ms on the machine of the benchmark; this only catches a loop over cells


def test_pyramid_is_disjoint_whole_and_as_coarse_as_possible():
    region = Region.from_wkt(shapely.Point(127.5, 36.8).buffer(0.4).wkt)
    found = cover(region)
    levels = found.pyramid(6)
    joined = np.concatenate([Cover(r, z).at(16).cells() for z, r in levels])
    assert len(joined) == found.count
    assert (np.sort(joined) == found.cells()).all()
    for z, ranges in levels:
        if z > 6:
            parents = np.unique(Cover(ranges, z).cells() >> np.uint64(2))
            lo = parents << np.uint64(2 * (17 - z))
            whole = [found.contains(np.arange(int(a), int(a) + 4 ** (17 - z), dtype=np.uint64)).all() for a in lo[:50]]
            assert not any(whole)
    assert sum(int((r[:, 1] - r[:, 0]).sum()) for _, r in levels) < found.count / 5


def test_sets_of_cells_have_union_intersection_difference_and_zooms():
    rng = np.random.default_rng(3)
    base = 1 << 31
    a, b = (np.unique(rng.integers(base, base + 400, 150).astype(np.uint64)) for _ in range(2))
    ca, cb = Cover.from_cells(a), Cover.from_cells(b[::-1])
    assert (ca.union(cb).cells() == np.union1d(a, b)).all()
    assert (ca.intersection(cb).cells() == np.intersect1d(a, b)).all()
    assert (ca.difference(cb).cells() == np.setdiff1d(a, b)).all()
    assert (ca.contains(b) == np.isin(b, a)).all()
    assert (ca.at(14).cells() == np.unique(a >> np.uint64(4))).all()
    assert ca.at(17).count == 4 * ca.count
    empty = Cover.from_cells(np.zeros(0, np.uint64))
    assert empty.count == 0
    assert not empty.contains(a).any()
    assert empty.pyramid() == []
    assert ca.difference(empty) == ca
    assert ca.intersection(empty) == empty
    assert len({ca, Cover.from_cells(a)}) == 1


def test_area_is_geodesic():
    geod = Geod(ellps="WGS84")
    shape = shapely.Point(127, 37.5).buffer(0.01).difference(shapely.Point(127, 37.5).buffer(0.004))
    area, _ = geod.geometry_area_perimeter(shapely.orient_polygons(shape))
    assert Region.from_wkt(shape.wkt).area_m2 == pytest.approx(area, rel=1e-6)
    big = shapely.segmentize(shapely.box(126, 34, 129, 38), 0.01)
    area, _ = geod.geometry_area_perimeter(shapely.orient_polygons(big))
    assert Region.from_bbox(126, 34, 129, 38).area_m2 == pytest.approx(area, rel=1e-6)
    assert Region.from_wkt("LINESTRING (127 37, 127.1 37.1)").area_m2 == 0


def test_a_region_round_trips_through_geojson():
    region = Region.from_wkt("POLYGON ((127 37, 127.1 37, 127.1 37.1, 127 37), (127.05 37.02, 127.06 37.02, 127.06 37.03, 127.05 37.02))")
    assert Region.from_geojson(region.geojson) == region
    assert Region.from_geojson(json.dumps(region.geojson)).bounds == (127.0, 37.0, 127.1, 37.1)


def test_heights_are_ignored():
    flat = polygon_json([[127, 37], [127.1, 37], [127.1, 37.1], [127, 37]])
    high = polygon_json([[127, 37, 10], [127.1, 37, 20], [127.1, 37.1, 30], [127, 37, 10]])
    assert Region.from_geojson(high) == Region.from_geojson(flat)
    assert Region.from_wkt("POINT Z (127 37 55)").geojson == {"type": "Point", "coordinates": [127.0, 37.0]}


def test_a_crossing_outline_is_refused_and_the_point_named():
    message = refused("crossing", polygon_json([[127, 37], [127.2, 37.2], [127.2, 37], [127, 37.2], [127, 37]]))
    assert "127.1" in message
    assert "37.1" in message


def test_an_outline_without_ground_is_refused():
    refused("crossing", polygon_json([[27, 37], [28, 38], [29, 39], [27, 37]]))


def test_too_many_vertices_are_refused_before_anything_is_built():
    ring = np.random.default_rng(0).uniform(27, 28, (6001, 2))
    assert "5,000" in refused("too_many_vertices", polygon_json(ring))
    refused("too_many_vertices", polygon_json([[127, 37], [127.1, 37], [127.1, 37.1], [127, 37]]), max_vertices=3)
    with pytest.raises(InvalidRegion, match="more than 3 vertices"):
        Region.from_wkt("LINESTRING (0 0, 1 1, 2 2, 3 3, 4 4, 5 5)", max_vertices=3)


def test_too_large_is_refused():
    box = Region.from_bbox(126, 34, 129, 38).geojson
    assert "120" in refused("too_large", box, max_area_km2=40_000)
    with pytest.raises(InvalidRegion) as caught:
        cover(Region.from_bbox(100, 0, 140, 30))
    assert caught.value.code == "region.too_large"


def comb(teeth, width, height, *, upright=True):
    """An area of so many teeth, in degrees, which stand on a narrow back."""
    x = np.linspace(0, width, 2 * teeth, endpoint=False)
    ring = [(a, b) for n, at in enumerate(x) for a, b in ([(at, 0.01), (at, height)] if n % 2 == 0 else [(at, height), (at, 0.01)])]
    ring += [(width, 0.01), (width, 0), (0, 0)]
    ring = [(127 + a, 34 + b) if upright else (127 + b, 34 + a) for a, b in ring]
    return [*ring, ring[0]]


WINDING = {
    "comb": {"type": "Polygon", "coordinates": [comb(1240, 0.16, 24)]},
    "comb to the pole": {"type": "Polygon", "coordinates": [[(lon + 50, lat + 23) for lon, lat in comb(1240, 0.16, 28)]]},
    "level comb": {"type": "Polygon", "coordinates": [comb(1240, 0.16, 24, upright=False)]},
    "zigzag": {"type": "LineString", "coordinates": [[(-1) ** i * 170, -80 + i / 100] for i in range(5000)]},
    "lines": {"type": "MultiLineString", "coordinates": [[[125, 34 + i / 1000], [130, 34 + i / 1000]] for i in range(2400)]},
}


@pytest.mark.parametrize("name", WINDING)
def test_what_runs_through_too_many_cells_is_refused_before_anything_is_computed(name, monkeypatch):
    region = Region.from_geojson(WINDING[name])
    monkeypatch.setattr(scan, "_cut", lambda *_: pytest.fail("it was computed"))
    for ask in (cover, fractions) if WINDING[name]["type"] == "Polygon" else (cover,):
        with pytest.raises(InvalidRegion, match="100,000") as caught:
            ask(region)
        assert caught.value.code == "region.too_winding"


def test_areas_that_cross_each_other_too_often_are_refused_before_they_are_joined():
    two = [[comb(600, 3, 3)], [comb(600, 3, 3, upright=False)]]
    assert "10,000" in refused("too_winding", {"type": "MultiPolygon", "coordinates": two})


def test_areas_that_overlap_are_joined_as_geos_joins_them():
    rng = np.random.default_rng(5)
    discs = [shapely.Point(127 + x, 37 + y).buffer(r) for x, y, r in rng.uniform(0.01, 0.4, (60, 3))]
    discs += [shapely.Polygon(comb(20, 0.3, 0.3)), shapely.Polygon(comb(20, 0.3, 0.3, upright=False))]
    region = Region.from_geojson({"type": "GeometryCollection", "geometries": [shapely.geometry.mapping(disc) for disc in discs]})
    whole = shapely.union_all(discs)
    assert shapely.area(shapely.symmetric_difference(region.geometry, whole)) < 1e-9
    assert cover(region) == cover(Region(whole))


def test_empty_geometries_count_as_vertices():
    empty = [{"type": "Point", "coordinates": []}] * 6000
    refused("too_many_vertices", {"type": "GeometryCollection", "geometries": [*empty, {"type": "Point", "coordinates": [127, 37]}]})


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_a_cover_is_the_same_however_much_of_the_outline_is_in_memory(at_once, monkeypatch):
    regions = [Region(shapely.Point(127, 37).buffer(0.2)), Region.from_geojson({"type": "Polygon", "coordinates": [comb(9, 0.1, 0.3)]})]
    regions += [Region(shapely.LineString([(127, 37), (127.3, 37.1), (127.1, 37.4)]))]
    want = [(cover(region), fractions(region)) for region in regions]
    monkeypatch.setattr(scan, "_AT_ONCE", at_once)
    for region, (cells, (cut, parts)) in zip(regions, want, strict=True):
        assert cover(region) == cells
        cut_now, parts_now = fractions(region)
        assert np.array_equal(cut_now, cut)
        np.testing.assert_allclose(parts_now, parts, atol=1e-12)


def test_memory_of_a_cover_does_not_grow_with_how_often_the_outline_runs_through_a_cell(monkeypatch):
    monkeypatch.setattr(scan, "MAX_CROSSINGS", 1 << 24)
    peaks = []
    for teeth in (150, 1200):  # in the same cells
        region = Region.from_geojson({"type": "Polygon", "coordinates": [comb(teeth, 0.16, 1.5)]})
        tracemalloc.start()
        cover(region)
        fractions(region)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


@pytest.mark.parametrize("lon_lat", [[190, 37], [-180.5, 0], [0, 85.2], [37.5, 127], [10**400, 0]])
def test_places_off_the_grid_are_refused(lon_lat):
    refused("out_of_range", {"type": "Point", "coordinates": lon_lat})


def test_a_box_over_the_antimeridian_is_refused():
    with pytest.raises(InvalidRegion, match="two") as caught:
        Region.from_bbox(179, 0, -179, 1)
    assert caught.value.code == "region.out_of_range"


@pytest.mark.parametrize(
    "given",
    [
        {"type": "Polygon", "coordinates": []},
        {"type": "FeatureCollection", "features": []},
        {"type": "Feature", "properties": {}, "geometry": None},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "GeometryCollection", "geometries": [{"type": "MultiPoint", "coordinates": []}]},
    ],
)
def test_an_empty_region_is_refused(given):
    refused("empty", given)


def nested(depth):
    obj = {"type": "Point", "coordinates": [127, 37]}
    for _ in range(depth):
        obj = {"type": "GeometryCollection", "geometries": [obj]}
    return obj


def test_collections_nest_sixteen_deep_and_no_deeper():
    Region.from_geojson(nested(MAX_DEPTH))
    assert "deep" in refused("malformed", nested(MAX_DEPTH + 1))
    assert "deep" in refused("malformed", nested(100_000))
    refused("malformed", '{"type":"GeometryCollection","geometries":[' * 100_000)
    refused("malformed", {"type": "Polygon", "coordinates": json.loads("[" * 200 + "]" * 200)})
    with pytest.raises(InvalidRegion, match="deep"):
        Region.from_wkt("GEOMETRYCOLLECTION (" * 40 + "POINT (0 0)" + ")" * 40)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "not json",
        b"\xff\xfe",
        "[]",
        "null",
        '{"type": "Point", "coordinates": [NaN, 37]}',
        '{"type": "Point", "coordinates": [127, Infinity]}',
        {"type": "Point", "coordinates": [float("nan"), 37]},
        {"type": "Point", "coordinates": [float("inf"), 37]},
        {"type": "Point", "coordinates": ["127", "37"]},
        {"type": "Point", "coordinates": [True, False]},
        {"type": "Point", "coordinates": [127]},
        {"type": "Point", "coordinates": "127 37"},
        {"type": "Point"},
        {"type": "Circle", "coordinates": [127, 37]},
        {"type": ["Point"], "coordinates": [127, 37]},
        {"type": "LineString", "coordinates": [[127, 37]]},
        {"type": "LineString", "coordinates": [[127, 37], [127, 37]]},
        {"type": "Polygon", "coordinates": [[127, 37], [127.1, 37]]},
        {"type": "Polygon", "coordinates": [[[127, 37], [127.1, 37], [127, 37]]]},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "MultiPolygon", "coordinates": [[]]},
        {"type": "Feature", "geometry": {"type": "Feature", "geometry": None}},
        {"type": "FeatureCollection"},
        {"type": "GeometryCollection", "geometries": [{"type": "FeatureCollection", "features": []}]},
        {"type": "Point", "coordinates": [200000, 500000], "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::5186"}}},
    ],
)
def test_what_is_no_region_is_refused_as_malformed(given):
    refused("malformed", given)


def test_an_unclosed_ring_is_refused_and_its_ends_named():
    message = refused("malformed", polygon_json([[127, 37], [127.1, 37], [127.1, 37.1], [127, 37.1]]))
    assert "not closed" in message
    assert "(127.0, 37.1)" in message


def test_a_stated_crs_of_wgs84_is_accepted():
    for name in ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"):
        Region.from_geojson({"type": "Point", "coordinates": [127, 37], "crs": {"type": "name", "properties": {"name": name}}})


@pytest.mark.parametrize("text", ["", "POLYGON", "POLYGON ((0 0, 1 1", "POINT (nan 3)", "POLYGON ((0 0, 1 0, 1 1, 0 1))"])
def test_what_is_no_wkt_is_refused(text):
    with pytest.raises(InvalidRegion):
        Region.from_wkt(text)
