"""Requests for a permit to be entered: a member states what the regulator gave; the operator compares it with the document and decides.

What is entered is what the operator confirms, by the service that enters permits. The document stays with the applicant, who shows it
to the operator; its sha256 is here, so that both speak of the same one. A request grants nothing by itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.audit.log import Action, AuditEntry
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.rights import permits
from mapex.rights.permit import NewPermit, Permit, area_digest
from mapex.texts import check_text
from mapex.times import iso_from_ns

MOST_OPEN = 20
"""Requests of an organisation that wait for the operator."""
LONGEST_TEXT = 2000
STATES = ("open", "accepted", "refused", "withdrawn")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a member states: the permit as it should be entered (its holder is the own organisation), who issued it, and the document."""

    permit: NewPermit
    issuer: str
    document: str
    document_sha256: str


@dataclass(frozen=True, slots=True)
class PermitRequest:
    """A request; `org` is a slug, `person` an e-mail, `permit` the number that was entered for it, if any."""

    id: str
    org: str
    person: str
    number: str
    issuer: str
    purposes: tuple[str, ...]
    classes: tuple[str, ...]
    area_text: str
    valid_from_ns: int
    valid_to_ns: int
    document: str
    document_sha256: str
    state: str
    reason: str
    created_ns: int
    decided_ns: int | None
    permit: str

    @property
    def area(self) -> Mapping[str, Any]:
        """The GeoJSON geometry of the area."""
        geometry: Mapping[str, Any] = json.loads(self.area_text)
        return geometry


def request(ex: Exchange, by: Actor, new: NewRequest) -> PermitRequest:
    """Ask the operator to enter a permit for the own organisation.

    Raises: Denied, Invalid (`permit.*`, `purpose.unknown`, `class.unknown`), Conflict (`permit.requests`), InvalidRegion.
    """
    org_id = authority.member(by)
    checked, geometry = permits.checked(new.permit)
    row = {
        "id": ids.new("prq"),
        "org_id": org_id,
        "person_id": by.person_id,
        "number": checked.number,
        "issuer": check_text(new.issuer, "issuer", 255),
        "purposes": json.dumps(checked.purposes),
        "classes": json.dumps(checked.classes),
        "area": json.dumps(geometry),
        "valid_from_ns": checked.valid_from_ns,
        "valid_to_ns": checked.valid_to_ns,
        "document": check_text(new.document, "document", 255),
        "document_sha256": _checked_digest(new.document_sha256),
        "state": "open",
        "created_ns": ex.now(),
    }
    table = schema.permit_request.c
    with act(ex, by, f"permit_requests:{org_id}") as conn:
        waiting = conn.execute(select(func.count()).where(table.org_id == org_id, table.state == "open")).scalar() or 0
        if waiting >= MOST_OPEN:
            raise Conflict("permit.requests", f"{MOST_OPEN} requests of your organisation wait already; withdraw one first.")
        conn.execute(insert(schema.permit_request).values(**row))
        details = {"request": row["id"], "number": checked.number, "content": digest(row)}
        log.append(conn, ex, by, AuditEntry(Action.PERMIT_REQUESTED, owner=by.org_slug, details=details))
        return _find(conn, str(row["id"]))


def all_requests(ex: Exchange, by: Actor | None, *, states: Sequence[str] = STATES) -> Sequence[PermitRequest]:
    """Requests in these states, newest first: those of the own organisation, for the operator and auditors all."""
    table = schema.permit_request.c
    whose = () if by is None or authority.sees_all(by) else (table.org_id == (by.org_id or authority.NOBODY),)
    query = _rows().where(table.state.in_(states), *whose).order_by(table.created_ns.desc(), table.id)
    with db.read(ex) as conn:
        return [_request(row) for row in conn.execute(query).mappings()]


def get(ex: Exchange, by: Actor | None, request_id: str) -> PermitRequest:
    """One of these. Raises: NotFound: absent or foreign (`permit.request_unknown`)."""
    for found in all_requests(ex, by):
        if found.id == request_id:
            return found
    raise _unknown()


def accept(ex: Exchange, by: Actor | None, request_id: str, new: NewPermit) -> Permit:
    """Enter the permit as the operator confirms it, which may differ from what was asked for, and close the request.

    Raises: as `permits.add`; NotFound (`permit.request_unknown`), Conflict (`permit.request_decided`).
    """
    authority.operator(by)
    checked, geometry = permits.checked(new)
    with act(ex, by, f"permit:{checked.number}") as conn:
        _open(conn, request_id)
        made = permits.enter(conn, ex, by, checked, geometry)
        _close(conn, ex, request_id, "accepted", permit_id=made.id)
        details = {"request": request_id}
        log.append(conn, ex, by, AuditEntry(Action.PERMIT_REQUEST_ACCEPTED, owner=made.org, permit=made.number, details=details))
        return made


def refuse(ex: Exchange, by: Actor | None, request_id: str, reason: str) -> PermitRequest:
    """Refuse a request; the reason is shown to the organisation.

    Raises: Denied, NotFound (`permit.request_unknown`), Conflict (`permit.request_decided`), Invalid (`text.malformed`).
    """
    authority.operator(by)
    reason = check_text(reason, "reason", LONGEST_TEXT)
    with act(ex, by) as conn:
        return _end(conn, ex, by, _open(conn, request_id), ("refused", Action.PERMIT_REQUEST_REFUSED, reason))


def withdraw(ex: Exchange, by: Actor, request_id: str) -> PermitRequest:
    """Take a request of the own organisation back.

    Raises: Denied, NotFound (`permit.request_unknown`), Conflict (`permit.request_decided`).
    """
    authority.member(by)
    with act(ex, by) as conn:
        found = _open(conn, request_id, by.org_slug)
        return _end(conn, ex, by, found, ("withdrawn", Action.PERMIT_REQUEST_WITHDRAWN, ""))


def digest(row: Mapping[str, Any] | RowMapping) -> str:
    """sha256 (hex) of what was asked for, as the log keeps it."""
    names = ("number", "issuer", "purposes", "classes", "document", "document_sha256")
    times = [iso_from_ns(row[name]) for name in ("valid_from_ns", "valid_to_ns")]
    return hashlib.sha256(json.dumps([*(row[name] for name in names), *times, area_digest(row["area"])]).encode()).hexdigest()


def _end(conn: Connection, ex: Exchange, by: Actor | None, found: PermitRequest, how: tuple[str, Action, str]) -> PermitRequest:
    state, action, reason = how
    _close(conn, ex, found.id, state, reason=reason)
    log.append(conn, ex, by, AuditEntry(action, owner=found.org, details={"request": found.id, "number": found.number}))
    return _find(conn, found.id)


def _open(conn: Connection, request_id: str, org: str = "") -> PermitRequest:
    """An open request, held until the commit; `org` names whose it must be."""
    table = schema.permit_request.c
    conn.execute(select(table.id).where(table.id == request_id).with_for_update(key_share=True))
    found = _find(conn, request_id)
    if org and found.org != org:
        raise _unknown()
    if found.state != "open":
        raise Conflict("permit.request_decided", "This request was decided or withdrawn already; load the page again.", state=found.state)
    return found


def _close(conn: Connection, ex: Exchange, request_id: str, state: str, **values: Any) -> None:
    changed = update(schema.permit_request).where(schema.permit_request.c.id == request_id)
    conn.execute(changed.values(state=state, decided_ns=ex.now(), **values))


def _find(conn: Connection, request_id: str) -> PermitRequest:
    row = conn.execute(_rows().where(schema.permit_request.c.id == request_id)).mappings().first()
    if row is None:
        raise _unknown()
    return _request(row)


def _rows() -> Any:
    asked, org, person, permit = schema.permit_request, schema.organisation, schema.person, schema.permit
    names = (org.c.slug.label("org"), person.c.email.label("person"), permit.c.number.label("permit"))
    joined = asked.join(org, org.c.id == asked.c.org_id).join(person, person.c.id == asked.c.person_id)
    return select(asked, *names).select_from(joined.outerjoin(permit, permit.c.id == asked.c.permit_id))


def _request(row: RowMapping) -> PermitRequest:
    names = PermitRequest.__dataclass_fields__.keys() - {"purposes", "classes", "area_text", "permit"}
    lists: dict[str, Any] = {name: tuple(json.loads(row[name])) for name in ("purposes", "classes")}
    return PermitRequest(**{name: row[name] for name in names}, **lists, area_text=row["area"], permit=row["permit"] or "")


def _checked_digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise Invalid("permit.document", "Give the sha256 of the document as 64 hexadecimal digits; the page computes it from the file.")
    return text


def _unknown() -> NotFound:
    return NotFound("permit.request_unknown", "There is no such request.")
