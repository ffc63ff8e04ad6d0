"""Whether the exchange can serve: what it needs is asked for, and what is away is named in words that hold no address and no secret."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from sqlalchemy import text

from mapex.database import db
from mapex.errors import MapexError
from mapex.exchange import Exchange
from tiles.errors import StoreUnavailable, TilesError
from tiles.store.protocol import Bucket

log = logging.getLogger(__name__)


def lacking(ex: Exchange) -> Mapping[str, str]:
    """What does not answer, with the reason; empty when all is well. The log has what exactly went wrong."""
    found = {}
    for name, (look, reason) in _NEEDED.items():
        try:
            look(ex)
        except (MapexError, TilesError) as error:
            log.warning("not ready: %s: %s", name, error)
            found[name] = reason
    return found


def _database(ex: Exchange) -> None:
    with db.read(ex) as conn:
        conn.execute(text("SELECT COUNT(*) FROM organisation WHERE id = ''"))


def _store(ex: Exchange) -> None:
    try:
        ex.store.list(Bucket.DATA, limit=1)
    except StoreUnavailable as error:
        if error.code != "store.no_key":
            raise
        ex.store.stat(Bucket.DATA, "ready/nothing")  # a web process with accounts of single purposes may not list


_NEEDED: Mapping[str, tuple[Callable[[Exchange], None], str]] = {
    "database": (_database, "The database cannot be used."),
    "store": (_store, "The object store does not answer."),
}
