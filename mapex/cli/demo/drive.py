"""What a made-up car records in the made-up district: a point cloud (LAZ) and a drive with camera pictures (MCAP, ROS 2 messages)."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from mapex.cli.demo.district import KERB, STEP, WALK, Metres, Segment, bend, height, lonlat
from tiles import extras

DRIVE_START_NS = 1_790_000_000_000_000_000  # 2026-09-21 14:13:20 UTC
GPS_EPOCH_OFFSET = 1_000_000_000 - 315_964_800 + 18  # LAS "adjusted standard GPS time": GPS seconds less 1e9; 18 leap seconds


def write_cloud(path: Path, streets: list[Segment], *, per_metre: int = 40) -> int:
    """A mobile-mapping cloud along the streets, LAS 1.4 format 7, EPSG:32652, scale 1 mm; returns the number of points."""
    import laspy
    from pyproj import CRS, Transformer

    random = np.random.default_rng(7)
    pieces, colours = [], []
    for street in streets:
        n = int(STEP * per_metre)
        along, side = random.uniform(0, STEP, n), random.normal(0, 7.5, n)
        (x0, y0), (x1, y1) = street.start, street.end
        ux, uy = (x1 - x0) / STEP, (y1 - y0) / STEP
        xy = bend(np.column_stack([x0 + ux * along - uy * side, y0 + uy * along + ux * side]))
        z = height(xy) + random.normal(0, 0.008, n)
        off = np.abs(side)
        z += np.where(off > KERB, 0.14, 0.0)  # the kerb
        facade = off > WALK + 4
        z += np.where(facade, random.uniform(0, 12, n), 0.0)
        grey = np.where(facade, 150, np.where(off > KERB, 120, 70)) + random.integers(-12, 12, n)
        white = (off < 0.12) | (np.abs(off - KERB / 2) < 0.08) & (along % 8 < 4)
        colours.append(np.where(white, 235, grey))
        pieces.append(np.column_stack([xy, z]))
    points, colour = np.concatenate(pieces), np.concatenate(colours)
    places = lonlat(points[:, :2])
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:32652", always_xy=True).transform(places[:, 0], places[:, 1])
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.scales, header.offsets = np.array([0.001] * 3), np.array([math.floor(east.min()), math.floor(north.min()), 0.0])
    header.add_crs(CRS.from_epsg(32652))
    header.creation_date = None
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = east, north, points[:, 2]
    cloud.intensity = (colour * 200).astype(np.uint16)
    cloud.red = cloud.green = cloud.blue = (colour * 257).astype(np.uint16)
    cloud.gps_time = DRIVE_START_NS / 1e9 - GPS_EPOCH_OFFSET + np.arange(len(points)) * 1e-4
    cloud.return_number[:], cloud.number_of_returns[:] = 1, 1
    cloud.write(str(path))
    return len(points)


def route() -> Metres:
    """(n, 2) local metres of a drive through the district, one position every 0.1 s at 10 m/s, in the right lane."""
    corners = [(-3, -2), (1, -2), (1, 1), (-2, 1), (-2, 3)]
    legs = []
    for (i0, j0), (i1, j1) in zip(corners, corners[1:], strict=False):
        a, b = np.array([i0, j0]) * STEP, np.array([i1, j1]) * STEP
        steps = round(float(np.abs(b - a).max()))
        way = (b - a) / steps
        right = np.array([way[1], -way[0]]) * 4.9
        legs.append(a + way * np.arange(steps)[:, None] + right)
    return bend(np.concatenate(legs))


def write_drive(path: Path, *, seconds: int | None = None) -> dict[str, int]:
    """A recording of `route`, or of its first seconds: `/gnss/fix` 10 Hz, `/imu/data` 20 Hz, `/camera/front/compressed` 1 Hz.

    Returns messages per topic.
    """
    with extras.needed():
        from mcap.writer import CompressionType, Writer
        from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    xy = route()[: seconds * 10 if seconds else None]
    places, heights = lonlat(xy), height(xy)
    counts = {"/gnss/fix": 0, "/imu/data": 0, "/camera/front/compressed": 0}
    with path.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType.ZSTD, chunk_size=1 << 20)
        writer.start(profile="ros2", library="mapex demo")
        channels = {}
        for topic, kind in zip(
            counts, ("sensor_msgs/msg/NavSatFix", "sensor_msgs/msg/Imu", "sensor_msgs/msg/CompressedImage"), strict=True
        ):
            definition, _ = store.generate_msgdef(kind)
            schema = writer.register_schema(name=kind, encoding="ros2msg", data=definition.encode())
            channels[topic] = (writer.register_channel(topic=topic, message_encoding="cdr", schema_id=schema), kind)

        def write(topic: str, t_ns: int, message: object) -> None:
            channel, kind = channels[topic]
            data = bytes(store.serialize_cdr(message, kind))
            writer.add_message(channel, log_time=t_ns, data=data, publish_time=t_ns, sequence=counts[topic])
            counts[topic] += 1

        for i in range(len(xy)):
            t_ns = DRIVE_START_NS + i * 100_000_000
            write("/gnss/fix", t_ns, _fix(store, t_ns, places[i], heights[i]))
            for half in (0, 50_000_000):
                write("/imu/data", t_ns + half, _imu(store, t_ns + half, i))
            if i % 10 == 0:
                write("/camera/front/compressed", t_ns, _picture(store, t_ns, i, xy))
        writer.finish()  # type: ignore[no-untyped-call]
    return counts


def _header(store: object, t_ns: int, frame: str) -> object:
    types = store.types  # type: ignore[attr-defined]
    stamp = types["builtin_interfaces/msg/Time"](sec=t_ns // 10**9, nanosec=t_ns % 10**9)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)


def _fix(store: object, t_ns: int, place: Metres, h: float) -> object:
    types = store.types  # type: ignore[attr-defined]
    status = types["sensor_msgs/msg/NavSatStatus"](status=2, service=1)
    return types["sensor_msgs/msg/NavSatFix"](
        header=_header(store, t_ns, "gnss"), status=status, latitude=float(place[1]), longitude=float(place[0]), altitude=float(h),
        position_covariance=np.zeros(9), position_covariance_type=0,
    )  # fmt: skip


def _imu(store: object, t_ns: int, i: int) -> object:
    types = store.types  # type: ignore[attr-defined]
    vector, turn = types["geometry_msgs/msg/Vector3"], types["geometry_msgs/msg/Quaternion"]
    zero = np.zeros(9)
    return types["sensor_msgs/msg/Imu"](
        header=_header(store, t_ns, "imu"), orientation=turn(x=0.0, y=0.0, z=0.0, w=1.0), orientation_covariance=zero,
        angular_velocity=vector(x=0.0, y=0.0, z=0.02 * math.sin(i / 40)), angular_velocity_covariance=zero,
        linear_acceleration=vector(x=0.1 * math.sin(i / 15), y=0.0, z=9.81), linear_acceleration_covariance=zero,
    )  # fmt: skip


def _picture(store: object, t_ns: int, i: int, xy: Metres) -> object:
    types = store.types  # type: ignore[attr-defined]
    data = np.frombuffer(paint_street(i, xy), dtype=np.uint8)
    return types["sensor_msgs/msg/CompressedImage"](header=_header(store, t_ns, "camera_front"), format="jpeg", data=data)


def paint_street(i: int, xy: Metres, width: int = 640, tall: int = 360) -> bytes:
    """A drawn view ahead from position `i` of the drive, as JPEG: road, lane marks, sidewalks, houses. Drawn, not photographed."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, tall), (142, 178, 214))
    draw = ImageDraw.Draw(image)
    horizon, middle = tall * 0.45, width / 2
    turn = 0.0
    if i + 20 < len(xy) and i >= 1:
        now, later = xy[i] - xy[i - 1], xy[i + 20] - xy[i + 19]
        turn = float(now[0] * later[1] - now[1] * later[0]) * 240

    def seen(side: float, ahead: float) -> tuple[float, float]:
        scale = 1.0 / ahead
        return middle + side * 520 * scale - turn * (1 - scale), horizon + 1.6 * 420 * scale

    for k in range(28, 2, -1):
        for side in (-1, 1):
            hue = (k * 53 + i // 40 * 17 + side * 9) % 60
            left, base = seen(side * 11.5, k * 4.0)
            right, _ = seen(side * 11.5, k * 4.0 + 3.6)
            top = horizon - (8 + (k * 7 + i // 40) % 9) * 420 / (k * 4.0) * 0.6
            draw.rectangle([min(left, right), min(top, base), max(left, right), base], fill=(110 + hue, 104 + hue // 2, 98 + hue // 3))
    for inner, outer, colour in ((-KERB - 4, KERB + 4, (158, 154, 148)), (-KERB, KERB, (74, 76, 80))):
        draw.polygon([seen(inner, 3.0), seen(outer, 3.0), seen(outer, 160.0), seen(inner, 160.0)], fill=colour)
    for k in range(30):
        start = 3.0 + k * 8 - (i % 8)
        if start > 1.5:
            draw.polygon([seen(-1.7, start), seen(-1.55, start), seen(-1.55, start + 4), seen(-1.7, start + 4)], fill=(236, 236, 230))
    draw.polygon([seen(-5.0, 3.0), seen(-4.85, 3.0), seen(-4.85, 160.0), seen(-5.0, 160.0)], fill=(236, 196, 70))
    body = io.BytesIO()
    image.save(body, "JPEG", quality=82)
    return body.getvalue()
