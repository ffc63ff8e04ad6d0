"""The R-tree of footprints."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import shapely

from tiles.box import Box
from tiles.errors import InvalidRegion
from tiles.grid.footprints import FootprintIndex


def random_boxes(n, seed=1):
    rng = np.random.default_rng(seed)
    w, s = rng.uniform(126, 128, n), rng.uniform(36, 38, n)
    return [Box(float(a), float(b), float(a + c), float(b + d)) for a, b, c, d in zip(w, s, *rng.uniform(0, 0.1, (2, n)), strict=True)]


def brute(boxes, ask):
    return [k for k, b in enumerate(boxes) if b[0] <= ask[2] and ask[0] <= b[2] and b[1] <= ask[3] and ask[1] <= b[3]]


@pytest.mark.parametrize("bulk", [True, False])
def test_query_answers_as_a_look_at_every_box(bulk):
    boxes = random_boxes(400)
    index = FootprintIndex((k, b, None) for k, b in enumerate(boxes)) if bulk else FootprintIndex()
    if not bulk:
        for k, b in enumerate(boxes):
            index.insert(k, b)
    assert len(index) == 400
    for ask in random_boxes(50, seed=2):
        assert index.query(ask) == brute(boxes, ask)


def test_a_deleted_footprint_is_found_no_more_and_may_come_back():
    boxes = random_boxes(100)
    index = FootprintIndex((k, b, None) for k, b in enumerate(boxes))
    assert index.delete(17)
    assert not index.delete(17)
    assert 17 not in index
    everything = Box(-180.0, -90.0, 180.0, 90.0)
    assert index.query(everything) == [k for k in range(100) if k != 17]
    index.insert(17, boxes[17])
    assert sorted(index.query(everything)) == list(range(100))


def test_deleting_the_last_does_not_reuse_the_number_of_a_living_one():
    index = FootprintIndex()
    for key in "abc":
        index.insert(key, Box(0, 0, 1, 1))
    index.delete("b")
    index.insert("d", Box(0, 0, 1, 1))
    index.delete("d")
    index.insert("e", Box(0, 0, 1, 1))
    assert index.query(Box(0, 0, 1, 1)) == ["a", "c", "e"]


def test_shapes_refine_what_boxes_say():
    ring = shapely.Point(127, 37).buffer(0.5).difference(shapely.Point(127, 37).buffer(0.4))
    index = FootprintIndex([("ring", Box(*shapely.bounds(ring).tolist()), ring), ("box", Box(126.9, 36.9, 127.1, 37.1), None)])
    assert list(index.meeting(shapely.Point(127, 37))) == ["box"]
    assert list(index.meeting(shapely.Point(127.45, 37))) == ["ring"]
    assert list(index.meeting(shapely.Point())) == []


def test_a_box_over_the_antimeridian_is_found_on_both_sides():
    index = FootprintIndex([("fiji", Box(177.0, -20.0, -178.0, -12.0), None)])
    assert index.query(Box(179, -15, 180, -14)) == ["fiji"]
    assert index.query(Box(-180, -15, -179, -14)) == ["fiji"]
    assert index.query(Box(0, -15, 10, -14)) == []
    assert index.query(Box(170, -15, -170, -14)) == ["fiji"]


@pytest.mark.parametrize("box", [(0, 1, 1, 0), (float("nan"), 0, 1, 1), (0, 0, 181, 1), (0, -91, 1, 1)])
def test_what_is_no_box_is_refused(box):
    with pytest.raises(InvalidRegion):
        FootprintIndex([("a", Box(*box), None)])
    with pytest.raises(InvalidRegion):
        FootprintIndex().query(Box(*box))


def test_a_key_is_taken_once():
    index = FootprintIndex([("a", Box(0, 0, 1, 1), None)])
    with pytest.raises(InvalidRegion, match="already"):
        index.insert("a", Box(0, 0, 1, 1))


def test_extending_adds_what_is_not_there_yet_from_many_threads_at_once():
    boxes = random_boxes(200)
    index = FootprintIndex()
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: index.extend((k, b, None) for k, b in enumerate(boxes)), range(8)):
            pass
    assert len(index) == 200
    for ask in random_boxes(20, seed=2):
        assert sorted(index.query(ask)) == brute(boxes, ask)
