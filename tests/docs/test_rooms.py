"""How the house is built: rooms of a few modules, short files and functions, and no imports in a circle."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tiles", "ingest", "mapex", "web")
FEWEST, MOST = 2, 14
"""Modules of a room, beside its `__init__`; a room that holds rooms needs none of its own."""
LONGEST_FILE, LONGEST_FUNCTION = 413, 48
"""Lines."""
WIDEST = 140
"""Characters."""


@cache
def modules() -> Mapping[str, Path]:
    """Every module of the four packages by its dotted name; the migrations, which are steps in a row, are left out."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def rooms() -> list[str]:
    """The folders of the four packages."""
    return sorted({str(path.parent.relative_to(ROOT)) for path in modules().values()})


@pytest.mark.parametrize("room", rooms())
def test_a_room_holds_a_few_modules_and_its_docstring_is_one_sentence(room: str) -> None:
    folder = ROOT / room
    own = sorted(path.name for path in folder.glob("*.py") if path.name != "__init__.py")
    inner = [path for path in folder.glob("*/__init__.py")]
    assert len(own) <= MOST, own
    assert len(own) >= FEWEST or inner, own
    text = ast.get_docstring(tree_of(folder / "__init__.py")) or ""
    assert text and text.split("\n\n")[0].endswith("."), f"what is in {room}?"


def functions() -> Iterator[tuple[str, int]]:
    """Each function's place and length in lines, decorators left out."""
    for path in modules().values():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_and_functions_are_short() -> None:
    files = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    assert {file: lines for file, lines in files.items() if lines > LONGEST_FILE} == {}
    assert {place: lines for place, lines in functions() if lines > LONGEST_FUNCTION} == {}


def test_no_line_is_wide() -> None:
    """Of Python, shell and settings; scripts, styles and templates have a test of their own (tests/unit/web/test_script_rooms.py)."""
    kinds = ("**/*.py", ".ci/*", "*.toml", "*.yml", "Makefile", "Dockerfile")
    ours = [path for kind in kinds for path in ROOT.glob(kind) if path.is_file() and not {".venv", ".cache", "build"} & set(path.parts)]
    assert len(ours) > 500
    lines = {path.relative_to(ROOT): path.read_text(encoding="utf-8").splitlines() for path in ours}
    wide = [f"{path}:{at}" for path, texts in lines.items() for at, text in enumerate(texts, 1) if len(text) > WIDEST]
    assert wide == []


def test_modules_import_in_one_direction() -> None:
    """No module imports itself by a detour, not even for types or inside a function."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert sum(map(len, imports.values())) > 500, "the code is read as it is written"
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as found:
        raise AssertionError(" -> ".join(found.args[1])) from found


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest imports them by it, and stops at the second."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
