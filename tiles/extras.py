"""Optional parts of mapex: the extras of `pyproject.toml`, and the one line that installs one that is absent.

Whatever imports a module of an extra does so inside `needed()`, or by name through `load()`; who calls it meets `ExtraMissing`, a
sentence with that line, and never an ImportError.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tiles.errors import ExtraMissing

EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "pointcloud": (("open3d",), "shaded previews of point clouds"),
        "recordings": (("mcap", "rosbags", "apsw", "zstandard", "lz4"), "MCAP and ROS recordings"),
        "preview": (("av", "cv2"), "pictures in previews, and video at the edges of tiles"),
        "postgres": (("psycopg",), "a PostgreSQL database"),
        "scale": (("distributed", "granian"), "a Dask cluster of readers, and several web processes"),
        "dev": (("pytest", "ruff", "mypy"), "changing mapex itself"),
    }
)
"""Extra -> (modules that show it, what it is for)."""

FOR_DEVELOPERS = "dev"


@contextmanager
def needed() -> Iterator[None]:
    """Import modules of extras in this block.

    Raises: ExtraMissing: one is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as why:
        module = (why.name or "").partition(".")[0]
        extra = next((name for name, (modules, _) in EXTRAS.items() if module in modules), None)
        if extra is None:
            raise
        raise missing(extra, module) from why


def load(module: str) -> Any:
    """Import a module of ours that a table names. Raises: ExtraMissing: a library of it is not installed."""
    with needed():
        return import_module(module)


def missing(extra: str, module: str = "") -> ExtraMissing:
    """The error of an extra that is absent; `module` is what was looked for."""
    what = module or next(iter(absent(extra)), EXTRAS[extra][0][0])
    text = f"The Python package {what} is not installed; it is for {EXTRAS[extra][1]}. Run `{line(extra)}`."
    return ExtraMissing(text, extra=extra, run=line(extra))


def absent(extra: str) -> list[str]:
    """The modules of an extra that are not installed; nothing is imported."""
    return [module for module in EXTRAS[extra][0] if importlib.util.find_spec(module) is None]


def line(extra: str) -> str:
    """The line that installs an extra, by the tool that installed mapex.

    `uv tool` and pipx make the whole environment anew, so their line names the extras that are there too.
    """
    tool = _tool()
    if tool is None:
        pip = "pip" if importlib.util.find_spec("pip") is not None else "uv pip"
        return f'{pip} install "mapex[{extra}]"'
    wanted = [name for name in EXTRAS if name == extra or (name != FOR_DEVELOPERS and not absent(name))]
    return f'{tool} install "mapex[{",".join(wanted)}]{_source()}"' + (" --force" if tool == "pipx" else "")


def _tool() -> str | None:
    """What keeps this environment for mapex alone, if anything: each leaves a file of its own at the top."""
    marks = {"uv tool": "uv-receipt.toml", "pipx": "pipx_metadata.json"}
    return next((tool for tool, mark in marks.items() if (Path(sys.prefix) / mark).is_file()), None)


def _source() -> str:
    """` @ ADDRESS` when mapex came from a file, a folder or a repository and not from a registry (PEP 610)."""
    found = json.loads(importlib.metadata.distribution("mapex").read_text("direct_url.json") or "{}")
    if "url" not in found:
        return ""
    version = found.get("vcs_info")
    return f" @ {version['vcs']}+{found['url']}@{version['commit_id']}" if version else f" @ {found['url']}"
