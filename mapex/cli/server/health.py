"""What `mapex doctor` looks at: the machine, the extras, and the exchange of MAPEX_DIR."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

EXTRAS = {
    "pointcloud": ("open3d", "shaded previews of point clouds"),
    "recordings": ("mcap", "MCAP recordings"),
    "postgres": ("psycopg", "a PostgreSQL database"),
    "scale": ("distributed", "a Dask cluster of readers"),
}
"""Extra -> (module that shows it, what it is for)."""

LEAST_FREE = 0.05


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing looked at: `state` is ok, warning or missing; `fix` is what to do."""

    name: str
    state: str
    message: str
    fix: str = ""


def examine() -> list[Symptom]:
    """Everything, the machine first; never raises for what it finds."""
    return [_python(), _packages(), *_extras(), _cage(), _web_files(), *_exchange()]


def _python() -> Symptom:
    version = platform.python_version()
    if sys.version_info < (3, 11, 8):
        return Symptom(
            "python",
            "warning",
            f"{version}: overlapping zip entries are not refused by this Python (fixed in 3.11.8); mapex refuses them itself.",
        )
    return Symptom("python", "ok", version)


def _packages() -> Symptom:
    from mapex.cli.server.guard import strangers

    found = strangers()
    if found:
        message = f"{', '.join(found)} come from another distribution."
        return Symptom("packages", "missing", message, "Remove it (pip uninstall web.py, for example).")
    return Symptom("packages", "ok", "mapex, tiles, web and ingest are beside each other.")


def _extras() -> list[Symptom]:
    found = []
    for extra, (module, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        fix = "" if there else f"pip install 'mapex[{extra}]'"
        found.append(Symptom(f"extra {extra}", "ok" if there else "warning", f"{purpose}: {'present' if there else 'absent'}", fix))
    return found


def _cage() -> Symptom:
    from ingest.cage import launch

    level = launch.level()
    if level == "bubblewrap":
        return Symptom("cage", "ok", "uploads are opened by bubblewrap: no network, no secrets, no other files.")
    return Symptom(
        "cage",
        "warning",
        "uploads are opened with resource limits ONLY: a hostile file could read what the worker can read.",
        "apt-get install bubblewrap (in Docker: see docs/operator.md)",
    )


def _web_files() -> Symptom:
    spec = importlib.util.find_spec("web")
    assert spec is not None and spec.origin is not None
    manifest = Path(spec.origin).parent / "static" / "vendor" / "manifest.json"
    if manifest.exists():
        return Symptom("browser libraries", "ok", "present")
    fix = "python hatch_build.py (needs npm), or make demo"
    return Symptom("browser libraries", "missing", "the map cannot be drawn without them.", fix)


def _exchange() -> list[Symptom]:
    from mapex import config
    from mapex.database.opening import open_exchange
    from mapex.errors import MapexError
    from tiles.errors import TilesError

    try:
        settings = config.load()
    except MapexError as error:
        return [Symptom("exchange", "warning", f"none here: {error.message}", "mapex init --dir ex && export MAPEX_DIR=ex")]
    try:
        ex = open_exchange(settings)
    except (MapexError, TilesError) as error:
        return [Symptom("database", "missing", error.message, "Is the server running, and are MAPEX_DATABASE_URL and MAPEX_STORE_* right?")]
    try:
        found = [Symptom("database", "ok", ex.engine.dialect.name)]
        try:
            from tiles.store.protocol import Bucket

            ex.store.list(Bucket.DATA, limit=1)
            found.append(Symptom("store", "ok", settings.store))
        except TilesError as error:
            found.append(Symptom("store", "missing", error.message, "Is the store running, and are MAPEX_STORE_* right?"))
    finally:
        ex.engine.dispose()
    disk = shutil.disk_usage(settings.dir)
    share = disk.free / disk.total
    state = "ok" if share >= LEAST_FREE else "warning"
    found.append(Symptom("disk", state, f"{share:.0%} free ({disk.free / 1e9:.1f} GB)", "" if state == "ok" else "Free some space."))
    return found
