"""Uploads become sources; names become safe; zips are looked into before they are opened."""

from __future__ import annotations

import io
import itertools
import stat
import struct
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import grouping
from ingest.cage import paths
from ingest.conversion import layout
from ingest.formats import is_junk
from ingest.tasks import unpack
from mapex.errors import Invalid
from mapex.rules.parts import ASIDE, SHAPE_PARTS, shape_stem


def names(found: grouping.Grouping) -> list[tuple[str, int]]:
    return [(group.name, len(group.members)) for group in found.groups]


def test_files_that_belong_together_are_one_source() -> None:
    uploads = ["b/roads.dbf", "b/roads.shp", "b/roads.shx", "b/roads.PRJ", "b/walks.shp", "map.osm", "1.JPG", "x/2.jpg", "__MACOSX/._1.JPG"]
    uploads += ["o/c.nodes.geojson", "o/c.edges.geojson", "bag/metadata.yaml", "bag/r_0.mcap", "other.mcap"]
    assert names(grouping.group(uploads)) == [
        ("map.osm", 1),
        ("other.mcap", 1),
        ("o (2 files)", 2),
        ("2 photos", 2),
        ("bag (2 files)", 2),
        ("b/roads.shp", 4),
        ("b/walks.shp", 1),
    ]


def test_chapters_and_pieces_of_a_video_and_its_track_are_one_source() -> None:
    uploads = ["GX010042.MP4", "GX020042.MP4", "GX010043.MP4", "GH010042.MP4", "GOPR0007.MP4", "GP010007.MP4"]
    uploads += ["GX010042.LRV", "GX010042.THM", "front/20260921_120000_F.mp4", "front/20260921_120100_F.mp4", "front/20260921_120000_R.mp4"]
    uploads += ["walk.mov", "walk.gpx", "other.gpx", "a/walk.csv", "same.mp4", "same.mov"]
    found = grouping.group(uploads)
    assert {frozenset(one.members) for one in found.groups} == {
        frozenset({"GX010042.MP4", "GX020042.MP4"}), frozenset({"GX010043.MP4"}), frozenset({"GH010042.MP4"}),
        frozenset({"GOPR0007.MP4", "GP010007.MP4"}), frozenset({"front/20260921_120000_F.mp4", "front/20260921_120100_F.mp4"}),
        frozenset({"front/20260921_120000_R.mp4"}), frozenset({"walk.mov", "walk.gpx"}), frozenset({"other.gpx"}),
        frozenset({"a/walk.csv"}), frozenset({"same.mp4"}), frozenset({"same.mov"}),
    }  # fmt: skip
    assert set(found.left) == {"GX010042.LRV", "GX010042.THM"}
    assert ("walk.mov and 1 more", 2) in names(found)
    assert len(grouping.group_archive(uploads).groups) == len(found.groups), "recordings of one archive stay apart"


def test_grouping_does_not_depend_on_the_order_of_uploads() -> None:
    uploads = ["z.las", "a.las", "s.shp", "s.dbf", "1.jpg", "2.jpg"]
    assert grouping.group(uploads) == grouping.group(reversed(uploads))


def test_only_its_own_parts_join_a_shapefile() -> None:
    beside = ["roads.gpkg", "roads.geojson", "roads (1).geojson", "roads_2.shp", "roads.v2.shp", "roads.v2.dbf", "other.dbf"]
    found = grouping.group(["roads.shp", "roads.dbf", "roads.shx", "roads.shp.xml", "roads.sbn", *beside])
    members = {group.name: group.members for group in found.groups}
    assert members["roads.shp"] == ("roads.dbf", "roads.sbn", "roads.shp", "roads.shp.xml", "roads.shx")
    assert members["roads.v2.shp"] == ("roads.v2.dbf", "roads.v2.shp")
    assert set(members) == {"roads.shp", "roads.v2.shp", "roads_2.shp", "roads.gpkg", "roads.geojson", "roads (1).geojson", "other.dbf"}


def test_capitals_and_forms_of_accents_part_no_shapefile() -> None:
    found = grouping.group(["ROADS.SHP", "roads.DBF", "Roads.prj", "\u1103\u1169\u1105\u1169.shp", "\ub3c4\ub85c.dbf"])
    assert [len(group.members) for group in found.groups] == [3, 2]


def test_two_shapefiles_that_differ_in_capitals_stay_two() -> None:
    found = grouping.group(["roads.SHP", "roads.shp", "roads.dbf", "Walks.shp", "Walks.dbf", "walks.shp", "walks.dbf"])
    assert sorted(group.members for group in found.groups) == [
        ("Walks.dbf", "Walks.shp"),
        ("roads.SHP", "roads.dbf"),
        ("roads.shp",),
        ("walks.dbf", "walks.shp"),
    ]


RECORDED: list[tuple[list[str], list[list[str]]]] = [
    (["a.bag", "b.bag", "a.gpx", "c.gpx"], [["a.bag", "a.gpx"], ["b.bag"], ["c.gpx"]]),
    (["d/a_0.bag", "d/a_1.bag", "d/way.csv", "e/other.csv"], [["d/a_0.bag", "d/a_1.bag", "d/way.csv"], ["e/other.csv"]]),
    (["r/metadata.yaml", "r/r_0.db3", "r/r_0.db3-wal"], [["r/metadata.yaml", "r/r_0.db3", "r/r_0.db3-wal"]]),
    (["x.db3", "x.db3-shm", "x.db3-wal", "y.db3"], [["x.db3", "x.db3-shm", "x.db3-wal"], ["y.db3"]]),
    (["f/only.db3.zstd", "f/way.nmea"], [["f/only.db3.zstd", "f/way.nmea"]]),
    (["metadata.yaml", "r_0.mcap.zst", "r_1.mcap.zst"], [["metadata.yaml", "r_0.mcap.zst", "r_1.mcap.zst"]]),
    (["x_0.mcap", "x_1.mcap", "y_0.mcap", "x.gpx", "x/a.mcap"], [["x_0.mcap", "x_1.mcap", "x.gpx"], ["y_0.mcap"], ["x/a.mcap"]]),
    (["r_0.db3", "r_0.db3-wal", "r_1.db3", "r_1.mcap"], [["r_0.db3", "r_0.db3-wal", "r_1.db3"], ["r_1.mcap"]]),
    (["m/x.gpx", "m/x.mcap", "m/y.mcap", "metadata.yaml"], [["m/x.gpx", "m/x.mcap"], ["m/y.mcap"], ["metadata.yaml"]]),
]


@pytest.mark.parametrize(("uploads", "wanted"), RECORDED)
def test_a_folder_of_bags_is_one_recording_and_logs_and_tracks_go_with_theirs(uploads: list[str], wanted: list[list[str]]) -> None:
    assert sorted(list(one.members) for one in grouping.group(uploads).groups) == sorted(map(sorted, wanted))


BESIDE = ["roads.cst", "roads.qmd", "roads.qml", "roads.sld", "roads.NAME.atx", "roads.aih", "roads.ixs", "roads.fbn", "roads.lyr"]
BESIDE += ["map.gpkg-wal", "map.gpkg-shm", "map.gpkg.aux.xml", "cloud.prj", "cloud.wkt", "map.xml", "map.gpkg.xml", "LICENSE", "README.md"]
BESIDE += ["읽어보세요.txt", "report.PDF", "x.metadata.json", "Thumbs.db", "__MACOSX/._roads.shp"]


def test_what_stands_beside_data_is_left_and_named_in_one_finding() -> None:
    found = grouping.group(["roads.shp", "roads.dbf", "map.gpkg", "cloud.las", *BESIDE])
    assert [group.name for group in found.groups] == ["cloud.las", "map.gpkg", "roads.shp"]
    assert set(found.left) == set(BESIDE)
    (finding,) = found.findings("delivery")
    assert (finding.severity, finding.code, finding.file, finding.count) == ("info", "file.ignored", "delivery", len(BESIDE))
    assert "LICENSE" in finding.message and f"and {len(BESIDE) - 8} more" in finding.message


def test_a_description_without_its_data_is_read_and_refused_by_its_reader() -> None:
    assert names(grouping.group(["a.xml", "b.las", "a.prj"])) == [("a.xml", 1), ("b.las", 1)]
    assert names(grouping.group(["license_plates.geojson", "metadata.gpkg"])) == [("license_plates.geojson", 1), ("metadata.gpkg", 1)]


def test_where_nothing_else_is_there_what_stands_beside_is_taken_for_data() -> None:
    assert names(grouping.group(["cloud.txt", ".DS_Store"])) == [("cloud.txt", 1)]


def test_all_shapefiles_of_an_archive_are_one_source_and_every_other_file_its_own() -> None:
    found = grouping.group_archive(
        ["d/a.shp", "d/a.dbf", "d/b.shp", "e/c.gpkg", "f/d.gpkg", "inner.zip", "x_0.mcap", "x_1.mcap", "d/LICENSE"]
    )
    assert names(found) == [("e/c.gpkg", 1), ("f/d.gpkg", 1), ("inner.zip", 1), ("x_*.mcap (2 files)", 2), ("2 shapefiles", 3)]
    assert found.left == ("d/LICENSE",)


STEMS = st.sampled_from(
    [
        "x",
        "x_0",
        "x_1",
        "x_*",
        "x/a_1",
        "roads",
        "Roads",
        "a.b",
        "ROADS.shp",
        "도로",
        "c.nodes",
        "LICENSE",
        "metadata",
        "d/roads",
        "d/metadata",
    ]
)
ENDINGS = st.sampled_from(
    [
        *(*SHAPE_PARTS, *(e.upper() for e in SHAPE_PARTS), *ASIDE, ".gpkg", ".geojson", ".xml", ".yaml", ".mcap", ".jpg", ".las", ""),
        *(".bag", ".db3", ".db3-wal", ".gpx", ".csv", ".mcap.zstd"),
    ]
)


@given(st.sets(st.builds(str.__add__, STEMS, ENDINGS)))
def test_every_name_is_in_one_group_or_left(uploads: set[str]) -> None:
    for found in (grouping.group(uploads), grouping.group_archive(uploads)):
        grouped = [member for group in found.groups for member in group.members]
        assert sorted([*grouped, *found.left]) == sorted(uploads)
        assert found.groups or not uploads or all(map(is_junk, uploads))
        assert len({group.name for group in found.groups}) == len(found.groups)


@dataclass(frozen=True)
class Sized:
    number: int
    size: int


@given(st.lists(st.integers(0, 2 * layout.MOST_BYTES), max_size=200))
def test_every_source_is_in_one_bundle_and_large_ones_are_alone(sizes: list[int]) -> None:
    sources = [Sized(number, size) for number, size in enumerate(sizes)]
    bundles = layout.bundled(sources)
    assert sorted((one for bundle in bundles for one in bundle), key=lambda one: one.number) == sources
    for bundle in bundles:
        assert list(bundle) == sorted(bundle, key=lambda one: one.number)
        assert len(bundle) == 1 or (sum(one.size for one in bundle) <= layout.MOST_BYTES and len(bundle) <= layout.MOST_SOURCES)


NAMES = st.lists(
    st.lists(
        st.text(st.sampled_from("aAé가e\u0301 .~_-:?#\\1\x00") | st.characters(exclude_characters="/"), min_size=1, max_size=8)
        | st.sampled_from(
            ["x.jpg", "x", "x.shp", "x.dbf", "x.shp.xml", "CON", "가" * 85, "a" * 250 + ".shp", "a" * 250 + ".dbf", "~1", "x~1"]
        ),
        min_size=1,
        max_size=4,
    ).map("/".join),
    unique=True,
    max_size=12,
)


@given(NAMES)
def test_every_name_has_a_place_of_its_own_that_any_disk_takes(names: list[str]) -> None:
    inside = paths.inside_names(names)
    assert list(sorted(inside)) == sorted(names)
    places = list(inside.values())
    assert len(set(places)) == len(places)
    for place in places:
        assert not any(other.startswith(f"{place}/") for other in places), "a file where another has its folder"
        segments = place.split("/")
        assert all(0 < len(one.encode()) <= 255 and one not in (".", "..") and one.isprintable() for one in segments)
        assert len(place.encode()) < 1000


@given(NAMES)
def test_parts_of_one_shapefile_stay_together_and_those_of_two_apart(names: list[str]) -> None:
    inside = paths.inside_names(names)

    stems = {name: shape_stem(name) for name in names}
    for one, other in itertools.combinations([name for name, stem in stems.items() if stem is not None], 2):
        composed = [unicodedata.normalize("NFC", str(stems[name])) for name in (one, other)]
        together = shape_stem(inside[one]) == shape_stem(inside[other])
        assert together if stems[one] == stems[other] else not together or composed[0] == composed[1]


def test_a_part_whose_accents_have_another_form_stays_with_its_shapefile() -> None:
    inside = paths.inside_names(["e\u0301.dbf", "\u00e9.shp"])
    assert sorted(inside.values()) == ["\u00e9.dbf", "\u00e9.shp"]


def test_safe_names_stay_as_they_are() -> None:
    names = ["d/a_1.jpg", "d/a:1.jpg", "d/a?1.jpg", "도로/A1_NODE.shp", "x.jpg"]
    inside = paths.inside_names(names)
    assert [inside[name] for name in (names[0], *names[3:])] == [names[0], *names[3:]]


@pytest.mark.parametrize("form", ["{}.jpg", "{}/a.jpg", "{}"])
def test_thousands_of_names_that_become_one_cost_a_few_numbers_each(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    numbered, numbers = paths._numbered, itertools.count()

    def counted(name: str, number: int) -> str:
        next(numbers)
        return numbered(name, number)

    monkeypatch.setattr(paths, "_numbered", counted)
    names = [form.format(chr(one) + chr(other)) for one in range(0x2600, 0x2620) for other in range(0x2600, 0x2620)]
    assert len(set(paths.inside_names(names).values())) == len(names)
    assert next(numbers) <= 4 * len(names)


@given(st.lists(st.sampled_from(["a", "a.jpg", "2/a", "3/a", "2/2/a", "b"])))
def test_files_of_one_name_become_files_of_several(names: list[str]) -> None:
    found = layout.distinct_names(names)
    assert len(set(found)) == len(names)
    assert all(one.endswith(name) for name, one in zip(names, found, strict=True))
    first = [found[names.index(name)] for name in names]
    assert first == names


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/abs/path.las", "abs/path.las"),
        ("도로\x00망.shp", "도로_망.shp"),
        ("a\\b.osm", "a/b.osm"),
        ("...hidden", "hidden"),
        ("-rf.las", "rf.las"),
        ("x" * 300 + ".laz", "x" * 96 + ".laz"),
        ("가" * 100 + ".laz", "가" * 32 + ".laz"),
    ],
)
def test_names_are_safe_on_disk(name: str, safe: str) -> None:
    assert paths.safe_name(name) == safe


def test_name_of_nothing_is_refused() -> None:
    with pytest.raises(Invalid):
        paths.safe_name("../..")


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


def test_zip_is_unpacked_without_junk_and_without_leaving_its_folder(tmp_path: Path) -> None:
    packed = pack(tmp_path / "a.zip", {"../up.geojson": b"1", "d/x.geojson": b"22", "__MACOSX/._x": b"j", "d/.DS_Store": b"j"})
    found = unpack.unpack(packed, "a.zip", tmp_path / "out")
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in found.files) == ["d/x.geojson", "up.geojson"]
    assert found.size == 3
    assert not (tmp_path / "up.geojson").exists()


def test_zip_of_one_file_is_that_file(tmp_path: Path) -> None:
    found = unpack.unpack(pack(tmp_path / "a.zip", {"d/map.osm": b"<osm/>"}), "a.zip", tmp_path / "out")
    assert found.path.name == "map.osm"
    assert found.name == "a.zip"


def test_korean_names_without_the_utf8_flag_are_read(tmp_path: Path) -> None:
    packed = pack(tmp_path / "a.zip", {"XXXX.shp": b"1", "b.shp": b"2"})
    body = packed.read_bytes().replace(b"XXXX", "도로".encode("cp949"))
    packed.write_bytes(body)
    found = unpack.unpack(packed, "a.zip", tmp_path / "out")
    assert sorted(p.name for p in found.files) == ["b.shp", "도로.shp"]


def overlap(path: Path) -> Path:
    """Two names, one body: the trick of the 148 kB archive of 100 GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"same")
        archive.writestr("b", b"same")
    raw = bytearray(buffer.getvalue())
    second = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 4)
    raw[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(raw)
    return path


def link(path: Path) -> Path:
    entry = zipfile.ZipInfo("x.geojson")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return path


def test_folders_of_a_zip_are_bounded_before_any_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two megabytes of names became four million folders."""
    made: list[Path] = []
    monkeypatch.setattr(Path, "mkdir", lambda self, *args, **given: made.append(self))
    deep = pack(tmp_path / "d.zip", {f"{n}/" + "a/" * unpack.MAX_DEPTH + "x.osm": b"" for n in range(3)})
    monkeypatch.setattr(unpack, "MAX_FOLDERS", 50)
    many = pack(tmp_path / "m.zip", {f"{n}/a/x.osm": b"" for n in range(30)})
    for packed, limit in ((deep, unpack.MAX_DEPTH), (many, 50)):
        with pytest.raises(Invalid, match=rf"\b{limit}\b") as caught:
            unpack.unpack(packed, packed.name, tmp_path / "out")
        assert caught.value.code == "zip.folders"
    assert made == []


def test_folders_on_the_disk_are_few_however_deep_names_are(tmp_path: Path) -> None:
    names = [f"{n}/" + "a/" * 190 + "x.jpg" for n in range(100)]
    inside = paths.inside_names(names)
    assert len(set(inside.values())) == 100
    assert len({parent for there in inside.values() for parent in Path(there).parents}) <= 101


def test_zip_tricks_are_refused_by_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(path: Path) -> str:
        with pytest.raises(Invalid) as caught:
            unpack.unpack(path, path.name, tmp_path / "out")
        return caught.value.code

    assert code(overlap(tmp_path / "o.zip")) == "zip.bomb"
    assert code(link(tmp_path / "l.zip")) == "zip.link"
    assert code(pack(tmp_path / "b.zip", {"x": bytes(8 << 20)})) == "zip.bomb"
    (tmp_path / "cut.zip").write_bytes(pack(tmp_path / "c.zip", {"x": b"1" * 1000}).read_bytes()[:-30])
    assert code(tmp_path / "cut.zip") == "zip.damaged"
    monkeypatch.setattr(unpack, "MAX_ENTRIES", 2)
    assert code(pack(tmp_path / "m.zip", dict.fromkeys("abc", b""))) == "zip.too_many"
    monkeypatch.setattr(unpack, "MAX_UNPACKED", 10)
    assert code(pack(tmp_path / "u.zip", {"a": b"x" * 11})) == "zip.too_large"


def test_apollo_maps_are_text_and_no_documents() -> None:
    found = grouping.group(["town/base_map.txt", "town/notes.txt", "town/lanes.geojson"])
    assert [one.name for one in found.groups] == ["town/base_map.txt", "town/lanes.geojson"]
    assert found.left == ("town/notes.txt",)
