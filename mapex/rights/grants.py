"""Grants: the right to read bought tiles, exercised. Checked, logged and committed first; only then does a URL exist.

So the log names at least what was disclosed, whatever fails afterwards. A call grants all of its tiles or none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection, func, insert, select

from mapex import authority, ids
from mapex.audit import examination
from mapex.audit.log import Action, AuditEntry, append_many
from mapex.database import attempts, db, failpoints
from mapex.database.schema import access_grant, order
from mapex.errors import Conflict, Denied, Invalid, Limited, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import signers
from mapex.rights import entitlements, named_users, permit_check
from mapex.rights.entitlements import OrderTile
from mapex.rights.permit_check import Use
from mapex.rules import licences, terms
from mapex.rules.holder import HEADER, holder_of
from mapex.rules.licences import HandlingClass
from mapex.times import NS
from tiles.grid.cover import Cover
from tiles.store.protocol import SignedRequest

MAX_TILES = 1000

DAY_NS = 24 * 3600 * NS

REFUSALS_LOGGED = 20
"""Refused calls of one person for one order that are logged tile by tile in an hour; then only how many there were, at each tenfold."""

ORIGINAL_SECONDS = 60
"""The longest life of an address of original footage, whatever the settings say."""

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
    ends_ns: int | None
    """When the permit ends."""


@dataclass(frozen=True, slots=True)
class _Granted:
    """What was decided and written for one tile, by whom it is to be signed, and who holds it."""

    id: str
    tile: OrderTile
    permit_id: str | None
    permit: str
    signer: str
    expires_ns: int
    holder: str | None


def grant(
    ex: Exchange,
    by: Actor,
    order_id: str,
    tiles: Sequence[str],
    *,
    purpose: str | None = None,
    holder_token: str | None = None,
    holder_nonce: str | None = None,
) -> list[Grant]:
    """Permission to read tiles of an own order, in the order they were asked for; each is an event of the audit log.

    Args:
        tiles: ids of entitlements of the order, at most 1,000, each once.
        purpose: what for, if narrower than the purpose of the order; permits are asked for it, and the log names it.
        holder_token: the bearer token that the call came with; binds tiles of class `original` to it.
        holder_nonce: for sessions: the header value that the browser will send with tiles of class `original`.

    Raises:
        Invalid: `grant.tiles`, `grant.holder_missing`, `purpose.unknown`.
        NotFound: `order.unknown`, `tile.unknown` (with the list).
        Denied: `order.not_named`; `grant.purpose`, `permit.*`, `licence.purpose`, `entitlement.suspended`, `version.recalled` (with the
            list of tiles); nothing is granted then, and the refusal of each tile is logged. `session.stale`: original
            footage, at a browser.
    """
    org_id = authority.member(by)
    wanted = _check_tiles(tiles)
    if purpose is not None:
        licences.check_purpose(purpose)
    try:
        with db.in_turn(ex, f"grants:{org_id}:{order_id}") as conn:  # so that what was given of a tile today is counted
            now = ex.now()  # after the wait for the lock: the permit must hold at the moment that the grant bears
            signer = signers.of(conn, by)  # first of all: what ends while this is looked at, or after it, ends the signer too
            checked = _check(conn, by, Use(org_id, purpose, now), order_id, wanted, ex.settings.grants_per_tile)
            if any(one.tile.handling_class == HandlingClass.ORIGINAL for one in checked):
                authority.confirmed_by_factor(ex, by)
            granted = [_granted(ex, one, signer, now, (holder_token, holder_nonce)) for one in checked]
            _store(conn, ex, by, granted, now)
            failpoints.hit("grant.before_commit")
    except Denied as refusal:
        _log_refusal(ex, by, order_id, wanted, refusal)
        raise
    failpoints.hit("grant.after_commit")
    if ex.store.admit(signer) and not signers.is_current(ex, signer):
        ex.store.retire(signer)  # it was retired before the store knew it
    return [_sign(ex, one) for one in granted]


def _check_tiles(tiles: Sequence[str]) -> list[str]:
    wanted = list(tiles)
    if not 1 <= len(wanted) <= MAX_TILES or not all(isinstance(tile, str) for tile in wanted):
        raise Invalid("grant.tiles", f"Name 1 to {MAX_TILES} tiles of the order by their id, not {len(wanted)}.", tiles=len(wanted))
    if len(set(wanted)) != len(wanted):
        raise Invalid("grant.tiles", "A tile is named twice; name each once.", tiles=len(wanted))
    return wanted


def _check(conn: Connection, by: Actor, use: Use, order_id: str, wanted: list[str], most: int) -> list[_Checked]:
    """The tiles with their permits, for the purpose of `use`; if it names none, for that of their order.

    `most`: how often each may be granted in a day.
    """
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
    if use.purpose is not None:
        wider = [t for t in tiles if not terms.covers_purpose(t.purpose, use.purpose)]
        _refuse("grant.purpose", f"They were not bought for {use.purpose}; buy them for it.", wider)
        tiles = [replace(tile, purpose=use.purpose) for tile in tiles]
    foreign = [t for t in tiles if not licences.allows(t.licence, t.purpose)]
    _refuse("licence.purpose", "The licence does not allow the purpose of the order.", foreign)
    original = [t for t in tiles if t.handling_class == HandlingClass.ORIGINAL]
    if original and examination.failing(conn):
        _refuse(examination.STOPPED, examination.WHY, original)
    permitted = _permitted(conn, use, tiles)
    _check_often(conn, use.at_ns, tiles, most)
    return [_Checked(tile, *permitted[tile.id]) for tile in tiles]


def _check_often(conn: Connection, at_ns: int, tiles: Sequence[OrderTile], most: int) -> None:
    """Each grant is an entry of the log for ever: nobody fills it with the same file again and again.

    Raises: Limited: `grant.too_often`.
    """
    given = (
        select(access_grant.c.entitlement_id, func.min(access_grant.c.issued_ns))
        .where(access_grant.c.entitlement_id.in_([tile.id for tile in tiles]), access_grant.c.issued_ns > at_ns - DAY_NS)
        .group_by(access_grant.c.entitlement_id)
        .having(func.count() >= most)
    )
    often = {entitlement: int(first) for entitlement, first in conn.execute(given)}
    if often:
        [tile, *_] = [tile for tile in tiles if tile.id in often]
        wait = max(1, math.ceil((often[tile.id] + DAY_NS - at_ns) / NS))
        raise Limited(
            "grant.too_often",
            f"{tile.layer} {tile.tile} of {tile.dataset} was read {most} times within a day; keep what you downloaded, or wait {wait} s.",
            tiles=sorted(often),
            retry_after_s=wait,
        )


def _permitted(conn: Connection, use: Use, tiles: Sequence[OrderTile]) -> dict[str, tuple[str | None, str, int | None]]:
    """Id, number and end of the permit for each tile, by entitlement; None, "" and None where none is needed.

    Raises: Denied: `permit.*`.
    """
    by_use: dict[tuple[str, str], list[OrderTile]] = defaultdict(list)
    for tile in tiles:
        by_use[tile.handling_class, tile.purpose].append(tile)
    found: dict[str, tuple[str | None, str, int | None]] = {}
    for (handling_class, purpose), group in by_use.items():
        cells = Cover.from_cells(np.array([tile.cell for tile in group], dtype=np.uint64))
        decision = permit_check.check(conn, replace(use, purpose=purpose), handling_class, cells)
        if refusal := decision.refusal:
            lacking = set(refusal.cells.cells().tolist())
            known = {"permit": refusal.values["number"]} if "number" in refusal.values else {}
            _refuse(refusal.code, refusal.sentence, [tile for tile in group if tile.cell in lacking], **known)
        named = decision.permit
        permit = (named.id, named.number, named.valid_to_ns) if named else (None, "", None)
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


def _log_refusal(ex: Exchange, by: Actor, order_id: str, wanted: Sequence[str], refusal: Denied) -> None:
    tries = attempts.count(ex, f"refused {by.person_id} {order_id}", 3600).count
    with db.begin(ex) as conn:
        if tries <= REFUSALS_LOGGED:
            append_many(conn, ex, by, _refusals(conn, authority.member(by), order_id, wanted, refusal))
        elif attempts.is_logged(tries):
            about = {"order": order_id, "code": refusal.code, "asked": len(wanted), "tries": tries}
            append_many(conn, ex, by, [AuditEntry(Action.ACCESS_REFUSED, details=about)])


def _refusals(conn: Connection, org_id: str, order_id: str, wanted: Sequence[str], refusal: Denied) -> list[AuditEntry]:
    """An event for each tile that was refused, as far as tiles of the order were named; else one that names the order alone."""
    asked = {"order": order_id, "code": refusal.code, "asked": len(wanted)}
    tiles = entitlements.pick(conn, org_id, order_id, refusal.details.get("tiles", wanted))
    permit = str(refusal.details.get("permit", ""))
    entries = [_tile_entry(Action.ACCESS_REFUSED, tile, permit, asked) for tile in sorted(tiles, key=lambda tile: tile.id)]
    return entries or [AuditEntry(Action.ACCESS_REFUSED, details=asked)]


def holder_for(grant_id: str, handling_class: str, token: str | None, nonce: str | None) -> str | None:
    """What the client of a grant sends as its holder: from its token, or the nonce that it chose; None where nothing binds it.

    Raises: Invalid: `grant.holder_missing`.
    """
    if handling_class != HandlingClass.ORIGINAL:
        return None
    if token is not None:
        return holder_of(token, grant_id)
    if nonce is None or len(nonce) < MIN_NONCE or not nonce.isascii() or not nonce.isalnum():
        raise Invalid(
            "grant.holder_missing",
            f"Original footage is bound to its reader: call with a bearer token, or give a random `holder` of {MIN_NONCE} or more letters.",
        )
    return nonce


def _granted(ex: Exchange, one: _Checked, signer: str, now: int, holder: tuple[str | None, str | None]) -> _Granted:
    """`holder`: the token of the call, the nonce of a browser."""
    grant_id = ids.new("gra")
    longest = ex.settings.grant_seconds
    seconds = min(longest, ORIGINAL_SECONDS) if one.tile.handling_class == HandlingClass.ORIGINAL else longest
    expires_ns = min(now + seconds * NS, one.ends_ns or now + seconds * NS)
    return _Granted(
        grant_id, one.tile, one.permit_id, one.permit, signer, expires_ns, holder_for(grant_id, one.tile.handling_class, *holder)
    )


def _store(conn: Connection, ex: Exchange, by: Actor, granted: Sequence[_Granted], now: int) -> None:
    rows = [
        {
            "id": one.id,
            "org_id": by.org_id,
            "person_id": by.person_id,
            "entitlement_id": one.tile.id,
            "object_key": one.tile.object_key,
            "purpose": one.tile.purpose,
            "permit_id": one.permit_id,
            "issued_ns": now,
            "expires_ns": one.expires_ns,
        }
        for one in granted
    ]
    conn.execute(insert(access_grant), rows)
    append_many(conn, ex, by, [_tile_entry(Action.ACCESS_GRANTED, one.tile, one.permit, {"grant": one.id}) for one in granted])


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
        handling_class=tile.handling_class,
        details={
            **about,
            "order": tile.order_id,
            "entitlement": tile.id,
            "version": tile.version,
            "part": tile.part,
            "sha256": tile.sha256,
        },
    )


def _sign(ex: Exchange, one: _Granted) -> Grant:
    tile = one.tile
    filename = "-".join((tile.dataset, tile.layer, tile.path.rpartition("/")[2]))
    left_s = max(1, one.expires_ns // NS - ex.now() // NS)  # in whole seconds, as signatures count; never beyond the end
    request = ex.store.presign_get(tile.object_key, expires_s=left_s, grant=one.id, filename=filename, holder=one.holder, signer=one.signer)
    shown = {name: value for name, value in request.headers.items() if name.lower() != HEADER}
    return Grant(one.id, tile, SignedRequest(request.method, request.url, shown), one.expires_ns, one.holder is not None)
