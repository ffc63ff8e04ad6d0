"""Where an exchange may live: never in a place that the cage shows to the readers of uploads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mapex.errors import Invalid

if TYPE_CHECKING:
    from mapex.config import Settings


def check(settings: Settings) -> None:
    """Refuse an exchange of which anything can be read in the cage.

    Raises: Invalid: `exchange.in_cage`, naming what is seen and where to move it.
    """
    for place in _places(settings):
        check_place(place)


def check_place(place: Path) -> None:
    """Refuse a place of an exchange that can be read in the cage.

    Raises: Invalid: `exchange.in_cage`.
    """
    from ingest.cage.launch import visible

    real = place.resolve()
    for folder in visible():
        if real == folder or folder in real.parents:
            text = (
                f"{place} is inside {folder}, which whoever takes over a reader of uploads can read, secrets included. "
                f"Move it out of there, for example to {Path.home() / 'mapex'} or /srv/mapex, and name that place instead."
            )
            raise Invalid("exchange.in_cage", text, path=str(place), shown=str(folder))


def _places(settings: Settings) -> Iterator[Path]:
    """Whatever holds secrets, rows or objects: the folder, the database, the store, and files that secrets are read from."""
    from mapex.modes import sqlite_file

    yield settings.dir
    database = sqlite_file(settings)
    if database is not None:
        yield database
    if settings.store == "directory":
        yield settings.store_dir
    for name, value in os.environ.items():
        if name.startswith("MAPEX_") and name.endswith("_FILE") and value:
            yield Path(value)
