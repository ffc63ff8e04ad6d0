"""What a version changes on the map, against what was published before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mapex.catalogue import differences
from mapex.catalogue.differences import LayerDifference
from mapex.errors import NotFound
from mapex.exchange import Exchange
from tests.support.exchange import a_drafted_version, a_person, a_tile, publish


def test_cells_are_new_changed_gone_or_the_same(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_drafted_version(exchange, seller, tiles=[a_tile(1), a_tile(2), a_tile(3, part=1), a_tile(3, content="b")])
    found = differences.of(exchange, seller, "seoul", 1)
    assert (found.against, found.layers["hdmap"].added) == (None, (1, 2, 3))
    publish(exchange, seller)
    same = [replace(a_tile(3, part=1), part=7), replace(a_tile(3, content="b"), part=8)]
    a_drafted_version(exchange, seller, tiles=[a_tile(2, content="new"), *same, a_tile(4)])
    found = differences.of(exchange, seller, "seoul", 2)
    assert found.against == 1
    assert found.layers == {"hdmap": LayerDifference("hdmap", added=(4,), changed=(2,), removed=(1,), unchanged=1)}


def test_it_is_compared_with_what_was_published_last_not_with_drafts(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    for tiles in ([a_tile(1)], [a_tile(1), a_tile(2)], [a_tile(1), a_tile(3)]):
        a_drafted_version(exchange, seller, tiles=tiles)
    publish(exchange, seller, number=1)
    third = differences.of(exchange, seller, "seoul", 3)
    assert (third.against, third.layers["hdmap"].added, third.layers["hdmap"].removed) == (1, (3,), ())
    publish(exchange, seller, number=2)
    third = differences.of(exchange, seller, "seoul", 3)
    assert (third.against, third.layers["hdmap"].added, third.layers["hdmap"].removed) == (2, (3,), (2,))
    assert differences.of(exchange, seller, "seoul", 2).against == 1
    assert differences.of(exchange, seller, "seoul", 1).against is None


def test_the_same_part_twice_is_not_the_same_as_once(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_drafted_version(exchange, seller, tiles=[a_tile(1, content="a"), a_tile(1, part=1, content="a")])
    publish(exchange, seller)
    a_drafted_version(exchange, seller, tiles=[a_tile(1, content="a")])
    assert differences.of(exchange, seller, "seoul", 2).layers["hdmap"].changed == (1,)


def test_a_foreign_draft_has_no_differences(exchange: Exchange) -> None:
    a_drafted_version(exchange, a_person(exchange, "hanbit"))
    with pytest.raises(NotFound):
        differences.of(exchange, a_person(exchange), "hanbit/seoul", 1)
