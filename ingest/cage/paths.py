"""Paths as the cage uses them: names that are safe on any disk."""

from __future__ import annotations

import re
import unicodedata

from mapex.errors import Invalid


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
