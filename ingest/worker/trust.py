"""Whose files are opened in which cage: without bubblewrap only maps of the one firm that the operator names, and never footage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ingest.cage import launch
from ingest.cage.launch import Level
from mapex.config import Settings
from mapex.errors import Invalid, Unavailable
from mapex.rules.licences import HandlingClass

_RECORDING = re.compile(r"\.((mcap|bag|db3)(\.active|\.zstd?|-wal)?|jpe?g|mp4|mov|m4v|360|zip)$", re.IGNORECASE)
"""Names of what holds pictures, or may: what a zip holds is known only when it is opened."""


def cage_of(settings: Settings) -> Level:
    """The cage that works here, if anybody's file may be opened in it.

    Raises: Unavailable: `cage.weak`, `cage.missing`.
    """
    level = launch.level(settings.cage)
    if level is Level.BUBBLEWRAP or settings.demo or settings.cage_weak_for:
        return level
    text = (
        "Without bubblewrap no file of others is opened: a reader that is taken over could read all that this account can. "
        f"{launch.INSTALL} To open maps of your own firm without it, name the firm in MAPEX_CAGE_WEAK_FOR."
    )
    raise Unavailable("cage.weak", text)


def check_sender(settings: Settings, level: Level, org: str) -> None:
    """Pass when files of an organisation (its slug) may be opened in this cage.

    Raises: Unavailable: `cage.weak`; the job waits for a worker with bubblewrap.
    """
    if level is not Level.BUBBLEWRAP and not settings.demo and org != settings.cage_weak_for:
        text = "The exchange has no full cage (bubblewrap) at present, and does not open your files without. The job waits for it."
        raise Unavailable("cage.weak", text)


def check_files(settings: Settings, level: Level, names: Iterable[str], classes: Mapping[str, str]) -> None:
    """Pass when nothing speaks for footage, or the cage is whole.

    Raises: Unavailable: `cage.weak`.
    """
    if level is Level.BUBBLEWRAP or settings.demo:
        return
    if HandlingClass.ORIGINAL in classes.values() or any(_RECORDING.search(name) for name in names):
        raise Unavailable(
            "cage.weak", "Footage is opened in a full cage (bubblewrap) only, which the exchange lacks. The job waits for it."
        )


def check_read(settings: Settings, level: Level, footage: Iterable[str]) -> None:
    """Pass when what was read is no footage, or the cage was whole; `footage`: layers that show pictures.

    Raises: Invalid: `cage.footage`; nothing of it is stored.
    """
    shown = sorted(footage)
    if shown and level is not Level.BUBBLEWRAP and not settings.demo:
        text = f"{', '.join(shown)} is footage, and was opened without a full cage (bubblewrap): nothing of it is taken. "
        raise Invalid("cage.footage", f"{text}Ask the operator to install bubblewrap, then upload it again.", layers=shown)
