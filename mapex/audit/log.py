"""The audit log: one row for each thing that happened, written in the transaction of what it describes. No log, no action.

A row is canonical JSON (RFC 8785) with a random salt and the commitment sha256(salt || payload); triggers refuse to change or
remove it. The plain columns beside it are for filtering only and repeat values of the payload.

Numbers follow one another without a gap, in the order of commits: who logs takes turns from the entry to the commit, so entries are
written last (`db.insert_last`). `log_head` keeps the newest number, which only ever grows by one.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import rfc8785
from sqlalchemy import Connection, RowMapping, or_, select

from mapex.audit import flags, ground
from mapex.audit.ground import AskedGround
from mapex.authority import sees_all
from mapex.database import db, schema
from mapex.errors import Invalid
from mapex.exchange import Actor, Exchange
from mapex.times import iso_from_ns

SYSTEM = "system"
"""Who acts when nobody is logged in: the command line on the exchange itself, the worker."""

MAX_PAGE = 1000

LONGEST_LOGGED = 1000
"""Characters of a region that an entry about a reading repeats; each page that is read is an entry."""


class Action(StrEnum):
    """Everything that is logged, as `noun.what_happened`."""

    ORG_ADDED = "org.added"
    ORG_SUSPENDED = "org.suspended"
    ORG_RESUMED = "org.resumed"
    SIGNER_RETIRED = "signer.retired"
    DOMAIN_ADDED = "domain.added"
    DOMAIN_REMOVED = "domain.removed"
    BUSINESS_SET = "business.set"
    PERSON_INVITED = "person.invited"
    PERSON_ADDED = "person.added"
    PERSON_SUSPENDED = "person.suspended"
    PERSON_RESUMED = "person.resumed"
    PERSON_ROLE_CHANGED = "person.role_changed"
    PERSON_PASSWORD_SET = "person.password_set"
    PERSON_PROVEN = "person.proven"
    RIGHT_SET = "purchase_right.set"
    PERSON_DISPLACED = "person.displaced"
    INVITATION_HANDED_OUT = "invitation.handed_out"
    INVITATION_REVOKED = "invitation.revoked"
    RESET_SENT = "reset.sent"
    APPLICATION_RECEIVED = "application.received"
    APPLICATION_PROVEN = "application.proven"
    APPLICATION_ACCEPTED = "application.accepted"
    APPLICATION_REFUSED = "application.refused"
    APPLICATION_CLEARED = "application.cleared"
    SESSION_OPENED = "session.opened"
    SESSION_REFUSED = "session.refused"
    SESSION_CLOSED = "session.closed"
    SESSION_ENDED = "session.ended"
    SESSION_CONFIRMED = "session.confirmed"
    FACTOR_ADDED = "factor.added"
    FACTOR_REMOVED = "factor.removed"
    FACTOR_REFUSED = "factor.refused"
    FACTORS_RESET = "factors.reset"
    RECOVERY_MADE = "recovery.made"
    RECOVERY_USED = "recovery.used"
    TOKEN_CREATED = "token.created"
    TOKEN_REVOKED = "token.revoked"
    PERMIT_ADDED = "permit.added"
    PERMIT_SUSPENDED = "permit.suspended"
    PERMIT_RESUMED = "permit.resumed"
    PERMIT_REVOKED = "permit.revoked"
    PERMIT_REQUESTED = "permit.requested"
    PERMIT_REQUEST_ACCEPTED = "permit.request_accepted"
    PERMIT_REQUEST_REFUSED = "permit.request_refused"
    PERMIT_REQUEST_WITHDRAWN = "permit.request_withdrawn"
    UPLOAD_STAGED = "upload.staged"
    UPLOAD_COMPLETED = "upload.completed"
    UPLOAD_ABORTED = "upload.aborted"
    DATASET_CREATED = "dataset.created"
    DATASET_REMOVED = "dataset.removed"
    DATASET_DESCRIBED = "dataset.described"
    SELLER_DESCRIBED = "seller.described"
    VERSION_STARTED = "version.started"
    VERSION_PLACED = "version.placed"
    VERSION_REDUCED = "version.reduced"
    VERSION_UNPLACED = "version.unplaced"
    VERSION_REJECTED = "version.rejected"
    VERSION_DRAFTED = "version.drafted"
    VERSION_CLASSIFIED = "version.classified"
    REVIEW_REQUESTED = "review.requested"
    REVIEW_BEGUN = "review.begun"
    REVIEW_REFUSED = "review.refused"
    REVIEW_READ = "review.read"
    FOOTAGE_LOOKED_AT = "footage.looked_at"
    FOOTAGE_CLEARED = "footage.cleared"
    VERSION_PUBLISHED = "version.published"
    VERSION_WITHDRAWN = "version.withdrawn"
    VERSION_RECALLED = "version.recalled"
    VERSION_REMOVED = "version.removed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_RETRIED = "job.retried"
    OFFER_PUBLISHED = "offer.published"
    OFFER_WITHDRAWN = "offer.withdrawn"
    QUOTE_MADE = "quote.made"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_RENEWED = "approval.renewed"
    APPROVAL_REFUSED = "approval.refused"
    APPROVAL_WITHDRAWN = "approval.withdrawn"
    ORDER_PLACED = "order.placed"
    ORDER_NAMED = "order.named"
    ORDER_REFUNDED = "order.refunded"
    WALLET_CREDITED = "wallet.credited"
    SETTLEMENT_CLOSED = "settlement.closed"
    SETTLEMENT_PAID = "settlement.paid"
    VAT_PAID = "vat.paid"
    FEE_DRAWN = "fee.drawn"
    ACCESS_GRANTED = "access.granted"
    ACCESS_REFUSED = "access.refused"
    SAMPLE_TAKEN = "sample.taken"
    QUESTION_SENT = "question.sent"
    EXCHANGE_EXAMINED = "exchange.examined"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFIED = "audit.verified"


COLUMNS = ("action", "person", "org", "owner", "dataset", "layer", "tile", "purpose", "permit", "class")
"""Keys of the payload that are columns too."""

_OWN_KEYS = frozenset({"v", "at", "network", *COLUMNS})
"""Keys of the payload that the log itself writes."""

ACCESSES = frozenset({Action.ACCESS_GRANTED, Action.ACCESS_REFUSED, Action.FOOTAGE_LOOKED_AT, Action.REVIEW_READ})
"""Who reads, or asks to, does so from somewhere: the entry names the network (24 bits of an address, of IPv6 48), never the address."""

FIELDS = {"class": "handling_class"}
"""What a column is called where Python has its name for itself."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is to be logged; who did it and when, the log adds.

    Attributes:
        owner: slug of whose data it is; None = the actor's organisation when a dataset is named, else nobody.
        dataset, layer, purpose, permit: what it was done to and under which permit number; empty = none.
        tile: quadkey.
        handling_class: of what was read; `class` in the payload.
        details: whatever else belongs to the event: JSON values, integers within ±2^53.
    Raises: ValueError: `details` names again what the log writes itself; the columns and the payload would differ.
    """

    action: Action
    owner: str | None = None
    dataset: str = ""
    layer: str = ""
    tile: str = ""
    purpose: str = ""
    permit: str = ""
    handling_class: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if twice := self.details.keys() & _OWN_KEYS:
            raise ValueError(f"details of {self.action} name {sorted(twice)}, which the log writes itself")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `org` is who acted, `owner` whose data it was (slugs); `payload` is the whole, as committed to."""

    seq: int
    at_ns: int
    action: str
    person: str
    org: str
    owner: str
    dataset: str
    layer: str
    tile: str
    purpose: str
    permit: str
    handling_class: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first; `next` is the `after` of the following page, or None at the end."""

    events: Sequence[Event]
    next: int | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are asked for; empty text and None mean all. Times are UTC nanoseconds, half open.

    `action` without a dot stands for all of that noun: `access` is granted and refused. `tile` is a quadkey; a shorter one stands for
    all tiles below it. `ground` is where these are (`mapex.atlas.grounds`). `flag` is a name of `flags.FLAGS`, or "any".
    """

    action: str = ""
    person: str = ""
    org: str = ""
    owner: str = ""
    dataset: str = ""
    layer: str = ""
    tile: str = ""
    purpose: str = ""
    permit: str = ""
    handling_class: str = ""
    ground: AskedGround | None = None
    flag: str = ""
    from_ns: int | None = None
    to_ns: int | None = None


def append(conn: Connection, ex: Exchange, actor: Actor | None, entry: AuditEntry) -> None:
    """Log one event in the caller's transaction; ``actor`` None is the exchange itself (`SYSTEM`)."""
    append_many(conn, ex, actor, [entry])


def append_many(conn: Connection, ex: Exchange, actor: Actor | None, entries: Iterable[AuditEntry]) -> None:
    """Log many events at once, all of the same moment, in the order given."""
    at_ns = ex.now()
    rows = [_row(actor, at_ns, entry) for entry in entries]
    if rows:
        db.insert_last(conn, schema.audit_event, rows)


def events(ex: Exchange, by: Actor, wanted: EventFilter | None = None, *, after: int | None = None, limit: int = 100) -> Page:
    """Events that `by` may see, newest first; the reading is an event itself.

    Auditors and operators see all. A member sees what own persons did and what was done with own data; of the latter the person
    of another organisation stays unnamed.

    Raises: Invalid: `limit` is not within 1 to 1000.
    """
    with db.begin(ex) as conn:
        return read_page(conn, ex, by, wanted or EventFilter(), after=after, limit=limit)


def read_page(
    conn: Connection,
    ex: Exchange,
    by: Actor,
    wanted: EventFilter,
    *,
    after: int | None = None,
    limit: int = 100,
    only: Sequence[Any] = (),
) -> Page:
    """As `events`, in the caller's transaction, which may count the same events beside; `only` must hold of each, too."""
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid("audit.limit", f"`limit` must be 1 to {MAX_PAGE}, not {limit}.", limit=limit)
    event = schema.audit_event.c
    query = select(schema.audit_event).where(*conditions(by, wanted), *only, *(() if after is None else (event.seq < after,)))
    rows = conn.execute(query.order_by(event.seq.desc()).limit(limit + 1)).mappings().all()
    details = {"filter": _asked(wanted), "after": after, "rows": min(len(rows), limit)}
    append(conn, ex, by, AuditEntry(Action.AUDIT_READ, details=details))
    found = [_event(line, by) for line in rows[:limit]]
    return Page(found, found[-1].seq if len(rows) > limit else None)


def conditions(by: Actor, wanted: EventFilter) -> list[Any]:
    """What must hold of a row of `audit_event` that `by` may see and that fits the filter.

    Raises: Invalid: `audit.flag`, `audit.region`.
    """
    event = schema.audit_event.c
    plain = {name: getattr(wanted, FIELDS.get(name, name)) for name in COLUMNS if name not in ("action", "tile")}
    found = [event[name] == value for name, value in plain.items() if value]
    if wanted.action:
        found.append(event.action == wanted.action if "." in wanted.action else event.action.in_(_of_noun(wanted.action)))
    if wanted.tile:
        # A half-open range uses the index, which LIKE does not on every database; quadkeys hold the digits 0 to 3 only.
        found += [event.tile >= wanted.tile, event.tile < wanted.tile + "4"]
    if wanted.ground:
        found += ground.conditions(wanted.ground)
    if wanted.from_ns is not None:
        found.append(event.at_ns >= wanted.from_ns)
    if wanted.to_ns is not None:
        found.append(event.at_ns < wanted.to_ns)
    if wanted.flag:
        found.append(flags.condition(wanted.flag))
    if not sees_all(by):
        # An actor without an organisation, who is neither auditor nor operator, sees own deeds only.
        found.append(or_(event.org == by.org_slug, event.owner == by.org_slug) if by.org_slug else event.person == by.email)
        if wanted.person:
            # A foreign person must not be found by asking for the name either.
            found.append(event.org == by.org_slug)
    return found


def _of_noun(noun: str) -> list[str]:
    return [str(action) for action in Action if action.startswith(f"{noun}.")]


def commitment(salt: str, payload: str) -> str:
    """sha256(salt || payload) in hex; `salt` is hex, `payload` the canonical JSON text."""
    return hashlib.sha256(bytes.fromhex(salt) + payload.encode()).hexdigest()


def _row(actor: Actor | None, at_ns: int, entry: AuditEntry) -> dict[str, Any]:
    own = actor.org_slug if actor else ""
    plain = {
        "action": str(entry.action),
        "person": actor.email if actor else SYSTEM,
        "org": own,
        **{name: getattr(entry, FIELDS.get(name, name)) for name in ("dataset", "layer", "tile", "purpose", "permit", "class")},
        "owner": entry.owner if entry.owner is not None else own if entry.dataset else "",
    }
    named = {name: value for name, value in plain.items() if value}
    where = {"network": actor.network} if actor and actor.network and entry.action in ACCESSES else {}
    payload = rfc8785.dumps({"v": 1, "at": iso_from_ns(at_ns), **named, **where, **entry.details}).decode()
    salt = secrets.token_hex(32)
    return {**plain, "at_ns": at_ns, "payload": payload, "salt": salt, "commitment": commitment(salt, payload)}


def _asked(wanted: EventFilter) -> dict[str, Any]:
    """The filter as the log names it; of a long region its digest."""
    columns = {field: column for column, field in FIELDS.items()}
    asked = {columns.get(name, name): value for name, value in _filter_values(wanted).items() if value not in ("", None)}
    asked |= {name: iso_from_ns(asked[name]) for name in ("from_ns", "to_ns") if name in asked}
    if ground_ := asked.pop("ground", None):
        text = ground_.text
        asked["region"] = text if len(text) <= LONGEST_LOGGED else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return asked


def _filter_values(wanted: EventFilter) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in EventFilter.__dataclass_fields__}


def _event(row: RowMapping, by: Actor) -> Event:
    payload = json.loads(row["payload"])
    person = row["person"]
    if not sees_all(by) and row["org"] != by.org_slug and person != SYSTEM:
        person = ""
        payload = {name: value for name, value in payload.items() if name not in ("person", "network")}
    columns = {FIELDS.get(name, name): row[name] for name in ("seq", "at_ns", *COLUMNS)}
    return Event(**{**columns, "person": person}, payload=payload)
