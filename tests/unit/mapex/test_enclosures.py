"""README and licences beside downloaded tiles: written again at each run, over nothing of somebody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mapex.client import enclosures, manifest
from mapex.errors import Invalid
from mapex.rules.file_names import portable

README = {"path": "README.txt", "text": "order 1: 지도\n"}
LICENCE = {"path": "LICENCE-share-alike.txt", "text": "terms\n"}


def written(folder: Path, *texts: dict[str, Any]) -> list[str]:
    """What a run leaves: names of the texts, and a manifest that lists them."""
    listed = enclosures.write(folder, texts)
    manifest.write(folder, {"id": "ord_1"}, [], {"files": 0, "bytes": 0}, listed)
    return [one["path"] for one in listed]


def test_a_later_run_replaces_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    assert written(tmp_path, README, LICENCE) == ["README.txt", "LICENCE-share-alike.txt"]
    assert written(tmp_path, {**README, "text": "order 2"}) == ["README.txt"]
    assert (tmp_path / "README.txt").read_text() == "order 2"
    listed = json.loads((tmp_path / "_manifest.json").read_text())["enclosures"]
    assert enclosures.written(tmp_path) == {"README.txt": listed[0]["sha256"]}
    assert not list(tmp_path.glob("*.part"))


def test_a_file_of_the_reader_stays_and_the_text_gets_another_name(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("my notes")
    for _ in range(2):
        assert written(tmp_path, README) == ["README-mapex.txt"]
    (tmp_path / "README-mapex.txt").unlink()
    (tmp_path / "README.txt").unlink()
    assert written(tmp_path, README) == ["README.txt"]
    (tmp_path / "README.txt").write_text("changed by the reader")
    assert written(tmp_path, README) == ["README-mapex.txt"]
    assert (tmp_path / "README.txt").read_text() == "changed by the reader"


@pytest.mark.parametrize(
    "name", ["../README.txt", "a/README.txt", "_manifest.json", "README", "roads.parquet", "readme.txt", "README.txt\n"]
)
def test_an_exchange_that_names_another_file_writes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        enclosures.write(tmp_path, [{"path": name, "text": "x"}])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["README.txt", "readme.txt", "Licence-research.txt", "licence-research.txt"])
def test_no_tile_has_the_name_of_a_text_on_any_disk(name: str) -> None:
    assert "~" in portable(name), "a name of the exchange that is ours gets a number"
