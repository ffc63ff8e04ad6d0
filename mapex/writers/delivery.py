"""Bought tiles as files of the buyer's own format: what `mapex get`, `join` and `convert` write, each when it was opened again."""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mapex.errors import Conflict, Invalid, Unavailable
from mapex.writers.changes import Changes
from mapex.writers.formats import WrittenFormat
from mapex.writers.target import UNKNOWN, Target

Progress = Callable[[float, float], None]
_CLOUD_TILE = re.compile(r"[0-3]{16}-\d{1,9}\.laz")
"""Names of point cloud tiles (`tiles.formats`); other LAZ files are somebody's own, or were written from tiles."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file or folder that was written: what is in it, in which system, above what its heights count, and what it holds otherwise.

    `unit`: features or points, `count` of them; of features `guests` begin outside of the tiles.
    """

    path: Path
    format: str
    title: str
    crs: str
    heights: Sequence[str]
    unit: str
    count: int
    tiles: int
    changes: Changes
    layers: Sequence[str] = ()
    guests: int = 0

    @property
    def size(self) -> int:
        """Bytes of it, of all files of a folder together."""
        return sum(path.stat().st_size for path in _files(self.path))

    def as_json(self) -> dict[str, Any]:
        """What the manifest and `--json` say of it."""
        return {
            "file": str(self.path),
            "format": self.format,
            "crs": self.crs,
            "heights": list(self.heights),
            self.unit: self.count,
            "tiles": self.tiles,
            "bytes": self.size,
            **({"layers": list(self.layers), "guests": self.guests} if self.unit == "features" else {}),
            "changes": self.changes.as_json(),
        }


@dataclass(frozen=True, slots=True)
class TileFiles:
    """The files of a folder of tiles, by what they are."""

    vector: list[Path] = field(default_factory=list)
    clouds: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def of(self, row: WrittenFormat) -> list[Path]:
        """The tiles that go into a format."""
        return self.clouds if row.is_cloud else self.vector

    def left(self, row: WrittenFormat) -> dict[str, int]:
        """How many files of each ending do not."""
        rest = [*(self.vector if row.is_cloud else self.clouds), *self.others]
        return dict(sorted(Counter(path.suffix or path.name for path in rest).items()))


def found_in(paths: Sequence[Path]) -> TileFiles:
    """Files by what they are. Raises: Invalid: `join.damaged`."""
    from mapex.writers.vector.features import is_tile

    found = TileFiles()
    for path in paths:
        if path.suffix == ".parquet" and is_tile(path):
            found.vector.append(path)
        else:
            (found.clouds if _CLOUD_TILE.fullmatch(path.name) else found.others).append(path)
    return found


def write(
    row: WrittenFormat, tiles: Sequence[Path], out: Path, target: Target, progress: Progress, *, replaces: bool = False
) -> list[Written]:
    """Write tiles as one file or folder `out`; clouds of different forms, which no file holds together, as `out-2` and so on.

    Raises: Invalid: `join.*`. Conflict: `join.exists`. Unavailable: `join.write`, `join.unreadable`.
    """
    _free(out, replaces)
    if not row.is_cloud:
        return [_write_features(row, tiles, out, target, progress)]
    from mapex.writers.cloud.points import clouds_of, in_utm

    clouds = [in_utm(cloud) if row.is_utm else cloud for cloud in clouds_of(tiles, target, progress)]
    stem, ending = out.name[: len(out.name) - len(row.ending)], out.name[len(out.name) - len(row.ending) :]
    paths = [out if number == 1 else out.with_name(f"{stem}-{number}{ending}") for number in range(1, len(clouds) + 1)]
    for path in paths:
        _free(path, replaces)
    written = []
    for path, cloud in zip(paths, clouds, strict=True):
        writer = row.points()
        changes = Changes(writer.FORMAT)

        def make(fresh: Path, cloud: Any = cloud, writer: Any = writer, changes: Changes = changes) -> None:
            if (count := writer.write(cloud, fresh, changes)) != cloud.count:
                raise _unreadable(out, f"it holds {count:,} points, and {cloud.count:,} were written")

        _put(path, make)
        shift, title = cloud.shift, writer.FORMAT
        crs = _name(shift.crs)
        written.append(Written(path, row.name, title, crs, [shift.heights], "points", cloud.count, len(cloud.tiles), changes))
    return written


def _write_features(row: WrittenFormat, tiles: Sequence[Path], out: Path, target: Target, progress: Progress) -> Written:
    from mapex.writers.vector.features import features_of
    from mapex.writers.vector.moving import Moving
    from mapex.writers.vector.opening import check

    writer = row.features()
    changes = Changes(writer.FORMAT)
    features = features_of(tiles, Moving(target), progress)
    layers: list[str] = []

    def make(fresh: Path) -> None:
        layers.extend(writer.write(features, fresh, out.stem, changes))
        check(fresh, features.count - changes.lost, features.moving.crs)

    _put(out, make)
    heights = [target.heights] if target.heights else sorted(set(features.heights)) or [UNKNOWN]
    crs, count = _name(features.moving.crs), features.count - changes.lost
    return Written(out, row.name, writer.FORMAT, crs, heights, "features", count, len(tiles), changes, layers, features.guests)


def _name(crs: Any) -> str:
    return str(crs.to_string() if crs.to_authority() else crs.name)


def _free(out: Path, replaces: bool) -> None:
    if (out.exists() or out.is_symlink()) and not replaces:
        raise Conflict("join.exists", f"{out} exists already; it was left alone. Give another name, or --overwrite.")


def _put(out: Path, make: Callable[[Path], None]) -> None:
    """Let `make` write; what it wrote has its name only when all of it is on the disk.

    Raises: Unavailable: `join.write`.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".mapex-", dir=out.absolute().parent) as work:
            fresh = Path(work) / f"map{out.suffix.lower()}"
            make(fresh)
            for path in _files(fresh):
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
            if out.is_dir() and not out.is_symlink():
                out.replace(Path(work) / "before")
            fresh.replace(out)
    except OSError as error:
        text = f"{out} could not be written: {error.strerror or error}. Make room, or choose another folder."
        raise Unavailable("join.write", text) from error


def _files(path: Path) -> Iterator[Path]:
    yield from (inner for inner in sorted(path.rglob("*")) if inner.is_file()) if path.is_dir() else [path]


def no_tiles(row: WrittenFormat, where: str, left: dict[str, int]) -> Invalid:
    """What is to be answered where there is nothing to write."""
    what = "point cloud tiles (*.laz)" if row.is_cloud else "vector tiles (*.parquet)"
    return Invalid("join.no_tiles", f"{where} holds no {what}" + (f", only {listed(left)}." if left else "."))


def listed(left: dict[str, int]) -> str:
    """How many files of each ending do not go into a format, in words."""
    from tiles.formats import FORMATS

    words = {f".{row.ending}": ", ".join(map(str, row.kinds)) for row in FORMATS}
    return ", ".join(
        f"{n:,} file{'s' * (n != 1)} {ending}" + (f" ({words[ending]})" if ending in words else "") for ending, n in left.items()
    )


def _unreadable(path: Path, why: str) -> Unavailable:
    return Unavailable("join.unreadable", f"{path.name} was not kept: opened again, {why}. Try another format, and tell the operator.")
