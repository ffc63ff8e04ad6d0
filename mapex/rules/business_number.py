"""Business registration numbers of Korea (사업자등록번호): ten digits, of which the last is a check digit of the first nine.

Each of the nine is multiplied by its weight; of the ninth product, its tens are added too. What is missing to the next ten is the
check digit. The way is that of the National Tax Service (국세청), as its forms reject numbers by it.
"""

from __future__ import annotations

import re

from mapex.errors import Invalid

WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_WRITTEN = re.compile(r"[0-9]{3}-?[0-9]{2}-?[0-9]{5}")


def check_number(written: str) -> str:
    """The ten digits of a number that is written as 123-45-67890 or without hyphens.

    Raises: Invalid: `business.number_digits`, `business.number_check`.
    """
    text = written.strip()
    if not _WRITTEN.fullmatch(text):
        sentence = f"{text[:40]!r} is no business number: write its ten digits as on the registration certificate, such as 123-45-67891."
        raise Invalid("business.number_digits", sentence, number=text[:40])
    number = text.replace("-", "")
    expected = check_digit(number[:9])
    if number[9] != expected:
        sentence = (
            f"The last digit of {written_out(number)} is {number[9]} and would be {expected} by the other nine: one of the ten digits is "
            "mistyped. Compare each with the registration certificate."
        )
        raise Invalid("business.number_check", sentence, number=number, digit=number[9], expected=expected)
    return number


def check_digit(nine: str) -> str:
    """The tenth digit of a number, of its first nine."""
    total = sum(int(digit) * weight for digit, weight in zip(nine, WEIGHTS, strict=True)) + int(nine[8]) * WEIGHTS[8] // 10
    return str(-total % 10)


def written_out(number: str) -> str:
    """`123-45-67891`: as people write it."""
    return f"{number[:3]}-{number[3:5]}-{number[5:]}"
