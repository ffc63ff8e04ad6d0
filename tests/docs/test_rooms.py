"""How the house is built: rooms of a few modules, short files and functions, and no imports in a circle."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tiles", "ingest", "mapex", "web")
FEWEST, MOST = 2, 14
"""Modules of a room, beside its `__init__`; a room that holds rooms needs none of its own."""
LONGEST_FILE, LONGEST_FUNCTION = 531, 52
"""Lines."""


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


# ---- imports ---------------------------------------------------------------------------------------------------------------------


def imports_of(name: str, tree: ast.Module, *, package: bool) -> set[str]:
    """The modules of ours that a module imports, inside functions too; what only types need is left out."""
    found: set[str] = set()
    for node in _running(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(name, node, package=package)
            # `from room import module` is the module; `from module import name` is the module too.
            found.update(f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules() else base for alias in node.names)
    return {one for one in found if one in modules()} - {name}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from (other, *_running(other))
        else:
            yield child
            yield from _running(child)


def _base(name: str, node: ast.ImportFrom, *, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    kept = parts[: len(parts) - node.level + package]
    return ".".join([*kept, *filter(None, [node.module])])


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of modules each of which imports, over others, itself (strongly connected components, Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in index:
            visit(node)
    return sorted(found)


def test_circles_are_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": [], "e": ["d"]}) == [["a", "b", "c"]]
    lazy = "if TYPE_CHECKING:\n    import mapex.exchange\ndef f():\n    from tiles.grid import grid\n    from tiles import errors"
    assert imports_of("web", ast.parse(lazy), package=True) == {"tiles.grid.grid", "tiles.errors"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for name, path in modules().items():
        graph[name] = imports_of(name, tree_of(path), package=path.name == "__init__.py")
    assert circles(graph) == []
