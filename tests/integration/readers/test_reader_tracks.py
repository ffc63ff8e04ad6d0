"""GPX and NMEA that stand alone: recordings without pictures; way points, routes and tracks without times are features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.reader import Source
from ingest.readers.positions import ros
from ingest.readers.sniff import reader_for
from ingest.readers.tracks import messages
from mapex.intake.placement import Placement
from tests.support.reader_examples import nmea
from tests.support.reading import Received, received, report_of
from tiles.batch import Batch, Content

GPX = '<?xml version="1.0" encoding="UTF-8"?><gpx version="1.1" creator="여행" xmlns:g="x">{}</gpx>'


def gpx(folder: Path, body: str) -> Received:
    (folder / "a.gpx").write_text(GPX.format(body), encoding="utf-8")
    return received(folder / "a.gpx")


def point(lon: float, time: str = "", more: str = "", name: str = "trkpt") -> str:
    return f'<{name} lat="37.5" lon="{lon}">{f"<time>{time}</time>" if time else ""}{more}</{name}>'


def table(there: Received, content: Content) -> pa.Table:
    return pa.concat_tables([batch.table for batch in there.raw if batch.content is content])


@pytest.mark.parametrize(("name", "points", "first"), [("sf_30km_h", 49, 1741935600), ("around-visnjan-with-car", 104, 1608272150)])
def test_each_point_of_a_real_track_is_one_position(samples: Path, name: str, points: int, first: int) -> None:
    path = samples / "recordings" / "gpx" / f"{name}.gpx"
    rows = table(received(path), Content.FRAMES)
    fixes = [ros.decode_fix(payload, "cdr") for payload in rows.filter(rows["fix"])["payload"].to_pylist()]
    own = [one for one in ElementTree.parse(path).iter() if one.tag.endswith("}trkpt")]
    assert len(fixes) == len(own) == points
    assert fixes[0] is not None and fixes[0].stamp_ns == first * 10**9
    for fix, one in zip(fixes, own, strict=True):
        (ele,) = [float(str(child.text)) for child in one if child.tag.endswith("}ele")]
        assert fix is not None and (fix.lon, fix.lat, fix.h) == (float(one.attrib["lon"]), float(one.attrib["lat"]), ele)
    (layer,) = report_of(path, Placement())["layers"].values()
    assert layer["footage"] is False, "a track shows nobody"
    assert layer["counts"]["placed"] == rows.num_rows


def test_what_else_a_point_holds_goes_along_as_text(tmp_path: Path) -> None:
    more = "<ele>12.5</ele><hdop>1.2</hdop><extensions><g:speed>3</g:speed><g:speed>4</g:speed></extensions>"
    there = gpx(tmp_path, f"<trk><name>길</name><trkseg>{point(127, '2026-01-01T09:00:00+09:00', more)}</trkseg></trk>")
    rows = table(there, Content.FRAMES)
    assert rows["topic"].to_pylist() == ["/fix", "/gpx/point"] and rows["h"].to_pylist() == [12.5, 12.5]
    assert json.loads(rows["payload"][1].as_py()[8:-1]) == {"hdop": "1.2", "extensions": {"speed": ["3", "4"]}}
    beside = json.loads(there.raw[0].meta["mcap"])["metadata"]
    assert {"name": "track", "metadata": {"track": "1", "name": "길"}} in beside
    assert rows["t_ns"][0].as_py() == 1767225600 * 10**9
    assert there.finding("track.more").count == 1


def test_points_without_times_are_features_with_all_that_they_hold(tmp_path: Path) -> None:
    ends = "".join(point(127 + n / 1000, more="<ele>3</ele><cmt>돌</cmt>", name="rtept") for n in range(3))
    route = f"<rte><name>R</name>{ends}</rte>"
    track = "<trk><type>walk</type><trkseg>" + point(127) + point(127.001) + "</trkseg></trk>"
    there = gpx(tmp_path, point(127.5, more="<name>문</name><sym>Flag</sym>", name="wpt") + route + track)
    assert there.ids == ["wpt/1", "rte/2", "trk/3/1"]
    shapes, answers = there.shapes(), there.properties()
    assert shapes["wpt/1"].equals(shapely.Point(127.5, 37.5)) and shapes["rte/2"].has_z and len(shapes["rte/2"].coords) == 3
    assert (answers["wpt/1"]["name"], answers["wpt/1"]["sym"], answers["trk/3/1"]["type"]) == ("문", "Flag", "walk")
    assert answers["rte/2"]["points"] == {"0": {"cmt": "돌"}, "1": {"cmt": "돌"}, "2": {"cmt": "돌"}}


def test_points_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    good = "".join(point(127 + n / 1000, f"2026-01-01T00:00:{n:02}Z") for n in range(8))
    odd = (
        point(127.1)
        + point(127.1, "9999-12-31T23:59:59Z")
        + point(127.1, "0001-01-01T00:00:00+14:00")
        + point(127.2, "1901-01-01T00:00:00Z")
        + point(200, "2026-01-01T00:01:00Z")
    )
    there = gpx(tmp_path, f"<trk><trkseg>{good}{odd}</trkseg></trk>")
    assert table(there, Content.FRAMES).num_rows == 8
    assert (there.finding("track.no_time").rejected, there.finding("track.no_place").rejected) == (4, 1)


def log(folder: Path, *bodies: str | bytes) -> Path:
    lines = [body if isinstance(body, bytes) else nmea(body).encode() for body in bodies]
    (folder / "a.nmea").write_bytes(b"".join(lines))
    return folder / "a.nmea"


GGA = "GPGGA,{},3730.0000,N,12700.0000,W,1,08,1.0,50.0,M,23.5,M,,"


def test_every_sentence_stays_as_it_is_and_fixes_are_positions_too(tmp_path: Path) -> None:
    rmc = "GPRMC,235959.50,A,3730.0,N,12700.0,W,1,90,311225,,,A"
    path = log(tmp_path, GGA.format("235959.50"), rmc, "GPGSV,1,1,00", GGA.format("000000.50"))
    there = received(path)
    rows = table(there, Content.FRAMES)
    texts = [payload[24:-1].decode() for payload in rows.filter(pc.not_equal(rows["topic"], "/fix"))["payload"].to_pylist()]
    assert b"".join(f"{text}\r\n".encode() for text in texts) == path.read_bytes()
    assert rows["topic"].to_pylist().count("/fix") == 2, "GGA states heights, RMC does not"
    assert (rows["lon"][0].as_py(), rows["lat"][0].as_py(), rows["h"][0].as_py()) == (-127.0, 37.5, 73.5)
    midnight = 1767225600 * 10**9
    assert sorted(set(rows["t_ns"].to_pylist())) == [midnight - 500_000_000, midnight + 500_000_000], "the date goes on at midnight"
    assert (there.survey.placed.height_datum, there.survey.placed.height_source) == ("ellipsoid", "file")
    (layer,) = report_of(path, Placement())["layers"].values()
    assert layer["footage"] is False


@pytest.mark.parametrize("day", ["010169", "060138"])
def test_a_date_that_no_receiver_has_is_none(tmp_path: Path, day: str) -> None:
    there = received(log(tmp_path, f"GPRMC,000010.00,A,3730.0,N,12700.0,E,1,90,{day},,,A", "GPZDA,000010.00,01,01,0001,00,00"))
    assert "nmea.no_date" in there.codes and set(table(there, Content.FRAMES)["t_ns"].to_pylist()) == {10 * 10**9}


def test_lines_that_are_no_sentences_and_wrong_checksums_are_counted(tmp_path: Path) -> None:
    wrong = b"$GPGGA,010204,3730.0,N,12700.0,E,1,,,,M,,M,,*00\r\n"
    there = received(log(tmp_path, GGA.format("010203"), b"\x00\x01binary\xff\n", b"# a remark\n", wrong))
    assert (there.finding("nmea.other").rejected, there.finding("nmea.checksum").count) == (2, 1)
    assert "nmea.no_date" in there.codes
    assert table(there, Content.FRAMES)["lon"].to_pylist() == [-127.0] * 3, "a sentence whose checksum does not fit places nothing"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gpx", "nmea"]), st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), max_size=6))
def test_damaged_bytes_end_in_findings_and_never_otherwise(tmp_path_factory: pytest.TempPathFactory, kind: str, edits: list[Any]) -> None:
    from mapex.errors import MapexError
    from tests.support.reader_examples import MADE

    path = MADE[kind].make(tmp_path_factory.mktemp("a"))
    body = bytearray(path.read_bytes())
    for at, piece in edits:
        body[at % len(body) : at % len(body) + len(piece)] = piece
    path.write_bytes(bytes(body))
    source = Source.of(path)
    try:
        chosen = reader_for(source)
        entries = list(chosen.read(source, chosen.survey(source, Placement()).placed))
    except MapexError:
        return
    for entry in entries:
        if isinstance(entry, Batch):
            entry.table.validate(full=True)


@pytest.mark.parametrize("frame", ["", "a", "gps", "track 12", "길"])
def test_messages_are_what_rosbags_reads(frame: str) -> None:
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    fix = store.deserialize_cdr(messages.nav_sat_fix(1_500_000_001_000_000_002, frame, (127.0, 37.5, 12.25)), "sensor_msgs/msg/NavSatFix")
    assert (fix.longitude, fix.latitude, fix.altitude, fix.header.frame_id) == (127.0, 37.5, 12.25, frame)
    assert (fix.header.stamp.sec, fix.header.stamp.nanosec, fix.status.service) == (1_500_000_001, 2, 1)
    assert store.deserialize_cdr(messages.text_message("길 1"), "std_msgs/msg/String").data == "길 1"
