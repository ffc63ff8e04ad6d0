"""The surroundings of an exchange: modes of its files, where it lives, and in which cage whose files are opened."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.cage import launch
from ingest.worker import loop, trust
from mapex import config
from mapex.catalogue import requests
from mapex.cli.server import surroundings
from mapex.errors import Invalid, Unavailable
from mapex.exchange import Exchange
from mapex.intake import jobs
from tests.support.exchange import a_person, an_exchange, an_upload, settings
from tests.support.processes import MAPEX


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def opened(folder: Path) -> list[str]:
    """What of a folder others can touch, but for links."""
    found = [path for path in folder.rglob("*") if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    return sorted(str(path.relative_to(folder)) for path in found)


def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")}
    return subprocess.run([*MAPEX, *map(str, arguments)], env={**clean, **environ}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_nothing_of_an_exchange_in_a_folder_made_beforehand_is_open_to_others(tmp_path: Path, mode: int) -> None:
    place = tmp_path / "ex"
    place.mkdir()
    place.chmod(mode)
    with umask(0):
        made = run("init", "--dir", place, "--json")
        assert made.returncode == 0, made.stderr
        assert run("org", "add", "hanbit", MAPEX_DIR=str(place)).returncode == 0
        assert run("worker", "--once", MAPEX_DIR=str(place)).returncode == 0
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert (place / "mapex.db").exists() and opened(place) == []


def test_work_and_objects_are_closed_whatever_the_umask(tmp_path: Path) -> None:
    with umask(0):
        config.initialise(tmp_path / "deep" / "down", {})
        ex = an_exchange(tmp_path / "deep" / "down")
        seller = a_person(ex, "hanbit")
        upload = an_upload(ex, seller, "map.geojson", b'{"type":"FeatureCollection","features":[]}')
        requests_of(ex, seller, upload.id)
        seen: list[str] = []
        job = jobs.claim(ex, "w")
        assert job is not None
        from ingest.worker import pipeline

        real = pipeline.read_all

        def look(*arguments: object) -> object:
            seen.extend(opened(ex.settings.dir))
            seen.append("looked")
            return real(*arguments)  # type: ignore[arg-type]

        pipeline.read_all = look  # type: ignore[assignment]
        try:
            pipeline.build(ex, job)
        finally:
            pipeline.read_all = real
        ex.engine.dispose()
    closed_above = [name for name in seen if not name.startswith("work/job_")]
    assert closed_above == ["looked"] and opened(tmp_path) == []


def requests_of(ex: Exchange, seller: object, upload: str) -> None:
    from mapex.catalogue import datasets

    datasets.create_dataset(ex, seller, "map")  # type: ignore[arg-type]
    requests.start_version(ex, seller, "map", [upload])  # type: ignore[arg-type]


def test_what_an_older_version_left_open_is_closed_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ex = an_exchange(tmp_path / "ex")
    ex.engine.dispose()
    (tmp_path / "ex" / "mapex.db").chmod(0o644)
    (tmp_path / "ex" / "objects").chmod(0o755)
    an_exchange(tmp_path / "ex").engine.dispose()
    assert opened(tmp_path / "ex") == []
    assert "mapex.db had mode 644" in caplog.text and "objects had mode 755" in caplog.text


def test_a_folder_that_is_everybodys_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o1777)
    refused = run("init", "--dir", place)
    assert refused.returncode == 2 and "Choose a folder of your own" in refused.stderr
    assert list(place.iterdir()) == []


def test_a_printed_env_file_is_closed(tmp_path: Path) -> None:
    with umask(0o022), (tmp_path / ".env").open("wb") as file:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")}
        done = subprocess.run([*MAPEX, "init", "--compose"], stdout=file, stderr=subprocess.PIPE, env=clean, check=True, text=True)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert "only you can read" in done.stderr


# ---- where it lives ---------------------------------------------------------------------------------------------------------------


def test_an_exchange_that_the_cage_shows_is_refused_by_every_command(tmp_path: Path) -> None:
    inside = Path(sys.prefix) / "mapex-test-exchange"
    refused = run("init", "--dir", inside)
    assert refused.returncode == 2 and "Move it out of there" in refused.stderr and not inside.exists()
    assert run("init", "--dir", "/usr/share/mapex-test-exchange").returncode == 2
    real = tmp_path / "ex"
    config.initialise(real, {})
    for variable, place in (("MAPEX_STORE_DIR", inside), ("MAPEX_DATABASE_URL", f"sqlite:///{inside}/x.db")):
        for command in (("serve",), ("worker", "--once"), ("fsck",)):
            refused = run(*command, MAPEX_DIR=str(real), **{variable: str(place)})
            assert refused.returncode == 2 and "Move it out of there" in refused.stderr, command
    assert not inside.exists()


def test_a_link_into_the_cage_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(sys.prefix)
    with pytest.raises(Invalid) as refused:
        surroundings.check_place(tmp_path / "link" / "ex")
    assert refused.value.code == "exchange.in_cage"


def test_what_is_refused_is_all_that_the_cage_binds(tmp_path: Path) -> None:
    walls = launch._walls([(tmp_path, "/in")], None, launch.Limits(), {})
    bound = {Path(there).resolve() for flag, there in zip(walls, walls[1:], strict=False) if flag == "--ro-bind"} - {tmp_path}
    assert bound <= set(launch.visible())


# ---- which cage -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def weak(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without bubblewrap."""
    launch.level.cache_clear()
    monkeypatch.setattr(launch, "_bwrap", lambda: None)
    yield
    launch.level.cache_clear()


@pytest.mark.parametrize("cage", ["auto", "rlimits", "bubblewrap"])
@pytest.mark.usefixtures("weak")
def test_a_worker_without_bubblewrap_does_not_start(tmp_path: Path, cage: str) -> None:
    ex = an_exchange(tmp_path / "ex", cage=cage)
    with pytest.raises(Unavailable, match="apt-get install bubblewrap") as refused:
        loop.run(ex, threading.Event(), once=True)
    assert refused.value.code == ("cage.missing" if cage == "bubblewrap" else "cage.weak")
    ex.engine.dispose()


@pytest.mark.usefixtures("weak")
def test_a_weak_cage_takes_maps_of_the_named_firm_only(tmp_path: Path) -> None:
    ex = an_exchange(tmp_path / "ex", cage_weak_for="own")
    states = {}
    for org, name in (("own", "map.geojson"), ("hanbit", "map.geojson"), ("own", "drive.mcap")):
        by = a_person(ex, org)
        upload = an_upload(ex, by, name, b'{"type":"FeatureCollection","features":[]}')
        from mapex.catalogue import datasets

        datasets.create_dataset(ex, by, f"d{len(states)}")
        _, job = requests.start_version(ex, by, f"d{len(states)}", [upload.id])
        states[org, name] = (by, job.id)
    loop.run(ex, threading.Event(), once=True)
    ended = {key: jobs.get(ex, by, job) for key, (by, job) in states.items()}
    assert ended["own", "map.geojson"].state == "done"
    for key in (("hanbit", "map.geojson"), ("own", "drive.mcap")):
        assert ended[key].state == "queued" and (ended[key].error or {})["code"] == "cage.weak"
    ex.engine.dispose()


def test_what_turns_out_to_be_footage_is_not_taken_by_a_weak_cage(tmp_path: Path) -> None:
    named = settings(tmp_path / "ex", cage_weak_for="own")
    trust.check_read(named, launch.Level.BUBBLEWRAP, ["camera"])
    trust.check_read(named, launch.Level.RLIMITS, [])
    with pytest.raises(Invalid) as refused:
        trust.check_read(named, launch.Level.RLIMITS, ["camera"])
    assert refused.value.code == "cage.footage"
    for names, classes in ((["a.JPG"], {}), (["a.geojson"], {"*": "original"})):
        with pytest.raises(Unavailable):
            trust.check_files(named, launch.Level.RLIMITS, names, classes)
