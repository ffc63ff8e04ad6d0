"""What a unit usually costs, and which rates are far from it."""

import pytest

from mapex.rules.pricing import MAX_RATE, Unit
from mapex.rules.usual_rates import TIMES, unusual, usual


def test_without_any_rate_on_sale_the_example_is_the_measure() -> None:
    assert usual([]) == {unit.value: unit.example for unit in Unit}
    assert unusual({unit.value: unit.example for unit in Unit}, usual([])) == ()


@pytest.mark.parametrize(("rate", "is_unusual"), [(TIMES * 5000 - 1, False), (TIMES * 5000, True), (MAX_RATE, True), (0, False)])
def test_a_thousand_times_the_median_is_unusual(rate: int, is_unusual: bool) -> None:
    medians = usual([{"lane_km": 4000}, {"lane_km": 5000}, {"lane_km": 5001}])
    assert medians["lane_km"] == 5000
    assert unusual({"lane_km": rate}, medians) == (("lane_km",) if is_unusual else ())


def test_few_rates_and_what_is_free_are_no_measure() -> None:
    assert usual([{"frame": MAX_RATE}, {"frame": 1}, {"frame": 0}])["frame"] == Unit.FRAME.example
    assert usual([{"frame": MAX_RATE}, {"frame": 1}, {"frame": 30}])["frame"] == 30
