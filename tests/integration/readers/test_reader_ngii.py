"""The layout of the Korean precise road map (synthetic data in the exact layout): two models, two products each."""

from __future__ import annotations

import unicodedata
import warnings
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from ingest.grouping import group
from ingest.reader import Source
from ingest.readers.sniff import reader_for
from ingest.tasks.entries import entries
from mapex.errors import MapexError
from mapex.intake.placement import Known, Placement
from tests.support.reading import Received, received
from tiles.batch import Batch

PRODUCTS = [(model, product) for model in ("model2020", "model2024") for product in ("타원체고", "정표고")]


def folder(samples: Path, model: str, product: str) -> Path:
    return next(p for p in (samples / "ngii_synthetic" / model).rglob("HDMap_*") if unicodedata.normalize("NFC", p.name).endswith(product))


@pytest.fixture(scope="module")
def products(samples: Path) -> dict[tuple[str, str], Received]:
    return {key: received(folder(samples, *key)) for key in PRODUCTS}


@pytest.mark.parametrize("key", PRODUCTS)
def test_every_feature_comes_through_with_its_attributes_and_vertices(
    key: tuple[str, str], samples: Path, products: dict[tuple[str, str], Received]
) -> None:
    there = products[key]
    assert len(there.ids) == {"model2020": 199, "model2024": 210}[key[0]]
    assert len(set(there.ids)) == len(there.ids)
    properties = there.properties()
    raw = {}
    for batch in there.raw:
        raw |= dict(zip(batch.table.column("feature_id").to_pylist(), batch.table.column("geometry").to_pylist(), strict=True))
    for path in folder(samples, *key).glob("*.shp"):
        table = pyogrio.read_dataframe(path)
        for row in table.itertuples():
            answer = properties[row.ID]
            assert answer["@source"]["layer"] == path.stem
            assert shapely.equals_exact(shapely.from_wkb(raw[row.ID]), row.geometry, tolerance=0.0)
            for name in table.columns.drop("geometry"):
                value = getattr(row, name)
                assert answer[name] == (None if pd.isna(value) else value)


def test_kinds_of_model_2020(products: dict[tuple[str, str], Received]) -> None:
    there = products["model2020", "정표고"]
    kinds = there.kinds()
    assert (kinds["lane_centre"], kinds["node"], kinds["sidewalk"], kinds["cycleway"]) == (48, 48, 8, 4)
    assert (kinds["crossing"], kinds["stop_line"], kinds["signal"], kinds["sign"], kinds["pole"]) == (4, 4, 8, 4, 8)
    walks = [answer for answer in there.properties().values() if answer["@source"]["layer"].startswith("A4") and answer["SubType"] == "3"]
    assert len(walks) == kinds["sidewalk"]


def test_kinds_of_model_2024(products: dict[tuple[str, str], Received]) -> None:
    there = products["model2024", "정표고"]
    paths = [answer["PathType"] for answer in there.properties().values() if answer["@source"]["layer"] == "PW1_PATHWAY"]
    assert there.kinds()["sidewalk"] == paths.count("100") > 0
    assert there.kinds().get("cycleway", 0) == paths.count("200")


@pytest.mark.parametrize("model", ["model2020", "model2024"])
def test_both_products_are_the_same_map_at_other_heights(model: str, products: dict[tuple[str, str], Received]) -> None:
    """Mixing products shifts heights by some 23 m, so the datum is recorded with how it is known."""
    above, geoid = products[model, "타원체고"], products[model, "정표고"]
    assert (above.survey.placed.height_datum, above.survey.placed.height_source) == ("ellipsoid", Known.GUESSED)
    assert (geoid.survey.placed.height_datum, geoid.survey.placed.height_source) == ("KNGeoid", Known.GUESSED)
    one, other = above.shapes(), geoid.shapes()
    assert set(one) == set(other)
    for name, shape in one.items():
        a, b = shapely.get_coordinates(shape, include_z=True), shapely.get_coordinates(other[name], include_z=True)
        _, _, apart = Geod(ellps="WGS84").inv(a[:, 0], a[:, 1], b[:, 0], b[:, 1])
        assert np.max(apart) < 0.01
        assert np.allclose(a[:, 2] - b[:, 2], 23.45, atol=0.02)


@pytest.mark.parametrize(("model", "count"), [("model2020", 199), ("model2024", 210)])
def test_of_two_products_of_one_map_one_is_read_and_the_other_named(model: str, count: int, samples: Path) -> None:
    there = received(samples / "ngii_synthetic" / model)
    found = there.finding("ngii.products")
    assert (len(there.ids), found.count, found.severity) == (count, count, "info")
    assert "HDMap_UTMK_정표고" in found.value and "-23.45 m" in found.message
    assert (there.survey.placed.crs, there.survey.placed.height_datum) == ("EPSG:32652", "ellipsoid")
    other = received(samples / "ngii_synthetic" / model, Placement(height_datum="KNGeoid"))
    assert (len(other.ids), other.survey.placed.crs, other.survey.placed.height_source) == (count, "EPSG:5179", Known.GIVEN)
    assert [finding.code for finding in there.findings] == [finding.code for finding in other.findings] == ["ngii.products"]


@pytest.mark.parametrize("key", PRODUCTS)
def test_codes_are_in_words_beside_themselves(key: tuple[str, str], products: dict[tuple[str, str], Received]) -> None:
    there = products[key]
    assert "ngii.code_unknown" not in there.codes
    answers = list(there.properties().values())
    for answer in answers:
        for column, words in answer["@source"].get("words", {}).items():
            assert answer[column] and words["en"] and words["ko"]
    walks = [answer for answer in answers if answer.get("SubType") == "3" or answer.get("PathType") == "100"]
    column = "SubType" if key[0] == "model2020" else "PathType"
    assert walks and all(answer["@source"]["words"][column] == {"en": "sidewalk", "ko": "보도"} for answer in walks)


LINE = shapely.LineString([(332_000, 4_140_000, 50), (332_020, 4_140_010, 50)])


def layer(
    folder: Path, name: str, rows: list[dict[str, Any]], *, up: float = 0.0, crs: str | None = "EPSG:32652", encoding: str = "utf-8"
) -> None:
    """A shapefile of a delivery; each row has a `geometry` or is a line of 20 m beside the others."""
    shapes = [row.get("geometry", shapely.affinity.translate(LINE, 0, 4 * n)) for n, row in enumerate(rows)]
    shapes = [shapely.transform(shape, lambda xyz: xyz + [0, 0, up], include_z=True) for shape in shapes]
    columns = [{key: value for key, value in row.items() if key != "geometry"} for row in rows]
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs)
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a layer without a system is what is wanted
        frame.to_file(folder / f"{name}.shp", engine="pyogrio", encoding=encoding)


def node(name: str, x: float, y: float, **codes: str) -> dict[str, Any]:
    return {"ID": name, "geometry": shapely.Point(332_000 + x, 4_140_000 + y, 50), **codes}


def wild(folder: Path) -> Path:
    """A delivery as they are in the wild: misspelt layers and columns, cp949, a layer without .prj, ids that nothing has."""
    product = folder / "경부" / "SEC01_양재"
    nodes = [node("N1", 0, 0, NodeType="4"), node("N2", 20, 10, NodeType="77")]
    layer(product, "A1_NODE", [{**row, "Remark": "가상"} for row in nodes], encoding="cp949")
    ends = {"FromNodeID": "N1", "ToNodeId": "N2"}
    links = [("K1", "K2", ""), ("K2", "", "K3"), ("K3", "", " "), ("K4", "GONE", "")]
    layer(product, "A2_LINK", [{"ID": n, "R_linkID": r, "L_LinKID": left, "LinkType": "06", **ends} for n, r, left in links])
    layer(product, "C1_TRAFFICLIGH", [{**node("T1", 1, 1), "Type": "11", "postID": "P1"}], crs=None)
    layer(product, "B1_SAFETYSIGN", [{**node("S1", 1, 2), "Type": "3", "LinkID": "K1"}])
    (product / "C4_SPEEDBUMP.shp").write_bytes(b"not a shapefile")
    return folder


def test_a_delivery_of_the_wild_comes_in_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    there = received(wild(tmp_path / "in"))
    assert there.kinds() == {"lane_centre": 4, "node": 2, "sign": 1, "signal": 1}
    dangling = [(f.feature, f.value) for f in there.findings if f.code == "reference.dangling"]
    assert dangling == [("K4", "GONE")]
    assert [f.feature for f in there.findings if f.code == "ngii.one_sided"] == ["K1"], "its right neighbour K2 has K3 at its left"
    assert there.finding("ngii.no_system").value == "C1_TRAFFICLIGH"
    assert there.finding("format.unknown").severity == "error", "one broken layer is named, and sinks no other"
    assert {(f.value, f.count) for f in there.findings if f.code == "ngii.code_unknown"} == {("77", 1)}
    assert "C6_POSTPOINT" in there.finding("ngii.not_checked").value
    assert "B2_SURFACELINEMARK" in there.finding("ngii.layer_absent").message
    answers = there.properties()
    assert answers["N1"]["Remark"] == "가상"
    assert (answers["K1"]["LinkType"], answers["K1"]["@source"]["words"]["LinkType"]["en"]) == ("06", "ordinary lane")
    assert "words" not in answers["N2"]["@source"]


def test_a_delivery_counts_the_same_as_a_zip(tmp_path: Path) -> None:
    folder = wild(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder).as_posix())
    (entry,) = entries(tmp_path / "all.zip", "all.zip", tmp_path / "scratch", {})
    chosen = reader_for(entry.source)
    batches = [one for one in chosen.read(entry.source, chosen.survey(entry.source, Placement()).placed) if isinstance(one, Batch)]
    assert (chosen.format, sum(batch.table.num_rows for batch in batches)) == ("ngii", 8)


def test_layers_before_2019_have_their_kinds_and_references(tmp_path: Path) -> None:
    folder = tmp_path / "HDMap_UTM52N"
    layer(folder, "C1_NODE_3D", [{**node("H1", 0, 0), "NODEID": "N1", "HDUFID": "H1"}])
    layer(folder, "A3_LINK_3D", [{"LINKID": "K1", "FROMNODE": "N1", "TONODE": "N9", "ROADTYPE": "7", "HDUFID": "H2"}])
    lanes = [{"R_LINKID": "K1", "LANETYPE": "212", "LANECODE": "3", "CODE": code, "HDUFID": f"L{code}"} for code in "12"]
    layer(folder, "A1_LANE_3D", lanes)
    layer(folder, "A2_STOP_3D", [{"LINKID": "K7", "HDUFID": "H4"}])
    layer(folder, "B2_SURFSIGN_PLANE_3D", [{"SIGNTYPE": "4", "HDUFID": "H5"}])
    there = received(tmp_path)
    assert there.kinds() == {"barrier": 1, "crossing": 1, "lane_border": 1, "lane_centre": 1, "node": 1, "stop_line": 1}
    assert there.survey.details["model"] == "2018"
    assert {(f.feature, f.value) for f in there.findings if f.code == "reference.dangling"} == {("H2", "N9"), ("H4", "K7")}
    assert there.properties()["H2"]["@source"]["words"]["ROADTYPE"]["ko"] == "하이패스차로"


def test_heights_are_told_apart_by_comparing_where_no_name_states_them(tmp_path: Path) -> None:
    nodes = [node(f"N{n}", 5 * n, 0, NodeType="1") for n in range(9)]
    layer(tmp_path / "a", "A1_NODE", nodes, up=24.0)
    layer(tmp_path / "b", "A1_NODE", nodes[:-1])
    there = received(tmp_path)
    assert (len(there.ids), there.survey.placed.height_datum, there.survey.placed.height_source) == (9, "ellipsoid", Known.GUESSED)
    assert {"ngii.heights", "ngii.products"} <= there.codes
    layer(tmp_path / "b", "A1_NODE", [*nodes[:-1], node("N99", 1, 1)])
    assert "N99" in received(tmp_path).finding("ngii.products_differ").message


def test_products_that_are_apart_or_the_wrong_way_up_are_reported(tmp_path: Path) -> None:
    nodes = [node(f"N{n}", 5 * n, 0) for n in range(4)]
    layer(tmp_path / "HDMap_UTM52N_타원체고", "A1_NODE", nodes)
    layer(tmp_path / "HDMap_UTM52N_정표고", "A1_NODE", [node(f"N{n}", 5 * n + 30, 0) for n in range(4)], up=25.0)
    there = received(tmp_path)
    assert "30.0 m beside" in there.finding("ngii.products_apart").message
    assert "ngii.heights_exchanged" in there.codes


def test_a_folder_without_any_prj_is_placed_by_its_name_and_asked_about(tmp_path: Path) -> None:
    layer(tmp_path / "HDMap_UTM52N_타원체고", "A1_NODE", [node("N1", 0, 0)], crs=None)
    there = received(tmp_path)
    assert (there.survey.placed.crs, there.survey.placed.crs_source) == ("EPSG:32652", Known.GUESSED)
    assert "crs.guessed" in there.codes and there.shapes()["N1"].x == pytest.approx(127.1, abs=0.1)


CENTRAL_BELT = (
    'PROJCS["ITRF2000_Central_Belt_60",GEOGCS["GCS_ITRF_2000",DATUM["D_ITRF_2000",SPHEROID["GRS_1980",6378137.0,298.257222101]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",200000.0],'
    'PARAMETER["False_Northing",600000.0],PARAMETER["Central_Meridian",127.0],PARAMETER["Scale_Factor",1.0],'
    'PARAMETER["Latitude_Of_Origin",38.0],UNIT["Meter",1.0]]'
)


def test_the_standard_node_link_comes_in_with_its_ids_and_references(tmp_path: Path) -> None:
    ends = [shapely.Point(200_000, 550_000), shapely.Point(200_100, 550_000)]
    nodes = [{"NODE_ID": f"100{n}", "NODE_TYPE": "101", "NODE_NAME": "가상교차로", "geometry": ends[n]} for n in (0, 1)]
    layer(tmp_path, "MOCT_NODE", nodes, encoding="cp949")
    line = {"ROAD_RANK": "107", "ROAD_TYPE": "000", "MAX_SPD": 50, "geometry": shapely.LineString(ends)}
    rows = [
        {"LINK_ID": "2001", "F_NODE": "1000", "T_NODE": "1001", **line},
        {"LINK_ID": "2002", "F_NODE": "1000", "T_NODE": "1009", **line},
    ]
    layer(tmp_path, "MOCT_LINK", rows, encoding="cp949")
    for prj in tmp_path.glob("*.prj"):
        prj.write_text(CENTRAL_BELT)
    for cpg in tmp_path.glob("*.cpg"):
        cpg.unlink()
    there = received(tmp_path)
    assert (there.survey.format, there.survey.placed.crs, there.survey.placed.crs_source) == ("nodelink", "EPSG:5186", Known.GUESSED)
    assert there.ids == ["2001", "2002", "1000", "1001"] and there.kinds() == {"node": 2, "other": 2}
    assert [(f.feature, f.value) for f in there.findings if f.code == "reference.dangling"] == [("2002", "1009")]
    answers = there.properties()
    assert answers["1000"]["NODE_NAME"] == "가상교차로"
    assert answers["2001"]["@source"]["words"]["ROAD_TYPE"] == {"en": "ordinary road", "ko": "일반도로"}
    assert there.shapes()["1000"].coords[0] == pytest.approx((127.0, 37.55), abs=0.01)


def test_tables_without_shapes_beside_a_delivery_are_named_and_not_read() -> None:
    found = group(["a/MOCT_LINK.shp", "a/MOCT_LINK.dbf", "a/MOCT_NODE.shp", "a/TURNINFO.dbf"])
    assert [(one.kind, one.name) for one in found.groups] == [("nodelink", "a (2 layers)")]
    assert found.left == ("a/TURNINFO.dbf",)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5000), st.binary(min_size=1, max_size=4)), max_size=6))
def test_a_damaged_delivery_ends_in_findings(tmp_path_factory: pytest.TempPathFactory, edits: list[Any]) -> None:
    folder = wild(tmp_path_factory.mktemp("a") / "in")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, place, piece in edits:
        path = files[number % len(files)]
        body = bytearray(path.read_bytes())
        body[place % max(len(body), 1) : place % max(len(body), 1) + len(piece)] = piece
        path.write_bytes(bytes(body))
    source = Source.of(folder)
    try:
        chosen = reader_for(source)
        entries_ = list(chosen.read(source, chosen.survey(source, Placement()).placed))
    except MapexError:
        return
    for entry in entries_:
        if isinstance(entry, Batch):
            entry.table.validate(full=True)
