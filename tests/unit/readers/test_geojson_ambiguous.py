"""GeoJSON that says one thing twice, or names its system in a way that is not followed: asked or refused, never assumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mapex.intake.placement import Known, Placement
from tests.support.reading import received
from tests.unit.readers.test_reader_geojson import feature, geojson
from tiles import plain_json

LINKED = {"type": "link", "properties": {"href": "https://example.org/crs/5179", "type": "ogcwkt"}}


@pytest.mark.parametrize(
    "crs",
    [
        LINKED,
        {"type": "name", "properties": {"name": ""}},
        {"type": "name", "properties": {"name": 5179}},
        {"type": "name", "properties": {}},
        {"type": "EPSG", "properties": {"code": 5179}},
        {"type": "name", "properties": {"name": "x" * 200_000}},
        {"type": "name", "properties": {"name": "EPSG:5179"}, "why": "y" * 200_000},
        "EPSG:5179",
        [],
    ],
    ids=["link", "empty", "number", "nameless", "code", "long", "long_but_named", "text", "list"],
)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_system_that_is_stated_is_used_asked_for_or_refused(tmp_path: Path, crs: Any, first: bool) -> None:
    path = geojson(tmp_path, [feature(1)], crs=crs)
    if not first:
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature(1)], "crs": crs}), encoding="utf-8")
    there = received(path)
    codes = {finding.code for finding in there.findings}
    stated = isinstance(crs, dict) and "why" in crs
    if "crs.late" in codes:
        assert not first
    elif stated:
        assert there.survey.placed.crs == "EPSG:5179"
    else:
        assert there.survey.placed.crs_source is Known.NONE and "crs.none" in codes
        assert "crs" in there.survey.placed.note or "CRS" in there.survey.placed.note


def test_a_system_given_by_the_uploader_settles_a_link(tmp_path: Path) -> None:
    there = received(geojson(tmp_path, [feature(1)], crs=LINKED), Placement(crs="EPSG:4326"))
    assert there.survey.placed.crs_source is Known.GIVEN and len(there.properties()) == 1


def test_two_systems_of_one_collection_are_asked_for(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(1)], crs={"type": "name", "properties": {"name": "EPSG:4326"}})
    text = path.read_text(encoding="utf-8")
    other = json.dumps({"type": "name", "properties": {"name": "EPSG:5179"}})
    path.write_text(text[:-1] + f', "crs": {other}}}', encoding="utf-8")
    assert received(path).survey.placed.crs_source is Known.NONE
    path.write_text(text.replace('"crs"', f'"crs": {other}, "crs"', 1), encoding="utf-8")
    assert received(path).survey.placed.crs_source is Known.NONE


@pytest.mark.parametrize("member", ["type", "geometry", "properties", "id", "coordinates"])
def test_a_feature_that_says_two_things_is_refused_and_the_rest_comes_in(tmp_path: Path, member: str) -> None:
    path = geojson(tmp_path, [feature(1), feature(2)])
    record = json.dumps(feature(1))
    doubled = record.replace(f'"{member}":', f'"{member}": null, "{member}":') if member != "type" else '{"type": "Point", ' + record[1:]
    path.write_text(path.read_text(encoding="utf-8").replace(record, doubled), encoding="utf-8")
    there = received(path)
    (found,) = [finding for finding in there.findings if finding.code == "feature.ambiguous"]
    assert (found.rejected, found.value) == (1, member) and set(there.properties()) == {"f2"}


@pytest.mark.parametrize("inner", [False, True])
def test_a_name_that_comes_twice_is_kept_twice_with_a_word(tmp_path: Path, inner: bool) -> None:
    properties = {"deep": {"a": 1, "b": 2}} if inner else {"a": 1, "b": 2}
    path = geojson(tmp_path, [feature(1, **properties), feature(2)])
    path.write_text(path.read_text(encoding="utf-8").replace('"b"', '"a"'), encoding="utf-8")
    there = received(path)
    row = there.properties()["f1"]["deep"] if inner else there.properties()["f1"]
    assert (row["a"], row["a#2"]) == (1, 2)
    (found,) = [finding for finding in there.findings if finding.code == "json.doubled_key"]
    assert (found.feature, found.value) == ("f1", "a")


def test_a_member_of_the_collection_that_comes_twice_is_reported(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(1)], licence="first")
    text = path.read_text(encoding="utf-8").replace('"licence"', '"licence": "zeroth", "licence"')
    path.write_text(text[:-1] + f', "features": [{json.dumps(feature(2))}]}}', encoding="utf-8")
    there = received(path)
    (found,) = [finding for finding in there.findings if finding.code == "json.doubled_key"]
    assert "features" in found.message and "licence" in found.message
    assert set(there.properties()) == {"f1", "f2"}


@pytest.mark.parametrize(("name", "kept"), [("EPSG:4326", 2), ("urn:ogc:def:crs:OGC:1.3:CRS84", 2), ("EPSG:5179", 1), ("nonsense", 1)])
def test_a_feature_of_another_system_is_refused(tmp_path: Path, name: str, kept: int) -> None:
    own = {**feature(1), "crs": {"type": "name", "properties": {"name": name}}}
    there = received(geojson(tmp_path, [own, feature(2)]))
    assert len(there.properties()) == kept
    assert [finding.code for finding in there.findings if finding.code == "crs.of_feature"] == ["crs.of_feature"] * (2 - kept)


def test_json_of_ours_takes_no_key_twice() -> None:
    assert plain_json.loads('{"a": {"b": [1, {"c": 2}]}}') == {"a": {"b": [1, {"c": 2}]}}
    for text in ('{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]'):
        with pytest.raises(plain_json.DoubledKeyError, match="'a' stands twice"):
            plain_json.loads(text)
