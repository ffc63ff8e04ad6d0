"""The table of attributes: every feature once, every value true, within what a preview may hold."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest.conversion import preview_forms, previews
from ingest.previews import attributes
from ingest.previews.attributes import AttributeTable, of_points

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=80)
)
FEATURES = st.lists(st.dictionaries(st.text(max_size=120), VALUES | st.lists(VALUES, max_size=2), max_size=5), max_size=12)


def rows_of(features: list[dict[str, Any]]) -> dict[str, list[Any]]:
    table = AttributeTable()
    table.add(["sign"] * len(features), [json.dumps(one) for one in features])
    return {row[0]: row for made in table.previews() for row in made.about["rows"]}


@given(FEATURES)
def test_whatever_features_carry_the_table_says_the_truth_and_may_be_stored(features: list[dict[str, Any]]) -> None:
    table = AttributeTable()
    table.add(["sign"] * len(features), [json.dumps(one) for one in features])
    for made in table.previews():
        assert previews._is_plain(json.loads(json.dumps(made.about)), 3), made.about
        preview_forms.check_about("attributes", made.about)
        for name, kind, count, how, *shown in made.about["rows"]:
            there = [one[name] for one in features if one.get(name) is not None]
            assert count == len(there)
            if how == "range":
                assert kind == "number" and [float(shown[0]), float(shown[1])] == [float(min(there)), float(max(there))]
            else:
                plain = [one for one in there if not isinstance(one, list)]
                assert all(one in plain or one in map(str, plain) for one in shown)
                assert how != "values" or {str(one) for one in shown} == {str(one) for one in there}


def test_few_values_are_all_shown_and_of_many_numbers_the_range() -> None:
    rows = rows_of([{"lanes": n % 3, "width": n / 10, "name": f"road {n}", "lit": True} for n in range(20)])
    assert rows["lanes"][3:] == ["values", 0, 1, 2] and rows["width"][3:] == ["range", 0.0, 1.9]
    assert rows["name"][3] == "some" and len(rows["name"]) == 10 and rows["lit"][1:] == ["flag", 20, "values", True]


def test_a_layer_with_more_attributes_than_a_table_holds_is_cut_and_says_of_how_many_features_it_speaks() -> None:
    table = AttributeTable()
    table.add(["sign"] * 3, [json.dumps({f"a{n}": 1 for n in range(500)})] * 3)
    made = list(table.previews())
    assert sum(len(one.about["rows"]) for one in made) == attributes.MOST and len(made) <= preview_forms.FORMS["attributes"].most
    assert {one.about["of"] for one in made} == {3}


def test_points_have_the_dimensions_that_all_their_tiles_have() -> None:
    def names(*formats: int) -> set[str]:
        return {row[0] for row in of_points(9, formats).about["rows"]}

    assert {"red", "gps_time"} <= names(3, 7) and "red" not in names(3, 1) and "nir" in names(8)
