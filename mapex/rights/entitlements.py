"""What was bought: one row for each tile part of an order. Written in the transaction of the order, read page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, String, bindparam, func, select, text, update

from mapex import authority
from mapex.database import db
from mapex.database.schema import dataset, entitlement, layer, order, order_line
from mapex.errors import Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.pyramid import cell_sums, owned, unbilled
from mapex.pyramid.unbilled import Owner
from mapex.rights import served
from mapex.rights.served import Served
from mapex.rules import terms
from mapex.rules.file_names import is_reserved
from tiles.arrays import UInt64s
from tiles.formats import of_media_type
from tiles.grid import grid
from tiles.grid.grid import ZOOM

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class OrderTile:
    """One file that an order gives the right to. `id` is the entitlement; `path` is unique within the order."""

    id: str
    order_id: str
    dataset: str
    org: str
    version: int
    layer: str
    kind: str
    handling_class: str
    tile: str  # quadkey
    part: int
    sha256: str
    size: int
    media_type: str
    path: str
    licence: str
    attribution: str
    purpose: str
    state: str  # active | suspended | recalled
    paid: bool
    object_key: str
    version_state: str
    cell: int


@dataclass(frozen=True, slots=True)
class TilePage:
    """Tiles in a fixed order; `next` is the `after` of the following page, or None at the end."""

    tiles: Sequence[OrderTile]
    next: str | None


@dataclass(frozen=True, slots=True)
class Bought:
    """What is entitled in one insert: layers of live offers, their cells, and the permit that allows it."""

    layer_ids: Sequence[str]
    ranges: UInt64s
    permit_id: str | None


def add(conn: Connection, owner: Owner, order_id: str, bought: Bought) -> None:
    """Entitle the organisation to every tile part of the layers in the ranges, for the purpose of `owner`.

    Parts of which the organisation holds the same content, for this purpose and under the terms on offer or wider ones, are marked as
    not paid, and those of cells that are free (`mapex.pyramid.unbilled`). The pyramid of what is owned follows.
    """
    head, values = cell_sums.with_ranges(conn, [(ZOOM, bought.ranges)])
    before: int = conn.execute(text("SELECT COUNT(*) FROM entitlement WHERE order_id = :order"), {"order": order_id}).scalar_one()
    # The pyramid knows which cells are owned in whole; only cells of which some parts are new are looked at part by part.
    held = (
        "SELECT 1 FROM entitlement e JOIN offer f ON f.id = e.offer_id JOIN licences k ON k.held = f.licence AND k.wanted = o.licence "
        "WHERE e.org_id = :org AND e.purpose IN :covering AND e.dataset_id = o.dataset_id AND e.cell = t.cell AND e.layer_name = l.name "
        "AND e.part = t.part AND e.sha256 = t.sha256 AND e.state = 'active' AND e.order_id <> :order"
    )
    free = unbilled.is_free(conn, owner, "t.cell")
    paid = f"CASE WHEN w.cells = 1 OR {free} THEN 0 WHEN w.cells IS NULL THEN 1 WHEN EXISTS ({held}) THEN 0 ELSE 1 END"
    offered = cell_sums.join_ranges(conn, "tile_sum", "s.layer_id IN :layers")
    # Numbers of eight digits make the ids sort as the tiles do, so that pages follow the primary key.
    numbered = "10000000 + :before + row_number() OVER (ORDER BY o.dataset_id, l.name, t.cell, t.part)"
    conn.execute(
        text(
            f"{head}, {owned.counting()} "
            "INSERT INTO entitlement (id, org_id, order_id, offer_id, dataset_id, layer_id, layer_name, cell, part, sha256, "
            f"purpose, permit_id, paid, state) SELECT :prefix || CAST({numbered} AS varchar(8)), :org, :order, o.id, o.dataset_id, l.id, "
            f"l.name, t.cell, t.part, t.sha256, :purpose, :permit, {paid}, 'active' "
            f"FROM {offered} CROSS JOIN tile t CROSS JOIN layer l CROSS JOIN offer o LEFT JOIN owned_sum w "
            f"ON w.org_id = :org AND w.purpose = :purpose AND w.z = {ZOOM} AND w.cell = s.cell AND w.layer_id = s.layer_id "
            "WHERE t.layer_id = s.layer_id AND t.cell = s.cell AND l.id = t.layer_id AND o.version_id = l.version_id AND o.state = 'live'"
        ).bindparams(
            *(bindparam(name, expanding=True, type_=String()) for name in ("layers", "covering")),
            *(bindparam(name, type_=String()) for name in ("org", "order", "prefix", "purpose", "permit")),
        ),
        {
            **values,
            "prefix": _prefix(order_id),
            "before": before,
            "org": owner.org_id,
            "order": order_id,
            "purpose": owner.purpose,
            "at": owner.at_ns,
            "covering": terms.covering(owner.purpose),
            "permit": bought.permit_id,
            "layers": list(bought.layer_ids),
        },
    )
    owned.add(conn, owner.org_id, owner.purpose, bought.layer_ids, bought.ranges)


def recall(conn: Connection, version_id: str) -> None:
    """Take back the tiles of a version, of which what was paid is returned: they count for nothing that is bought later."""
    layers = select(layer.c.id).where(layer.c.version_id == version_id)
    conn.execute(update(entitlement).where(entitlement.c.layer_id.in_(layers)).values(state="recalled"))


def of_order(ex: Exchange, by: Actor, order_id: str, *, after: str = "", limit: int = MAX_PAGE) -> TilePage:
    """A page of the tiles of an order of `by`'s organisation.

    Raises: NotFound: absent or foreign. Invalid: `page.limit`.
    """
    org_id = authority.member(by)
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid("page.limit", f"The limit must be 1 to {MAX_PAGE}, not {limit}.", limit=limit)
    with db.read(ex) as conn:
        if conn.execute(select(order.c.id).where(order.c.id == order_id, order.c.org_id == org_id)).first() is None:
            raise NotFound("order.unknown", f"There is no order {order_id!r} of your organisation.", order=order_id)
        clashing = _clashing(conn, order_id)
        statement = text(f"{_SELECT} WHERE e.order_id = :order AND e.id > :after AND e.id < :end ORDER BY e.id LIMIT :limit")
        prefix = _prefix(order_id)
        values = {"order": order_id, "after": max(after, prefix), "end": prefix + "2", "limit": limit + 1}
        found = [_tile(row, clashing) for row in conn.execute(statement, values).mappings()]
    return TilePage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def pick(conn: Connection, org_id: str, order_id: str, entitlement_ids: Sequence[str]) -> list[OrderTile]:
    """Those of the ids that are entitlements of this order of this organisation, in no fixed order."""
    statement = text(f"{_SELECT} WHERE e.id IN :ids AND e.order_id = :order AND e.org_id = :org").bindparams(
        bindparam("ids", expanding=True, type_=String())
    )
    values = {"ids": list(entitlement_ids), "order": order_id, "org": org_id}
    return [_tile(row, frozenset()) for row in conn.execute(statement, values).mappings()]


def orders_in(conn: Connection, org_id: str, purpose: str, dataset_ids: Sequence[str], ranges: UInt64s) -> list[str]:
    """Ids of the organisation's orders that hold tiles of the datasets in the sale-zoom ranges, the one with the most first.

    Those count that were bought for a use that covers the purpose under the terms on offer.
    """
    head, values = cell_sums.with_ranges(conn, [(ZOOM, ranges)])
    statement = text(
        f"{head}, {owned.counting()} SELECT e.order_id FROM r JOIN entitlement e ON e.org_id = :org AND e.dataset_id IN :datasets "
        "AND e.state = 'active' AND e.purpose IN :covering AND e.cell >= r.lo AND e.cell < r.hi JOIN offer f ON f.id = e.offer_id "
        "JOIN offer o ON o.dataset_id = e.dataset_id AND o.state = 'live' JOIN licences k ON k.held = f.licence AND k.wanted = o.licence "
        "GROUP BY e.order_id ORDER BY COUNT(*) DESC, e.order_id LIMIT 20"
    ).bindparams(*(bindparam(name, expanding=True, type_=String()) for name in ("datasets", "covering")))
    asked = {"org": org_id, "datasets": list(dataset_ids), "covering": terms.covering(purpose)}
    return list(conn.execute(statement, {**values, **asked}).scalars())


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """How far an order is: its files, those that may not be read now, those of which addresses were given out (how often), and those that
    were read to their end, as far as the store tells (`mapex.rights.served`).
    """

    files: int
    size: int
    withheld: int
    granted: int
    grants: int
    first_granted_ns: int | None
    last_granted_ns: int | None
    served: Served


def progress(ex: Exchange, by: Actor, order_id: str) -> OrderProgress:
    """How far an order of `by`'s organisation is.

    Raises: NotFound: absent or foreign.
    """
    org_id = authority.member(by)
    withheld = "e.state <> 'active' OR v.state = 'recalled'"
    files = text(
        f"SELECT COUNT(*) AS files, CAST(COALESCE(SUM(t.bytes), 0) AS bigint) AS size, "
        f"CAST(COALESCE(SUM(CASE WHEN {withheld} THEN 1 ELSE 0 END), 0) AS bigint) AS withheld FROM entitlement e "
        "JOIN tile t ON t.layer_id = e.layer_id AND t.cell = e.cell AND t.part = e.part JOIN layer l ON l.id = e.layer_id "
        "JOIN dataset_version v ON v.id = l.version_id WHERE e.order_id = :order"
    )
    grants = text(
        "SELECT COUNT(DISTINCT e.id) AS granted, COUNT(a.id) AS grants, MIN(a.issued_ns) AS first_granted_ns, "
        "MAX(a.issued_ns) AS last_granted_ns FROM entitlement e JOIN access_grant a ON a.entitlement_id = e.id WHERE e.order_id = :order"
    )
    with db.read(ex) as conn:
        if conn.execute(select(order.c.id).where(order.c.id == order_id, order.c.org_id == org_id)).first() is None:
            raise NotFound("order.unknown", f"There is no order {order_id!r} of your organisation.", order=order_id)
        found = [conn.execute(query, {"order": order_id}).mappings().one() for query in (files, grants)]
        return OrderProgress(**found[0], **found[1], served=served.of_order(conn, ex, order_id))


_SELECT = (
    "SELECT e.id, e.order_id, d.slug AS dataset, g.slug AS org, v.number AS version, l.name AS layer, l.kind, l.handling_class, e.cell, "
    "e.part, e.sha256, t.bytes AS size, t.media_type, o.licence, o.attribution, e.purpose, e.state, e.paid, t.object_key, "
    "v.state AS version_state FROM entitlement e "
    "JOIN tile t ON t.layer_id = e.layer_id AND t.cell = e.cell AND t.part = e.part JOIN layer l ON l.id = e.layer_id "
    "JOIN dataset_version v ON v.id = l.version_id JOIN offer o ON o.id = e.offer_id JOIN dataset d ON d.id = e.dataset_id "
    "JOIN organisation g ON g.id = d.org_id"
)


def _tile(row: RowMapping, clashing: frozenset[str]) -> OrderTile:
    quadkey = grid.quadkey(row["cell"])
    # No slug has a line below, and no layer a hyphen: nothing else is called so.
    is_alone = row["dataset"] not in clashing and not is_reserved(row["dataset"])
    folder = row["dataset"] if is_alone else f"{row['org']}_{row['dataset']}"
    layer = f"layer-{row['layer']}" if is_reserved(row["layer"]) else row["layer"]
    form = of_media_type(row["media_type"])
    same = {name: row[name] for name in OrderTile.__dataclass_fields__ if name not in ("tile", "path", "paid")}
    path = f"{folder}/{layer}/{quadkey}-{row['part']}.{form.ending if form is not None else 'bin'}"
    return OrderTile(**same, tile=quadkey, path=path, paid=bool(row["paid"]))


def _clashing(conn: Connection, order_id: str) -> frozenset[str]:
    """Dataset slugs that two organisations of one order share."""
    query = (
        select(dataset.c.slug)
        .join(order_line)
        .where(order_line.c.order_id == order_id)
        .group_by(dataset.c.slug)
        .having(func.count(dataset.c.id.distinct()) > 1)
    )
    return frozenset(conn.execute(query).scalars())


def _prefix(order_id: str) -> str:
    return f"ent_{order_id.removeprefix('ord_')}_"
