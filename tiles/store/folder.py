"""A folder that is written safely: no path leaves it, no file is seen half-written, nothing is overwritten.

Every path is walked segment by segment with `O_NOFOLLOW`, so a symbolic link placed inside by someone else leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from tiles.errors import InvalidContent, StoreError, StoreUnavailable
from tiles.store.keys import PIECE

INCOMING = ".incoming"
STALE_S = 24 * 3600
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FILE = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
KEPT_FREE = 0.05
"""Share of a disk that is left free, so that the database on it can go on."""
_WALK = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def has_room(folder: Path, size: int = 0) -> bool:
    """Whether the disk of a folder has its reserve left after so many more bytes."""
    disk = shutil.disk_usage(folder)
    return disk.free - size >= KEPT_FREE * disk.total


@dataclass(frozen=True, slots=True)
class SafeFolder:
    """Files below `root` by lists of segments (already checked by `keys.segments_of`)."""

    root: Path

    def prepare(self, *names: str) -> None:
        """Make the folder and its first-level folders, and remove what killed writers left behind over a day ago."""
        with self.errors():
            for name in (INCOMING, *names):
                make_private(self.root / name)
            for entry in os.scandir(self.root / INCOMING):
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):  # an upload that was being removed when its process died
                        shutil.rmtree(entry.path, ignore_errors=True)
                    elif entry.stat(follow_symlinks=False).st_mtime < time.time() - STALE_S:
                        os.unlink(entry.path)

    def check_room(self, size: int) -> None:
        """Pass when so many more bytes leave the disk its reserve.

        Raises: StoreUnavailable: `store.full`.
        """
        with self.errors():
            if not has_room(self.root, size):
                sentence = (
                    f"The disk of the object store ({self.root}) is full up to its reserve ({size} bytes more); nothing was stored. "
                    "Free some space and try again."
                )
                raise StoreUnavailable(sentence, code="store.full")

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the operating system into errors of the store. `FileNotFoundError` passes: the caller knows what is missing."""
        try:
            yield
        except (StoreError, FileNotFoundError):
            raise
        except OSError as error:
            if error.errno in _FULL:
                sentence = f"The disk of the object store ({self.root}) is full; nothing was stored. Free some space and try again."
                raise StoreUnavailable(sentence, code="store.full") from error
            if error.errno in _NO_FILE:
                raise InvalidContent("This key runs through something that is no folder of the store.", code="store.key") from error
            raise StoreUnavailable(f"The object store ({self.root}) cannot be used: {error.strerror}.") from error

    @contextlib.contextmanager
    def folder(self, segments: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """Descriptor of the folder at `segments`; made on the way, and made durable, when asked."""
        at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in segments:
                try:
                    below = os.open(name, _WALK, dir_fd=at)
                except FileNotFoundError:
                    if not create:
                        raise
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=at)
                        os.fsync(at)
                    below = os.open(name, _WALK, dir_fd=at)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

    def open(self, segments: Sequence[str]) -> BufferedReader:
        """The file at `segments`, for reading. Raises FileNotFoundError, also for what is no plain file or is behind a link."""
        with self.errors():
            try:
                with self.folder(segments[:-1]) as at:
                    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
                    descriptor = os.open(segments[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
            except OSError as error:
                if error.errno in _NO_FILE:
                    raise FileNotFoundError("/".join(segments)) from error
                raise
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise FileNotFoundError("/".join(segments))
            return os.fdopen(descriptor, "rb")

    @contextlib.contextmanager
    def temporary(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new private file of the same file system, removed at the end whatever happens."""
        path = self.root / INCOMING / secrets.token_hex(16)
        with self.errors():
            try:
                # Unbuffered: a full disk must show in the write itself, not when a buffer is flushed on closing.
                with open(path, "xb", buffering=0, opener=lambda p, flags: os.open(p, flags | os.O_NOFOLLOW, 0o600)) as stream:
                    yield stream, path
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def link(self, path: Path, segments: Sequence[str]) -> bool:
        """Give a finished temporary file its name, durably; False when the name is taken (nothing is overwritten)."""
        with self.folder(segments[:-1], create=True) as at:
            try:
                os.link(path, segments[-1], dst_dir_fd=at, follow_symlinks=False)
            except FileExistsError:
                return False
            os.fsync(at)
        return True

    def replace(self, path: Path, segments: Sequence[str]) -> None:
        """Like `link`, but what had the name goes; the folder must exist (FileNotFoundError)."""
        with self.folder(segments[:-1]) as at:
            os.rename(path, segments[-1], dst_dir_fd=at)
            os.fsync(at)

    def replace_alike(self, path: Path, segments: Sequence[str], prefix: str) -> None:
        """Like `replace`, and every other file of the folder whose name begins with `prefix` goes: the last one to come stays alone."""
        with self.folder(segments[:-1]) as at:
            fcntl.flock(at, fcntl.LOCK_EX)  # two that come at once must not remove each other
            os.rename(path, segments[-1], dst_dir_fd=at)
            for name in os.listdir(at):
                if name.startswith(prefix) and name != segments[-1]:
                    os.unlink(name, dir_fd=at)
            os.fsync(at)


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are absent, for this account alone (`mkdir -p` closes only the last one)."""
    for one in (*reversed(folder.parents), folder):
        one.mkdir(mode=0o700, exist_ok=True)


def private(path: Path) -> BinaryIO:
    """The file `path`, empty and open for writing; a new one is for this account alone, whatever the umask."""
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))


def write_all(stream: BinaryIO, piece: bytes) -> None:
    """Write every byte: an unbuffered write may take only some of them."""
    view = memoryview(piece)
    while view:
        view = view[stream.write(view) :]


def copy_all(source: BinaryIO, target: BinaryIO) -> int:
    """Append a whole file to another, inside the kernel where it can; returns the bytes copied."""
    total = 0
    with contextlib.suppress(OSError):
        while copied := os.copy_file_range(source.fileno(), target.fileno(), 1 << 30):
            total += copied
        return total
    source.seek(total)
    while piece := source.read(PIECE):
        write_all(target, piece)
        total += len(piece)
    return total
