"""Photos through reader, splitter and recount: every file exactly once, byte for byte, in the cell where it was taken."""

from __future__ import annotations

import io
import json
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import piexif
import pytest
from PIL import Image

from ingest.reader import Source, Survey
from ingest.readers.recordings.photos import Photos
from ingest.readers.sniff import reader_for
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, EncodedTile
from tiles.errors import InvalidContent
from tiles.frames import photo_tar
from tiles.frames.splitter import FrameSplitter
from tiles.grid import grid
from tiles.recount import verify


def rational(value: float) -> tuple[int, int]:
    return round(value * 1_000_000), 1_000_000


def a_jpeg(lon: float | None = 127.1, lat: float | None = 37.4, *, xmp: bytes = b"", **tags: Any) -> bytes:
    """A small JPEG; `tags` replace entries of the GPS directory by their piexif names (None removes)."""
    gps: dict[int, Any] = {}
    if lon is not None and lat is not None:
        gps = {
            piexif.GPSIFD.GPSLatitudeRef: "N" if lat >= 0 else "S",
            piexif.GPSIFD.GPSLatitude: (rational(abs(lat)), (0, 1), (0, 1)),
            piexif.GPSIFD.GPSLongitudeRef: "E" if lon >= 0 else "W",
            piexif.GPSIFD.GPSLongitude: (rational(abs(lon)), (0, 1), (0, 1)),
            piexif.GPSIFD.GPSDateStamp: "2026:11:23",
            piexif.GPSIFD.GPSTimeStamp: ((3, 1), (4, 1), (5, 1)),
        }
    for name, value in tags.items():
        gps[getattr(piexif.GPSIFD, name)] = value
    gps = {k: v for k, v in gps.items() if v is not None}
    stream = io.BytesIO()
    more = {"xmp": xmp} if xmp else {}
    Image.new("RGB", (64, 48), (90, 120, 150)).save(stream, "JPEG", exif=piexif.dump({"GPS": gps}), **more)
    return stream.getvalue()


def a_folder(path: Path, **photos: bytes) -> Path:
    for name, body in photos.items():
        target = path / (name.replace("__", "/") + ".jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    return path


def split(path: Path, out: Path, given: Placement | None = None) -> tuple[list[EncodedTile], list[Finding], int, Survey]:
    """Tiles, findings, and how many rows had no position."""
    source = Source.of(path)
    reader = reader_for(source)
    assert reader.format == "photos"
    survey = reader.survey(source, given or Placement())
    splitter = FrameSplitter(out, layer="photos", part=0)
    found, unplaced = list(survey.findings), 0
    for entry in reader.read(source, survey.placed):
        if isinstance(entry, Finding):
            found.append(entry)
            continue
        good = np.isfinite(entry.table.column("lon").to_numpy())
        unplaced += int((~good).sum())
        splitter.add(Batch(entry.content, entry.layer, entry.kind, entry.table.filter(good), entry.crs, entry.meta))
    tiles = list(splitter.finish())
    for tile in tiles:
        verify(out / tile.path, tile)
    return tiles, found, unplaced, survey


def members(*paths: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in paths:
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                body = archive.extractfile(entry)
                assert body is not None and entry.name not in found
                if entry.name != ".trajectory.geojson":
                    found[entry.name] = body.read()
    return found


def test_real_photos_come_back_byte_for_byte_in_their_cells(samples: Path, tmp_path: Path) -> None:
    folder = samples / "recordings/photos_gps"
    tiles, found, unplaced, survey = split(folder, tmp_path)
    assert members(*(tmp_path / t.path for t in tiles)) == {p.name: p.read_bytes() for p in folder.iterdir()}
    assert {t.cell for t in tiles} == set(grid.cells_at([-122.572765, -122.576051], [45.516903, 45.510723]).tolist())
    assert [(t.quantities.features, t.quantities.frames, t.quantities.ms) for t in tiles] == [(1, 1, 0)] * 2
    assert (found, unplaced, survey.claimed, survey.placed.crs_source) == ([], 0, 2, Known.FILE)
    assert survey.box == pytest.approx((-122.576051, 45.510723, -122.572765, 45.516903), abs=1e-5)


def test_tile_keeps_capture_time_and_says_where_each_photo_was_taken(samples: Path, tmp_path: Path) -> None:
    tiles, _, _, _ = split(samples / "recordings/photos_gps", tmp_path)
    entries = {}
    for tile in tiles:
        with tarfile.open(tmp_path / tile.path) as archive:
            entries |= {entry.name: entry for entry in archive}
            way = archive.extractfile(".trajectory.geojson")
            assert way is not None
            (feature,) = json.load(way)["features"]
            assert feature["properties"]["name"] in entries
    assert entries["DSC00001.JPG"].mtime == datetime(2018, 6, 8, 20, 24, 11, tzinfo=UTC).timestamp()
    assert {(e.uid, e.gid, e.uname, e.mode) for e in entries.values()} == {(0, 0, "", 0o644)}


def test_same_photos_give_the_same_bytes_whatever_their_files_times(tmp_path: Path) -> None:
    photos = {"b": a_jpeg(127.1001), "a": a_jpeg(127.1002), "한글": a_jpeg(127.1003), "sub__c": a_jpeg(127.1)}
    one, _, _, _ = split(a_folder(tmp_path / "one", **photos), tmp_path / "out1")
    two, _, _, _ = split(a_folder(tmp_path / "two", **dict(reversed(photos.items()))), tmp_path / "out2")
    assert [t.sha256 for t in one] == [t.sha256 for t in two]
    assert sorted(members(tmp_path / "out1" / one[0].path)) == ["a.jpg", "b.jpg", "sub/c.jpg", "한글.jpg"]


def test_one_photo_alone_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(a_jpeg())
    tiles, _, _, _ = split(tmp_path / "one.jpg", tmp_path / "out")
    assert list(members(tmp_path / "out" / tiles[0].path)) == ["one.jpg"]


@pytest.mark.parametrize(
    "tags",
    [
        {"GPSLatitude": ((0, 0), (0, 1), (0, 1))},
        {"GPSLatitude": ((0, 1), (0, 1), (0, 1)), "GPSLongitude": ((0, 1), (0, 1), (0, 1))},
        {"GPSLongitudeRef": None},
        {"GPSLatitude": None, "GPSLongitude": None},
    ],
)
def test_photo_without_a_usable_position_is_unplaced_never_at_null_island(tmp_path: Path, tags: dict[str, Any]) -> None:
    folder = a_folder(tmp_path / "in", good=a_jpeg(), bad=a_jpeg(**tags))
    tiles, _, unplaced, survey = split(folder, tmp_path / "out")
    assert (unplaced, survey.placed.crs_source) == (1, Known.FILE)
    assert list(members(*(tmp_path / "out" / t.path for t in tiles))) == ["good.jpg"]


def test_folder_without_any_position_waits_for_an_answer(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "in", a=a_jpeg(None), b=a_jpeg(None))
    survey = Photos().survey(Source.of(folder), Placement())
    assert survey.placed.crs_source is Known.NONE
    assert [f.code for f in survey.findings] == ["crs.none"]
    tiles, _, unplaced, survey = split(folder, tmp_path / "out", Placement(origin=(127.1, 37.4, 0.0)))
    assert (unplaced, survey.placed.crs_source, sum(t.quantities.frames for t in tiles)) == (0, Known.GIVEN, 2)


def test_gps_without_time_keeps_the_place_and_says_that_the_time_is_unknown(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "in", a=a_jpeg(GPSDateStamp=None, GPSTimeStamp=None))
    tiles, found, _, _ = split(folder, tmp_path / "out")
    assert [f.code for f in found] == ["photo.no_time"]
    with tarfile.open(tmp_path / "out" / tiles[0].path) as archive:
        assert archive.getmember("a.jpg").mtime == 0
        way = archive.extractfile(".trajectory.geojson")
        assert way is not None and json.load(way)["features"][0]["properties"]["time"] is None


def test_position_only_in_xmp_places_the_photo(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="37,24.0N" exif:GPSLongitude="127,6.0E"/></x:xmpmeta>'
    tiles, found, unplaced, _ = split(a_folder(tmp_path / "in", a=a_jpeg(None, xmp=xmp)), tmp_path / "out")
    assert unplaced == 0 and "photo.xmp" in [f.code for f in found]
    assert [t.cell for t in tiles] == grid.cells_at([127.1], [37.4]).tolist()


def test_three_photos_on_one_spot_are_three_photos(tmp_path: Path) -> None:
    tiles, _, _, _ = split(a_folder(tmp_path / "in", a=a_jpeg(), b=a_jpeg(), c=a_jpeg()), tmp_path / "out")
    assert [t.quantities.frames for t in tiles] == [3]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (lambda good: good[: len(good) // 2], "cut or damaged"),
        (lambda good: b"%!PS-Adobe-3.0 EPSF-3.0\n" + good, "not a JPEG"),
        (lambda good: b"\x89PNG\r\n\x1a\n" + good, "not a JPEG"),
        (lambda good: b"\xff\xd8\xff" + b"\x00" * 200, "cut or damaged"),
        (lambda good: b"", "not a JPEG"),
    ],
)
def test_photo_that_is_none_is_rejected_with_the_reason_and_the_others_stay(tmp_path: Path, body: Any, word: str) -> None:
    folder = a_folder(tmp_path / "in", good=a_jpeg(), bad=body(a_jpeg(127.2)))
    tiles, found, _, _ = split(folder, tmp_path / "out")
    (finding,) = [f for f in found if f.rejected]
    assert (finding.code, finding.feature, finding.rejected) == ("photo.unreadable", "bad.jpg", 1)
    assert word in finding.message
    assert list(members(*(tmp_path / "out" / t.path for t in tiles))) == ["good.jpg"]


def test_enormous_picture_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    body = bytearray(a_jpeg())
    at = body.index(b"\xff\xc0") + 5
    body[at : at + 4] = b"\xff\xff\xff\xff"  # 65,535 x 65,535
    _, found, _, _ = split(a_folder(tmp_path / "in", good=a_jpeg(), huge=bytes(body)), tmp_path / "out")
    (finding,) = [f for f in found if f.rejected]
    assert "pixels" in finding.message


def test_recount_refuses_an_archive_with_something_else_in_it(tmp_path: Path) -> None:
    import hashlib
    from dataclasses import replace

    tiles, _, _, _ = split(a_folder(tmp_path / "in", a=a_jpeg()), tmp_path / "out")
    path = tmp_path / "out" / tiles[0].path
    for name, kind, content in (
        ("b.jpg", tarfile.REGTYPE, b"#!/bin/sh"),
        ("../b.jpg", tarfile.REGTYPE, a_jpeg()),
        ("b.jpg", tarfile.SYMTYPE, b""),
    ):
        target = tmp_path / "forged.tar"
        target.write_bytes(path.read_bytes())
        with tarfile.open(target, "a") as archive:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            archive.addfile(entry, io.BytesIO(content))
        body = target.read_bytes()
        quantities = replace(tiles[0].quantities, features=2, frames=2, bytes=len(body))
        with pytest.raises(InvalidContent):
            verify(target, replace(tiles[0], sha256=hashlib.sha256(body).hexdigest(), size=len(body), quantities=quantities))


def test_every_sample_that_webdataset_makes_of_a_tile_is_a_picture(tmp_path: Path) -> None:
    tiles, _, _, _ = split(a_folder(tmp_path / "in", a=a_jpeg(127.1), b=a_jpeg(127.1001)), tmp_path / "out")
    with tarfile.open(tmp_path / "out" / tiles[0].path) as archive:
        names = archive.getnames()
    # Its rule: the key is what stands before the first dot of a name; without one there is no sample.
    keys = [found.groups() for name in names if (found := re.match(r"((?:.*/|)[^.]+)\.([^/]*)$", name))]
    assert keys == [("a", "jpg"), ("b", "jpg")] and names[0] == ".trajectory.geojson"


def test_a_tile_of_old_whose_trajectory_has_a_plain_name_is_counted_too(tmp_path: Path) -> None:
    (tile,), _, _, _ = split(a_folder(tmp_path / "in", a=a_jpeg(127.1)), tmp_path / "out")
    old = tmp_path / "old.tar"
    with tarfile.open(tmp_path / "out" / tile.path) as fresh, tarfile.open(old, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry in fresh:
            body = fresh.extractfile(entry)
            entry.name = entry.name.removeprefix(".")
            archive.addfile(entry, body)
    found = photo_tar.count(old, tile)
    assert (found.frames, bool(found.trajectory)) == (1, True)
