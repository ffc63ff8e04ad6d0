"""The reader of a source: chosen by its first bytes, then by the names in it."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from ingest.formats import READERS
from ingest.reader import Reader, Source
from ingest.readers.sniff import format_of


def reader(format: str) -> Reader:  # noqa: A002 - the word of the domain
    """The reader of a format name of `READERS`."""
    module, _, name = READERS[format].partition(":")
    return cast(Reader, getattr(import_module(module), name)())


def reader_for(source: Source) -> Reader:
    """The reader of a source: by its first bytes, then by the names in it.

    Raises: Invalid: `format.unknown`, `format.unsupported`, `format.empty`; the sentence says what the bytes are.
    """
    return reader(format_of(source))
