"""Nothing that a person can set, call or meet is undocumented, and what the README tells people to type works."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tiles", "mapex", "ingest", "web")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sources() -> list[Path]:
    return [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]


def generated() -> dict[str, Callable[[], str]]:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[str, Callable[[], str]] = module.PAGES
    return pages


@pytest.mark.parametrize("name", ["docs/configuration.md", "docs/cli.md", "docs/codes.md"])
def test_reference_page_is_what_the_code_says(name: str) -> None:
    assert page(name) == generated()[name](), "run: make pages"


def test_each_word_that_looks_like_a_code_is_documented() -> None:
    """Codes that come from tables and constants would escape the generator; they must be in the page all the same."""
    from mapex.audit.log import Action
    from mapex.database import failpoints

    text = page("docs/codes.md")
    kinds = r"(?:permit|order|quote|offer|region|version|wallet|grant|upload|job)\.(?!id$|html$)[a-z][a-z_]+"
    words = {
        node.value
        for path in sources()
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(kinds, node.value)
    }
    assert sorted(w for w in words - {str(a) for a in Action} - set(failpoints.NAMES) if f"`{w}`" not in text) == []


@pytest.mark.parametrize("name", ["README.md", "web/templates/sell/upload.html"])
def test_every_format_that_is_read_is_named(name: str) -> None:
    from ingest.formats import FORMATS

    text = page(name).lower()
    words = {word.strip("().,") for one in FORMATS for word in one.title.lower().split() if not word.startswith("(.")}
    assert sorted(word for word in words if word not in text) == []


def test_every_unit_of_price_is_in_the_sellers_guide() -> None:
    from mapex.rules.pricing import UNITS

    assert [unit for unit in UNITS if f"`{unit}`" not in page("docs/seller.md")] == []


@pytest.mark.parametrize("name", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))])
def test_links_between_pages_lead_somewhere(name: str) -> None:
    text = page(name)
    here = (ROOT / name).parent
    links = [
        link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http://", "https://", "#", "mailto:"))
    ]
    assert [link for link in links if link and not (here / link).exists()] == []


def test_no_page_names_a_machine_path_or_a_registry_host() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    machine = r"/work/(?:main|shared)|/root/\.(?!ssh)|/tmp/bash_jobs"
    registry = r"registry\.npmjs|files\.pythonhosted|pypi\.org/simple|proxy\.golang"
    pattern = re.compile(f"{machine}|{registry}")
    this = str(Path(__file__).relative_to(ROOT))
    guilty = []
    for name in files:
        path = ROOT / name
        if name == this or path.suffix in (".png", ".jpg", ".lock"):
            continue
        if pattern.search(path.read_text(encoding="utf-8", errors="replace")):
            guilty.append(name)
    assert guilty == []


HELP = """
import sys
sys.argv = ["mapex", "--help"]
from mapex.cli import main
try:
    main()
except SystemExit:
    pass
print("LOADED", *sys.modules)
"""
HEAVY = {"numpy", "pyarrow", "shapely", "sqlalchemy", "flask", "geopandas", "open3d", "pyproj", "laspy", "minio", "dask", "rich"}


def test_help_of_the_command_line_imports_no_heavy_library() -> None:
    out = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert HEAVY.isdisjoint(out.partition("LOADED ")[2].split())


def test_a_look_at_a_file_imports_no_heavy_library_outside_of_the_cage() -> None:
    code = "import sys; import ingest.conversion.dry_run; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert HEAVY.isdisjoint(out.split())
