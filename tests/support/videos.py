"""Video by the library that others use, each frame showing its own number, and the tracks that cameras put beside the pictures."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

T0_S = 1_790_000_000.0
LON, LAT = 127.1013, 37.4
SIZE = (96, 64)
_BITS = 12
PACKET = 60
"""Bytes of a packet of CAMM that states all."""

Place = Callable[[float], tuple[float, float, float]]


def eastward(at_s: float) -> tuple[float, float, float]:
    """A drive to the east at 110 km/h: a cell (485 m) takes some 16 seconds."""
    return LON + at_s * 0.00035, LAT, 50.0


def picture(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture that shows its number as bars, dark for 0 and light for 1, over a little texture."""
    wide, tall = SIZE
    bars = np.array([(number >> bit & 1) * 160 + 40 for bit in range(_BITS)], np.uint8)
    noise = np.random.default_rng(number).integers(0, 24, (tall, wide, 3), np.uint8)
    return np.repeat(np.repeat(bars, wide // _BITS)[None, :, None], tall, axis=0).repeat(3, axis=2) + noise


def number_of(frame: Any) -> int:
    """The number that a decoded picture shows."""
    grey = frame.to_ndarray(format="gray")
    wide = SIZE[0] // _BITS
    return sum(int(grey[:, bit * wide + 1 : (bit + 1) * wide - 1].mean() > 130) << bit for bit in range(_BITS))


def film(
    path: Path,
    frames: int = 60,
    *,
    rate: int = 30,
    group: int = 10,
    between: int = 0,
    codec: str = "libx264",
    created_s: float | None = None,
    first: int = 0,
    movflags: str = "",
    **options: str,
) -> Path:
    """A film of so many frames. `between`: pictures that lean on both sides (B); `first`: the number that the first frame shows."""
    import av

    with av.open(str(path), "w", format="mp4", options={"movflags": movflags} if movflags else {}) as container:
        if created_s is not None:
            container.metadata["creation_time"] = datetime.fromtimestamp(created_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *SIZE, options.pop("pix_fmt", "yuv420p")
        x265 = f"keyint={group}:min-keyint={group}:scenecut=0:bframes={between}:log-level=none:pools=none"
        own = {"x265-params": x265} if codec == "libx265" else {"g": str(group), "bf": str(between), "sc_threshold": "0"}
        stream.options = {"preset": "veryfast", "crf": "18", **own, **options}
        stream.time_base = Fraction(1, rate)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(first + number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def with_samples(path: Path, handler: bytes, entry: bytes, samples: Sequence[tuple[bytes, int]], timescale: int = 1000) -> Path:
    """The film with one more track behind it: samples and how long each lasts, in ticks."""
    with open(path, "rb") as stream:
        body = stream.read()
    at = body.rindex(b"moov") - 4
    head, moov = body[:at], body[at:]
    data = b"".join(sample for sample, _ in samples)
    n, length = len(samples), sum(lasts for _, lasts in samples)
    places = np.cumsum([len(head) + 8, *(len(sample) for sample, _ in samples)])[:-1]
    table = box(
        b"stbl",
        box(b"stsd", struct.pack(">II", 0, 1), box(entry, bytes(6), b"\0\1")),
        box(b"stts", struct.pack(">II", 0, n), b"".join(struct.pack(">II", 1, lasts) for _, lasts in samples)),
        box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1)),
        box(b"stsz", struct.pack(">III", 0, 0, n), b"".join(struct.pack(">I", len(sample)) for sample, _ in samples)),
        box(b"stco", struct.pack(">II", 0, n), places.astype(">u4").tobytes()),
    )
    media = box(
        b"mdia",
        box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, timescale, length, 0x55C4, 0)),
        box(b"hdlr", struct.pack(">II4s12x", 0, 0, handler), b"\0"),
        box(b"minf", box(b"nmhd", bytes(4)), box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), box(b"url ", b"\0\0\0\1"))), table),
    )
    trak = box(b"trak", box(b"tkhd", struct.pack(">IIIII", 7, 0, 0, 9, 0), bytes(64)), media)
    path.write_bytes(head + box(b"mdat", data) + box(b"moov", moov[8:], trak))
    return path


# ---- GPMF ------------------------------------------------------------------------------------------------------------------------------


def klv(key: str, kind: str, size: int, count: int, body: bytes) -> bytes:
    return key.encode() + (kind.encode() if kind else b"\0") + struct.pack(">BH", size, count) + body + bytes(-len(body) % 4)


def nested(key: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return klv(key, "", 1, len(body), body) if len(body) < 65536 else klv(key, "", 4, len(body) // 4, body)


def utc(at_s: float) -> bytes:
    return datetime.fromtimestamp(at_s, UTC).strftime("%y%m%d%H%M%S.%f")[:-3].encode()


def gps5(begin_s: float, place: Place, *, count: int = 18, fix: int = 3, clock_s: float | None = None, lasts_s: float = 1.0) -> bytes:
    """A payload of a HERO5 to 10; `clock_s` is what the receiver's clock says at its begin."""
    rows = b""
    for n in range(count):
        lon, lat, h = place(begin_s + n / count * lasts_s)
        rows += struct.pack(">5i", round(lat * 1e7), round(lon * 1e7), round(h * 1000), 0, 0)
    clock = utc(T0_S + begin_s if clock_s is None else clock_s)
    stream = nested(
        "STRM", klv("GPSF", "L", 4, 1, struct.pack(">I", fix)), klv("GPSU", "U", 16, 1, clock),
        klv("SCAL", "l", 4, 5, struct.pack(">5i", 10**7, 10**7, 1000, 1000, 100)), klv("GPS5", "l", 20, count, rows),
    )  # fmt: skip
    gyro = nested("STRM", klv("SCAL", "s", 2, 1, b"\0\x64"), klv("GYRO", "s", 6, 4, bytes(24)))
    return nested("DEVC", klv("DVNM", "c", 1, 6, b"HERO10"), gyro, stream)


def gps9(begin_s: float, place: Place, *, count: int = 10, fix: int = 3) -> bytes:
    """A payload of a HERO11 and later: each sample has its own time."""
    rows = b""
    for n in range(count):
        at = begin_s + n / count
        lon, lat, h = place(at)
        days, seconds = divmod(T0_S + at - 946_684_800, 86_400)
        own = (round(lat * 1e7), round(lon * 1e7), round(h * 1000), 0, 0, int(days), round(seconds * 1000), 100, fix)
        rows += struct.pack(">7iHH", *own)
    scale = struct.pack(">9i", 10**7, 10**7, 1000, 1000, 100, 1, 1000, 100, 1)
    stream = nested("STRM", klv("TYPE", "c", 1, 9, b"lllllllSS"), klv("SCAL", "l", 4, 9, scale), klv("GPS9", "?", 32, count, rows))
    return nested("DEVC", stream)


def karma(begin_s: float, place: Place, *, count: int = 4) -> bytes:
    """A payload of a Karma: GLPI in the time of its system, and SYST, which pairs that with UTC."""
    boot_s = 500.0
    rows = b""
    for n in range(count):
        lon, lat, h = place(begin_s + n / count)
        place_ = (round(lat * 1e7), round(lon * 1e7), round(h * 1000))
        rows += struct.pack(">I4ihhhH", round((boot_s + begin_s + n / count) * 1000), *place_, 0, 0, 0, 0, 0)
    scale = struct.pack(">9i", 1000, 10**7, 10**7, 1000, 1000, 100, 100, 100, 100)
    system = struct.pack(">QQ", round((boot_s + begin_s) * 1e6), round((T0_S + begin_s) * 1000))
    each = klv("SCAL", "l", 4, 2, struct.pack(">2i", 10**6, 1000))
    return nested(
        "DEVC",
        nested("STRM", klv("TYPE", "c", 1, 2, b"JJ"), each, klv("SYST", "?", 16, 1, system)),
        nested("STRM", klv("TYPE", "c", 1, 9, b"LllllsssS"), klv("SCAL", "l", 4, 9, scale), klv("GLPI", "?", 28, count, rows)),
    )


def with_gpmf(path: Path, payloads: Sequence[bytes]) -> Path:
    return with_samples(path, b"meta", b"gpmd", [(payload, 1000) for payload in payloads])


# ---- CAMM ------------------------------------------------------------------------------------------------------------------------------


def camm(at_s: float, place: Place, *, kind: int = 6, epoch_s: float = 315_964_800 - 18) -> bytes:
    """A packet; of type 6 with its own time since an epoch (GPS, 18 leap seconds behind it)."""
    lon, lat, h = place(at_s)
    if kind == 5:
        return struct.pack("<HH3d", 0, 5, lat, lon, h)
    return struct.pack("<HHdi2d7f", 0, 6, T0_S + at_s - epoch_s, 3, lat, lon, h, 2, 3, 0, 0, 0, 0.1)


def with_camm(path: Path, packets: Sequence[bytes], each_ms: int = 100) -> Path:
    return with_samples(path, b"camm", b"camm", [(packet, each_ms) for packet in packets])


def gopro(path: Path, seconds: int, place: Place = eastward, *, begin_s: float = 0.0, first: int = 0, **options: Any) -> Path:
    """A film of a GoPro that knows where it was."""
    film(path, seconds * 30, first=first, **options)
    return with_gpmf(path, [gps5(begin_s + n, place) for n in range(seconds)])


def gpx(path: Path, seconds: Sequence[float], place: Place = eastward) -> Path:
    points = []
    for at in seconds:
        lon, lat, h = place(at)
        time = datetime.fromtimestamp(T0_S + at, UTC).isoformat()
        points.append(f'<trkpt lat="{lat!r}" lon="{lon!r}"><ele>{h}</ele><time>{time}</time></trkpt>')
    path.write_text(
        f'<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{"".join(points)}</trkseg></trk></gpx>'
    )
    return path


def repeated(path: Path, times: int) -> Path:
    """The film so many times one behind the other, its packets as they are, and positions for all of it."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [(bytes(one), one.pts, one.dts, one.is_keyframe) for one in container.demux(stream) if one.size]
        length, base = stream.duration, stream.time_base
        target = path.with_name(f"{path.stem}-repeated.mp4")
        with av.open(str(target), "w", format="mp4") as made:
            out = made.add_stream_from_template(stream)
            for n in range(times):
                for body, pts, dts, is_key in packets:
                    packet = av.Packet(body)
                    packet.pts, packet.dts, packet.is_keyframe = pts + n * length, dts + n * length, is_key
                    packet.stream, packet.time_base = out, base
                    made.mux(packet)
    return with_gpmf(target, [gps5(float(n), lambda at_s: (LON + at_s * 1e-5, LAT, 50.0)) for n in range(int(times * length * base))])
