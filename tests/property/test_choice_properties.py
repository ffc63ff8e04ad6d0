"""Which of several offers is bought: one dataset of each group by the rule, in whatever order they come, and what is named otherwise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mapex.rules.choice import BY_RULE, Candidate, Choice, Preference, chosen, groups, of_document
from tiles.grid import shared_ground
from tiles.grid.cover import Cover

NAMES = st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"]), st.sampled_from(["l1", "l2"]))


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    """Layers of some datasets in some groups; all of a group are of one class."""
    classes = draw(st.lists(st.sampled_from(["open", "original"]), min_size=3, max_size=3))
    found = []
    for org, dataset, layer in draw(st.lists(NAMES, unique=True, max_size=12)):
        group = draw(st.integers(0, 2))
        found.append(
            Candidate(
                name=f"{org}/{dataset}/{layer}",
                dataset=f"{org}/{dataset}",
                handling_class=classes[group],
                group=str(group),
                quality=draw(st.integers(-1, 3)),
                day=draw(st.integers(0, 2)),
                amount=draw(st.integers(0, 9)),
                tiles=draw(st.integers(1, 3)),
                is_unusual=draw(st.booleans()),
            )
        )
    return found


@given(candidates(), st.sampled_from(Preference))
def test_of_each_group_one_dataset_is_taken_and_never_the_sum(found: list[Candidate], prefer: Preference) -> None:
    taken = chosen(found, Choice(prefer=prefer))
    for group in groups(found).values():
        datasets = {one.dataset for one in group if one.name in taken}
        assert len(datasets) == (0 if group[0].is_original else 1)
        assert {one.name for one in group if one.dataset in datasets} == {one.name for one in group} & taken, "all of its layers"


@given(candidates(), st.randoms(use_true_random=False))
def test_the_order_in_which_offers_come_changes_nothing(found: list[Candidate], random: object) -> None:
    mixed = list(found)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert chosen(mixed) == chosen(found)


@given(candidates())
def test_nothing_better_stands_beside_what_is_taken(found: list[Candidate]) -> None:
    alone = {(one.group, one.dataset): one for one in found}.values()  # one layer a dataset, so that the rule can be spelled again here
    taken = chosen(alone)
    for one in (one for one in alone if one.name in taken):
        for other in (other for other in alone if other.group == one.group):
            price, others = Fraction(one.amount, one.tiles), Fraction(other.amount, other.tiles)
            rank = (one.is_unusual, -one.quality, -one.day, price)
            assert rank <= (other.is_unusual, -other.quality, -other.day, others)


@given(candidates(), st.data())
def test_what_is_named_is_taken_in_the_place_of_its_alternatives(found: list[Candidate], data: st.DataObject) -> None:
    named = data.draw(st.sets(st.sampled_from([one.name for one in found]))) if found else set()
    taken = chosen(found, Choice(frozenset(named)))
    assert named <= taken
    for group in groups(found).values():
        if any(one.name in named for one in group):
            assert {one.name for one in group} & taken == {one.name for one in group} & named
    assert chosen(found, Choice(frozenset(named), only=True)) == named
    assert not chosen(found, Choice(left=frozenset(named))) & named


@given(candidates())
def test_original_footage_is_taken_by_the_name_of_its_layer_alone(found: list[Candidate]) -> None:
    datasets = frozenset(one.dataset for one in found)
    assert not [one for one in found if one.is_original and one.name in chosen(found, Choice(datasets))]
    assert {one.name for one in found} == chosen(found, Choice(frozenset(one.name for one in found)))


@given(st.sets(st.text(max_size=5)), st.sets(st.text(max_size=5)), st.sampled_from(Preference), st.booleans())
def test_a_choice_comes_back_from_what_a_quote_keeps(taken: set[str], left: set[str], prefer: Preference, only: bool) -> None:
    made = Choice(frozenset(taken), frozenset(left), prefer, only)
    assert of_document(made.document) == made
    assert of_document({}) == BY_RULE


CELLS = st.sets(st.integers(0, 40), max_size=12)


@given(st.lists(st.tuples(CELLS, st.integers(0, 1)), max_size=7), st.sets(st.integers(0, 40), max_size=40))
def test_groups_are_those_that_meet_inside_the_area_directly_or_through_others(made: list[tuple[set[int], int]], area: set[int]) -> None:
    sets, kinds = [cells for cells, _ in made], [kind for _, kind in made]
    covers = [Cover.from_cells(np.array(sorted(cells), np.uint64)) for cells in sets]
    found = shared_ground.groups(covers, kinds, Cover.from_cells(np.array(sorted(area), np.uint64)))
    first = list(range(len(sets)))
    for _ in sets:  # by brute force, until nothing changes any more
        for i, one in enumerate(sets):
            for j, other in enumerate(sets):
                if kinds[i] == kinds[j] and one & other & area:
                    first[i] = first[j] = min(first[i], first[j])
    assert found == first
