"""Uploads become sources; names become safe; zips are looked into before they are opened."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from ingest.cage import paths
from ingest import grouping
from ingest.tasks import unpack
from mapex.errors import Invalid


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


def test_grouping_does_not_depend_on_the_order_of_uploads() -> None:
    uploads = ["z.las", "a.las", "s.shp", "s.dbf", "1.jpg", "2.jpg"]
    assert grouping.group(uploads) == grouping.group(reversed(uploads))


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
