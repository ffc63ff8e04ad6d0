"""What `mapex doctor` looks at: the machine, the extras, and the exchange of MAPEX_DIR."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.cli.server.symptoms import Symptom
from tiles import extras
from tiles.errors import ExtraMissing

if TYPE_CHECKING:
    from mapex.exchange import Exchange

_VERSIONED = ("python", "dask", "distributed", "msgpack", "cloudpickle")
"""What must be the same on both ends, for they unpickle what the other sent."""

_ANSWER_S = 5

LEAST_FREE = 0.05


def examine() -> list[Symptom]:
    """Everything, the machine first; never raises for what it finds."""
    packages = _packages()
    if any(one.state == "missing" for one in packages):  # what else is looked at would be asked of strangers
        return [_python(), *packages]
    return [_python(), *packages, *_extras(), _cage(), _web_files(), *_exchange()]


def _python() -> Symptom:
    version = platform.python_version()
    if sys.version_info < (3, 11, 8):
        return Symptom(
            "python",
            "warning",
            f"{version}: overlapping zip entries are not refused by this Python (fixed in 3.11.8); mapex refuses them itself.",
        )
    return Symptom("python", "ok", version)


def _packages() -> list[Symptom]:
    from mapex.cli.server.guard import collisions

    found = [Symptom(f"package {one.package}", "missing", one.message, one.fix) for one in collisions()]
    return found or [Symptom("packages", "ok", "mapex, tiles, web and ingest are beside each other, and nobody else's.")]


def _extras() -> list[Symptom]:
    found = []
    for extra, (_, purpose) in extras.EXTRAS.items():
        absent = extras.absent(extra)
        fix = extras.line(extra) if absent else ""
        state = "warning" if absent and extra != extras.FOR_DEVELOPERS else "ok"
        message = f"{purpose}: " + (f"not installed ({', '.join(absent)} is absent)" if absent else "installed")
        found.append(Symptom(f"extra {extra}", state, message, fix))
    return found


def _cage() -> Symptom:
    from ingest.cage import launch

    if launch.level() == launch.Level.BUBBLEWRAP:
        return Symptom("cage", "ok", "uploads are opened by bubblewrap: no network, no secrets, no other files.")
    text = "bubblewrap does not work here: a worker opens nobody's uploads, for a hostile file could read what it can read."
    return Symptom("cage", "warning", text, "apt-get install bubblewrap (in Docker: see docs/operator.md)")


def _web_files() -> Symptom:
    spec = importlib.util.find_spec("web")
    assert spec is not None and spec.origin is not None
    manifest = Path(spec.origin).parent / "static" / "vendor" / "manifest.json"
    if manifest.exists():
        return Symptom("browser libraries", "ok", "present, with the map of Korea")
    fix = "python hatch_build.py (needs npm), or make demo"
    return Symptom("browser libraries", "missing", "the map cannot be drawn without them.", fix)


def _exchange() -> list[Symptom]:
    from mapex import config
    from mapex.cli.server import attacks, surroundings
    from mapex.database.opening import open_exchange
    from mapex.errors import MapexError
    from mapex.operation import readiness
    from tiles.errors import TilesError

    try:
        settings = config.load()
    except MapexError as error:
        return [Symptom("exchange", "warning", f"none here: {error.message}", "mapex init --dir ex && export MAPEX_DIR=ex")]
    try:
        surroundings.check(settings)
    except MapexError as error:
        return [Symptom("exchange", "broken", error.message)]
    try:
        ex = open_exchange(settings)
    except ExtraMissing as error:
        return [Symptom("database", "missing", error.message, error.details["run"])]
    except (MapexError, TilesError) as error:
        return [Symptom("database", "missing", error.message, "Is the server running, and are MAPEX_DATABASE_URL and MAPEX_STORE_* right?")]
    try:
        found = [Symptom("database", "ok", ex.engine.dialect.name), *_role(ex)]
        if "store" in readiness.lacking(ex):
            found.append(Symptom("store", "missing", "it does not answer.", "Is the store running, and are MAPEX_STORE_* right?"))
        else:
            found.append(Symptom("store", "ok", settings.store))
            found += attacks.attack(ex)
    finally:
        ex.engine.dispose()
    found += basemap_of(settings.dir, settings.basemap) + (_cluster(settings.scheduler) if settings.scheduler else [])
    disk = shutil.disk_usage(settings.dir)
    share = disk.free / disk.total
    state = "ok" if share >= LEAST_FREE else "warning"
    found.append(Symptom("disk", state, f"{share:.0%} free ({disk.free / 1e9:.1f} GB)", "" if state == "ok" else "Free some space."))
    return found


def basemap_of(folder: Path, named: str) -> list[Symptom]:
    """Whether the operator's file of streets is there, and is one; an address is for browsers to ask, and left alone."""
    if not named or "://" in named:
        return []
    try:
        with (folder / named).open("rb") as file:
            is_tiles = file.read(7) == b"PMTiles"
    except OSError as error:
        return [Symptom("basemap", "missing", f"{named} cannot be read: {error.strerror}.", "Set MAPEX_BASEMAP to a PMTiles file.")]
    if is_tiles:
        return [Symptom("basemap", "ok", named)]
    return [Symptom("basemap", "broken", f"{named} is no PMTiles file.", "Set MAPEX_BASEMAP to a PMTiles file.")]


def _role(ex: Exchange) -> list[Symptom]:
    """In PostgreSQL: whether this is the owner of the tables, who can switch their guards off."""
    from mapex.database import db, roles

    with db.read(ex) as conn:
        if db.is_sqlite(conn):
            return []
        if not roles.is_owner(conn):
            return [Symptom("database role", "ok", "it can neither change the log nor switch a guard off.")]
        if roles.has_services(conn):
            text = "this role owns the tables; services with it do not start, for there is one for them."
            return [Symptom("database role", "warning", text, "Set MAPEX_DATABASE_URL to the role of the services.")]
    text = "the services own the tables: who takes over one can switch off what guards the log."
    return [Symptom("database role", "warning", text, "mapex init --roles")]


def _cluster(address: str) -> list[Symptom]:
    """The Dask scheduler of the settings: whether it answers, its workers, and whether their versions are ours."""
    try:
        with extras.needed():
            import distributed
    except ExtraMissing as error:
        return [Symptom("scheduler", "missing", f"{address} is set. {error.message}", error.details["run"])]
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout=f"{_ANSWER_S}s", set_as_default=False)
    except (OSError, ValueError) as error:
        text = f"{address} does not answer ({type(error).__name__}); jobs wait for it."
        return [Symptom("scheduler", "missing", text, f"dask scheduler --port {address.rpartition(':')[2]}, and is MAPEX_SCHEDULER right?")]
    try:
        return _cluster_symptoms(address, client.get_versions(check=False))
    except OSError as error:
        return [Symptom("scheduler", "missing", f"{address} stopped answering ({type(error).__name__}).", "Start it again.")]
    finally:
        client.close(timeout=_ANSWER_S)


def _cluster_symptoms(address: str, versions: Mapping[str, Any]) -> list[Symptom]:
    """What the versions of scheduler, workers and this process say, as `Client.get_versions` gives them."""
    workers = versions["workers"]
    found = [Symptom("scheduler", "ok", f"{address} answers.")]
    if workers:
        found.append(Symptom("dask workers", "ok", f"{len(workers)} running"))
    else:
        found.append(Symptom("dask workers", "missing", "none is running; jobs wait for one.", f"dask worker {address}"))
    here = _packages_of(versions["client"])
    others = {"the scheduler": versions["scheduler"], **{f"worker {name}": one for name, one in workers.items()}}
    unequal = sorted(
        f"{who} has {name} {there.get(name) or 'absent'}, here is {here.get(name)}"
        for who, there in ((who, _packages_of(one)) for who, one in others.items())
        for name in _VERSIONED
        if there.get(name) != here.get(name)
    )
    if unequal:
        text = "; ".join(unequal[:5])
        found.append(Symptom("dask versions", "warning", f"{text}.", "Install the same versions everywhere (requirements.lock)."))
    else:
        found.append(Symptom("dask versions", "ok", f"the same everywhere: distributed {here.get('distributed')}"))
    return found


def _packages_of(one: Mapping[str, Any]) -> dict[str, str]:
    """Name -> version of the packages of one process; Python without what follows its version."""
    found = {str(name): str(version) for name, version in dict(one.get("packages") or {}).items()}
    return {name: version.partition(" ")[0].removesuffix(".final.0") for name, version in found.items()}
