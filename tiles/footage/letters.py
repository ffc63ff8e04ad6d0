"""Letters that are drawn evenly from their own alphabet, as packed bytes in letters are; language and lists of words are not."""

from __future__ import annotations

import math
import re
import zlib

LEAST = 2048
"""Letters from which on evenness can be seen."""
_PIECE = 1 << 16
_EVEN = 0.95
_ALPHABET = 256
_BETWEEN = re.compile(r"[\x00-/:-@\[-`{-\x7f]+")
"""What of ASCII is neither a letter nor a digit."""
_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d+(?:\.\d+)?(?![0-9A-Za-z])")


def is_drawn_evenly(text: str) -> bool:
    """Whether letters and digits of a text, whatever stands between them, pack to no less than their alphabet needs.

    Base64, base32, ASCII85 and hex do, in groups or backwards, and so do bytes that became syllables or signs. Numbers are left out: the
    digits of what is measured are as even. A text of more than 256 different letters is prose unless most of them stand there once or
    twice.
    """
    return any(_is_even(text[begin : begin + _PIECE]) for begin in range(0, len(text), _PIECE))


def _is_even(text: str) -> bool:
    letters = _BETWEEN.sub("", _NUMBER.sub("", text))
    alphabet = sorted(set(letters))
    if len(letters) < LEAST:
        return False
    if len(alphabet) > _ALPHABET:
        return len(alphabet) > len(letters) / 2
    numbers = bytes(map({letter: number for number, letter in enumerate(alphabet)}.__getitem__, letters))
    return len(alphabet) > 1 and 8 * len(zlib.compress(numbers, 6)) > _EVEN * len(numbers) * math.log2(len(alphabet))
