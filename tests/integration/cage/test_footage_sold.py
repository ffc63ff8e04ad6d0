"""Nobody buys a picture without the permit for it, whoever read the file: the class is proven in the cage that never saw the upload."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from mcap.records import Attachment, Channel, Metadata
from mcap.writer import Writer
from sqlalchemy import text

from ingest.conversion import convert as conversion
from ingest.conversion.local import tile_file
from ingest.worker import second_look
from mapex.catalogue import drafts
from mapex.cli import footage
from mapex.errors import Denied
from mapex.exchange import Actor, Exchange
from mapex.intake.placement import Placement
from mapex.offers import offers, reviews
from mapex.people.persons import actor_of
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rules.licences import HandlingClass
from tests.support import clouds
from tests.support.exchange import a_person, an_exchange
from tests.support.market import a_permit, area
from tests.support.recordings import LAT, LON, T0, Recorder, definition, imu, picture, recorded
from tests.support.uploads import a_map, codes, ingest
from tiles.batch import EncodedTile, Quantities
from tiles.footage.doubts import Unproven
from tiles.frames.mcap_scan import McapScan, Message
from tiles.grid import grid
from tiles.recount import verify_each

JPEG = picture()
B64 = base64.b64encode(JPEG).decode()
CELLS = [int(cell) for cell in grid.cells_at(np.array([LON]), np.array([LAT]))]


def disguised(recorder: Recorder) -> None:
    """What was bought as `open` and taken out again: pictures under the name of Imu, and one as json."""
    recorder.channel("/imu", definition("sensor_msgs/msg/Imu"))
    recorder.add("/imu", JPEG)
    recorder.attach("calibration.json", "application/json", JPEG)


def measured(recorder: Recorder) -> None:
    recorder.channel("/imu", definition("sensor_msgs/msg/Imu"))
    recorder.add("/imu", imu(T0))


def las(path: Path, *, hidden: bool = True) -> Path:
    clouds.a_las(path, len(JPEG) * 2, crs="EPSG:32632", spread_m=20.0)  # in one cell
    cloud = laspy.read(path)
    cloud.user_data = np.arange(len(cloud.points)) % 64  # rings: random bytes would be doubted by themselves
    if hidden:
        cloud.user_data[100 : 100 + len(JPEG)] = np.frombuffer(JPEG, np.uint8)
    cloud.write(path)
    return path


def a_map_with(value: str) -> bytes:
    found = json.loads(a_map(8))
    for feature in found["features"]:
        feature["properties"]["note"] = value
    return json.dumps(found).encode()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """A file of each content that hides a picture, by its name."""
    return {
        "drive.mcap": recorded(tmp_path / "drive.mcap", disguised).read_bytes(),
        "cloud.las": las(tmp_path / "cloud.las").read_bytes(),
        "map.geojson": a_map_with(B64),
    }


@contextmanager
def _given(ex: Exchange) -> Iterator[Exchange]:
    yield ex


# ---- buying ------------------------------------------------------------------------------------------------------------------------


def sold(ex: Exchange, files: dict[str, bytes]) -> Actor:
    """The files, asked to be open, on sale; returns the seller."""
    done = ingest(ex, files)
    assert done.version.state == "draft", done.findings
    assert [layer.handling_class for layer in done.layers] == ["original"]
    assert {"footage.unproven", "class.raised"} <= set(codes(done, "info"))
    assert done.job is not None
    seller = actor_of(ex, done.job.person_id)
    assert drafts.classify(ex, seller, "seoul", 1, {"*": "open"})[0].handling_class == "original"
    offers.publish(ex, seller, "seoul", rate_card={"gb": 1000}, licence="research")
    return seller


def test_a_firm_with_an_expired_permit_cannot_buy_what_hides_a_picture(exchange: Exchange, files: dict[str, bytes]) -> None:
    sold(exchange, {"drive.mcap": files["drive.mcap"]})
    buyer = a_person(exchange, "dongil")
    wanted = of_area(area(CELLS), purpose="research")
    with pytest.raises(Denied) as caught:
        quotes.quote(exchange, buyer, wanted)
    assert caught.value.code == "permit.missing"
    a_permit(exchange, days=-1, valid_from_ns=exchange.now() - 10**18)
    with pytest.raises(Denied) as caught:
        quotes.quote(exchange, buyer, wanted)
    assert caught.value.code == "permit.expired"


def test_what_only_measures_is_sold_as_open(exchange: Exchange, tmp_path: Path) -> None:
    done = ingest(exchange, {"drive.mcap": recorded(tmp_path / "drive.mcap", measured).read_bytes()})
    assert [layer.handling_class for layer in done.layers] == ["open"]
    assert "footage.unproven" not in codes(done, "info")


def test_the_operator_may_clear_what_is_doubted_on_a_proof(exchange: Exchange, files: dict[str, bytes]) -> None:
    ingest(exchange, {"map.geojson": files["map.geojson"]})
    with exchange.engine.connect() as conn:
        org = conn.execute(text("SELECT slug FROM organisation")).scalar_one()
        layer = conn.execute(text("SELECT name FROM layer")).scalar_one()
    made = reviews.clear(exchange, None, f"{org}/seoul", 1, layer, "The column holds the drawn sign, seen by J. Kim.")
    assert made.handling_class == HandlingClass.PSEUDONYMISED


# ---- a reader that was taken over ----------------------------------------------------------------------------------------------------


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading cage states that nothing is footage, and finds nothing."""
    real = conversion.answer.report_from_json

    def report(value: Any, name: str) -> Any:
        found = real(value, name)
        layers = {one: replace(layer, facts=replace(layer.facts, footage=False)) for one, layer in found.layers.items()}
        return replace(found, layers=layers, findings=())

    monkeypatch.setattr(conversion.answer, "report_from_json", report)


@pytest.mark.parametrize("name", ["drive.mcap", "cloud.las", "map.geojson", "photo.jpg"])
@pytest.mark.usefixtures("lying")
def test_a_reader_that_was_taken_over_lowers_no_class(tmp_path: Path, files: dict[str, bytes], name: str) -> None:
    from tests.support.reader_examples import jpeg

    done = ingest(an_exchange(tmp_path / "ex"), {name: {**files, "photo.jpg": jpeg(LON)}[name]})
    assert [layer.handling_class for layer in done.layers] == ["original"], done.findings
    assert "footage.unproven" in codes(done, "info")


# ---- stored tiles --------------------------------------------------------------------------------------------------------------------


def as_it_was_before(ex: Exchange) -> None:
    """The classes that the version before gave."""
    with ex.engine.begin() as conn:
        conn.execute(text("UPDATE layer SET handling_class = 'open', about = REPLACE(about, '\"footage\": true', '\"footage\": false')"))


@pytest.mark.parametrize("name", ["drive.mcap", "cloud.las", "map.geojson"])
def test_layers_that_were_sold_under_too_low_a_class_are_named(exchange: Exchange, files: dict[str, bytes], name: str) -> None:
    seller = sold(exchange, {name: files[name]})
    as_it_was_before(exchange)
    ((released, found),) = second_look.look(exchange)
    assert (released.dataset, released.version, released.layer.handling_class) == (f"{seller.org_slug}/seoul", 1, "open")
    assert [one.finding.code for one in found] == ["footage.unproven"] * len(found) != []
    assert list(second_look.look(exchange, "other/seoul")) == []


def test_the_command_names_what_is_too_low_and_lets_the_rest_be(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ex = an_exchange(tmp_path / "ex")
    sold(ex, {"map.geojson": files["map.geojson"]})
    done = ingest(ex, {"walks.geojson": a_map(8)})
    assert done.job is not None
    offers.publish(ex, actor_of(ex, done.job.person_id), "seoul", rate_card={"footway_km": 1000}, licence="research")
    as_it_was_before(ex)
    monkeypatch.setattr(footage, "the_exchange", lambda: _given(ex))
    answer = CliRunner().invoke(footage.footage, ["check", "--json"])
    layers = json.loads(answer.output)["layers"]
    assert answer.exit_code == 1
    assert sorted(layer["ok"] for layer in layers) == [False, True]
    assert next(layer for layer in layers if not layer["ok"])["doubts"][0]["where"] == "property note"


# ---- forged tiles --------------------------------------------------------------------------------------------------------------------


def tiled(path: Path, out: Path, placement: Placement | None = None) -> tuple[Path, EncodedTile]:
    tile_file(path, out, placement or Placement(), processes=1, cage="rlimits")
    record = json.loads((out / "_manifest.json").read_text())["tiles"][0]
    fields = {**record, "quantities": Quantities(**record["quantities"]), "bbox": tuple(record["bbox"])}
    return out / record["path"], EncodedTile(**fields)


def doubts_of(path: Path, tile: EncodedTile) -> list[Unproven]:
    """What the recount doubts in a tile whose record is true of its bytes."""
    body = path.read_bytes()
    stated = replace(tile, size=len(body), sha256=hashlib.sha256(body).hexdigest(), quantities=replace(tile.quantities, bytes=len(body)))
    found: list[Unproven] = []
    ((_, fault),) = verify_each([(path, stated)], lambda _, doubt: found.append(doubt))
    assert fault is None
    return found


def behind_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes() + JPEG)


def _written_again(path: Path, change: Callable[[Writer], None]) -> None:
    """The slice written by another program, with something more in it."""
    source = path.with_suffix(".old")
    path.rename(source)
    with source.open("rb") as old, path.open("wb") as new:
        scan, writer, numbers = McapScan(old), Writer(new), dict[int, int]()
        writer.start(profile="ros2", library="mapex")
        change(writer)
        for item in scan.items():
            if isinstance(item, Channel):
                schema = scan.schema_of(item)
                number = 0 if schema is None else writer.register_schema(schema.name, schema.encoding, schema.data)
                numbers[item.id] = writer.register_channel(item.topic, item.message_encoding, number, item.metadata)
            elif isinstance(item, Message):
                writer.add_message(numbers[item.channel_id], item.log_time, bytes(item.data), item.publish_time, item.sequence)
            elif isinstance(item, Metadata):
                writer.add_metadata(item.name, item.metadata)
            elif isinstance(item, Attachment):
                writer.add_attachment(item.create_time, item.log_time, item.name, item.media_type, item.data)
        writer.finish()


def a_record_of_no_known_kind(path: Path) -> None:
    _written_again(path, lambda writer: None)  # without checksums
    body = path.read_bytes()
    path.write_bytes(body[:8] + bytes([0x90]) + len(JPEG).to_bytes(8, "little") + JPEG + body[8:])


def metadata_with_a_picture(path: Path) -> None:
    _written_again(path, lambda writer: writer.add_metadata("notes", {"a": B64}))


@pytest.mark.parametrize("change", [behind_the_end, a_record_of_no_known_kind, metadata_with_a_picture])
def test_a_slice_with_something_beside_its_messages_is_doubted(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path, tile = tiled(recorded(tmp_path / "drive.mcap", measured), tmp_path / "out")
    assert doubts_of(path, tile) == []
    change(path)
    assert doubts_of(path, tile)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(lambda table: table.append_column("photo", pa.array([JPEG] * table.num_rows)), id="a binary column"),
        pytest.param(lambda table: table.append_column("note", pa.array([B64] * table.num_rows)), id="a text column"),
        pytest.param(lambda table: table.append_column("rows", pa.array([list(JPEG)] * table.num_rows, pa.list_(pa.uint8()))), id="lists"),
        pytest.param(lambda table: table.replace_schema_metadata({**table.schema.metadata, b"note": B64.encode()}), id="metadata"),
    ],
)
def test_a_vector_tile_with_something_beside_its_columns_is_doubted(tmp_path: Path, more: Callable[[pa.Table], pa.Table]) -> None:
    (tmp_path / "map.geojson").write_bytes(a_map(1))
    path, tile = tiled(tmp_path / "map.geojson", tmp_path / "out")
    assert doubts_of(path, tile) == []
    pq.write_table(more(pq.read_table(path)), path)
    assert doubts_of(path, tile)


def extra_bytes(path: Path) -> None:
    cloud = laspy.read(path)
    cloud.add_extra_dim(laspy.ExtraBytesParams("hidden", "10u1"))
    n = len(cloud.points)
    cloud["hidden"] = np.resize(np.frombuffer(JPEG, np.uint8), n * 10).reshape(n, 10)
    cloud.write(path)


def undescribed_bytes(path: Path) -> None:
    extra_bytes(path)
    body = path.read_bytes()
    assert (changed := body.replace(b"LASF_Spec\0\0\0\0\0\0\0\x04\x00", b"LASF_Spex\0\0\0\0\0\0\0\x04\x00")) != body
    path.write_bytes(changed)


def a_record(path: Path, data: bytes = JPEG) -> None:
    cloud = laspy.read(path)
    cloud.header.vlrs.append(laspy.VLR("a firm", 7, "settings", data))
    cloud.write(path)


def a_packed_record(path: Path) -> None:
    a_record(path, np.random.default_rng(1).bytes(9000))


def user_data(path: Path) -> None:
    las(path)


@pytest.mark.parametrize("change", [extra_bytes, undescribed_bytes, a_record, a_packed_record, user_data])
def test_a_picture_in_a_las_file_is_doubted(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = las(tmp_path / "cloud.las", hidden=False)
    tile_file(path, tmp_path / "before", Placement(), processes=1, cage="rlimits", recount=True)
    assert "footage.unproven" not in (tmp_path / "before" / "_manifest.json").read_text()
    change(path)
    tile_file(path, tmp_path / "after", Placement(), processes=1, cage="rlimits", recount=True)
    assert "footage.unproven" in (tmp_path / "after" / "_manifest.json").read_text()
