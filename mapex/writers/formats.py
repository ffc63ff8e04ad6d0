"""The file formats that joined features are written in, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from mapex.errors import Invalid
from mapex.writers.changes import Changes
from mapex.writers.features import Features


class Writer(Protocol):
    """What a module of this room offers."""

    FORMAT: str
    """What people call the format."""

    def write(self, features: Features, path: Path, name: str, changes: Changes, /) -> list[str]:
        """Write a new file at `path`; `name` is what a format of one layer calls it. Returns the names of the layers.

        What the file holds otherwise than the tiles goes into `changes`: nothing is changed or left out in silence.
        """
        ...


WRITERS: Mapping[str, str] = MappingProxyType(
    {".gpkg": "mapex.writers.geopackage", ".geojson": "mapex.writers.geojson", ".parquet": "mapex.writers.geoparquet"}
)
"""Ending of the file -> module like `Writer`, imported on first use. FlatGeobuf is left out: it cannot hold 2D and 3D features beside each
other, and maps have both."""


def writer_for(path: Path) -> Writer:
    """The writer of a file, by its ending.

    Raises: Invalid: `join.format`.
    """
    module = WRITERS.get(path.suffix.lower())
    if module is None:
        raise Invalid("join.format", f"{path.name}: the name must end in one of {', '.join(WRITERS)}.")
    return cast(Writer, import_module(module))
