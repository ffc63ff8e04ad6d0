"""Nothing that a person can set, call or meet is undocumented, and what the README tells people to type works."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tiles", "mapex", "ingest", "web")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sources() -> list[Path]:
    return [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]


def test_each_setting_is_in_the_configuration_page() -> None:
    from dataclasses import fields

    from mapex.config import Settings

    text = page("docs/configuration.md")
    missing = [f"MAPEX_{f.name.upper()}" for f in fields(Settings) if f"`MAPEX_{f.name.upper()}`" not in text]
    assert missing == []


def test_each_command_and_option_is_in_the_command_page() -> None:
    import click

    from mapex.cli import COMMANDS, cli

    text = page("docs/cli.md")
    missing = []

    def look(name: str, command: click.Command) -> None:
        if f"`mapex {name}" not in text:
            missing.append(f"mapex {name}")
        section = text.partition(f"`mapex {name}")[2].partition("\n### ")[0]
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option not in ("--help", "--json") and option not in section:
                    missing.append(f"mapex {name} {option}")

    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            for sub, inner in command.commands.items():
                look(f"{name} {sub}", inner)
        else:
            look(name, command)
    assert missing == []


CODE = re.compile(r"^[a-z][a-z_]*\.[a-z][a-z0-9_.]*$")
RAISERS = {"Invalid", "NotFound", "Denied", "Conflict", "Unpaid", "Unavailable"}
FINDERS = {"error", "warning", "info", "Finding"}


def codes_in(tree: ast.AST) -> set[str]:
    """Stable codes in a module: first text argument of our errors, first (or second) of findings, `code=` of tile errors."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        texts += [
            k.value.value for k in node.keywords if k.arg == "code" and isinstance(k.value, ast.Constant) and isinstance(k.value.value, str)
        ]
        if name in RAISERS | FINDERS or any(k.arg == "code" for k in node.keywords):
            found |= {t for t in texts if CODE.match(t)}
    return found


def test_each_error_and_finding_code_is_in_the_code_page() -> None:
    text = page("docs/codes.md")
    missing = {code for path in sources() for code in codes_in(ast.parse(path.read_text(encoding="utf-8"))) if f"`{code}`" not in text}
    assert sorted(missing) == []


def test_the_code_page_names_no_code_that_is_gone() -> None:
    everything = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    documented = re.findall(r"^\| `([a-z][a-z_]*\.[a-z0-9_.]+)`", page("docs/codes.md"), re.MULTILINE)
    assert [code for code in documented if f'"{code}"' not in everything] == []


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
    pattern = re.compile(r"/work/|/root/|/tmp/bash_jobs|registry\.npmjs|files\.pythonhosted|pypi\.org/simple|proxy\.golang")
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
