"""Permits: entered and stopped by the operator, read by whom they name. Whether one allows something: `mapex.rights.permit_check`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, insert, or_, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import signers
from mapex.people.orgs import find_org
from mapex.rights.permit import RULE_SETS, STATES, NewPermit, Permit, area_digest
from mapex.rules import licences
from mapex.texts import check_text
from mapex.times import iso_from_ns
from tiles.box import Box

if TYPE_CHECKING:
    from tiles.grid.footprints import FootprintIndex

ALWAYS_ON_EARTH_KM2 = 600_000_000
"""A permit may cover any area, the whole earth included."""

_AREAS: WeakKeyDictionary[Engine, FootprintIndex[str]] = WeakKeyDictionary()


def add(ex: Exchange, by: Actor | None, new: NewPermit) -> Permit:
    """Enter a permit that the regulator gave.

    Raises: Denied, NotFound (`org.unknown`), Conflict (`permit.exists`), Invalid (`permit.*`, `purpose.unknown`, `class.unknown`);
        InvalidRegion.
    """
    authority.operator(by)
    known, geometry = checked(new)
    with act(ex, by, f"permit:{known.number}") as conn:
        return enter(conn, ex, by, known, geometry)


def checked(new: NewPermit) -> tuple[NewPermit, Mapping[str, Any]]:
    """The permit with each word known and named once, and the geometry of its area.

    Raises: Invalid (`permit.*`, `purpose.unknown`, `class.unknown`); InvalidRegion.
    """
    return _checked(new), _checked_area(new.area)


def enter(conn: Connection, ex: Exchange, by: Actor | None, new: NewPermit, geometry: Mapping[str, Any]) -> Permit:
    """Write a `checked` permit in the caller's transaction, who has checked that `by` may, and has the turn `permit:<number>`.

    Raises: NotFound (`org.unknown`), Conflict (`permit.exists`).
    """
    _insert(conn, ex, new, geometry)
    about: dict[str, Any] = {name: list(getattr(new, name)) for name in ("purposes", "classes", "recipients")}
    about |= {"valid_from": iso_from_ns(new.valid_from_ns), "valid_to": iso_from_ns(new.valid_to_ns), "rule_set": new.rule_set}
    about["area_sha256"] = area_digest(json.dumps(geometry))
    log.append(conn, ex, by, log.AuditEntry(log.Action.PERMIT_ADDED, owner=new.org, permit=new.number, details=about))
    return _find(conn, new.number)


def _checked(new: NewPermit) -> NewPermit:
    """The permit with each word known and named once."""
    purposes = tuple(dict.fromkeys(str(licences.check_purpose(purpose)) for purpose in new.purposes))
    classes = tuple(dict.fromkeys(str(licences.check_class(handling_class)) for handling_class in new.classes))
    if not purposes or not classes:
        raise Invalid("permit.empty", "A permit names at least one purpose and one handling class.")
    if new.valid_from_ns >= new.valid_to_ns:
        begin, end = iso_from_ns(new.valid_from_ns), iso_from_ns(new.valid_to_ns)
        raise Invalid("permit.period", f"A permit that begins {begin} cannot end {end}. Give an end that is later.")
    if new.rule_set not in RULE_SETS:
        known = ", ".join(RULE_SETS)
        sentence = f"This exchange knows no rules {new.rule_set!r}; it knows {known}. Give one of these."
        raise Invalid("permit.rule_set", sentence, rule_set=new.rule_set, known=known)
    return replace(
        new,
        number=check_text(new.number, "number", 128),
        purposes=purposes,
        classes=classes,
        recipients=tuple(dict.fromkeys(new.recipients)),
    )


def _insert(conn: Connection, ex: Exchange, new: NewPermit, geometry: Mapping[str, Any]) -> None:
    if conn.execute(select(schema.permit.c.id).where(schema.permit.c.number == new.number)).first():
        raise Conflict("permit.exists", f"A permit {new.number!r} is entered already.", number=new.number)
    permit_id = ids.new("pmt")
    holder = find_org(conn, new.org)
    recipients = [find_org(conn, recipient).id for recipient in new.recipients]
    row = {
        "id": permit_id,
        "org_id": holder.id,
        "number": new.number,
        "rule_set": new.rule_set,
        "purposes": json.dumps(new.purposes),
        "classes": json.dumps(new.classes),
        "area": json.dumps(geometry),
        "valid_from_ns": new.valid_from_ns,
        "valid_to_ns": new.valid_to_ns,
        "state": "active",
        "created_ns": ex.now(),
    }
    conn.execute(insert(schema.permit).values(**row))
    if recipients:
        rows = [{"permit_id": permit_id, "org_id": org_id, "ordinal": ordinal} for ordinal, org_id in enumerate(recipients)]
        conn.execute(insert(schema.permit_recipient), rows)


def set_state(ex: Exchange, by: Actor | None, number: str, state: str) -> Permit:
    """Suspend, resume or revoke (for good) a permit; effective for the next estimate, quote, order and grant.

    Download addresses of those whom a permit named end at once when it does.

    Raises: Denied, NotFound, Invalid (`permit.state`), Conflict (`permit.revoked`).
    """
    authority.operator(by)
    if state not in STATES:
        raise Invalid("permit.state", f"The state must be one of {', '.join(STATES)}, not {state!r}.", state=state)
    actions = {"active": log.Action.PERMIT_RESUMED, "suspended": log.Action.PERMIT_SUSPENDED, "revoked": log.Action.PERMIT_REVOKED}
    with signers.retiring(ex) as retire, act(ex, by) as conn:
        conn.execute(select(schema.permit.c.id).where(schema.permit.c.number == number).with_for_update(key_share=True))
        before = _find(conn, number)
        if before.state == "revoked" and state != "revoked":
            raise Conflict("permit.revoked", f"The permit {number} was revoked for good; enter a new one.", number=number)
        if before.state != state:
            conn.execute(update(schema.permit).where(schema.permit.c.number == number).values(state=state))
            log.append(conn, ex, by, log.AuditEntry(actions[state], owner=before.org, permit=number))
            if state != "active":
                retire(conn, before.named_ids)
        return _find(conn, number)


def all_permits(ex: Exchange, by: Actor | None = None, *, box: Box | None = None) -> Sequence[Permit]:
    """Permits by number: all for operators, auditors and the person at the machine, else those that one holds or may receive under.

    Args:
        box: only permits whose area meets it.
    Raises: InvalidRegion: the box is not one.
    """
    with db.read(ex) as conn:
        seen = _found(conn) if by is None or authority.sees_all(by) else _found(conn, _names(by.org_id or authority.NOBODY))
    return seen if box is None else _meeting(ex, seen, box)


def _meeting(ex: Exchange, permits: Sequence[Permit], box: Box) -> list[Permit]:
    """Those whose area meets the box.

    The R-tree over the areas is kept as long as the engine: an area never changes and no permit is deleted, so that a question only
    adds the permits that were entered since the last one, and thousands of site permits are neither parsed nor looked at again.
    """
    import shapely

    from tiles.grid.footprints import FootprintIndex

    index = _AREAS.setdefault(ex.engine, FootprintIndex())
    index.extend((permit.id, permit.box, permit.ground) for permit in permits if permit.id not in index)
    hit = {permit_id for half in box.halves() for permit_id in index.meeting(shapely.box(*half))}
    return [permit for permit in permits if permit.id in hit]


def get(ex: Exchange, by: Actor, number: str) -> Permit:
    """A permit that `by` may see, by its number or id.

    Raises: NotFound: absent or foreign.
    """
    for permit in all_permits(ex, by):
        if number in (permit.number, permit.id):
            return permit
    raise NotFound("permit.unknown", "There is no such permit.")


def naming(conn: Connection, org_id: str) -> list[Permit]:
    """The permits that name an organisation, as holder or as recipient, in the caller's transaction; the one that ends last first."""
    if org_id == authority.NOBODY:
        return []
    return sorted(_found(conn, _names(org_id)), key=lambda permit: -permit.valid_to_ns)


def by_ids(conn: Connection, permit_ids: Iterable[str]) -> list[Permit]:
    """These permits, by number, in the caller's transaction; for whoever may see what rests on them."""
    return _found(conn, schema.permit.c.id.in_(sorted(permit_ids)))


def _checked_area(area: Mapping[str, Any] | str) -> Mapping[str, Any]:
    from tiles.grid.region import Region

    region = Region.from_geojson(area, max_vertices=100_000, max_area_km2=ALWAYS_ON_EARTH_KM2)
    if region.area_m2 <= 0:
        raise Invalid("permit.area_missing", "The area of a permit must have an area, not only lines or points. Give polygons.")
    return region.geojson


def _find(conn: Connection, number: str) -> Permit:
    found = _found(conn, schema.permit.c.number == number)
    if not found:
        raise NotFound("permit.unknown", "There is no such permit.")
    return found[0]


def _names(org_id: str) -> ColumnElement[bool]:
    """What holds of a permit that names the organisation, as holder or as recipient."""
    received = select(schema.permit_recipient.c.permit_id).where(schema.permit_recipient.c.org_id == org_id)
    return or_(schema.permit.c.org_id == org_id, schema.permit.c.id.in_(received))


def _found(conn: Connection, condition: ColumnElement[bool] | None = None) -> list[Permit]:
    """The permits of which the condition holds (None: all), by number."""
    permit, received, org = schema.permit, schema.permit_recipient, schema.organisation
    permits = select(permit, org.c.slug.label("org")).join(org, org.c.id == permit.c.org_id).order_by(permit.c.number)
    recipients = (
        select(received.c.permit_id, received.c.org_id, org.c.slug)
        .join_from(received, org, org.c.id == received.c.org_id)
        .join(permit, permit.c.id == received.c.permit_id)
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
