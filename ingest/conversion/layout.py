"""How a cage is shown sources, how many together, and what it may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from ingest.cage.child import MIB, Limits
from ingest.cage.paths import safe_name
from ingest.formats import is_heavy

MOST_BYTES, MOST_SOURCES = 4 * MIB, 64
"""Of the sources that one cage reads in turn: about as long as a cage takes to start. More than that is read in parallel."""


class Sized(Protocol):
    """A source of so many bytes."""

    @property
    def size(self) -> int:
        """Its bytes."""
        ...


S = TypeVar("S", bound=Sized)


def bundled(sources: Sequence[S]) -> list[tuple[S, ...]]:
    """Sources that one cage reads together: starting a cage takes longer than reading a small file. Large ones stay alone."""
    bundles: list[tuple[S, ...]] = []
    small: list[S] = []
    for source in sources:
        if source.size > MOST_BYTES:
            bundles.append((source,))
            continue
        if len(small) == MOST_SOURCES or sum(one.size for one in small) + source.size > MOST_BYTES:
            bundles.append(tuple(small))
            small = []
        small.append(source)
    return [*bundles, tuple(small)] if small else bundles


def safe_members(files: Mapping[str, Path]) -> dict[str, Path]:
    """Files by names that are safe on disk; two names that only differ in what is not safe stay two files."""
    safe: dict[str, Path] = {}
    for number, (name, path) in enumerate(files.items()):
        clean = safe_name(name)
        while clean in safe:
            folder, _, last = clean.rpartition("/")
            clean = f"{folder}/{number}-{last}".lstrip("/")
        safe[clean] = path
    return safe


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


def limits_for(reads: Sequence[Path], size: int) -> Limits:
    """What the cage may use for sources of `size` bytes; a look at their first bytes finds what may need the larger memory limit."""
    return Limits.for_size(size, heavy=any(map(_has_heavy, reads)))


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
