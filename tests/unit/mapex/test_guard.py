"""The collision guard: what stands in the place of our packages is named, and what is beside them is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapex.cli.output import EXIT_CODES, fail
from mapex.cli.server import guard, health


def a_distribution(folder: Path, name: str, **files: str) -> None:
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    for file, text in files.items():
        (about / file).write_text(text)


def test_here_nothing_collides() -> None:
    assert guard.collisions() == []
    guard.check()
    assert health._packages()[0].state == "ok"


@pytest.mark.parametrize("row", ["web/__init__.py,sha256=x,1", '"web/a,b.py",,', "web/deep/er.py,,"])
def test_who_writes_into_our_folder_owns_it_too(row: str, tmp_path: Path) -> None:
    a_distribution(tmp_path, "web.py", RECORD=f"web_py.txt,,\n{row}\n")
    assert guard._owners(tmp_path, "web") == ["web.py"]
    assert guard._owners(tmp_path, "tiles") == []


def test_names_that_only_begin_like_ours_are_nobodys_business(tmp_path: Path) -> None:
    rows = "webtest/__init__.py,,\nweb.py,,\nsite/web/__init__.py,,\nmapex-0.1.0.dist-info/RECORD,,\ningestion/web/x.py,,\n"
    a_distribution(tmp_path, "webtest", RECORD=rows)
    a_distribution(tmp_path, "mapex", RECORD="web/__init__.py,,\ntiles/__init__.py,,\n")
    assert [guard._owners(tmp_path, name) for name in guard.PACKAGES] == [[], [], [], []]


def test_a_distribution_without_a_list_of_files_is_known_by_its_packages(tmp_path: Path) -> None:
    about = tmp_path / "tiler.egg-info"
    about.mkdir()
    (about / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tiler\nVersion: 1.0\n")
    (about / "top_level.txt").write_text("other\ntiles\n")
    assert guard._owners(tmp_path, "tiles") == ["tiler"]


def test_a_package_from_elsewhere_is_named_with_its_place_and_its_owner(tmp_path: Path) -> None:
    assert "PYTHONPATH" in guard._stranger("web", tmp_path / "web").fix
    a_distribution(tmp_path, "web.py", RECORD="web/__init__.py,,\n")
    assert "web.py" in guard._stranger("web", tmp_path / "web").message
    assert "incomplete" in guard._stranger("web", None).message


def test_a_name_that_a_stranger_does_not_have_is_reported_as_the_collision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = ImportError("cannot import name 'create_app' from 'web'")
    assert fail(missing, as_json=False) == EXIT_CODES["unexpected"]
    monkeypatch.setattr(guard, "_owners", lambda folder, package: ["web.py"] if package == "web" else [])
    assert fail(missing, as_json=False) == EXIT_CODES["Conflict"]
    assert "web.py" in capsys.readouterr().err
