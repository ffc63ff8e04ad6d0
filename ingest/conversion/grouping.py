"""From uploaded files to sources: which files belong together, under which safe names they lie, and what is inside a zip."""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ingest.reader import Source
from ingest.readers.sniff import PHOTO, is_junk, is_opensidewalks
from mapex.errors import Invalid

_SHAPE_PARTS = (".shp.xml", ".shp", ".dbf", ".shx", ".prj", ".cpg", ".qpj", ".sbn", ".sbx", ".qix")

MAX_ENTRIES = 20_000  # a zip of one day's photos has some thousands, and each entry is checked alone
MAX_RATIO = 100
MAX_UNPACKED = 20 << 30
_FREE_BYTES = 1 << 20  # small files may compress well: a ratio means nothing below this


@dataclass(frozen=True, slots=True)
class Group:
    """Files that make one source: relative names (the uploader's), in order; `name` is what to call it in messages."""

    name: str
    members: tuple[str, ...]


def group(names: Iterable[str]) -> list[Group]:
    """Which uploads are one source: parts of a Shapefile, of an OpenSidewalks set, a rosbag folder, photos; all else alone.

    The result is ordered by name, so that the same files in another order are numbered the same. Desktop junk is left out.
    """
    kept = sorted(name for name in names if not is_junk(name))
    bag_folders = {str(PurePosixPath(n).parent) for n in kept if PurePosixPath(n).name == "metadata.yaml"}
    sets: dict[str, list[str]] = {}
    for name in kept:
        sets.setdefault(_set_of(name, bag_folders), []).append(name)
    return [Group(_name_of(key, members), tuple(members)) for key, members in sorted(sets.items())]


def _set_of(name: str, bag_folders: set[str]) -> str:
    lower, folder = name.lower(), str(PurePosixPath(name).parent)
    for ending in _SHAPE_PARTS:
        if lower.endswith(ending):
            return "shapefile:" + name[: -len(ending)]
    if is_opensidewalks(name):
        return "opensidewalks:" + folder
    if lower.endswith(PHOTO):
        return "photos:"
    if folder in bag_folders and (lower.endswith(".mcap") or lower.endswith("metadata.yaml")):
        return "rosbag:" + folder
    return "file:" + name


def _name_of(key: str, members: Sequence[str]) -> str:
    if len(members) == 1:
        return members[0]
    kind, _, rest = key.partition(":")
    if kind == "shapefile":
        return rest + ".shp"
    if kind == "photos":
        return f"{len(members)} photos"
    return f"{rest if rest not in ('', '.') else kind} ({len(members)} files)"


def safe_name(name: str) -> str:
    """A relative path that is safe on disk: no `..`, no control characters, at most 100 bytes a segment; letters of any script stay.

    Raises: Invalid: `file.name` when nothing usable is left.
    """
    segments = []
    for raw in unicodedata.normalize("NFC", name).replace("\\", "/").split("/"):
        clean = re.sub(r"[^\w. ()+@=,-]", "_", raw).strip(" .-")
        stem, dot, ending = clean.rpartition(".")
        while len(clean.encode()) > 100:
            stem = stem[:-1] if dot else stem
            clean = f"{stem}.{ending[:16]}" if dot and stem else clean[:-1]
        if clean:
            segments.append(clean)
    if not segments:
        raise Invalid("file.name", f"The file name {name!r} cannot be used. Rename it and upload it again.", file=name)
    return "/".join(segments)


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
