"""What a version changes, feature by feature: a jitter below the accuracy is never a change, one above it always, order does not matter."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mapex.rules import accuracy
from mapex.rules.accuracy import STEPS_MM, Drift, Shift
from tiles.features.difference import CellDifference, CellFeatures, difference, features_of

CENTRE = (127.1, 37.4)
DEGREE_M = 111_000
"""Metres of a degree of latitude, rounded up by less than a hundredth."""


@dataclass(frozen=True)
class One:
    id: str
    kind: str
    points: tuple[tuple[float, float, float], ...]
    """Metres from `CENTRE`, heights."""
    tags: tuple[tuple[str, int], ...] = ()

    def wkb(self) -> bytes:
        at = [(CENTRE[0] + x / (DEGREE_M * 0.7945), CENTRE[1] + y / DEGREE_M, z) for x, y, z in self.points]
        shape = shapely.Point(at[0]) if len(at) == 1 else shapely.LineString(at)
        return bytes(shapely.to_wkb(shape, flavor="iso"))


def cell(ones: list[One]) -> CellFeatures:
    table = pa.table(
        {
            "feature_id": pa.array([one.id for one in ones], pa.string()),
            "kind": pa.array([one.kind for one in ones], pa.string()),
            "properties": pa.array([json.dumps(dict(one.tags)) for one in ones], pa.string()),
            "geometry": pa.array([one.wkb() for one in ones], pa.binary()),
            "owner": pa.array([True] * len(ones), pa.bool_()),
        }
    )
    return features_of([table], CENTRE)


NOTHING = cell([])


def compared(before: list[One], after: list[One]) -> CellDifference:
    return difference(cell(before), cell(after), lambda: (NOTHING, NOTHING))


@st.composite
def maps(draw: st.DrawFn) -> list[One]:
    """CellFeatures with names of their own or numbers of rows, 40 m apart, so that none is taken for another."""
    count, counted = draw(st.integers(1, 8)), draw(st.booleans())
    made = []
    for at in range(count):
        points = draw(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.floats(-5, 5)), min_size=1, max_size=5, unique=True))
        shifted = tuple((x + 40 * at, y, z) for x, y, z in points)
        tags = tuple(draw(st.dictionaries(st.sampled_from("ab"), st.integers(0, 3))).items())
        made.append(One(f"roads/{at}" if counted else f"lane-{at}", draw(st.sampled_from(("lane_centre", "kerb"))), shifted, tags))
    return made


def jittered(one: One, metres: float, turn: float) -> One:
    """Every vertex this far away, in a direction of the plane."""
    return replace(one, points=tuple((x + metres * np.cos(turn), y + metres * np.sin(turn), z) for x, y, z in one.points))


@given(maps(), st.sampled_from(STEPS_MM), st.floats(0, 0.95), st.floats(0, 6.3), st.randoms(use_true_random=False))
def test_a_jitter_below_the_accuracy_is_never_a_change(
    ones: list[One], limit: int, share: float, turn: float, chance: random.Random
) -> None:
    after = [jittered(one, share * limit / 1000, turn + at) for at, one in enumerate(ones)]
    chance.shuffle(after)
    found = compared(ones, after)
    assert not accuracy.is_change(Shift(found.others, found.farthest), limit)
    assert (found.added, found.removed, found.altered) == ([], [], {})


@given(maps(), st.sampled_from(STEPS_MM[:-1]), st.floats(1.05, 1.9), st.floats(0, 6.3))
def test_a_jitter_above_the_accuracy_is_always_a_change(ones: list[One], limit: int, share: float, turn: float) -> None:
    after = [jittered(ones[0], share * limit / 1000, turn), *ones[1:]]
    found = compared(ones, after)
    assert accuracy.is_change(Shift(found.others, found.farthest), limit)
    assert len(found.moved) == 1


@given(maps(), maps(), st.randoms(use_true_random=False))
def test_the_order_of_features_does_not_matter(before: list[One], after: list[One], chance: random.Random) -> None:
    found = compared(before, after)
    chance.shuffle(before)
    chance.shuffle(after)
    assert compared(before, after) == found


@given(maps(), st.data())
def test_what_is_added_removed_or_has_other_attributes_is_counted_once(ones: list[One], data: st.DataObject) -> None:
    which = data.draw(st.sampled_from(range(len(ones))))
    rest = [*ones[:which], *ones[which + 1 :]]
    assert (compared(ones, rest).removed, compared(rest, ones).added) == ([ones[which].id], [ones[which].id])
    other = replace(ones[which], tags=(*(tag for tag in ones[which].tags if tag[0] != "a"), ("a", 9), ("new", 1)))
    found = compared(ones, [*rest, other])
    assert ([names for _, names in found.altered.values()], found.others) == ([("a", "new")], True)
    assert accuracy.is_change(Shift(found.others, found.farthest), STEPS_MM[-1])


@given(st.lists(st.builds(Shift, st.booleans(), st.integers(0, 10**8)), max_size=6), st.sampled_from(STEPS_MM))
def test_many_small_shifts_are_together_what_they_add_up_to(steps: list[Shift], limit: int) -> None:
    way = Drift(limit)
    for step in steps:
        way = way.back(step)
    assert way.is_none == (not any(step.others for step in steps) and sum(step.um for step in steps) <= limit * 1000)


@given(st.lists(st.integers(0, 2 * 10**7), max_size=30), st.sampled_from(STEPS_MM))
def test_what_moved_is_counted_for_every_accuracy_at_once(shifts: list[int], limit: int) -> None:
    steps = [0] * (len(STEPS_MM) + 1)
    for um in shifts:
        steps[accuracy.step_of(um)] += 1
    assert accuracy.moved(steps, limit) == sum(um > limit * 1000 for um in shifts)
