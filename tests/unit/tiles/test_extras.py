"""An extra that is absent is named with the line that installs it, by the tool that installed mapex."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from tiles import extras
from tiles.errors import ExtraMissing

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

Install = Callable[..., None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Says how mapex was installed: which file its tool left, from where it came, and which modules are there."""

    def install(mark: str = "", origin: dict[str, object] | None = None, there: tuple[str, ...] = ()) -> None:
        if mark:
            (tmp_path / mark).touch()
        text = json.dumps(origin) if origin else None
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace() if name in there else None)
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: text))

    return install


def test_pip_adds_one_extra_to_what_is_there(installed: Install) -> None:
    installed(there=("pip", "open3d"))
    assert extras.line("preview") == 'pip install "mapex[preview]"'


def test_an_environment_without_pip_was_made_by_uv(installed: Install) -> None:
    installed()
    assert extras.line("scale") == 'uv pip install "mapex[scale]"'


def test_tools_that_make_the_environment_anew_name_the_extras_that_are_there(installed: Install) -> None:
    installed("uv-receipt.toml", there=("open3d", "psycopg", "pytest", "ruff", "mypy"))
    assert extras.line("recordings") == 'uv tool install "mapex[pointcloud,recordings,postgres]"'
    assert extras.line("dev") == 'uv tool install "mapex[pointcloud,postgres,dev]"'


def test_pipx_does_it_again_only_when_forced(installed: Install) -> None:
    installed("pipx_metadata.json")
    assert extras.line("recordings") == 'pipx install "mapex[recordings]" --force'


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ({"url": "file:///tmp/mapex-0.1.0-py3-none-any.whl"}, "file:///tmp/mapex-0.1.0-py3-none-any.whl"),
        ({"url": "https://example.org/m.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, "git+https://example.org/m.git@abc"),
    ],
)
def test_what_did_not_come_from_a_registry_is_taken_from_where_it_came(origin: dict[str, object], address: str, installed: Install) -> None:
    installed("uv-receipt.toml", origin)
    assert extras.line("scale") == f'uv tool install "mapex[scale] @ {address}"'


@pytest.mark.parametrize("extra", list(extras.EXTRAS))
def test_a_module_of_an_extra_that_cannot_be_imported_is_the_extra(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in extras.EXTRAS[extra][0]:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ExtraMissing) as why, extras.needed():
            __import__(module)
        assert (why.value.code, why.value.details["run"]) == ("extra.missing", extras.line(extra))
        assert module in why.value.message and extras.line(extra) in why.value.message


def test_another_module_that_is_missing_stays_the_fault_that_it_is() -> None:
    with pytest.raises(ModuleNotFoundError), extras.needed():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        extras.load("tiles.no_such_module")


def test_the_modules_of_an_extra_are_those_of_its_distributions() -> None:
    owners = {module: {name.lower().replace("_", "-") for name in names} for module, names in packages_distributions().items()}
    for extra, (modules, _) in extras.EXTRAS.items():
        named = {Requirement(line).name.lower() for line in PROJECT["optional-dependencies"][extra]}
        assert [module for module in modules if not owners[module] & named] == [], extra
