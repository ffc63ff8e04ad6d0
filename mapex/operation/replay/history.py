"""The log from its first entry to its last: content, numbers and checkpoints of each entry, and what all of them made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Connection, Row, select

from mapex.audit.log import commitment
from mapex.database.schema import audit_event
from mapex.exchange import Exchange
from mapex.operation.invariants.asking import Offender, asked
from mapex.operation.replay.books import Ledger, Refunds, Settlements
from mapex.operation.replay.catalogue import Datasets, Descriptions, Offers, SellerTexts, VersionChanges, Versions
from mapex.operation.replay.deeds import GRANT, QUOTE, Deeds
from mapex.operation.replay.kind import Subject
from mapex.operation.replay.names import Names
from mapex.operation.replay.people import Domains, Invitations, Organisations, Persons, Tokens
from mapex.operation.replay.permits import PermitRequests, Permits
from mapex.operation.replay.purchasing import Approvals, Businesses, PurchaseRights
from mapex.operation.replay.reviews import Reviews
from mapex.operation.replay.roots import Roots
from mapex.operation.replay.signing_in import Applications, Examinations, Factors, RecoveryCodes, Sessions
from mapex.operation.replay.trade import NamedUsers, Orders
from mapex.times import iso_from_ns

BATCH = 5000
"""Entries in memory at a time."""

PLAIN = ("action", "person", "org", "owner", "dataset", "layer", "tile", "purpose", "permit", "class")
"""Columns of the log that repeat a member of the payload; an absent member is empty text."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with the entries themselves, and where the present state is not what they made."""

    log: list[Offender] = field(default_factory=list)
    state: list[Offender] = field(default_factory=list)


def replay(ex: Exchange, conn: Connection, roots: Roots) -> Findings:
    """Read the whole log once. `roots` holds the checkpoints that it must meet."""
    found = Findings()
    tokens = Tokens()
    kinds: list[Subject] = [Organisations(), Domains(), Persons(), tokens, Invitations(tokens), Permits(), PermitRequests()]
    kinds += [PurchaseRights(), Businesses(), Approvals()]
    kinds += [Datasets(), Descriptions(), SellerTexts(), Versions(), VersionChanges(), Reviews(), Offers()]
    kinds += [Applications(), Sessions(), Factors(), RecoveryCodes(), Examinations()]
    kinds += [Deeds(QUOTE), Orders(), NamedUsers(), Ledger(), Refunds(), Settlements(), Deeds(GRANT)]
    by_action: dict[str, list[Subject]] = {}
    for kind in kinds:
        for action in kind.actions:
            by_action.setdefault(action, []).append(kind)
    names = Names(conn)
    for batch in _batches(conn):
        for row in batch:
            payload = _checked(row, found.log)
            found.log.extend(roots.take(row.seq, row.commitment))
            today = names.of_today(row.seq, payload)
            for kind in by_action.get(str(payload.get("action", "")), ()):
                _take(kind, row.seq, today, found.state)
        for kind in kinds:
            found.state.extend(asked(conn, partial(kind.settle, conn)))
    found.log.extend(roots.end())
    for kind in kinds:
        found.state.extend(asked(conn, partial(kind.compare, conn)))
    return found


def _batches(conn: Connection) -> Iterator[Sequence[Row[Any]]]:
    after = 0
    event = audit_event.c
    columns = (event.seq, event.at_ns, *(event[name] for name in PLAIN), event.payload, event.salt, event.commitment)
    query = select(*columns).order_by(event.seq).limit(BATCH)
    while rows := conn.execute(query.where(event.seq > after) if after else query).all():
        yield rows
        after = rows[-1].seq


def _checked(row: Row[Any], wrong: list[Offender]) -> Mapping[str, Any]:
    """The payload of an entry, which is what was committed to and what its columns say."""
    seq, at_ns, *plain, written, salt, committed = tuple(row)
    try:
        fits = commitment(salt, written) == committed
        payload = json.loads(written)
    except ValueError:
        fits, payload = False, {}
    if not fits:
        wrong.append(f"entry {seq} is not what was committed to")
    if not isinstance(payload, dict):
        payload = {}
    words = [payload.get(name, "") for name in PLAIN]
    if words != plain:
        differ = [(name, value, word) for name, value, word in zip(PLAIN, plain, words, strict=True) if value != word]
        wrong.extend(f"entry {seq}: its column {name} is {value!r} and its payload says {word!r}" for name, value, word in differ)
    if payload.get("at") != _iso(at_ns):
        wrong.append(f"entry {seq}: its column at_ns is {at_ns!r} and its payload says {payload.get('at')!r}")
    return payload


_iso = lru_cache(maxsize=16)(iso_from_ns)
"""Entries of one transaction have one time."""


def _take(kind: Subject, seq: int, payload: Mapping[str, Any], wrong: list[Offender]) -> None:
    try:
        kind.take(payload)
    except (KeyError, TypeError, ValueError, AttributeError) as why:
        wrong.append(f"entry {seq} does not follow from those before ({type(why).__name__}: {why})")
