"""No comment, docstring or page sends the reader to a document that is not here."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("tiles", "mapex", "ingest", "web", "tests", "benchmarks", "docs")
ENDINGS = {".py", ".js", ".html", ".md"}
NOT_OURS = {"vendor", "node_modules"}

DOCUMENTS = {ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "decisions").glob("*.md")}


def places(name: str, cited_in: Path) -> list[Path]:
    """Where a document of this name may be: beside the file that names it, in the repository, or in its `docs`."""
    return [(folder / name).resolve() for folder in (cited_in.parent, ROOT, ROOT / "docs")]


def cited(text: str) -> set[str]:
    """Names of documents in a text; addresses on the net are somebody else's."""
    return set(re.findall(r"[\w./-]*\w\.md\b", re.sub(r"https?://\S+", "", text)))


def absent(path: Path) -> list[str]:
    names = cited(path.read_text(encoding="utf-8"))
    return [f"{path.relative_to(ROOT)} names {name}" for name in sorted(names) if DOCUMENTS.isdisjoint(places(name, path))]


def test_every_document_that_is_named_is_in_the_repository() -> None:
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    for folder in FOLDERS:
        files += [p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in ENDINGS and NOT_OURS.isdisjoint(p.parts)]
    assert [line for path in files for line in absent(path)] == []


def test_a_name_is_found_in_a_sentence_and_an_address_is_not() -> None:
    ending = ".md"  # written apart, so that this file names no document that is absent
    report = f"as docs/a{ending} says (b-c{ending}, ../d{ending}), not *{ending} nor https://example.com/e{ending}."
    assert cited(report) == {f"docs/a{ending}", f"b-c{ending}", f"../d{ending}"}
