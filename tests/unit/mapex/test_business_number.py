"""Business numbers: the check digit of known firms, how they are written, and what is wrong with one that is mistyped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex.errors import Invalid
from mapex.rules.business_number import check_digit, check_number, written_out

KNOWN = ("124-81-00998", "120-81-47521", "220-81-62517", "107-86-14075", "101-81-09147", "204-86-31263", "602-81-31841")
"""Of firms that print theirs on every page, and of the tax office's own test document."""


@pytest.mark.parametrize("written", KNOWN)
def test_known_numbers_pass_with_and_without_hyphens(written: str) -> None:
    plain = written.replace("-", "")
    assert check_number(written) == check_number(f" {plain} ") == plain
    assert written_out(plain) == written


@pytest.mark.parametrize(
    "written", ["", "123", "12345678901", "123-456-7890", "１２３４５６７８９１", "12a4567891", "124-81-0099", "124 81 00998"]
)
def test_what_has_not_ten_digits_is_no_number(written: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_number(written)
    assert caught.value.code == "business.number_digits"


def test_a_wrong_check_digit_is_named_with_the_one_that_would_fit() -> None:
    with pytest.raises(Invalid) as caught:
        check_number("123-45-67890")
    assert caught.value.code == "business.number_check"
    assert "123-45-67890 is 0 and would be 1" in caught.value.message


@given(st.text("0123456789", min_size=9, max_size=9), st.integers(0, 8), st.integers(1, 9))
def test_one_digit_fits_and_any_one_of_the_first_eight_mistyped_is_found(nine: str, at: int, by: int) -> None:
    number = nine + check_digit(nine)
    assert check_number(number) == number
    assert sum(check_digit(nine) == str(digit) for digit in range(10)) == 1
    if at < 8:  # weights 1, 3, 7 have no factor in common with 10
        other = nine[:at] + str((int(nine[at]) + by) % 10) + nine[at + 1 :]
        assert check_digit(other) != check_digit(nine)
