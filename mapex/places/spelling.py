"""How names are compared: Hangul letter by letter, so that half a syllable finds its name; first consonants alone (초성).

Latin letters are taken as loosely as they are used for Korean sounds: Pusan is Busan.
"""

import re
import unicodedata
from typing import Final

_FIRST: Final = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS: Final = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_LAST: Final[tuple[str, ...]] = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
_KEYS: Final = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ",
    "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
    "ㅘ": "ㅗㅏ", "ㅙ": "ㅗㅐ", "ㅚ": "ㅗㅣ", "ㅝ": "ㅜㅓ", "ㅞ": "ㅜㅔ", "ㅟ": "ㅜㅣ", "ㅢ": "ㅡㅣ",
}  # fmt: skip
"""Letters that are two strokes on a keyboard."""
_SPLIT: Final = str.maketrans(_KEYS)
_HANGUL: Final = 0xAC00
_JAMO: Final = re.compile("[\u3131-\u318e]+")
_LIKE: Final = str.maketrans("ktpcvwq", "gdbjbug")
"""Latin letters that stand for one Korean sound in one spelling or another."""
_BETWEEN: Final = re.compile(r"[\s,·;/()\[\]]+")


def words(text: str) -> list[str]:
    """The words of a name or of a question, folded; without those of which nothing is left."""
    return [word for part in _BETWEEN.split(unicodedata.normalize("NFC", text)) if (word := folded(part))]


def folded(word: str) -> str:
    """A word as it is compared: two spellings of one name fold to the same."""
    plain = "".join(
        part if _JAMO.fullmatch(part) else unicodedata.normalize("NFKC", part)
        for part in re.split("([\u3131-\u318e]+)", unicodedata.normalize("NFC", word))
    ).casefold()
    letters = "".join(map(_letters, plain)).translate(_SPLIT)
    return _sounds("".join(sign for sign in unicodedata.normalize("NFD", letters) if sign.isalnum()))


def initials(word: str) -> str:
    """The first consonants of a word in Hangul, with its numbers: 백현동 is ㅂㅎㄷ; empty for other words."""
    found = "".join(_FIRST[(ord(sign) - _HANGUL) // 588] if _is_syllable(sign) else sign for sign in word if sign.isalnum())
    return found if any(map(_is_syllable, word)) else ""


def _letters(sign: str) -> str:
    if not _is_syllable(sign):
        return sign
    first, rest = divmod(ord(sign) - _HANGUL, 588)
    vowel, last = divmod(rest, 28)
    return _FIRST[first] + _VOWELS[vowel] + _LAST[last]


def _is_syllable(sign: str) -> bool:
    return "가" <= sign <= "힣"


def _sounds(letters: str) -> str:
    if letters.isascii() and not letters.isdigit():
        similar: str = letters.replace("oo", "u").replace("ch", "j").replace("sh", "s").replace("x", "gs").translate(_LIKE)
        return str(re.sub(r"([a-z])\1", r"\1", similar))
    return letters
