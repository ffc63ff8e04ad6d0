"""Names of roads and crossings in what is on offer. Of layers that a stranger may buy only: nothing of original or restricted ones.

The names were made with the previews of a version (`ingest.previews.names`). Which layers count is read at each question, so that what
is withdrawn, recalled or suspended is not found a moment later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import RLock

from sqlalchemy import String, bindparam, text

from mapex.database import db
from mapex.exchange import Exchange
from mapex.places.index import Index, Place
from tiles.grid import grid

MOST_NAMES = 100_000
_lock = RLock()


@dataclass(frozen=True, slots=True)
class _Names:
    """Names to be searched, and one for each sale cell that has some."""

    index: Index
    by_cell: dict[int, str]


_known: dict[str, tuple[tuple[str, ...], _Names]] = {}
"""The names of each database, and the layers that they are of."""

_SHOWN = text(
    "SELECT p.layer_id FROM preview p JOIN shown_layer k ON k.layer_id = p.layer_id JOIN layer l ON l.id = p.layer_id "
    "WHERE p.kind = 'names' AND p.ordinal = 0 AND l.handling_class = 'open' ORDER BY p.layer_id"
)
_NAMES = text("SELECT about FROM preview WHERE kind = 'names' AND layer_id IN :layers ORDER BY layer_id, ordinal").bindparams(
    bindparam("layers", expanding=True, type_=String())
)


def search(ex: Exchange, asked: str, *, limit: int) -> Sequence[Place]:
    """Roads and crossings on offer with names like this."""
    return _names(ex).index.search(asked, limit=limit)


def names_in(ex: Exchange, cells: Iterable[int]) -> dict[int, str]:
    """A name on offer in each of these sale cells that has one: what a tile abroad is called, where no boundaries are known."""
    known = _names(ex).by_cell
    return {cell: known[cell] for cell in cells if cell in known}


def _names(ex: Exchange) -> _Names:
    where = str(ex.engine.url)
    with _lock, db.read(ex) as conn:
        layers = tuple(map(str, conn.execute(_SHOWN).scalars()))
        known = _known.get(where)
        if known is None or known[0] != layers:
            rows = [tuple(row) for about in conn.execute(_NAMES, {"layers": list(layers)}).scalars() for row in json.loads(about)["rows"]]
            known = _known[where] = layers, _of(tuple(sorted(set(rows))[:MOST_NAMES]))
        return known[1]


@lru_cache(maxsize=4)
def _of(rows: tuple[tuple[str, float, float], ...]) -> _Names:
    cells = grid.cells_at([lon for _, lon, _ in rows], [lat for _, _, lat in rows]).tolist() if rows else []
    index = Index([Place("road", (name,), lon, lat) for name, lon, lat in rows])
    return _Names(index, {cell: name for cell, (name, _, _) in reversed(list(zip(cells, rows, strict=True)))})
