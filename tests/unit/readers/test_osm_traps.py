"""Traps of .osm files that the sample maps do not hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shapely

from ingest.grouping import group
from ingest.placing.mgrs import square
from ingest.readers.lanelet2.kinds import kind_of
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tests.support.reading import received
from tiles.batch import Kind

LANE = """<way id='1'><nd ref='1'/><nd ref='2'/><tag k='type' v='line_thin'/></way>
<way id='2'><nd ref='4'/><nd ref='3'/><tag k='type' v='line_thin'/></way>
<relation id='9'><member type='way' ref='1' role='left'/><member type='way' ref='2' role='right'/>
<tag k='type' v='lanelet'/><tag k='subtype' v='road'/></relation>"""
PLACES = {1: (8.0, 49.0), 2: (8.001, 49.0), 3: (8.0, 48.9999), 4: (8.001, 48.9999)}
METRES = {1: (3774.4814, 73745.2383), 2: (3784.4814, 73745.2383), 3: (3774.4814, 73741.2383), 4: (3784.4814, 73741.2383)}


def nodes(places: dict[int, tuple[float, float]] = PLACES) -> str:
    return "".join(f"<node id='{n}' lat='{lat}' lon='{lon}'/>" for n, (lon, lat) in places.items())


def local_nodes(code: str = "", lat: str = "", lon: str = "") -> str:
    made = ""
    for number, (x, y) in METRES.items():
        mgrs = f"<tag k='mgrs_code' v='{code}'/>" if code else ""
        made += f"<node id='{number}' lat='{lat}' lon='{lon}'>{mgrs}<tag k='local_x' v='{x}'/><tag k='local_y' v='{y}'/></node>"
    return made


def osm(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "map.osm"
    path.write_text(f"<?xml version='1.0'?><osm version='0.6'>{body}</osm>", encoding="utf-8")
    return path


def test_a_lanelet_whose_bounds_run_against_each_other_has_no_crossed_outline(tmp_path: Path) -> None:
    there = received(osm(tmp_path, nodes() + LANE))
    outline = there.shapes()["relation/9"]
    assert outline.is_valid
    assert outline.equals(shapely.box(8.0, 48.9999, 8.001, 49.0))


def test_elements_may_come_in_any_order(tmp_path: Path) -> None:
    there = received(osm(tmp_path, LANE + nodes()))
    assert there.shapes()["relation/9"].equals(shapely.box(8.0, 48.9999, 8.001, 49.0))


def test_empty_lat_and_lon_are_placed_by_the_mgrs_square_and_reported(tmp_path: Path) -> None:
    there = received(osm(tmp_path, local_nodes("54SVE037737") + LANE))
    assert there.survey.placed.crs_source is Known.GUESSED
    assert "mgrs_code" in there.finding("crs.guessed").message
    point = there.shapes()["node/1"]
    assert (point.x, point.y) == pytest.approx((139.93366161080428, 35.90327302735748), abs=1e-8)


def test_nodes_at_zero_zero_beside_local_metres_are_not_at_null_island(tmp_path: Path) -> None:
    there = received(osm(tmp_path, local_nodes("54SVE037737", lat="0", lon="0") + LANE))
    assert there.shapes()["node/1"].x == pytest.approx(139.9336616)


def test_empty_lat_and_lon_without_a_square_ask_instead_of_guessing(tmp_path: Path) -> None:
    there = received(osm(tmp_path, local_nodes() + LANE))
    assert there.survey.placed.crs_source is Known.NONE
    assert "--origin" in there.finding("crs.none").fix
    assert set(there.shapes().values()) == {None}
    assert len(there.ids) == 7


def test_the_uploaders_origin_places_local_metres(tmp_path: Path) -> None:
    there = received(osm(tmp_path, local_nodes() + LANE), Placement(origin=(127.0, 37.5, 0.0)))
    assert there.survey.placed.crs_source is Known.GIVEN
    point = there.shapes()["node/1"]
    assert point.x == pytest.approx(127.0 + 0.04275, abs=1e-3)
    assert point.y > 37.5


def test_a_fake_mgrs_code_is_reported_and_not_used(tmp_path: Path) -> None:
    there = received(osm(tmp_path, local_nodes("99XXX000000") + LANE))
    assert there.finding("mgrs.invalid").value == "99XXX"
    assert set(there.shapes().values()) == {None}


@pytest.mark.parametrize("code", ["99XXX000000", "", "54SZZ", "0ABC", "61SVE", "54IVE"])
def test_codes_that_name_no_square_give_none(code: str) -> None:
    assert square(code) is None


@pytest.mark.parametrize(
    ("code", "crs", "east", "north"),
    [
        ("54SVE037737", "EPSG:32654", 4e5, 3.9e6),
        ("52SCG", "EPSG:32652", 3e5, 4.1e6),
        ("32UMV", "EPSG:32632", 4e5, 5.4e6),
        ("56HLH", "EPSG:32756", 3e5, 6.2e6),
    ],
)
def test_squares_of_known_places(code: str, crs: str, east: float, north: float) -> None:
    """Kashiwa, Seoul, Karlsruhe, Sydney."""
    found = square(code)
    assert found is not None
    assert (found.crs, found.easting, found.northing) == (crs, east, north)


def test_metres_and_degrees_that_disagree_are_reported(tmp_path: Path) -> None:
    tags = "<tag k='mgrs_code' v='54SVE037737'/><tag k='local_x' v='3774'/><tag k='local_y' v='73745'/>"
    body = f"<node id='1' lat='35.90' lon='139.93'>{tags}</node>"
    there = received(osm(tmp_path, body))
    assert there.finding("mgrs.disagrees").count == 1
    assert there.shapes()["node/1"].x == 139.93


def test_dangling_references_are_findings_with_the_id_and_lose_nothing(tmp_path: Path) -> None:
    body = nodes() + LANE.replace("<nd ref='2'/>", "<nd ref='2'/><nd ref='77'/>").replace("ref='2' role='right'", "ref='88' role='right'")
    there = received(osm(tmp_path, body))
    dangling = {(f.feature, f.value) for f in there.findings if f.code == "reference.dangling"}
    assert dangling == {("way/1", "node/77"), ("relation/9", "way/88")}
    assert there.finding("lanelet.no_bound").feature == "relation/9"
    assert len(there.ids) == 7
    assert len(shapely.get_coordinates(there.shapes()["way/1"])) == 2


def test_a_way_of_one_node_is_a_point_and_of_none_is_unplaced(tmp_path: Path) -> None:
    there = received(osm(tmp_path, nodes() + "<way id='5'><nd ref='1'/></way><way id='6'/>"))
    assert there.shapes()["way/5"].geom_type == "Point"
    assert there.shapes()["way/6"] is None
    assert [f.feature for f in there.findings if f.code == "way.short"] == ["way/5", "way/6"]


def test_an_area_is_built_from_ways_in_any_order_with_its_hole(tmp_path: Path) -> None:
    ring = {1: (8.0, 49.0), 2: (8.01, 49.0), 3: (8.01, 49.01), 4: (8.0, 49.01), 5: (8.004, 49.004), 6: (8.006, 49.004), 7: (8.005, 49.006)}
    body = nodes(ring) + (
        "<way id='1'><nd ref='1'/><nd ref='2'/><nd ref='3'/></way><way id='2'><nd ref='1'/><nd ref='4'/><nd ref='3'/></way>"
        "<way id='3'><nd ref='5'/><nd ref='6'/><nd ref='7'/><nd ref='5'/></way>"
        "<relation id='1'><member type='way' ref='1' role='outer'/><member type='way' ref='2' role='outer'/>"
        "<member type='way' ref='3' role='inner'/><tag k='type' v='multipolygon'/><tag k='subtype' v='walkway'/></relation>"
    )
    there = received(osm(tmp_path, body))
    made = there.shapes()["relation/1"]
    assert made.is_valid
    assert made.area == pytest.approx(0.01 * 0.01 - 0.002 * 0.002 / 2)
    assert there.kinds()["sidewalk"] == 1


def test_a_height_that_some_nodes_lack_makes_a_line_flat(tmp_path: Path) -> None:
    body = nodes().replace("lon='8.0'/>", "lon='8.0'><tag k='ele' v='-3.5'/></node>", 1) + LANE
    there = received(osm(tmp_path, body))
    assert there.shapes()["node/1"].z == -3.5
    assert not there.shapes()["way/1"].has_z
    assert there.finding("height.mixed").count == 3


def test_a_typo_in_a_type_names_what_may_be_meant(tmp_path: Path) -> None:
    there = received(osm(tmp_path, nodes() + LANE.replace("line_thin", "line_thinn", 1)))
    assert "'line_thin'" in there.finding("kind.unknown").message
    assert there.table.column("kind").to_pylist()[4] == "other"


def test_plain_osm_and_debug_files_are_reported(tmp_path: Path) -> None:
    plain = received(
        osm(tmp_path, nodes() + "<way id='1'><nd ref='1'/><nd ref='2'/><tag k='highway' v='footway'/><tag k='footway' v='sidewalk'/></way>")
    )
    assert "plain OpenStreetMap" in plain.finding("osm.flavour").message
    assert plain.kinds()["sidewalk"] == 1
    assert "debug file" in received(osm(tmp_path, nodes())).finding("osm.flavour").message


def test_a_cut_file_keeps_what_came_before_and_is_an_error(tmp_path: Path) -> None:
    path = osm(tmp_path, nodes() + LANE)
    path.write_bytes(path.read_bytes()[:-60])
    there = received(path)
    assert there.finding("file.damaged").severity == "error"
    assert len(there.ids) == 6


def test_one_key_twice_is_kept_twice(tmp_path: Path) -> None:
    there = received(osm(tmp_path, "<node id='1' lat='49' lon='8'><tag k='a' v='1'/><tag k='a' v='2'/></node>"))
    assert there.properties()["node/1"]["@source"]["repeated"] == [["a", "2"]]
    assert there.properties()["node/1"]["a"] == "1"


def test_the_same_id_twice_is_reported(tmp_path: Path) -> None:
    there = received(osm(tmp_path, nodes() + "<node id='1' lat='49' lon='8'/>"))
    assert there.finding("id.duplicate").feature == "node/1"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<!DOCTYPE osm [<!ENTITY a 'b'>]><osm><node id='1' lat='49' lon='8'/></osm>", "xml.dtd"),
        ("<!DOCTYPE osm SYSTEM 'file:///etc/passwd'><osm/>", "xml.dtd"),
        ("<osm>" + "<a>" * 100, "xml.limit"),
        ("<osm><node " + " ".join(f"a{n}='1'" for n in range(300)) + "/></osm>", "xml.limit"),
        ("<osm/>", "file.no_records"),
        ("<osm", "file.no_records"),
        ("<osmChange><modify/></osmChange>", "format.unsupported"),
    ],
)
def test_hostile_or_empty_xml_is_refused_with_a_code(tmp_path: Path, text: str, code: str) -> None:
    from ingest.readers.lanelet2.reader import Lanelet2

    path = tmp_path / "bad.osm"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        received(path, choose=lambda _source: Lanelet2())
    assert refused.value.code == code


def test_lines_that_only_help_are_not_sold_as_lanes() -> None:
    assert kind_of("way", {"type": "centerline"}) == (Kind.OTHER, "")
    assert kind_of("way", {"type": "light_bulbs"}) == (Kind.OTHER, "")
    assert kind_of("relation", {"type": "lanelet"}) == (Kind.LANE_AREA, "")


def declared(tmp_path: Path, encoding: str, body: bytes) -> Path:
    path = tmp_path / "map.osm"
    root = b'<?xml version="1.0" encoding="' + encoding.encode() + b'"?>\n<osm version="0.6"><node id="1" lat="37.5" lon="127"/>'
    path.write_bytes(root + body + b"</osm>")
    return path


@pytest.mark.parametrize("encoding", ["EUC-KR", "cp949", "ks_c_5601-1987", "UTF-8", "windows-949", "utf-16"])
def test_text_is_read_in_the_declared_encoding_to_the_end(tmp_path: Path, encoding: str) -> None:
    codec = "utf-8" if encoding.startswith("U") or encoding == "utf-16" else "cp949"
    late = b"<!--" + b"x" * (3 << 20) + b"-->"  # some chunks later
    body = late + '<node id="2" lat="37.5" lon="127"><tag k="이름" v="뷁 판교로"/></node>'.encode(codec)
    assert received(declared(tmp_path, encoding, body)).properties()["node/2"]["이름"] == "뷁 판교로"


@pytest.mark.parametrize("encoding", ["UTF-8", "EUC-KR"])
def test_a_byte_that_means_no_letter_ends_no_file(tmp_path: Path, encoding: str) -> None:
    node = b'<node id="%d" lat="37.5" lon="127"><tag k="name" v="a\xffb"/></node>'
    there = received(declared(tmp_path, encoding, node % 2 + b'<node id="3" lat="37.5" lon="127"/>'))
    assert there.ids == ["node/1", "node/2", "node/3"]
    assert there.properties()["node/2"]["name"] == "a\ufffdb"
    assert (there.finding("text.damaged").feature, there.finding("text.damaged").value) == ("node/2", "a\ufffdb")
    assert "file.damaged" not in there.codes


@pytest.mark.parametrize("odd", ["\x00", "\x0b", "&#0;", "&#x1F;", "&#xD83D;", "\ufffe"])
def test_what_xml_cannot_hold_costs_itself_alone(tmp_path: Path, odd: str) -> None:
    node = f'<node id="2" lat="37.5" lon="127"><tag k="name" v="a{odd}b&#x41;&#128578;&amp;"/></node>'.encode()
    for late in (0, (1 << 20) - len(declared(tmp_path, "UTF-8", b"").read_bytes()) - 60):  # around the end of a piece too
        there = received(declared(tmp_path, "UTF-8", b" " * late + node + b'<node id="3" lat="37.5" lon="127"/>'))
        assert there.ids == ["node/1", "node/2", "node/3"]
        assert there.properties()["node/2"]["name"] == "a\ufffdbA\U0001f642&"
        assert there.finding("text.damaged").feature == "node/2"


def test_an_unknown_encoding_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="Save it as UTF-8") as refused:
        received(declared(tmp_path, "FOO-8", b""))
    assert refused.value.code == "xml.encoding"


def test_entities_are_refused_in_every_encoding(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0" encoding="EUC-KR"?><!DOCTYPE osm [<!ENTITY a "aaaa">]><osm><note>&a;</note></osm>'
    (tmp_path / "map.osm").write_bytes(bomb.encode("cp949"))
    with pytest.raises(Invalid) as refused:
        received(tmp_path / "map.osm")
    assert refused.value.code == "xml.dtd"


def test_the_reported_map_in_euc_kr_is_read(samples: Path) -> None:
    assert received(samples / "reports" / "declared_euckr.osm").properties()["way/1"]["name"] == "판교로"


def test_what_the_document_says_of_the_whole_map_is_told(tmp_path: Path) -> None:
    beside = "<note>Data of\n <b>somebody</b></note><MetaInfo format_version='1' map_version='49'/><bounds minlat='1' maxlat='2'/>"
    found = received(osm(tmp_path, beside + nodes() + LANE)).finding("source.beside")
    stated = json.loads(found.value)
    assert stated["MetaInfo"] == [{"format_version": "1", "map_version": "49"}] and stated["bounds"] == [{"minlat": "1", "maxlat": "2"}]
    assert stated["note"] == [{"text": "Data of somebody"}] and "MetaInfo, bounds" in found.message


def test_the_file_that_autoware_puts_beside_a_map_states_the_square_of_its_metres(tmp_path: Path) -> None:
    osm(tmp_path, local_nodes() + LANE)
    (tmp_path / "map_projector_info.yaml").write_text(
        'projector_type: MGRS\nvertical_datum: WGS84\nmgrs_grid: "54SVE"  # Kashiwa\n', "utf-8"
    )
    there = received(tmp_path)
    assert there.survey.placed.crs_source is Known.FILE
    assert "54SVE" in there.finding("crs.note").message
    point = there.shapes()["node/1"]
    assert (point.x, point.y) == pytest.approx((139.93366161080428, 35.90327302735748), abs=1e-8)
    assert "crs.guessed" not in there.codes


@pytest.mark.parametrize("text", ["projector_type: Local\n", "projector_type: MGRS\nmgrs_grid: 99XXX\n", "\0", "mgrs_grid: [1]"])
def test_one_that_states_no_square_leaves_the_question_open(text: str, tmp_path: Path) -> None:
    osm(tmp_path, local_nodes() + LANE)
    (tmp_path / "map_projector_info.yaml").write_text(text, "utf-8")
    assert received(tmp_path).survey.placed.crs_source is Known.NONE


def test_it_goes_with_the_one_map_of_its_folder() -> None:
    found = group(["a/map_projector_info.yaml", "a/lanelet2_map.osm", "a/old.osm", "b/town.osm", "b/map_projector_info.yaml", "c/town.osm"])
    assert [(one.name, one.members) for one in found.groups] == [
        ("a/old.osm", ("a/old.osm",)),
        ("c/town.osm", ("c/town.osm",)),
        ("a/lanelet2_map.osm", ("a/lanelet2_map.osm", "a/map_projector_info.yaml")),
        ("b/town.osm", ("b/map_projector_info.yaml", "b/town.osm")),
    ]
