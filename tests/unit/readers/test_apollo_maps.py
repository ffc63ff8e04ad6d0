"""Apollo maps: text and wire format give the same; Google's own library is the oracle of both."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers.apollo import binary, text
from ingest.readers.apollo import reader as apollo
from ingest.readers.apollo.schema import ENUMS, MESSAGES
from mapex.errors import Invalid, MapexError
from mapex.intake.placement import Known, Placement
from tests.support.apollo_maps import HEADER, as_binary, line, map_class, points
from tests.support.reading import Received, received
from tiles.errors import TilesError

EAST, NORTH = 332_000.0, 4_140_000.0
LANE = f"""lane {{ id {{ id: "a" }} central_curve {{ {line((EAST, NORTH), (EAST + 9, NORTH))} }}
  left_boundary {{ curve {{ {line((EAST, NORTH + 2), (EAST + 9, NORTH + 2))} }} boundary_type {{ s: 0 types: CURB }} virtual: false }}
  right_boundary {{ curve {{ {line((EAST, NORTH - 2), (EAST + 9, NORTH - 2))} }} boundary_type {{ types: DOTTED_WHITE types: CURB }} }}
  type: SIDEWALK successor_id {{ id: "b" }} }}
"""


def rows(there: Received) -> dict[str, Any]:
    columns = [there.table.column(name).to_pylist() for name in ("kind", "geometry")]
    texts = map(json.loads, there.table.column("properties").to_pylist())
    return dict(zip(there.ids, zip(*columns, texts, strict=True), strict=True))


def both(tmp_path: Path, body: str) -> Received:
    """A map read from its text, which its wire format agrees with."""
    (tmp_path / "base_map.txt").write_text(body, encoding="utf-8")
    (tmp_path / "base_map.bin").write_bytes(as_binary(body))
    there, other = received(tmp_path / "base_map.txt"), received(tmp_path / "base_map.bin")
    assert rows(there) == rows(other)
    assert there.survey.placed == other.survey.placed
    return there


def test_the_sample_has_what_its_readme_counts_in_both_forms(samples: Path, tmp_path: Path) -> None:
    path = samples / "apollo" / "borregas_ave.txt"
    there = both(tmp_path, path.read_text(encoding="utf-8"))
    elements = [name for name in there.ids if name.count("/") == 1]
    counts = {
        kind: sum(name.startswith(f"{kind}/") for name in elements)
        for kind in ("lane", "road", "junction", "crosswalk", "signal", "stop_sign")
    }
    assert counts == {"lane": 60, "road": 41, "junction": 2, "crosswalk": 6, "signal": 15, "stop_sign": 2}
    assert there.survey.placed.crs == "EPSG:32610"
    assert there.survey.placed.crs_source is Known.FILE
    shapes = there.shapes()
    assert all(shape is not None for shape in shapes.values())
    west, south, east, north = shapely.total_bounds(list(shapes.values()))
    assert (west, south, east, north) == pytest.approx((-122.0177, 37.4133, -122.0148, 37.4174), abs=3e-4)  # the header's box, in degrees
    raw = map_class()()
    from google.protobuf import text_format

    text_format.Parse(path.read_text(encoding="utf-8"), raw)
    read = {one.id: shapely.get_coordinates(shapely.from_wkb(wkb)) for one, wkb in _raw(there)}
    for lane in raw.lane:
        expected = [[point.x, point.y] for segment in lane.central_curve.segment for point in segment.line_segment.point]
        assert np.array_equal(read[f"lane/{lane.id.id}"], np.array(expected))


class _Named:
    def __init__(self, name: str) -> None:
        self.id = name


def _raw(there: Received) -> list[tuple[_Named, bytes]]:
    """Ids and geometries in the coordinates of the file."""
    pairs = [
        pair
        for batch in there.raw
        for pair in zip(batch.table.column("feature_id").to_pylist(), batch.table.column("geometry").to_pylist(), strict=True)
    ]
    return [(_Named(name), wkb) for name, wkb in pairs]


def test_lanes_have_borders_and_kinds_and_keep_every_field(tmp_path: Path) -> None:
    there = both(tmp_path, HEADER + LANE + LANE.replace('"a"', '"b"').replace("SIDEWALK", "BIKING"))
    found = rows(there)
    assert {name: kind for name, (kind, _, _) in found.items()} == {
        "lane/a": "sidewalk",
        "lane/a/left_boundary": "kerb",
        "lane/a/right_boundary": "lane_border",
        "lane/b": "cycleway",
        "lane/b/left_boundary": "kerb",
        "lane/b/right_boundary": "lane_border",
    }
    assert found["lane/a"][2]["successor_id"] == ["b"]
    assert found["lane/a/left_boundary"][2]["virtual"] is False
    assert found["lane/a/left_boundary"][2]["@source"]["of"] == "lane/a"
    assert [finding.value for finding in there.findings if finding.code == "reference.dangling"] == []


def test_references_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    there = both(tmp_path, HEADER + LANE)
    assert there.finding("reference.dangling").value == "lane/b"


def test_overlaps_and_signs_are_where_they_act(tmp_path: Path) -> None:
    stop = line((EAST, NORTH), (EAST, NORTH + 5))
    met = 'object { id { id: "a" } lane_overlap_info { start_s: 1 } } object { id { id: "s" } stop_sign_overlap_info { } }'
    overlap = f'overlap {{ id {{ id: "o" }} {met} }}'
    there = both(tmp_path, f'{HEADER}stop_sign {{ id {{ id: "s" }} stop_line {{ {stop} }} type: FOUR_WAY }}\n{LANE}{overlap}')
    shapes, found = there.shapes(), rows(there)
    assert found["stop_sign/s"][0] == "sign" and found["stop_sign/s/stop_line/0"][0] == "stop_line"
    assert shapes["overlap/o"].equals(shapes["stop_sign/s"])
    assert found["overlap/o"][2]["@source"]["placed_by"] == "stop_sign/s"


def test_heights_are_kept_and_never_invented(tmp_path: Path) -> None:
    high = f'crosswalk {{ id {{ id: "h" }} polygon {{ {points((EAST, NORTH, 5.0), (EAST + 1, NORTH, 5.5), (EAST, NORTH + 1, 6.0))} }} }}\n'
    mixed = f'crosswalk {{ id {{ id: "m" }} polygon {{ {points((EAST, NORTH, 5.0), (EAST + 1, NORTH), (EAST, NORTH + 1))} }} }}\n'
    there = both(tmp_path, HEADER + high + mixed)
    assert there.shapes()["crosswalk/h"].has_z and not there.shapes()["crosswalk/m"].has_z
    assert rows(there)["crosswalk/m"][2]["@source"]["polygon"]["z"] == [5.0, None, None]
    assert there.finding("height.mixed").count == 1


def test_without_a_projection_the_place_is_asked_for(tmp_path: Path) -> None:
    body = LANE.replace("successor_id", "predecessor_id")
    there = both(tmp_path, 'header { version: "1" left: 127.0 bottom: 37.3 right: 127.1 top: 37.4 }\n' + body)
    assert there.survey.placed.crs_source is Known.NONE
    assert "UTM zone 52" in there.finding("crs.none").message
    assert set(there.shapes().values()) == {None}
    given = received(tmp_path / "base_map.bin", Placement(crs="EPSG:32652"))
    assert all(shape is not None for shape in given.shapes().values())


def test_odd_forms_of_text_are_read(tmp_path: Path) -> None:
    odd = (
        '# a map\nheader: < version: "1\\x2e5" "!" projection < proj: \'+proj=utm +zone=52 +datum=WGS84\' > >\n'
        'lane { id { id: "\\354\\260\\250" }; central_curve { segment { line_segment {'
        " point: [{x: 1e5 y: +4.14e6}, {x: 332000f, y: 4140000}] } } },"
        " new_field: 7 other { deep: [1, 2] } type: CITY_DRIVING }"
    )
    (tmp_path / "map.txt").write_text(odd, encoding="utf-8")
    there = received(tmp_path / "map.txt")
    (name,) = there.ids
    assert name == "lane/차"
    answer = there.properties()[name]
    assert (answer["new_field"], answer["other"]) == (7, {"deep": [1, 2]})
    assert there.survey.details["version"] == "1.5!"


def message(kind: str, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Any message of a type, as the library takes it."""
    words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=6)
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "double": st.floats(allow_nan=False),
        "text": words,
        "bool": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
    }

    def one(kind: str) -> st.SearchStrategy[Any]:
        if kind in ENUMS:
            return st.sampled_from(sorted(ENUMS[kind]))
        return scalars[kind] if kind in scalars else st.deferred(lambda: message(kind, depth + 1))

    optional = {
        field.name: st.lists(one(field.kind), max_size=2) if field.repeats else one(field.kind)
        for field in MESSAGES[kind].values()
        if depth < 5 or field.kind in scalars
    }
    return st.fixed_dictionaries({}, optional=optional)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_map_is_the_same_in_both_forms(data: st.DataObject) -> None:
    from google.protobuf import json_format, text_format

    kind = data.draw(st.sampled_from(["lane", "overlap", "road", "signal", "pnc_junction"]))
    field = next(one for one in MESSAGES["Map"].values() if one.name == kind)
    made = json_format.ParseDict({kind: [data.draw(message(field.kind))]}, map_class()())
    import io

    (plain,) = text.elements(io.BytesIO(text_format.MessageToString(made).encode()))
    (wire,) = binary.elements(io.BytesIO(made.SerializeToString()))
    assert repr(plain) == repr(wire) or plain == wire


@pytest.mark.parametrize("form", ["txt", "bin"])
def test_changed_bytes_of_a_map_are_reported_and_never_crash(form: str, tmp_path: Path) -> None:
    body = (HEADER + LANE).encode() if form == "txt" else as_binary(HEADER + LANE)
    choose, path = random.Random(7), tmp_path / f"map.{form}"
    for _ in range(150):
        changed = bytearray(body)
        for _ in range(choose.randint(1, 3)):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        path.write_bytes(bytes(changed))
        try:
            received(path)
        except (MapexError, TilesError):
            continue


def test_depth_and_size_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "deep.txt").write_text(HEADER + 'lane { id { id: "a" } ' + "x { " * 10_000, encoding="utf-8")
    assert received(tmp_path / "deep.txt").finding("file.damaged").value == "messages are nested too deeply"
    (tmp_path / "long.bin").write_bytes(as_binary(HEADER) + b"\x22\xff\xff\xff\xff\x0f")
    assert "an element of" in received(tmp_path / "long.bin").finding("file.damaged").value


def test_overlaps_do_not_make_a_small_map_enormous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apollo, "FREE_BYTES", 0)
    overlaps = "".join(f'overlap {{ id {{ id: "o{n}" }} object {{ id {{ id: "a" }} lane_overlap_info {{ }} }} }}\n' for n in range(100))
    long = line(*((EAST + n, NORTH) for n in range(5000)))
    (tmp_path / "map.txt").write_text(f'{HEADER}lane {{ id {{ id: "a" }} central_curve {{ {long} }} }}\n{overlaps}', encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        received(tmp_path / "map.txt")
    assert refused.value.code == "apollo.repeats"
