"""OpenStreetMap in PBF: the very same as the same map as XML, which another program wrote; hostile and odd files."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.reader import Source
from ingest.readers.lanelet2.kinds import is_area
from ingest.readers.osm import blocks, tables
from ingest.readers.osm.reader import Osm
from ingest.readers.protobuf import packed, packed_zigzag
from ingest.readers.vector.kinds import kind_of_osm, sidewalks_of
from mapex.errors import Invalid, MapexError
from mapex.intake.placement import Placement
from tests.contract.test_reader import converted
from tests.support.osm_files import Element, a_file, copied
from tests.support.reading import Received, received
from tiles.batch import Batch, Kind
from tiles.errors import TilesError

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=12)
TAGS = st.dictionaries(TEXT, TEXT, max_size=4)
ORIGIN = st.fixed_dictionaries(
    {"version": st.integers(1, 9), "timestamp": st.sampled_from(["2020-02-29T23:59:59Z", "2026-11-30T00:00:00Z"])},
    optional={"changeset": st.integers(1, 2**31 - 1), "uid": st.integers(1, 2**31 - 1), "user": TEXT},
)


@st.composite
def maps(draw: st.DrawFn) -> list[Element]:
    """A small map: nodes anywhere, ways and relations among them and among what is not there."""
    ids = draw(st.lists(st.integers(-(2**40), 2**40).filter(bool), min_size=1, max_size=8, unique=True))
    degree = st.integers(-(10**7), 10**7)
    made: list[Element] = []
    for number in sorted(ids):
        place = (draw(degree) * 18 / 1e7 * 0.99999, draw(degree) * 8 / 1e7)
        tags = draw(TAGS) | draw(st.sampled_from([{}, {"ele": "12.5"}, {"ele": "?"}]))
        made.append(("node", {"id": number, "location": (round(place[0], 7), round(place[1], 7)), "tags": tags, **draw(ORIGIN)}))
    some = st.sampled_from([*ids, 2**41])
    for number in range(1, draw(st.integers(0, 3)) + 1):
        nodes = draw(st.lists(some, max_size=6))
        nodes += nodes[:1] if draw(st.booleans()) else []
        tags = draw(TAGS) | draw(
            st.sampled_from([{}, {"building": "yes"}, {"highway": "footway"}, {"highway": "service", "sidewalk": "both"}])
        )
        made.append(("way", {"id": number, "nodes": nodes, "tags": tags, **draw(ORIGIN)}))
    for number in range(1, draw(st.integers(0, 2)) + 1):
        members = draw(
            st.lists(st.tuples(st.sampled_from("nwr"), st.sampled_from([1, 2, *ids]), st.sampled_from(["", "outer", "x"])), max_size=5)
        )
        tags = draw(TAGS) | draw(st.sampled_from([{}, {"type": "multipolygon"}, {"type": "route"}]))
        made.append(("relation", {"id": number, "members": members, "tags": tags, **draw(ORIGIN)}))
    return made


def rows(there: Received) -> dict[str, Any]:
    columns = [there.table.column(name).to_pylist() for name in ("kind", "geometry", "measure")]
    texts = map(json.loads, there.table.column("properties").to_pylist())
    return dict(zip(there.ids, zip(*columns, texts, strict=True), strict=True))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(elements=maps())
def test_a_map_gives_the_same_rows_whatever_form_it_comes_in(elements: list[Element], tmp_path: Path) -> None:
    text = received(a_file(tmp_path / "map.osm", elements))
    assert len(text.ids) == len(elements)
    for name in ("map.osm.pbf", "map.osm.gz", "map.osm.bz2"):
        other = received(a_file(tmp_path / name, elements))
        assert other.ids == text.ids
        assert rows(other) == rows(text)
        assert {"reference.dangling", "way.short", "height.mixed", "osm.sidewalk_tags"} & (other.codes ^ text.codes) == set()


def test_the_sample_is_what_osmium_reads(samples: Path, tmp_path: Path) -> None:
    """Counts of the sample's README; every coordinate and tag as osmium has it."""
    import osmium

    path = samples / "osm" / "Helsinki.osm.pbf"
    there = received(path)
    kinds = [name.split("/")[0] for name in there.ids]
    assert [kinds.count(kind) for kind in ("node", "way", "relation")] == [24_260, 5_130, 620]
    assert there.rejected == 0
    properties, shapes = there.properties(), there.shapes()
    for element in osmium.FileProcessor(path):
        name = f"{ {'n': 'node', 'w': 'way', 'r': 'relation'}[element.type_str()] }/{element.id}"
        answer = properties[name]
        source = answer.pop("@source")
        assert answer == {tag.k: tag.v for tag in element.tags}
        assert source["version"] == str(element.version)
        if element.is_node():
            assert (shapes[name].x, shapes[name].y) == (element.location.x / 1e7, element.location.y / 1e7)
        elif element.is_way():
            assert source["refs"] == [node.ref for node in element.nodes]
        else:
            members = [(member["type"][0], member["ref"], member["role"]) for member in source.get("members", [])]
            assert members == [(member.type, member.ref, member.role) for member in element.members]
    walks = [name for name, answer in properties.items() if name.startswith("way/") and answer.get("footway") == "sidewalk"]
    crossings = [name for name, answer in properties.items() if name.startswith("way/") and answer.get("footway") == "crossing"]
    assert (len(walks), len(crossings)) == (212, 184)
    kinds_of = dict(zip(there.ids, there.table.column("kind").to_pylist(), strict=True))
    assert {kinds_of[name] for name in walks} == {"sidewalk"}
    assert {kinds_of[name] for name in crossings} == {"crossing"}
    assert rows(received(copied(path, tmp_path / "map.osm.bz2"))) == rows(there)


NODES: list[Element] = [("node", {"id": n, "location": (127.1 + n / 1e4, 37.4), "version": 1}) for n in range(1, 5)]
VERSIONS: list[Element] = [("node", {"id": 1, "location": (127.1, 37.4), "version": v, "visible": True}) for v in (1, 2)]


@pytest.mark.parametrize(
    ("name", "elements", "code"),
    [
        ("map.osh.pbf", NODES, "osm.history"),
        ("map.osm.pbf", VERSIONS, "osm.history"),
        ("map.osh", VERSIONS, "osm.history"),
        ("map.osh.gz", VERSIONS, "osm.history"),
        ("map.osc", NODES, "format.unsupported"),
        ("map.osc.gz", NODES, "format.unsupported"),
        ("map.osc.bz2", NODES, "format.unsupported"),
    ],
)
def test_histories_and_changes_are_no_maps(name: str, elements: list[Element], code: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        received(a_file(tmp_path / name, elements))
    assert refused.value.code == code
    assert code == "osm.history" or "change file of OpenStreetMap" in refused.value.message


def test_closed_ways_that_mean_areas_are_polygons(tmp_path: Path) -> None:
    ring = [1, 2, 3, 1]
    nodes: list[Element] = [
        ("node", {"id": n, "location": place}) for n, place in enumerate([(127.0, 37.0), (127.1, 37.0), (127.1, 37.1)], 1)
    ]
    plaza: Element = ("way", {"id": 1, "nodes": ring, "tags": {"highway": "pedestrian", "area": "yes"}})
    circle: Element = ("way", {"id": 2, "nodes": ring, "tags": {"highway": "residential", "junction": "roundabout"}})
    there = received(a_file(tmp_path / "map.osm.pbf", [*nodes, plaza, circle]))
    shapes = there.shapes()
    assert shapes["way/1"].equals_exact(shapely.Polygon([(127.0, 37.0), (127.1, 37.0), (127.1, 37.1)]))
    assert shapes["way/2"].geom_type == "LineString"
    assert not is_area({"type": "line_thin", "area": "yes"})


def test_areas_whose_rings_touch_are_whole_and_incomplete_ones_are_lines(tmp_path: Path) -> None:
    places = [(127.0, 37.0), (127.1, 37.0), (127.1, 37.1), (127.2, 37.1), (127.2, 37.2), (127.1, 37.2)]
    nodes: list[Element] = [("node", {"id": n, "location": place}) for n, place in enumerate(places, 1)]
    ways: list[Element] = [("way", {"id": 1, "nodes": [1, 2, 3, 4]}), ("way", {"id": 2, "nodes": [4, 5, 6, 3, 1]})]
    areas: list[Element] = [
        ("relation", {"id": n, "members": [("w", 1, "outer"), ("w", other, "outer")], "tags": {"type": "multipolygon", "landuse": "grass"}})
        for n, other in ((1, 2), (2, 3))
    ]
    there = received(a_file(tmp_path / "map.osm.pbf", [*nodes, *ways, *areas]))
    shapes = there.shapes()
    both = shapely.MultiPolygon([shapely.Polygon(places[:3]), shapely.Polygon(places[2:])])
    assert shapes["relation/1"].is_valid and shapes["relation/1"].equals(both)
    assert shapes["relation/2"].equals(shapes["way/1"])
    assert there.finding("reference.dangling").value == "way/3"


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"highway": "footway", "footway": "sidewalk", "kerb": "raised", "tactile_paving": "yes"}, Kind.SIDEWALK),
        ({"highway": "footway", "footway": "crossing"}, Kind.CROSSING),
        ({"highway": "path", "bicycle": "designated", "foot": "no"}, Kind.CYCLEWAY),
        ({"highway": "residential", "sidewalk": "both", "traffic_sign": "DE:274-30"}, Kind.OTHER),
        ({"highway": "secondary", "junction": "roundabout"}, Kind.OTHER),
        ({"traffic_sign": "KR:227"}, Kind.SIGN),
        ({"kerb": "lowered", "tactile_paving": "yes"}, Kind.KERB),
        ({"tactile_paving": "yes"}, Kind.MARKING),
        ({"highway": "traffic_signals"}, Kind.SIGNAL),
        ({"area:highway": "footway"}, Kind.SIDEWALK),
    ],
)
def test_what_a_line_is_comes_before_what_is_beside_it(tags: dict[str, str], kind: Kind) -> None:
    assert kind_of_osm(tags) is kind


@pytest.mark.parametrize(
    ("tags", "sides"),
    [
        ({"sidewalk": "both"}, "both"),
        ({"sidewalk": "left"}, "left"),
        ({"sidewalk": "separate"}, ""),
        ({"sidewalk": "none"}, ""),
        ({"sidewalk:both": "yes"}, "both"),
        ({"sidewalk:left": "separate", "sidewalk:right": "yes"}, "right"),
        ({"sidewalk": "both", "sidewalk:left": "no"}, "right"),
    ],
)
def test_sidewalks_that_are_tags_of_a_street_are_counted_by_side(tags: dict[str, str], sides: str) -> None:
    assert sidewalks_of(tags) == sides


def test_what_comes_from_openstreetmap_says_its_licence_in_every_tile_and_keeps_it(tmp_path: Path) -> None:
    way: Element = ("way", {"id": 1, "nodes": [1, 2, 3], "version": 1, "tags": {"highway": "footway"}})
    for name in ("map.osm.pbf", "map.osm"):
        report, tiles = converted(a_file(tmp_path / name, [*NODES, way]), tmp_path / f"out-{name}", Placement())
        (finding,) = [one for one in report["findings"] if one["code"] == "licence.source"]
        assert (finding["value"], finding["severity"]) == ("ODbL-1.0", "info")
        paths = [tmp_path / f"out-{name}" / tile["path"] for tile in tiles]
        for path in paths:
            stated = json.loads(pq.read_metadata(path).metadata[b"mapex"])
            assert stated == {"licence": "ODbL-1.0", "attribution": "© OpenStreetMap contributors"}
        again, _ = converted(paths[0], tmp_path / f"again-{name}", Placement())
        assert "licence.source" in {one["code"] for one in again["findings"]}


def test_a_map_of_ones_own_in_the_same_format_owes_nothing(tmp_path: Path) -> None:
    drawn: list[Element] = [("node", {"id": -n, "location": (127.1, 37.4 + n / 1e4)}) for n in range(1, 4)]
    drawn.append(("way", {"id": -1, "nodes": [-1, -2], "tags": {"highway": "footway"}}))
    for name in ("map.osm.pbf", "map.osm"):
        assert received(a_file(tmp_path / name, drawn)).survey.licence is None


def message(*parts: tuple[int, bytes | int]) -> bytes:
    """A message of the wire format."""
    made = b""
    for number, value in parts:
        made += varint(number << 3 | (0 if isinstance(value, int) else 2))
        made += varint(value) if isinstance(value, int) else varint(len(value)) + value
    return made


def varint(value: int) -> bytes:
    made = b""
    while value > 0x7F:
        made += bytes([value & 0x7F | 0x80])
        value >>= 7
    return made + bytes([value])


def blob(kind: bytes, body: bytes, *, states: int | None = None) -> bytes:
    packed_body = message((2, len(body) if states is None else states), (3, zlib.compress(body)))
    head = message((1, kind), (3, len(packed_body)))
    return struct.pack(">I", len(head)) + head + packed_body


HEADER = blob(b"OSMHeader", message((4, b"OsmSchema-V0.6"), (4, b"DenseNodes")))


def refused(path: Path, body: bytes) -> str:
    path.write_bytes(body)
    try:
        there = received(path)
    except (MapexError, TilesError) as why:
        return str(why.code)
    return next((one.code for one in there.findings if one.severity == "error"), "")


def test_small_files_that_would_grow_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_TEXT", 1 << 20)
    monkeypatch.setattr(blocks, "MAX_REFS", 1000)
    monkeypatch.setitem(tables.MOST, "nodes", 5000)
    path = tmp_path / "bomb.osm.pbf"
    table = message((1, b""), (1, b"k"), (1, b"v" * 60_000))
    way = message((1, 1), (2, varint(1)), (3, varint(2)))
    assert refused(path, HEADER + blob(b"OSMData", message((1, table), (2, message(*[(3, way)] * 40))))) == "osm.limit"
    long = message((1, 1), (8, bytes(2000)))
    assert refused(path, HEADER + blob(b"OSMData", message((1, table), (2, message((3, long)))))) == "osm.limit"
    nodes = message((1, b"\x02" * 6000), (8, bytes(6000)), (9, bytes(6000)))
    assert refused(path, HEADER + blob(b"OSMData", message((1, table), (2, message((2, nodes)))))) == "osm.limit"
    assert refused(path, HEADER + blob(b"OSMData", bytes(64 << 20), states=10)) == "file.damaged"
    assert refused(path, HEADER + struct.pack(">I", 1 << 30)) == "file.damaged"
    assert refused(path, blob(b"OSMHeader", message((4, b"Quantum")))) == "osm.feature"


def test_changed_bytes_are_reported_and_never_crash(tmp_path: Path) -> None:
    way: Element = ("way", {"id": 1, "nodes": [1, 2, 3, 9], "version": 1, "tags": {"highway": "footway"}})
    route: Element = ("relation", {"id": 1, "members": [("w", 1, "a"), ("n", 2, "")], "tags": {"type": "route"}})
    good = a_file(tmp_path / "map.osm.pbf", [*NODES, way, route]).read_bytes()
    at = good.index(b"OSMData")
    start = good.index(b"\x1a", at + 8)  # the packed bytes
    body = zlib.decompress(good[good.index(b"\x78", start) :])
    choose = random.Random(6)
    for _ in range(300):
        changed = bytearray(body)
        for _ in range(choose.randint(1, 3)):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        refused(tmp_path / "changed.osm.pbf", HEADER + blob(b"OSMData", bytes(changed)))


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_packed_numbers_are_read_as_they_were_written(numbers: list[int]) -> None:
    assert packed(b"".join(varint(number & (2**64 - 1)) for number in numbers)).tolist() == numbers
    assert packed_zigzag(b"".join(varint((number << 1 ^ number >> 63) & (2**64 - 1)) for number in numbers)).tolist() == numbers


def test_memory_grows_by_the_index_of_the_nodes_alone(tmp_path: Path) -> None:
    """Ten times as many nodes: what is held beside the block at hand is 16 bytes a node (and 24 a way, 8 a reference)."""

    def peak(count: int) -> int:
        nodes: list[Element] = [("node", {"id": n, "location": (127.0 + n / 1e6, 37.0)}) for n in range(1, count + 1)]
        ways: list[Element] = [("way", {"id": n, "nodes": [n, n + 1]}) for n in range(1, count, 1000)]
        source, reader = Source.of(a_file(tmp_path / f"{count}.osm.pbf", [*nodes, *ways])), Osm()
        placed = reader.survey(source, Placement()).placed
        tracemalloc.start()
        try:
            read = sum(entry.table.num_rows for entry in reader.read(source, placed) if isinstance(entry, Batch))
            assert read == len(nodes) + len(ways)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(8_000)  # what is only imported now
    small = peak(16_000)
    assert peak(160_000) - small < 144_000 * 16 * 1.5
