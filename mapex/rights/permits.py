"""Permits: what the regulator allows an organisation to hold, as something that can be asked.

A permit names holder, further recipients, purposes, handling classes, an area and a period. A cell is permitted when all of its
ground lies inside the area: what a tile shows outside would be read without permission.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, RowMapping, insert, or_, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people.participants import find_org
from mapex.rules import licences
from mapex.texts import check_text
from mapex.times import iso_from_ns
from tiles.grid import grid

if TYPE_CHECKING:
    from shapely import Geometry

    from tiles.grid.cover import Cover

UInt64s = npt.NDArray[np.uint64]

ALWAYS_ON_EARTH_KM2 = 600_000_000
"""A permit may cover any area, the whole earth included."""

STATES = ("active", "suspended", "revoked")

SENTENCES = {
    "permit.missing": "Data of class {handling_class} need a permit, and your organisation has none for this class.",
    "permit.visitor": "Data of class {handling_class} need a permit; sign in as a member of an organisation to see what its permits allow.",
    "permit.recipient": "The permit {number} names your organisation neither as holder nor as recipient.",
    "permit.suspended": "The permit {number} is {state}; nothing is given under it.",
    "permit.not_yet": "The permit {number} begins on {valid_from}.",
    "permit.expired": "The permit {number} ended on {valid_to}.",
    "permit.purpose": "The permit {number} does not allow the purpose {purpose}; it allows {purposes}.",
    "permit.area": "The permit {number} does not cover {tiles} of the tiles; leave them out, or have the permit extended.",
}
"""English sentence of each refusal; the pages translate by code and fill in the same `values`."""

_FURTHEST = ("permit.missing", "permit.recipient", "permit.suspended", "permit.expired", "permit.not_yet", "permit.purpose", "permit.area")
"""Refusals from the furthest away to the nearest miss: of several permits, the nearest miss is the one that is told."""


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit. `org` is the holder's slug, `recipients` are slugs; `named_ids` are the ids of all of these organisations.

    `area_text` is a GeoJSON geometry (WGS 84), times are UTC ns, half open.
    """

    id: str
    org_id: str
    org: str
    number: str
    rule_set: str
    purposes: tuple[str, ...]
    classes: tuple[str, ...]
    area_text: str
    recipients: tuple[str, ...]
    named_ids: frozenset[str]
    valid_from_ns: int
    valid_to_ns: int
    state: str
    created_ns: int

    @property
    def area(self) -> Mapping[str, Any]:
        """The GeoJSON geometry of the area."""
        geometry: Mapping[str, Any] = json.loads(self.area_text)
        return geometry

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the area, in degrees."""
        import shapely

        west, south, east, north = shapely.bounds(_prepared(self.area_text)).tolist()
        return west, south, east, north


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why cells (z16, sorted) are not permitted: stable code, English sentence, and the values in it."""

    code: str
    sentence: str
    cells: UInt64s
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """The permit that allows what no refusal names; both None and empty where no permit is needed."""

    permit: Permit | None
    refusals: tuple[Refusal, ...]

    @property
    def is_allowed(self) -> bool:
        """Whether all of it is allowed."""
        return not self.refusals


def add(
    ex: Exchange,
    by: Actor | None,
    *,
    org: str,
    number: str,
    purposes: Iterable[str],
    classes: Iterable[str],
    area: Mapping[str, Any] | str,
    valid_from_ns: int,
    valid_to_ns: int,
    recipients: Iterable[str] = (),
    rule_set: str = "kr-pipc-2026-01",
) -> Permit:
    """Enter a permit that the regulator gave.

    Args:
        area: GeoJSON (geometry, Feature or FeatureCollection) with an area.
    Raises: Denied, NotFound (`org.unknown`), Conflict (`permit.exists`), Invalid (`permit.*`, `purpose.unknown`, `class.unknown`);
        InvalidRegion.
    """
    authority.operator(by)
    chosen = tuple(dict.fromkeys(str(licences.check_purpose(purpose)) for purpose in purposes))
    covered = tuple(dict.fromkeys(str(licences.check_class(handling_class)) for handling_class in classes))
    if not chosen or not covered:
        raise Invalid("permit.empty", "a permit names at least one purpose and one handling class")
    if valid_from_ns >= valid_to_ns:
        raise Invalid("permit.period", f"a permit that begins {iso_from_ns(valid_from_ns)} cannot end {iso_from_ns(valid_to_ns)}")
    number = check_text(number, "number", 128)
    geometry = _checked_area(area)
    named = tuple(dict.fromkeys(recipients))

    def work(conn: Connection) -> Permit:
        if conn.execute(select(schema.permit.c.id).where(schema.permit.c.number == number)).first():
            raise Conflict("permit.exists", f"a permit {number!r} is entered already", number=number)
        holder = find_org(conn, org)
        receiving = [find_org(conn, recipient).id for recipient in named]
        row = {
            "id": ids.new("pmt"),
            "org_id": holder.id,
            "number": number,
            "rule_set": check_text(rule_set, "rule_set", 64),
            "purposes": json.dumps(chosen),
            "classes": json.dumps(covered),
            "area": json.dumps(geometry),
            "valid_from_ns": valid_from_ns,
            "valid_to_ns": valid_to_ns,
            "state": "active",
            "created_ns": ex.now(),
        }
        conn.execute(insert(schema.permit).values(**row))
        if receiving:
            rows = [{"permit_id": row["id"], "org_id": one, "ordinal": ordinal} for ordinal, one in enumerate(receiving)]
            conn.execute(insert(schema.permit_recipient), rows)
        about: dict[str, Any] = {"purposes": list(chosen), "classes": list(covered), "recipients": list(named)}
        about |= {"valid_from": iso_from_ns(valid_from_ns), "valid_to": iso_from_ns(valid_to_ns), "rule_set": rule_set}
        log.append(conn, ex, by, log.AuditEntry(log.Action.PERMIT_ADDED, owner=org, permit=number, details=about))
        return _find(conn, number)

    return db.run(ex, work)


def set_state(ex: Exchange, by: Actor | None, number: str, state: str) -> Permit:
    """Suspend, resume or revoke (for good) a permit; effective for the next estimate, quote, order and grant.

    Raises: Denied, NotFound, Invalid (`permit.state`), Conflict (`permit.revoked`).
    """
    authority.operator(by)
    if state not in STATES:
        raise Invalid("permit.state", f"state must be one of {', '.join(STATES)}, not {state!r}", state=state)
    actions = {"active": log.Action.PERMIT_RESUMED, "suspended": log.Action.PERMIT_SUSPENDED, "revoked": log.Action.PERMIT_REVOKED}
    with db.begin(ex) as conn:
        conn.execute(select(schema.permit.c.id).where(schema.permit.c.number == number).with_for_update())
        before = _find(conn, number)
        if before.state == "revoked" and state != "revoked":
            raise Conflict("permit.revoked", f"the permit {number} was revoked for good; enter a new one", number=number)
        if before.state != state:
            conn.execute(update(schema.permit).where(schema.permit.c.number == number).values(state=state))
            log.append(conn, ex, by, log.AuditEntry(actions[state], owner=before.org, permit=number))
        return _find(conn, number)


def all_permits(ex: Exchange, by: Actor | None = None, *, box: tuple[float, float, float, float] | None = None) -> Sequence[Permit]:
    """Permits by number: all for operators, auditors and the person at the machine, else those that one holds or may receive under.

    Args:
        box: (west, south, east, north) in degrees WGS 84: only permits whose area meets it.
    Raises: InvalidRegion: the box is not one.
    """
    with db.read(ex) as conn:
        seen = _found(conn) if by is None or authority.sees_all(by) else _found(conn, _naming(by.org_id or authority.NOBODY))
    return seen if box is None else _meeting(seen, box)


def _meeting(permits: Sequence[Permit], box: tuple[float, float, float, float]) -> list[Permit]:
    """Those whose area meets the box; an R-tree over the areas' boxes keeps thousands of site permits from being looked at one by one."""
    import shapely

    from tiles.grid.footprints import FootprintIndex

    areas = ((permit.number, _prepared(permit.area_text)) for permit in permits)
    index = FootprintIndex((number, tuple(shapely.bounds(area).tolist()), area) for number, area in areas)
    hit = set(index.meeting(shapely.box(*box)))
    return [permit for permit in permits if permit.number in hit]


def get(ex: Exchange, by: Actor, number: str) -> Permit:
    """A permit that `by` may see, by its number or id.

    Raises: NotFound: absent or foreign.
    """
    for permit in all_permits(ex, by):
        if number in (permit.number, permit.id):
            return permit
    raise NotFound("permit.unknown", "there is no such permit")


def check(
    conn: Connection,
    org_id: str,
    handling_class: str,
    purpose: str | None,
    cells: Cover | UInt64s,
    at_ns: int,
    *,
    number: str | None = None,
) -> Decision:
    """Whether the organisation may receive these cells of a layer of this class for this purpose at this time.

    One permit answers: the one that allows most of the cells, or else the nearest miss. `authority.NOBODY` has none.

    Args:
        purpose: None = any that the permit allows (an estimate before the buyer has said what for).
        number: look at this permit only.
    """
    if not licences.check_class(handling_class).needs_permit:
        return Decision(None, ())
    cover = _as_cover(cells)
    if org_id == authority.NOBODY:
        return Decision(None, (_refusal("permit.visitor", cover.cells(), handling_class=handling_class),))
    found = _found(conn, _naming(org_id) if number is None else schema.permit.c.number == number)
    found.sort(key=lambda permit: -permit.valid_to_ns)
    best: Decision = Decision(None, (_refusal("permit.missing", cover.cells(), handling_class=handling_class),))
    for permit in found:
        if handling_class not in permit.classes:
            continue
        decision = _judge(permit, org_id in permit.named_ids, purpose, cover, at_ns)
        if decision.is_allowed:
            return decision
        if _nearness(decision) > _nearness(best):
            best = decision
    return best


def _judge(permit: Permit, is_named: bool, purpose: str | None, cover: Cover, at_ns: int) -> Decision:
    about = {
        "number": permit.number,
        "state": permit.state,
        "valid_from": iso_from_ns(permit.valid_from_ns),
        "valid_to": iso_from_ns(permit.valid_to_ns),
        "purposes": ", ".join(permit.purposes),
        "purpose": purpose or "",
    }
    failed = [
        code
        for code, holds in (
            ("permit.recipient", is_named),
            ("permit.suspended", permit.state == "active"),
            ("permit.not_yet", at_ns >= permit.valid_from_ns),
            ("permit.expired", at_ns < permit.valid_to_ns),
            ("permit.purpose", purpose is None or purpose in permit.purposes),
        )
        if not holds
    ]
    if failed:
        return Decision(None, (_refusal(failed[0], cover.cells(), **about),))
    outside = cover.difference(_inside(permit, cover)).cells()
    if not len(outside):
        return Decision(permit, ())
    refusal = _refusal("permit.area", outside, **about)
    return Decision(permit if len(outside) < cover.count else None, (refusal,))


def _nearness(decision: Decision) -> tuple[int, int]:
    refusal = decision.refusals[0]
    return _FURTHEST.index(refusal.code), -len(refusal.cells)


def _refusal(code: str, cells: UInt64s, **values: str) -> Refusal:
    filled = {**values, "tiles": str(len(cells))}
    return Refusal(code, SENTENCES[code].format(**filled), cells, filled)


def _as_cover(cells: Cover | UInt64s) -> Cover:
    from tiles.grid.cover import Cover

    return cells if isinstance(cells, Cover) else Cover.from_cells(np.asarray(cells, dtype=np.uint64))


def _inside(permit: Permit, cover: Cover) -> Cover:
    """The cells of the cover whose ground lies inside the area.

    From coarse cells to fine ones: only where the outline of the area runs through a cell do its children have to be looked at, so the
    work grows with the outline, not with the number of cells.
    """
    import shapely

    from tiles.grid.cover import Cover

    prepared = _prepared(permit.area_text)
    ranges = []
    waiting = {z: _cells_of(found) for z, found in cover.pyramid()}
    for z in range(min(waiting, default=0), grid.ZOOM + 1):
        cells = waiting.get(z, np.empty(0, np.uint64))
        if not len(cells):
            continue
        boxes = shapely.box(*grid.bounds_of(cells, z).T)
        inside = shapely.covers(prepared, boxes)
        shift = np.uint64(2 * (grid.ZOOM - z))
        ranges.append(np.stack([cells[inside] << shift, (cells[inside] + np.uint64(1)) << shift], axis=1))
        if z < grid.ZOOM:
            cut = cells[~inside & shapely.intersects(prepared, boxes)]
            children = (cut[:, None] << np.uint64(2)) + np.arange(4, dtype=np.uint64)
            waiting[z + 1] = np.concatenate([waiting.get(z + 1, np.empty(0, np.uint64)), children.ravel()])
    together = np.concatenate(ranges) if ranges else np.empty((0, 2), np.uint64)
    return Cover.from_ranges(together)


def _cells_of(ranges: UInt64s) -> UInt64s:
    return np.concatenate([np.arange(low, high, dtype=np.uint64) for low, high in ranges]) if len(ranges) else np.empty(0, np.uint64)


@lru_cache(maxsize=256)
def _prepared(area: str) -> Geometry:
    import shapely

    geometry = shapely.from_geojson(area)
    shapely.prepare(geometry)
    return geometry


def _checked_area(area: Mapping[str, Any] | str) -> Mapping[str, Any]:
    from tiles.grid.region import Region

    region = Region.from_geojson(area, max_vertices=100_000, max_area_km2=ALWAYS_ON_EARTH_KM2)
    if region.area_m2 <= 0:
        raise Invalid("permit.area_missing", "the area of a permit must have an area, not only lines or points")
    return region.geojson


def _find(conn: Connection, number: str) -> Permit:
    found = _found(conn, schema.permit.c.number == number)
    if not found:
        raise NotFound("permit.unknown", "there is no such permit")
    return found[0]


def _naming(org_id: str) -> ColumnElement[bool]:
    """What holds of a permit that names the organisation, as holder or as recipient."""
    received = select(schema.permit_recipient.c.permit_id).where(schema.permit_recipient.c.org_id == org_id)
    return or_(schema.permit.c.org_id == org_id, schema.permit.c.id.in_(received))


def _found(conn: Connection, condition: ColumnElement[bool] | None = None) -> list[Permit]:
    """The permits of which the condition holds (None: all), by number."""
    holder, received = schema.organisation.c, schema.permit_recipient
    permits = select(schema.permit, holder.slug.label("org")).join(schema.organisation, holder.id == schema.permit.c.org_id)
    permits = permits.order_by(schema.permit.c.number)
    recipients = (
        select(received.c.permit_id, received.c.org_id, holder.slug)
        .join_from(received, schema.organisation, holder.id == received.c.org_id)
        .join(schema.permit, schema.permit.c.id == received.c.permit_id)
        .order_by(received.c.permit_id, received.c.ordinal)
    )
    if condition is not None:
        permits, recipients = permits.where(condition), recipients.where(condition)
    rows = conn.execute(permits).mappings().all()
    named: dict[str, list[tuple[str, str]]] = defaultdict(list)
    if rows:
        for permit_id, org_id, slug in conn.execute(recipients):
            named[permit_id].append((org_id, slug))
    return [_permit(row, named[row["id"]]) for row in rows]


def _permit(row: RowMapping, recipients: Sequence[tuple[str, str]]) -> Permit:
    """The permit of a row; `recipients` are ids and slugs."""
    return Permit(
        id=row["id"],
        org_id=row["org_id"],
        org=row["org"],
        number=row["number"],
        rule_set=row["rule_set"],
        purposes=tuple(json.loads(row["purposes"])),
        classes=tuple(json.loads(row["classes"])),
        area_text=row["area"],
        recipients=tuple(slug for _, slug in recipients),
        named_ids=frozenset({row["org_id"], *(org_id for org_id, _ in recipients)}),
        valid_from_ns=row["valid_from_ns"],
        valid_to_ns=row["valid_to_ns"],
        state=row["state"],
        created_ns=row["created_ns"],
    )
