"""Which files of a camera are one recording, by names alone: chapters of a GoPro, pieces of a dash camera, and a track beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

VIDEO = (".mp4", ".mov", ".m4v", ".360")
"""Endings of video."""
TRACK = (".gpx", ".nmea", ".nma", ".csv")
"""Endings of what may state, beside a video of the same name, where it was taken."""

_GOPRO = re.compile(r"(G[HXLS])(\d\d)(\d{4})", re.IGNORECASE)  # GX010123: HEVC, chapter 01, recording 0123
_GOPRO_OLD = re.compile(r"(?:GOPR|GP(\d\d))(\d{4})", re.IGNORECASE)  # GOPR0123, then GP010123
_STAMP = re.compile(r"(?<!\d)20\d\d([-_.]?)[01]\d\1[0-3]\d[-_. T]?[0-2]\d([-_.]?)[0-5]\d\2[0-5]\d(?!\d)")


def recording_of(name: str) -> str | None:
    """What the files of one recording have in common: chapters their number, pieces of a dash camera all but date, time and counter."""
    path = PurePosixPath(name)
    ending = path.suffix.lower()
    if ending not in VIDEO:
        return None
    alike = path.stem
    if (found := _GOPRO.fullmatch(path.stem)) is not None:
        alike = f"{found[1].upper()}{found[3]}"
    elif (found := _GOPRO_OLD.fullmatch(path.stem)) is not None:
        alike = f"GOPR{found[2]}"
    elif _STAMP.search(path.stem):
        alike = re.sub(r"\d+", "#", _STAMP.sub("#", path.stem))
    return f"{path.parent}/{alike}{ending}"


def is_chapter(name: str) -> bool:
    """Whether a file is a chapter of a GoPro: it goes on without a gap where the one before ended."""
    stem = PurePosixPath(name).stem
    return _GOPRO.fullmatch(stem) is not None or _GOPRO_OLD.fullmatch(stem) is not None


def order(name: str) -> tuple[str, int, str]:
    """By what the pieces of a recording are sorted: chapters by their number, all else by name."""
    stem = PurePosixPath(name).stem
    found = _GOPRO.fullmatch(stem)
    if found is not None:
        return found[3], int(found[2]), name
    found = _GOPRO_OLD.fullmatch(stem)
    return (found[2], int(found[1] or 0), name) if found is not None else (stem, 0, name)


def recordings(names: Iterable[str]) -> dict[str, str]:
    """For each video among some names, and each track that is called like one, the recording that it belongs to."""
    names = list(names)
    found = {name: recording for name in names if (recording := recording_of(name)) is not None}
    stems = {_stem(name): recording for name, recording in found.items()}
    for name in names:
        if PurePosixPath(name).suffix.lower() in TRACK and _stem(name) in stems:
            found[name] = stems[_stem(name)]
    return found


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return f"{path.parent}/{path.stem}".lower()
