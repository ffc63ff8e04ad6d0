"""What small recordings cost: work, memory and tiles are bounded by what was given, and counted before they are made."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.readers.bags import scan
from ingest.readers.recordings.inventory import Inventory
from mapex.intake.placement import Placement
from tests.support.bags import Topic, ros1, ros2
from tests.support.reader_examples import fix_1
from tests.support.reading import received
from tests.support.recordings import LAT, LON, T0, Recorder, S, definition, fix
from tiles.errors import InvalidContent
from tiles.footage import recording
from tiles.frames import splitter
from tiles.frames.splitter import FrameSplitter

FIX = definition("sensor_msgs/msg/NavSatFix")


def a_recording(path: Path, *, channels: int = 1, cells: int = 1, note: str = "", comment: bytes = b"") -> Path:
    """A drive through some cells, with channels that are all of one long definition."""
    recorder = Recorder(path)
    recorder.channel("/fix", FIX)
    for n in range(channels):
        recorder.channel(f"/more/{n}", (FIX[0], FIX[1], FIX[2] + comment))
    if note:
        recorder.writer.add_metadata("note", {"text": note})
    for n in range(cells):
        recorder.add("/fix", fix(T0 + n * S, LON + n * 0.006, LAT), T0 + n * S)
    recorder.writer.finish()
    recorder.stream.close()
    return path


@pytest.mark.parametrize(("channels", "comment"), [(30, b""), (5, b"\n# " + b"x" * 5000)])
def test_channels_are_counted_before_they_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, comment: bytes
) -> None:
    """A definition of a megabyte, named by five thousand channels, was gigabytes to look at."""
    path = a_recording(tmp_path / "a.mcap", channels=channels, comment=comment)
    looked: list[bytes] = []
    monkeypatch.setattr(recording, "of_document", lambda body, **given: looked.append(body))
    monkeypatch.setattr(scan, "MOST_CHANNELS", 20)
    monkeypatch.setattr(scan, "MOST_DESCRIBED", 20_000)
    with pytest.raises(InvalidContent, match="at most 20 channels") as refused:
        Inventory("a.mcap", "recording").take(path)
    assert refused.value.code == "recording.channels"
    assert len(looked) <= 20 and sum(map(len, looked)) <= 20_000


def test_what_each_slice_repeats_is_counted_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two megabytes of metadata, in two thousand slices, were four gigabytes."""
    found = received(a_recording(tmp_path / "a.mcap", cells=40, note="word " * 2000), Placement())
    monkeypatch.setattr(splitter, "FREE_COPIES", 50_000)
    split = FrameSplitter(tmp_path / "out", layer="recording", part=0)
    with pytest.raises(InvalidContent, match="each slice repeats") as refused:
        for batch in found.placed:
            split.add(batch)
    assert refused.value.code == "recording.repeats"
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.mcap"))
    assert written <= 50_000 + 20 * 40 * 200


def peak_mib(program: str) -> int:
    """How much the memory of a process of its own grows over some lines."""
    measure = "import resource\ndef peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
    done = subprocess.run([sys.executable, "-c", measure + program], capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


@pytest.mark.parametrize("letter", ["a", "ab", "12 ", "%41", "0x1f,"])
def test_a_long_text_is_looked_at_in_small_memory(letter: str) -> None:
    program = (
        "from tiles.footage.text import TextProof\n"
        f"text = {letter!r} * (8_000_000 // {len(letter)})\n"
        "before = peak(); TextProof().doubt(text); print(peak() - before)\n"
    )
    assert peak_mib(program) < 250


def test_a_chunk_of_millions_of_records_is_read_in_small_memory(tmp_path: Path) -> None:
    import zstandard

    data = struct.pack("<BQ", 0x80, 0) * 3_000_000
    packed = zstandard.compress(data)
    body = struct.pack("<QQQII", T0, T0, len(data), 0, 4) + b"zstd" + struct.pack("<Q", len(packed)) + packed
    good = a_recording(tmp_path / "a.mcap").read_bytes()
    at = 8 + 9 + struct.unpack_from("<Q", good, 9)[0]
    (tmp_path / "a.mcap").write_bytes(good[:at] + struct.pack("<BQ", 6, len(body)) + body + good[at:])
    program = (
        "from tiles.frames.mcap_scan import McapScan\n"
        f"stream = open({str(tmp_path / 'a.mcap')!r}, 'rb'); scan = McapScan(stream)\n"
        "before = peak(); count = sum(1 for _ in scan.items()); assert scan.damaged == [] and count > 3, scan; print(peak() - before)\n"
    )
    assert peak_mib(program) < 250


@pytest.mark.parametrize("ending", ["bag", "db3", "mcap"])
def test_a_recording_ten_times_as_large_needs_no_more_memory(tmp_path: Path, ending: str) -> None:
    """4 and 40 MB: what is in memory is a chunk and a batch."""
    grown = []
    for times in (1, 10):
        path = tmp_path / f"{times}.{ending}"
        topic, fixes = Topic("/raw", "a_msgs/Raw", b"uint8[] data\n"), Topic("/fix", "sensor_msgs/NavSatFix", b"")
        body = struct.pack("<I", 4000) + bytes(4000)
        messages = [(0, T0 + n, body) for n in range(1000 * times)]
        if ending == "bag":
            path.write_bytes(ros1([topic, fixes], [(1, T0, fix_1(T0, LON, LAT)), *messages]))
        elif ending == "db3":
            ros2(path, [topic, fixes], [(1, T0, fix(T0, LON, LAT)), *messages])
        else:
            recorder = Recorder(path)
            recorder.channel("/raw", (topic.type, "ros2msg", topic.definition))
            for _, t_ns, data in messages:
                recorder.add("/raw", data, t_ns)
            recorder.close()
        program = (
            "from pathlib import Path; from ingest.reader import Source; from ingest.readers.sniff import reader_for\n"
            "from mapex.intake.placement import Placement; from tiles.batch import Batch; import ingest.readers.recordings.mcap\n"
            f"source = Source.of(Path({str(path)!r})); reader = reader_for(source)\n"
            "before = peak(); placed = reader.survey(source, Placement()).placed\n"
            "rows = sum(entry.table.num_rows for entry in reader.read(source, placed) if isinstance(entry, Batch))\n"
            f"assert rows > {1000 * times}, rows; print(peak() - before)\n"
        )
        grown.append(peak_mib(program))
    assert grown[1] - grown[0] < 24, grown
