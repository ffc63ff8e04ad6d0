"""Scripts are in rooms that import in one direction, what templates and scripts name is there, and no line of theirs is too wide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import web

WEB = Path(web.__file__).parent
SCRIPTS = WEB / "static" / "js"
TEMPLATES = WEB / "templates"

WIDEST = 140
ROOMS = [
    ("base", ()),
    ("map", ("base",)),
    ("preview", ("base", "map")),
    ("upload/sniff", ()),
    ("upload", ("base", "map", "upload/sniff")),
    ("explore", ("base", "map", "preview")),
    ("showroom", ("base", "map")),
    ("sell", ("base", "map", "upload")),
    ("order", ("base", "map")),
    ("audit", ("base", "map")),
    ("account", ("base", "map")),
]
"""Each room, after those that it may import from."""

STATIC = re.compile(r'\bfrom "(\.[^"]+)"|^import "(\.[^"]+)"', re.MULTILINE)
DYNAMIC = re.compile(r'\bimport\("(\.[^"]+)"\)|\bnew URL\("(\.[^"]+)", import\.meta\.url\)')
COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.MULTILINE | re.DOTALL)


def scripts() -> list[Path]:
    return sorted(SCRIPTS.rglob("*.js"))


def room_of(path: Path) -> str:
    return path.parent.relative_to(SCRIPTS).as_posix()


def imports(path: Path, *patterns: re.Pattern[str], text: str | None = None) -> Iterator[Path]:
    """The files that a script names: imported, fetched when needed, started as a worker, or looked at for a type."""
    text = path.read_text(encoding="utf-8") if text is None else text
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield (path.parent / next(name for name in match.groups() if name)).resolve()


def test_every_script_is_in_a_room_that_is_declared() -> None:
    assert {room_of(path) for path in scripts()} == {room for room, _ in ROOMS}


def test_the_declared_order_has_no_circle() -> None:
    names = [room for room, _ in ROOMS]
    for at, (room, sources) in enumerate(ROOMS):
        assert set(sources) <= set(names[:at]), room


@pytest.mark.parametrize(("room", "sources"), ROOMS)
def test_a_room_imports_only_from_those_before_it(room: str, sources: tuple[str, ...]) -> None:
    found = set()
    for path in (path for path in scripts() if room_of(path) == room):
        for target in imports(path, STATIC, DYNAMIC):
            assert target.is_file(), f"{path.relative_to(SCRIPTS)} names {target}"
            assert room_of(target) in {room, *sources}, f"{path.relative_to(SCRIPTS)} imports {target.relative_to(SCRIPTS)}"
            found.add(room_of(target))
    assert found - {room} == set(sources), "allowed, but not used"


def test_no_scripts_import_each_other_in_a_circle() -> None:
    """Types apart, which stand in comments and are gone when a script runs."""
    graph = {}
    for path in scripts():
        graph[path] = set(imports(path, STATIC, DYNAMIC, text=COMMENT.sub("", path.read_text(encoding="utf-8"))))
    assert sum(map(len, graph.values())) > 150
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(path.relative_to(SCRIPTS).as_posix() for path in error.args[1]))


def test_every_script_is_used() -> None:
    loaded = set(re.findall(r"static_url\('(js/[^']+)'\)", "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))))
    named = {target for path in scripts() for target in imports(path, STATIC, DYNAMIC)}
    assert {path for path in scripts() if path not in named} <= {WEB / "static" / name for name in loaded}


def test_a_script_of_every_page_tells_when_it_is_ready() -> None:
    """The tests of pages wait for it (`tests.support.pages.AT_REST`); `base/form.js` does it for pages of forms alone."""
    for path in TEMPLATES.rglob("*.html"):
        names = re.findall(r"static_url\('(js/[^']+)'\)", path.read_text(encoding="utf-8"))
        texts = [(WEB / "static" / name).read_text(encoding="utf-8") for name in names if not re.search(r"(header|permit)\.js$", name)]
        assert not texts or any("documentElement.dataset.ready" in text or "dataset.forms" in text for text in texts), path.name


def test_templates_name_files_that_are_there() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"static_url\('([^']+)'\)", text):
            assert (WEB / "static" / name).is_file(), f"{path.relative_to(TEMPLATES)} loads {name}"
        for name in re.findall(r"\{%-? *(?:extends|include|import|from) *[\"']([^\"']+)", text):
            assert (TEMPLATES / name).is_file(), f"{path.relative_to(TEMPLATES)} takes {name}"


def test_every_template_is_used() -> None:
    sources = [*(path for path in WEB.rglob("*.py") if "static" not in path.parts), *TEMPLATES.rglob("*.html")]
    named = set(re.findall(r"[\"']([\w/]+\.html)[\"']", "".join(path.read_text(encoding="utf-8") for path in sources)))
    assert {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")} == named


def test_no_line_is_wide() -> None:
    """The formatters leave comments and long texts as they are: a sentence of a template may be several strings, side by side."""
    for path in (path for ending in ("js", "css", "html") for path in WEB.rglob(f"*.{ending}") if "vendor" not in path.parts):
        wide = [at for at, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > WIDEST]
        assert not wide, f"{path.relative_to(WEB)}: lines {wide}"
