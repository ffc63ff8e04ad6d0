"""Grants: the right to read bought tiles, exercised. Checked, logged and committed first; only then does a URL exist.

So the log names at least what was disclosed, whatever fails afterwards. A call grants all of its tiles or none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection, insert, select

from mapex import authority, ids
from mapex.audit import examination
from mapex.audit.log import Action, AuditEntry, append_many
from mapex.database import db, failpoints
from mapex.database.schema import access_grant, order
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.rights import entitlements, named_users, permit_check
from mapex.rights.entitlements import OrderTile
from mapex.rights.permit_check import Use
from mapex.rules import licences
from mapex.rules.holder import HEADER, holder_of
from mapex.rules.licences import HandlingClass
from mapex.times import NS
from tiles.grid.cover import Cover
from tiles.store.protocol import SignedRequest

MAX_TILES = 1000

MIN_NONCE = 32
"""Characters of a browser's nonce: 128 random bits in hex."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission to read one tile until `expires_ns`.

    With `holder_required` the request works only with the header `x-mapex-holder`, which the client knows and which is neither in
    the URL nor in `request.headers`.
    """

    id: str
    tile: OrderTile
    request: SignedRequest
    expires_ns: int
    holder_required: bool


@dataclass(frozen=True, slots=True)
class _Checked:
    tile: OrderTile
    permit_id: str | None
    permit: str


def grant(
    ex: Exchange,
    by: Actor,
    order_id: str,
    tiles: Sequence[str],
    *,
    holder_token: str | None = None,
    holder_nonce: str | None = None,
) -> list[Grant]:
    """Permission to read tiles of an own order, in the order they were asked for; each is an event of the audit log.

    Args:
        tiles: ids of entitlements of the order, at most 1,000, each once.
        holder_token: the bearer token that the call came with; binds tiles of class `original` to it.
        holder_nonce: for sessions: the header value that the browser will send with tiles of class `original`.

    Raises:
        Invalid: `grant.tiles`, `grant.holder_missing`.
        NotFound: `order.unknown`, `tile.unknown` (with the list).
        Denied: `order.not_named`; `permit.*`, `licence.purpose`, `entitlement.suspended`, `version.recalled` (with the list of
            tiles); nothing is granted then, and the refusal of each tile is logged.
    """
    org_id = authority.member(by)
    wanted = _check_tiles(tiles)
    try:
        with db.begin(ex) as conn:
            now = ex.now()  # after the wait for the lock: the permit must hold at the moment that the grant bears
            checked = _check(conn, by, Use(org_id, purpose=None, at_ns=now), order_id, wanted)
            expires_ns = now + ex.settings.grant_seconds * NS
            granted = [(ids.new("gra"), one) for one in checked]
            holders = {id_: _holder(id_, one.tile, holder_token, holder_nonce) for id_, one in granted}
            _store(conn, ex, by, granted, now, expires_ns)
            failpoints.hit("grant.before_commit")
    except Denied as refusal:
        with db.begin(ex) as conn:
            append_many(conn, ex, by, _refusals(conn, org_id, order_id, wanted, refusal))
        raise
    failpoints.hit("grant.after_commit")
    return [_sign(ex, id_, one.tile, expires_ns, holders[id_]) for id_, one in granted]


def _check_tiles(tiles: Sequence[str]) -> list[str]:
    wanted = list(tiles)
    if not 1 <= len(wanted) <= MAX_TILES or not all(isinstance(tile, str) for tile in wanted):
        raise Invalid("grant.tiles", f"Name 1 to {MAX_TILES} tiles of the order by their id, not {len(wanted)}.", tiles=len(wanted))
    if len(set(wanted)) != len(wanted):
        raise Invalid("grant.tiles", "A tile is named twice; name each once.", tiles=len(wanted))
    return wanted


def _check(conn: Connection, by: Actor, use: Use, order_id: str, wanted: list[str]) -> list[_Checked]:
    """The tiles with their permits; `use` is what they are to be used for but for the purpose, which is that of their order."""
    state = conn.execute(select(order.c.state).where(order.c.id == order_id, order.c.org_id == use.org_id)).scalar()
    if state is None:
        raise NotFound("order.unknown", f"There is no order {order_id!r} of your organisation.", order=order_id)
    if state not in ("paid", "ready"):
        raise Conflict("order.unpaid", f"Order {order_id} is {state}; nothing can be read yet.", order=order_id, state=state)
    named_users.check(conn, order_id, by)
    found = {tile.id: tile for tile in entitlements.pick(conn, use.org_id, order_id, wanted)}
    if missing := [tile for tile in wanted if tile not in found]:
        raise NotFound(
            "tile.unknown",
            f"{len(missing)} of the tiles are not of order {order_id}, the first is {missing[0]!r}. Ask for tiles of this order.",
            tiles=missing,
        )
    tiles = [found[tile] for tile in wanted]
    _refuse("version.recalled", "The version was recalled; delete what you have of it.", [t for t in tiles if _recalled(t)])
    _refuse("entitlement.suspended", "The right to read them is suspended; ask the operator.", [t for t in tiles if t.state != "active"])
    foreign = [t for t in tiles if not licences.allows(t.licence, t.purpose)]
    _refuse("licence.purpose", "The licence does not allow the purpose of the order.", foreign)
    original = [t for t in tiles if t.handling_class == HandlingClass.ORIGINAL]
    if original and examination.failing(conn):
        _refuse(examination.STOPPED, examination.WHY, original)
    permitted = _permitted(conn, use, tiles)
    return [_Checked(tile, *permitted[tile.id]) for tile in tiles]


def _permitted(conn: Connection, use: Use, tiles: Sequence[OrderTile]) -> dict[str, tuple[str | None, str]]:
    """Id and number of the permit for each tile, by entitlement; None and "" where none is needed.

    Raises: Denied: `permit.*`.
    """
    by_use: dict[tuple[str, str], list[OrderTile]] = defaultdict(list)
    for tile in tiles:
        by_use[tile.handling_class, tile.purpose].append(tile)
    found: dict[str, tuple[str | None, str]] = {}
    for (handling_class, purpose), group in by_use.items():
        cells = Cover.from_cells(np.array([tile.cell for tile in group], dtype=np.uint64))
        decision = permit_check.check(conn, replace(use, purpose=purpose), handling_class, cells)
        if refusal := decision.refusal:
            lacking = set(refusal.cells.cells().tolist())
            known = {"permit": refusal.values["number"]} if "number" in refusal.values else {}
            _refuse(refusal.code, refusal.sentence, [tile for tile in group if tile.cell in lacking], **known)
        permit = (decision.permit.id, decision.permit.number) if decision.permit else (None, "")
        found |= {tile.id: permit for tile in group}
    return found


def _recalled(tile: OrderTile) -> bool:
    return tile.version_state == "recalled" or tile.state == "recalled"


def _refuse(code: str, why: str, tiles: Sequence[OrderTile], **known: str) -> None:
    if tiles:
        raise Denied(
            code,
            f"{len(tiles)} of the tiles cannot be read, the first is {tiles[0].layer} {tiles[0].tile} of {tiles[0].dataset}. {why}",
            tiles=[tile.id for tile in tiles],
            **known,
        )


def _refusals(conn: Connection, org_id: str, order_id: str, wanted: Sequence[str], refusal: Denied) -> list[AuditEntry]:
    """An event for each tile that was refused, as far as tiles of the order were named; else one that names the order alone."""
    asked = {"order": order_id, "code": refusal.code, "asked": len(wanted)}
    tiles = entitlements.pick(conn, org_id, order_id, refusal.details.get("tiles", wanted))
    permit = str(refusal.details.get("permit", ""))
    entries = [_tile_entry(Action.ACCESS_REFUSED, tile, permit, asked) for tile in sorted(tiles, key=lambda tile: tile.id)]
    return entries or [AuditEntry(Action.ACCESS_REFUSED, details=asked)]


def _holder(grant_id: str, tile: OrderTile, token: str | None, nonce: str | None) -> str | None:
    if tile.handling_class != HandlingClass.ORIGINAL:
        return None
    if token is not None:
        return holder_of(token, grant_id)
    if nonce is None or len(nonce) < MIN_NONCE or not nonce.isascii() or not nonce.isalnum():
        raise Invalid(
            "grant.holder_missing",
            f"Original footage is bound to its reader: call with a bearer token, or give a random `holder` of {MIN_NONCE} or more letters.",
        )
    return nonce


def _store(conn: Connection, ex: Exchange, by: Actor, granted: Sequence[tuple[str, _Checked]], now: int, expires_ns: int) -> None:
    rows = [
        {
            "id": id_,
            "org_id": by.org_id,
            "person_id": by.person_id,
            "entitlement_id": one.tile.id,
            "object_key": one.tile.object_key,
            "purpose": one.tile.purpose,
            "permit_id": one.permit_id,
            "issued_ns": now,
            "expires_ns": expires_ns,
        }
        for id_, one in granted
    ]
    conn.execute(insert(access_grant), rows)
    append_many(conn, ex, by, [_tile_entry(Action.ACCESS_GRANTED, one.tile, one.permit, {"grant": id_}) for id_, one in granted])


def _tile_entry(action: Action, tile: OrderTile, permit: str, about: Mapping[str, object]) -> AuditEntry:
    """What was done with one tile, under which permit, and what else is to be known of it."""
    return AuditEntry(
        action,
        owner=tile.org,
        dataset=tile.dataset,
        layer=tile.layer,
        tile=tile.tile,
        purpose=tile.purpose,
        permit=permit,
        details={
            **about,
            "order": tile.order_id,
            "entitlement": tile.id,
            "version": tile.version,
            "part": tile.part,
            "class": tile.handling_class,
            "sha256": tile.sha256,
        },
    )


def _sign(ex: Exchange, grant_id: str, tile: OrderTile, expires_ns: int, holder: str | None) -> Grant:
    filename = "-".join((tile.dataset, tile.layer, tile.path.rpartition("/")[2]))
    request = ex.store.presign_get(tile.object_key, expires_s=ex.settings.grant_seconds, grant=grant_id, filename=filename, holder=holder)
    shown = {name: value for name, value in request.headers.items() if name.lower() != HEADER}
    return Grant(grant_id, tile, SignedRequest(request.method, request.url, shown), expires_ns, holder is not None)
