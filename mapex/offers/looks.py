"""Operators look at footage under review: one tile at a time, by an address of a minute that is bound to who asked, and logged before."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select

from mapex import authority, ids
from mapex.audit import examination
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import failpoints
from mapex.database.acts import act
from mapex.database.schema import layer, tile
from mapex.errors import Conflict, Denied, NotFound
from mapex.exchange import Actor, Exchange
from mapex.offers import reviews
from mapex.people import signers
from mapex.rights import grants
from mapex.rules.holder import HEADER
from mapex.rules.licences import HandlingClass
from mapex.times import NS
from tiles.formats import of_media_type
from tiles.grid import grid
from tiles.store.protocol import SignedRequest


@dataclass(frozen=True, slots=True)
class Look:
    """A tile that a reviewer may read until `expires_ns`, by a request that works with the header `x-mapex-holder` only."""

    id: str
    tile: str
    part: int
    size: int
    name: str
    request: SignedRequest
    expires_ns: int


def look(ex: Exchange, by: Actor, review_id: str, at: int, *, holder_token: str | None = None, holder_nonce: str | None = None) -> Look:
    """The address of one tile of the layer under review, the `at`-th (from 0) of all in the order of their places.

    Args:
        holder_token, holder_nonce: as of `grants.grant`; what is read is original until it is accepted.
    Raises: Denied (`session.stale`, `footage.stopped`), NotFound (`review.unknown`, `tile.unknown`), Conflict (`review.state`), Invalid
        (`grant.holder_missing`).
    """
    authority.operator(by)
    authority.confirmed_by_factor(ex, by)
    with act(ex, by, f"review:{review_id}") as conn:
        found = reviews.find(conn, review_id)
        if found.state != "under_review":
            raise Conflict(
                "review.state", f"The review is {found.state}; footage is looked at while it is under_review.", state=found.state
            )
        if examination.failing(conn):
            raise Denied(examination.STOPPED, examination.WHY)
        row = _tile(conn, found.version_id, found.request.layer, at)
        look_id, now = ids.new("loo"), ex.now()
        holder = grants.holder_for(look_id, HandlingClass.ORIGINAL, holder_token, holder_nonce)
        signer = signers.of_owner(conn, found.org)
        about = {"review": found.id, "grant": look_id, "version": found.version, "part": row["part"], "sha256": row["sha256"]}
        quadkey = grid.quadkey(row["cell"])
        where = {"owner": found.org, "dataset": found.dataset, "layer": found.request.layer, "tile": quadkey}
        append(conn, ex, by, AuditEntry(Action.FOOTAGE_LOOKED_AT, **where, handling_class=row["handling_class"], details=about))
        failpoints.hit("grant.before_commit")
    if ex.store.admit(signer) and not signers.is_current(ex, signer):
        ex.store.retire(signer)
    form = of_media_type(row["media_type"])
    name = f"{found.dataset}-{found.request.layer}-{quadkey}-{row['part']}.{form.ending if form else 'bin'}"
    expires_ns = now + min(ex.settings.grant_seconds, grants.ORIGINAL_SECONDS) * NS
    left_s = max(1, expires_ns // NS - ex.now() // NS)
    signed = ex.store.presign_get(row["object_key"], expires_s=left_s, grant=look_id, filename=name, holder=holder, signer=signer)
    shown = {header: value for header, value in signed.headers.items() if header.lower() != HEADER}
    return Look(look_id, quadkey, row["part"], row["bytes"], name, SignedRequest(signed.method, signed.url, shown), expires_ns)


def _tile(conn: Connection, version_id: str, name: str, at: int) -> RowMapping:
    query = select(tile, layer.c.handling_class).join_from(tile, layer, layer.c.id == tile.c.layer_id)
    query = query.where(layer.c.version_id == version_id, layer.c.name == name).order_by(tile.c.cell, tile.c.part)
    row = conn.execute(query.offset(at).limit(1)).mappings().first()
    if row is None:
        raise NotFound("tile.unknown", f"The layer has no tile number {at}; numbers begin at 0.")
    return row
