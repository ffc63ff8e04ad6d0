"""`mapex doctor`: every extra with the line that installs it, and the Dask cluster."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mapex.cli.server import health
from mapex.client import jobs
from tiles import extras

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_every_extra_of_the_project_is_looked_at() -> None:
    named = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(extras.EXTRAS) == set(named)


@pytest.mark.parametrize("extra", list(extras.EXTRAS))
def test_an_absent_extra_is_named_with_the_line_that_installs_it(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, real = extras.EXTRAS[extra][0][-1], importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else real(name))
    (found,) = [one for one in health._extras() if one.name == f"extra {extra}"]
    assert found.fix == f'pip install "mapex[{extra}]"'
    assert module in found.message and "not installed" in found.message
    assert found.state == ("ok" if extra == "dev" else "warning")


def versions(workers: dict[str, str], scheduler: str = "2026.8.0") -> dict[str, Any]:
    def one(version: str) -> dict[str, Any]:
        return {"packages": {"python": "3.11.9.final.0", "distributed": version}}

    return {"client": one("2026.8.0"), "scheduler": one(scheduler), "workers": {name: one(v) for name, v in workers.items()}}


def states(found: list[health.Symptom]) -> dict[str, str]:
    return {one.name: one.state for one in found}


def test_a_cluster_with_equal_versions_is_well() -> None:
    found = health._cluster_symptoms("tcp://x:8786", versions({"a": "2026.8.0", "b": "2026.8.0"}))
    assert states(found) == {"scheduler": "ok", "dask workers": "ok", "dask versions": "ok"}
    assert "2 running" in found[1].message


def test_a_cluster_without_workers_is_not() -> None:
    found = health._cluster_symptoms("tcp://x:8786", versions({}))
    assert states(found)["dask workers"] == "missing" and found[1].fix == "dask worker tcp://x:8786"


def test_unequal_versions_are_named() -> None:
    found = health._cluster_symptoms("tcp://x:8786", versions({"a": "2025.1.0"}))
    assert states(found)["dask versions"] == "warning" and "worker a has distributed 2025.1.0, here is 2026.8.0" in found[2].message


class Bar:
    def __init__(self) -> None:
        self.texts: list[str | None] = []

    def update(self, done: float, total: float | None = None, text: str | None = None) -> None:
        self.texts.append(text)


@pytest.mark.parametrize(
    ("job", "line"),
    [
        ({"state": "running", "progress": {"stage": "scheduler"}}, "Waiting for the Dask scheduler; the job goes on by itself."),
        ({"state": "running", "progress": {"stage": "workers"}}, "Waiting for Dask workers; the job goes on by itself."),
        ({"state": "queued", "error": {"message": "The store is away."}}, "The job waits: The store is away."),
        ({"state": "running", "progress": {"stage": "read"}}, ""),
    ],
)
def test_what_a_job_waits_for_is_said_once(job: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(jobs, "tell", said.append)
    told = jobs._show(Bar(), job, "")
    assert jobs._show(Bar(), job, told) == told == line
    assert said == ([line] if line else [])


def test_a_job_that_waited_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"state": "running", "progress": {"stage": "workers"}}, {"state": "done", "progress": {"stage": "draft"}}])
    monkeypatch.setattr(jobs.time, "sleep", lambda seconds: None)
    jobs.wait_for(SimpleNamespace(call=lambda *given, **more: next(answers)), "job_1")  # type: ignore[arg-type]


STREETS = {"": [], "https://tiles.example/korea.pmtiles": [], "town.pmtiles": ["ok"], "gone.pmtiles": ["missing"], "style.json": ["broken"]}


@pytest.mark.parametrize(("named", "states"), STREETS.items())
def test_a_basemap_that_is_absent_or_no_map_is_named(named: str, states: list[str], tmp_path: Path) -> None:
    (tmp_path / "town.pmtiles").write_bytes(b"PMTiles\x03")
    (tmp_path / "style.json").write_text("{}")
    assert [one.state for one in health.basemap_of(tmp_path, named)] == states
