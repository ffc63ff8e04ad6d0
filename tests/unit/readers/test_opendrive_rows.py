"""OpenDRIVE files as features: kinds, ids, links, what stands beside roads, what is odd; and the file again from its features."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import shapely

from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tests.support.opendrive import LOCAL, geometry, lane, road, section, written, xodr
from tests.support.reading import Received, received

CROSSROADS = (
    road(
        "a",
        sections=section(
            left=lane(1, inner=f'<link><successor id="1"/></link>{"<width a=" + chr(34) + "3.5" + chr(34) + "/>"}'), right=lane(-1)
        ),
        link='<successor elementType="junction" elementId="J"/>',
    ),
    road(
        "in",
        plan=geometry("<line/>", 20.0, x=50.0),
        length=20.0,
        sections=section(
            left=lane(1, inner='<link><predecessor id="1"/><successor id="2"/></link><width a="3.5"/>'),
            right=lane(-1, inner='<link><predecessor id="-1"/><successor id="-2"/></link><width a="3.5"/>'),
        ),
        link='<predecessor elementType="road" elementId="a" contactPoint="end"/>'
        '<successor elementType="road" elementId="b" contactPoint="start"/>',
        more='junction="J"',
    ),
    road(
        "b",
        plan=geometry("<line/>", 30.0, x=70.0),
        length=30.0,
        sections=section(left=lane(1, "biking") + lane(2), right=lane(-1, "biking") + lane(-2) + lane(-3, "sidewalk")),
        link='<predecessor elementType="junction" elementId="J"/>',
    ),
    '<junction id="J" name=""><connection id="0" incomingRoad="a" connectingRoad="in" contactPoint="start"><laneLink from="-1" to="-1"/>'
    '</connection><connection id="1" incomingRoad="b" connectingRoad="in" contactPoint="end"><laneLink from="2" to="1"/></connection>'
    "</junction>",
)


def source_of(found: Received, name: str) -> Mapping[str, Any]:
    return dict(found.properties()[name]["@source"])


def test_every_part_of_a_road_is_a_feature_of_its_kind(tmp_path: Path) -> None:
    found = received(written(tmp_path, *CROSSROADS))
    kinds = dict(zip(found.ids, found.table.column("kind").to_pylist(), strict=True))
    assert kinds["lane/b/0/-2"] == "lane_area"
    assert kinds["lane/b/0/-1"] == "cycleway"
    assert kinds["lane/b/0/-3"] == "sidewalk"
    assert kinds["border/b/0/0/0"] == "lane_border"
    assert kinds["junction/J"] == "junction"
    assert found.kinds() == {"lane_area": 6, "cycleway": 2, "sidewalk": 1, "lane_border": 12, "junction": 1, "other": 3}
    assert found.codes == {"source.beside"}
    measured = dict(zip(found.ids, found.table.column("measure").to_pylist(), strict=True))
    assert shapely.length(shapely.from_wkb(measured["lane/b/0/-3"])) > 0
    assert measured["border/b/0/0/0"] is None


def test_traffic_goes_on_through_junctions_in_its_own_direction(tmp_path: Path) -> None:
    found = received(written(tmp_path, *CROSSROADS))
    right, left = source_of(found, "lane/in/0/-1"), source_of(found, "lane/in/0/1")
    assert (right["predecessors"], right["successors"], right["direction"]) == (["lane/a/0/-1"], ["lane/b/0/-2"], "forward")
    assert (left["predecessors"], left["successors"], left["direction"]) == (["lane/b/0/2"], ["lane/a/0/1"], "backward")
    assert source_of(found, "lane/a/0/-1")["successors"] == ["lane/in/0/-1"]
    assert source_of(found, "lane/b/0/2")["successors"] == ["lane/in/0/1"]
    assert (right["left"], right["right"]) == (["border/in/0/0/0"], ["border/in/0/-1/0"])
    assert (left["left"], left["right"]) == (["border/in/0/0/0"], ["border/in/0/1/0"])


def test_areas_and_middle_lines_run_with_traffic_also_where_it_keeps_left(tmp_path: Path) -> None:
    for rule, first in (("RHT", 0.0), ("LHT", 50.0)):
        path = written(tmp_path, road(sections=section(right=lane(-1)), more=f'junction="-1" rule="{rule}"'))
        table = received(path).raw[0].table
        row = table.column("feature_id").to_pylist().index("lane/1/0/-1")
        middle = shapely.from_wkb(table.column("measure").to_pylist()[row])
        ring = shapely.get_coordinates(shapely.from_wkb(table.column("geometry").to_pylist()[row]))
        assert middle.coords[0][0] == pytest.approx(first)
        inner_is_left = rule == "RHT"
        assert tuple(ring[0]) == pytest.approx((first, 0.0 if inner_is_left else -3.5))
        assert not shapely.is_ccw(shapely.LinearRing(ring)), "the left bound with traffic, then the right one back"


def test_a_border_is_cut_where_its_mark_changes_and_a_kerb_is_a_kerb(tmp_path: Path) -> None:
    marks = (
        '<width a="3.5"/><roadMark sOffset="0" type="solid" color="white"/><roadMark sOffset="10" type="solid" color="white"/>'
        '<roadMark sOffset="20" type="broken" color="white"/><roadMark sOffset="30" type="curb"/>'
    )
    found = received(written(tmp_path, road(sections=section(right=lane(-1, inner=marks)))))
    borders = [name for name in found.ids if name.startswith("border/1/0/-1")]
    assert [found.properties()[name]["type"] for name in borders] == ["solid", "broken", "curb"]
    assert dict(zip(found.ids, found.table.column("kind").to_pylist(), strict=True))[borders[2]] == "kerb"
    shapes = found.shapes()
    assert [round(shapely.length(shapes[name]) * 111_000 * 0.795) for name in borders] == [20, 10, 20]


def test_lanes_without_width_are_lines_and_those_that_end_are_areas(tmp_path: Path) -> None:
    ends = '<width sOffset="0" a="3" b="0" c="0" d="0"/><width sOffset="20" a="3" b="-0.3" c="0" d="0"/><width sOffset="30" a="0"/>'
    sides = section(right=lane(-1, inner=ends) + lane(-2, inner='<width a="0"/>') + lane(-3, inner=""))
    found = received(written(tmp_path, road(sections=sides)))
    shapes = found.shapes()
    assert shapes["lane/1/0/-1"].geom_type == "Polygon"
    assert shapes["lane/1/0/-1"].is_valid
    assert shapes["lane/1/0/-2"].geom_type == shapes["lane/1/0/-3"].geom_type == "LineString"
    assert found.finding("lane.no_width").feature == "lane/1/0/-3"


def test_a_border_that_runs_back_beside_a_kink_is_cut_where_it_crosses_itself(tmp_path: Path) -> None:
    plan = geometry("<line/>", 20.0) + geometry("<line/>", 20.0, s=20.0, x=20.0, hdg=0.2)
    found = received(written(tmp_path, road(plan=plan, length=40.0, sections=section(left=lane(1), right=lane(-1)))))
    assert all(shapely.is_valid(shape) for shape in found.shapes().values())
    assert found.finding("border.loop").count == 1


BESIDE = (
    '<objects><object id="1" type="crosswalk" s="10" t="0" zOffset="0.1" hdg="0"><outline>'
    + "".join(f'<cornerLocal u="{u}" v="{v}" z="0" height="0"/>' for u, v in ((-2, -4), (2, -4), (2, 4), (-2, 4)))
    + '</outline></object><object id="2" type="-1" name="StopLine" s="20" t="-2"><outlines><outline closed="false">'
    + '<cornerRoad s="20" t="-4" dz="0"/><cornerRoad s="20" t="0" dz="0"/></outline></outlines></object>'
    + '<object id="3" type="pole" s="30" t="5" length="0.3" width="0.3"/>'
    + '<object id="4" type="building" s="30" t="20" length="8" width="4" hdg="1"/>'
    + '<object id="5" type="pole" s="0" t="6"><repeat s="5" length="40" distance="10" tStart="6" tEnd="8"/></object>'
    + '<object id="6" type="barrier" s="0" t="7"><repeat s="5" length="40" distance="0" tStart="7" tEnd="9" zOffsetStart="0"'
    + ' zOffsetEnd="1"/></object>'
    + '<object id="6" type="barrier" s="900" t="7"/><tunnel id="7" s="10" length="20" type="standard"/>'
    + '<objectReference id="1" s="12" t="0"/></objects>'
    + '<signals><signal id="8" s="40" t="-4" zOffset="5" dynamic="yes" type="1000001"/>'
    + '<signal id="9" s="41" t="-4" dynamic="no" type="206"/>'
    + '<signalReference id="8" s="42" t="4"/></signals>'
)
CONTROLLER = '<controller id="c"><control signalId="8" type="0"/></controller>'


def test_objects_and_signals_stand_where_they_are_stated(tmp_path: Path) -> None:
    text = road(sections=section(right=lane(-1))).replace("</road>", BESIDE + "</road>")
    found = received(written(tmp_path, text, CONTROLLER))
    kinds = dict(zip(found.ids, found.table.column("kind").to_pylist(), strict=True))
    raw = found.raw[0].table
    shapes = dict(zip(raw.column("feature_id").to_pylist(), map(shapely.from_wkb, raw.column("geometry").to_pylist()), strict=True))
    assert shapes["object/1/1"].equals(shapely.box(8, -4, 12, 4))
    assert shapely.get_coordinates(shapes["object/1/1"], include_z=True)[0, 2] == pytest.approx(20.1)
    assert (kinds["object/1/1"], kinds["object/1/2"], kinds["object/1/3"]) == ("crossing", "stop_line", "pole")
    assert shapes["object/1/2"].equals(shapely.LineString([(20, -4), (20, 0)]))
    assert shapes["object/1/3"].equals(shapely.Point(30, 5))
    assert shapes["object/1/4"].area == pytest.approx(32.0)
    assert shapes["object/1/5"].equals(shapely.MultiPoint([(5, 6), (15, 6.5), (25, 7), (35, 7.5), (45, 8)]))
    assert shapely.get_coordinates(shapes["object/1/6"], include_z=True)[[0, -1]].tolist() == [
        pytest.approx([5, 7, 20]),
        pytest.approx([45, 9, 21]),
    ]
    assert shapes["object/1/6/2"] is None
    assert shapes["tunnel/1/7"].length == pytest.approx(20.0)
    assert (kinds["signal/1/8"], kinds["signal/1/9"], kinds["signalReference/1/8"]) == ("signal", "sign", "other")
    assert shapely.get_coordinates(shapes["signal/1/8"], include_z=True).tolist() == [[40, -4, 25]]
    assert source_of(found, "controller/c")["placed_by"] == "signal/8"


def joined(found: Received, order: str) -> str:
    """The OpenDRIVE file again from its features alone, in the order of those roads."""
    root = ElementTree.Element("OpenDRIVE")
    parts = {
        name: ElementTree.fromstring(source["@source"]["xml"]) for name, source in found.properties().items() if "xml" in source["@source"]
    }
    for name in order.split():
        root.append(parts[name])
    for name, source in found.properties().items():
        what, _, rest = name.partition("/")
        if what in ("lane", "border") and name in parts:
            at, number, which, *_ = rest.split("/")
            side = "center" if which == "0" else "left" if int(which) > 0 else "right"
            parts[f"road/{at}"].findall("lanes/laneSection")[int(number)].find(side).append(parts[name])  # type: ignore[union-attr]
        elif what not in ("road", "junction", "controller", "lane", "border"):
            under = "signals" if what.startswith("signal") else "objects"
            parts[f"road/{source['@source']['road']}"].find(under).append(parts[name])  # type: ignore[union-attr]
    for center in root.iter("left"):
        center[:] = sorted(center, key=lambda one: -int(one.get("id", "")))
    return ElementTree.canonicalize(ElementTree.tostring(root, encoding="unicode"), strip_text=True)


def test_features_hold_all_of_their_roads_so_that_the_file_can_be_written_again(tmp_path: Path) -> None:
    more = '<userData code="a&amp;b" value="&lt;&quot;x"/><type s="0" type="town"><speed max="50" unit="km/h"/></type>'
    first = road("x", sections=section(left=lane(2) + lane(1), right=lane(-1, level="false")), offset='<laneOffset s="0" a="0.5"/>')
    first = first.replace("</road>", BESIDE + more + "</road>")
    path = written(tmp_path, first, CONTROLLER, road("y", plan=geometry("<line/>", 50.0, y=90.0), sections=section(right=lane(-1))))
    found = received(path)
    original = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    original.remove(original.find("header"))  # type: ignore[arg-type]
    assert joined(found, "road/x controller/c road/y") == ElementTree.canonicalize(
        ElementTree.tostring(original, encoding="unicode"), strip_text=True
    )
    assert {source_of(found, f"road/{name}")["revision"] for name in "xy"} == {"1.7"}
    assert "Transverse Mercator" in source_of(found, "road/x")["crs"]
    assert source_of(found, "lane/x/0/-1")["speed"] == {"max": "50", "unit": "km/h"}


PLACES = {
    "as it stands": (LOCAL, Placement(), "file", (127.1, 37.4)),
    "by code": ("EPSG:5186", Placement(), "file", None),
    "by the old form of a code": ("+init=epsg:5186", Placement(), "file", None),
    "none": ("", Placement(), "none", None),
    "made-up world": ("+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +geoidgrids=egm96_15.gtx", Placement(), "none", None),
    "zone and origin": ("+proj=utm +zone=32 +lat_0=37.35 +lon_0=-122.08 +datum=WGS84", Placement(), "none", None),
    "no projection": ("+lat_0=37.4 +lon_0=127.1", Placement(), "guessed", (127.1, 37.4)),
    "false origin left out": (
        "+proj=tmerc +lat_0=37.41690563 +lon_0=-122.0160366 +k=1 +x_0=587070 +y_0=4141577 +datum=WGS84",
        Placement(),
        "guessed",
        (-122.016, 37.4169),
    ),
    "not understood": ("somewhere in Pangyo", Placement(), "none", None),
    "origin of the seller": ("+proj=tmerc +lat_0=0 +lon_0=0 +datum=WGS84", Placement(origin=(127.1, 37.4, 0.0)), "given", (127.1, 37.4)),
}


@pytest.mark.parametrize("case", PLACES)
def test_georeference_is_used_where_it_can_be_and_asked_for_where_not(case: str, tmp_path: Path) -> None:
    reference, given, known, place = PLACES[case]
    at = (200_000.0, 550_000.0) if "code" in case else (0.0, 0.0)
    path = written(tmp_path, road(plan=geometry("<line/>", 50.0, x=at[0], y=at[1])), reference=reference)
    found = received(path, given)
    assert str(found.survey.placed.crs_source) == known
    assert ("crs.none" in found.codes, "crs.guessed" in found.codes) == (known == "none", known == "guessed")
    if place is not None:
        assert found.shapes()["road/1"].coords[0][:2] == pytest.approx(place, abs=1e-4)
    if "egm96" in reference:
        assert found.survey.placed.height_datum == "EGM96"


def test_offset_of_the_header_turns_and_moves_all_roads(tmp_path: Path) -> None:
    far = road(plan=geometry("<line/>", 50.0, x=10.0), sections=section(right=lane(-1)))
    path = written(tmp_path, far, reference="EPSG:5186", header='<offset x="200000" y="550000" z="5" hdg="1.5707963267948966"/>')
    found = received(path)
    table = found.raw[0].table
    line = shapely.from_wkb(table.column("geometry").to_pylist()[0])
    assert shapely.get_coordinates(line, include_z=True)[[0, -1]].tolist() == [
        pytest.approx([200_000, 550_010, 25]),
        pytest.approx([200_000, 550_060, 25]),
    ]
    assert source_of(found, "road/1")["offset"]["x"] == 200_000.0
    local = received(path, Placement(origin=(127.1, 37.4, 0.0)))
    assert local.shapes()["road/1"].coords[0][:2] == pytest.approx((127.1, 37.4), abs=1e-3)


def test_roads_without_elevation_are_flat_on_the_map_and_named(tmp_path: Path) -> None:
    found = received(written(tmp_path, road(rest="<lateralProfile/>", sections=section(right=lane(-1)))))
    assert not any(shape.has_z for shape in found.shapes().values())
    assert found.finding("height.mixed").count == 1


MANY = "".join(f'<width sOffset="{n / 60}" a="3" b="{n % 2 / 9}"/>' for n in range(2500))
ODD = {
    "no plan": (road(plan="<geometry/>", sections=section(right=lane(-1))), "road.no_geometry"),
    "no number": (road(plan=geometry('<arc curvature="abc"/>', 50.0)), "road.no_geometry"),
    "endless": (road(plan=geometry("<line/>", 1e300)), "road.no_geometry"),
    "wound up": (road(plan=geometry('<spiral curvStart="0" curvEnd="1e9"/>', 50.0)), "road.no_geometry"),
    "too curved": (road(plan=geometry('<arc curvature="1"/>', 9e5), length=9e5), "road.no_geometry"),
    "too many records for its lanes": (
        road(sections=section(right="".join(lane(-n, inner=MANY if n == 1 else '<width a="3"/>') for n in range(1, 201)))),
        "road.no_geometry",
    ),
    "section at the end": (road(sections=section(right=lane(-1)) + section(s=50.0, right=lane(-1))), "geometry.zero_length"),
    "gap": (road(plan=geometry("<line/>", 20.0) + geometry("<line/>", 30.0, s=20.0, x=21.0)), "road.gap"),
    "length": (road(plan=geometry("<line/>", 20.0), length=50.0), "road.length"),
    "lane id": (road(sections=section(right=lane(-1) + lane("two"))), "lane.id"),  # type: ignore[arg-type]
    "wrong side": (road(sections=section(right=lane(-1) + lane(2))), "lane.id"),
    "twice": (road(sections=section(right=lane(-1) + lane(-1))), "lane.id"),
    "negative": (road(sections=section(right=lane(-1, inner='<width a="1" b="-0.1"/>'))), "lane.negative_width"),
    "no width": (road(sections=section(right=lane(-1, inner=""))), "lane.no_width"),
    "nan": (road(sections=section(right=lane(-1, inner='<width a="3" b="nan"/>'))), "number.invalid"),
    "type": (road(sections=section(right=lane(-1, "hovercraft"))), "kind.unknown"),
    "link": (road(link='<successor elementType="road" elementId="gone"/>'), "reference.dangling"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_named_and_nothing_is_lost(case: str, tmp_path: Path) -> None:
    text, code = ODD[case]
    found = received(written(tmp_path, text, road("good", sections=section(right=lane(-1)))))
    assert code in found.codes
    assert "lane/good/0/-1" in found.ids
    assert found.rejected == (1 if code == "lane.id" else 0)
    raw = [name for batch in found.raw for name in batch.table.column("feature_id").to_pylist()]
    assert len(raw) == len(set(raw))
    if code == "geometry.zero_length":
        assert found.shapes()["lane/1/1/-1"].geom_type == "Point"
    if code == "road.no_geometry":
        assert all(shape is None for name, shape in found.shapes().items() if "/1" in name[:7])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (xodr(road()).replace("<OpenDRIVE>", "<!DOCTYPE OpenDRIVE [<!ENTITY a 'b'>]><OpenDRIVE>"), "xml.dtd"),
        (xodr("<road>" + "<a>" * 80 + "</a>" * 80 + "</road>"), "xml.limit"),
        (xodr(road(more=" ".join(f'a{n}=""' for n in range(300)))), "xml.limit"),
        (xodr("<road>" + "<a/>" * 400_001 + "</road>"), "xml.limit"),
        (xodr(), "file.no_records"),
    ],
)
def test_hostile_xml_is_refused(text: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "map.xodr"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        received(path)
    assert refused.value.code == code


def test_namespaces_and_other_encodings_are_read(tmp_path: Path) -> None:
    text = xodr(road("길", sections=section(right=lane(-1)))).replace('version="1.0"', 'version="1.0" encoding="EUC-KR"')
    path = tmp_path / "map.xodr"
    path.write_bytes(text.replace("<OpenDRIVE>", '<OpenDRIVE xmlns="http://code.asam.net/opendrive">').encode("euc-kr"))
    assert "lane/길/0/-1" in received(path).ids
    prefixed = text.replace('encoding="EUC-KR"', "").replace("</", "</od:").replace("<", "<od:").replace("<od:/od:", "</od:")
    prefixed = (
        prefixed.replace("<od:?xml", "<?xml").replace("<od:![CDATA", "<![CDATA").replace("<od:OpenDRIVE>", '<od:OpenDRIVE xmlns:od="x">')
    )
    path.write_text(prefixed, encoding="utf-8")
    assert "lane/길/0/-1" in received(path).ids


@pytest.mark.parametrize(("ending", "packed"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_packed_files_are_read_and_cut_ones_named(ending: str, packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    body = packed(xodr(*(road(str(n), sections=section(right=lane(-1))) for n in range(80))).encode())
    path = tmp_path / f"map.xodr.{ending}"
    path.write_bytes(body)
    assert received(path).survey.format == "opendrive"
    assert len(received(path).ids) == 80 * 4
    if ending == "gz":  # bzip2 gives nothing before its first block is whole
        path.write_bytes(body[: len(body) * 9 // 10])
        found = received(path)
        assert found.finding("file.damaged").value
        assert 0 < len(found.ids) < 80 * 4


def test_a_file_that_unpacks_to_more_than_is_kept_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, *CROSSROADS)
    whole = received(path)
    monkeypatch.setattr("ingest.readers.opendrive.reader._KEPT_BYTES", 0)
    assert received(path).table.equals(whole.table)


def test_properties_of_a_road_are_those_of_the_file(tmp_path: Path) -> None:
    found = received(written(tmp_path, road(more='junction="-1" rule="RHT"')))
    own = {key: value for key, value in found.properties()["road/1"].items() if key != "@source"}
    assert own == {"name": "", "length": "50.0", "id": "1", "junction": "-1", "rule": "RHT"}
    assert json.loads(found.finding("source.beside").value)["header"]["revMinor"] == "7"
