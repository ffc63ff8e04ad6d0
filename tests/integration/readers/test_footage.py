"""What makes data `original`: the bytes decide, whatever a schema, a media type, a column or a name calls them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import sqlite3
import struct
import tarfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import lz4.frame
import numpy as np
import pytest
import zstandard

from mapex.intake.placement import Placement
from tests.support import clouds
from tests.support.reader_examples import MADE, UTM52
from tests.support.reading import report_of
from tests.support.recordings import STORE, T0, Recorder, S, cdr, cloud, definition, fix, imu, picture, recorded, stamp

JPEG = picture()
Step = Callable[[Recorder], None]
IN_UTM = Placement(crs="EPSG:32652")


def messages(name: str, *payloads: bytes, schema: bytes | None = None, kind: str = "ros2msg", encoding: str = "cdr") -> Step:
    def step(recorder: Recorder) -> None:
        known = definition(name) if schema is None else (name, kind, schema)
        recorder.channel("/hidden", known, encoding)
        for number, payload in enumerate(payloads):
            recorder.add("/hidden", payload, T0 + number * S // 1000)

    return step


def attachment(data: bytes, media_type: str = "application/json", name: str = "calibration.json") -> Step:
    return lambda recorder: recorder.attach(name, media_type, data)


def texts(*values: str) -> Step:
    return messages("std_msgs/msg/String", *(cdr("std_msgs/msg/String", data=value) for value in values))


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def in_covariances(data: bytes) -> list[bytes]:
    return [imu(T0, np.frombuffer(piece.ljust(72, b"\0"), "<f8")) for piece in pieces(data, 72)]


def byte_cloud(name: str, datatype: int, count: int, values: np.ndarray[Any, Any], step: int, rows: int = 1) -> bytes:
    """Points in a ring, each with some bytes of the values behind its place."""
    points = len(values) // (step - 12)
    turn = np.linspace(0, 6, points, dtype="<f4")
    data = np.zeros((points, step), np.uint8)
    data[:, :12] = np.stack([np.cos(turn) * 9, np.sin(turn) * 9, turn], axis=1).astype("<f4").view(np.uint8)
    data[:, 12:] = values[: points * (step - 12)].reshape(points, -1)
    fields = [("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1), (name, 12, datatype, count)]
    return cloud(fields, data.ravel(), step, rows=rows)


def pixels(width: int, height: int) -> bytes:
    """A sweep that is a picture: points on a grid, and the brightness of each."""
    rows = np.zeros(width * height, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])
    rows["x"], rows["y"] = (axis.ravel() for axis in np.meshgrid(np.arange(width), np.arange(height)))
    rows["intensity"] = np.random.default_rng(1).integers(0, 255, len(rows))
    fields = [(name, 4 * n, 7, 1) for n, name in enumerate(rows.dtype.names or ())]
    return cloud(fields, rows.view(np.uint8), 16)


def can(data: bytes) -> Step:
    """The bytes in frames of eight, as a recorder of a car's bus writes them."""
    types = "std_msgs/Header header\nuint32 id\nbool is_rtr\nbool is_extended\nbool is_error\nuint8 dlc\nuint8[8] data\n"
    _, _, text = definition("sensor_msgs/msg/Temperature")
    schema = types.encode() + text[text.index(b"=" * 20) :]
    head = b"\0\1\0\0" + bytes(8) + b"\1\0\0\0" + bytes(4) + b"\x12\3\0\0" + bytes(3) + b"\x08"
    return messages("can_msgs/msg/Frame", *(head + piece.ljust(8, b"\0") for piece in pieces(data, 8)), schema=schema)


def tar_of(data: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("readme.txt")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def array_of(kind: str, data: bytes) -> bytes:
    layout = STORE.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    return cdr(f"std_msgs/msg/{kind}", layout=layout, data=np.frombuffer(data, np.uint8))


def metadata(recorder: Recorder) -> None:
    recorder.writer.add_metadata("notes", {"thumbnail": base64.b64encode(JPEG).decode()})


def channel_metadata(recorder: Recorder) -> None:
    recorder.channel("/imu", definition("sensor_msgs/msg/Imu"), note=base64.b64encode(JPEG).decode())


def without_a_schema(recorder: Recorder) -> None:
    recorder.channel("/hidden", None, "")
    recorder.add("/hidden", JPEG)


def comment_of_a_definition(recorder: Recorder) -> None:
    name, kind, text = definition("sensor_msgs/msg/Imu")
    recorder.channel("/imu", (name, kind, b"# " + base64.b64encode(JPEG) + b"\n" + text))
    recorder.add("/imu", imu(T0))


IMU, STRING = "sensor_msgs/msg/Imu", "std_msgs/msg/String"
B64 = base64.b64encode(JPEG).decode()
OCTETS = np.frombuffer(JPEG, np.uint8)
HIDDEN: dict[str, Step] = {
    "under the name of Imu": messages(IMU, JPEG),
    "with the definition of an image": messages(IMU, JPEG, schema=b"std_msgs/Header header\nstring format\nuint8[] data\n"),
    "with one more field": messages(IMU, imu(T0), schema=definition(IMU)[2].replace(b"header\n", b"header\nuint8[] data\n", 1)),
    "behind an Imu": messages(IMU, imu(T0) + JPEG),
    "behind an Imu, one byte": messages(IMU, imu(T0) + b"\x01"),
    "split behind many": messages(IMU, *(imu(T0) + piece for piece in pieces(JPEG, 40))),
    "in the numbers of many": messages(IMU, *in_covariances(JPEG)),
    "in the numbers of many, without its head": messages(IMU, *in_covariances(JPEG[700:])),
    "in frames of a bus": can(JPEG),
    "in frames of a bus, without its head": can(JPEG[700:]),
    "in the name of a frame": messages(IMU, imu(T0, frame=B64)),
    "in a text": texts("\x00" + JPEG.decode("latin-1")),
    "in a text, base64": texts(B64),
    "in a text, base64 for addresses": texts(base64.urlsafe_b64encode(JPEG).decode()),
    "in a text, base64 without its head": texts(B64[1000:]),
    "in a text, base85": texts(base64.b85encode(JPEG).decode()),
    "in a text, hex": texts(JPEG.hex()),
    "in a text, numbers": texts(str(list(JPEG))),
    "in a text, as an address": texts(f'<img src="data:image/jpeg;base64,{B64[:40]}">'),
    "in many texts": texts(*(B64[at : at + 60] for at in range(0, len(B64), 60))),
    "in many texts, short ones without its head": texts(*(B64[at : at + 30] for at in range(1000, len(B64), 30))),
    "in an array of bytes": messages("std_msgs/msg/UInt8MultiArray", array_of("UInt8MultiArray", JPEG)),
    "in many arrays of bytes": messages(
        "std_msgs/msg/UInt8MultiArray", *(array_of("UInt8MultiArray", piece) for piece in pieces(JPEG, 50))
    ),
    "in a parameter": messages(
        "rcl_interfaces/msg/ParameterValue",
        cdr(
            "rcl_interfaces/msg/ParameterValue", type=5, bool_value=False, integer_value=0, double_value=0.0, string_value="",
            byte_array_value=OCTETS, bool_array_value=np.zeros(0, bool), integer_array_value=np.zeros(0, np.int64),
            double_array_value=np.zeros(0), string_array_value=[],
        ),
    ),
    "in a map": messages(
        "nav_msgs/msg/OccupancyGrid",
        cdr(
            "nav_msgs/msg/OccupancyGrid", header=stamp(T0), data=np.random.default_rng(1).integers(0, 100, 4096).astype(np.int8),
            info=STORE.types["nav_msgs/msg/MapMetaData"](
                map_load_time=STORE.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0), resolution=0.1, width=64, height=64,
                origin=STORE.types["geometry_msgs/msg/Pose"](
                    position=STORE.types["geometry_msgs/msg/Point"](x=0.0, y=0.0, z=0.0),
                    orientation=STORE.types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
                ),
            ),
        ),
    ),
    "packed with gzip": messages(IMU, gzip.compress(JPEG)),
    "packed with zstd": messages(IMU, zstandard.compress(JPEG)),
    "packed with zlib": messages(IMU, zlib.compress(JPEG)),
    "packed with lz4": messages(IMU, lz4.frame.compress(JPEG)),
    "in a field of bytes of a sweep": messages("sensor_msgs/msg/PointCloud2", byte_cloud("ring", 2, 64, OCTETS, 76)),
    "in the rings of a sweep": messages("sensor_msgs/msg/PointCloud2", byte_cloud("ring", 2, 1, OCTETS, 13)),
    "in the numbers of a sweep": messages("sensor_msgs/msg/PointCloud2", byte_cloud("intensity", 7, 1, OCTETS, 16)),
    "in bytes that no field describes": messages("sensor_msgs/msg/PointCloud2", byte_cloud("ring", 2, 1, OCTETS, 40)),
    "as the colours of a sweep": messages("sensor_msgs/msg/PointCloud2", byte_cloud("rgb", 7, 1, OCTETS, 16)),
    "as a sweep of many rows": messages(
        "sensor_msgs/msg/PointCloud2", byte_cloud("ring", 4, 1, np.resize(OCTETS % 99, 2 * 400 * 300), 14, 300)
    ),
    "as a sweep on a grid": messages("sensor_msgs/msg/PointCloud2", pixels(200, 150)),
    "of an unknown type": messages("my_driver/msg/Blob", b"\0\1\0\0" + bytes(8), schema=b"uint8[] data\n"),
    "without a schema": without_a_schema,
    "as protobuf": messages("foxglove.LocationFix", JPEG, schema=b"\n\x04what", kind="protobuf", encoding="protobuf"),
    "as flatbuffer": messages("foxglove.LocationFix", JPEG, schema=b"bfbs", kind="flatbuffer", encoding="flatbuffer"),
    "as json": messages("sensor_msgs/msg/Imu", b'{"a": 1}', schema=b"{}", kind="jsonschema", encoding="json"),
    "an attachment as json": attachment(JPEG),
    "an attachment of json that holds one": attachment(json.dumps({"matrix": B64}).encode()),
    "an attachment of json with numbers": attachment(json.dumps(list(JPEG)).encode()),
    "an attachment, a tar": attachment(tar_of(JPEG), "text/plain", "notes.txt"),
    "an attachment, packed": attachment(zlib.compress(JPEG), "text/plain", "notes.txt"),
    "an attachment, behind text": attachment(b"k1: 0.25\n" * 40 + JPEG, "application/yaml", "camera.yaml"),
    "an attachment, a drawing": attachment(b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>', "text/xml", "plan.xml"),
    "an attachment, sound": attachment(b"RIFF\x24\x80\0\0WAVEfmt " + bytes(400), "text/plain", "log.txt"),
    "in the metadata": metadata,
    "in the metadata of a channel": channel_metadata,
    "in a comment of a definition": comment_of_a_definition,
}  # fmt: skip


def layers_of(path: Path, placement: Placement | None = None) -> tuple[bool, list[dict[str, Any]]]:
    """Whether a layer is footage, and what the report says of it."""
    report = report_of(path, placement or Placement())
    assert not [finding for finding in report["findings"] if finding["severity"] == "error"]
    found = [finding for finding in report["findings"] if finding["code"] == "footage.unproven"]
    return any(layer["footage"] for layer in report["layers"].values()), found


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_picture_makes_a_recording_footage_whatever_it_is_called(tmp_path: Path, hidden: str) -> None:
    is_footage, found = layers_of(recorded(tmp_path / "drive.mcap", HIDDEN[hidden]))
    assert is_footage and found, hidden
    assert found[0]["feature"].split()[0] in ("channel", "attachment", "metadata") and found[0]["value"] and found[0]["fix"]


def test_a_picture_that_says_so_is_footage_and_is_named_once(tmp_path: Path) -> None:
    image = cdr("sensor_msgs/msg/CompressedImage", header=stamp(T0), format="jpeg", data=OCTETS)
    report = report_of(recorded(tmp_path / "drive.mcap", messages("sensor_msgs/msg/CompressedImage", image)), Placement())
    assert report["layers"]["recording"]["footage"]
    assert [finding["code"] for finding in report["findings"]] == ["recording.pictures"]


def lidar(points: int = 500) -> bytes:
    random = np.random.default_rng(3)
    rows = np.zeros(points, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2"), ("time", "<f4")])
    for axis in "xyz":
        rows[axis] = random.normal(0, 20, points)
    rows["intensity"], rows["ring"], rows["time"] = (
        random.integers(0, 255, points),
        random.integers(0, 32, points),
        np.linspace(0, 0.1, points),
    )
    fields = [("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1), ("intensity", 12, 7, 1), ("ring", 16, 4, 1), ("time", 18, 7, 1)]
    return cloud(fields, rows.view(np.uint8), rows.dtype.itemsize)


NMEA = [f"$GPGGA,{123519 + n},3724.{n:03d},N,12706.{n:03d},E,1,08,0.9,545.4,M,46.9,M,,*47" for n in range(40)]
URDF = "<robot name='car'>" + "".join(f"<link name='wheel_{n}'><mass value='{n}.5'/></link>" for n in range(400)) + "</robot>"
HONEST: dict[str, Step] = {
    "frames of a bus": can(b"".join(struct.pack("<HHhH", n, n // 7, n % 90, 7) for n in range(1500))),
    "inertial": messages(IMU, *(imu(T0 + n, np.eye(3).ravel() * 1e-5) for n in range(50))),
    "unknown covariances": messages(IMU, imu(T0, np.full(9, np.nan)), imu(T0, np.full(9, 1.7e308)), imu(T0, np.full(9, -1.0))),
    "positions": messages("sensor_msgs/msg/NavSatFix", *(fix(T0 + n) for n in range(50))),
    "a lidar": messages("sensor_msgs/msg/PointCloud2", lidar()),
    "a definition that nobody wrote down": messages(IMU, imu(T0), schema=b""),
    "sentences": texts(*NMEA),
    "a robot": texts(URDF),
    "a word": texts("hello", "안녕하세요"),
    "a calibration": attachment(b"k1: -0.25\nk2: 0.125\ncamera: front\n", "application/yaml"),
    "a table": attachment("시각,값\n".encode() + b"".join(b"%d,%d.25\n" % (n, n * 7) for n in range(3000)), "text/csv"),
}


@pytest.mark.parametrize("honest", HONEST)
def test_what_only_measures_stays_what_its_seller_says(tmp_path: Path, honest: str) -> None:
    assert layers_of(recorded(tmp_path / "drive.mcap", HONEST[honest])) == (False, [])


# ---- maps --------------------------------------------------------------------------------------------------------------------------


def geojson(folder: Path, value: Any) -> Path:
    feature = {"type": "Feature", "id": "a", "properties": {"note": value}, "geometry": {"type": "Point", "coordinates": [127.1, 37.4]}}
    (folder / "map.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature] * 3}), encoding="utf-8")
    return folder / "map.geojson"


def osm(folder: Path, value: str) -> Path:
    tags = f'<tag k="note" v="{value}"/>'
    (folder / "map.osm").write_text(f'<osm version="0.6"><node id="1" lat="37.4" lon="127.1">{tags}</node></osm>', encoding="utf-8")
    return folder / "map.osm"


def opensidewalks(folder: Path, value: Any) -> Path:
    (folder / "walks").mkdir()
    geojson(folder, value).rename(folder / "walks" / "seoul.nodes.geojson")
    return folder / "walks"


def with_blobs(path: Path, value: bytes) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("ALTER TABLE map ADD COLUMN photo BLOB")
        for trigger in [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            file.execute(f'DROP TRIGGER "{trigger}"')
        file.execute("UPDATE map SET photo = ?", (value,))


def table(ending: str) -> Callable[[Path, Any], Path]:
    def make(folder: Path, value: Any) -> Path:
        import geopandas

        values = [value] * 3 if not isinstance(value, str) or ending != "shp" else [value[at : at + 250] for at in range(0, 750, 250)]
        frame = geopandas.GeoDataFrame({"note": values}, geometry=geopandas.points_from_xy([127.1] * 3, [37.4] * 3), crs="EPSG:4326")
        out = folder / "map"
        out.mkdir()
        frame.to_parquet(out / "map.parquet") if ending == "parquet" else frame.to_file(out / f"map.{ending}", engine="pyogrio")
        if ending == "gpkg" and isinstance(value, bytes):
            with_blobs(out / "map.gpkg", value)
        return out if ending == "shp" else out / f"map.{ending}"

    return make


MAPS: dict[str, Callable[[Path, Any], Path]] = {
    "geojson": geojson, "lanelet2": osm, "opensidewalks": opensidewalks, "geopackage": table("gpkg"), "flatgeobuf": table("fgb"),
    "shapefile": table("shp"), "geoparquet": table("parquet"),
}  # fmt: skip
TEXTS = {
    "base64": B64,
    "hex": JPEG.hex(),
    "an address": f"data:image/jpeg;base64,{B64}",
    "base64 without its head": B64[1000:],
    "packed": base64.b64encode(gzip.compress(JPEG)).decode(),
    "numbers": ",".join(map(str, JPEG)),
    "escapes": repr(JPEG).replace("'", "").replace('"', "").replace("<", "").replace("&", ""),
    "an address's escapes": quote(JPEG),
}


@pytest.mark.parametrize("carrier", MAPS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_picture_in_the_attributes_makes_a_map_footage(tmp_path: Path, carrier: str, text: str) -> None:
    is_footage, found = layers_of(MAPS[carrier](tmp_path, TEXTS[text]))
    assert is_footage and "property note" in found[0]["feature"], found


@pytest.mark.parametrize("carrier", ["geopackage", "geoparquet", "flatgeobuf"])
def test_a_picture_in_a_binary_column_makes_a_map_footage(tmp_path: Path, carrier: str) -> None:
    assert layers_of(MAPS[carrier](tmp_path, JPEG))[0]


@pytest.mark.parametrize(
    "value", ["안녕하세요", "https://example.com/a/b/Road-17_North.html?x=1", "550e8400-e29b-41d4-a716-446655440000", "a" * 5000]
)
@pytest.mark.parametrize("carrier", MAPS)
def test_words_in_the_attributes_prove_nothing_against_a_map(tmp_path: Path, carrier: str, value: str) -> None:
    assert layers_of(MAPS[carrier](tmp_path, value.replace("&", "&amp;"))) == (False, [])


@pytest.mark.parametrize("name", MADE)
def test_a_small_file_of_each_format_is_no_footage_but_pictures(tmp_path: Path, name: str) -> None:
    assert layers_of(MADE[name].make(tmp_path), MADE[name].placement)[0] == (name in ("photos", "video"))


# ---- clouds ------------------------------------------------------------------------------------------------------------------------


def columns(**more: Any) -> dict[str, np.ndarray[Any, Any]]:
    n = len(OCTETS)
    random = np.random.default_rng(5)
    return {axis: random.normal(at, 20, n).round(3) for axis, at in zip("xyz", UTM52, strict=True)} | more


COLUMNS: dict[str, dict[str, np.ndarray[Any, Any]]] = {
    "bytes": columns(ring=OCTETS),
    "bytes without their head": columns(ring=OCTETS[700:]),
    "intensities": columns(intensity=OCTETS.astype(np.uint16)),
    "numbers": columns(curvature=np.frombuffer(JPEG[: len(JPEG) // 4 * 4], "<f4").repeat(4)[: len(OCTETS)]),
    "many bytes": columns(**{f"b{n}": np.roll(OCTETS, n) for n in range(20)}),
}


@pytest.mark.parametrize("ending", ["pcd", "ply"])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_picture_in_the_columns_makes_a_cloud_footage(tmp_path: Path, ending: str, column: str) -> None:
    some = {name: values[: min(map(len, COLUMNS[column].values()))] for name, values in COLUMNS[column].items()}
    path = tmp_path / f"cloud.{ending}"
    if ending == "pcd":
        clouds.a_pcd(path, some, data="binary")
    else:
        clouds.a_ply(path, some)
    is_footage, found = layers_of(path, IN_UTM)
    assert is_footage and found[0]["feature"].startswith("column")


@pytest.mark.parametrize("ending", ["pcd", "ply"])
def test_pixels_as_points_make_a_cloud_footage_and_points_do_not(tmp_path: Path, ending: str) -> None:
    x, y = (axis.ravel() * 0.1 + at for axis, at in zip(np.meshgrid(np.arange(120.0), np.arange(90.0)), UTM52[:2], strict=True))
    grey = np.random.default_rng(1).integers(0, 255, len(x)).astype(np.uint16)
    write = {"pcd": lambda path, some: clouds.a_pcd(path, some, data="binary"), "ply": clouds.a_ply}[ending]
    flat = {"x": x, "y": y, "z": np.full(len(x), 30.0), "intensity": grey}
    write(tmp_path / f"flat.{ending}", flat)
    assert layers_of(tmp_path / f"flat.{ending}", IN_UTM)[0]
    write(tmp_path / f"terrain.{ending}", flat | {"intensity": np.full(len(x), 7, np.uint16)})
    assert not layers_of(tmp_path / f"terrain.{ending}", IN_UTM)[0]
    write(tmp_path / f"street.{ending}", columns(intensity=np.random.default_rng(2).integers(0, 255, len(OCTETS)).astype(np.uint16)))
    assert layers_of(tmp_path / f"street.{ending}", IN_UTM) == (False, [])
