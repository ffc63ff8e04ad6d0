"""What is inside a zip archive, unpacked in the cage under safe names and within limits."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ingest.cage.paths import inside_names
from ingest.checks.encodings import decoded
from ingest.formats import is_junk
from ingest.reader import Source
from mapex.errors import Invalid

MAX_ENTRIES = 20_000  # a zip of one day's photos has some thousands, and each entry is checked alone
MAX_DEPTH, MAX_FOLDERS = (
    32,
    10_000,
)  # folders within one another, and all of them: each is made on the disk, and none is in the file's bytes
MAX_RATIO = 100
MAX_UNPACKED = 20 << 30
_UTF8, _UNICODE_PATH = 0x800, 0x7075
_FLATTER = "Pack its files into fewer folders."
_FREE_BYTES = 1 << 20  # small files may compress well: a ratio means nothing below this


def is_zip(path: Path) -> bool:
    """Whether a file begins like a zip archive."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def unpack(path: Path, name: str, folder: Path) -> Source:
    """The source inside a zip: its files written below `folder`, under safe names. Runs in the cage.

    Refused before anything is written: more than `MAX_ENTRIES` entries or `MAX_FOLDERS` folders, folders deeper than `MAX_DEPTH`, more than
    `MAX_UNPACKED` bytes, a ratio over `MAX_RATIO`, entries that share bytes (overlap bombs), links, encryption.
    Desktop junk and folders are left out.

    Raises: Invalid: `zip.damaged`, `zip.too_many`, `zip.folders`, `zip.too_large`, `zip.bomb`, `zip.link`, `zip.encrypted`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = _names(archive.infolist())
            entries = _checked(archive.infolist(), names, name)
            if not entries:
                raise Invalid("format.empty", f"{name} holds no file that can be read. Pack it again with its files.", file=name)
            given = [_relative(names[entry.header_offset]) for entry in entries]
            _check_folders(given, name)
            if twice := next((one for one, many in Counter(given).items() if many > 1), None):
                text = f"{name} holds two files of the same name ({twice}). Rename one and pack it again."
                raise Invalid("zip.damaged", text, file=name)
            inside = inside_names(given)
            for entry, own in zip(entries, given, strict=True):
                _write(archive, entry, folder / inside[own])
    except UnicodeDecodeError as why:
        text = f"{name} holds a name that is marked as UTF-8 and is not. Pack it again with another program."
        raise Invalid("zip.damaged", text, file=name) from why
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as why:
        raise Invalid("zip.damaged", f"{name} is a damaged or unusual zip archive: {why}. Pack it again.", file=name) from why
    return _only_child(Source.of(folder, name, {there: given for given, there in inside.items()}))


def _relative(name: str) -> str:
    """The name of an entry as a plain relative path in one line: what it may be called in findings and tiles."""
    segments = [segment for segment in name.replace("\\", "/").split("/") if segment not in ("", ".", "..")]
    return "".join(letter if letter.isprintable() else "_" for letter in "/".join(segments)) or "_"


def _check_folders(names: Iterable[str], name: str) -> None:
    """Pass for files in folders that are neither too deep nor too many; what is counted is bounded by what was counted before."""
    folders: set[str] = set()
    for own in names:
        if (deep := own.count("/")) > MAX_DEPTH:
            raise Invalid(
                "zip.folders", f"{name} has {deep} folders within one another; at most {MAX_DEPTH} are read. {_FLATTER}", file=name
            )
        folder = own.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
        if len(folders) > MAX_FOLDERS:
            raise Invalid(
                "zip.folders", f"{name} has more than {MAX_FOLDERS} folders, which is the most that is read. {_FLATTER}", file=name
            )


def _only_child(source: Source) -> Source:
    """A zip of one file is that file; of one folder, that folder."""
    return replace(source, path=source.files[0]) if len(source.files) == 1 else source


def _checked(entries: list[zipfile.ZipInfo], names: dict[int, str], name: str) -> list[zipfile.ZipInfo]:
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
    return [e for e in entries if not e.is_dir() and not is_junk(names[e.header_offset])]


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


def _names(entries: list[zipfile.ZipInfo]) -> dict[int, str]:
    """The name of each entry, by its place in the file.

    Without the UTF-8 flag names are bytes that zipfile takes for cp437. They are UTF-8 or cp949 (Korean Windows): what the fewest of all
    names in the archive contradict, so that one odd name changes no other. An entry may carry its name in UTF-8 beside it.
    """
    raw = {entry.header_offset: entry.orig_filename.encode("cp437") for entry in entries if not entry.flag_bits & _UTF8}
    foreign = [name for name in raw.values() if not name.isascii()]
    broken = {codec: sum(decoded(name, codec)[1] for name in foreign) for codec in ("utf-8", "cp949")}
    codec = min(broken, key=lambda one: broken[one])
    names = {at: decoded(name.split(b"\0")[0], codec)[0] for at, name in raw.items()}
    if broken[codec] * 2 > len(foreign):  # neither: the letters of old DOS
        names = {at: name.decode("cp437") for at, name in raw.items()}
    return {entry.header_offset: _beside(entry) or names.get(entry.header_offset, entry.filename) for entry in entries}


def _beside(entry: zipfile.ZipInfo) -> str:
    """The name in an Info-ZIP Unicode Path field (0x7075), "" when there is none or it belongs to another name."""
    extra = b"" if entry.flag_bits & _UTF8 else entry.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        is_path = kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1
        if is_path and struct.unpack_from("<I", body, 1)[0] == zlib.crc32(entry.orig_filename.encode("cp437")):
            return decoded(body[5:], "utf-8")[0]
    return ""


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, target.open("xb") as unpacked:
        while piece := packed.read(1 << 20):  # zipfile stops at the declared size and checks the CRC
            unpacked.write(piece)
