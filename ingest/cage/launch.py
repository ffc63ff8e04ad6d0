"""The cage: the only place where an uploaded file is opened (docs/threats.md, Hostile files).

A caged child sees /usr, this Python, one input folder (read-only), one output folder and a small /tmp; no network, no environment,
no other process, no secret. Its memory, time, files and output are limited. What it answers (JSON lines and files) is believed by
nobody: `ingest.cage.answer` checks it again outside. Without bubblewrap only the limits and the system-call filter remain, which is
reported loudly.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from ingest.cage.child import MIB, Ending, Limits, attend, kill
from ingest.cage.paths import safe_name, settle
from ingest.formats import FORMATS
from mapex.errors import Unavailable

log = logging.getLogger(__name__)

_GDAL_DRIVERS = (
    "ADBC,AIVector,AVCBin,AVCE00,AmigoCloud,CSV,CSW,Carto,DGN,DXF,EDIGEO,EEDA,ESRI Shapefile,ESRIJSON,Elasticsearch,FlatGeobuf,GDALG,GML,"
    "GPKG,GPSBabel,GPX,GTFS,GeoJSON,GeoJSONSeq,GeoRSS,HTTP,Idrisi,JML,JSONFG,KML,LIBKML,LVBAG,MBTiles,MEM,MVT,MapInfo File,MapML,"
    "MiraMonVector,NGW,OAPIF,ODS,OGCAPI,OGR_GMT,OGR_PDS,OGR_VRT,OSM,OpenFileGDB,PCIDSK,PDF,PDS4,PGDUMP,PLSCENES,PMTiles,S57,SQLite,SXF,"
    "Selafin,TopoJSON,VDV,VFK,VICAR,VRT,WAsP,WFS,XLSX"
)
"""What GDAL brings; a test compares this with the installed one."""
KEPT = frozenset({"MEM", *(driver for one in FORMATS for driver in one.gdal)})
"""The drivers of GDAL that stay switched on in the cage: those that a format of ours is read with."""
GDAL_SKIP = ",".join(driver for driver in _GDAL_DRIVERS.split(",") if driver not in KEPT)

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONSAFEPATH": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "GDAL_SKIP": GDAL_SKIP,
    "CPL_DEBUG": "OFF",
    "PROJ_NETWORK": "OFF",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve more address space than RLIMIT_AS gives
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "2",
}


_TOPS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Folders beside /usr that programs are in, where they are not links into it."""


INSTALL = "Install it (apt-get install bubblewrap); in a container it also needs the two lines of docs/operator.md."


class Level(StrEnum):
    """How strong the cage is: walls, limits and filter, or limits and filter only."""

    BUBBLEWRAP = "bubblewrap"
    RLIMITS = "rlimits"


@cache
def _bwrap() -> str | None:
    """Path of a bubblewrap that works here, or None: present is not enough, a container may forbid namespaces."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    trial = [path, "--unshare-all", "--ro-bind", "/", "/", "/bin/true"]
    return path if subprocess.run(trial, capture_output=True, timeout=30, check=False).returncode == 0 else None


@cache
def level(choice: str = "auto") -> Level:
    """The cage that runs here; `choice` is the setting `cage` (auto, bubblewrap, rlimits). Warns once when it is the weak one.

    Raises: Unavailable: `cage.missing` when bubblewrap is demanded and does not work.
    """
    if choice != "rlimits" and _bwrap() is not None:
        return Level.BUBBLEWRAP
    if choice == "bubblewrap":
        raise Unavailable("cage.missing", f"Uploads are opened in bubblewrap only, and it does not work here. {INSTALL}")
    log.warning(
        "FILES ARE OPENED WITHOUT A FULL CAGE: only resource limits and a system-call filter hold; a reader that is taken over can "
        "read every file this user can. %s",
        INSTALL,
    )
    return Level.RLIMITS


def run(
    do: str,
    request: Mapping[str, Any],
    *,
    reads: Path | Sequence[Path],
    writes: Path | None,
    limits: Limits,
    on_line: Callable[[dict[str, Any]], None],
    stop: Callable[[], bool] = lambda: False,
    choice: str = "auto",
    program: Sequence[str] = ("-m", "ingest.tasks.program"),
) -> Ending:
    """Let a caged child do `do` (see `ingest.tasks.program.TASKS`); each line that it answers goes to `on_line` as it comes.

    `reads` is a folder or one file, or several of them; the child finds its places under `request["reads"]` (then a list) and
    `request["writes"]`.
    `stop` is asked a few times a second; True ends it.
    """
    strength = level(choice)
    caged = strength is Level.BUBBLEWRAP
    with tempfile.TemporaryDirectory(prefix="mapex-cage-") as scratch:
        shown = _shown(reads)
        home = "/tmp" if caged else scratch
        inside = [there if caged else str(real) for real, there in shown]
        places = {
            "reads": inside[0] if isinstance(reads, Path) else inside,
            "writes": ("/out" if caged else str(writes)) if writes else "",
            "scratch": home,
        }
        full = {**request, **places, "do": do, "caged": caged, "limits": _numbers(limits)}
        command = [sys.executable, "-P", "-s", *program]
        environment = {**_ENVIRONMENT, "HOME": home, "TMPDIR": home, "PYTHONPATH": str(_code_root())}
        if caged:
            command = [str(_bwrap()), *_walls(shown, writes, limits, environment), "--", *command]
        child = _start(command, {} if caged else environment, "/" if caged else scratch)
        try:
            return attend(child, json.dumps(full).encode(), limits, writes, on_line, stop)
        finally:
            kill(child)
            if writes is not None and (removed := settle(writes)):
                log.warning("a caged child left %d things that are no plain files; they were removed: %s", len(removed), removed[:5])


def _start(command: Sequence[str], environment: Mapping[str, str], folder: str) -> subprocess.Popen[bytes]:
    """The child, in a session of its own, with three pipes and nothing else that is open here."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
        start_new_session=True,
        close_fds=True,
        umask=0o077,
    )


def _shown(reads: Path | Sequence[Path]) -> list[tuple[Path, str]]:
    """Where the child finds its input: a folder at /in, a file alone in /in under a name without surprises; of several each in its own."""
    if isinstance(reads, Path):
        return [(reads, _inside(reads, "/in"))]
    return [(path, _inside(path, f"/in/{number}")) for number, path in enumerate(reads)]


def _inside(path: Path, folder: str) -> str:
    return f"{folder}/{safe_name(path.name)}" if path.is_file() else folder


def _numbers(limits: Limits) -> dict[str, int]:
    names = ("memory", "cpu_s", "file", "open_files", "processes")
    return {name: int(getattr(limits, name)) for name in names}


def _code_root() -> Path:
    return Path(__file__).resolve().parents[2]


def _walls(shown: Sequence[tuple[Path, str]], writes: Path | None, limits: Limits, environment: Mapping[str, str]) -> list[str]:
    """Arguments of bubblewrap: what the child sees, and that it sees nothing else."""
    walls = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534"]
    walls += ["--hostname", "cage", "--ro-bind", "/usr", "/usr"]
    for name in _TOPS:
        top = Path("/") / name
        if top.is_symlink():
            walls += ["--symlink", os.readlink(top), str(top)]
        elif top.is_dir():
            walls += ["--ro-bind", str(top), str(top)]
    walls += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--proc", "/proc", "--dev", "/dev"]
    walls += ["--size", str(16 * MIB), "--tmpfs", "/dev/shm", "--size", str(limits.scratch), "--tmpfs", "/tmp"]
    for path in _code():
        walls += ["--ro-bind", path, path]
    for real, inside in shown:
        walls += ["--ro-bind", str(real), inside]
    if writes is not None:
        walls += ["--bind", str(writes), "/out"]
    walls += ["--remount-ro", "/", "--remount-ro", "/dev", "--chdir", "/tmp"]
    for name, value in environment.items():
        walls += ["--setenv", name, value]
    return walls


@cache
def visible() -> tuple[Path, ...]:
    """The folders of this machine that every caged child can read; nothing secret may be in them."""
    tops = (Path("/") / name for name in ("usr", *_TOPS))
    return tuple(dict.fromkeys(path.resolve() for path in (*tops, *map(Path, _code())) if path.is_dir()))


@cache
def _code() -> tuple[str, ...]:
    """Folders of code that the child needs beside /usr: this Python, its environment, and our three packages (never the whole checkout)."""
    wanted = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), Path(sys.prefix)]
    for name in ("tiles", "mapex", "ingest"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            wanted.append(Path(spec.origin).resolve().parent)
    kept: list[Path] = []
    for path in wanted:
        inside = any(path == other or other in path.parents for other in (Path("/usr"), *kept))
        if not inside and path != Path("/"):
            kept.append(path)
    return tuple(str(path) for path in kept)
