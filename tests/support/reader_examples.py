"""A small good file of every format that is read, made by code: five records in Seoul, with the variants that the contract asks for."""

from __future__ import annotations

import io
import json
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import numpy as np

from mapex.intake.placement import Placement
from tests.support import apollo_maps, clouds, osm_files, videos

RECORDS = 5
LON, LAT = 127.1, 37.4
NAN = float("nan")
UTM52 = (332_000.0, 4_140_000.0, 30.0)
"""About the same place in EPSG:32652, metres."""


@dataclass(frozen=True, slots=True)
class Made:
    """How files of a format are made.

    `make(folder)` writes a good file or folder with `records` records that all have a place, given `placement`, and returns its path.
    `nan` makes one whose last record has a coordinate that is not a number, `unplaced` one that states no place; None where the format
    has no such files.
    """

    make: Callable[[Path], Path]
    nan: Callable[[Path], Path] | None
    unplaced: Callable[[Path], Path] | None
    placement: Placement = Placement()
    records: int = RECORDS


def spots(*, nan: bool = False) -> list[tuple[float, float]]:
    """Longitude and latitude of the records."""
    found = [(LON + n / 10_000, LAT + n / 20_000) for n in range(RECORDS)]
    return [*found[:-1], (NAN, LAT)] if nan else found


def _osm(*, degrees: bool = True, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        nodes = []
        for n, (lon, lat) in enumerate(spots(nan=nan), 1):
            place = f'lat="{lat!r}" lon="{lon!r}"' if degrees else ""
            nodes.append(f'<node id="{n}" {place}><tag k="local_x" v="{n}.5"/><tag k="local_y" v="{n}.25"/></node>')
        path = folder / "map.osm"
        path.write_text(f'<?xml version="1.0"?>\n<osm version="0.6">{"".join(nodes)}</osm>\n', encoding="utf-8")
        return path

    return make


def _xodr(*, reference: bool = True, nan: bool = False) -> Callable[[Path], Path]:
    """One road without lanes, and four signals beside it."""

    def make(folder: Path) -> Path:
        signals = "".join(
            f'<signal id="{n}" s="{"nan" if nan and n == RECORDS - 1 else n * 10.0}" t="-2.5" zOffset="3" dynamic="yes" type="1000001"/>'
            for n in range(1, RECORDS)
        )
        place = f"<geoReference>+proj=tmerc +lat_0={LAT} +lon_0={LON} +datum=WGS84</geoReference>" if reference else ""
        path = folder / "map.xodr"
        path.write_text(
            f'<?xml version="1.0"?>\n<OpenDRIVE><header revMajor="1" revMinor="7">{place}</header><road id="1" length="60" junction="-1">'
            '<planView><geometry s="0" x="5" y="5" hdg="0.5" length="60"><arc curvature="0.01"/></geometry></planView>'
            f'<elevationProfile><elevation s="0" a="30"/></elevationProfile><signals>{signals}</signals></road></OpenDRIVE>\n',
            encoding="utf-8",
        )
        return path

    return make


def _osm_pbf(folder: Path) -> Path:
    nodes = [("node", {"id": n, "location": place, "tags": {"name": f"n{n}"}}) for n, place in enumerate(spots(), 1)]
    return osm_files.a_file(folder / "map.osm.pbf", nodes)


def _apollo(*, header: str = apollo_maps.HEADER, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        at = [(UTM52[0] + n, UTM52[1]) for n in range(RECORDS)]
        at = [*at[:-1], (NAN, UTM52[1])] if nan else at
        squares = [apollo_maps.points((x, y), (x + 1, y), (x, y + 1)) for x, y in at]
        bodies = [f'crosswalk {{ id {{ id: "c{n}" }} polygon {{ {square} }} }}\n' for n, square in enumerate(squares)]
        (folder / "base_map.txt").write_text(header + "".join(bodies), encoding="utf-8")
        return folder / "base_map.txt"

    return make


def _mgeo(*, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        x, y, z = UTM52
        ends = [(x + n + 1, NAN if nan and n == RECORDS - 1 else y) for n in range(RECORDS)]
        links = [{"idx": f"A{n}", "points": [[x + n, y, z], [*end, z]]} for n, end in enumerate(ends)]
        (folder / "link_set.json").write_text(json.dumps(links), encoding="utf-8")
        return folder / "link_set.json"

    return make


def _collection(places: list[tuple[float, float]], key: str) -> str:
    features = [
        {"type": "Feature", "id": f"f{n}", "properties": {key: f"n{n}"}, "geometry": {"type": "Point", "coordinates": list(place)}}
        for n, place in enumerate(places)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def _geojson(places: list[tuple[float, float]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "map.geojson").write_text(_collection(places, "name"), encoding="utf-8")
        return folder / "map.geojson"

    return make


def _opensidewalks(places: list[tuple[float, float]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        out = folder / "walks"
        out.mkdir()
        (out / "seoul.nodes.geojson").write_text(_collection(places, "_id"), encoding="utf-8")
        return out

    return make


def _table(ending: str, *, crs: bool = True, nan: bool = False, stem: str = "map") -> Callable[[Path], Path]:
    """A vector file by geopandas, which no reader of ours uses to write."""

    def make(folder: Path) -> Path:
        import geopandas

        points = geopandas.points_from_xy(*zip(*spots(nan=nan), strict=True))
        frame = geopandas.GeoDataFrame({"name": [f"n{n}" for n in range(RECORDS)]}, geometry=points, crs="EPSG:4326" if crs else None)
        out = folder / "map"
        out.mkdir()
        path = out / f"{stem}.{ending}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file without a CRS is what is wanted
            if ending == "parquet":
                frame.to_parquet(path)
            else:
                frame.to_file(path, engine="pyogrio", **({"SPATIAL_INDEX": "NO"} if nan else {}))
        return out if ending == "shp" else path

    return make


def _shapefile_with_nan(stem: str = "map") -> Callable[[Path], Path]:
    """No library writes one: the longitude of the last point is overwritten."""

    def make(folder: Path) -> Path:
        out = _table("shp", stem=stem)(folder)
        body = (out / f"{stem}.shp").read_bytes()
        (out / f"{stem}.shp").write_bytes(body[:-16] + struct.pack("<d", NAN) + body[-8:])
        return out

    return make


def _las(*, crs: bool = True) -> Callable[[Path], Path]:
    return lambda folder: clouds.a_las(folder / "cloud.las", RECORDS, crs="EPSG:32652" if crs else None, spread_m=50.0, at=UTM52)


def _columns(*, nan: bool = False) -> dict[str, np.ndarray[Any, Any]]:
    columns = {axis: np.arange(RECORDS, dtype=np.float64) + at for axis, at in zip("xyz", UTM52, strict=True)}
    if nan:
        columns["y"][-1] = np.nan
    return columns


def _pcd(*, nan: bool = False) -> Callable[[Path], Path]:
    return lambda folder: clouds.a_pcd(folder / "cloud.pcd", _columns(nan=nan), data="binary")


def _ply(*, nan: bool = False) -> Callable[[Path], Path]:
    return lambda folder: clouds.a_ply(folder / "cloud.ply", _columns(nan=nan))


def _joined(*definitions: str) -> bytes:
    return f"\n{'=' * 80}\n".join(definitions).encode()


NAV_SAT_FIX = _joined(
    "std_msgs/Header header\nsensor_msgs/NavSatStatus status\nfloat64 latitude\nfloat64 longitude\nfloat64 altitude\n"
    "float64[9] position_covariance\nuint8 position_covariance_type",
    "MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id",
    "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec",
    "MSG: sensor_msgs/NavSatStatus\nint8 status\nuint16 service",
)
"""The well-known definition, as recorders join it."""


def fix(t_ns: int, lon: float, lat: float) -> bytes:
    """A sensor_msgs/NavSatFix in CDR; aligned as it is, since its header has 13 bytes."""
    header = b"\x00\x01\x00\x00" + struct.pack("<iII", t_ns // 10**9, t_ns % 10**9, 1) + b"\x00"
    return header + struct.pack("<bHddd", 0, 1, lat, lon, 30.0) + bytes(73)


NAV_SAT_FIX_1 = NAV_SAT_FIX.replace(b"MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n" + b"=" * 80 + b"\n", b"").replace(
    b"builtin_interfaces/Time stamp", b"uint32 seq\ntime stamp"
)
"""The same in ROS 1."""


def fix_1(t_ns: int, lon: float, lat: float) -> bytes:
    """A sensor_msgs/NavSatFix as ROS 1 writes it."""
    return struct.pack("<IIII", 0, t_ns // 10**9, t_ns % 10**9, 3) + b"gps" + struct.pack("<bHddd", 0, 1, lat, lon, 30.0) + bytes(73)


def _bag(form: int, *, placed: bool = True, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from tests.support import bags

        text = b"string data\n"
        kind, definition = (
            ("std_msgs/String", text) if not placed else ("sensor_msgs/NavSatFix", NAV_SAT_FIX_1 if form == 1 else NAV_SAT_FIX)
        )
        encode, word = (fix_1, b"\x05\x00\x00\x00hello") if form == 1 else (fix, b"\x00\x01\x00\x00\x06\x00\x00\x00hello\x00")
        topic = bags.Topic("/fix", kind if form == 1 else kind.replace("/", "/msg/"), definition)
        times = [bags.T0 + n * bags.S for n in range(RECORDS)]
        sent = [(0, t, encode(t, *spot) if placed else word) for t, spot in zip(times, spots(nan=nan), strict=True)]
        if form == 2:
            return bags.ros2(folder / "drive.db3", [topic], sent)
        (folder / "drive.bag").write_bytes(bags.ros1([topic], sent))
        return folder / "drive.bag"

    return make


def _mcap(*, placed: bool = True, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from mcap.writer import Writer

        path = folder / "drive.mcap"
        with path.open("wb") as stream:
            writer = Writer(stream)
            writer.start()
            name = "sensor_msgs/msg/NavSatFix" if placed else "std_msgs/msg/String"
            schema = writer.register_schema(name, "ros2msg", NAV_SAT_FIX if placed else b"string data\n")
            channel = writer.register_channel("/fix", "cdr", schema)
            for n, (lon, lat) in enumerate(spots(nan=nan)):
                t_ns = 1_790_000_000_000_000_000 + n * 10**9
                data = fix(t_ns, lon, lat) if placed else b"\x00\x01\x00\x00\x06\x00\x00\x00hello\x00"
                writer.add_message(channel, t_ns, data, t_ns, n)
            writer.finish()
        return path

    return make


def jpeg(lon: float | None, lat: float = LAT) -> bytes:
    """A small photo, with its place where there is a longitude (not a number: 0/0, as broken receivers write it)."""
    import piexif
    from PIL import Image

    def rational(value: float) -> tuple[int, int]:
        return (0, 0) if np.isnan(value) else (round(value * 1_000_000), 1_000_000)

    gps: dict[int, Any] = {}
    if lon is not None:
        for ref, axis, word, value in (
            (piexif.GPSIFD.GPSLatitudeRef, piexif.GPSIFD.GPSLatitude, "N", lat),
            (piexif.GPSIFD.GPSLongitudeRef, piexif.GPSIFD.GPSLongitude, "E", lon),
        ):
            gps |= {ref: word, axis: (rational(value), (0, 1), (0, 1))}
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 150)).save(stream, "JPEG", exif=piexif.dump({"GPS": gps}))
    return stream.getvalue()


def _photos(*, placed: bool = True, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        out = folder / "photos"
        out.mkdir()
        for n, (lon, lat) in enumerate(spots(nan=nan)):
            (out / f"{n}.jpg").write_bytes(jpeg(lon if placed else None, lat))
        return out

    return make


def _video(*, placed: bool = True, nan: bool = False) -> Callable[[Path], Path]:
    """A film of a frame a second, and a packet of CAMM for each."""

    def make(folder: Path) -> Path:
        path = videos.film(folder / "drive.mp4", RECORDS, rate=1, group=2)
        places = spots(nan=nan)
        packets = [videos.camm(float(n), lambda _, n=n: (*places[n], 30.0)) for n in range(RECORDS)]  # type: ignore[misc]
        return videos.with_camm(path, packets, each_ms=1000) if placed else path

    return make


def _gpx(*, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        points = "".join(
            f'<trkpt lat="{lat!r}" lon="{lon!r}"><ele>30.5</ele><time>2026-09-21T00:00:{n:02}Z</time></trkpt>'
            for n, (lon, lat) in enumerate(spots(nan=nan))
        )
        path = folder / "walk.gpx"
        path.write_text(f'<?xml version="1.0"?>\n<gpx version="1.1"><trk><trkseg>{points}</trkseg></trk></gpx>\n', encoding="utf-8")
        return path

    return make


def _kml(*, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        marks = "".join(
            f"<Placemark><name>n{n}</name><Point><coordinates>{lon!r},{lat!r}</coordinates></Point></Placemark>"
            for n, (lon, lat) in enumerate(spots(nan=nan))
        )
        (folder / "map.kml").write_text(f'<?xml version="1.0"?><kml><Document>{marks}</Document></kml>\n', encoding="utf-8")
        return folder / "map.kml"

    return make


def _gml(places: list[tuple[float, float]], srs: str = "") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        members = "".join(
            f'<gml:featureMember><o:spot fid="f{n}"><o:name>n{n}</o:name><o:shape><gml:Point{srs}><gml:coordinates>{x!r},{y!r}'
            "</gml:coordinates></gml:Point></o:shape></o:spot></gml:featureMember>"
            for n, (x, y) in enumerate(places)
        )
        spaces = 'xmlns:gml="http://www.opengis.net/gml" xmlns:o="http://o"'
        (folder / "map.gml").write_text(
            f'<?xml version="1.0"?><o:FeatureCollection {spaces}>{members}</o:FeatureCollection>\n', encoding="utf-8"
        )
        return folder / "map.gml"

    return make


def _dxf(*, nan: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        places = [*_METRES[:-1], (NAN, 4_140_000.25)] if nan else _METRES
        entities = "".join(
            f"  0\nPOINT\n  5\n{n + 32:X}\n  8\nposts\n 10\n{x!r}\n 20\n{y!r}\n 30\n0.0\n" for n, (x, y) in enumerate(places)
        )
        (folder / "map.dxf").write_text(f"  0\nSECTION\n  2\nENTITIES\n{entities}  0\nENDSEC\n  0\nEOF\n", encoding="utf-8")
        return folder / "map.dxf"

    return make


def _csv(names: str, places: list[tuple[float, float]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        rows = "".join(f'"n{n}",{x!r},{y!r},"보도, 화강석 판석"\n' for n, (x, y) in enumerate(places))
        (folder / "map.csv").write_text(f"id,{names},kind\n{rows}", encoding="utf-8")
        return folder / "map.csv"

    return make


def nmea(body: str) -> str:
    """A sentence with its checksum."""
    return f"${body}*{reduce(xor, body.encode(), 0):02X}\r\n"


def _nmea(*, fix: bool = True) -> Callable[[Path], Path]:
    """Two positions, which are also messages of their own, and a sentence without a time; or five sentences without a fix."""

    def make(folder: Path) -> Path:
        place = "3724.0000,N,12706.0000,E"
        fixes = [f"GPRMC,00000{n}.00,A,{place},0.1,90.0,210926,,,A" for n in range(2)]
        bodies = [*fixes, "GPVTG,90.0,T,,M,0.1,N,0.2,K,A"] if fix else [f"GPRMC,00000{n}.00,V,,,,,,,210926,,,N" for n in range(5)]
        path = folder / "drive.nmea"
        path.write_text("".join(map(nmea, bodies)), encoding="ascii", newline="")
        return path

    return make


_WGS84 = ' srsName="http://www.opengis.net/gml/srs/epsg.xml#4326"'
_IN_UTM = Placement(crs="EPSG:32652")
_METRES = [(332_000.5 + n, 4_140_000.25) for n in range(RECORDS)]

MADE: Mapping[str, Made] = {
    "lanelet2": Made(_osm(), _osm(nan=True), _osm(degrees=False)),
    "opendrive": Made(_xodr(), _xodr(nan=True), _xodr(reference=False)),
    "osm": Made(_osm_pbf, None, None),  # its coordinates are whole numbers of degrees' parts
    "opensidewalks": Made(_opensidewalks(spots()), _opensidewalks(spots(nan=True)), None),  # always degrees
    "mgeo": Made(_mgeo(), _mgeo(nan=True), _mgeo(), _IN_UTM),
    "geojson": Made(_geojson(spots()), _geojson(spots(nan=True)), _geojson(_METRES)),
    "geopackage": Made(_table("gpkg"), None, _table("gpkg", crs=False)),  # a point that is not a number is an empty one
    "shapefile": Made(_table("shp"), _shapefile_with_nan(), _table("shp", crs=False)),
    "ngii": Made(_table("shp", stem="C6_POSTPOINT"), _shapefile_with_nan("C6_POSTPOINT"), _table("shp", crs=False, stem="C6_POSTPOINT")),
    "nodelink": Made(_table("shp", stem="MOCT_NODE"), _shapefile_with_nan("MOCT_NODE"), _table("shp", crs=False, stem="MOCT_NODE")),
    "flatgeobuf": Made(_table("fgb"), _table("fgb", nan=True), _table("fgb", crs=False)),
    "geoparquet": Made(_table("parquet"), _table("parquet", nan=True), _table("parquet", crs=False)),
    "apollo": Made(_apollo(), _apollo(nan=True), _apollo(header='header { version: "1.5" }')),
    "las": Made(_las(), None, _las(crs=False)),  # its coordinates are integers
    "pcd": Made(_pcd(), _pcd(nan=True), _pcd(), _IN_UTM),
    "ply": Made(_ply(), _ply(nan=True), _ply(), _IN_UTM),
    "mcap": Made(_mcap(), _mcap(nan=True), _mcap(placed=False)),
    "rosbag1": Made(_bag(1), _bag(1, nan=True), _bag(1, placed=False)),
    "rosbag2": Made(_bag(2), _bag(2, nan=True), _bag(2, placed=False)),
    "video": Made(_video(), _video(nan=True), _video(placed=False)),
    "kml": Made(_kml(), _kml(nan=True), None),  # always degrees
    "gml": Made(_gml(spots(), _WGS84), _gml(spots(nan=True), _WGS84), _gml(_METRES)),
    "dxf": Made(_dxf(), _dxf(nan=True), _dxf(), _IN_UTM),
    "csv": Made(_csv("lon,lat", spots()), _csv("lon,lat", spots(nan=True)), _csv("x,y", _METRES)),
    "gpx": Made(_gpx(), _gpx(nan=True), None),  # always degrees
    "nmea": Made(_nmea(), None, _nmea(fix=False)),
    "photos": Made(_photos(), _photos(nan=True), _photos(placed=False)),
}
"""Format -> how its files are made; a new reader needs a row here, and is then under `tests/contract/test_reader.py`."""
