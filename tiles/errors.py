"""Errors of the tile library.

TilesError
 ├─ InvalidTile      a coordinate, cell or quadkey that no tile can have
 ├─ InvalidRegion    an area that cannot be used (crossing outline, too many vertices, ...)
 ├─ InvalidContent   bytes or columns that are not what they claim to be
 ├─ ExtraMissing     an optional part of mapex that is not installed (`tiles.extras`)
 └─ StoreError       the object store refused or failed
     ├─ ObjectMissing
     ├─ ObjectCorrupt  the bytes do not have the promised sha256 or length
     ├─ RequestRefused a signed request that is expired, altered or misused
     └─ StoreUnavailable
"""

from __future__ import annotations

from typing import Any


class TilesError(Exception):
    """Base of all errors of `tiles`: a stable `code`, a sentence, and the values it speaks about."""

    code = "tiles.error"

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if code is not None:
            self.code = code


class InvalidTile(TilesError):
    """A coordinate, cell number or quadkey that no tile of the grid can have."""

    code = "tile.invalid"


class InvalidRegion(TilesError):
    """An area that cannot be covered with cells; the message names the place and what to do."""

    code = "region.invalid"


class InvalidContent(TilesError):
    """Bytes or columns that are not what they claim to be."""

    code = "content.invalid"


class ExtraMissing(TilesError):
    """An optional part of mapex is not installed; the sentence has the line that installs it."""

    code = "extra.missing"


class StoreError(TilesError):
    """The object store refused or failed."""

    code = "store.error"


class ObjectMissing(StoreError):
    """No object has this key."""

    code = "store.missing"


class ObjectCorrupt(StoreError):
    """The bytes do not have the promised sha256 or length."""

    code = "store.corrupt"


class RequestRefused(StoreError):
    """A signed request that is expired, altered, or used for something else."""

    code = "store.refused"


class StoreUnavailable(StoreError):
    """The store does not answer; try again later."""

    code = "store.unavailable"
