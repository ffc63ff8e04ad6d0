"""The head of a LAS file is believed in nothing: every claim is measured against the bytes that are there."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import laspy
import pytest

from tests.support.clouds import a_las
from tiles.errors import InvalidContent
from tiles.points.header import Vlr, carried, evlr_bytes, header_bytes, read_header, tile_template
from tiles.points.records import SplitCounts, all_records


def altered(path: Path, at: int, form: str, *values: float) -> io.BytesIO:
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, at, *values)
    return io.BytesIO(bytes(data))


def refusal(stream: io.BytesIO) -> str:
    with pytest.raises(InvalidContent) as caught:
        read_header(stream)
    assert len(caught.value.message) > 30  # a sentence
    return caught.value.code


@pytest.mark.parametrize(("point_format", "version"), [(0, "1.1"), (1, "1.2"), (3, "1.2"), (2, "1.3"), (3, "1.4"), (6, "1.4"), (8, "1.4")])
def test_header_says_what_laspy_says(tmp_path: Path, point_format: int, version: str) -> None:
    path = a_las(tmp_path / "a.las", 500, point_format=point_format, version=version, extra=point_format == 6)
    with path.open("rb") as stream:
        ours = read_header(stream)
    with laspy.open(path) as reader:
        theirs = reader.header
        assert (ours.version, ours.point_format, ours.count) == ((theirs.version.major, theirs.version.minor), point_format, 500)
        assert (ours.point_offset, ours.record_length) == (theirs.offset_to_point_data, theirs.point_format.size)
        assert (ours.scales, ours.offsets) == (tuple(theirs.scales), tuple(theirs.offsets))
        assert (ours.mins, ours.maxs) == (tuple(theirs.mins), tuple(theirs.maxs))
        assert sum(ours.by_return) == 500
        assert [(v.user, v.record) for v in ours.vlrs] == [(v.user_id, v.record_id) for v in theirs.vlrs]
    assert ours.room == 500


def test_every_cut_of_the_header_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 5, point_format=6)
    data = path.read_bytes()
    offset = struct.unpack_from("<I", data, 96)[0]
    for end in [*range(0, 400), offset - 1]:
        assert refusal(io.BytesIO(data[:end])) in ("las.signature", "las.cut", "las.header", "las.vlr")


def test_claim_of_four_billion_records_is_refused_at_once(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 10, point_format=6)
    assert refusal(altered(path, 100, "<I", 0xFFFFFFFF)) == "las.vlr"
    assert refusal(altered(path, 235, "<QI", 1000, 0xFFFFFFFF)) == "las.evlr"


def test_records_that_reach_into_the_points_or_beyond_the_file_are_refused(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 10, point_format=6)
    assert refusal(altered(path, 375 + 20, "<H", 60_000)) == "las.vlr"
    size = path.stat().st_size
    assert refusal(altered(path, 235, "<QI", size - 4, 1)) == "las.evlr"
    assert refusal(altered(path, 235, "<QI", size + 100, 1)) == "las.evlr"
    assert refusal(altered(path, 235, "<QI", 10, 1)) == "las.evlr"


IMPOSSIBLE = [
    (104, "<B", 11),  # point format
    (105, "<H", 10),  # record length
    (24, "<B", 2),  # version
    (25, "<B", 9),
    (131, "<d", 0.0),  # scale
    (155, "<d", float("nan")),  # offset
    (94, "<H", 100),  # header size
]


@pytest.mark.parametrize(("at", "form", "value"), IMPOSSIBLE)
def test_impossible_field_is_refused(tmp_path: Path, at: int, form: str, value: float) -> None:
    assert refusal(altered(a_las(tmp_path / "a.las", 10), at, form, value)) == "las.header"


def test_points_that_begin_behind_the_end_are_a_cut_file(tmp_path: Path) -> None:
    assert refusal(altered(a_las(tmp_path / "a.las", 10), 96, "<I", 1 << 30)) == "las.cut"


def test_false_count_costs_no_memory_and_invents_no_point(tmp_path: Path) -> None:
    stream = altered(a_las(tmp_path / "a.las", 10, crs=None), 107, "<I", 100_000_000)
    header = read_header(stream)
    assert (header.count, header.room) == (100_000_000, 10)
    tally = SplitCounts()
    assert sum(len(r) for r in all_records(stream, header, tally)) == 10
    assert (tally.claimed, tally.lost) == (100_000_000, 99_999_990)
    assert "ends after 10" in tally.fault


def test_written_header_is_read_again_the_same(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 100, point_format=6, extra=True)
    with path.open("rb") as stream:
        source = read_header(stream)
    long = Vlr("LASF_Projection", 2111, b"long", b"x" * 70_000)
    template = tile_template(source, [*carried(source.vlrs), long], wkt=True, laszip=bytes(40))
    head = header_bytes(template, evlr_at=len(header_bytes(template)))
    again = read_header(io.BytesIO(head + evlr_bytes(template)))
    assert again.vlr("LASF_Projection", 2111) == long
    assert [v for v in again.vlrs if v.user != "laszip encoded"] == list(carried(source.vlrs))
    assert (again.version, again.point_format, again.scales, again.offsets) == ((1, 4), 6, source.scales, source.offsets)
    assert again.software.rstrip(b"\0") == b"mapex"
    assert again.encoding & 16


def test_records_about_the_arrangement_of_the_source_are_not_carried() -> None:
    records = [Vlr("copc", 1, b"", b""), Vlr("laszip encoded", 22204, b"", b""), Vlr("LASF_Spec", 4, b"", b""), Vlr("copc", 1000, b"", b"")]
    assert carried(records) == (records[2],)
