"""The file formats that bought tiles are written in, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from mapex.errors import Invalid
from mapex.writers.changes import Changes

if TYPE_CHECKING:
    from mapex.writers.cloud.points import BoughtCloud
    from mapex.writers.vector.features import Features


class FeatureWriter(Protocol):
    """What a module of `vector` that writes a format offers."""

    FORMAT: str
    """What people call the format."""

    def write(self, features: Features, path: Path, name: str, changes: Changes, /) -> list[str]:
        """Write a new file or folder at `path`; `name` is what a format of one layer calls it. Returns the names of the layers.

        What it holds otherwise than the tiles goes into `changes`: nothing is changed or left out in silence.
        """
        ...


class CloudWriter(Protocol):
    """What a module of `cloud` that writes a format offers."""

    FORMAT: str
    """What people call the format."""

    def write(self, cloud: BoughtCloud, path: Path, changes: Changes, /) -> int:
        """Write a new file or folder at `path`. Returns how many points are in it, counted in the file; `changes` as for features."""
        ...


@dataclass(frozen=True, slots=True)
class WrittenFormat:
    """A row of the table: `name` in commands, `ending` of the file ("" for a folder), `module` that is imported on first use.

    `is_utm`: whether it is written in UTM, and nothing else.
    """

    name: str
    ending: str
    module: str
    is_utm: bool = False

    @property
    def is_cloud(self) -> bool:
        """Whether it holds points; else it holds features."""
        return ".cloud." in self.module

    def features(self) -> FeatureWriter:
        """Its writer of features."""
        return cast(FeatureWriter, import_module(self.module))

    def points(self) -> CloudWriter:
        """Its writer of points."""
        return cast(CloudWriter, import_module(self.module))


WRITTEN = (
    WrittenFormat("geopackage", ".gpkg", "mapex.writers.vector.geopackage"),
    WrittenFormat("geojson", ".geojson", "mapex.writers.vector.geojson"),
    WrittenFormat("geoparquet", ".parquet", "mapex.writers.vector.geoparquet"),
    WrittenFormat("flatgeobuf", "", "mapex.writers.vector.flatgeobuf"),
    WrittenFormat("shapefile", "", "mapex.writers.vector.shapefile"),
    WrittenFormat("laz", ".laz", "mapex.writers.cloud.laz"),
    WrittenFormat("copc", ".copc.laz", "mapex.writers.cloud.copc"),
    WrittenFormat("pcd", ".pcd", "mapex.writers.cloud.pcd"),
    WrittenFormat("ply", ".ply", "mapex.writers.cloud.ply"),
    WrittenFormat("autoware", "", "mapex.writers.cloud.squares", is_utm=True),
)
"""FlatGeobuf and Shapefile hold one type of geometry a file, Autoware a file for each square: these are folders."""
NAMES = tuple(row.name for row in WRITTEN)


def format_named(name: str) -> WrittenFormat:
    """The row of a name of `NAMES`."""
    return next(row for row in WRITTEN if row.name == name)


def format_of(path: Path, name: str | None = None) -> WrittenFormat:
    """The format that is to be written at `path`: the one that was named, else that of its ending.

    Raises: Invalid: `join.format`.
    """
    small = path.name.lower()
    by_ending = max((row for row in WRITTEN if row.ending and small.endswith(row.ending)), key=lambda row: len(row.ending), default=None)
    if name is not None:
        row = format_named(name)
        if not small.endswith(row.ending):
            raise Invalid("join.format", f"{path.name}: the name of a {name} file must end in {row.ending}.")
        return row
    if by_ending is None:
        text = f"{path.name}: the name must end in {_listed([row.ending for row in WRITTEN if row.ending])}."
        folders = _listed([f"--format {row.name}" for row in WRITTEN if not row.ending])
        raise Invalid("join.format", f"{text} A folder is written with {folders}.")
    return by_ending


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
