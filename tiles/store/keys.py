"""What both stores agree on: which keys exist, and how a download is named."""

from __future__ import annotations

import re
from urllib.parse import quote

from tiles.errors import InvalidContent

PIECE = 1 << 20
"""Bytes are moved in pieces of at most this size (1 MiB)."""

LONGEST_KEY = 900
"""Bytes in a key; S3 allows 1,024 and MinIO needs some for itself."""

_SEGMENT = re.compile(r"[A-Za-z0-9!_.*'()@=+,~-]{1,200}", re.ASCII)


def segments_of(key: str) -> list[str]:
    """The parts of a key between its slashes.

    Raises: InvalidContent: `store.key`: empty, absolute, `.` or `..`, a control character, a backslash, not ASCII, or too long.
    """
    segments = key.split("/")
    if len(key) > LONGEST_KEY or not all(_SEGMENT.fullmatch(s) and s not in (".", "..") for s in segments):
        raise InvalidContent(
            f"{key[:80]!r} is no object key: segments of ASCII letters, digits and !_.*'()@=+,~- joined by '/'.", code="store.key"
        )
    return segments


def attachment(filename: str) -> str:
    """A `Content-Disposition` that saves the download under `filename`, in plain ASCII and in UTF-8 (RFC 6266)."""
    plain = re.sub(r'[^ !#-\[\]-~]|[/\\"%;]', "_", filename) or "download"
    encoded = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'attachment; filename="{plain}"{encoded}'
