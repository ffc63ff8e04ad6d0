"""Paths as the cage uses them: names that are safe on any disk, and files of a caged child opened safely."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from io import BufferedReader
from pathlib import Path

from mapex.errors import Invalid
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
