"""From uploaded files to sources: which files belong together, how a cage is shown them, and what it may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ingest.cage.child import Limits
from ingest.formats import PHOTO, is_heavy, is_junk, is_opensidewalks

_SHAPE_PARTS = (".shp.xml", ".shp", ".dbf", ".shx", ".prj", ".cpg", ".qpj", ".sbn", ".sbx", ".qix")


@dataclass(frozen=True, slots=True)
class Group:
    """Files that make one source: relative names (the uploader's), in order; `name` is what to call it in messages."""

    name: str
    members: tuple[str, ...]


def group(names: Iterable[str]) -> list[Group]:
    """Which uploads are one source: parts of a Shapefile, of an OpenSidewalks set, a rosbag folder, photos; all else alone.

    The result is ordered by name, so that the same files in another order are numbered the same. Desktop junk is left out.
    """
    kept = sorted(name for name in names if not is_junk(name))
    bag_folders = {str(PurePosixPath(n).parent) for n in kept if PurePosixPath(n).name == "metadata.yaml"}
    sets: dict[str, list[str]] = {}
    for name in kept:
        sets.setdefault(_set_of(name, bag_folders), []).append(name)
    return [Group(_name_of(key, members), tuple(members)) for key, members in sorted(sets.items())]


def _set_of(name: str, bag_folders: set[str]) -> str:
    lower, folder = name.lower(), str(PurePosixPath(name).parent)
    for ending in _SHAPE_PARTS:
        if lower.endswith(ending):
            return "shapefile:" + name[: -len(ending)]
    if is_opensidewalks(name):
        return "opensidewalks:" + folder
    if lower.endswith(PHOTO):
        return "photos:"
    if folder in bag_folders and (lower.endswith(".mcap") or lower.endswith("metadata.yaml")):
        return "rosbag:" + folder
    return "file:" + name


def _name_of(key: str, members: Sequence[str]) -> str:
    if len(members) == 1:
        return members[0]
    kind, _, rest = key.partition(":")
    if kind == "shapefile":
        return rest + ".shp"
    if kind == "photos":
        return f"{len(members)} photos"
    return f"{rest if rest not in ('', '.') else kind} ({len(members)} files)"


def lay_out(files: Mapping[str, Path], folder: Path) -> Path:
    """What a cage is shown of one source: one file is itself, several become `folder` (hard links or copies).

    `files` maps safe relative names to real files.
    """
    if len(files) == 1:
        return next(iter(files.values()))
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    return folder


def limits_for(reads: Path, size: int) -> Limits:
    """What the cage may use for a source of `size` bytes; a look at its first bytes finds what may need the larger memory limit."""
    return Limits.for_size(size, heavy=_has_heavy(reads))


def _has_heavy(path: Path) -> bool:
    """Whether a source may need the larger memory limit: point clouds, recordings, pictures; a look at the first bytes only."""
    files = sorted(path.iterdir())[:1] if path.is_dir() else [path]
    for file in files:
        if file.is_dir():
            return True
        with file.open("rb") as stream:
            if is_heavy(stream.read(64)):
                return True
    return False
