"""Where and when a photo was taken: every trap that real cameras set."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.readers.recordings.exif import Taken, taken

NAN = math.nan
GPS = {1: "N", 2: (37.0, 24.0, 0.36), 3: "E", 4: (127.0, 6.0, 0.0), 5: b"\x00", 6: 30.5, 7: (3.0, 4.0, 5.0), 29: "2026:11:23"}
PHOTO = {0x9003: "2026:11:23 12:04:05", 0x9011: "+09:00"}


def utc(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000_000  # type: ignore[misc]


def a_photo(gps: dict[int, Any] | None = None, photo: dict[int, Any] | None = None, xmp: bytes = b"") -> Taken:
    """A good photo with some tags changed (None removes one)."""
    tags = {k: v for k, v in {**GPS, **(gps or {})}.items() if v is not None}
    return taken(tags, {k: v for k, v in {**PHOTO, **(photo or {})}.items() if v is not None}, xmp)


def test_good_photo_has_place_height_and_utc_time() -> None:
    found = a_photo()
    assert (found.lon, found.lat, found.h) == (pytest.approx(127.1), pytest.approx(37.4001), 30.5)
    assert found.t_ns == utc(2026, 11, 23, 3, 4, 5)
    assert found.doubts == ()


@pytest.mark.parametrize(
    ("value", "degrees"),
    [((37.0, 24.006, 0.0), 37.4001), ((37.0, 24.006), 37.4001), ((37.4001,), 37.4001), (37.4001, 37.4001), ((37, 24, 0.36), 37.4001)],
)
def test_decimal_minutes_and_decimal_degrees_are_the_same_place(value: Any, degrees: float) -> None:
    assert a_photo({2: value}).lat == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize(("south", "west", "signs"), [("S", "W", (-1, -1)), (b"s\x00", "w ", (-1, -1)), ("N", "W", (1, -1))])
def test_hemisphere_gives_the_sign(south: Any, west: Any, signs: tuple[int, int]) -> None:
    found = a_photo({1: south, 3: west})
    assert (found.lat, found.lon) == (pytest.approx(37.4001 * signs[0]), pytest.approx(127.1 * signs[1]))


@pytest.mark.parametrize(
    "gps",
    [
        {2: (NAN, 24.0, 0.0)},
        {4: (math.inf, 0.0, 0.0)},
        {2: None},
        {1: None},
        {3: ""},
        {2: (97.0, 0.0, 0.0)},
        {4: (190.0, 0.0, 0.0)},
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {2: "north", 4: "east"},
        {2: (-37.0, 1.0, 1.0)},
    ],
)
def test_position_that_is_none_is_no_position_and_says_why(gps: dict[int, Any]) -> None:
    found = a_photo(gps)
    assert (found.lon, found.lat) == (None, None)
    assert found.doubts


def test_photo_without_gps_is_just_without() -> None:
    assert taken({}, {}) == Taken()


@pytest.mark.parametrize(
    ("reference", "height", "ellipsoid"),
    [
        (b"\x00", 30.5, False),
        (b"\x01", -30.5, False),
        (0, 30.5, False),
        (1, -30.5, False),
        (None, 30.5, False),
        (b"\x02", 30.5, True),
        (b"\x03", -30.5, True),
    ],
)
def test_height_reference_is_a_byte_that_gives_sign_and_surface(reference: Any, height: float, ellipsoid: bool) -> None:
    found = a_photo({5: reference})
    assert (found.h, found.above_ellipsoid) == (height, ellipsoid)


def test_height_that_is_no_number_is_unknown() -> None:
    assert a_photo({6: NAN}).h is None
    assert a_photo({6: None}).h is None


def test_gps_without_time_takes_the_cameras_time_with_its_offset() -> None:
    assert a_photo({7: None, 29: None}).t_ns == utc(2026, 11, 23, 3, 4, 5)
    assert a_photo({7: None}, {0x9291: "25"}).t_ns == utc(2026, 11, 23, 3, 4, 5) + 250_000_000


def test_local_time_without_zone_is_no_time() -> None:
    found = a_photo({7: None, 29: None}, {0x9011: None})
    assert found.t_ns is None and found.lon is not None


def test_stale_gps_date_gives_way_to_the_photos_own_and_is_reported() -> None:
    found = a_photo({29: "2026:11:20"})
    assert found.t_ns == utc(2026, 11, 23, 3, 4, 5)
    assert "2026-11-20" in found.doubts[0]
    assert a_photo({29: "2026:11:20"}, {0x9011: None}).t_ns is None


@pytest.mark.parametrize("gps", [{29: "1980:01:06"}, {29: "2026:13:01"}, {29: "garbage"}, {7: (25.0, 0.0, 0.0)}, {7: (NAN, 0.0, 0.0)}])
def test_gps_time_that_cannot_be_is_not_used(gps: dict[int, Any]) -> None:
    assert a_photo(gps, {0x9003: None}).t_ns is None


XMP = b'<x:xmpmeta><rdf:Description exif:GPSLatitude="%s" exif:GPSLongitude="%s"/></x:xmpmeta>'


@pytest.mark.parametrize(
    ("lat", "lon", "place"),
    [
        (b"37,24.006N", b"127,6E", (127.1, 37.4001)),
        (b"37,24,0.36N", b"127,6,0W", (-127.1, 37.4001)),
        (b"37,24.006S", b"127,6.0E", (127.1, -37.4001)),
    ],
)
def test_position_only_in_xmp_is_used_and_reported(lat: bytes, lon: bytes, place: tuple[float, float]) -> None:
    found = taken({}, {}, XMP % (lat, lon))
    assert (found.lon, found.lat) == pytest.approx(place)
    assert found.from_xmp


def test_xmp_as_elements_is_read_too() -> None:
    xmp = b"<exif:GPSLatitude>37,24.006N</exif:GPSLatitude><exif:GPSLongitude>127,6.0E</exif:GPSLongitude>"
    assert taken({}, {}, xmp).lat == pytest.approx(37.4001)


ELEMENTS = "<exif:GPSLatitude>{0}</exif:GPSLatitude>{2}<exif:GPSLongitude>{1}</exif:GPSLongitude>{3}"
ATTRIBUTES = "<rdf:Description exif:GPSLatitude='{0}' {2} exif:GPSLongitude='{1}' {3}/>"
SIDES = {
    ELEMENTS: ("<exif:GPSLatitudeRef>{0}</exif:GPSLatitudeRef>", "<exif:GPSLongitudeRef>{0}</exif:GPSLongitudeRef>"),
    ATTRIBUTES: ('exif:GPSLatitudeRef="{0}"', 'exif:GPSLongitudeRef = "{0}"'),
}


@pytest.mark.parametrize("form", [ELEMENTS, ATTRIBUTES])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        ("37.4001", "127.1"),
        ("37,24.006", "127,6.0"),
        ("37,24,0.36", "127,6,0"),
        ("37/1,24/1,36/100", "127/1,6/1,0/1"),
        ("37 24 0.36", "127 6 0"),
    ],
)
@pytest.mark.parametrize(("south", "west"), [("N", "E"), ("S", "W"), ("s", "w"), ("South", "West")])
def test_xmp_with_the_hemisphere_in_a_property_of_its_own(form: str, before: bool, lat: str, lon: str, south: str, west: str) -> None:
    sides = [side.format(word) for side, word in zip(SIDES[form], (south, west), strict=True)]
    text = form.format(lat, lon, *sides) if not before else "".join(sides[:1]) + " " + form.format(lat, lon, "", sides[1])
    found = taken({}, {}, text.encode())
    sign = 1 if south.upper()[0] == "N" else -1
    assert (found.lat, found.lon, found.from_xmp) == (pytest.approx(37.4001 * sign), pytest.approx(127.1 * sign), True)


@pytest.mark.parametrize(
    ("lat", "lon", "word"),
    [("37.4", "127.1", "hemisphere"), ("37.4N", "127.1N", "hemisphere"), ("here", "127.1E", "number"), ("1/0N", "127.1E", "number")],
)
def test_xmp_position_that_cannot_be_used_says_why(lat: str, lon: str, word: str) -> None:
    found = taken({}, {}, ELEMENTS.format(lat, lon, "", "").encode())
    assert found.lon is None
    assert word in found.doubts[0]


def test_xmp_in_degree_signs_is_read() -> None:
    text = ELEMENTS.format("37&#176; 24' 0.36&quot; N", "127° 6' 0\" E", "", "")
    assert (taken({}, {}, text.encode()).lat, taken({}, {}, text.encode()).lon) == (pytest.approx(37.4001), pytest.approx(127.1))


@pytest.mark.parametrize("xmp", [XMP % (b"0,0N", b"0,0E"), XMP % (b"99,0N", b"0,0E"), XMP % (b"x", b"y"), b"\xff" * 100])
def test_xmp_without_a_usable_position_gives_none(xmp: bytes) -> None:
    assert taken({}, {}, xmp).lon is None


@pytest.mark.parametrize("status", ["V", b"V\x00", "v"])
def test_a_void_position_is_not_used_and_that_is_said(status: Any) -> None:
    found = a_photo({9: status}, xmp=XMP % (b"37,24.006N", b"127,6E"))
    assert found.lon is None
    assert any("no fix" in doubt for doubt in found.doubts)
    assert a_photo({9: "A"}).doubts == ()


@pytest.mark.parametrize(
    "datum", ["WGS-84", "WGS84", "wgs 84", "WGS-84\x00\x00", b"WGS-84\x00", "JGD2011", "KGD2002", "ITRF2014", "", "  "]
)
def test_datums_of_today_are_taken_for_wgs_84(datum: Any) -> None:
    found = a_photo({18: datum})
    assert (found.lon, found.lat, found.doubts) == (pytest.approx(127.1), pytest.approx(37.4001), ())


def test_a_position_in_an_old_datum_is_moved_and_that_is_said() -> None:
    found = a_photo({18: "TOKYO", 2: (35.0, 39.0, 0.0), 4: (139.0, 44.0, 0.0)})
    assert (found.lon, found.lat) == (pytest.approx(139.7301, abs=2e-4), pytest.approx(35.6532, abs=2e-4))  # some 450 m to the north-west
    assert "TOKYO" in found.doubts[0]
    packet = (XMP % (b"35,39.0N", b"139,44.0E")).replace(b"/></x", b' exif:GPSMapDatum="TOKYO"/></x')
    assert taken({}, {}, packet).lon == found.lon


def test_a_position_in_a_datum_that_nobody_knows_is_not_used() -> None:
    found = a_photo({18: "Mars 2000"})
    assert found.lon is None
    assert "Mars 2000" in found.doubts[0]


def test_latitude_and_longitude_exchanged_are_named() -> None:
    assert "exchanged" in a_photo({2: (127.0, 6.0, 0.0), 4: (37.0, 24.0, 0.0)}).doubts[0]
