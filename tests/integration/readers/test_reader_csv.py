"""CSV: columns are proposed or stated, text is told apart, and nothing lands where no cell puts it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.reader import Source
from ingest.readers.sheets.shapes import numbers_of
from ingest.readers.sniff import reader_for
from mapex.errors import Invalid, MapexError
from mapex.intake.placement import Known, Placement
from tests.support.reader_examples import MADE
from tests.support.reading import Received, received
from tiles.batch import Batch, LayerKind

SEOUL = "노드링크 유형,노드 WKT,노드 ID,노드 유형 코드,링크 WKT,링크 ID,링크 유형 코드,시작노드 ID,종료노드 ID,링크 길이,시군구명,횡단보도"


def csv(folder: Path, text: str, encoding: str = "utf-8", given: Placement | None = None, name: str = "a.csv") -> Received:
    (folder / name).write_bytes(text.encode(encoding))
    return received(folder / name, given)


def at(there: Received) -> list[tuple[float, ...] | None]:
    return [None if shape is None else tuple(shape.coords[0]) for shape in there.shapes().values()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_delimiters_and_quoted_line_breaks_are_told_apart(tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = ["관리번호,경도,위도,설명", '007,127.1,37.5,"첫 줄\n둘째 ""줄"", 쉼표"', "008,127.2,37.6,"]
    text = "\n".join(rows).replace(",", delimiter) + "\n"
    there = csv(tmp_path, text, encoding)
    assert there.ids == ["007", "008"] and at(there) == [(127.1, 37.5), (127.2, 37.6)]
    first, second = there.properties().values()
    assert first["설명"] == f'첫 줄\n둘째 "줄"{delimiter} 쉼표' and second["설명"] is None
    assert first["경도"] == "127.1", "a cell stays the text that it is"
    assert there.survey.placed.crs_source is Known.GUESSED and there.survey.details["map"] == "lon=경도,lat=위도,id=관리번호"
    assert ("text.encoding_guessed" in there.codes) is (encoding == "cp949")


@pytest.mark.parametrize(
    ("cells", "decimal", "numbers"),
    [
        (["127,5", "-0,25"], True, [127.5, -0.25]),
        (["332,000", "1,332,000.5"], False, [332000, 1332000.5]),
        (["332,000", "332,12"], False, [332.0, 332.12]),
        (["127,500"], True, [127.5]),
        ([" 1e2 ", "+3"], False, [100, 3]),
        (["1_0", "", "abc", "12 5"], False, [None] * 4),
    ],
)
def test_commas_are_decimal_or_part_thousands(cells: list[str], decimal: bool, numbers: list[float | None]) -> None:
    import pyarrow as pa

    found = numbers_of(pa.array([cell or None for cell in cells], pa.string()), decimal=decimal).tolist()
    assert [None if math.isnan(value) else value for value in found] == numbers


def test_wkt_is_read_in_the_system_that_it_states_and_kept_where_it_is_none(tmp_path: Path) -> None:
    text = 'name,geom\na,"SRID=5186;LINESTRING(200000 550000,200010 550000)"\nb,\nc,"LINESTRING(1 2"\n'
    there = csv(tmp_path, text)
    shapes = list(there.shapes().values())
    assert there.survey.placed.crs == "EPSG:5186" and shapes[0].coords[0] == pytest.approx((127.0, 37.55), abs=0.01)
    assert shapes[1] is None and shapes[2] is None
    assert [finding.feature for finding in there.findings if finding.code == "csv.place"] == [""]
    assert list(there.properties().values())[2]["geom"] == "LINESTRING(1 2"


def test_a_table_that_states_no_place_is_asked_about_and_the_answer_places_it(tmp_path: Path) -> None:
    text = "a,b,what,no\n332000,4140000,보도,1\n332010,4140000,횡단보도,2\n"
    asked = csv(tmp_path, text)
    assert {"crs.no_columns", "crs.none"} <= asked.codes and at(asked) == [None, None]
    answer = Placement("EPSG:32652", columns=(("x", "a"), ("y", "b"), ("id", "no"), ("kind", "what")))
    there = csv(tmp_path, text, given=answer)
    assert there.ids == ["1", "2"] and there.kinds() == {"crossing": 1, "sidewalk": 1}
    assert there.raw[0].crs == "EPSG:32652" and shapely.from_wkb(there.raw[0].table["geometry"][0].as_py()).x == 332000
    assert csv(tmp_path, text, given=Placement("EPSG:32652", columns=(("x", "a"), ("y", "b"), ("kind", "sign")))).kinds() == {"sign": 2}
    for wrong, code in (((("lon", "z"), ("lat", "b")), "csv.no_column"), ((("x", "a"),), "csv.pair")):
        with pytest.raises(Invalid) as refused:
            csv(tmp_path, text, given=Placement(columns=wrong))
        assert refused.value.code == code


def test_columns_that_are_stated_for_another_table_do_not_hinder_one_that_shows_its_own(tmp_path: Path) -> None:
    there = csv(tmp_path, "경도,위도\n127,37\n", given=Placement(columns=(("lon", "a"), ("lat", "b"))))
    assert at(there) == [(127, 37)] and "csv.columns" in there.codes
    assert csv(tmp_path, "경도,위도,a\n127,37,보도\n", given=Placement(columns=(("kind", "a"),))).kinds() == {"sidewalk": 1}


def test_a_korean_column_of_kinds_is_proposed(tmp_path: Path) -> None:
    there = csv(tmp_path, "경도,위도,종류\n127,37,횡단보도\n127.1,37,보도\n127.2,37,무엇\n")
    assert there.kinds() == {"crossing": 1, "other": 1, "sidewalk": 1}


def test_columns_of_metres_are_proposed_and_their_system_asked_for(tmp_path: Path) -> None:
    text = "X좌표,Y좌표,표고\n200000,550000,12.5\n"
    there = csv(tmp_path, text)
    assert there.survey.placed.columns == (("x", "X좌표"), ("y", "Y좌표"), ("h", "표고")) and "crs.none" in there.codes
    assert at(csv(tmp_path, text, given=Placement("EPSG:5186")))[0] == pytest.approx((127.0, 37.55, 12.5), abs=0.01)


def test_rows_of_another_number_of_cells_are_left_out_and_counted(tmp_path: Path) -> None:
    there = csv(tmp_path, "lon,lat\n127,37\n127,37,1\n127\n\n128,38\n")
    assert at(there) == [(127, 37), (128, 38)]
    assert [(finding.value, finding.rejected) for finding in there.findings if finding.code == "csv.row"] == [("127,37,1", 1), ("127", 1)]


def test_cells_that_are_no_place_never_land_at_zero(tmp_path: Path) -> None:
    there = csv(tmp_path, "id,lon,lat\na,127,37\nb,,\nc,abc,37\nd,127,\ne,inf,37\n")
    assert at(there) == [(127, 37), None, None, None, None]
    assert [finding.feature for finding in there.findings if finding.code == "csv.place"] == ["c", "d", "e"], "an empty cell states nothing"


@pytest.mark.parametrize("head", [SEOUL, "NODE_TYPE,NODE_WKT,NODE_ID,NODE_TYPE_CD,LNKG_WKT,LNKG_ID,C,BGNG_LNKG_ID,END_LNKG_ID,L,N,CRSWK"])
def test_the_pedestrian_network_of_seoul_is_nodes_walks_and_crossings(tmp_path: Path, head: str) -> None:
    nodes = "".join(f"NODE,POINT(127.00{n} 37.5),{n},0,,0,,,,,강남구,0\n" for n in (1, 2))
    line = '"LINESTRING(127.001 37.5,127.002 37.5)"'
    links = f"LINK,,0,,{line},1,1000,1,2,88.1,강남구,1\nLINK,,0,,{line},2,1000,2,7,88.1,강남구,0\n"
    there = csv(tmp_path, f"{head}\n{nodes}{links}", "cp949")
    assert there.ids == ["node/1", "node/2", "link/1", "link/2"] and there.kinds() == {"crossing": 1, "node": 2, "sidewalk": 1}
    assert {batch.kind for batch in there.raw} == {LayerKind.SIDEWALK}
    assert [(f.feature, f.value) for f in there.findings if f.code == "reference.dangling"] == [("link/2", "7")]
    assert None not in at(there) and there.survey.placed.crs == "EPSG:4326"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), max_size=6))
def test_damaged_tables_end_in_findings(tmp_path_factory: pytest.TempPathFactory, edits: list[Any]) -> None:
    path = MADE["csv"].make(tmp_path_factory.mktemp("a"))
    body = bytearray(path.read_bytes())
    for place, piece in edits:
        body[place % len(body) : place % len(body) + len(piece)] = piece
    path.write_bytes(bytes(body))
    source = Source.of(path)
    try:
        chosen = reader_for(source)
        entries = list(chosen.read(source, chosen.survey(source, Placement()).placed))
    except MapexError:
        return
    for entry in entries:
        if isinstance(entry, Batch):
            entry.table.validate(full=True)
