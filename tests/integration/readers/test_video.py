"""Video: what goes in, where each frame comes out, and what is said of it. Frames show their numbers, and PyAV reads what mapex wrote."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ingest.cage.answer import tile_from_json
from ingest.tasks.convert import convert
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tests.support import videos
from tests.support.videos import T0_S, eastward, film, gopro, gps5, number_of, with_camm, with_gpmf
from tiles.arrays import gained
from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.footage.doubts import Unproven
from tiles.grid import grid
from tiles.recount import verify, verify_each
from tiles.video import recode
from tiles.video.difference import marks


@dataclass(frozen=True)
class Done:
    """What became of a source."""

    report: Mapping[str, Any]
    folder: Path
    tiles: Sequence[EncodedTile]

    @property
    def codes(self) -> Counter[str]:
        return Counter(finding["code"] for finding in self.report["findings"])

    @property
    def counts(self) -> Mapping[str, int]:
        return dict(self.report["layers"]["video"]["counts"])

    def finding(self, code: str) -> Mapping[str, Any]:
        (found,) = [finding for finding in self.report["findings"] if finding["code"] == code]
        return dict(found)


def converted(path: Path, out: Path, given: Placement | None = None) -> Done:
    """A source through the task of the cage; each tile is recounted."""
    lines: list[Mapping[str, Any]] = []
    out.mkdir()
    asked = {"do": "convert", "reads": [str(path)], "writes": str(out), "sources": [{"part": 0, "name": path.name}], "step": 1}
    convert({**asked, "placement": (given or Placement()).as_json()}, lines.append)
    for failed in [line["failed"] for line in lines if "failed" in line]:
        raise Invalid(failed["code"], failed["message"])
    (report,) = [line["report"] for line in lines if "report" in line]
    tiles = [tile_from_json(line["tile"]) for line in lines if "tile" in line]
    for tile in tiles:
        verify(out / tile.path, tile)
    counts = report["layers"]["video"]["counts"]
    assert counts["read"] == counts["placed"] + counts["unplaced"] + counts["rejected"]
    assert sum(tile.quantities.frames for tile in tiles) == (counts["placed"] if tiles else 0)
    return Done(report, out, tiles)


@dataclass(frozen=True)
class Seen:
    """What an independent reader sees in a tile: numbers that the pictures show, seconds of the way, texts, and packets of the file."""

    numbers: list[int]
    texts: Mapping[str, Any]
    packets: list[bytes]

    @property
    def ways(self) -> list[Mapping[str, Any]]:
        return list(self.texts["mapex.trajectory"]["features"])

    @property
    def places(self) -> list[list[float]]:
        return [place for way in self.ways for place in way["geometry"]["coordinates"]]


def seen(path: Path) -> Seen:
    with av.open(str(path)) as container:
        texts = {name: json.loads(text) for name, text in container.metadata.items() if name.startswith("mapex.")}
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    times = [frame.time for frame in frames]
    assert times == sorted(times) and times[0] == 0 and len(set(times)) == len(times)
    return Seen([number_of(frame) for frame in frames], texts, packets)


# ---- each frame once, and nowhere else -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "between", "more"),
    [
        ("libx264", 0, {}), ("libx264", 3, {}), ("libx264", 2, {"pix_fmt": "yuvj420p"}),
        ("libx265", 0, {}), ("libx265", 3, {"pix_fmt": "yuv420p10le"}),
    ],
)  # fmt: skip
def test_every_frame_is_in_the_tile_of_its_cell_and_in_no_other(codec: str, between: int, more: dict[str, str], tmp_path: Path) -> None:
    path = gopro(tmp_path / "drive.mp4", 12, lambda at_s: eastward(3 * at_s), codec=codec, between=between, group=13, **more)
    done = converted(path, tmp_path / "out")
    expected = [int(cell) for cell in grid.cells_at([eastward(n / 10)[0] for n in range(360)], [videos.LAT] * 360)]
    found: dict[int, int] = {}
    with av.open(str(path)) as container:
        given = {bytes(packet) for packet in container.demux(video=0) if packet.size}
    copied = 0
    for tile in done.tiles:
        one = seen(done.folder / tile.path)
        assert not set(found) & set(one.numbers)
        found |= dict.fromkeys(one.numbers, tile.cell)
        assert len(one.packets) == len(one.numbers) == len(one.places) == tile.quantities.frames
        assert {int(cell) for cell in grid.cells_at([p[0] for p in one.places], [p[1] for p in one.places])} == {tile.cell}
        copied += sum(packet in given for packet in one.packets)
    assert len(done.tiles) >= 3
    assert [found[n] for n in range(358)] == expected[:358] and sorted(found) == list(range(360))
    assert sum(tile.quantities.ms for tile in done.tiles) == 12_000
    anew = done.finding("video.packed_anew")["count"]
    if codec == "libx264":
        assert copied == 360 - anew and anew < 13 * len(done.tiles) * 2
    assert sum(run["frames"] for tile in done.tiles for run in seen(done.folder / tile.path).texts["mapex.video"]["packed_anew"]) == anew


def test_what_was_packed_anew_is_as_near_as_it_is_stated(tmp_path: Path) -> None:
    path = gopro(tmp_path / "drive.mp4", 20, between=2, group=15)
    with av.open(str(path)) as container:
        before = {number_of(frame): frame.to_ndarray() for frame in container.decode(video=0)}
    done = converted(path, tmp_path / "out")
    checked = 0
    for tile in done.tiles:
        with av.open(str(done.folder / tile.path)) as container:
            frames = list(container.decode(video=0))
        anew = seen(done.folder / tile.path).texts["mapex.video"]["packed_anew"]
        changed = {n: run["psnr_db"] for run in anew for n in range(run["first_frame"], run["first_frame"] + run["frames"])}
        for n, frame in enumerate(frames):
            errors = frame.to_ndarray().astype(int) - before[number_of(frame)].astype(int)
            square = float((errors**2).mean())
            assert square == 0 if n not in changed else 10 * np.log10(255**2 / square) >= changed[n] - 0.01 >= 45
            checked += n in changed
    assert checked == done.finding("video.packed_anew")["count"] > 0


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_second_pass_is_in_the_same_tile_and_the_gap_is_closed(codec: str, tmp_path: Path) -> None:
    def there_and_back(at_s: float) -> tuple[float, float, float]:
        return eastward(at_s if at_s < 16 else 32 - at_s)

    done = converted(gopro(tmp_path / "drive.mp4", 22, there_and_back, codec=codec), tmp_path / "out")
    first = next(tile for tile in done.tiles if int(grid.cells_at([videos.LON], [videos.LAT])[0]) == tile.cell)
    one = seen(done.folder / first.path)
    assert [way["file"] for way in one.texts["mapex.video"]["passes"]] == ["drive.mp4"] * 2
    assert one.texts["mapex.video"]["passes"][1]["first_frame"] == one.numbers[one.texts["mapex.video"]["passes"][0]["frames"]]
    assert len(one.ways) == 2 and one.numbers == sorted(one.numbers)


# ---- where and when --------------------------------------------------------------------------------------------------------------------

POSITIONS = {
    "gps5": lambda path: with_gpmf(path, [gps5(n, eastward) for n in range(4)]),
    "gps9": lambda path: with_gpmf(path, [videos.gps9(n, eastward) for n in range(4)]),
    "karma": lambda path: with_gpmf(path, [videos.karma(n, eastward) for n in range(4)]),
    "camm": lambda path: with_camm(path, [videos.camm(n / 10, eastward) for n in range(40)]),
    "camm-unix": lambda path: with_camm(path, [videos.camm(n / 10, eastward, epoch_s=0) for n in range(40)]),
    "gpx": lambda path: videos.gpx(path.with_suffix(".gpx"), np.arange(-5, 10, 0.5).tolist()),
    "csv": lambda path: csv(path.with_suffix(".csv"), "time,latitude (deg),longitude (deg),altitude", ","),
    "csv-korean": lambda path: csv(path.with_suffix(".csv"), "시각;위도;경도;고도", ";"),
    "nmea": lambda path: nmea(path.with_suffix(".nmea")),
}
CLOCK_OF_CAMERA = T0_S - 8 * 3600 + 0.0
"""Local time, marked as UTC, as cameras write it."""


def csv(path: Path, head: str, cut: str) -> Path:
    rows = []
    for n in range(-10, 20):
        lon, lat, h = eastward(n / 2)
        rows.append(cut.join([str(T0_S + n / 2), repr(lat), repr(lon), str(h)]))
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    return path


def nmea(path: Path) -> Path:
    lines = []
    for n in range(-5, 10):
        lon, lat, h = eastward(n)
        at = videos.utc(T0_S + n).decode()
        time, day = at[6:15], f"{at[4:6]}{at[2:4]}{at[:2]}"
        place = f"{int(lat):02d}{lat % 1 * 60:09.6f},N,{int(lon):03d}{lon % 1 * 60:09.6f},E"
        lines += [f"$GPGGA,{time},{place},1,9,0.9,{h - 23.5},M,23.5,M,,", f"$GPRMC,{time},A,{place},60,90,{day},,,A"]
    path.write_text("\r\n".join(lines), encoding="ascii")
    return path


@pytest.mark.parametrize("how", sorted(POSITIONS))
def test_place_and_time_come_from_the_receiver_and_never_from_the_creation_time(how: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    is_beside = how in ("gpx", "csv", "csv-korean", "nmea")
    POSITIONS[how](film(folder / "drive.mp4", 120, created_s=CLOCK_OF_CAMERA))
    done = converted(folder if is_beside else folder / "drive.mp4", tmp_path / "out")
    (tile,) = done.tiles
    (way,) = seen(done.folder / tile.path).ways
    for number in (0, 60, 119):
        # A receiver of 10 Hz is asked between two of its positions, one of 1 Hz behind its last is where it was then.
        at = min(number / 30, {"karma": 3.75, "gps5": 3 + 17 / 18}.get(how, 3.9))
        assert way["geometry"]["coordinates"][number] == pytest.approx(eastward(at), abs=2e-6) or is_beside
    if is_beside:
        assert way["geometry"]["coordinates"][60] == pytest.approx(eastward(2.0), abs=2e-6)
        assert "8" in done.finding("video.by_clock")["message"] and done.finding("video.by_clock")["severity"] == "question"
    else:
        assert done.finding("video.clock_off")["value"] == "-8.00 h"
    first = np.datetime64(way["properties"]["times"][0].rstrip("Z"), "ns").astype("int64") / 1e9
    assert first == pytest.approx(T0_S, abs=0.002)
    assert done.counts == {"read": 120, "placed": 120, "unplaced": 0, "rejected": 0}


def test_first_reading_of_the_clock_may_be_wrong_and_positions_without_a_fix_place_nothing(tmp_path: Path) -> None:
    payloads = [gps5(n, eastward, clock_s=T0_S + n - (1.4 if n == 0 else 0), fix=0 if n in (3, 4) else 3) for n in range(8)]
    done = converted(with_gpmf(film(tmp_path / "drive.mp4", 240), payloads), tmp_path / "out")
    (tile,) = done.tiles
    (way,) = seen(done.folder / tile.path).ways
    first = np.datetime64(way["properties"]["times"][0].rstrip("Z"), "ns").astype("int64") / 1e9
    assert first == pytest.approx(T0_S, abs=0.002)
    assert way["geometry"]["coordinates"][120] == pytest.approx(eastward(4.0), abs=2e-6)


def test_frames_far_from_any_position_have_no_place_and_are_in_no_tile(tmp_path: Path) -> None:
    payloads = [gps5(n, eastward, fix=3 if 15 <= n < 20 else 0) for n in range(40)]
    done = converted(with_gpmf(film(tmp_path / "drive.mp4", 1200), payloads), tmp_path / "out")
    numbers = sorted(n for tile in done.tiles for n in seen(done.folder / tile.path).numbers)
    assert numbers[0] == 150 and numbers[-1] == pytest.approx((19 + 17 / 18 + 10) * 30, abs=1)
    assert done.counts["unplaced"] == 1200 - len(numbers) and "frame.no_place" in done.codes


def test_camera_that_did_not_move_is_put_at_the_origin(tmp_path: Path) -> None:
    path = film(tmp_path / "gate.mp4", 60)
    asked = converted(path, tmp_path / "asked")
    assert (asked.counts["unplaced"], asked.tiles, asked.codes["crs.none"]) == (60, [], 1)
    done = converted(path, tmp_path / "out", Placement(origin=(videos.LON, videos.LAT, 30.0)))
    (tile,) = done.tiles
    one = seen(done.folder / tile.path)
    assert one.places == [[videos.LON, videos.LAT, 30.0]] * 60
    assert one.ways[0]["properties"]["times"] is None and done.codes["video.no_time"] == 1


def test_a_track_that_may_be_of_another_day_places_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    film(folder / "drive.mp4", 60, created_s=T0_S + 40 * 86_400)
    videos.gpx(folder / "drive.gpx", np.arange(0, 300, 1.0).tolist())
    done = converted(folder, tmp_path / "out")
    assert (done.counts["unplaced"], done.codes["crs.none"], done.codes["video.by_clock"]) == (60, 1, 0)


# ---- several files ---------------------------------------------------------------------------------------------------------------------


def test_chapters_are_one_recording_and_places_go_on_over_their_ends(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for chapter in range(3):
        gopro(folder / f"GX0{chapter + 1}0042.MP4", 8, begin_s=8.0 * chapter, first=240 * chapter, between=2)
    with (folder / "GX030042.MP4").open("rb") as stream:
        assert stream.read(8)[4:] == b"ftyp"
    done = converted(folder, tmp_path / "out")
    found = [(number, tuple(place)) for tile in done.tiles for number, place in _numbered(done.folder / tile.path)]
    assert sorted(number for number, _ in found) == list(range(720))
    places = dict(found)
    for number in (100, 239, 240, 479, 480):  # behind the last position of a chapter the first of the next counts
        assert places[number] == pytest.approx(eastward(number / 30), abs=2e-6)
    assert {way["file"] for tile in done.tiles for way in seen(done.folder / tile.path).texts["mapex.video"]["passes"]} == {
        f"GX0{n}0042.MP4" for n in (1, 2, 3)
    }


def _numbered(path: Path) -> list[tuple[int, list[float]]]:
    one = seen(path)
    return list(zip(one.numbers, one.places, strict=True))


def test_pieces_of_a_dash_camera_with_a_gap_are_not_joined(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for n, begin in enumerate((0.0, 600.0)):
        path = film(folder / f"20260921_12{n}000_F.mp4", 90, first=90 * n)
        with_gpmf(path, [gps5(begin + k, lambda at: eastward(at % 300)) for k in range(3)])
    done = converted(folder, tmp_path / "out")
    times = sorted(time for tile in done.tiles for way in seen(done.folder / tile.path).ways for time in way["properties"]["times"])
    assert len(times) == 180
    jump = np.diff(np.array([time.rstrip("Z") for time in times], "datetime64[ns]").astype("int64")).max() / 1e9
    assert jump == pytest.approx(597, abs=0.1)


def test_a_file_of_other_settings_is_left_out_with_its_count(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    gopro(folder / "GX010042.MP4", 4)
    gopro(folder / "GX020042.MP4", 4, begin_s=4.0, profile="baseline")
    done = converted(folder, tmp_path / "out")
    assert done.counts == {"read": 240, "placed": 120, "unplaced": 0, "rejected": 120}
    assert done.finding("video.mixed")["count"] == 120


# ---- damage ----------------------------------------------------------------------------------------------------------------------------


def test_cut_file_whose_description_stands_in_front_gives_what_is_there(tmp_path: Path) -> None:
    source = converted(gopro(tmp_path / "drive.mp4", 8), tmp_path / "first")
    (tile,) = source.tiles
    body = (source.folder / tile.path).read_bytes()  # a tile of ours has its description in front, and its places behind
    path = tmp_path / "cut.mp4"
    path.write_bytes(body[: int(len(body) * 0.6)])
    videos.gpx(tmp_path / "cut.gpx", np.arange(0, 20, 0.5).tolist())
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("cut.mp4", "cut.gpx"):
        (tmp_path / name).rename(folder / name)
    done = converted(folder, tmp_path / "out")
    lost = done.finding("video.cut")
    assert (lost["severity"], lost["rejected"]) == ("question", done.counts["rejected"]) and 0 < done.counts["rejected"] < 240
    assert sum(tile.quantities.frames for tile in done.tiles) == 240 - done.counts["rejected"]


def test_a_group_too_long_to_be_cut_loses_what_is_behind_the_edge_and_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recode, "MOST_FRAMES", 100)
    done = converted(gopro(tmp_path / "drive.mp4", 18, group=600), tmp_path / "out")
    asked = done.finding("video.edge")
    assert (asked["severity"], asked["rejected"], asked["count"]) == ("question", done.counts["rejected"], done.counts["rejected"])
    (tile,) = done.tiles
    assert seen(done.folder / tile.path).numbers == list(range(540 - done.counts["rejected"]))


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_keyframe+default_base_moof"])
def test_video_in_fragments_is_read_and_one_that_lost_its_end_gives_what_is_whole(flags: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = film(folder / "drive.mp4", 240, between=2, group=30, movflags=flags, created_s=T0_S)
    videos.gpx(folder / "drive.gpx", np.arange(-5, 15, 0.5).tolist())
    with av.open(str(path)) as container:
        given = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    (tile,) = converted(folder, tmp_path / "whole").tiles
    assert seen(tmp_path / "whole" / tile.path).packets == given
    body = path.read_bytes()
    path.write_bytes(body[: int(len(body) * 0.6)])
    cut = converted(folder, tmp_path / "cut")
    (tile,) = cut.tiles
    kept = seen(tmp_path / "cut" / tile.path)
    assert kept.packets == given[: len(kept.packets)] and 90 <= len(kept.packets) < 240
    assert cut.finding("video.cut")["severity"] == "question"


def test_bad_blocks_of_a_card_lose_their_frames_and_no_more_than_their_groups(tmp_path: Path) -> None:
    path = gopro(tmp_path / "drive.mp4", 8, group=15)
    body = bytearray(path.read_bytes())
    at = body.index(b"mdat") + 4 + (body.rindex(b"moov") - body.index(b"mdat")) // 5
    body[at : at + 3000] = bytes(3000)
    path.write_bytes(body)
    done = converted(path, tmp_path / "out")
    assert 0 < done.counts["rejected"] <= 45 and done.finding("video.frames")["severity"] == "question"
    numbers = sorted(n for tile in done.tiles for n in seen(done.folder / tile.path).numbers)
    assert len(numbers) == done.counts["placed"]


# ---- what a tile may not be ------------------------------------------------------------------------------------------------------------


def test_video_is_never_taken_for_harmless(tmp_path: Path) -> None:
    done = converted(gopro(tmp_path / "drive.mp4", 3), tmp_path / "out")
    assert done.report["layers"]["video"]["footage"] is True
    doubts: list[Unproven] = []
    stored = [(done.folder / tile.path, tile) for tile in done.tiles]
    assert all(fault is None for _, fault in verify_each(stored, lambda _, doubt: doubts.append(doubt)))
    assert [doubt.where for doubt in doubts] == ["video"] * len(done.tiles)


def test_tile_with_a_frame_elsewhere_or_bytes_of_nothing_is_refused(tmp_path: Path) -> None:
    done = converted(gopro(tmp_path / "drive.mp4", 3), tmp_path / "out")
    (tile,) = done.tiles
    body = (done.folder / tile.path).read_bytes()
    elsewhere = body[: -videos.PACKET + 24] + struct.pack("<d", 126.9) + body[-videos.PACKET + 32 :]
    for code, forged in (("tile.place", elsewhere), ("tile.damaged", body + bytes(64)), ("tile.damaged", body + videos.box(b"free", body))):
        path = tmp_path / "forged.mp4"
        path.write_bytes(forged)
        size, digest = len(forged), hashlib.sha256(forged).hexdigest()
        record = replace(tile, size=size, sha256=digest, quantities=replace(tile.quantities, bytes=size))
        with pytest.raises(InvalidContent) as refused:
            verify(path, record)
        assert refused.value.code == code


def test_what_a_new_version_changes_is_counted_by_frames(tmp_path: Path) -> None:
    """The same film again changes nothing; one that goes on for a second adds its frames."""
    folders = []
    for name, seconds in (("a", 18), ("b", 18), ("c", 19)):
        (tmp_path / name).mkdir()
        done = converted(gopro(tmp_path / name / "drive.mp4", seconds), tmp_path / f"out-{name}")
        folders.append({tile.cell: done.folder / tile.path for tile in done.tiles})
    first, again, longer = folders
    assert [gained(marks([first[cell]]), marks([again[cell]])) for cell in first] == [(0, 0)] * 2
    assert sum(gained(marks([first[cell]]), marks([longer[cell]]))[0] for cell in first) >= 30


def test_sound_and_other_sensors_are_named_and_left_out(tmp_path: Path) -> None:
    path = gopro(tmp_path / "drive.mp4", 3)
    done = converted(path, tmp_path / "out")
    assert done.finding("video.sensors")["value"] == "GYRO 12"
    (tile,) = done.tiles
    with av.open(str(done.folder / tile.path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "data"]


def test_tile_of_video_goes_in_again_and_comes_out_the_same(tmp_path: Path) -> None:
    """A buyer may sell what was bought again: places and times of the tile are read like those of any camera."""
    first = converted(gopro(tmp_path / "drive.mp4", 20, between=2), tmp_path / "first")
    for number, tile in enumerate(first.tiles):
        again = converted(first.folder / tile.path, tmp_path / f"again{number}")
        (other,) = again.tiles
        old, new = seen(first.folder / tile.path), seen(again.folder / other.path)
        assert (other.cell, other.quantities.frames, new.packets) == (tile.cell, tile.quantities.frames, old.packets)
        assert np.array(new.places) == pytest.approx(np.array(old.places), abs=1e-9)
        times = [np.array([t.rstrip("Z") for way in one.ways for t in way["properties"]["times"]], "datetime64[us]") for one in (old, new)]
        assert np.abs((times[0] - times[1]).astype(int)).max() <= 1000


def test_film_of_the_demonstration_is_placed_along_its_drive(tmp_path: Path) -> None:
    from mapex.cli.demo import district, drive
    from mapex.cli.demo.film import write_film

    assert write_film(tmp_path / "drive.mp4", seconds=3) == 30
    done = converted(tmp_path / "drive.mp4", tmp_path / "out")
    places = [place[:2] for tile in done.tiles for place in seen(done.folder / tile.path).places]
    assert np.array(sorted(places)) == pytest.approx(np.array(sorted(district.lonlat(drive.route()[:30]).tolist())), abs=1e-9)
    first = min(way["properties"]["times"][0] for tile in done.tiles for way in seen(done.folder / tile.path).ways)
    assert first.startswith("2026-09-21T14:13:20.0")


# ---- the real one ----------------------------------------------------------------------------------------------------------------------


def test_walk_of_a_real_camera(samples: Path, tmp_path: Path) -> None:
    """315 frames, 191 fixes by GoPro's own parser; its creation time is local and eight hours off."""
    from ingest.reader import Source
    from ingest.readers.video.film import film_of

    path = samples / "recordings/gopro_sidewalk/max-heromode.mp4"
    assert len(film_of(Source.of(path), "video").positions) == 191
    done = converted(path, tmp_path / "out")
    assert done.counts == {"read": 315, "placed": 315, "unplaced": 0, "rejected": 0}
    (tile,) = done.tiles
    one = seen(done.folder / tile.path)
    with av.open(str(path)) as container:
        assert one.packets == [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert one.places[0][:2] == [-117.3273436, 33.12677] and one.places[-1][:2] == pytest.approx([-117.3272734, 33.1266674], abs=1e-6)
    assert one.ways[0]["properties"]["times"][0].startswith("2019-11-18T23:45:15.4")
    assert done.finding("video.clock_off")["value"] == "-8.00 h"
    assert one.texts["mapex.video"]["camera"] == {"model": "GoPro Max", "firmware": "H19.03.01.30.00"}
    assert one.texts["mapex.video"]["packed_anew"] == [] and tile.quantities.ms == 10_510


def test_lengths_that_claim_more_than_there_is_are_refused_at_once(tmp_path: Path) -> None:
    """Each number of the description, made enormous: a finding or a refusal, never a crash, and no memory by a claim."""
    body = gopro(tmp_path / "drive.mp4", 3).read_bytes()
    begin = body.rindex(b"moov") + 4
    rng = np.random.default_rng(5)
    outcomes: Counter[str] = Counter()
    for number, at in enumerate(rng.integers(begin, len(body) - 4, 150).tolist()):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(body[:at] + struct.pack(">I", int(rng.choice([0xFFFFFFFF, 0x7FFFFFFF, 0, 1 << 24, 77]))) + body[at + 4 :])
        try:
            converted(path, tmp_path / f"out{number}")
            outcomes["read"] += 1
        except Invalid as why:
            outcomes[why.code] += 1
    assert outcomes["read"] and sum(outcomes.values()) == 150 and outcomes["video.damaged"] > 10
