"""What stands on the tax invoices of an organisation: business number, name as registered, representative, address, type, item, e-mail.

One business number is of one organisation. A firm abroad has none and gives the rest. The operator's own stand in the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, select, text

from mapex import authority
from mapex.audit.log import Action, AuditEntry, append
from mapex.config import Settings
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import business, organisation
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import orgs, purchase_rights
from mapex.people.persons import check_email
from mapex.rules.business_number import check_number, written_out
from mapex.texts import check_text

LONGEST = 255


@dataclass(frozen=True, slots=True)
class Business:
    """What a tax invoice names of one side; no number: a firm abroad."""

    number: str | None
    name: str
    representative: str
    address: str
    business_type: str
    item: str
    email: str

    @property
    def written_number(self) -> str:
        """The number as people write it, or nothing."""
        return written_out(self.number) if self.number else ""

    @property
    def about(self) -> Mapping[str, Any]:
        """All of it by name, as log and API have it."""
        return asdict(self)


def get(ex: Exchange, by: Actor | None, slug: str) -> Business | None:
    """The business of an organisation; None: not entered yet.

    Raises: NotFound: absent, or foreign: members see that of their own organisation.
    """
    with db.read(ex) as conn:
        return of_org(conn, _visible(conn, by, slug).id)


def of_org(conn: Connection, org_id: str) -> Business | None:
    """The business of an organisation, in the caller's transaction."""
    row = conn.execute(select(business).where(business.c.org_id == org_id)).mappings().first()
    return Business(**{name: row[name] for name in Business.__dataclass_fields__}) if row else None


def put(ex: Exchange, by: Actor | None, slug: str, given: Business) -> Business:
    """Enter or change what stands on the invoices of an organisation: the operator, or a member of it who may pay without limit.

    Raises:
        Denied: `purchase.approver`; `session.stale`. NotFound: `org.unknown`: absent or foreign.
        Invalid: `business.number_digits`, `business.number_check`, `text.malformed`, `person.email`. Conflict: `business.number_taken`.
    """
    authority.confirmed_by_factor(ex, by)
    checked = _checked(given)
    with act(ex, by, "businesses") as conn:
        org = _visible(conn, by, slug, reads_only=False)
        purchase_rights.check_approver(conn, by)
        if of_org(conn, org.id) == checked:
            return checked
        _check_free(conn, org, checked)
        values = {"org_id": org.id, **checked.about}
        conn.execute(text(_PUT), values)
        append(conn, ex, by, AuditEntry(Action.BUSINESS_SET, owner=org.slug, details=dict(checked.about)))
    return checked


_NAMES = tuple(Business.__dataclass_fields__)
_PUT = (
    f"INSERT INTO business (org_id, {', '.join(_NAMES)}) VALUES (:org_id, {', '.join(f':{name}' for name in _NAMES)}) "
    f"ON CONFLICT (org_id) DO UPDATE SET {', '.join(f'{name} = :{name}' for name in _NAMES)}"
)


def operator(settings: Settings) -> Business:
    """The operator's own.

    Raises: Conflict: `invoice.operator`: not all of it is in the settings. Invalid: `business.*`: its number is none.
    """
    names = {name: str(getattr(settings, f"operator_{name}")) for name in _NAMES}
    if missing := [f"MAPEX_OPERATOR_{name.upper()}" for name, value in names.items() if not value]:
        sentence = f"The operator has not entered its own business details; it sets {', '.join(missing)}."
        raise Conflict("invoice.operator", sentence, settings=missing)
    return _checked(Business(**names))


def _visible(conn: Connection, by: Actor | None, slug: str, *, reads_only: bool = True) -> orgs.Org:
    sees = by is None or by.role == "operator" or (reads_only and authority.sees_all(by))
    if by is not None and not sees and (by.role != "member" or by.org_slug != slug):
        raise NotFound("org.unknown", "There is no such organisation.")
    return orgs.find_org(conn, slug)


def _checked(given: Business) -> Business:
    names = ("name", "representative", "address", "business_type", "item")
    texts = {name: " ".join(check_text(getattr(given, name), name, LONGEST).split()) for name in names}
    number = check_number(given.number) if given.number else None
    return replace(given, number=number, email=check_email(given.email), **texts)


def _check_free(conn: Connection, org: orgs.Org, given: Business) -> None:
    taken = select(organisation.c.slug).join(business, business.c.org_id == organisation.c.id)
    if given.number and conn.execute(taken.where(business.c.number == given.number, organisation.c.id != org.id)).first():
        sentence = f"{given.written_number} is entered for another organisation; compare it with the certificate, or ask the operator."
        raise Conflict("business.number_taken", sentence, number=given.number)
