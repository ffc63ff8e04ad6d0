"""LAZ tiles of real and made files: the union is the upload again, the form is the source's, the bytes are always the same."""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import laspy
import numpy as np
import pyproj
import pytest

from mapex.intake.placement import Placement
from tests.support.clouds import a_las, sorted_records, tile_paths
from tests.support.reading import report_of
from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.points.crs import file_crs, same_place
from tiles.points.header import MAX_VLRS, read_header
from tiles.points.las_split import split_laz
from tiles.points.laz import Packing
from tiles.points.records import SplitCounts
from tiles.recount import verify

REAL = [
    ("autzen_trim.laz", None, 110_000),
    ("lone-star.copc.laz", "EPSG:32612", 518_862),
    ("utm17.las", None, 10),
    ("no_crs_simple.las", "EPSG:2994", 1_065),
]


def split(path: Path, out: Path, crs: str, part: int = 0) -> tuple[list[EncodedTile], SplitCounts]:
    counts = SplitCounts()
    return list(split_laz(path, out, layer="points", part=part, crs=crs, counts=counts)), counts


def crs_in(path: Path) -> pyproj.CRS | None:
    with path.open("rb") as stream:
        return file_crs(read_header(stream)).crs


@pytest.mark.parametrize(("name", "given", "points"), REAL)
def test_union_of_tiles_is_the_real_file_again_bit_for_bit(
    samples: Path, tmp_path: Path, name: str, given: str | None, points: int
) -> None:
    path = samples / "pointcloud" / name
    answer = crs_in(path)
    assert given or answer is not None
    tiles, counts = split(path, tmp_path, given or answer.to_wkt())  # type: ignore[union-attr]
    assert (counts.placed, counts.lost, counts.rejected) == (points, 0, 0)
    paths = tile_paths(tmp_path, tiles)
    assert np.array_equal(sorted_records(paths), sorted_records([path]))
    source = laspy.read(path)
    clouds = [laspy.read(p) for p in paths]
    assert sum(len(c.points) for c in clouds) == points == sum(t.quantities.points for t in tiles)
    for axis in "XYZ":
        assert sum(int(np.asarray(c.points[axis], np.int64).sum()) for c in clouds) == int(np.asarray(source.points[axis], np.int64).sum())
    for tile, cloud in zip(tiles, clouds, strict=True):
        header = cloud.header
        assert (header.version.major, header.version.minor) == (1, 4)
        assert header.point_format.id == source.header.point_format.id
        assert list(header.scales) == list(source.header.scales)
        assert list(header.offsets) == list(source.header.offsets)
        assert header.creation_date == source.header.creation_date
        assert header.generating_software == "mapex"
        assert np.allclose(header.mins, cloud.xyz.min(axis=0), atol=1e-9)
        assert np.allclose(header.maxs, cloud.xyz.max(axis=0), atol=1e-9)
        returns = np.bincount(np.asarray(cloud.return_number), minlength=16)[1:16]
        assert list(header.number_of_points_by_return) == returns.tolist()
        verify(tmp_path / tile.path, tile)
        found = crs_in(tmp_path / tile.path)
        assert found is not None
        assert same_place(found, pyproj.CRS(given) if given else answer)  # type: ignore[arg-type]


def test_same_file_gives_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    path = samples / "pointcloud" / "autzen_trim.laz"
    crs = crs_in(path)
    assert crs is not None
    first, _ = split(path, tmp_path / "a", crs.to_wkt())
    again, _ = split(path, tmp_path / "b", crs.to_wkt())
    assert first == again
    made = a_las(tmp_path / "m.laz", 200_000, point_format=6, drive=True, spread_m=3000)
    assert split(made, tmp_path / "c", "EPSG:32632")[0] == split(made, tmp_path / "d", "EPSG:32632")[0]


def test_records_of_the_source_go_over_unchanged_when_they_say_the_right_place(samples: Path, tmp_path: Path) -> None:
    path = samples / "pointcloud" / "autzen_trim.laz"
    crs = crs_in(path)
    assert crs is not None
    tiles, _ = split(path, tmp_path, crs.to_wkt())
    with path.open("rb") as stream:
        source = read_header(stream)
    with (tmp_path / tiles[0].path).open("rb") as stream:
        tile = read_header(stream)
    assert [v for v in tile.vlrs if v.user != "laszip encoded"] == [v for v in source.vlrs if v.user != "laszip encoded"]
    assert tile.guid == source.guid
    assert not tile.encoding & 16  # the source's GeoTIFF keys rule, as in a 1.2 file


@pytest.mark.parametrize("point_format", [3, 6])
def test_wrong_or_absent_crs_in_the_file_is_replaced_by_the_one_it_was_placed_with(tmp_path: Path, point_format: int) -> None:
    for answer in (None, "EPSG:4978"):
        path = a_las(tmp_path / f"{answer}.laz", 200, point_format=point_format, crs=answer if point_format == 6 else None)
        tiles, _ = split(path, tmp_path / f"out{answer}", "EPSG:32632")
        with (tmp_path / f"out{answer}" / tiles[0].path).open("rb") as stream:
            header = read_header(stream)
        assert [(v.user, v.record) for v in header.vlrs if v.user == "LASF_Projection"] == [("LASF_Projection", 2112)]
        assert header.encoding & 16
        found = file_crs(header).crs
        assert found is not None
        assert found.to_epsg() == 32632


def test_wkt_flag_is_set_where_the_point_format_demands_it(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 200, point_format=6)
    data = bytearray(path.read_bytes())
    data[6] &= ~16 & 0xFF  # a writer that forgot the flag
    path.write_bytes(bytes(data))
    tiles, _ = split(path, tmp_path / "out", "EPSG:32632")
    assert (tmp_path / "out" / tiles[0].path).read_bytes()[6] & 16


@pytest.mark.parametrize("point_format", [3, 6])
def test_chunks_inside_a_cell_are_copied_byte_for_byte(tmp_path: Path, point_format: int) -> None:
    path = a_las(tmp_path / "a.laz", 400_000, point_format=point_format, drive=True, spread_m=1600)
    tiles, counts = split(path, tmp_path / "out", "EPSG:32632")
    assert counts.placed == 400_000
    assert 50_000 <= counts.copied < 400_000
    assert np.array_equal(sorted_records(tile_paths(tmp_path / "out", tiles)), sorted_records([path]))
    with path.open("rb") as stream:
        header = read_header(stream)
        chunks = Packing(header).chunks(stream, header)
    assert chunks is not None
    data = path.read_bytes()
    bodies = [p.read_bytes() for p in tile_paths(tmp_path / "out", tiles)]
    copied = [c for c in chunks if any(data[c.at : c.at + c.size] in body for body in bodies)]
    assert sum(c.count for c in copied) == counts.copied


def test_plain_las_and_packed_laz_of_the_same_points_give_the_same_points(tmp_path: Path) -> None:
    plain = a_las(tmp_path / "a.las", 60_000, point_format=7, extra=True, spread_m=3000)
    packed = a_las(tmp_path / "a.laz", 60_000, point_format=7, extra=True, spread_m=3000)
    one, _ = split(plain, tmp_path / "one", "EPSG:32632")
    two, _ = split(packed, tmp_path / "two", "EPSG:32632")
    assert [(t.cell, t.quantities.points) for t in one] == [(t.cell, t.quantities.points) for t in two]
    for a, b in zip(tile_paths(tmp_path / "one", one), tile_paths(tmp_path / "two", two), strict=True):
        assert np.array_equal(sorted_records([a]), sorted_records([b]))


def test_waiting_points_stay_within_their_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiles.points import las_split

    path = a_las(tmp_path / "a.laz", 120_000, point_format=6, spread_m=4000)
    monkeypatch.setattr(las_split, "_WAITING_BYTES", 100_000)
    tiles, counts = split(path, tmp_path / "out", "EPSG:32632")
    assert counts.placed == 120_000
    assert np.array_equal(sorted_records(tile_paths(tmp_path / "out", tiles)), sorted_records([path]))


def test_long_wkt_behind_the_points_of_a_source_is_kept(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 100, point_format=6, crs=None)
    data = bytearray(path.read_bytes())
    wkt = pyproj.CRS("EPSG:32632").to_wkt().encode()
    long = b"LASF_Spec".ljust(16, b"\0")
    struct.pack_into("<QI", data, 235, len(data), 2)
    data += struct.pack("<H16sHQ32s", 0, b"LASF_Projection", 2112, len(wkt), b"") + wkt
    data += struct.pack("<H16sHQ32s", 0, long, 3, 70_000, b"") + b"t" * 70_000
    path.write_bytes(bytes(data))
    tiles, _ = split(path, tmp_path / "out", "EPSG:32632")
    out = tmp_path / "out" / tiles[0].path
    with out.open("rb") as stream:
        header = read_header(stream)
    assert [v.data for v in header.vlrs if v.record == 2112] == [wkt]
    assert [v.data for v in header.evlrs] == [b"t" * 70_000]
    assert len(laspy.read(out).points) == tiles[0].quantities.points
    verify(out, tiles[0])


def test_as_many_records_as_a_source_may_have_fit_into_its_tiles(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 2_000, point_format=6)
    cloud = laspy.read(path)
    own = len(cloud.header.vlrs) + 1  # and that of LASzip, which laspy writes
    cloud.header.vlrs.extend(laspy.VLR("a firm", number, "", b"%d" % number) for number in range(MAX_VLRS - own))
    cloud.header.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("a firm", number, "", b"far") for number in range(MAX_VLRS)])
    cloud.write(path)
    tiles, counts = split(path, tmp_path / "out", "EPSG:32632")
    assert counts.placed == 2_000
    for tile in tiles:
        verify(tmp_path / "out" / tile.path, tile)
        assert sum(vlr.user_id == "a firm" for vlr in laspy.read(tmp_path / "out" / tile.path).header.vlrs) >= MAX_VLRS - own


def test_every_false_claim_of_a_record_is_found(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 5000, spread_m=100)
    tiles, _ = split(path, tmp_path / "out", "EPSG:32632")
    tile = tiles[0]
    file = tmp_path / "out" / tile.path
    verify(file, tile)
    false = {
        "tile.count": replace(tile, quantities=replace(tile.quantities, points=tile.quantities.points + 1)),
        "tile.cell": replace(tile, cell=tile.cell + 4),
    }
    for code, record in false.items():
        with pytest.raises(InvalidContent) as caught:
            verify(file, record)
        assert caught.value.code == code


def test_verify_does_not_believe_the_header_of_a_tile(tmp_path: Path) -> None:
    import hashlib

    path = a_las(tmp_path / "a.laz", 5000, point_format=6, spread_m=100)
    tiles, _ = split(path, tmp_path / "out", "EPSG:32632")
    file = tmp_path / "out" / tiles[0].path
    data = bytearray(file.read_bytes())
    struct.pack_into("<Q", data, 247, tiles[0].quantities.points + 7)
    file.write_bytes(bytes(data))
    digest = hashlib.sha256(bytes(data)).hexdigest()
    liar = replace(tiles[0], sha256=digest, quantities=replace(tiles[0].quantities, points=tiles[0].quantities.points + 7))
    with pytest.raises(InvalidContent):
        verify(file, liar)


@pytest.mark.parametrize("point_format", [3, 6])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_cut_laz_gives_no_invented_point_and_says_that_points_are_missing(tmp_path: Path, point_format: int, share: float) -> None:
    path = a_las(tmp_path / "a.laz", 120_000, point_format=point_format)
    whole = set(sorted_records([path]).tolist())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidContent):
        list(split_laz(path, tmp_path / "strict", layer="points", part=0, crs="EPSG:32632"))
    try:
        tiles, counts = split(path, tmp_path / "out", "EPSG:32632")
    except InvalidContent as why:
        assert why.code in ("laz.chunks", "laz.broken")
        return
    assert counts.lost > 0
    assert counts.fault
    assert counts.placed + counts.lost == counts.claimed == 120_000
    if tiles:
        assert set(sorted_records(tile_paths(tmp_path / "out", tiles)).tolist()) <= whole


def test_cut_las_keeps_what_is_there_and_counts_what_is_lost(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 1000, spread_m=10)
    data = path.read_bytes()
    path.write_bytes(data[: -(34 * 400 + 5)])
    tiles, counts = split(path, tmp_path / "out", "EPSG:32632")
    assert (counts.placed, counts.lost) == (599, 401)
    assert sum(t.quantities.points for t in tiles) == 599
    assert "ends after 599" in counts.fault


def test_damaged_chunk_does_not_sink_its_neighbours(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 200_000, point_format=6)
    with path.open("rb") as stream:
        header = read_header(stream)
        chunks = Packing(header).chunks(stream, header)
    assert chunks is not None
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, chunks[1].at + 30, 999)  # the number of points that the chunk says it has
    path.write_bytes(bytes(data))
    _, counts = split(path, tmp_path / "out", "EPSG:32632")
    assert (counts.placed, counts.lost) == (150_000, 50_000)
    assert "999" in counts.fault


def test_bytes_turned_over_anywhere_never_crash_and_never_add_points(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 20_000, point_format=6, spread_m=500)
    data = path.read_bytes()
    rng = np.random.default_rng(5)
    bad = tmp_path / "bad.laz"
    for i in range(150):
        mutated = bytearray(data)
        for at in rng.integers(0, 2400 if i % 2 else len(data), 3):
            mutated[at] ^= int(rng.integers(1, 256))
        bad.write_bytes(bytes(mutated))
        try:
            tiles, counts = split(bad, tmp_path / f"out{i}", "EPSG:32632")
        except InvalidContent:
            continue
        assert sum(t.quantities.points for t in tiles) == counts.placed
        assert counts.placed + counts.rejected + counts.lost == counts.claimed


def test_chunk_table_that_promises_a_bomb_is_refused(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 1000, point_format=6)
    data = bytearray(path.read_bytes())
    offset = struct.unpack_from("<I", data, 96)[0]
    table = struct.unpack_from("<q", data, offset)[0]
    struct.pack_into("<I", data, table + 4, 0xFFFFFFF0)
    path.write_bytes(bytes(data))
    with pytest.raises(InvalidContent) as caught:
        split(path, tmp_path / "out", "EPSG:32632")
    assert caught.value.code == "laz.chunks"


def test_count_that_contradicts_the_chunks_is_refused(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 1000, point_format=6)
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 247, 4_000_000_000)
    path.write_bytes(bytes(data))
    with pytest.raises(InvalidContent) as caught:
        split(path, tmp_path / "out", "EPSG:32632")
    assert caught.value.code in ("laz.chunks", "laz.broken")


def test_packed_waveform_formats_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 10)
    data = bytearray(path.read_bytes())
    data[104] = 0x80 | 4
    struct.pack_into("<H", data, 105, 57)
    path.write_bytes(bytes(data) + bytes(500))
    with pytest.raises(InvalidContent) as caught:
        split(path, tmp_path / "out", "EPSG:32632")
    assert caught.value.code == "las.waveform"
    assert "Export" in caught.value.message


@pytest.mark.parametrize(("point_format", "version"), [(4, "1.3"), (5, "1.3"), (9, "1.4"), (10, "1.4")])
def test_points_with_waveforms_come_in_without_them(point_format: int, version: str, tmp_path: Path) -> None:
    """Every field but the reference to the wave is as laspy reads it; the waves behind the points are no points."""
    path = a_las(tmp_path / "a.las", 1000, point_format=point_format, version=version, extra=True)
    body = bytearray(path.read_bytes())
    if version == "1.3":
        struct.pack_into("<Q", body, 227, len(body))
    path.write_bytes(bytes(body) + (bytes(60) + b"wave" * 500 if version == "1.3" else b""))
    read = laspy.read(tmp_path / "a.las")
    tiles, counts = split(path, tmp_path / "out", "EPSG:32632")
    assert (counts.placed, counts.lost) == (1000, 0)
    parts = [laspy.read(tmp_path / "out" / tile.path) for tile in tiles]
    assert {part.header.point_format.id for part in parts} == {{4: 1, 5: 3, 9: 6, 10: 8}[point_format]}
    for name in parts[0].point_format.dimension_names:
        assert sorted(np.concatenate([part[name] for part in parts]).tolist()) == sorted(np.asarray(read[name]).tolist()), name
    report = report_of(path, Placement())
    (left_out,) = [one for one in report["findings"] if one["code"] == "las.waves_left_out"]
    assert left_out["count"] == 1000
    assert not [one["code"] for one in report["findings"] if one["severity"] == "error"]


def test_point_without_a_place_is_counted_not_lost(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 100, crs="EPSG:4326", at=(8.4, 49.0, 0.0), spread_m=0.001, scale=1e-7, point_format=6)
    data = bytearray(path.read_bytes())
    offset, length = struct.unpack_from("<I", data, 96)[0], 30
    struct.pack_into("<i", data, offset + 7 * length + 4, 2_000_000_000)  # 249 degrees of latitude
    path.write_bytes(bytes(data))
    tiles, counts = split(path, tmp_path / "out", "EPSG:4326")
    assert (counts.placed, counts.rejected) == (99, 1)
    assert "outside" in counts.first_rejected
    assert sum(t.quantities.points for t in tiles) == 99
    with pytest.raises(InvalidContent):
        list(split_laz(path, tmp_path / "strict", layer="points", part=0, crs="EPSG:4326"))


def test_memory_stays_bounded_whatever_the_size(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.laz", 1_500_000, point_format=7, drive=True, spread_m=20_000)
    assert path.stat().st_size < 40_000_000  # unpacked it is 54 MB, as arrays of laspy much more
    code = (
        "import sys; from pathlib import Path; from tiles.points.las_split import split_laz\n"
        "tiles = list(split_laz(Path(sys.argv[1]), Path(sys.argv[2]), layer='points', part=0, crs='EPSG:32632'))\n"
        "assert sum(t.quantities.points for t in tiles) == 1_500_000\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "out")],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert int(done.stdout) / 1024 <= 250
