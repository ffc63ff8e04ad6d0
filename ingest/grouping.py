"""From files to sources, by names alone: which files of an upload, a folder or a zip are read together, and which are not read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ingest import chapters
from ingest.findings import info
from ingest.formats import PHOTO, is_junk, is_mgeo, is_mgeo_part, is_ngii, is_node_link, is_opensidewalks, is_projector
from mapex.catalogue.finding import Finding
from mapex.rules.parts import aside, shape_stem, shapefiles

_NAMED = 8
_ALONE = ("file", "mgeo", "lanelet2", "video")
"""Kinds of which each group of an archive is a source of its own."""
_BAG = re.compile(r"\.(bag|bag\.active|db3)(\.zstd?)?$", re.IGNORECASE)
_RECORDED = re.compile(r"\.(mcap|bag|bag\.active|db3)(\.zstd?)?$", re.IGNORECASE)
_NUMBER = re.compile(r"_[0-9]{1,6}(?=$|\.(mcap|db3)(\.zstd?)?$)", re.IGNORECASE)
_TRACK = re.compile(r"\.(gpx|nmea|nma|csv)$", re.IGNORECASE)
_BESIDE_RECORDED = re.compile(r"\.db3-(wal|shm|journal)$|(^|/)metadata\.yaml$|\.(gpx|nmea|nma|csv)$", re.IGNORECASE)
"""Those of recordings that are one where they are in a folder, all of them, the number of one that was split, and what is beside them."""
_SEVERAL = {"shapefile": "shapefiles", "opensidewalks": "OpenSidewalks sets", "recording": "recordings"}


@dataclass(frozen=True, slots=True)
class Group:
    """Files that make one source: relative names (the uploader's), in order; `name` is what to call it in messages.

    `kind`: shapefile, ngii, nodelink, opensidewalks, mgeo, lanelet2, photos, recording, video or file.
    """

    name: str
    members: tuple[str, ...]
    kind: str = "file"


@dataclass(frozen=True, slots=True)
class Grouping:
    """Every name once: in one of the groups, or among those that are `left`, since they only stand beside data."""

    groups: tuple[Group, ...]
    left: tuple[str, ...] = ()

    def findings(self, file: str = "") -> list[Finding]:
        """What is to be reported about the names that are left. `file`: the zip or folder that they are in."""
        if not self.left:
            return []
        more = f" and {len(self.left) - _NAMED} more" if len(self.left) > _NAMED else ""
        text = f"Files beside the data were not read: {', '.join(_short(name) for name in self.left[:_NAMED])}{more}."
        return [info("file.ignored", text, self._fix(), file=file or self.left[0], count=len(self.left))]

    def _fix(self) -> str:
        """A GeoPackage that is still open keeps its last changes beside it."""
        is_open = any(name.lower().endswith((".gpkg-wal", ".gpkg-journal")) for name in self.left)
        return "Close the program that has the GeoPackage open, and send it again: its last changes may be missing." if is_open else ""


def group(names: Iterable[str]) -> Grouping:
    """Which names are one source: parts of a Shapefile, of an OpenSidewalks set, a map of MORAI, a folder of bags, photos, a video in
    chapters or with its track; all else alone.

    Layers of the Korean precise road map are one source together: they refer to one another, and some folders hold the same map.

    The result is ordered by name, so that the same files in another order are numbered the same. Left are what a desktop leaves
    behind, and what stands beside data (`mapex.rules.parts.aside`); where nothing else is there, this is taken for data.
    """
    names = sorted(names)
    kept = [name for name in names if not is_junk(name)]
    beside = aside(kept)
    kept = [name for name in kept if name not in beside] or kept
    sets: dict[str, list[str]] = {}
    films = {name: f"video:{recording}" for name, recording in chapters.recordings(kept).items()}
    owners = films | _shapefile_of_parts(kept) | _recordings_of_parts(kept) | _maps_of_projectors(kept)
    mgeo_folders = {str(PurePosixPath(n).parent) for n in kept if is_mgeo(n)}
    for name in kept:
        sets.setdefault(owners.get(name) or _set_of(name, mgeo_folders), []).append(name)
    groups = tuple(Group(_name_of(key, members), tuple(members), _kind_of(key)) for key, members in sorted(sets.items()))
    return Grouping(groups, tuple(sorted(set(names) - set(kept))))


def group_archive(names: Iterable[str]) -> Grouping:
    """As `group`, for what is in one zip: all shapefiles of it are one source, so are all recordings, and all parts of OpenSidewalks."""
    found = group(names)
    kinds: dict[str, list[Group]] = {}
    for number, one in enumerate(found.groups):
        kinds.setdefault(f"{number}" if one.kind in _ALONE else one.kind, []).append(one)
    return replace(found, groups=tuple(_merged(groups) for groups in kinds.values()))


def _merged(groups: Sequence[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    members = tuple(sorted(member for one in groups for member in one.members))
    kind = groups[0].kind
    return Group(f"{len(groups)} {_SEVERAL.get(kind, kind)}", members, kind)


def _shapefile_of_parts(names: Iterable[str]) -> dict[str, str]:
    """The set of each part of a shapefile: named by the stem, or by the whole `.shp` where `roads.SHP` stands beside `roads.shp`."""
    found = shapefiles(names)
    stems = Counter(shape_stem(shp) for shp in found)
    sets = {shp: _delivery_of(str(shape_stem(shp))) for shp in found}
    delivered = {part: sets[shp] for shp, parts in found.items() if sets[shp] for part in parts}
    others = {shp: parts for shp, parts in found.items() if not sets[shp]}
    keys = {shp: f"shapefile:{shape_stem(shp) if stems[shape_stem(shp)] == 1 else shp}" for shp in others}
    return delivered | {part: keys[shp] for shp, parts in others.items() for part in parts}


def _delivery_of(stem: str) -> str:
    """The set of a shapefile whose layers are one source together; "" for all other shapefiles."""
    return "ngii:" if is_ngii(stem) else "nodelink:" if is_node_link(stem) else ""


def _maps_of_projectors(names: Sequence[str]) -> dict[str, str]:
    """The set of each `map_projector_info.yaml` and of the one map in its folder (of several that which Autoware loads)."""
    found: dict[str, str] = {}
    for name in filter(is_projector, names):
        folder = PurePosixPath(name).parent
        maps = [one for one in names if PurePosixPath(one).parent == folder and one.lower().endswith(".osm")]
        usual = [one for one in maps if PurePosixPath(one).name == "lanelet2_map.osm"]
        for chosen in usual or (maps if len(maps) == 1 else []):
            found |= {name: f"lanelet2:{chosen}", chosen: f"lanelet2:{chosen}"}
    return found


def _recordings_of_parts(names: Iterable[str]) -> dict[str, str]:
    """The recording of each file of one: all in a folder of rosbag2, or of bags; else files that are numbered (`x_0`, `x_1`), or one alone,
    with logs and track.

    Names without a folder are files that were sent beside one another, and not one recording for that.
    """
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(str(PurePosixPath(name).parent), []).append(name)
    found: dict[str, str] = {}
    for folder, members in folders.items():
        recorded = [name for name in members if _RECORDED.search(name)]
        beside = [name for name in members if _BESIDE_RECORDED.search(name)]
        has_list = any(PurePosixPath(name).name == "metadata.yaml" for name in beside)
        is_one = has_list or (folder != "." and len(recorded) > 1 and any(_BAG.search(name) for name in recorded))
        sets: dict[str, list[str]] = {}
        for name in recorded:
            sets.setdefault(folder if is_one else _NUMBER.sub("_*", name), []).append(name)
        is_alone = len(sets) == 1 and folder != "."
        for key, files in sets.items():
            own = beside if is_one else [one for one in beside if _is_of(one, files, alone=is_alone)]
            whole = [*files, *own]
            found |= dict.fromkeys(whole, f"rosbag:{key}" if len(whole) > 1 or is_one else f"file:{whole[0]}")
    return found


def _is_of(beside: str, files: Sequence[str], *, alone: bool) -> bool:
    """Whether a file is the log of a recording, or its track: called like it, or in one folder with no other recording."""
    if _TRACK.search(beside) is None:
        return any(beside.lower().startswith(f"{name.lower()}-") for name in files)
    stems = {_RECORDED.sub("", name).lower() for name in files}
    return alone or _TRACK.sub("", beside).lower() in stems | {_NUMBER.sub("", stem) for stem in stems}


def _set_of(name: str, mgeo_folders: set[str]) -> str:
    lower, folder = name.lower(), str(PurePosixPath(name).parent)
    if folder in mgeo_folders and is_mgeo_part(name):
        return "mgeo:" + folder
    if is_opensidewalks(name):
        return "opensidewalks:" + folder
    if lower.endswith(PHOTO):
        return "photos:"
    return "file:" + name


def _kind_of(key: str) -> str:
    kind, _, rest = key.partition(":")
    is_recording = kind == "rosbag" or _RECORDED.search(rest) is not None
    return "recording" if is_recording else kind


def _name_of(key: str, members: Sequence[str]) -> str:
    if len(members) == 1:
        return members[0]
    kind, _, rest = key.partition(":")
    shapes = [name for name in members if name.lower().endswith(".shp")] if kind in ("shapefile", "ngii", "nodelink") else []
    if len(shapes) > 1:
        return f"{_common_folder(shapes) or kind} ({len(shapes)} layers)"
    if shapes or kind == "lanelet2":
        return shapes[0] if shapes else rest
    if kind == "photos":
        return f"{len(members)} photos"
    if kind == "video":
        return f"{next(filter(chapters.recording_of, members))} and {len(members) - 1} more"
    return f"{rest if rest not in ('', '.') else kind} ({len(members)} files)"


def _common_folder(names: Sequence[str]) -> str:
    """The innermost folder that all of some files are in, by its own name; "" when it is none."""
    shared: list[str] = []
    for parts in zip(*(PurePosixPath(name).parts[:-1] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return shared[-1] if shared else ""


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:40]} … {name[-30:]}"
