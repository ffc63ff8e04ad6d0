"""The layout of the Korean precise road map (synthetic data in the exact layout): two models, two products each."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import Geod

from mapex.intake.placement import Known
from tests.support.reading import Received, received

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


def test_two_products_of_one_map_together_are_reported(samples: Path) -> None:
    there = received(samples / "ngii_synthetic" / "model2020")
    assert {"ngii.products", "crs.several"} <= there.codes
    assert there.survey.placed.height_source is Known.NONE
