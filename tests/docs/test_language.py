"""How the code names things: plain words, one name for one thing, error sentences of one style."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("tiles", "ingest", "mapex", "web")

PRIVATE_WORDS = frozenset(
    {"said", "told", "tells", "heard", "say", "says", "lie", "lies", "lying", "liar", "goods", "heart", "verdict", "verdicts"}
)
"""Words for which the field has its own: findings, report, answer, place, layer on sale, lease."""

IN_PROSE = re.compile(r"\b(heard|told|lies|lie|liar|lying|said)\b", re.IGNORECASE)

SPOKEN = frozenset({"said", "told", "tells", "heard", "lie", "lies", "lying", "liar"})
"""The same in the words of which names are made (`nameSaid`, `name-said`): scripts, styles and templates have none of them."""

PAGES = ("web/static/js/**/*.js", "web/static/app.css", "web/static/css/*.css", "web/templates/**/*.html")
DOCUMENTS = ("README.md", "docs/*.md")

IN_TEXT: dict[str, str] = {}
"""Lines of scripts, templates and documents (as `path: text of the line`) that need such a word, each with the reason."""

ERRORS = frozenset(
    {"NotFound", "Invalid", "Conflict", "Denied", "Unavailable", "InvalidContent", "InvalidRegion", "InvalidTile", "StoreError"}
)
"""Calls whose second argument is a sentence for people (the first is a code)."""

SAME_NAME: dict[str, str] = {}
"""Class names that stand in more than one file, each with the reason."""


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def identifiers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)}


def text_of(node: ast.expr) -> str | None:
    """The text of a literal or an f-string, values as {}; None for what is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and string literals of more than one word."""
    with (ROOT / path).open("rb") as stream:
        for token in tokenize.tokenize(io.BytesIO(stream.read()).readline):
            if token.type == tokenize.COMMENT or (
                token.type in (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)) and " " in token.string
            ):
                yield token.start[0], token.string


def test_names_are_words_of_the_field() -> None:
    found = [f"{path}:{line} {name}" for path, tree in sources() for line, name in identifiers(tree) if words_of(name) & PRIVATE_WORDS]
    assert sorted(set(found)) == []


def test_prose_speaks_of_places_and_answers_plainly() -> None:
    found = [f"{path}:{line} {text.strip()[:100]}" for path, _ in sources() for line, text in prose(path) if IN_PROSE.search(text)]
    assert found == []


def lines(*patterns: str) -> Iterator[tuple[str, int, str]]:
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield path.relative_to(ROOT).as_posix(), number, line


def test_scripts_templates_and_documents_speak_plainly() -> None:
    """Names and texts of pages word by word (`said` in `name-said`); documents by prose, as they name tests and codes too."""
    found = {f"{path}: {line.strip()}": number for path, number, line in lines(*PAGES) if words_of(line) & SPOKEN}
    found |= {f"{path}: {line.strip()}": number for path, number, line in lines(*DOCUMENTS) if IN_PROSE.search(line)}
    assert [f"{line} (line {number})" for line, number in found.items() if line not in IN_TEXT] == []
    assert set(IN_TEXT) <= set(found), "a reason that is needed no longer"


def test_no_class_name_stands_twice_without_a_reason() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in sources():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path))
    assert {name: files for name, files in places.items() if len(files) > 1 and name not in SAME_NAME} == {}
    assert {name for name in SAME_NAME if len(places[name]) < 2} == set(), "a reason that is needed no longer"


def test_errors_are_sentences() -> None:
    """A capital (or a value, or a name in backticks) first, a full stop last."""
    found = []
    for path, tree in sources():
        for node in ast.walk(tree):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            text = text_of(node.args[1]) if isinstance(node, ast.Call) and name in ERRORS and len(node.args) > 1 else None
            if text is not None and not (re.match(r"[A-Z0-9{`']", text) and text.rstrip().endswith((".", "?", "{}"))):
                found.append(f"{path}:{node.lineno} {text[:120]}")
    assert found == []
