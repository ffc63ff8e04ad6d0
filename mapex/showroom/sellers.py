"""A seller as everybody may see it: what it says about itself, what it sells, where, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from mapex.database import db, schema
from mapex.errors import NotFound
from mapex.exchange import Exchange
from mapex.showroom import descriptions, listings
from mapex.showroom.descriptions import SellerText
from mapex.showroom.listings import OnSale
from tiles.box import Box
from tiles.grid import grid

_FINEST, _COARSEST = 14, 6
_MOST_SQUARES = 1500


@dataclass(frozen=True, slots=True)
class Seller:
    """An organisation with something on sale. `versions`: how many it published, `since_ns` the first; `squares` are where its data is."""

    org: str
    name: str
    described: SellerText
    since_ns: int
    versions: int
    datasets: Sequence[OnSale]
    squares: Sequence[Box]


def get(ex: Exchange, org: str) -> Seller:
    """The seller of this slug.

    Raises: NotFound (`seller.unknown`): there is none, it sells nothing, or it is suspended; all look the same.
    """
    sold = listings.on_sale(ex, org=org)
    if not sold:
        raise NotFound("seller.unknown", "There is no such seller.")
    with db.read(ex) as conn:
        row = conn.execute(select(schema.organisation.c.id, schema.organisation.c.name).where(schema.organisation.c.slug == org)).one()
        since, versions = conn.execute(_SINCE, {"org": row.id}).one()
        described = descriptions.of_seller(conn, row.id)
        return Seller(org, row.name, described, int(since), int(versions), sold, _squares(conn, row.id))


def _squares(conn: Connection, org_id: str) -> list[Box]:
    """Where something of it is on sale, in squares as fine as a small map can show."""
    for z in range(_FINEST, _COARSEST, -1):
        cells = list(conn.execute(_CELLS, {"z": z, "org": org_id, "most": _MOST_SQUARES + 1}).scalars())
        if len(cells) <= _MOST_SQUARES:
            return [grid.bounds(cell, z) for cell in cells]
    return [grid.bounds(cell, _COARSEST) for cell in conn.execute(_CELLS, {"z": _COARSEST, "org": org_id, "most": _MOST_SQUARES}).scalars()]


_SINCE = text(
    "SELECT MIN(v.published_ns), COUNT(*) FROM dataset_version v JOIN dataset d ON d.id = v.dataset_id "
    "WHERE d.org_id = :org AND v.published_ns IS NOT NULL AND v.state IN ('published', 'superseded')"
)
_CELLS = text(
    "SELECT DISTINCT s.cell FROM tile_sum s JOIN layer l ON l.id = s.layer_id JOIN offer o ON o.version_id = l.version_id "
    "AND o.state = 'live' WHERE o.org_id = :org AND s.z = :z ORDER BY s.cell LIMIT :most"
)
