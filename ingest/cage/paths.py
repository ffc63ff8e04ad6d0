"""Paths as the cage uses them: names that are safe on any disk, and files of a caged child opened safely."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import count
from pathlib import Path

from mapex.errors import Invalid
from mapex.rules.parts import shape_stem
from tiles.errors import StoreError
from tiles.store.folder import SafeFolder

_SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


def safe_name(name: str) -> str:
    """A relative path that is safe on disk: no `..`, no control characters, at most 100 bytes a segment; letters of any script stay.

    Raises: Invalid: `file.name` when nothing usable is left.
    """
    segments = []
    for raw in unicodedata.normalize("NFC", name).replace("\\", "/").split("/"):
        clean = re.sub(r"[^\w. ()+@=,-]", "_", raw).strip(" .-")
        stem, dot, ending = clean.rpartition(".")
        while len(clean.encode()) > 100:
            stem = stem[:-1] if dot else stem
            clean = f"{stem}.{ending[:16]}" if dot and stem else clean[:-1]
        if clean:
            segments.append(clean)
    if not segments:
        raise Invalid("file.name", f"The file name {name!r} cannot be used. Rename it and upload it again.", file=name)
    return "/".join(segments)


_LONGEST_SEGMENT, _LONGEST_FOLDER, _LONGEST_ENDING = 200, 400, 16  # bytes; a disk takes 255 in a name, and 4,096 in a path
_DEEPEST = 32  # each folder is made on the disk: two hundred within one another, for each of some thousand files, take minutes
_UNSAFE = re.compile(r"[^\w. ()+@=,-]")


def inside_names(names: Iterable[str]) -> dict[str, str]:
    """Where each of some different names is on disk: relative paths of ours, by the name that was given.

    They are safe, all different, and none is where another has a folder. A name that is safe stays as it is. Files that share folder and
    stem, as the parts of a shapefile do, share them there too, and others never do.
    """
    names = list(names)
    folders = _folders(sorted({name.rpartition("/")[0] for name in names}))
    occupied = {ancestor for folder in folders.values() for ancestor in _with_ancestors(folder)}
    found: dict[str, str] = {}
    tried: Counter[tuple[str, str]] = Counter()  # numbers that are given already; thousands of names may become one
    # What is safe already comes first, so that it keeps its name.
    for (folder, stem), members in sorted(_alike(names).items(), key=lambda one: (_clean(one[0][1]) != one[0][1], one[0])):
        clean = _clean(stem)
        for number in count(tried[folder, clean]):
            own = _numbered(clean, number)
            places = [f"{folders[folder]}/{own}{ending}".lstrip("/") for _, ending in members]
            if f"{folders[folder]}/{own}/" not in occupied and len(set(places)) == len(places) and occupied.isdisjoint(places):
                break
        tried[folder, clean] = number + 1
        occupied |= {f"{folders[folder]}/{own}/", *places}  # the first stands for the stem; no path ends with a slash
        found |= dict(zip((name for name, _ in members), places, strict=True))
    return found


def _alike(names: Iterable[str]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Name and ending of the files that share a folder and a stem, whatever form its accents have where that leaves no two alike."""
    composed: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        stem, ending = _stem_and_ending(last)
        composed.setdefault((folder, unicodedata.normalize("NFC", stem)), []).append((name, stem, ending))
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for (folder, stem), members in composed.items():
        is_one = len({ending for _, _, ending in members}) == len(members)
        for name, own, ending in members:
            found.setdefault((folder, stem if is_one else own), []).append((name, ending))
    return found


def _folders(given: Iterable[str]) -> dict[str, str]:
    """A folder of ours for each that is given, all different; "" stays."""
    found, taken = {"": ""}, {""}
    tried: Counter[str] = Counter()
    for folder in given:
        clean = "/".join(part for part in map(_clean, folder.split("/")) if part) or "_"
        if len(clean.encode()) > _LONGEST_FOLDER or clean.count("/") >= _DEEPEST:
            clean = "_"
        number = next(number for number in count(tried[clean]) if _numbered(clean, number) not in taken)
        tried[clean] = number + 1
        if folder:
            found[folder] = _numbered(clean, number)
            taken.add(found[folder])
    return found


def _with_ancestors(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _stem_and_ending(name: str) -> tuple[str, str]:
    """The name of a file in two; the ending is short and safe, or there is none."""
    stem = shape_stem(name)
    if stem is None:
        stem = name.rpartition(".")[0] if "." in name else name
    ending = name[len(stem) :]
    is_plain = not _UNSAFE.search(ending) and len(ending.encode()) <= _LONGEST_ENDING and ending != "."
    return (stem, ending) if is_plain else (name, "")


def _clean(segment: str) -> str:
    """One segment of a path, safe on any disk; "" or dots become a line."""
    clean = _UNSAFE.sub("_", unicodedata.normalize("NFC", segment)).strip(" ").rstrip(".")
    clean = re.sub(r"^[.-]+", "_", clean) or "_"
    return clean.encode()[:_LONGEST_SEGMENT].decode("utf-8", "ignore")


def _numbered(name: str, number: int) -> str:
    return f"{name}~{number}" if number else name


def open_plain(folder: Path, *segments: str) -> BufferedReader:
    """The file at `segments` below `folder`, for reading; no symbolic link on the way leads anywhere (`tiles.store.folder`).

    Raises: OSError: there is no plain file there, or it has another name somewhere else (a hard link).
    """
    try:
        stream = SafeFolder(folder).open(segments)
    except StoreError as why:
        raise OSError(why.message) from why
    if os.fstat(stream.fileno()).st_nlink != 1:
        stream.close()
        raise FileNotFoundError("/".join(segments))
    return stream


def settle(folder: Path) -> list[str]:
    """Give what a caged child left in its folder plain modes, once it is dead; returns what was removed.

    Removed is whatever is neither a plain file nor a folder (links, pipes, sockets, devices), has a special mode (setuid, setgid, sticky)
    or a second name (a hard link): none of it is ever made by an honest reader.
    """
    removed, stack = [], [str(folder)]
    _give(str(folder), os.stat(folder, follow_symlinks=False), 0o700)
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    _give(entry.path, found, 0o700)
                    stack.append(entry.path)
                elif not stat.S_ISREG(found.st_mode) or found.st_mode & _SPECIAL or found.st_nlink != 1:
                    os.unlink(entry.path)
                    removed.append(os.path.relpath(entry.path, folder))
                else:
                    _give(entry.path, found, 0o600)
    return removed


def _give(path: str, found: os.stat_result, mode: int) -> None:
    if stat.S_IMODE(found.st_mode) != mode:
        os.chmod(path, mode)
