"""What a source is, by its first bytes, then by its names (`ingest.formats`), its reader, and what it is when it is not read here."""

from __future__ import annotations

import codecs
import re
import zipfile
from pathlib import PurePosixPath
from typing import cast

from ingest import formats
from ingest.formats import READERS, SUPPORTED, ZIP, format_of_names, is_junk
from ingest.reader import Reader, Source
from ingest.readers import packed
from ingest.readers.apollo import binary
from mapex.errors import Invalid
from tiles import extras


def reader(format: str) -> Reader:  # noqa: A002 - the word of the domain
    """The reader of a format name of `READERS`. Raises: ExtraMissing: a library of it is not installed."""
    module, _, name = READERS[format].partition(":")
    return cast(Reader, getattr(extras.load(module), name)())


def reader_for(source: Source) -> Reader:
    """The reader of a source: by its first bytes, then by the names in it.

    Raises: what `format_of` raises.
    """
    return reader(format_of(source))


def format_of(source: Source) -> str:
    """The format name (a key of `READERS`) of a source.

    Raises: Invalid: `format.empty`, `format.unsupported` (known, and not read here) or `format.unknown`; the message says what the
        bytes are and what can be read.
    """
    if source.path.is_dir():
        return _format_of_folder(source)
    if source.size == 0:
        raise Invalid("format.empty", f"{source.name} is empty (0 bytes). Upload it again.", file=source.name)
    head = source.head(65536)
    return _format_of_zip(source) if head.startswith(ZIP) else format_of_bytes(head, source.name)


def format_of_bytes(head: bytes, name: str) -> str:
    """As `format_of`, for the first bytes (64 KiB are enough) of a file called `name`."""
    found = formats.format_of_magic(head, name)
    if found is not None:
        return found
    if (inside := packed.head_of(head)) and formats.is_packed(within := format_of_bytes(inside, name)):
        return within
    for magic, what in formats.FOREIGN:
        if head.startswith(magic):
            raise _unsupported(name, what)
    if head[4:8] == b"ftyp":
        raise _unsupported(name, "a picture in boxes (HEIC, AVIF)")
    if head.startswith(ZIP):
        raise _unsupported(name, "a zip archive inside another one")
    return "apollo" if binary.is_map(head) else _format_of_text(head, name)


def _format_of_text(head: bytes, name: str) -> str:
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if text.startswith("<"):
        return _format_of_xml(text, name)
    if text.startswith(("{", "[", "\x1e")):
        return _format_of_json(text, name)
    is_text = "\0" not in text or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    found = formats.format_of_text(text, name if is_text else "")
    if found is not None:
        return found
    raise _unknown(head, name)


def _format_of_xml(text: str, name: str) -> str:
    root = re.search(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)", re.sub(r"<\?.*?\?>|<!--.*?-->", "", text, flags=re.DOTALL))
    element = root.group(1) if root else ""
    found = formats.format_of_xml(element)
    if found is not None:
        return found
    raise _unsupported(name, formats.FOREIGN_XML.get(element, f"an XML document <{element}>" if element else "an XML document"))


def _format_of_json(text: str, name: str) -> str:
    if "gdal_streamed_alg" in text or "gdalg" in text[:200]:
        raise _unsupported(name, "a GDALG pipeline, which only points at other files")
    found = formats.format_of_json(text, name)
    if found is not None:
        return found
    raise _unsupported(name, "JSON text, but not GeoJSON")


def _format_of_zip(source: Source) -> str:
    """By the names in the archive; the bodies are looked at only when it is unpacked (`ingest.tasks.unpack`)."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            found = format_of_names(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError) as why:
        raise Invalid("zip.damaged", f"{source.name} is a damaged zip archive: {why}. Pack it again.", file=source.name) from why
    if found is None:
        raise _unsupported(source.name, "a zip archive whose names show no format (it is looked into once it is unpacked)")
    return found


def _format_of_folder(source: Source) -> str:
    names = [source.label(path) for path in source.files]
    found = format_of_names(names)
    if found is not None:
        return found
    rest = [path for path, name in zip(source.files, names, strict=True) if not is_junk(name)]
    if len(rest) == 1:
        return format_of(Source.of(rest[0], rest[0].name))
    if not rest:
        raise Invalid("format.empty", f"{source.name} holds no file.", file=source.name)
    seen = ", ".join(sorted({PurePosixPath(name).suffix or "(no ending)" for name in names}))
    raise Invalid(
        "format.unknown",
        f"{source.name} holds {len(rest)} files ({seen}) that do not form one data set. Upload them one by one. Read here: {SUPPORTED}.",
        file=source.name,
    )


def _unsupported(name: str, what: str) -> Invalid:
    return Invalid("format.unsupported", f"{name} is {what}; that is not read here. Read here: {SUPPORTED}.", file=name, found=what)


def _unknown(head: bytes, name: str) -> Invalid:
    seen = head[:16].hex(" ")
    zeros = " (only zero bytes)" if head and not any(head) else ""
    return Invalid(
        "format.unknown",
        f"{name} begins with the bytes {seen}{zeros}, which no reader knows. Read here: {SUPPORTED}.",
        file=name,
        head=seen,
    )
