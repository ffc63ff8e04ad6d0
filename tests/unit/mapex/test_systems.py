"""Coordinate systems to choose from, and where numbers would be."""

from __future__ import annotations

import math

import pytest
from pyproj import Transformer

from mapex.errors import Invalid
from mapex.intake import systems

PANGYO = (127.1, 37.4, 127.11, 37.41)


def codes(text: str, names: dict[str, str] | None = None) -> list[str]:
    return [system.code for system in systems.find(text, names or {})]


def test_korean_systems_come_first() -> None:
    assert codes("")[:4] == ["EPSG:5186", "EPSG:5187", "EPSG:5179", "EPSG:32652"]


def test_a_search_finds_by_code_name_area_and_own_name() -> None:
    assert codes("32617")[0] == codes("epsg:32617")[0] == "EPSG:32617"
    assert "EPSG:5186" in codes("central belt 2010")
    assert "EPSG:5514" in codes("krovak east north")
    assert all(code in ("EPSG:5186", "EPSG:5187", "EPSG:5179") for code in codes("Korea 2002 offshore")[:1])
    assert codes("중부원점", {"EPSG:5186": "중부원점 (GRS80)"}) == ["EPSG:5186"]
    assert codes("no such system anywhere") == []


@pytest.mark.parametrize("code", ["EPSG:5186", "EPSG:5179", "EPSG:32652"])
def test_numbers_land_where_they_came_from(code: str) -> None:
    there = Transformer.from_crs("EPSG:4326", code, always_xy=True)
    landing = systems.land(there.transform_bounds(*PANGYO), crs=code)
    assert all(abs(a - b) < 5e-4 for a, b in zip(landing.box, PANGYO, strict=True))
    assert landing.is_inside and not landing.is_swapped


def test_exchanged_axes_and_foreign_systems_are_noticed() -> None:
    own = (200_000.0, 540_000.0, 201_000.0, 541_000.0)
    turned = (540_000.0, 200_000.0, 541_000.0, 201_000.0)
    assert systems.land(own, crs="EPSG:5186").is_inside
    landing = systems.land(turned, crs="EPSG:5186")
    assert (landing.is_inside, landing.is_swapped) == (False, True)
    unified = (965_000.0, 1_933_000.0, 966_000.0, 1_934_000.0)
    assert systems.land(unified, crs="EPSG:5179").is_inside and not systems.land(unified, crs="EPSG:5186").is_inside


def test_local_metres_are_round_their_origin() -> None:
    west, south, east, north = systems.land((-100.0, -100.0, 100.0, 100.0), origin=(127.1, 37.4, 30.0)).box
    assert math.isclose((west + east) / 2, 127.1, abs_tol=1e-6) and math.isclose((south + north) / 2, 37.4, abs_tol=1e-6)
    assert math.isclose((north - south) * 110_990, 200, rel_tol=0.01)


@pytest.mark.parametrize(
    ("box", "answer", "code"),
    [
        ((1.0, 1.0, 2.0, 2.0), {}, "placement.empty"),
        ((1.0, 1.0, 2.0, 2.0), {"crs": "EPSG:99999"}, "placement.crs"),
        ((1.0, 1.0, 2.0, 2.0), {"crs": "+proj=pipeline"}, "placement.crs"),
        ((1.0, 1.0, 2.0, 2.0), {"origin": (999.0, 0.0, 0.0)}, "placement.origin"),
        ((2e5, 5e5, 2.1e5, 5.1e5), {"crs": "EPSG:4326"}, "placement.nowhere"),
        ((1e12, 1e12, 2e12, 2e12), {"crs": "EPSG:5186"}, "placement.nowhere"),
        ((math.nan, 1.0, 2.0, 2.0), {"crs": "EPSG:5186"}, "placement.nowhere"),
    ],
)
def test_what_cannot_be_placed_is_refused(box: tuple[float, ...], answer: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        systems.land(box, **answer)  # type: ignore[arg-type]
    assert refused.value.code == code
