"""The threat model names code and tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "threats.md"

NAMED = re.compile(r"`([\w./-]+\.py)(?:::(\w+))?`")
"""A Python file in backticks, and the function in it when one is named."""


def absent(path: str, function: str) -> str:
    """What of `path::function` is not there; empty when all is."""
    if not (ROOT / path).is_file():
        return path
    if not function:
        return ""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return "" if function in there else f"{path}::{function}"


def promises() -> list[list[str]]:
    """The cells of each row of a table `threat | promise | where | test`."""
    rows, inside = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        inside = bool(cells) and (inside or cells == ["threat", "promise", "where", "test"])
        if inside and cells[0] != "threat" and set(cells[0]) != {"-"}:
            rows.append(cells)
    return rows


def test_every_file_and_function_that_is_named_exists() -> None:
    named = sorted(set(NAMED.findall(PAGE.read_text(encoding="utf-8"))))
    assert len(named) > 100, "the page is read as it is written"
    assert [missing for path, function in named if (missing := absent(path, function))] == []


def test_each_promise_says_where_it_is_kept_and_which_test_shows_it() -> None:
    """A row without code, or without a test by its name, is a wish."""
    rows = promises()
    assert len(rows) > 40
    for cells in rows:
        assert len(cells) == 4, cells
        where, shown = NAMED.findall(cells[2]), NAMED.findall(cells[3])
        assert where and not [path for path, _ in where if path.startswith("tests/")], cells
        assert shown and all(path.startswith("tests/") and function.startswith("test_") for path, function in shown), cells


def test_what_is_not_protected_is_listed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "\n## Only warnings\n" in text and "\n## Known gaps\n" in text
