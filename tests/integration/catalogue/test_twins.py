"""The same content twice is said to its seller, whatever the files are called; nothing of others is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapex.catalogue import datasets, removals
from mapex.exchange import Actor, Exchange
from mapex.people.persons import actor_of
from tests.support.exchange import a_person, an_exchange
from tests.support.uploads import a_map, ingest


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


def seller_of(ex: Exchange, done: datasets.Description) -> Actor:
    assert done.job is not None
    return actor_of(ex, done.job.person_id)


def same(done: datasets.Description) -> list[tuple[str, int]]:
    return [(one.dataset, one.number) for one in done.same_as]


def test_the_same_content_under_another_name_is_said(ex: Exchange) -> None:
    first = ingest(ex, {"walks.geojson": a_map(12)})
    by = seller_of(ex, first)
    assert same(first) == []
    assert same(ingest(ex, {"again.geojson": a_map(12)}, by=by, slug="again")) == [("seoul", 1)]
    assert same(ingest(ex, {"third.geojson": a_map(12)}, by=by)) == [("again", 1), ("seoul", 1)], "as a version too"
    assert same(datasets.describe(ex, by, "seoul", 1)) == [("seoul", 2), ("again", 1)], "on both sides"


def test_other_attributes_are_other_content_of_the_same_dataset_and_the_same_places_of_another(ex: Exchange) -> None:
    by = seller_of(ex, ingest(ex, {"walks.geojson": a_map(12)}))
    mended = a_map(12).replace(b'"width": 2.5', b'"width": 3.5', 1)
    assert same(ingest(ex, {"mended.geojson": mended}, by=by)) == []
    assert same(ingest(ex, {"other.geojson": mended}, by=by, slug="other")) == [("seoul", 2), ("seoul", 1)]


@pytest.mark.parametrize("body", [a_map(11), a_map(12, south=37.6)])
def test_other_content_is_not_the_same(ex: Exchange, body: bytes) -> None:
    by = seller_of(ex, ingest(ex, {"walks.geojson": a_map(12)}))
    assert same(ingest(ex, {"other.geojson": body}, by=by, slug="other")) == []


def test_what_was_rejected_or_removed_or_is_of_others_is_not_named(ex: Exchange) -> None:
    by = seller_of(ex, ingest(ex, {"walks.geojson": a_map(12)}))
    ingest(ex, {"again.geojson": a_map(12), "bad.laz": b"\x00" * 400}, by=by, slug="rejected")
    other = ingest(ex, {"walks.geojson": a_map(12)}, by=a_person(ex, "dongil"), slug="theirs")
    assert same(other) == []
    removals.remove(ex, by, "seoul", 1)
    assert same(ingest(ex, {"third.geojson": a_map(12)}, by=by, slug="third")) == []
