"""Paths as the cage uses them: names that are safe on any disk, and files of a caged child opened safely."""

from __future__ import annotations

import os
import re
import unicodedata
from io import BufferedReader
from pathlib import Path

from mapex.errors import Invalid
from tiles.errors import StoreError
from tiles.store.folder import SafeFolder


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
