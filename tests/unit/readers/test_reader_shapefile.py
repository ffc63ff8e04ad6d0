"""The table of a shapefile: text in the encoding that is declared, numbers to the last digit, dates that exist, rows that are counted."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.readers.tables.dbf import Dbf, DbfReader
from tests.support.reading import Received, received
from tests.support.shapefiles import Column, dbf, shapefile

NAME: Column = (b"NAME", "C", 12, 0)
HANGUL = "판교로사거리횡단보도"


def values(there: Received, key: str) -> list[object]:
    return [row[key] for row in there.properties().values()]


@pytest.mark.parametrize(
    ("codec", "cpg", "language"),
    [
        ("utf-8", "UTF-8", 0),
        ("utf-8", "65001", 0x57),
        ("cp949", "EUC-KR", 0),
        ("cp949", "949", 0),
        ("cp949", "windows-949", 0),
        ("cp949", "LDID/78", 0),
        ("cp949", None, 0x4E),
        ("cp949", None, 0),
        ("utf-8", None, 0),
        ("cp1252", "ANSI 1252", 0),
        ("cp932", None, 0x13),
    ],
)
def test_text_is_read_in_one_encoding_however_late_it_comes(tmp_path: Path, codec: str, cpg: str | None, language: int) -> None:
    text = {"cp1252": "Café Straße", "cp932": "横断歩道"}.get(codec, "판교로")
    wide: list[Column] = [(b"PAD%d" % number, "C", 250, 0) for number in range(20)]
    rows = [[b"ascii", *[b"x"] * 20]] * 1000 + [[text.encode(codec), *[b""] * 20]]  # five megabytes
    there = received(shapefile(tmp_path / "a", [NAME, *wide], rows, cpg=cpg, language=language))
    assert values(there, "NAME")[-1] == text
    assert values(there, "NAME")[0] == "ascii"


@pytest.mark.parametrize(("codec", "cpg"), [("utf-8", "UTF-8"), ("cp949", "CP949"), ("utf-8", None), ("cp949", None)])
def test_a_cut_value_loses_its_last_letter_alone(tmp_path: Path, codec: str, cpg: str | None) -> None:
    cut = HANGUL.encode(codec)[: 10 if codec == "utf-8" else 11]
    rows = [["판교로".encode(codec)]] * 5 + [[cut]] + [["보도".encode(codec)]] * 5
    there = received(shapefile(tmp_path / "a", [(b"NAME", "C", len(cut), 0)], rows, cpg=cpg))
    assert values(there, "NAME") == ["판교로"] * 5 + [HANGUL[: 3 if codec == "utf-8" else 5] + "\ufffd"] + ["보도"] * 5
    (found,) = [one for one in there.findings if one.code == "text.damaged"]
    assert (found.feature, found.severity, found.rejected) == ("map/5", "warning", 0)
    assert "Row 6" in found.message and "NAME" in found.message


def test_bytes_that_mean_nothing_change_no_other_value(tmp_path: Path) -> None:
    rows = [["판교로".encode()], [b"\xff\xfe\x80"], [b"a\xffb"], ["보도".encode()]] * 10
    there = received(shapefile(tmp_path / "a", [NAME], rows, cpg="UTF-8"))
    assert values(there, "NAME")[:4] == ["판교로", "\ufffd" * 3, "a\ufffdb", "보도"]
    assert sum(one.code == "text.damaged" for one in there.findings) == 20


def test_western_text_that_is_declared_is_not_taken_for_korean(tmp_path: Path) -> None:
    rows = [["Äpfel".encode("latin-1")], ["Ärger".encode("latin-1")], ["Rénovée".encode("latin-1")]]
    assert values(received(shapefile(tmp_path / "a", [NAME], rows, cpg="ISO-8859-1")), "NAME") == ["Äpfel", "Ärger", "Rénovée"]


def test_names_of_columns_are_in_the_same_encoding(tmp_path: Path) -> None:
    columns: list[Column] = [("도로명".encode(), "C", 12, 0), ("도로구분코".encode()[:10], "C", 4, 0)]
    there = received(shapefile(tmp_path / "a", columns, [["판교로".encode(), b"1"]], cpg="UTF-8"))
    (row,) = there.properties().values()
    assert row["도로명"] == "판교로"
    assert row["도로구\ufffd"] == "1"
    assert there.finding("text.damaged").value == "도로구\ufffd"


def test_the_name_of_a_system_may_be_korean(tmp_path: Path) -> None:
    folder = shapefile(tmp_path / "a", [NAME], [[b"a"]])
    path = folder / "map.prj"
    path.write_bytes(path.read_bytes().replace(b"WGS 84", "세계 측지계".encode("cp949"), 1))
    there = received(folder)
    assert there.shapes()["map/0"].x == pytest.approx(127.1)


def test_columns_of_one_name_are_all_kept(tmp_path: Path) -> None:
    (row,) = received(shapefile(tmp_path / "a", [NAME, NAME, (b"NAME#2", "C", 4, 0)], [[b"a", b"b", b"c"]])).properties().values()
    assert sorted(str(row[key]) for key in row if key.startswith("NAME")) == ["a", "b", "c"]


def test_whole_numbers_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    columns: list[Column] = [(b"PNU", "N", 19, 0), (b"UFID", "N", 20, 0), (b"SMALL", "N", 4, 0)]
    rows = [[b"4113510900106140001", b"10000000000000000001", b"7"], [b"4113510900106140002", b"-1", b""], [b"", b"+5", b"007"]]
    there = received(shapefile(tmp_path / "a", columns, rows))
    assert values(there, "PNU") == [4113510900106140001, 4113510900106140002, None]
    assert values(there, "UFID") == ["10000000000000000001", "-1", "+5"]  # a column is of one type from its first row to its last
    assert values(there, "SMALL") == [7, None, 7]
    assert there.finding("column.as_text").value == "UFID"


def test_what_is_no_number_is_null_and_named(tmp_path: Path) -> None:
    columns: list[Column] = [(b"N", "N", 6, 0), (b"F", "F", 12, 3)]
    rows = [[b"******", b"1.500"], [b"12", b"nan"], [b"1.5", b"1.5e+003"], [b"1,5", b"-.5"], [b"\xb1\xb2", b"5."], [b"", b"1e400"]]
    there = received(shapefile(tmp_path / "a", columns, rows))
    assert values(there, "N") == [None, 12.0, 1.5, None, None, None]
    assert values(there, "F") == [1.5, None, 1500.0, -0.5, 5.0, None]
    found = [(one.feature, one.value) for one in there.findings if one.code == "value.misfit"]
    assert sorted(found) == [("map/0", "******"), ("map/1", "nan"), ("map/3", "1,5"), ("map/4", "±²"), ("map/5", "1e400")]


def test_dates_that_do_not_exist_stay_text(tmp_path: Path) -> None:
    given_ = [
        b"20230228",
        b"20240229",
        b"20230230",
        b"20230001",
        b"20230100",
        b"2023",
        b"202302",
        b"2023-1-5",
        b"00000000",
        b"",
        b"99991231",
    ]
    there = received(shapefile(tmp_path / "a", [(b"D", "D", 8, 0)], [[cell] for cell in given_]))
    odd = ["20230230", "20230001", "20230100", "2023", "202302", "2023-1-5"]
    assert values(there, "D") == ["2023-02-28", "2024-02-29", *odd, None, None, "9999-12-31"]
    assert [one.value for one in there.findings if one.code == "value.misfit"] == odd


def test_a_logical_value_is_yes_or_no_or_nothing(tmp_path: Path) -> None:
    cells = [b"T", b"y", b"F", b"n", b"?", b" ", b"x"]
    there = received(shapefile(tmp_path / "a", [(b"L", "L", 1, 0)], [[cell] for cell in cells]))
    assert values(there, "L") == [True, True, False, False, None, None, None]
    assert there.finding("value.misfit").value == "x"


def test_deleted_rows_are_counted_and_named(tmp_path: Path) -> None:
    rows = [[f"n{number}".encode()] for number in range(5)]
    there = received(shapefile(tmp_path / "a", [NAME], rows, deleted=(1, 4)))
    assert there.ids == ["map/0", "map/2", "map/3"]
    assert values(there, "NAME") == ["n0", "n2", "n3"]
    found = [one for one in there.findings if one.code == "row.deleted"]
    assert [(one.feature, one.rejected, one.severity) for one in found] == [("map/1", 1, "warning"), ("map/4", 1, "warning")]
    assert there.rejected + len(there.ids) == 5
    assert not there.codes & {"count.mismatch", "file.damaged"}


def test_rows_without_a_shape_are_unplaced(tmp_path: Path) -> None:
    rows = [[f"n{number}".encode()] for number in range(5)]
    there = received(shapefile(tmp_path / "a", [NAME], rows, shapes=3))
    assert values(there, "NAME") == ["n0", "n1", "n2", "n3", "n4"]
    assert there.table.column("geometry").null_count == 2
    assert there.finding("shp.rows").count == 2
    assert not there.codes & {"count.mismatch", "file.damaged"}


def test_shapes_without_a_row_have_no_attributes(tmp_path: Path) -> None:
    there = received(shapefile(tmp_path / "a", [NAME], [[b"n0"], [b"n1"]], shapes=4))
    assert values(there, "NAME") == ["n0", "n1", None, None]
    assert (there.finding("shp.rows").severity, there.finding("shp.rows").count) == ("error", 2)


def test_a_cut_table_is_damaged(tmp_path: Path) -> None:
    folder = shapefile(tmp_path / "a", [NAME], [[b"n0"], [b"n1"], [b"n2"]])
    path = folder / "map.dbf"
    path.write_bytes(path.read_bytes()[:-8])
    there = received(folder)
    assert values(there, "NAME") == ["n0", "n1", None]
    assert there.finding("file.damaged").severity == "error"


def test_measures_survive_when_the_first_rows_have_none(tmp_path: Path) -> None:
    there = received(shapefile(tmp_path / "a", [NAME], [[b"a"], [b"b"], [b"c"]], measures=[-1e39, 5.5, -1e39]))
    assert [row["@source"].get("m") for row in there.properties().values()] == [None, [5.5], None]


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=8))
def test_any_text_comes_back(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dbf"
        path.write_bytes(dbf([(b"T", "C", 24, 0)], [[text.encode()] for text in texts]))
        table, _, faults = DbfReader.of(Dbf.of(path, "a.dbf"), "utf-8").table(0, len(texts))
    assert faults == []
    assert table.column("T").to_pylist() == [text.rstrip(" ") or None for text in texts]


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=8), st.sampled_from("CNFDL"), st.sampled_from(["utf-8", "cp949", "latin-1"]))
def test_any_bytes_give_a_valid_table(cells: list[bytes], kind: str, codec: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dbf"
        path.write_bytes(dbf([(b"T", kind, 9, 0)], [[cell] for cell in cells]))
        table, _, faults = DbfReader.of(Dbf.of(path, "a.dbf"), codec).table(0, len(cells))
    table.validate(full=True)
    json.dumps(table.column("T").to_pylist(), ensure_ascii=False).encode()
    assert all(0 <= fault.row < len(cells) for fault in faults)


def test_reported_shapefiles_are_read_as_they_are(samples: Path) -> None:
    folder = samples / "reports" / "shp_text"

    def read(name: str) -> Received:
        return received(folder / f"{name}.shp")

    cut = read("one_cut_in_1000_utf8")
    assert [one.feature for one in cut.findings if one.code == "text.damaged"] == ["one_cut_in_1000_utf8/500"]
    assert sum("\ufffd" in str(name) for name in values(cut, "name")) == 1
    assert values(read("pnu19"), "PNU") == [4113510900106140001, 4113510900106140002]
    dates = read("dates")
    assert values(dates, "d")[:4] == ["20230230", "20230001", "20230100", "2023"]
    assert sum(one.code == "value.misfit" for one in dates.findings) == 6
    deleted = read("deleted")
    assert (deleted.ids, deleted.rejected, deleted.codes) == (["1", "3"], 1, {"row.deleted"})
