"""What is inside a zip archive, unpacked in the cage under safe names and within limits."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from ingest.cage.paths import safe_name
from ingest.formats import is_junk
from ingest.reader import Source
from mapex.errors import Invalid

MAX_ENTRIES = 20_000  # a zip of one day's photos has some thousands, and each entry is checked alone


MAX_RATIO = 100


MAX_UNPACKED = 20 << 30


_FREE_BYTES = 1 << 20  # small files may compress well: a ratio means nothing below this


def is_zip(path: Path) -> bool:
    """Whether a file begins like a zip archive."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def unpack(path: Path, name: str, folder: Path) -> Source:
    """The source inside a zip: its files written below `folder`, under safe names. Runs in the cage.

    Refused: more than `MAX_ENTRIES` entries, more than `MAX_UNPACKED` bytes, a ratio over `MAX_RATIO`, entries that share bytes
    (overlap bombs), links, encryption. Desktop junk and folders are left out.

    Raises: Invalid: `zip.damaged`, `zip.too_many`, `zip.too_large`, `zip.bomb`, `zip.link`, `zip.encrypted`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked(archive.infolist(), name)
            for entry in entries:
                _write(archive, entry, folder / safe_name(_entry_name(entry)))
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as why:
        raise Invalid("zip.damaged", f"{name} is a damaged or unusual zip archive: {why}. Pack it again.", file=name) from why
    return _only_child(Source.of(folder, name))


def _only_child(source: Source) -> Source:
    """A zip of one file is that file; of one folder, that folder."""
    if len(source.files) == 1:
        return Source(source.files[0], source.name, source.files, source.size)
    return source


def _checked(entries: list[zipfile.ZipInfo], name: str) -> list[zipfile.ZipInfo]:
    if len(entries) > MAX_ENTRIES:
        raise Invalid("zip.too_many", f"{name} holds {len(entries)} files; at most {MAX_ENTRIES} are read.", file=name)
    total = sum(entry.file_size for entry in entries)
    if total > MAX_UNPACKED:
        raise Invalid("zip.too_large", f"{name} unpacks to {total} bytes; at most {MAX_UNPACKED} are read.", file=name)
    end = 0
    for entry in sorted(entries, key=lambda e: e.header_offset):
        _check_entry(entry, name)
        if entry.header_offset < end:
            raise Invalid("zip.bomb", f"{name}: entry {entry.filename!r} shares bytes with another one.", file=name)
        end = entry.header_offset + 30 + entry.compress_size
    packed = sum(entry.compress_size for entry in entries)
    if total > _FREE_BYTES and total > MAX_RATIO * max(packed, 1):
        raise Invalid("zip.bomb", f"{name} grows more than {MAX_RATIO} times when unpacked ({packed} to {total} bytes).", file=name)
    return [e for e in entries if not e.is_dir() and not is_junk(_entry_name(e))]


def _check_entry(entry: zipfile.ZipInfo, name: str) -> None:
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Invalid("zip.link", f"{name}: {entry.filename!r} is a symbolic link, which is never followed.", file=name)
    if entry.flag_bits & 0x1:
        raise Invalid("zip.encrypted", f"{name}: {entry.filename!r} is encrypted. Pack it without a password.", file=name)
    if entry.file_size > _FREE_BYTES and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        raise Invalid(
            "zip.bomb",
            f"{name}: {entry.filename!r} grows more than {MAX_RATIO} times ({entry.compress_size} to {entry.file_size} bytes).",
            file=name,
        )


def _entry_name(entry: zipfile.ZipInfo) -> str:
    """The entry's name; without the UTF-8 flag the bytes are UTF-8 or cp949 (Korean Windows), not cp437 as zipfile assumes."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        raw = entry.filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.filename
    for encoding in ("utf-8", "cp949"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return entry.filename


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, target.open("xb") as unpacked:
        while piece := packed.read(1 << 20):  # zipfile stops at the declared size and checks the CRC
            unpacked.write(piece)
