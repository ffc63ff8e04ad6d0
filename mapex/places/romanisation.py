"""Korean names in Latin letters, by the Revised Romanisation of Korean (2000) as its section on place names applies it.

Sounds meet inside a word (신라 Silla), never across the hyphen of a unit (왕십리동 is Wangsimni-dong, 삼죽면 Samjuk-myeon).
"""

import re
from typing import Final

FIRST: Final = ("g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h")
VOWELS: Final = (
    "a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i",
)  # fmt: skip
LAST: Final = (
    "", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t",
    "p", "t",
)  # fmt: skip
"""A closing consonant before another consonant, and at the end."""

CARRIED: Final = (
    "|", "|g", "|kk", "k|s", "|n", "n|j", "|n", "|d", "|r", "l|g", "l|m", "l|b", "l|s", "l|t", "l|p", "|r", "|m", "|b", "p|s", "|s", "|ss",
    "ng|", "|j", "|ch", "|k", "|t", "|p", "|",
)  # fmt: skip
"""A closing consonant before a vowel: what stays, and what goes over to the next syllable."""

NASAL: Final = {"k": "ng", "t": "n", "p": "m"}
UNITS: Final = {
    "도": "do", "시": "si", "군": "gun", "구": "gu", "읍": "eup", "면": "myeon", "동": "dong", "리": "ri", "가": "ga",
}  # fmt: skip
ROADS: Final = {"대로": "daero", "로": "ro", "길": "gil"}
WHOLE: Final = re.compile(r"대구|.*(?<![북남])(?<!경기)(?<!강원)(?<!제주)도")
"""What ends like a unit and is none: the city of Daegu, islands."""
CITY: Final = re.compile(r"(특별시|광역시|특별자치시)$")
PARTS: Final = re.compile(r"[가-힣]+|\d+|[^가-힣\d]+")
HANGUL: Final = 0xAC00
PALATAL: Final = {"d": "j", "t": "ch"}


def romanised(text: str) -> str:
    """Return names of places in Latin letters: "분당구 백현동" is "Bundang-gu Baekhyeon-dong"; what is not Hangul stays."""
    return " ".join(_word(word, UNITS) for word in re.sub(r"특별자치도$", "도", text).split())


def romanised_road(text: str) -> str:
    """Return the name of a road: "테헤란로27번길" is "Teheran-ro 27beon-gil"."""
    return " ".join(_word(word, ROADS) for word in text.split())


def _word(word: str, units: dict[str, str]) -> str:
    """Return a word: its units stand after a hyphen, its numbers apart ("종로1가" is "Jongno 1-ga")."""
    parts = PARTS.findall(CITY.sub("", word))
    written = ""
    for at, part in enumerate(parts):
        if not _is_hangul(part):
            written += f" {part}" if at and part.isdigit() else part
        elif at and part in units:
            written += f"-{units[part]}"
        else:
            name = _named(part, units)
            written += name if at and parts[at - 1].isdigit() else name[:1].upper() + name[1:]
    return written


def _named(part: str, units: dict[str, str]) -> str:
    """Return a name in letters, its unit (the longest that fits) after a hyphen."""
    for unit, letters in units.items():
        if len(part) > len(unit) and part.endswith(unit) and not WHOLE.fullmatch(part):
            return f"{sounds(part[: -len(unit)])}-{letters}"
    return sounds(part)


def sounds(syllables: str) -> str:
    """Return Hangul syllables as they sound together."""
    letters, over = "", ""
    codes = [divmod(ord(each) - HANGUL, 28) for each in syllables]
    for at, (open_part, last) in enumerate(codes):
        first, vowel = divmod(open_part, 21)
        ahead = codes[at + 1][0] // 21 if at + 1 < len(codes) else None
        letters += (over if at else FIRST[first]) + VOWELS[vowel]
        closing, over = _meet(last, ahead, codes[at + 1][0] % 21 if ahead is not None else 0, is_road=syllables[at + 1 :] == "로")
        letters += closing
    return letters


def _meet(last: int, first: int | None, vowel: int, *, is_road: bool) -> tuple[str, str]:
    """Return how a closing consonant and the opening one of the next syllable sound."""
    if first is None:
        return LAST[last], ""
    closing, opening = LAST[last], FIRST[first]
    if opening == "":
        stays, over = CARRIED[last].split("|")
        return stays, PALATAL.get(over, over) if VOWELS[vowel] == "i" else over
    if opening == "r":
        return _before_r(closing, is_road=is_road)
    if closing in NASAL and opening in {"n", "m"}:
        return NASAL[closing], opening
    return closing, "l" if closing == "l" and opening == "n" else opening


def _before_r(closing: str, *, is_road: bool) -> tuple[str, str]:
    """Return how a consonant meets ㄹ: 신라 Silla, but a road is 신문로 Sinmunno; 종로 Jongno, 백령 Baengnyeong."""
    if closing == "":
        return "", "r"
    if closing == "l" or (closing == "n" and not is_road):
        return "l", "l"
    return NASAL.get(closing, closing), "n"


def _is_hangul(part: str) -> bool:
    return "가" <= part[0] <= "힣"
