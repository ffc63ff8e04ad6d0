"""The glossary holds: no banned Korean word, one Korean word for one English one, and no particle that depends on a value."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
KO = ROOT / "web" / "translations" / "ko"
KOREAN = re.compile("[가-힣]")
PARTICLES = re.compile(r"[을를이가은는와과]\((?:을|를|이|가|은|는|와|과)\)|\(으\)로|\(이\)")
"""Pairs that a writer leaves open because a value stands before them."""
BEHIND_A_VALUE = re.compile(r"%\(\w+\)s(?:\(%\(\w+\)s\))?['’]?(?:을|를|이|가|은|는|와|과|으로|로)(?=[\s.,?!]|$)")
"""Particles of which another may be right, as the value ends with a consonant or not."""

OTHER_TEXTS = {
    "mapex/rules/licence_texts.py": "orders name these texts by their digest: other words are another licence",
    "mapex/places": "names of places",
    "ingest": "names in files of others",
    "mapex/cli/demo/town.py": "names of the made-up district",
}
"""Korean in code that is no text of ours to change, each with the reason."""

OTHER_SENSE = {
    "Open": "opens a page; the class is `open`",
    "Write field:value; all must fit. A shorter tile stands for all below it. Times are Korean. A value with spaces stands in quotes.": (
        "marks around a text"
    ),
}
"""English sentences in which the word of the glossary means something else."""


@dataclass(frozen=True, slots=True)
class Term:
    """A row of the glossary."""

    english: tuple[str, ...]
    korean: tuple[str, ...]
    is_everywhere: bool
    banned: tuple[tuple[str, tuple[str, ...]], ...]


def terms() -> list[Term]:
    rows = [line.strip("|").split("|") for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!English)", line)]
    return [term(*(cell.strip() for cell in row)) for row in rows]


def term(english: str, korean: str, meaning: str, banned: str, source: str) -> Term:
    assert meaning and "|" not in source
    words = tuple(word.strip().strip("*") for word in english.split(","))
    return Term(words, tuple(word.strip() for word in korean.split(",")), "*" in english, tuple(not_words(banned)))


def not_words(cell: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for word, but in re.findall(r"([^,(]+?)\s*(?:\(but ([^)]*)\))?\s*(?:,|$)", cell):
        yield word.strip(), tuple(one.strip() for one in but.split(",") if one.strip())


def catalogue() -> dict[str, str]:
    with (KO / "LC_MESSAGES" / "messages.po").open("rb") as file:
        pairs = [(one.id, one.string) for one in read_po(file) if one.id]
    return {(one if isinstance(one, str) else one[-1]): (text if isinstance(text, str) else tuple(text or ())[0]) for one, text in pairs}


def of_findings() -> dict[str, str]:
    tables = tomllib.loads((KO / "findings.toml").read_text(encoding="utf-8"))
    return {f"{name}: {english}": korean for name, rows in tables.items() for english, korean in rows.items()}


def in_code() -> Iterator[tuple[str, str]]:
    for package in ("mapex", "ingest", "web"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(tuple(OTHER_TEXTS)):
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str) and KOREAN.search(node.value):
                        yield f"{name}:{node.lineno}", node.value


def in_pages() -> Iterator[tuple[str, str]]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "web" / "templates").rglob("*.html"))]:
        if path != GLOSSARY:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if KOREAN.search(line):
                    yield f"{path.relative_to(ROOT)}:{number}", line


@lru_cache(maxsize=1)
def texts() -> list[tuple[str, str]]:
    return [*catalogue().items(), *of_findings().items(), *in_code(), *in_pages()]


def has(word: str, allowed: tuple[str, ...], text: str) -> bool:
    for one in allowed:
        text = text.replace(one, "")
    return re.search(rf"(?<![가-힣]){re.escape(word)}", text) is not None


def test_the_glossary_is_read() -> None:
    found = {word: one for one in terms() for word in one.english}
    assert len(found) > 70
    assert found["permit"].korean[0] == "실증특례 승인" and found["permit"].is_everywhere
    assert found["area"].banned == (("구역", ("승인 구역", "행정구역", "다른 구역")), ("지역", ()))
    assert len(list(in_code())) > 20 and len(texts()) > 1_500


def test_no_korean_text_has_a_banned_word() -> None:
    banned = [pair for one in terms() for pair in one.banned]
    assert [f"{where}: {word} in {text}" for where, text in texts() for word, allowed in banned if has(word, allowed, text)] == []


def test_no_particle_depends_on_a_value() -> None:
    assert [f"{where}: {text}" for where, text in texts() if PARTICLES.search(text) or BEHIND_A_VALUE.search(text)] == []
    assert BEHIND_A_VALUE.search("타일 %(tile)s을 받았습니다.") and not BEHIND_A_VALUE.search("타일(%(tile)s)을 받았습니다.")
    assert all(PARTICLES.search(text) for text in ("파일을(를)", "값이(가)", "이것은(는)", "와(과)", "역할(으)로"))


def test_a_term_that_stands_alone_has_its_korean_label() -> None:
    labels = {word.casefold(): one.korean for one in terms() for word in one.english}
    assert [
        f"{english}: {korean}"
        for english, korean in catalogue().items()
        if english not in OTHER_SENSE and english.casefold() in labels and not korean.startswith(labels[english.casefold()])
    ] == []


def test_a_term_in_a_sentence_has_its_korean_word() -> None:
    wrong = []
    for one in (one for one in terms() if one.is_everywhere):
        pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, one.english))})s?\b", re.IGNORECASE)
        for english, korean in catalogue().items():
            plain = re.sub(r"%\(\w+\)s|`[^`]*`", "", english)
            if pattern.search(plain) and english not in OTHER_SENSE and not any(word in korean for word in one.korean):
                wrong.append(f"{one.english[0]}: {english} = {korean}")
    assert wrong == []
