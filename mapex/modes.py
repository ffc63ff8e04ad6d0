"""File modes: what the exchange writes is for its own account alone, whatever the umask and the mode of its folder say."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mapex.config import FILE_NAME, Settings, database_url
from mapex.errors import Invalid
from tiles.store.folder import make_private

log = logging.getLogger(__name__)

OTHERS = 0o077
"""What the group and everybody else may do."""

_OTHERS_WRITE = 0o022
_SQLITE = ("", "-wal", "-shm", "-journal")
"""Endings of the files of an SQLite database; SQLite gives those that it makes the mode of the first."""


@contextlib.contextmanager
def only_ours() -> Iterator[None]:
    """Let nothing that this process makes during the block be open to others."""
    before = os.umask(OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def make_folder(folder: Path) -> None:
    """Make a folder of mode 0700, those above it too; one that is there and empty gets that mode, with a word in the log.

    Raises: Invalid: `folder.open`.
    """
    make_private(folder)
    guard_folder(folder)
    if _is_open(folder) and folder.stat().st_uid == os.getuid() and not any(folder.iterdir()):
        _close(folder)


def guard_folder(folder: Path) -> None:
    """Take from others that they may write into the folder of the exchange: they could exchange every file in it.

    Raises: Invalid: `folder.open`: it is nobody's alone, such as /tmp.
    """
    if not folder.is_dir() or not folder.stat().st_mode & _OTHERS_WRITE:
        return
    found = folder.stat()
    if found.st_mode & stat.S_ISVTX or found.st_uid != os.getuid():
        text = f"Others can write into {folder}, and so exchange what is in it. Choose a folder of your own, of mode 700."
        raise Invalid("folder.open", text, path=str(folder))
    _close(folder, _OTHERS_WRITE)


def close_all(settings: Settings) -> list[Path]:
    """Take from others what they may do with database, objects and work folder, which an older version or a copy may have left open.

    The database is made here when it is absent, because SQLite would make it by the umask. Returns what was open before.
    """
    database = sqlite_file(settings)
    if database is not None and database.parent.is_dir() and not database.exists():
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    found = [path for path in private_paths(settings) if _is_open(path)]
    for path in found:
        _close(path)
    return found


def private_paths(settings: Settings) -> list[Path]:
    """Files and folders of the exchange that must be its own, as far as they are there; the folders hold everything else."""
    database = sqlite_file(settings)
    files = [] if database is None else [database.with_name(database.name + ending) for ending in _SQLITE]
    folders = [settings.dir / "work", *([settings.store_dir] if settings.store == "directory" else [])]
    return [path for path in (settings.dir / FILE_NAME, *files, *folders) if path.exists()]


def open_paths(settings: Settings) -> list[Path]:
    """Those of the private paths that others can read or write now."""
    return [path for path in private_paths(settings) if _is_open(path)]


def sqlite_file(settings: Settings) -> Path | None:
    """The file of the database, when it is SQLite's."""
    url = database_url(settings)
    name = url.removeprefix("sqlite:///").partition("?")[0]
    return Path(name) if url.startswith("sqlite:///") and name not in ("", ":memory:") else None


def _is_open(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & OTHERS)


def _close(path: Path, taken: int = OTHERS) -> None:
    """Raises Invalid (`file.open`) when the path is somebody else's."""
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        path.chmod(mode & ~taken)
    except PermissionError as error:
        raise Invalid("file.open", f"Others can read {path}, which is not yours to change; have `chmod go= {path}` run.") from error
    log.warning("%s had mode %o, which is open to others; it has %o now", path, mode, mode & ~taken)
