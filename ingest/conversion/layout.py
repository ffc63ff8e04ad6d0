"""How a cage is shown sources, how many together, and what it may use."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

from ingest.cage.child import MIB, Limits
from ingest.cage.paths import inside_names
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


def distinct_names(names: Iterable[str]) -> list[str]:
    """Names of files in their order; what is called as one before is put into a folder: `a.shp`, `2/a.shp`.

    So the parts of a second shapefile, whose parts are all called like those of the first, stay together.
    """
    names = list(names)
    taken, found = set(names), []
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        fresh = name
        if seen[name] > 1:
            seen[name] = next(n for n in count(seen[name]) if f"{n}/{name}" not in taken)  # the next one goes on from here
            fresh = f"{seen[name]}/{name}"
            taken.add(fresh)
        found.append(fresh)
    return found


def lay_out(files: Mapping[str, Path], folder: Path) -> tuple[Path, dict[str, str]]:
    """What a cage is shown of one source, and the name of each file in it by where it is there.

    One file is itself, several become `folder` (hard links or copies). `files` maps different names, of any kind, to real files.
    """
    if len(files) == 1:
        return next(iter(files.values())), {}
    inside = inside_names(files)
    for name, path in files.items():
        target = folder / inside[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except FileExistsError:
            raise  # never one file for two
        except OSError:
            shutil.copyfile(path, target)
    return folder, {there: name for name, there in inside.items()}


def budget_s(sources: Sequence[Sized]) -> float:
    """Seconds of work that some sources may take together: some for each, and more for what is large.

    Each of them may take what `limits_for` gives it; all of an upload of thousands may not.
    """
    return 180.0 + 0.5 * len(sources) + 6.0 * sum(source.size for source in sources) / MIB


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
