"""What attributes are called in a file whose names are short: nothing that its format would take away again."""

from __future__ import annotations

import pytest

from mapex.writers.vector.columns import labels_of


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("name:ko", "name_ko"),
        ("\r", "_"),
        ("a\nb\t", "a_b_"),
        (" ", "_"),
        ("a b  ", "a b__"),
        ("123456789 and more", "123456789_"),  # a blank that is the last only since the name was cut
        ("이름이길다", "이름이"),
    ],
)
def test_short_names_hold_no_line_end_and_end_with_no_blank(name: str, label: str) -> None:
    assert labels_of([name], (), str.lower, 10) == {name: label}


def test_names_that_become_equal_stay_apart() -> None:
    assert list(labels_of(["a ", "a_", "a\t"], (), str.lower, 10).values()) == ["a_", "a__2", "a__3"]


def test_long_names_are_left_as_they_are() -> None:
    assert labels_of(["a\nb ", "name:ko"], ()) == {"a\nb ": "a\nb ", "name:ko": "name:ko"}
