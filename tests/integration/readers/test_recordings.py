"""Recordings through reader, splitter and recount: every message exactly once, unchanged, in the cell where it was recorded."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from mcap.reader import make_reader
from mcap.records import Attachment
from mcap.writer import CompressionType, Writer

from ingest.reader import Placed, Source, Survey
from ingest.readers.recordings.mcap import Mcap
from mapex.catalogue.finding import Finding, Severity
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, EncodedTile, Quantities
from tiles.errors import InvalidContent
from tiles.frames.repeated import ATTACHMENTS, MESSAGES, MOST_ATTACHMENTS, MOST_MESSAGE
from tiles.frames.splitter import FrameSplitter
from tiles.frames.track import NAME
from tiles.grid import grid
from tiles.recount import verify

FIX = ("sensor_msgs/msg/NavSatFix", "ros2msg", b"std_msgs/Header header\nNavSatStatus status\nfloat64 latitude\n")
IMAGE = ("sensor_msgs/msg/CompressedImage", "ros2msg", b"std_msgs/Header header\nstring format\nuint8[] data\n")
IMU = ("sensor_msgs/msg/Imu", "ros2msg", b"std_msgs/Header header\n")
TEXT = ("std_msgs/msg/String", "ros2msg", b"string data\n")
S = 1_000_000_000
T0 = 1_790_000_000 * S
WEST, EAST = 127.1000, 127.1100  # two z16 cells are 0.0055 degrees wide

Key = tuple[str, str, str, int, int, int, bytes]


def peak_kib() -> int:
    """The most memory that this process had; `ru_maxrss` would begin with what its parent had."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))


def header(t_ns: int) -> bytes:
    return b"\x00\x01\x00\x00" + struct.pack("<iII", t_ns // S, t_ns % S, 1) + b"\x00"


def fix_bytes(t_ns: int, lon: float, lat: float, status: int = 0) -> bytes:
    return header(t_ns) + struct.pack("<bHddd", status, 1, lat, lon, 30.0) + bytes(73)  # aligned as it is: the header has 13 bytes


class Recorder:
    """Writes a small recording with the library that others use."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.stream = path.open("wb")
        self.writer = Writer(self.stream, **options)
        self.writer.start(profile="ros2", library="a recorder")
        self.ids: dict[str, int] = {}

    def channel(self, topic: str, schema: tuple[str, str, bytes], **metadata: str) -> None:
        self.ids[topic] = self.writer.register_channel(topic, "cdr", self.writer.register_schema(*schema), metadata)

    def add(self, topic: str, t_ns: int, data: bytes, sequence: int = 0, publish_ns: int | None = None) -> None:
        self.writer.add_message(self.ids[topic], t_ns, data, t_ns if publish_ns is None else publish_ns, sequence)

    def close(self) -> None:
        self.writer.finish()
        self.stream.close()


def a_drive(path: Path, *, seconds: int = 10, stamp_shift_ns: int = 0, start: int = T0, **options: Any) -> Path:
    """A drive east over three cells, a fix a second, an IMU message each tenth, a picture each two seconds."""
    recorder = Recorder(path, **options)
    recorder.channel("/fix", FIX)
    recorder.channel("/imu", IMU)
    recorder.channel("/camera", IMAGE)
    recorder.channel("/log", TEXT, offered_qos_profiles="- history: 3")
    for tenth in range(seconds * 10):
        t = start + tenth * S // 10
        if tenth % 10 == 0:
            lon = WEST + (EAST - WEST) * tenth / (seconds * 10)
            recorder.add("/fix", t, fix_bytes(t + stamp_shift_ns, lon, 37.4), tenth // 10)
        recorder.add("/imu", t, header(t + stamp_shift_ns) + tenth.to_bytes(4, "little"), tenth, t - 7)
        if tenth % 20 == 0:
            recorder.add("/camera", t, header(t + stamp_shift_ns) + bytes([tenth]) * 5000, tenth)
    recorder.close()
    return path


def split(path: Path, out: Path, given: Placement | None = None) -> tuple[list[EncodedTile], list[Finding], Survey]:
    """Reader, splitter and recount of each tile; what is said of the class is left out, as most messages here are cut short."""
    reader, source = Mcap(), Source.of(path)
    survey = reader.survey(source, given or Placement())
    splitter = FrameSplitter(out, layer="recording", part=0)
    found = list(survey.findings)
    for entry in reader.read(source, survey.placed):
        if isinstance(entry, Batch):
            splitter.add(entry)
        elif entry.code != "footage.unproven":
            found.append(entry)
    tiles = list(splitter.finish())
    for tile in tiles:
        verify(out / tile.path, tile)
    assert not (out / ".spill" / "recording").exists()
    return tiles, found, survey


def messages(*paths: Path) -> Counter[Key]:
    """Every message with all that the file says about it, read by the mcap library."""
    found: Counter[Key] = Counter()
    for path in paths:
        with path.open("rb") as stream:
            for schema, channel, m in make_reader(stream, validate_crcs=True).iter_messages():
                about = json.dumps(
                    [channel.metadata, channel.message_encoding, schema and [schema.name, schema.encoding, schema.data.decode()]]
                )
                found[(channel.topic, about, "", m.sequence, m.log_time, m.publish_time, m.data)] += 1
    return found


def attachments(path: Path) -> list[Attachment]:
    with path.open("rb") as stream:
        return list(make_reader(stream).iter_attachments())


# ---- the real file -----------------------------------------------------------------------------------------------------------------


def test_real_recording_comes_back_message_for_message(samples: Path, tmp_path: Path) -> None:
    path = samples / "recordings/ros2_mcap/comma2k19_seg40_ros2.mcap"
    tiles, found, survey = split(path, tmp_path)
    assert survey.claimed == 8036 and survey.placed.crs_source is Known.FILE and survey.placed.height_datum == "ellipsoid"
    assert messages(*(tmp_path / t.path for t in tiles)) == messages(path)
    total = sum((t.quantities for t in tiles), Quantities())
    assert (len(tiles), total.features, total.frames, total.ms) == (3, 8036, 1, 60024)
    assert [f.code for f in found] == ["recording.pictures"]


def test_slices_of_the_real_recording_open_in_rosbags(samples: Path, tmp_path: Path) -> None:
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    tiles, _, _ = split(samples / "recordings/ros2_mcap/comma2k19_seg40_ros2.mcap", tmp_path)
    counted: Counter[str] = Counter()
    for tile in tiles:
        with AnyReader([tmp_path / tile.path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
            for connection, _, raw in reader.messages():
                counted[connection.topic] += 1
                if connection.topic == "/gnss/fix":
                    fix: Any = reader.deserialize(raw, connection.msgtype)
                    assert grid.cells_at([fix.longitude], [fix.latitude]).tolist() == [tile.cell]
    assert counted == {"/gnss/fix": 579, "/imu/data_raw": 6256, "/pose_ecef": 1200, "/camera/front/compressed": 1}


def test_recording_without_any_position_is_unplaced_and_says_what_to_do(samples: Path, tmp_path: Path) -> None:
    source = Source.of(samples / "recordings/ros2_mcap/talker.mcap")
    survey = Mcap().survey(source, Placement())
    assert (survey.placed.crs, survey.placed.crs_source) == (None, Known.NONE)
    (finding,) = survey.findings
    assert finding.code == "crs.none" and "--origin" in finding.fix
    batches = [b for b in Mcap().read(source, survey.placed) if isinstance(b, Batch)]
    assert sum(b.table.num_rows for b in batches) == 20
    assert all(np.isnan(b.table.column("lon").to_numpy()).all() for b in batches)


def test_recording_without_position_goes_where_the_uploader_says(samples: Path, tmp_path: Path) -> None:
    path = samples / "recordings/ros2_mcap/talker.mcap"
    tiles, _, survey = split(path, tmp_path, Placement(origin=(127.1, 37.4, 30.0)))
    assert survey.placed.crs_source is Known.GIVEN
    assert [t.cell for t in tiles] == grid.cells_at([127.1], [37.4]).tolist()
    assert messages(tmp_path / tiles[0].path) == messages(path)


def test_channels_without_a_message_are_kept(samples: Path, tmp_path: Path) -> None:
    tiles, _, _ = split(samples / "recordings/ros2_mcap/talker.mcap", tmp_path, Placement(origin=(127.1, 37.4, 30.0)))
    with (tmp_path / tiles[0].path).open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    assert {c.topic for c in summary.channels.values()} == {"/rosout", "/parameter_events", "/topic"}


def test_rosbag_folder_keeps_its_metadata_file(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    folder.mkdir()
    for name in ("talker.mcap", "metadata.yaml"):
        (folder / name).write_bytes((samples / "recordings/ros2_mcap" / name).read_bytes())
    tiles, _, _ = split(folder, tmp_path / "out", Placement(origin=(127.1, 37.4, 30.0)))
    (kept,) = [a for a in attachments(tmp_path / "out" / tiles[0].path) if a.name == "metadata.yaml"]
    assert kept.data == (folder / "metadata.yaml").read_bytes()
    assert tiles[0].quantities.features == 21


# ---- where messages go ---------------------------------------------------------------------------------------------------------------


def test_messages_are_in_the_cell_of_their_interpolated_position(tmp_path: Path) -> None:
    tiles, _, _ = split(a_drive(tmp_path / "a.mcap"), tmp_path / "out")
    assert len(tiles) == 3
    for tile in tiles:
        for key in messages(tmp_path / "out" / tile.path):
            lon = WEST + (EAST - WEST) * min((key[4] - T0) / (10 * S), 0.9)
            assert grid.cells_at([lon], [37.4]).tolist() == [tile.cell], key[:3]
    assert messages(*(tmp_path / "out" / t.path for t in tiles)) == messages(tmp_path / "a.mcap")
    total = sum((t.quantities for t in tiles), Quantities())
    assert (total.features, total.frames, total.ms) == (115, 5, 9900)


def test_time_in_the_header_places_a_message_not_the_time_of_logging(tmp_path: Path) -> None:
    """The picture is logged 3 s after it was taken, when the car is already in another cell."""
    recorder = Recorder(tmp_path / "late.mcap")
    recorder.channel("/fix", FIX)
    recorder.channel("/camera", IMAGE)
    for second in range(10):
        recorder.add("/fix", T0 + second * S, fix_bytes(T0 + second * S, WEST + 0.001 * second, 37.4))
    recorder.add("/camera", T0 + 5 * S, header(T0 + 2 * S) + b"taken at 2 s")
    recorder.close()
    tiles, _, _ = split(tmp_path / "late.mcap", tmp_path / "out")
    (home,) = [t for t in tiles if t.quantities.frames]
    assert home.cell == int(grid.cells_at([WEST + 0.002], [37.4])[0])


def test_header_of_another_clock_is_not_used_and_reported(tmp_path: Path) -> None:
    plain, _, _ = split(a_drive(tmp_path / "a.mcap"), tmp_path / "one")
    shifted, found, _ = split(a_drive(tmp_path / "b.mcap", stamp_shift_ns=-T0 + 5 * S), tmp_path / "two")
    assert [t.cell for t in shifted] == [t.cell for t in plain]
    assert [t.quantities.features for t in shifted] == [t.quantities.features for t in plain]
    assert "recording.clock" in [f.code for f in found]


def test_positions_without_a_fix_place_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "nofix.mcap")
    recorder.channel("/fix", FIX)
    bad = [(0.0, 0.0, 0), (float("nan"), 37.4, 0), (10.0, 10.0, -1), (500.0, 37.4, 0)]
    for second, (lon, lat, status) in enumerate([*bad, (WEST, 37.4, 0)]):
        recorder.add("/fix", T0 + second * S, fix_bytes(T0 + second * S, lon, lat, status), second)
    recorder.close()
    tiles, found, _ = split(tmp_path / "nofix.mcap", tmp_path / "out")
    assert [(t.cell, t.quantities.features) for t in tiles] == [(int(grid.cells_at([WEST], [37.4])[0]), 5)]
    assert [(f.code, f.count) for f in found] == [("recording.no_fix", 4)]


def test_message_far_in_time_from_any_fix_is_reported(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "far.mcap")
    recorder.channel("/fix", FIX)
    recorder.channel("/imu", IMU)
    for second in (0, 1):
        recorder.add("/fix", T0 + second * S, fix_bytes(T0 + second * S, WEST, 37.4))
    recorder.add("/imu", T0 + 100 * S, header(T0 + 100 * S))
    recorder.close()
    _, found, _ = split(tmp_path / "far.mcap", tmp_path / "out")
    assert [(f.code, f.count) for f in found] == [("recording.far", 1)]


def test_recording_split_over_files_is_one(tmp_path: Path) -> None:
    """Channel numbers collide between the files; the receiver's last fix of one serves the first messages of the other."""
    folder = tmp_path / "bag"
    folder.mkdir()
    first = a_drive(folder / "bag_2.mcap")
    recorder = Recorder(folder / "bag_10.mcap")
    recorder.channel("/other", TEXT)
    recorder.channel("/camera", IMAGE)
    for tenth in range(20):
        recorder.add("/camera", T0 + 10 * S + tenth * S // 10, header(T0 + 10 * S) + bytes([tenth]))
    recorder.close()
    tiles, _, survey = split(folder, tmp_path / "out")
    assert survey.claimed == 115 + 20
    assert messages(*(tmp_path / "out" / t.path for t in tiles)) == messages(first, folder / "bag_10.mcap")
    assert sum(t.quantities.ms for t in tiles) == 11_900


def test_small_attachments_and_metadata_are_in_every_slice_and_large_ones_where_they_were(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.mcap")
    recorder.channel("/fix", FIX)
    recorder.writer.add_metadata("vehicle", {"plate": "none", "sensor": "x"})
    for second in range(10):
        recorder.add("/fix", T0 + second * S, fix_bytes(T0 + second * S, WEST + 0.001 * second, 37.4))
        if second == 8:
            recorder.writer.add_attachment(T0, T0 + 8 * S, "calibration.yaml", "application/yaml", b"k: 1")
            recorder.writer.add_attachment(T0, T0 + 8 * S, "rig.bin", "application/octet-stream", bytes(MOST_ATTACHMENTS))
    recorder.close()
    tiles, found, _ = split(tmp_path / "a.mcap", tmp_path / "out")
    assert len(tiles) > 1
    named = [a.name for t in tiles for a in attachments(tmp_path / "out" / t.path)]
    assert Counter(named) == {"calibration.yaml": len(tiles), "rig.bin": 1, NAME: len(tiles)}
    assert sum(tile.quantities.features for tile in tiles) == 12
    assert {f.code: f.value for f in found} == {"recording.repeated": "calibration.yaml", "recording.not_repeated": "rig.bin"}
    marks = [marked(tmp_path / "out" / tile.path) for tile in tiles]
    assert sorted(marks, key=len) == [{}, *[{ATTACHMENTS: {"calibration.yaml": "1"}}] * (len(tiles) - 1)]
    for tile in tiles:
        with (tmp_path / "out" / tile.path).open("rb") as stream:
            about = [(m.name, m.metadata) for m in make_reader(stream).iter_metadata() if m.name == "vehicle"]
            assert about == [("vehicle", {"plate": "none", "sensor": "x"})]


# ---- what every slice needs ------------------------------------------------------------------------------------------------------------

STATIC = ("tf2_msgs/msg/TFMessage", "ros2msg", b"geometry_msgs/TransformStamped[] transforms\n")
CAMERA_INFO = ("sensor_msgs/msg/CameraInfo", "ros2msg", b"std_msgs/Header header\nuint32 height\n")
CALIBRATION = ("foxglove.CameraCalibration", "protobuf", b"...")
CLOUD = ("sensor_msgs/msg/PointCloud2", "ros2msg", b"std_msgs/Header header\n")
LOG = ("rcl_interfaces/msg/Log", "ros2msg", b"builtin_interfaces/Time stamp\n")
LATCHED = {"offered_qos_profiles": "- history: 3\n  depth: 1\n  reliability: 1\n  durability: 1\n"}
NAMED = {"offered_qos_profiles": "- history: keep_last\n  durability: transient_local\n"}
VOLATILE = {"offered_qos_profiles": "- history: 3\n  durability: 2\n  deadline:\n    sec: 1\n"}


def marked(path: Path) -> dict[str, dict[str, str]]:
    """The metadata records that say what is repeated in a slice."""
    with path.open("rb") as stream:
        found = [(m.name, m.metadata) for m in make_reader(stream).iter_metadata() if m.name in (MESSAGES, ATTACHMENTS)]
    assert len(found) == len(dict(found))
    return dict(found)


def topics_of(path: Path) -> dict[str, list[tuple[int, int, int, bytes]]]:
    """Log time, publish time, sequence and bytes of the messages of each topic, in the order in which a player gives them."""
    found: dict[str, list[tuple[int, int, int, bytes]]] = {}
    with path.open("rb") as stream:
        for _, channel, m in make_reader(stream, validate_crcs=True).iter_messages():
            found.setdefault(channel.topic, []).append((m.log_time, m.publish_time, m.sequence, m.data))
    return found


def a_drive_with(path: Path, topic: str, schema: tuple[str, str, bytes], bodies: dict[int, bytes], **metadata: str) -> Path:
    """A drive over three cells in 10 s with a topic that has these messages at these tenths of a second."""
    recorder = Recorder(path)
    recorder.channel("/fix", FIX)
    recorder.channel(topic, schema, **metadata)
    for tenth in range(100):
        t = T0 + tenth * S // 10
        if tenth % 10 == 0:
            recorder.add("/fix", t, fix_bytes(t, WEST + (EAST - WEST) * tenth / 100, 37.4), tenth)
        if tenth in bodies:
            recorder.add(topic, t + 1, bodies[tenth], tenth, t)
    recorder.close()
    return path


ONE, TWO = header(0) + b"one", header(0) + b"two"


@pytest.mark.parametrize(
    ("topic", "schema", "metadata", "repeated"),
    [
        ("/tf_static", STATIC, {}, [ONE, TWO]),
        ("/robot_7/tf_static", STATIC, LATCHED, [ONE, TWO]),
        ("/camera/camera_info", CAMERA_INFO, VOLATILE, [TWO]),
        ("/calibration", CALIBRATION, {}, [TWO]),
        ("/robot_description", TEXT, {}, [TWO]),
        ("/anything", TEXT, LATCHED, [TWO]),
        ("/anything", TEXT, NAMED, [TWO]),
        ("/anything", TEXT, {"latching": "1"}, [TWO]),
        ("/anything", TEXT, VOLATILE, []),
        ("/tf", STATIC, {}, []),
        ("/rosout", LOG, LATCHED, []),
        ("/map_cloud", CLOUD, LATCHED, []),
    ],
)
def test_what_every_slice_needs_is_repeated_in_it_and_counted_once(
    tmp_path: Path, topic: str, schema: tuple[str, str, bytes], metadata: dict[str, str], repeated: list[bytes]
) -> None:
    path = a_drive_with(tmp_path / "a.mcap", topic, schema, {2: ONE, 4: TWO}, **metadata)
    tiles, found, _ = split(path, tmp_path / "out")
    assert len(tiles) == 3
    assert sum(tile.quantities.features for tile in tiles) == sum(messages(path).values()) == 12
    own = [tile for tile in tiles if not marked(tmp_path / "out" / tile.path)]
    for tile in tiles:
        there = tmp_path / "out" / tile.path
        slice_topics = topics_of(there)
        if len(own) == 3 or tile in own:
            continue
        assert marked(there) == {MESSAGES: {topic: str(len(repeated))}}
        assert [data for _, _, _, data in slice_topics[topic]] == repeated
        begin = slice_topics["/fix"][0][0]
        assert {log for log, _, _, _ in slice_topics[topic]} == {begin - 1}
        assert [(publish, sequence) for _, publish, sequence, _ in slice_topics[topic]][-1] == (T0 + 4 * S // 10, 4)
    assert len(own) == (1 if repeated else 3)
    assert {f.code: f.value for f in found if f.code.startswith("recording.r")} == ({"recording.repeated": topic} if repeated else {})


def test_static_transforms_that_come_late_are_in_earlier_slices_too(tmp_path: Path) -> None:
    path = a_drive_with(tmp_path / "a.mcap", "/tf_static", STATIC, {2: ONE, 95: TWO, 97: ONE})
    tiles, _, _ = split(path, tmp_path / "out")
    for tile in tiles:
        assert {data for _, _, _, data in topics_of(tmp_path / "out" / tile.path)["/tf_static"]} == {ONE, TWO}
    assert sum(tile.quantities.features for tile in tiles) == 13
    again = [marked(tmp_path / "out" / tile.path).get(MESSAGES, {}).get("/tf_static", "0") for tile in tiles]
    assert sorted(again) == ["1", "1", "2"]


def test_messages_too_large_to_repeat_stay_where_they_were(tmp_path: Path) -> None:
    path = a_drive_with(tmp_path / "a.mcap", "/map", TEXT, {2: bytes(MOST_MESSAGE + 1)}, **LATCHED)
    tiles, found, _ = split(path, tmp_path / "out")
    assert [f.value for f in found] == ["/map"]
    assert sum("/map" in topics_of(tmp_path / "out" / tile.path) for tile in tiles) == 1


def test_what_is_repeated_is_bounded_in_all(tmp_path: Path) -> None:
    size = MOST_MESSAGE * 3 // 4
    bodies = {tenth: bytes([tenth]) * size for tenth in (2, 3, 4, 5)}
    tiles, found, _ = split(a_drive_with(tmp_path / "a.mcap", "/tf_static", STATIC, bodies), tmp_path / "out")
    assert {f.code: f.value for f in found} == {"recording.repeated": "/tf_static", "recording.not_repeated": "/tf_static"}
    again = [marked(tmp_path / "out" / tile.path).get(MESSAGES, {}) for tile in tiles]
    assert again == [{}, {"/tf_static": "2"}, {"/tf_static": "2"}]
    assert sum(tile.quantities.features for tile in tiles) == 14


def test_a_slice_that_is_sold_again_counts_all_that_it_holds(tmp_path: Path) -> None:
    tiles, _, _ = split(a_drive_with(tmp_path / "a.mcap", "/tf_static", STATIC, {2: ONE}), tmp_path / "out")
    bought = next(path for tile in tiles if marked(path := tmp_path / "out" / tile.path))
    again, _, _ = split(bought, tmp_path / "again")
    assert sum(tile.quantities.features for tile in again) == sum(messages(bought).values()) + len(attachments(bought))
    assert messages(*(tmp_path / "again" / tile.path for tile in again)) == messages(bought)


@pytest.mark.parametrize("count", ["-1", "x", "99"])
def test_false_mark_fails_the_recount(tmp_path: Path, count: str) -> None:
    import hashlib

    tiles, _, _ = split(a_drive_with(tmp_path / "a.mcap", "/tf_static", STATIC, {2: ONE}), tmp_path / "out")
    tile = next(tile for tile in tiles if marked(tmp_path / "out" / tile.path))
    with (tmp_path / "out" / tile.path).open("rb") as stream, (tmp_path / "false.mcap").open("wb") as false:
        reader, writer = make_reader(stream), Writer(false)
        writer.start()
        for schema, channel, m in reader.iter_messages():
            assert schema is not None
            ids = writer.register_schema(schema.name, schema.encoding, schema.data)
            number = writer.register_channel(channel.topic, channel.message_encoding, ids)
            writer.add_message(number, m.log_time, m.data, m.publish_time, m.sequence)
        writer.add_metadata(MESSAGES, {"/tf_static": count})
        writer.add_attachment(0, 0, NAME, "application/geo+json", attachments(tmp_path / "out" / tile.path)[-1].data)
        writer.finish()
    body = (tmp_path / "false.mcap").read_bytes()
    record = replace(tile, size=len(body), sha256=hashlib.sha256(body).hexdigest(), quantities=replace(tile.quantities, bytes=len(body)))
    with pytest.raises(InvalidContent):
        verify(tmp_path / "false.mcap", record)


def test_trajectory_of_each_slice_is_in_its_cell_and_names_the_times(tmp_path: Path) -> None:
    tiles, _, _ = split(a_drive(tmp_path / "a.mcap"), tmp_path / "out")
    times: list[str] = []
    for tile in tiles:
        way = json.loads(attachments(tmp_path / "out" / tile.path)[-1].data)
        for feature in way["features"]:
            coordinates = feature["geometry"]["coordinates"]
            coordinates = [coordinates] if feature["geometry"]["type"] == "Point" else coordinates
            assert set(grid.cells_at([c[0] for c in coordinates], [c[1] for c in coordinates]).tolist()) == {tile.cell}
            assert len(feature["properties"]["times"]) == len(coordinates)
            times += feature["properties"]["times"]
    assert len(times) == 10 and len(set(times)) == 10


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("chunked", [True, False])
def test_every_packing_gives_the_same_bytes(tmp_path: Path, compression: CompressionType, chunked: bool) -> None:
    reference, _, _ = split(a_drive(tmp_path / "ref.mcap"), tmp_path / "ref")
    options = {"compression": compression, "use_chunking": chunked, "chunk_size": 3000, "enable_data_crcs": True}
    tiles, _, _ = split(a_drive(tmp_path / "other.mcap", **options), tmp_path / "other")
    assert [t.sha256 for t in tiles] == [t.sha256 for t in reference]


# ---- damage --------------------------------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[int, list[Finding]]:
    """Rows and findings; the position is given so that damage alone is looked at."""
    placed = Placed("EPSG:4326", Known.GIVEN, origin=(WEST, 37.4, 0.0))
    entries = list(Mcap().read(Source.of(path), placed))
    return sum(e.table.num_rows for e in entries if isinstance(e, Batch)), [e for e in entries if isinstance(e, Finding)]


def blocking(found: list[Finding]) -> dict[str, Finding]:
    """What stands in the way of publication: for good, or until the seller has confirmed it."""
    return {f.code: f for f in found if f.severity in (Severity.ERROR, Severity.QUESTION)}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_recording_whose_writer_died_gives_what_is_there_and_counts_it(samples: Path, tmp_path: Path, share: float) -> None:
    body = (samples / "recordings/ros2_mcap/comma2k19_seg40_ros2.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(body[: int(len(body) * share)])
    rows, found = read(tmp_path / "cut.mcap")
    assert 0 < rows <= 8036
    cut = blocking(found)["recording.cut"]
    assert f"{rows} messages" in cut.message and "--confirm recording.cut" in cut.fix


def test_every_cut_of_a_small_file_is_reported(tmp_path: Path) -> None:
    body = a_drive(tmp_path / "whole.mcap", seconds=2, chunk_size=2000).read_bytes()
    for length in range(9, len(body), 37):
        (tmp_path / "cut.mcap").write_bytes(body[:length])
        try:
            rows, found = read(tmp_path / "cut.mcap")
        except InvalidContent as nothing:
            assert nothing.code == "recording.unreadable"
        else:
            assert rows <= 23 and "recording.cut" in blocking(found), length


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.ZSTD, CompressionType.LZ4])
def test_whole_messages_of_the_chunk_in_which_a_file_ends_are_read(tmp_path: Path, compression: CompressionType) -> None:
    recorder = Recorder(tmp_path / "a.mcap", compression=compression, chunk_size=1 << 20)  # one chunk
    recorder.channel("/raw", TEXT)
    noise = np.random.default_rng(3)
    sent = [noise.bytes(5000) for _ in range(100)]
    for number, data in enumerate(sent):
        recorder.add("/raw", T0 + number, data)
    recorder.close()
    body = (tmp_path / "a.mcap").read_bytes()
    counts = []
    for share in (0.3, 0.6, 0.9):
        (tmp_path / "cut.mcap").write_bytes(body[: int(len(body) * share)])
        placed = Placed("EPSG:4326", Known.GIVEN, origin=(WEST, 37.4, 0.0))
        entries = list(Mcap().read(Source.of(tmp_path / "cut.mcap"), placed))
        rows = [row for one in entries if isinstance(one, Batch) for row in one.table.column("payload").to_pylist()]
        assert rows == sent[: len(rows)]
        assert "recording.cut" in blocking([one for one in entries if isinstance(one, Finding)])
        counts.append(len(rows))
    assert 10 < counts[0] < counts[1] < counts[2] < 100, counts


def test_flipped_bit_in_a_chunk_loses_that_chunk_and_says_so(tmp_path: Path) -> None:
    body = bytearray(a_drive(tmp_path / "a.mcap", compression=CompressionType.NONE, chunk_size=5000).read_bytes())
    with (tmp_path / "a.mcap").open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    chunk = summary.chunk_indexes[1]
    body[chunk.chunk_start_offset + chunk.chunk_length // 2] ^= 1
    (tmp_path / "b.mcap").write_bytes(body)
    rows, found = read(tmp_path / "b.mcap")
    assert 0 < rows < 115
    assert "checksum" in blocking(found)["recording.damaged"].message
    assert f"{rows} are in it" in blocking(found)["recording.count"].message


def chunk(data: bytes, *, size: int | None = None, compression: str = "zstd", packed: bytes | None = None) -> bytes:
    packed = zstandard.compress(data) if packed is None else packed
    name = compression.encode()
    head = struct.pack("<QQQII", T0, T0, len(data) if size is None else size, zlib.crc32(data), len(name)) + name
    body = head + struct.pack("<Q", len(packed)) + packed
    return struct.pack("<BQ", 6, len(body)) + body


def with_record(path: Path, record: bytes) -> Path:
    """A good small recording with one more record in front of its data."""
    body = a_drive(path, seconds=1).read_bytes()
    at = 8 + 9 + struct.unpack_from("<Q", body, 9)[0]
    path.write_bytes(body[:at] + record + body[at:])
    return path


@pytest.mark.parametrize(
    ("record", "code", "word"),
    [
        (lambda: chunk(bytes(1 << 30)), "recording.damaged", "refused"),
        (lambda: chunk(bytes(1 << 30), size=1000), "recording.damaged", "another size"),
        (lambda: chunk(b"", size=1 << 40, packed=b""), "recording.damaged", "refused"),
        (lambda: chunk(b"x" * 100, size=200), "recording.damaged", "another size"),
        (lambda: chunk(b"", packed=b"garbage", size=7), "recording.damaged", "unpacked"),
        (lambda: chunk(b"abc", compression="brotli"), "recording.damaged", "brotli"),
        (lambda: chunk(struct.pack("<BQ", 5, 1 << 50)), "recording.damaged", "longer than the chunk"),
        (lambda: struct.pack("<BQ", 9, 1 << 50) + b"x", "recording.cut", "claims"),
        (lambda: struct.pack("<BQ", 4, 3) + b"\xff\xff\xff", "recording.damaged", "CHANNEL"),
        (lambda: struct.pack("<BQ", 5, 3) + b"\xff\xff\xff", "recording.damaged", "record"),
    ],
)
def test_hostile_record_is_refused_in_small_memory(tmp_path: Path, record: Callable[[], bytes], code: str, word: str) -> None:
    path = with_record(tmp_path / "bomb.mcap", record())
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import test_recordings as t\n"
        "before = t.peak_kib()\n"
        "rows, found = t.read(Path(sys.argv[1]))\n"
        "grown = (t.peak_kib() - before) // 1024\n"
        "print(rows, grown, '|'.join(f'{f.code} {f.message}' for f in found))\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, path, Path(__file__).parent], capture_output=True, text=True, check=True, timeout=60
        )
        rows, grown, text = done.stdout.split(" ", 2)
        assert int(grown) < 250, text
        assert (int(rows) == 12) == (code == "recording.damaged")
    except subprocess.CalledProcessError as nothing:
        assert code == "recording.cut" and "not one message can be read" in nothing.stderr
        return
    assert code in text and word in text


def test_message_of_an_undefined_channel_is_counted_as_rejected(tmp_path: Path) -> None:
    message = struct.pack("<HIQQ", 999, 0, T0, T0) + b"?"
    rows, found = read(with_record(tmp_path / "orphan.mcap", struct.pack("<BQ", 5, len(message)) + message))
    assert rows == 12
    assert blocking(found)["recording.orphans"].rejected == 1


def test_statistics_that_are_false_are_reported(tmp_path: Path) -> None:
    body = bytearray(a_drive(tmp_path / "a.mcap").read_bytes())
    at = body.rindex(struct.pack("<QHI", 115, 4, 4))
    body[at : at + 8] = struct.pack("<Q", 116)
    (tmp_path / "a.mcap").write_bytes(body)
    rows, found = read(tmp_path / "a.mcap")
    assert rows == 115 and "claims 116" in blocking(found)["recording.count"].message


@pytest.mark.parametrize(("opcode", "code"), [(0x0B, "recording.damaged"), (0x0F, "recording.cut")])
def test_statistics_and_end_that_are_too_short_are_reported(tmp_path: Path, opcode: int, code: str) -> None:
    body = bytearray(a_drive(tmp_path / "a.mcap").read_bytes())
    at = body.rindex(struct.pack("<BQ", opcode, 4)) if opcode == 0x0F else body.rindex(struct.pack("<QHI", 115, 4, 4)) - 9
    (size,) = struct.unpack_from("<Q", body, at + 1)
    body[at : at + 9 + size] = struct.pack("<BQ", opcode, 2) + b"xx"
    (tmp_path / "a.mcap").write_bytes(body)
    rows, found = read(tmp_path / "a.mcap")
    assert rows == 115 and "cannot be read" in blocking(found)[code].message


@pytest.mark.parametrize("body", [b"\x89MCAP0\r\n", b"\x89MCAP0\r\n" + b"\x00" * 100, b"\x89MCAP0\r\n" + b"\xff" * 100])
def test_file_without_one_message_is_unreadable(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "x.mcap").write_bytes(body)
    with pytest.raises(InvalidContent) as raised:
        read(tmp_path / "x.mcap")
    assert raised.value.code == "recording.unreadable"


# ---- recount ---------------------------------------------------------------------------------------------------------------------------


def forged(tile: EncodedTile) -> Iterator[EncodedTile]:
    q = tile.quantities
    yield replace(tile, quantities=replace(q, features=q.features + 1))
    yield replace(tile, quantities=replace(q, frames=q.frames + 1))
    yield replace(tile, quantities=replace(q, bytes=q.bytes - 1))
    yield replace(tile, sha256="0" * 64)
    yield replace(tile, size=tile.size + 1)
    yield replace(tile, cell=tile.cell + 1)


def test_recount_finds_every_false_value_of_a_record(tmp_path: Path) -> None:
    tiles, _, _ = split(a_drive(tmp_path / "a.mcap"), tmp_path / "out")
    for false_record in forged(tiles[0]):
        with pytest.raises(InvalidContent):
            verify(tmp_path / "out" / tiles[0].path, false_record)


def test_file_that_is_no_slice_fails_the_recount(tmp_path: Path) -> None:
    """A recording that did not come from the splitter has no trajectory, even when its record has the right hash."""
    import hashlib

    path = a_drive(tmp_path / "plain.mcap")
    body = path.read_bytes()
    quantities = Quantities(features=115, frames=5, bytes=len(body))
    cell = int(grid.cells_at([WEST], [37.4])[0])
    sha256 = hashlib.sha256(body).hexdigest()
    tile = EncodedTile("recording", cell, 0, "plain.mcap", sha256, len(body), "application/x-mcap", quantities, (0, 0, 0, 0))
    with pytest.raises(InvalidContent, match="trajectory"):
        verify(path, tile)


def test_memory_stays_bounded_for_a_large_recording(tmp_path: Path) -> None:
    """200 MB of pictures that do not pack: far less is held."""
    recorder = Recorder(tmp_path / "big.mcap", compression=CompressionType.NONE)
    recorder.channel("/fix", FIX)
    recorder.channel("/camera", IMAGE)
    picture = np.random.default_rng(1).bytes(1 << 20)
    for i in range(200):
        t = T0 + i * S // 10
        recorder.add("/fix", t, fix_bytes(t, WEST + 0.0001 * i, 37.4))
        recorder.add("/camera", t, header(t) + i.to_bytes(4, "little") + picture)
    recorder.close()
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import test_recordings as t\n"
        "before = t.peak_kib()\n"
        "tiles, _, _ = t.split(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print((t.peak_kib() - before) // 1024, sum(x.quantities.frames for x in tiles))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "big.mcap", tmp_path / "out", Path(__file__).parent],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    grown, frames = map(int, done.stdout.split())
    assert frames == 200
    assert grown < 170
