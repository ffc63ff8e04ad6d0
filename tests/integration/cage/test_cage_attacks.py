"""What a reader that was taken over can do from inside the cage: nothing."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.cage import child, faults, launch
from ingest.cage.child import MIB, Ending, Limits
from mapex.catalogue.finding import Severity
from tests.support.needs import absent

SMALL = Limits(memory=512 * MIB, cpu_s=2, wall_s=6, file=8 * MIB, output=16 * MIB, scratch=8 * MIB)

BOTH = [
    pytest.param("bubblewrap", id="bubblewrap"),
    pytest.param("rlimits", id="rlimits"),
]


@pytest.fixture
def strong() -> str:
    """The full cage, where it works."""
    if launch._bwrap() is None:
        absent("bubblewrap does not work here")
    return "bubblewrap"


def attack(tmp_path: Path, code: str, choice: str, limits: Limits = SMALL) -> tuple[list[dict[str, Any]], Ending]:
    """Run `code` (the body of a caged task) with all the limits and walls of a real one."""
    reads, writes = tmp_path / "reads", tmp_path / "writes"
    reads.mkdir()
    writes.mkdir()
    body = textwrap.indent(textwrap.dedent(code), "    ")
    (reads / "attack.py").write_text(
        "import sys\nfrom ingest.tasks import program as caged\n"
        f"def run(request, emit):\n{body}\n"
        "caged.TASKS['attack'] = '__main__:run'\nif __name__ == '__main__':\n    sys.exit(caged.main())\n"
    )
    lines: list[dict[str, Any]] = []
    where = "/in" if choice == "bubblewrap" else str(reads)
    ending = launch.run(
        "attack",
        {},
        reads=reads,
        writes=writes,
        limits=limits,
        on_line=lines.append,
        choice=choice,
        program=(f"{where}/attack.py",),
    )
    return lines, ending


def require(choice: str) -> None:
    if choice == "bubblewrap" and launch._bwrap() is None:
        absent("bubblewrap does not work here")


def test_caged_child_sees_no_file_but_its_own(tmp_path: Path, strong: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    code = f"""
    import os
    seen = []
    paths = ["/etc/shadow", "/etc/passwd", {str(secret)!r}, "/root/.ssh", "/home", "/var", "/proc/1/environ", "/proc/1/root/etc/passwd"]
    for path in paths:
        try:
            seen.append([path, open(path, "rb").read(1000).decode() if not os.path.isdir(path) else os.listdir(path)])
        except OSError as why:
            seen.append([path, type(why).__name__])
    emit({{"seen": seen, "root": sorted(os.listdir("/"))}})
    """
    lines, ending = attack(tmp_path, code, strong)
    assert ending.done, ending
    seen = dict(lines[0]["seen"])
    assert seen["/etc/shadow"] == seen["/etc/passwd"] == seen[str(secret)] == seen["/root/.ssh"] == "FileNotFoundError"
    assert "root:" not in str(lines)
    assert "canary" not in str(lines)
    assert {"home", "var", "srv"}.isdisjoint(lines[0]["root"])


@pytest.mark.parametrize("choice", BOTH)
def test_caged_child_has_no_environment_of_the_worker(tmp_path: Path, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    require(choice)
    monkeypatch.setenv("MAPEX_SECRET_KEY", "canary-secret")
    lines, ending = attack(tmp_path, "import os\nemit({'env': dict(os.environ)})", choice)
    assert ending.done, ending
    assert "canary-secret" not in str(lines)
    assert not [name for name in lines[0]["env"] if name.startswith("MAPEX")]


def test_caged_child_sees_no_other_process(tmp_path: Path, strong: str) -> None:
    lines, _ = attack(tmp_path, "import os\nemit({'pids': [p for p in os.listdir('/proc') if p.isdigit()]})", strong)
    assert len(lines[0]["pids"]) <= 3
    assert str(os.getpid()) not in lines[0]["pids"] or os.getpid() <= 3


@pytest.mark.parametrize("choice", BOTH)
def test_a_child_that_closes_its_pipes_and_sleeps_ends_at_the_time_limit(tmp_path: Path, choice: str) -> None:
    require(choice)
    _, ending = attack(tmp_path, "import os, time\nos.closerange(0, 200)\ntime.sleep(60)", choice, replace(SMALL, wall_s=2))
    assert ending.limit == "time"
    assert ending.seconds < 30


@pytest.mark.parametrize("choice", BOTH)
def test_a_folder_that_the_child_closes_is_the_workers_again(tmp_path: Path, choice: str) -> None:
    require(choice)
    code = """
    import os
    out = request["writes"]
    os.mkdir(f"{out}/layer")
    open(f"{out}/layer/tile", "w").close()
    for path, mode in ((f"{out}/layer/tile", 0), (f"{out}/layer", 0), (out, 0o777)):
        os.chmod(path, mode)
    """
    attack(tmp_path, code, choice)
    modes = [stat.S_IMODE((tmp_path / "writes" / name).stat().st_mode) for name in (".", "layer", "layer/tile")]
    assert modes == [0o700, 0o700, 0o600]


def test_a_folder_that_cannot_be_measured_holds_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert child._size_of(tmp_path) > Limits().output


@pytest.mark.parametrize("choice", BOTH)
def test_caged_child_cannot_open_a_socket(tmp_path: Path, choice: str) -> None:
    require(choice)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        code = f"""
        import socket
        for family, address in ((socket.AF_INET, ("127.0.0.1", {listener.getsockname()[1]})), (socket.AF_UNIX, "/run/docker.sock")):
            try:
                socket.socket(family).connect(address)
                emit({{"connected": True}})
            except OSError as why:
                emit({{"refused": type(why).__name__}})
        """
        lines, ending = attack(tmp_path, code, choice)
        assert ending.done, ending
        assert lines == [{"refused": "PermissionError"}] * 2
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("choice", BOTH)
def test_caged_child_cannot_start_a_process_nor_bomb_with_forks(tmp_path: Path, choice: str) -> None:
    require(choice)
    code = """
    import os, subprocess
    try:
        while True:
            os.fork()
    except OSError as why:
        emit({"fork": type(why).__name__})
    try:
        subprocess.run(["/bin/true"])
    except OSError as why:
        emit({"exec": type(why).__name__})
    """
    lines, ending = attack(tmp_path, code, choice)
    assert ending.done, ending
    assert lines == [{"fork": "PermissionError"}, {"exec": "PermissionError"}]


@pytest.mark.parametrize("choice", BOTH)
def test_memory_bomb_ends_at_the_memory_limit(tmp_path: Path, choice: str) -> None:
    require(choice)
    _, ending = attack(tmp_path, "x = []\nwhile True:\n    x.append(bytearray(1 << 24))", choice)
    assert ending.limit == "memory", ending
    finding = faults.finding_of(ending, "bomb.las", SMALL)
    assert (finding.severity, finding.code) == (Severity.ERROR, "reader.limit_memory")
    assert "512 MiB" in finding.message


@pytest.mark.parametrize("choice", BOTH)
def test_endless_computing_ends_at_the_processor_limit(tmp_path: Path, choice: str) -> None:
    require(choice)
    _, ending = attack(tmp_path, "while True:\n    pass", choice, replace(SMALL, wall_s=300))
    assert ending.limit == "cpu", ending
    assert faults.finding_of(ending, "view.gpkg", SMALL).code == "reader.limit_cpu"


@pytest.mark.parametrize("choice", BOTH)
def test_endless_waiting_ends_at_the_time_limit(tmp_path: Path, choice: str) -> None:
    require(choice)
    started = time.monotonic()
    _, ending = attack(tmp_path, "import time\ntime.sleep(600)", choice, Limits(wall_s=1))
    assert ending.limit == "time", ending
    assert time.monotonic() - started < 300
    assert faults.finding_of(ending, "f", SMALL).code == "reader.limit_time"


@pytest.mark.parametrize("choice", BOTH)
@pytest.mark.parametrize("many", [False, True])
def test_huge_output_ends_at_the_output_limit(tmp_path: Path, choice: str, many: bool) -> None:
    require(choice)
    one = "f = open(request['writes'] + '/big', 'wb')\nwhile True:\n    f.write(bytes(1 << 20))"
    several = "n = 0\nwhile True:\n    n += 1\n    open(request['writes'] + f'/{n}', 'wb').write(bytes(4 << 20))"
    _, ending = attack(tmp_path, several if many else one, choice, Limits(cpu_s=20, wall_s=30, file=8 * MIB, output=64 * MIB))
    assert ending.limit == "output", ending
    assert faults.finding_of(ending, "f", SMALL).code == "reader.limit_output"


def test_endless_answer_ends_at_the_output_limit(tmp_path: Path, strong: str) -> None:
    _, ending = attack(tmp_path, "emit({'x': 'y' * (6 << 20)})", strong)
    assert ending.limit == "output", ending


def test_full_scratch_ends_at_the_output_limit(tmp_path: Path, strong: str) -> None:
    code = "import os\nfor n in range(100):\n    open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))"
    _, ending = attack(tmp_path, code, strong)
    assert ending.limit == "output", ending


def test_caged_child_can_write_nowhere_but_its_output(tmp_path: Path, strong: str) -> None:
    code = """
    for path in ("/in/attack.py", "/x", "/usr/x", "/dev/x", "/etc/x", request["writes"] + "/ok", "/tmp/ok"):
        try:
            open(path, "wb").write(b"x")
            emit({"wrote": path})
        except OSError as why:
            pass
    """
    lines, ending = attack(tmp_path, code, strong)
    assert ending.done, ending
    assert [line["wrote"] for line in lines] == ["/out/ok", "/tmp/ok"]


@pytest.mark.parametrize("choice", BOTH)
def test_what_a_caged_child_leaves_is_plain_files_that_only_the_worker_can_use(tmp_path: Path, choice: str) -> None:
    require(choice)
    code = """
    import os
    out = request["writes"]
    modes = {"setuid": 0o4755, "setgid": 0o2755, "sticky": 0o1644, "everybodys": 0o666, "program": 0o777, "plain": 0o600}
    for name, mode in modes.items():
        open(f"{out}/{name}", "wb").write(b"x")
        os.chmod(f"{out}/{name}", mode)
    os.mkfifo(f"{out}/pipe")
    os.symlink("/etc/passwd", f"{out}/link")
    os.link(f"{out}/plain", f"{out}/second")
    os.mkdir(f"{out}/shut")
    open(f"{out}/shut/inner", "wb").write(b"x")
    os.chmod(f"{out}/shut", 0)
    for name, kind in (("block", 0o060666), ("character", 0o020666)):
        try:
            os.mknod(f"{out}/{name}", kind, os.makedev(1, 3))
        except OSError:
            pass
    """
    _, ending = attack(tmp_path, code, choice)
    assert ending.done, ending
    left = {str(path.relative_to(tmp_path / "writes")): path.lstat().st_mode for path in (tmp_path / "writes").rglob("*")}
    assert left.pop("plain", None) != left.pop("second", None)  # one of the two names is left
    assert left == {"everybodys": 0o100600, "program": 0o100600, "shut": 0o040700, "shut/inner": 0o100600}


@pytest.mark.parametrize("choice", BOTH)
def test_crash_names_its_signal(tmp_path: Path, choice: str) -> None:
    require(choice)
    _, ending = attack(tmp_path, "import ctypes\nctypes.string_at(0)", choice)
    finding = faults.finding_of(ending, "deep.gpkg", SMALL)
    assert (finding.code, finding.value[:8]) == ("reader.crashed", "SIGSEGV "), ending


@pytest.mark.parametrize("choice", BOTH)
def test_child_dies_with_its_worker(tmp_path: Path, choice: str) -> None:
    require(choice)
    (tmp_path / "w").mkdir()
    beat = tmp_path / "w" / "beat"
    where = "/in" if choice == "bubblewrap" else str(tmp_path)
    (tmp_path / "beat.py").write_text(
        "import sys, time\nfrom ingest.tasks import program as caged\n"
        "def run(request, emit):\n"
        "    while True:\n        open(request['writes'] + '/beat', 'ab').write(b'.')\n        time.sleep(0.02)\n"
        "caged.TASKS['beat'] = '__main__:run'\nsys.exit(caged.main())\n"
    )
    worker = (
        "from pathlib import Path\nfrom ingest.cage import launch as sandbox\nfrom ingest.cage.child import Limits\n"
        f"sandbox.run('beat', {{}}, reads=Path({str(tmp_path)!r}), writes=Path({str(tmp_path / 'w')!r}), limits=Limits(), "
        f"on_line=print, choice={choice!r}, program=({where + '/beat.py'!r},))"
    )
    process = subprocess.Popen([sys.executable, "-c", worker])
    until = time.monotonic() + 120
    while not beat.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert beat.exists()
    process.kill()
    process.wait()
    size, until = -1, time.monotonic() + 60
    while (now := beat.stat().st_size) != size:  # it dies a moment after
        assert time.monotonic() < until
        size = now
        time.sleep(1)


def test_stop_ends_a_child_at_once(tmp_path: Path, strong: str) -> None:
    (tmp_path / "x.py").write_text(
        "import sys, time\nfrom ingest.tasks import program as caged\ndef run(request, emit):\n    time.sleep(600)\n"
        "caged.TASKS['x'] = '__main__:run'\nsys.exit(caged.main())\n"
    )
    started = time.monotonic()
    ending = launch.run(
        "x",
        {},
        reads=tmp_path,
        writes=None,
        limits=Limits(),
        on_line=print,
        choice=strong,
        program=("/in/x.py",),
        stop=lambda: time.monotonic() - started > 0.5,
    )
    assert ending.stopped
    assert time.monotonic() - started < 300


def test_weak_cage_is_reported_loudly_and_the_strong_one_can_be_demanded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mapex.errors import Unavailable

    launch.level.cache_clear()
    monkeypatch.setattr(launch, "_bwrap", lambda: None)
    try:
        assert launch.level("auto") is launch.Level.RLIMITS
        launch.level("auto")
        assert caplog.text.count("WITHOUT A FULL CAGE") == 1
        with pytest.raises(Unavailable, match="bubblewrap"):
            launch.level("bubblewrap")
    finally:
        launch.level.cache_clear()


def test_every_gdal_driver_but_the_file_formats_read_here_is_switched_off() -> None:
    code = "import pyogrio; print(';'.join(pyogrio.list_drivers()))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip().split(";")
    assert set(there) - launch.KEPT == set(launch.GDAL_SKIP.split(",")) & set(there)
    left = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"GDAL_SKIP": launch.GDAL_SKIP})
    assert set(left.stdout.strip().split(";")) <= launch.KEPT
