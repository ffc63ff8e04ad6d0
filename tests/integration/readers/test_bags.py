"""Bags of ROS 1 and ROS 2 through reader, splitter and recount: every message once, its bytes, type and definition as they were."""

from __future__ import annotations

import random
import sqlite3
import struct
import tempfile
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore

from ingest.grouping import group
from ingest.reader import Source
from ingest.readers.sniff import format_of, reader_for
from ingest.tasks.convert import convert
from mapex.catalogue.finding import Finding, Severity
from mapex.errors import Conflict, MapexError
from mapex.intake.placement import Placement
from mapex.offers import offers
from mapex.people.persons import actor_of
from tests.support.bags import T0, S, Sent, Topic, ros1, ros2
from tests.support.exchange import an_exchange
from tests.support.reader_examples import NAV_SAT_FIX, NAV_SAT_FIX_1, fix, fix_1
from tests.support.reading import received
from tests.support.recordings import Recorder
from tests.support.uploads import codes, ingest
from tiles.batch import Batch, EncodedTile
from tiles.errors import InvalidContent, TilesError
from tiles.frames.splitter import FrameSplitter
from tiles.recount import verify

LON, LAT = 127.1, 37.4
TEXT = Topic("/text", "std_msgs/String", b"string data\n", (("callerid", "/talker"), ("latching", "1")))
FIX_1 = Topic("/fix", "sensor_msgs/NavSatFix", NAV_SAT_FIX_1, (("callerid", "/gps"),))
FIX_2 = Topic("/fix", "sensor_msgs/msg/NavSatFix", NAV_SAT_FIX)
TEXT_2 = Topic("/text", "std_msgs/msg/String", b"string data\n")


def text_1(word: str) -> bytes:
    return struct.pack("<I", len(word)) + word.encode()


def text_2(word: str) -> bytes:
    return b"\x00\x01\x00\x00" + struct.pack("<I", len(word) + 1) + word.encode() + b"\x00"


def sent(form: int, seconds: int = 10, a_second: int = 10, word: str = "w") -> list[Sent]:
    """A drive east over three cells: a fix a second, and words between."""
    found: list[Sent] = []
    for tick in range(seconds * a_second):
        t = T0 + tick * S // a_second
        if tick % a_second == 0:
            place = (LON + 0.01 * tick / (seconds * a_second), LAT)
            found.append((0, t, (fix_1 if form == 1 else fix)(t, *place)))
        found.append((1, t, (text_1 if form == 1 else text_2)(f"{word}{tick}")))
    return found


def a_bag(path: Path, **given: Any) -> Path:
    path.write_bytes(ros1([FIX_1, TEXT], sent(1), **given))
    return path


def a_db3(path: Path, version: int = 4) -> Path:
    return ros2(path, [FIX_2, TEXT_2], sent(2), version=version)


def split(path: Path, out: Path, given: Placement | None = None) -> tuple[list[Path], dict[str, Finding]]:
    """The slices of a recording, each counted again, and the findings."""
    found = received(path, given)
    splitter = FrameSplitter(out, layer="recording", part=0)
    for batch in found.placed:
        splitter.add(batch)
    tiles: list[EncodedTile] = list(splitter.finish())
    for tile in tiles:
        verify(out / tile.path, tile)
    return [out / tile.path for tile in tiles], {finding.code: finding for finding in found.findings}


Row = tuple[str, str, str, int, bytes, bytes]


def in_slices(paths: list[Path]) -> Counter[Row]:
    """Topic, type, encodings, time, bytes and definition of each message, by the mcap library; what is repeated is left out."""
    found: Counter[Row] = Counter()
    for path in paths:
        with path.open("rb") as stream:
            reader = make_reader(stream, validate_crcs=True)
            again = Counter({name: int(n) for m in reader.iter_metadata() if m.name == "mapex.repeated" for name, n in m.metadata.items()})
            for schema, channel, m in reader.iter_messages():
                if again[channel.topic] > 0:
                    again[channel.topic] -= 1
                    continue
                assert schema is not None
                form = f"{channel.message_encoding}/{schema.encoding}"
                found[(channel.topic, schema.name, form, m.log_time, m.data, schema.data)] += 1
    return found


def as_sent(topics: list[Topic], messages: list[Sent], form: str) -> Counter[Row]:
    return Counter((topics[n].name, topics[n].type, form, t, data, topics[n].definition) for n, t, data in messages)


# ---- ROS 1 -----------------------------------------------------------------------------------------------------------------------------


def test_real_bag_comes_back_message_for_message(samples: Path, tmp_path: Path) -> None:
    path = samples / "recordings/husky_gps/test1.bag"
    paths, found = split(path, tmp_path / "out")
    rows = in_slices(paths)
    counts = Counter(row[0] for row in rows.elements())
    assert counts == {"/fix": 989, "/imu/data": 11_865, "/husky_velocity_controller/odom": 3_952}
    with AnyReader([path]) as reader:
        theirs = Counter((c.topic, t, bytes(raw)) for c, t, raw in reader.messages())
    assert Counter((row[0], row[3], row[4]) for row in rows.elements()) == theirs
    assert not [one for one in found.values() if one.severity in (Severity.ERROR, Severity.QUESTION)]


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_bag_keeps_messages_definitions_and_headers_of_connections(tmp_path: Path, compression: str) -> None:
    paths, found = split(a_bag(tmp_path / "a.bag", compression=compression), tmp_path / "out")
    assert len(paths) > 1
    assert in_slices(paths) == as_sent([FIX_1, TEXT], sent(1), "ros1/ros1msg")
    with paths[0].open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    about = {channel.topic: channel.metadata for channel in summary.channels.values()}
    assert about["/text"] == {"md5sum": "0" * 32, "callerid": "/talker", "latching": "1"}
    assert {code for code in found if code.startswith("recording.")} <= {"recording.repeated"}


@pytest.mark.parametrize("compression", [None, Writer.CompressionFormat.BZ2, Writer.CompressionFormat.LZ4])
def test_bag_of_another_writer_is_read_with_its_index(tmp_path: Path, compression: Any) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    writer = Writer(tmp_path / "a.bag")
    if compression is not None:
        writer.set_compression(compression)
    with writer:
        numbers = [writer.add_connection(one.name, one.type.replace("/", "/msg/"), typestore=store) for one in (FIX_1, TEXT)]
        for number, t, data in sent(1):
            writer.write(numbers[number], t, data)
    paths, found = split(tmp_path / "a.bag", tmp_path / "out")
    assert Counter((row[0], row[3], row[4]) for row in in_slices(paths).elements()) == Counter(
        ((FIX_1, TEXT)[n].name, t, data) for n, t, data in sent(1)
    )
    assert not [one for one in found.values() if one.severity in (Severity.ERROR, Severity.QUESTION)]


def test_slices_of_a_bag_open_in_rosbags(tmp_path: Path) -> None:
    paths, _ = split(a_bag(tmp_path / "a.bag"), tmp_path / "out")
    store = get_typestore(Stores.ROS1_NOETIC)
    with paths[0].open("rb") as stream:
        for schema, channel, m in make_reader(stream).iter_messages("/fix"):
            assert schema is not None and channel.message_encoding == "ros1"
            read: Any = store.deserialize_ros1(m.data, "sensor_msgs/msg/NavSatFix")
            assert (read.latitude, read.altitude) == (LAT, 30.0)


def test_bag_that_was_never_closed_gives_all_and_asks_its_seller(tmp_path: Path) -> None:
    paths, found = split(a_bag(tmp_path / "a.bag.active", index=False), tmp_path / "out")
    assert in_slices(paths) == as_sent([FIX_1, TEXT], sent(1), "ros1/ros1msg")
    cut = found["recording.cut"]
    assert cut.severity is Severity.QUESTION and "no index" in cut.message and "--confirm recording.cut" in cut.fix


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_every_cut_of_a_bag_gives_what_is_there_and_asks(tmp_path: Path, compression: str) -> None:
    body = a_bag(tmp_path / "a.bag", compression=compression, a_chunk=30).read_bytes()
    everything = as_sent([FIX_1, TEXT], sent(1), "ros1/ros1msg")
    before = 0
    for length in range(4200, len(body), (len(body) - 4200) // 20):
        (tmp_path / "cut.bag").write_bytes(body[:length])
        source = Source.of(tmp_path / "cut.bag")
        reader = reader_for(source)
        try:
            entries = list(reader.read(source, reader.survey(source, Placement()).placed))
        except InvalidContent as nothing:
            assert nothing.code == "recording.unreadable" and before == 0
            continue
        rows = [row for entry in entries if isinstance(entry, Batch) for row in entry.table.column("payload").to_pylist()]
        assert before <= len(rows) and {row[4] for row in everything} >= set(rows)
        before = len(rows)
        asked = [entry.code for entry in entries if isinstance(entry, Finding) and entry.severity is Severity.QUESTION]
        assert asked == ["recording.cut"], length
    assert before > 80


def test_damage_inside_a_bag_loses_one_chunk_and_no_message_behind_it(tmp_path: Path) -> None:
    body = bytearray(a_bag(tmp_path / "a.bag", a_chunk=10).read_bytes())
    at = body.index(b"op=\x05", 4200 + 2000) - 8  # the length of a header of some chunk
    body[at : at + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "b.bag").write_bytes(body)
    paths, found = split(tmp_path / "b.bag", tmp_path / "out")
    assert sum(in_slices(paths).values()) == 100
    assert "claims" in found["recording.damaged"].message
    assert "claims 110 messages, 100 are in it" in found["recording.count"].message


@pytest.mark.parametrize("at", [1 << 40, 1 << 62, (1 << 64) - 1])
def test_an_index_that_is_nowhere_is_a_bag_that_was_cut(tmp_path: Path, at: int) -> None:
    body = a_bag(tmp_path / "a.bag").read_bytes()
    begin = body.index(b"index_pos=") + len(b"index_pos=")
    (tmp_path / "a.bag").write_bytes(body[:begin] + struct.pack("<Q", at) + body[begin + 8 :])
    paths, found = split(tmp_path / "a.bag", tmp_path / "out")
    assert sum(in_slices(paths).values()) == 110
    assert "before its index" in found["recording.cut"].message


@pytest.mark.parametrize(
    ("head", "word"),
    [
        ({"compression": "none", "size": 1 << 31}, "refused"),
        ({"compression": "brotli", "size": 5}, "not known"),
        ({"compression": "bz2", "size": 5}, "cannot be unpacked"),
        ({"compression": "none", "size": 9}, "another size"),
        ({"compression": "none"}, "without size"),
    ],
)
def test_hostile_chunk_is_left_out_in_words(tmp_path: Path, head: dict[str, Any], word: str) -> None:
    from tests.support.bags import fields, record

    body = a_bag(tmp_path / "a.bag").read_bytes()
    at = 13 + 4104
    chunk = record(fields(op=b"\x05", **head), b"12345")
    (tmp_path / "b.bag").write_bytes(body[:at] + chunk + body[at:])
    source = Source.of(tmp_path / "b.bag")
    reader = reader_for(source)
    found = {e.code: e for e in reader.read(source, reader.survey(source, Placement()).placed) if isinstance(e, Finding)}
    assert word in found["recording.damaged"].message


def test_a_bag_that_was_cut_is_published_once_its_seller_has_confirmed_it(tmp_path: Path) -> None:
    """Through the caged readers; as nobody can record it again, it is no error."""
    ex = an_exchange(tmp_path)
    body = a_bag(tmp_path / "drive.bag", a_chunk=20).read_bytes()
    done = ingest(ex, {"drive.bag": body[: len(body) // 2]}, classes="original")
    assert done.version.state == "draft" and codes(done, "question") == ["recording.cut"]
    assert done.job is not None
    seller = actor_of(ex, done.job.person_id)
    with pytest.raises(Conflict) as refused:
        offers.publish(ex, seller, "seoul", rate_card={"gb": 1000}, licence="research")
    assert refused.value.details == {"questions": ["recording.cut"]}
    offers.publish(ex, seller, "seoul", rate_card={"gb": 1000}, licence="research", confirmed=["recording.cut"])


MUTATED = {"bag": a_bag, "db3": a_db3}


@given(st.sampled_from(sorted(MUTATED)), st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_bags_with_some_bytes_changed_are_read_or_refused_in_words(ending: str, seed: int, changes: int) -> None:
    at = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"a.{ending}"
        body = bytearray(MUTATED[ending](path).read_bytes())
        for _ in range(changes):
            body[at.randrange(len(body)) if ending == "db3" or at.random() < 0.8 else at.randrange(13, 90)] = at.randrange(256)
        path.write_bytes(body)
        source = Source.of(path)
        try:
            reader = reader_for(source)
            entries = list(reader.read(source, reader.survey(source, Placement()).placed))
        except (MapexError, TilesError):
            return
        rows = [row for one in entries if isinstance(one, Batch) for row in one.table.column("payload").to_pylist()]
        assert all(isinstance(row, bytes) for row in rows)


# ---- ROS 2 -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_sqlite_recording_keeps_messages_and_definitions(tmp_path: Path, version: int) -> None:
    path = a_db3(tmp_path / "a.db3", version)
    before = path.read_bytes()
    paths, found = split(path, tmp_path / "out")
    topics = [FIX_2, TEXT_2] if version == 4 else [FIX_2._replace(definition=b""), TEXT_2._replace(definition=b"")]
    assert in_slices(paths) == as_sent(topics, sent(2), "cdr/ros2msg")
    assert ("recording.undefined" in found) == (version < 4)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir() if p != tmp_path / "out"] == ["a.db3"]


def test_what_a_recorder_left_in_the_log_is_read_and_the_upload_unchanged(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "live.db3")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        a_db3(tmp_path / "other.db3")
        for line in sqlite3.connect(tmp_path / "other.db3").iterdump():
            db.execute(line)
        db.commit()
        bag = tmp_path / "bag"
        bag.mkdir()
        for name in ("live.db3", "live.db3-wal"):
            (bag / name).write_bytes((tmp_path / name).read_bytes())
    assert (bag / "live.db3").stat().st_size < 10_000
    before = {path.name: path.read_bytes() for path in bag.iterdir()}
    bag.chmod(0o555)
    paths, _ = split(bag, tmp_path / "out")
    bag.chmod(0o755)
    assert in_slices(paths) == as_sent([FIX_2, TEXT_2], sent(2), "cdr/ros2msg")
    assert {path.name: path.read_bytes() for path in bag.iterdir()} == before


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_sqlite_recording_that_is_cut_gives_the_rows_that_are_there(tmp_path: Path, share: float) -> None:
    path = ros2(tmp_path / "a.db3", [FIX_2, TEXT_2], sent(2, word="w" * 400))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    paths, found = split(path, tmp_path / "out")
    rows = in_slices(paths)
    assert 8 < sum(rows.values()) < 110 and not rows - as_sent([FIX_2, TEXT_2], sent(2, word="w" * 400), "cdr/ros2msg")
    assert "it was cut" in found["recording.cut"].message
    assert [code for code, one in found.items() if one.severity is Severity.QUESTION] == ["recording.cut"]


def test_damaged_page_of_a_sqlite_recording_loses_its_rows_only(tmp_path: Path) -> None:
    path = ros2(tmp_path / "a.db3", [FIX_2, TEXT_2], sent(2, word="w" * 400))
    body = bytearray(path.read_bytes())
    at = body.index(b"w" * 400 + b"30\x00") // 4096 * 4096
    body[at : at + 100] = b"\xff" * 100
    path.write_bytes(body)
    paths, found = split(path, tmp_path / "out")
    assert 90 < sum(in_slices(paths).values()) < 110
    assert "malformed" in found["recording.damaged"].message


def test_a_journal_that_was_not_rolled_back_is_asked_about(tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    a_db3(folder / "drive_0.db3")
    for head, is_open in ((bytes(512), False), (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(512), True)):
        (folder / "drive_0.db3-journal").write_bytes(head)
        assert ("recording.damaged" in received(folder).codes) == is_open


def test_pages_that_come_again_end_the_reading_and_not_the_day(tmp_path: Path) -> None:
    """Every page of the messages points at one: the rows would come without end."""
    path = ros2(tmp_path / "a.db3", [FIX_2, TEXT_2], sent(2, word="w" * 400))
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    body = bytearray(path.read_bytes())
    begin = (root - 1) * 4096
    assert body[begin] == 5  # an inner page, of cells that begin with the number of a page
    cells = struct.unpack_from(f">{int.from_bytes(body[begin + 3 : begin + 5], 'big')}H", body, begin + 12)
    for cell in cells:
        body[begin + cell : begin + cell + 4] = body[begin + cells[0] : begin + cells[0] + 4]
    path.write_bytes(body)
    paths, found = split(path, tmp_path / "out")
    assert 0 < sum(in_slices(paths).values()) < 110
    assert "come again" in found["recording.damaged"].message


def test_views_and_computed_columns_of_a_sqlite_file_are_never_run(tmp_path: Path) -> None:
    for name, made in (
        ("view", "CREATE VIEW messages AS SELECT 1 AS id, 1 AS topic_id, 1 AS timestamp, zeroblob(9) AS data"),
        ("computed", "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data AS (zeroblob(1 << 30)))"),
    ):
        with closing(sqlite3.connect(tmp_path / f"{name}.db3")) as db:
            db.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name, type, serialization_format)")
            db.execute(made)
        source = Source.of(tmp_path / f"{name}.db3")
        reader = reader_for(source)
        with pytest.raises(InvalidContent, match="no table messages"):
            list(reader.read(source, reader.survey(source, Placement()).placed))


def test_geopackage_is_no_recording_whatever_its_tables_are_called(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as db:
        db.execute("CREATE TABLE gpkg_contents(table_name TEXT)")
        db.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY)")
        db.commit()
    assert format_of(Source.of(tmp_path / "map.gpkg")) == "geopackage"
    assert format_of(Source.of(a_db3(tmp_path / "a.gpkg"))) == "rosbag2"


# ---- folders and packing -----------------------------------------------------------------------------------------------------------------


def converted(path: Path, out: Path) -> tuple[dict[str, Any], list[Path]]:
    """Report and slices of a file or folder, by the task that the cage runs."""
    lines: list[Any] = []
    out.mkdir()
    labels = {p.name: p.name for p in path.iterdir()} if path.is_dir() else {}
    asked = {"do": "convert", "reads": [str(path)], "writes": str(out), "sources": [{"part": 0, "name": path.name, "labels": labels}]}
    convert({**asked, "step": 1, "placement": Placement().as_json()}, lines.append)
    (report,) = [line["report"] for line in lines if "report" in line]
    return report, [out / line["tile"]["path"] for line in lines if "tile" in line]


@pytest.mark.parametrize("make", [a_bag, a_db3])
@pytest.mark.parametrize("in_folder", [False, True])
def test_recording_packed_as_a_whole_is_unpacked_in_the_cage(tmp_path: Path, make: Any, in_folder: bool) -> None:
    name = "a.bag" if make is a_bag else "a.db3"
    body = zstandard.compress(make(tmp_path / name).read_bytes())
    path = tmp_path / f"{name}.zstd"
    if in_folder:
        (tmp_path / "bag").mkdir()
        (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information:\n  compression_mode: FILE\n")
        path = tmp_path / "bag" / f"{name}.zstd"
    path.write_bytes(body)
    report, paths = converted(path.parent if in_folder else path, tmp_path / "out")
    topics, form = ([FIX_1, TEXT], 1) if make is a_bag else ([FIX_2, TEXT_2], 2)
    assert in_slices(paths) == as_sent(topics, sent(form), "ros1/ros1msg" if form == 1 else "cdr/ros2msg")
    assert report["layers"]["recording"]["counts"]["placed"] == 110 + in_folder


def test_messages_packed_one_by_one_are_in_the_slices_as_they_were(tmp_path: Path) -> None:
    packed = [(n, t, zstandard.compress(data)) for n, t, data in sent(2)]
    packed[5] = (*packed[5][:2], packed[5][2][:-3])
    paths, found = split(ros2(tmp_path / "a.db3", [FIX_2, TEXT_2], packed), tmp_path / "out")
    assert in_slices(paths) == as_sent([FIX_2, TEXT_2], [*sent(2)[:5], *sent(2)[6:]], "cdr/ros2msg")
    assert (found["recording.unpacked"].count, found["recording.unusable"].rejected) == (109, 1)
    assert found["recording.unusable"].severity is Severity.QUESTION


def test_folder_of_bags_is_one_recording(tmp_path: Path) -> None:
    everything = sent(1)
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / "drive_2.bag").write_bytes(ros1([FIX_1, TEXT], everything[:50]))
    (folder / "drive_10.bag").write_bytes(ros1([TEXT, FIX_1], [(1 - n, t, data) for n, t, data in everything[50:]], compression="lz4"))
    assert [one.kind for one in group(f"drive/{path.name}" for path in folder.iterdir()).groups] == ["recording"]
    paths, _ = split(folder, tmp_path / "out")
    assert in_slices(paths) == as_sent([FIX_1, TEXT], everything, "ros1/ros1msg")


DESCRIBED = """rosbag2_bagfile_information:
  version: 5
  storage_identifier: sqlite3
  message_count: {count}
  topics_with_message_count:
    - topic_metadata:
        name: /fix
      message_count: 3
  relative_file_paths:
    - drive/drive_0.db3.zstd
    - drive_1.db3
"""


def test_what_the_description_of_a_recording_names_and_is_not_there_is_asked_about(tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    a_db3(folder / "drive_0.db3")
    (folder / "metadata.yaml").write_text(DESCRIBED.format(count=220))
    missing = received(folder).finding("recording.missing")
    assert missing.severity is Severity.QUESTION and missing.message.startswith("drive_1.db3 belongs")
    a_db3(folder / "drive_1.db3")
    assert "recording.missing" not in received(folder).codes
    (folder / "metadata.yaml").write_text(DESCRIBED.format(count=221))
    assert "states 221 messages, 220 are" in received(folder).finding("recording.missing").message


@pytest.mark.parametrize("encoding", ["protobuf", "json", "ros1"])
def test_mcap_with_other_encodings_is_placed_and_kept(tmp_path: Path, encoding: str) -> None:
    recorder = Recorder(tmp_path / "a.mcap")
    recorder.channels.clear()
    name, kind = (
        ("sensor_msgs/NavSatFix", "ros1msg")
        if encoding == "ros1"
        else ("foxglove.LocationFix", {"json": "jsonschema"}.get(encoding, encoding))
    )
    recorder.channel("/place", (name, kind, NAV_SAT_FIX_1 if encoding == "ros1" else b"..."), encoding)
    for second in range(10):
        lon = -71.0 + 0.001 * second
        data = {
            "protobuf": b"".join(bytes([n << 3 | 1]) + struct.pack("<d", v) for n, v in ((1, LAT), (2, lon), (3, 30.0))),
            "json": f'{{"latitude": {LAT}, "longitude": {lon}, "altitude": 30}}'.encode(),
            "ros1": fix_1(T0 + second * S, lon, LAT),
        }[encoding]
        recorder.add("/place", data, T0 + second * S)
    recorder.close()
    found = received(tmp_path / "a.mcap")
    places = found.table.column("lon").to_pylist()
    assert found.survey.placed.is_known and any(lon == pytest.approx(-70.991) for lon in places)
    paths, _ = split(tmp_path / "a.mcap", tmp_path / "out")
    assert {row[2] for row in in_slices(paths) if row[0] == "/place"} == {f"{encoding}/{kind}"}


# ---- where a recording is that does not state it -----------------------------------------------------------------------------------------


def a_track(path: Path, shift_s: int = 0) -> Path:
    """A drive east over three cells, a point a second, as the messages of `sent`."""
    places = [(T0 // S + n + shift_s, LON + 0.001 * n) for n in range(10)]
    iso = [datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for t, _ in places]
    if path.suffix == ".gpx":
        points = "".join(f'<trkpt lat="{LAT}" lon="{lon}"><time>{t}</time></trkpt>' for t, (_, lon) in zip(iso, places, strict=True))
        path.write_text(f'<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>')
    elif path.suffix == ".csv":
        path.write_text("time,lat,lon\n" + "".join(f"{t},{LAT},{lon}\n" for t, (_, lon) in zip(iso, places, strict=True)))
    else:
        lines = []
        for t, lon in places:
            at = datetime.fromtimestamp(t, UTC)
            place = f"{int(LAT):02d}{LAT % 1 * 60:.6f},N,{int(lon):03d}{lon % 1 * 60:09.6f},E"
            lines.append(f"$GPRMC,{at:%H%M%S}.00,A,{place},0.0,0.0,{at:%d%m%y},,\n")
        path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("ending", ["gpx", "csv", "nmea"])
def test_recording_without_a_position_is_placed_by_a_track_beside_it(tmp_path: Path, ending: str) -> None:
    words = [one for one in sent(1) if one[0] == 1]
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / "drive.bag").write_bytes(ros1([FIX_1, TEXT], words))
    assert group(["drive.bag", f"drive.{ending}"]).groups[0].members == ("drive.bag", f"drive.{ending}")
    assert "crs.none" in received(folder / "drive.bag").codes
    track = a_track(folder / f"drive.{ending}")
    found = received(folder)
    assert found.survey.placed.is_known and track.name in found.survey.placed.note
    paths, _ = split(folder, tmp_path / "out")
    assert len(paths) == 3 and in_slices(paths) == as_sent([FIX_1, TEXT], words, "ros1/ros1msg")
    for path in paths:
        with path.open("rb") as stream:
            kept = {one.name: one.data for one in make_reader(stream).iter_attachments()}
        assert kept[track.name] == track.read_bytes()


def test_track_of_another_time_places_nothing_and_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / "drive.bag").write_bytes(ros1([FIX_1, TEXT], [one for one in sent(1) if one[0] == 1]))
    a_track(folder / "drive.gpx", shift_s=9 * 3600)
    found = received(folder)
    assert not found.survey.placed.is_known
    assert "drive.gpx" in found.finding("recording.track_time").message


def test_fixes_of_a_receiver_win_over_what_other_messages_state(tmp_path: Path) -> None:
    """An odometry in the frame of the Earth, on the other side of it, changes nothing."""
    from tests.unit.readers.test_positions import NOETIC, odometry

    body = bytes(NOETIC.serialize_ros1(odometry(NOETIC, "earth", (0.0, 6_378_137.0, 0.0)), "nav_msgs/msg/Odometry"))
    poses = [(1, t, body) for _, t, _ in sent(1)[::3]]
    odometry_topic = Topic("/odom", "nav_msgs/Odometry", NOETIC.generate_msgdef("nav_msgs/msg/Odometry", ros_version=1)[0].encode())
    topics, fixes = [FIX_1, odometry_topic], [one for one in sent(1) if one[0] == 0]
    (tmp_path / "both.bag").write_bytes(ros1(topics, sorted([*fixes, *poses], key=lambda one: one[1])))
    (tmp_path / "alone.bag").write_bytes(ros1(topics, poses))
    both, alone = received(tmp_path / "both.bag"), received(tmp_path / "alone.bag")
    assert min(both.table.column("lon").to_pylist()) > 127
    assert {round(lon, 6) for lon in alone.table.column("lon").to_pylist()} == {90.0} and alone.survey.placed.is_known
