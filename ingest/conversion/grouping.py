"""From uploaded files to sources: which files belong together, under which safe names they lie, and what is inside a zip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ingest.formats import PHOTO, is_junk, is_opensidewalks

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
