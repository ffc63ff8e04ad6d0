"""What outsiders install: the wheel, in empty environments, without extras and with each of them. Every command works, or names the one
line that installs what it lacks; what others have put in the place of our packages is named too."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.formats import FORMATS
from mapex.cli import COMMANDS
from mapex.cli.output import EXIT_CODES
from tests.support import wheel as wheels
from tests.support.needs import REQUIRED
from tests.support.reader_examples import MADE, RECORDS
from tests.support.wheel import ROOT, Environment

NEEDS = {"mcap": "recordings", "rosbag1": "recordings", "rosbag2": "recordings"}
"""Formats of `ingest.formats` that an extra reads."""

EACH = "\n".join(
    (
        "import click",
        "from mapex.cli import COMMANDS, cli",
        "def show(name, command, above):",
        "    context = click.Context(command, info_name=name, parent=above)",
        "    assert command.get_help(context).startswith('Usage: mapex '), name",
        "    print(context.command_path)",
        "    for inner, one in getattr(command, 'commands', {}).items():",
        "        show(inner, one, context)",
        "top = click.Context(cli, info_name='mapex')",
        "for name in COMMANDS:",
        "    show(name, cli.get_command(top, name), top)",
    )
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Beside the environment of the tests, whose files are linked: that works only on one disk."""
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=cache, ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    return wheels.build(folder)


@pytest.fixture(scope="module")
def core(folder: Path, wheel: Path) -> Environment:
    return wheels.environment(folder / "core", wheel)


def line(extra: str) -> str:
    """What the environments of these tests, which have no pip of their own, are told to run."""
    return f'`uv pip install "mapex[{extra}]"`'


def answer(done: subprocess.CompletedProcess[str], status: int = 0) -> Any:
    """The JSON of a command that ended with this status; never is there a traceback."""
    assert done.returncode == status and "Traceback" not in done.stderr, (done.args, done.stdout, done.stderr)
    return json.loads(done.stdout)


def lacks(done: subprocess.CompletedProcess[str], extra: str, status: str = "Unavailable") -> None:
    """The command says that the extra is missing, and nothing else."""
    error = answer(done, EXIT_CODES[status])["error"]
    assert error["code"] == "extra.missing" and line(extra) in error["message"], error
    assert done.stderr.strip() == error["message"]


def test_the_wheel_holds_what_its_pages_and_readers_need(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} - {"mapex-0.1.0.dist-info"} == {"mapex", "tiles", "ingest", "web"}
    korean = {"web/translations/ko/LC_MESSAGES/messages.mo", "web/translations/ko/findings.toml"}
    needed = {"web/static/vendor/manifest.json", "web/templates/base/error.html", "ingest/readers/vector/ngii_codes.toml", *korean}
    if REQUIRED:
        needed.add("ingest/models/centerface.onnx")
    assert needed - {*names} == set()
    assert any(name.startswith("web/static/vendor/maplibre-gl") for name in names)


def test_each_command_has_its_help(core: Environment) -> None:
    done = core.python("-P", "-c", EACH)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert {f"mapex {name}" for name in COMMANDS} <= {*shown} and len(shown) > len(COMMANDS)


@pytest.mark.parametrize("name", [one.name for one in FORMATS])
def test_each_format_is_read_or_the_line_is_named(name: str, core: Environment, tmp_path: Path) -> None:
    given = MADE[name].make(tmp_path)
    crs = ["--crs", MADE[name].placement.crs] if MADE[name].placement.crs else []
    done = core.run("inspect", given, *crs, "--json")
    if name in NEEDS:
        lacks(done, NEEDS[name], "Invalid")
    else:
        assert done.returncode in (0, EXIT_CODES["not publishable"]), done.stderr
        assert answer(done, done.returncode)["counts"]["placed"] == RECORDS


def test_tiles_are_cut_recounted_and_joined(core: Environment, tmp_path: Path) -> None:
    given = MADE["geojson"].make(tmp_path)
    assert answer(core.run("tile", given, "--out", tmp_path / "tiles", "--recount", "--json"))["tiles"] == 1
    assert answer(core.run("join", tmp_path / "tiles", "--out", tmp_path / "map.gpkg", "--json"))["features"] == RECORDS


def test_photos_need_nothing_of_what_reads_recordings(core: Environment, tmp_path: Path) -> None:
    given = MADE["photos"].make(tmp_path)
    assert answer(core.run("tile", given, "--out", tmp_path / "tiles", "--recount", "--json"))["tiles"] == 1
    lacks(core.run("tile", MADE["mcap"].make(tmp_path), "--out", tmp_path / "none", "--json"), "recordings", "Invalid")


def test_previews_of_photos_are_made_without_pictures_and_name_the_line(core: Environment) -> None:
    done = core.python("-P", "-c", "import ingest.previews.frames; from ingest.previews.blur import why_not; print(why_not())")
    assert done.returncode == 0, done.stderr
    assert line("preview") in done.stdout


def test_a_new_exchange_is_made_and_is_well(core: Environment, tmp_path: Path) -> None:
    answer(core.run("init", "--dir", tmp_path / "ex", "--json"))
    settings = {"MAPEX_DIR": str(tmp_path / "ex")}
    answer(core.run("org", "add", "hanbit", "--name", "Hanbit", "--json", settings=settings))
    assert answer(core.run("fsck", "--deep", "--json", settings=settings))["ok"]
    checks = {one["name"]: one for one in answer(core.run("doctor", "--json", settings=settings))["checks"]}
    assert checks["packages"]["state"] == checks["database"]["state"] == checks["browser libraries"]["state"] == "ok"
    for extra in ("pointcloud", "recordings", "preview", "postgres", "scale"):
        assert (checks[f"extra {extra}"]["state"], checks[f"extra {extra}"]["fix"]) == ("warning", line(extra).strip("`"))
    assert core.run("worker", "--once", settings=settings).returncode == 0
    elsewhere = settings | {"MAPEX_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    lacks(core.run("fsck", "--json", settings=elsewhere), "postgres")
    served = core.run("serve", "--processes", "2", settings=settings)
    assert served.returncode == EXIT_CODES["Unavailable"] and line("scale") in served.stderr and "listens" not in served.stderr


def test_the_demo_is_made_without_recordings_and_tells_so(core: Environment, tmp_path: Path) -> None:
    (tmp_path / "ingest").mkdir()
    (tmp_path / "ingest" / "__init__.py").write_text("raise SystemExit('a folder of somebody else')")
    done = core.run("demo", "--exit", "--dir", tmp_path / "demo", where=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert "mapex is open" in done.stdout and line("recordings") in done.stdout and "pangyo-drive" in done.stdout
    settings = {"MAPEX_DIR": str(tmp_path / "demo")}
    assert answer(core.run("fsck", "--json", settings=settings))["ok"]


USES = {
    "pointcloud": "import numpy; from ingest.previews.still import surface_of; assert surface_of(numpy.eye(3), None, 1.0) is not None",
    "recordings": "import mapex.cli.demo.drive as d, pathlib; d.write_drive(pathlib.Path('drive.mcap'), seconds=2)",
    "preview": "from ingest.previews import blur; assert not blur.MODEL.is_file() or not blur.why_not(), blur.why_not()",
    "postgres": "from mapex.database import db; import psycopg",
    "scale": "import mapex.cli.server.processes; from ingest.conversion.pool import ClusterPool; ClusterPool('tcp://127.0.0.1:1')",
}
"""What each extra gives."""


@pytest.mark.parametrize("extra", list(USES))
def test_an_extra_gives_what_it_is_for_and_leaves_the_others_named(extra: str, folder: Path, wheel: Path, tmp_path: Path) -> None:
    made = wheels.environment(folder / extra, wheel, [extra])
    used = made.python("-P", "-c", USES[extra])
    assert used.returncode == 0, used.stderr
    checks = {one["name"]: one["state"] for one in answer(made.run("doctor", "--json"))["checks"]}
    assert {name.removeprefix("extra ") for name, state in checks.items() if name.startswith("extra ") and state == "ok"} == {extra, "dev"}
    if extra == "recordings":
        done = made.run("tile", MADE["mcap"].make(tmp_path), "--out", tmp_path / "tiles", "--recount", "--json")
        assert answer(done)["tiles"] == 1
    shutil.rmtree(made.folder)


# ---- what stands where our packages are -----------------------------------------------------------------------------------------------


def a_wheel(folder: Path, files: dict[str, str]) -> Path:
    """The wheel of a distribution `web.py`."""
    about = "web.py-0.62.dist-info"
    files = {
        **files,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: web.py\nVersion: 0.62\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(text)}\n")
    path = folder / "web.py-0.62-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{about}/RECORD": "".join(rows) + f"{about}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return path


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == EXIT_CODES["Conflict"] and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert [word for word in words if word not in done.stderr] == []


def test_another_distribution_that_owns_web_is_named(folder: Path, wheel: Path, tmp_path: Path) -> None:
    made = wheels.environment(folder / "shared", wheel)
    wheels.install(made, a_wheel(tmp_path, {"web/__init__.py": "application = None\n", "web/db.py": ""}))
    found = [one for one in answer(made.run("doctor", "--json"), 1)["checks"] if one["state"] == "missing"]
    assert [one["name"] for one in found] == ["package web"]
    assert "web.py" in found[0]["message"] and "uv tool install mapex" in found[0]["fix"]
    for words in (["serve"], ["worker", "--once"], ["demo", "--exit", "--dir", tmp_path / "demo"]):
        refused(made.run(*words), "web.py", "uv tool install mapex", "pipx install mapex")
    assert not (tmp_path / "demo").exists()
    wheels.uninstall(made, "web.py")  # takes `web/__init__.py` along, which is ours too
    refused(made.run("fsck"), "`web`", "incomplete", "uv tool install mapex")


def test_a_folder_that_hides_a_package_is_named_and_the_command_itself_is_not_misled(core: Environment, tmp_path: Path) -> None:
    for name in ("web", "tiles", "ingest"):
        there = tmp_path / name
        there.mkdir()
        (there / "__init__.py").touch()
        refused(core.python("-c", "from mapex.cli import main; main(['doctor'])", where=tmp_path), str(there), "python -P")
        shutil.rmtree(there)
    (tmp_path / "web").mkdir()  # without an __init__ it hides nothing
    assert core.python("-c", "from mapex.cli import main; main(['doctor'])", where=tmp_path).returncode == 0
    (tmp_path / "web" / "__init__.py").touch()
    assert core.run("doctor", where=tmp_path).returncode == 0
