"""Readers of point clouds: each trap on the real file that shows it, then files that claim wrongly."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import CRS

from ingest.conversion.dry_run import inspect
from ingest.conversion.local import tile_file
from ingest.reader import Reader, Source, Survey
from ingest.readers.cloud.las import Las
from ingest.readers.cloud.pcd import Pcd
from ingest.readers.cloud.ply import Ply
from ingest.readers.sniff import reader_for
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tests.support.clouds import a_las, a_pcd, a_ply, sorted_records, tile_paths
from tiles.batch import Batch
from tiles.errors import InvalidContent
from tiles.points.crs import tile_crs
from tiles.points.header import read_header
from tiles.points.las_split import split_laz
from tiles.points.splitter import PointSplitter
from tiles.recount import verify

Columns = dict[str, np.ndarray[Any, Any]]
NOTHING = Placement()
LAKE = Placement(origin=(8.41, 49.0, 110.0))


def surveyed(path: Path, given: Placement = NOTHING, name: str = "") -> tuple[Reader, Source, Survey]:
    source = Source.of(path, name)
    found = reader_for(source)
    return found, source, found.survey(source, given)


def read(path: Path, given: Placement = NOTHING) -> tuple[Survey, Columns, list[Finding]]:
    found, source, survey = surveyed(path, given)
    entries = list(found.read(source, survey.placed))
    batches = [entry for entry in entries if isinstance(entry, Batch)]
    for batch in batches:
        assert batch.table.num_rows <= 100_000
        assert batch.crs == (survey.placed.crs or "")
    names = batches[0].table.column_names if batches else []
    columns = {name: np.concatenate([b.table.column(name).to_numpy() for b in batches]) for name in names}
    return survey, columns, [entry for entry in entries if isinstance(entry, Finding)]


def codes(findings: Any) -> list[str]:
    return [finding.code for finding in findings]


def tiles_of(path: Path, given: Placement, out: Path) -> tuple[Columns, list[Any]]:
    """What the tiles of the batches of a file hold, by laspy."""
    found, source, survey = surveyed(path, given)
    assert survey.placed.crs is not None
    splitter = PointSplitter(out, layer="points", part=0, crs=survey.placed.crs)
    for entry in found.read(source, survey.placed):
        if isinstance(entry, Batch):
            splitter.add(entry)
    tiles = list(splitter.finish())
    assert splitter.rejected == 0
    clouds = []
    for tile in tiles:
        verify(out / tile.path, tile)
        clouds.append(laspy.read(out / tile.path))
    names = ["x", "y", "z", *clouds[0].point_format.dimension_names]
    return {name: np.concatenate([np.asarray(c[name]) for c in clouds]) for name in names}, tiles


# --- LAS, LAZ, COPC: real files


def test_custom_lambert_in_feet_without_a_code_is_placed_from_the_file(samples: Path) -> None:
    survey, columns, findings = read(samples / "pointcloud" / "autzen_trim.laz")
    assert survey.placed.crs_source is Known.FILE
    assert survey.claimed == 110_000 == len(columns["x"])
    assert survey.box is not None
    assert np.allclose(survey.box, (-123.0735, 44.0499, -123.0689, 44.0516), atol=1e-4)
    assert "las.feet" in codes(survey.findings)
    assert findings == []


def test_geotiff_keys_without_a_code_say_the_same_place_as_the_wkt(samples: Path) -> None:
    from tiles.points.crs import _from_keys, _geo_keys, file_crs, same_place
    from tiles.points.header import read_header

    with (samples / "pointcloud" / "autzen_trim.laz").open("rb") as stream:
        header = read_header(stream)
    from_keys, answer = _from_keys(_geo_keys(header)), file_crs(header).crs
    assert from_keys is not None
    assert answer is not None
    assert same_place(from_keys, answer)


def test_geocentric_label_on_utm_numbers_contradicts_and_is_not_placed(samples: Path) -> None:
    path = samples / "pointcloud" / "lone-star.copc.laz"
    _, _, survey = surveyed(path)
    assert survey.placed.crs is None
    assert survey.placed.crs_source is Known.NONE
    assert survey.box is None
    found = [f for f in survey.findings if f.code == "crs.contradicts"]
    assert len(found) == 1
    assert "4945 km" in found[0].message
    assert "UTM" in found[0].message
    given, columns, _ = read(path, Placement(crs="EPSG:32612"))
    assert given.placed.crs_source is Known.GIVEN
    assert len(columns["x"]) == 518_862
    assert given.box is not None
    assert np.allclose(given.box, (-110.807, 44.418, -110.806, 44.419), atol=1e-3)
    assert "geocentric" in given.placed.note.lower() or "unnamed" in given.placed.note


def test_las_without_crs_is_unplaced_until_it_is_given(samples: Path) -> None:
    path = samples / "pointcloud" / "no_crs_simple.las"
    survey, columns, _ = read(path)
    assert survey.placed.crs_source is Known.NONE
    assert "crs.none" in codes(survey.findings)
    assert len(columns["x"]) == 1065
    _, _, given = surveyed(path, Placement(crs="EPSG:2994", height_datum="NAVD88"))
    assert given.placed.height_datum == "NAVD88"
    assert given.box is not None
    assert -123.1 < given.box[0] < -123.0


def test_code_in_geotiff_keys_is_read(samples: Path) -> None:
    survey, columns, _ = read(samples / "pointcloud" / "utm17.las")
    assert (survey.placed.crs, survey.placed.crs_source) == ("EPSG:32617", Known.FILE)
    assert len(columns["x"]) == 10
    assert "las.week_time" in codes(survey.findings)


@pytest.mark.parametrize(("name", "given"), [("autzen_trim.laz", None), ("utm17.las", None), ("lone-star.copc.laz", "EPSG:32612")])
def test_batches_of_a_las_file_give_its_records_again_bit_for_bit(samples: Path, tmp_path: Path, name: str, given: str | None) -> None:
    path = samples / "pointcloud" / name
    _, tiles = tiles_of(path, Placement(crs=given), tmp_path)
    assert np.array_equal(sorted_records(tile_paths(tmp_path, tiles)), sorted_records([path]))


# --- PCD and PLY: real files


def by_open3d(path: Path) -> NDArray[Any]:
    """Coordinates as open3d reads them: another implementation, to compare with."""
    import open3d

    return np.asarray(open3d.t.io.read_point_cloud(path).point.positions.numpy())


def test_pcd_with_upper_case_fields_comes_in_whole(samples: Path, tmp_path: Path) -> None:
    path = samples / "pointcloud" / "autzen-utm_double.pcd"
    given = Placement(crs="EPSG:32610")
    survey, columns, findings = read(path, given)
    assert (survey.claimed, len(columns["x"]), len(columns)) == (1065, 1065, 16)
    assert findings == []
    seen, tiles = tiles_of(path, given, tmp_path)
    assert sum(t.quantities.points for t in tiles) == 1065
    for axis in "xyz":
        assert np.allclose(np.sort(seen[axis]), np.sort(columns[axis]), rtol=0, atol=1e-8)
    assert np.array_equal(np.sort(seen["gps_time"]), np.sort(columns["GpsTime"]))
    for source, place in (("Intensity", "intensity"), ("Red", "red"), ("ScanAngleRank", "ScanAngleRank"), ("ReturnNumber", "ReturnNumber")):
        assert np.array_equal(np.sort(seen[place]), np.sort(columns[source]))


def test_compressed_float32_utm_is_read_as_open3d_reads_it_and_its_coarse_steps_are_reported(samples: Path, tmp_path: Path) -> None:
    path = samples / "pointcloud" / "CSite2_orig-utm.pcd"
    given = Placement(crs="EPSG:32632")
    survey, columns, findings = read(path, given)
    assert len(columns["x"]) == survey.claimed == 486_800
    assert codes(findings) == ["points.float32_steps"]
    assert "0.5" in findings[0].value
    other = by_open3d(path)
    for number, axis in enumerate("xyz"):
        assert np.array_equal(columns[axis], other[:, number].astype(np.float64))
    seen, _ = tiles_of(path, given, tmp_path)
    for axis in "xyz":
        assert np.array_equal(np.sort(seen[axis]), np.sort(columns[axis]))
        assert seen[axis].sum() == pytest.approx(columns[axis].sum(), abs=1e-3)


def test_ascii_pcd_of_version_point_seven_is_placed_by_its_origin(samples: Path, tmp_path: Path) -> None:
    path = samples / "pointcloud" / "min_cut_segmentation_tutorial.pcd"
    survey, _, _ = read(path)
    assert survey.placed.crs_source is Known.NONE
    survey, columns, findings = read(path, LAKE)
    assert len(columns["x"]) == 9311
    assert codes(findings) == ["points.text_end"]
    assert "place.local_frame" in codes(survey.findings)
    assert survey.box is not None
    # 64.8 .. 72.8 m east and 22.2 .. 14.9 m south of the origin
    assert np.allclose(survey.box, (8.410886, 48.999800, 8.410995, 48.999866), atol=2e-6)
    seen, tiles = tiles_of(path, LAKE, tmp_path)
    text = np.loadtxt(path.read_text().split("DATA ascii\n")[1].splitlines())
    for i, axis in enumerate("xyz"):
        assert np.array_equal(np.sort(seen[axis]).astype(np.float32), np.sort(columns[axis]).astype(np.float32))
        assert np.abs(np.sort(seen[axis]) - np.sort(text[:, i])).max() < 1e-5
    assert len(tiles) == 1


@pytest.mark.parametrize(("name", "points"), [("ply_simple_binary.ply", 3), ("ply_text_extradim.ply", 1)])
def test_real_ply_comes_in_with_every_property(samples: Path, tmp_path: Path, name: str, points: int) -> None:
    path = samples / "pointcloud" / name
    survey, columns, findings = read(path, LAKE)
    assert survey.claimed == points == len(columns["x"])
    assert findings == []
    seen, _ = tiles_of(path, LAKE, tmp_path)
    for axis in "xyz":
        assert np.array_equal(np.sort(seen[axis]).astype(np.float32), np.sort(columns[axis]).astype(np.float32))
    if name == "ply_text_extradim.ply":
        assert list(columns) == ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue", "alpha", "omg"]
        assert [columns[c][0] for c in ("red", "green", "blue", "alpha", "omg")] == [63, 200, 64, 255, 1234]
        assert [seen[c][0] for c in ("red", "green", "blue", "alpha", "omg")] == [63, 200, 64, 255, 1234]


def test_binary_ply_is_read_as_open3d_reads_it(samples: Path) -> None:
    path = samples / "pointcloud" / "ply_simple_binary.ply"
    _, columns, _ = read(path, LAKE)
    other = by_open3d(path)
    for number, axis in enumerate("xyz"):
        assert np.array_equal(columns[axis], other[:, number].astype(np.float64))


# --- made files: what other writers do


def a_cloud(n: int = 500, **more: np.ndarray[Any, Any]) -> Columns:
    rng = np.random.default_rng(2)
    xyz = {"x": rng.uniform(0, 60, n), "y": rng.uniform(0, 60, n), "z": rng.uniform(0, 9, n)}
    return {**{k: v.astype("f4") for k, v in xyz.items()}, **more}


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
@pytest.mark.parametrize("upper", [False, True])
def test_every_form_of_pcd_gives_every_column(tmp_path: Path, data: str, upper: bool) -> None:
    columns = a_cloud(intensity=np.arange(500, dtype="f4"), ring=np.arange(500, dtype="u2"), time=np.arange(500) + 0.25)
    named = {k.upper() if upper else k: v for k, v in columns.items()}
    _, found, findings = read(a_pcd(tmp_path / "a.pcd", named, data=data), LAKE)
    assert findings == []
    assert {k.lower() for k in found} == set(columns)
    for name, values in columns.items():
        key = name if name in "xyz" else (name.upper() if upper else name)
        assert np.array_equal(found[key], values)
        assert name in "xyz" or found[key].dtype == values.dtype


def test_packed_colours_keep_their_bits(tmp_path: Path) -> None:
    bits = np.arange(500, dtype="u4") + 0xFF102030  # as a float this is not a number
    path = a_pcd(tmp_path / "a.pcd", a_cloud(rgb=bits.view("f4")), data="binary")
    _, found, _ = read(path, LAKE)
    assert found["rgb"].view("u4").tolist() == bits.tolist()


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_fields_of_several_values_are_sold_as_as_many_columns(tmp_path: Path, data: str) -> None:
    columns = a_cloud(fpfh=np.random.default_rng(1).random((500, 33)).astype("f4"), fpfh_0=np.arange(500, dtype="u1"))
    sold, _ = tiles_of(a_pcd(tmp_path / "a.pcd", columns, data=data), LAKE, tmp_path / "out")
    order, wanted = np.lexsort((sold["y"], sold["x"])), np.lexsort((columns["y"], columns["x"]))
    assert np.array_equal(sold["fpfh_0"][order], columns["fpfh_0"][wanted])
    for at, name in enumerate(["fpfh_0_1", *(f"fpfh_{n}" for n in range(1, 33))]):
        assert np.array_equal(sold[name][order], columns["fpfh"][wanted, at])


def test_fields_for_which_a_tile_has_no_place_are_named(tmp_path: Path) -> None:
    columns = a_cloud(vfh=np.ones((500, 308), "f4"), ring=np.arange(500, dtype="u2"), fpfh=np.ones((500, 33), "f4"))
    _, found, findings = read(a_pcd(tmp_path / "a.pcd", columns, data="binary"), LAKE)
    assert [(f.code, f.value, f.rejected) for f in findings] == [("points.left_out", "fpfh", 0)]
    assert len(found) == 3 + 308 + 1
    assert len(tiles_of(tmp_path / "a.pcd", LAKE, tmp_path / "out")[0]["ring"]) == 500


PADDED = """VERSION 0.7
FIELDS x y z _ intensity _ ring _
SIZE 4 4 4 {size} 4 2 2 1
TYPE F F F {kind} F U U U
COUNT 1 1 1 {count} 1 1 1 10
WIDTH 500
HEIGHT 1
POINTS 500"""


@pytest.mark.parametrize(("kind", "size", "count"), [("U", 1, 4), ("F", 4, 1), ("I", 3, 1), ("U", 12, 2), ("F", 1, 7)])
@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed", "binary_compressed without padding"])
def test_padding_of_any_type_and_size_is_passed_over(tmp_path: Path, data: str, kind: str, size: int, count: int) -> None:
    columns = a_cloud(intensity=np.arange(500, dtype="f4") / 7, ring=np.arange(500, dtype="u2"))
    holes = {"a": np.full((500, size * count), 255, "u1"), "b": np.full(500, 7, "u2"), "c": np.full((500, 10), 9, "u1")}
    if data == "ascii":
        holes["a"] = np.full((500, count), 255, "u1")
    if data.endswith("without padding"):  # as PCL itself compresses
        holes = {}
    every = {**columns, **holes}
    body = {name: every[name] for name in ("x", "y", "z", "a", "intensity", "b", "ring", "c") if name in every}
    path = a_pcd(tmp_path / "a.pcd", body, data=data.split(maxsplit=1)[0], head=PADDED.format(size=size, kind=kind, count=count))
    _, found, findings = read(path, LAKE)
    assert findings == []
    assert set(found) == {"x", "y", "z", "intensity", "ring"}
    assert all(np.array_equal(found[name], values) for name, values in columns.items())


def test_padded_cloud_of_a_lidar_driver_comes_in_whole(samples: Path) -> None:
    _, found, findings = read(samples / "reports" / "padding_binary.pcd", LAKE)
    assert (findings, len(found["x"]), set(found)) == ([], 500, {"x", "y", "z", "intensity", "ring"})


def test_organised_cloud_counts_its_empty_places_as_rejected(tmp_path: Path) -> None:
    columns = a_cloud()
    columns["x"][::5] = np.nan
    columns["z"][1] = np.inf
    for data in ("ascii", "binary", "binary_compressed"):
        _, found, findings = read(a_pcd(tmp_path / f"{data}.pcd", columns, data=data), LAKE)
        assert len(found["x"]) == 399
        assert codes(findings) == ["points.not_finite"]
        assert findings[0].rejected == 101


@pytest.mark.parametrize("word", ["안녕 고도", "Überhöhung"])
def test_letters_of_every_script_in_a_head_do_no_harm(tmp_path: Path, word: str) -> None:
    """Some bytes of Hangul are line ends and blanks of Latin-1."""
    field = word.rsplit(maxsplit=1)[-1]
    head = (
        f"# {word}\nVERSION 0.7\nFIELDS x y z {field}\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH 1\nHEIGHT 1\nPOINTS 1\nDATA ascii\n"
    )
    (tmp_path / "a.pcd").write_text(head + "1 2 3 4\n", encoding="utf-8")
    properties = "".join(f"property float {name}\n" for name in ("x", "y", "z", field))
    (tmp_path / "a.ply").write_text(f"ply\nformat ascii 1.0\ncomment {word}\nelement vertex 1\n{properties}end_header\n1 2 3 4\n", "utf-8")
    for name in ("a.pcd", "a.ply"):
        _, columns, _ = read(tmp_path / name)
        assert columns[field].tolist() == [4.0]


def test_commas_and_tabs_between_values_are_read(tmp_path: Path) -> None:
    path = a_pcd(tmp_path / "a.pcd", a_cloud(20))
    head, body = path.read_text().split("DATA ascii\n")
    path.write_text(head.replace("FIELDS x y z", "FIELDS x,y,z") + "DATA ascii\n" + body.replace(" ", ","))
    _, found, findings = read(path, LAKE)
    assert len(found["x"]) == 20
    assert findings == []


def test_head_that_claims_more_points_than_there_are_is_an_error_and_costs_nothing(tmp_path: Path) -> None:
    for data in ("ascii", "binary", "binary_compressed"):
        path = a_pcd(tmp_path / f"{data}.pcd", a_cloud(50), data=data, points=100_000_000)
        _, found, findings = read(path, LAKE)
        assert len(found.get("x", ())) in (0, 50)
        assert "points.missing" in codes(findings)
    for form in ("ascii", "binary_little_endian", "binary_big_endian"):
        path = a_ply(tmp_path / f"{form}.ply", a_cloud(50), form=form, points=100_000_000)
        _, found, findings = read(path, LAKE)
        assert len(found["x"]) == 50
        assert "points.missing" in codes(findings)


def test_every_cut_of_a_cloud_is_an_error_never_silence_and_never_an_invented_point(tmp_path: Path) -> None:
    columns = a_cloud(40)
    there = set(columns["x"].astype(np.float64).tolist())
    makers = [
        lambda: a_pcd(tmp_path / "a.pcd", columns),
        lambda: a_pcd(tmp_path / "b.pcd", columns, data="binary"),
        lambda: a_pcd(tmp_path / "c.pcd", columns, data="binary_compressed"),
        lambda: a_ply(tmp_path / "d.ply", columns, form="ascii"),
        lambda: a_ply(tmp_path / "e.ply", columns),
    ]
    for make in makers:
        path = make()
        data = path.read_bytes()
        for end in range(20, len(data) - 3, 41):
            path.write_bytes(data[:end])
            try:
                _, found, findings = read(path, LAKE)
            except (InvalidContent, Invalid):
                continue
            # In a table of text a number that lost its last digit is a number still: then only the open last line tells.
            text = b" ascii" in data[:300]
            assert any(f.severity == "error" or (text and f.code == "points.text_end") for f in findings)
            assert text or set(found.get("x", np.empty(0)).tolist()) <= there


def test_points_beyond_the_world_are_no_fault_of_the_reader(tmp_path: Path) -> None:
    columns = {"x": np.array([127.0, 127.001, 200.0]), "y": np.array([37.0, 37.001, 37.0]), "z": np.zeros(3)}
    path = a_pcd(tmp_path / "a.pcd", columns, data="binary")
    counts = inspect(path, Placement(crs="EPSG:4326"), cage="rlimits")["counts"]
    assert counts["read"] == 3
    report = tile_file(path, tmp_path / "out", Placement(crs="EPSG:4326"), cage="rlimits")
    assert [layer["counts"]["placed"] for layer in report["layers"]] == [2]
    assert "geometry.unusable" in {finding["code"] for finding in report["findings"]}


def test_cloud_without_points_is_an_error(tmp_path: Path) -> None:
    for path in (a_pcd(tmp_path / "a.pcd", a_cloud(0)), a_ply(tmp_path / "a.ply", a_cloud(0))):
        _, found, findings = read(path, LAKE)
        assert found == {}
        assert codes(findings) == ["points.none"]
    assert "points.none" in codes(surveyed(a_las(tmp_path / "a.las", 0))[2].findings)


@pytest.mark.parametrize(
    "head",
    [
        "VERSION 0.7\nFIELDS x y\nSIZE 4 4\nTYPE F F\nCOUNT 1 1\nWIDTH 1\nHEIGHT 1\nPOINTS 1",
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 1\nHEIGHT 1\nPOINTS 1",
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 3\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 1\nHEIGHT 1\nPOINTS 1",
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 99999\nWIDTH 1\nHEIGHT 1\nPOINTS 1",
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH many\nHEIGHT 1\nPOINTS 1",
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE I I I\nCOUNT 1 1 1\nWIDTH 1\nHEIGHT 1\nPOINTS 1",
    ],
)
def test_head_that_cannot_be_understood_is_refused(tmp_path: Path, head: str) -> None:
    path = a_pcd(tmp_path / "a.pcd", a_cloud(1), head=head)
    with pytest.raises(InvalidContent) as caught:
        surveyed(path)
    assert caught.value.code == "pcd.head"


def test_ply_with_faces_says_that_they_are_left_out(tmp_path: Path) -> None:
    path = a_ply(tmp_path / "a.ply", a_cloud(4), form="ascii")
    text = path.read_text().replace("end_header", "element face 2\nproperty list uchar int vertex_indices\nend_header")
    path.write_text(text + "3 0 1 2\n3 1 2 3\n")
    survey, found, findings = read(path, LAKE)
    assert "ply.not_points" in codes(survey.findings)
    assert len(found["x"]) == 4
    assert findings == []


def test_ply_big_endian_and_element_before_the_vertices(tmp_path: Path) -> None:
    columns = a_cloud(30, label=np.arange(30, dtype="i4"), red=np.arange(30, dtype="u1"))
    _, found, _ = read(a_ply(tmp_path / "a.ply", columns, form="binary_big_endian"), LAKE)
    assert np.array_equal(found["label"], columns["label"])
    assert np.array_equal(found["x"], columns["x"].astype(np.float64))
    path = a_ply(tmp_path / "b.ply", columns)
    data = path.read_bytes().replace(b"element vertex", b"element camera 2\nproperty float f\nelement vertex", 1)
    at = data.index(b"end_header\n") + 11
    path.write_bytes(data[:at] + struct.pack("<ff", 1, 2) + data[at:])
    _, found, findings = read(path, LAKE)
    assert np.array_equal(found["label"], columns["label"])
    assert findings == []


# --- LAS whose header is false


def test_wrong_bytes_under_a_good_name_are_no_las(tmp_path: Path) -> None:
    path = tmp_path / "cloud.laz"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(400))
    with pytest.raises(Invalid):
        surveyed(path)
    with pytest.raises(InvalidContent) as caught:
        Las().survey(Source.of(path), NOTHING)
    assert caught.value.code == "las.signature"
    with pytest.raises(InvalidContent):
        Pcd().survey(Source.of(path), NOTHING)
    with pytest.raises(InvalidContent):
        Ply().survey(Source.of(path), NOTHING)


@pytest.mark.parametrize(("claimed", "code"), [(499, "las.count"), (0, "las.count"), (501, "points.missing")])
def test_header_count_that_is_false_is_an_error(tmp_path: Path, claimed: int, code: str) -> None:
    path = a_las(tmp_path / "a.las", 500)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 107, claimed)
    path.write_bytes(bytes(data))
    survey, _, findings = read(path)
    found = [f for f in (*survey.findings, *findings) if f.code == code]
    assert [f.severity for f in found] == ["error"]


def test_header_box_that_is_false_is_measured_again(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 500, point_format=6)
    data = bytearray(path.read_bytes())
    struct.pack_into("<6d", data, 179, *(1.797e308, -1.797e308) * 3)
    good = surveyed(a_las(tmp_path / "b.las", 500, point_format=6))[2].box
    struct.pack_into("<6d", data, 179, 10, 0, 10, 0, 10, 0)
    path.write_bytes(bytes(data))
    survey = surveyed(path)[2]
    assert "las.box" in codes(survey.findings)
    assert survey.box is not None
    assert good is not None
    assert np.allclose(survey.box, good, atol=1e-4)


@pytest.mark.parametrize(
    ("crs", "at", "word"),
    [
        ("EPSG:4326", (457_000.0, 5_427_000.0, 100.0), "no degrees"),
        ("EPSG:32632", (5_427_000.0, 457_000.0, 100.0), "exchanged"),
        ("EPSG:5186", (457_000.0, 5_427_000.0, 100.0), "far outside"),
        ("EPSG:32632", (8.4, 49.0, 100.0), "look like degrees"),
    ],
)
def test_crs_that_the_numbers_contradict_is_not_used(tmp_path: Path, crs: str, at: tuple[float, float, float], word: str) -> None:
    path = a_las(tmp_path / "a.las", 200, point_format=6, crs=crs, at=at, spread_m=10, scale=0.01)
    survey = surveyed(path)[2]
    found = [f for f in survey.findings if f.code == "crs.contradicts"]
    assert len(found) == 1
    assert word in found[0].message
    assert survey.placed.crs is None
    assert survey.box is None


def test_empty_and_unreadable_crs_records_leave_the_file_unplaced(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 200, point_format=6)
    data = path.read_bytes()
    at, length = 375 + 54, struct.unpack_from("<H", data, 375 + 20)[0]
    for text, word in ((b"", "empty"), (b"PROJCS[nonsense", "cannot be read")):
        path.write_bytes(data[:at] + text.ljust(length, b"\0") + data[at + length :])
        survey = surveyed(path)[2]
        assert survey.placed.crs_source is Known.NONE
        assert word in survey.placed.note


def test_vertical_datum_of_a_compound_crs_is_recorded(tmp_path: Path) -> None:
    survey = surveyed(a_las(tmp_path / "a.las", 50, point_format=6, crs="EPSG:7415", at=(85_000.0, 446_000.0, 5.0)))[2]
    assert survey.placed.height_source is Known.FILE
    assert "NAP" in survey.placed.height_datum
    assert survey.details["height_unit"] == "metre"


def test_cut_laz_reads_with_an_error_and_gives_its_reason(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 60_000, point_format=6)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    survey, found, findings = read(path)
    assert len(found.get("x", ())) < 60_000
    assert [f.severity for f in findings if f.code == "points.missing"] == ["error"]
    assert "cut" in " ".join(f.message for f in findings)
    assert survey.claimed == 60_000


def test_cloud_in_a_folder_is_found_and_several_are_asked_about(tmp_path: Path) -> None:
    a_las(tmp_path / "one.las", 10)
    assert Las().survey(Source.of(tmp_path, "up.zip"), NOTHING).claimed == 10
    a_las(tmp_path / "two.las", 10)
    with pytest.raises(Invalid) as caught:
        Las().survey(Source.of(tmp_path, "up.zip"), NOTHING)
    assert caught.value.code == "format.several"


# --- two records of one file


def with_two_systems(path: Path, *, wkt: str, keys: int, flag: bool, point_format: int = 3) -> Path:
    """A LAS 1.4 file whose WKT record names one system and whose GeoTIFF keys another; its numbers fit `keys`."""
    header = laspy.LasHeader(point_format=point_format, version="1.4")
    header.scales, header.offsets = [0.001, 0.001, 0.001], [200_000, 500_000, 0]
    directory = struct.pack("<12H", 1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, keys)
    header.vlrs.append(laspy.VLR("LASF_Projection", 34735, "", directory))
    header.vlrs.append(laspy.VLR("LASF_Projection", 2112, "", CRS.from_user_input(wkt).to_wkt("WKT1_GDAL").encode() + b"\0"))
    header.global_encoding.wkt = flag
    points = laspy.ScaleAwarePointRecord.zeros(100, header=header)
    points.x, points.y = np.linspace(208_855, 209_055, 100), np.linspace(533_411, 533_611, 100)
    with laspy.open(path, "w", header=header) as writer:
        writer.write_points(points)
    raw = bytearray(path.read_bytes())
    encoding = struct.unpack_from("<H", raw, 6)[0]
    struct.pack_into("<H", raw, 6, encoding | 16 if flag else encoding & ~16)
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize(
    ("wkt", "keys", "flag", "point_format"),
    [("EPSG:32652", 5186, False, 3), ("EPSG:5186", 32652, True, 3), ("EPSG:5186", 32652, False, 6)],
)
def test_of_two_records_that_contradict_the_wkt_bit_decides(tmp_path: Path, wkt: str, keys: int, flag: bool, point_format: int) -> None:
    path = with_two_systems(tmp_path / "a.las", wkt=wkt, keys=keys, flag=flag, point_format=point_format)
    survey = surveyed(path)[2]
    assert survey.box is not None
    assert np.allclose(survey.box, (127.1, 37.4, 127.102, 37.402), atol=1e-3)
    assert [f.severity for f in survey.findings if f.code == "crs.two_records"] == ["warning"]
    settled = surveyed(path, Placement(crs="EPSG:5186"))[2]
    assert [f.severity for f in settled.findings if f.code == "crs.two_records"] == ["info"]


def test_a_tile_holds_only_the_record_that_counts(tmp_path: Path) -> None:
    path = with_two_systems(tmp_path / "a.las", wkt="EPSG:5179", keys=5186, flag=False)
    tiles = list(split_laz(path, tmp_path / "out", layer="points", part=0, crs="EPSG:5186"))
    assert sum(tile.quantities.points for tile in tiles) == 100
    for tile in tiles:
        verify(tmp_path / "out" / tile.path, tile)
        with (tmp_path / "out" / tile.path).open("rb") as stream:
            header = read_header(stream)
        assert (header.vlr("LASF_Projection", 2112), tile_crs(header).crs) == (None, CRS.from_epsg(5186))


def test_two_records_that_agree_are_kept_and_not_spoken_of(tmp_path: Path) -> None:
    path = with_two_systems(tmp_path / "a.las", wkt="EPSG:5186", keys=5186, flag=False)
    survey = surveyed(path)[2]
    assert "crs.two_records" not in codes(survey.findings)
    assert survey.placed.crs is not None
    (tile, *_) = split_laz(path, tmp_path / "out", layer="points", part=0, crs=survey.placed.crs)
    with (tmp_path / "out" / tile.path).open("rb") as stream:
        header = read_header(stream)
    assert header.vlr("LASF_Projection", 2112) is not None and header.vlr("LASF_Projection", 34735) is not None


@pytest.mark.parametrize("given", [NOTHING, Placement(origin=(127.1, 37.4, 0.0)), Placement(crs="EPSG:5186")])
def test_a_local_system_is_unplaced_until_the_seller_says_where_it_is(tmp_path: Path, given: Placement) -> None:
    path = a_las(
        tmp_path / "a.las", 100, point_format=6, at=(10.0, 20.0, 0.0) if given.origin else (208_855.0, 533_411.0, 0.0), spread_m=50
    )
    raw, at = bytearray(path.read_bytes()), 375 + 54
    length = struct.unpack_from("<H", raw, 375 + 20)[0]
    raw[at : at + length] = b'LOCAL_CS["Local",LOCAL_DATUM["Local",0],UNIT["Meter",1],AXIS["X",EAST],AXIS["Y",NORTH]]'.ljust(length, b"\0")
    path.write_bytes(bytes(raw))
    survey = surveyed(path, given)[2]
    assert survey.placed.crs_source is (Known.NONE if given is NOTHING else Known.GIVEN)
    assert "Local" in survey.placed.note
    if survey.placed.crs is not None:
        tiles = list(split_laz(path, tmp_path / "out", layer="points", part=0, crs=survey.placed.crs))
        assert sum(tile.quantities.points for tile in tiles) == 100
        for tile in tiles:
            verify(tmp_path / "out" / tile.path, tile)


def test_sample_whose_wkt_bit_is_off_is_where_its_keys_say(samples: Path) -> None:
    survey = surveyed(samples / "reports" / "both_no_bit_geotiff_right.las")[2]
    assert survey.box is not None
    assert np.allclose(survey.box, (127.1, 37.4, 127.102, 37.402), atol=1e-3)
    assert "crs.two_records" in codes(survey.findings)
