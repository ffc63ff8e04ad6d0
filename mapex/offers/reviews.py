"""Reviews of pseudonymised footage: a seller asks, operators look and decide, and the record stays.

Footage is `original` until a review is accepted; `drafts.clear_footage` then lowers its class. Rows are only ever added, and every step is
an entry of the log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select

from mapex import authority, ids
from mapex.audit.log import Action, AuditEntry, append
from mapex.catalogue import drafts
from mapex.catalogue.versions import Layer, Version, find_version, layers_of, own_dataset, version_by
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import dataset, dataset_version, footage_review, footage_review_step, organisation, person
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake.keys import review_key
from mapex.offers.review import (
    BY_OPERATOR,
    Criterion,
    Review,
    ReviewDecision,
    Reviewed,
    Reviewer,
    ReviewRequest,
    Step,
    checked_decision,
    checked_request,
)
from mapex.rules.licences import HandlingClass
from mapex.times import iso_from_ns
from tiles.store.protocol import Bucket

_DOCUMENT_TYPE = "application/octet-stream"


def request(ex: Exchange, by: Actor, slug: str, number: int, asked: ReviewRequest) -> Review:
    """Ask for the review of a layer of an own draft, of which one is open at a time.

    Raises: Denied, NotFound, Conflict (`version.not_draft`, `review.open`, `review.accepted`), Invalid (`footage.none`, `text.malformed`,
        `review.sample`, `review.document`).
    """
    checked = checked_request(asked)
    with act(ex, by) as conn:
        found = own_dataset(conn, by, slug)
        version = find_version(conn, by, f"{found.org}/{found.slug}", number)
        _check_reviewable(conn, version, checked.layer)
        return find(conn, _insert(conn, ex, by, version, checked))


def begin(ex: Exchange, by: Actor | None, review_id: str) -> Review:
    """An operator takes a request up.

    Raises: Denied, NotFound (`review.unknown`), Conflict (`review.state`).
    """
    authority.operator(by)
    with act(ex, by, f"review:{review_id}") as conn:
        found = find(conn, review_id)
        _check_state(found, "requested")
        _add_step(conn, ex, by, found, "under_review", {})
        append(conn, ex, by, _entry(Action.REVIEW_BEGUN, found))
        return find(conn, review_id)


def decide(ex: Exchange, by: Actor | None, review_id: str, decision: ReviewDecision) -> Review:
    """An operator enters what the reviewers decided; what is accepted can be sold as pseudonymised.

    Raises: Denied, NotFound (`review.unknown`), Conflict (`review.state`, `version.not_draft`), Invalid (`review.*`, `text.malformed`).
    """
    authority.operator(by)
    checked = checked_decision(decision, ex.now())
    with act(ex, by, f"review:{review_id}") as conn:
        found = find(conn, review_id)
        _check_state(found, "under_review")
        _settle(conn, ex, by, found, checked)
        return find(conn, review_id)


def clear(ex: Exchange, by: Actor | None, ref: str, number: int, layer: str, evidence: str) -> Layer:
    """The operator states that footage was proven free of people and plates, and by what: request, review and acceptance in one.

    Args:
        by: an operator; None: the person at the machine.
        ref: ORG/DATASET. number: version, which must be a draft. layer: its name.
        evidence: what was examined and by whom.
    Raises: Denied, NotFound, Conflict (`version.not_draft`, `review.open`, `review.accepted`), Invalid (`footage.none`,
        `footage.evidence`).
    """
    authority.operator(by)
    if not 10 <= len(evidence.strip()) <= 1000:
        raise Invalid("footage.evidence", "Write in 10 to 1,000 letters what was examined, how and by whom.", given=len(evidence.strip()))
    org, _, slug = ref.rpartition("/")
    names = (organisation.c.slug == org) & (dataset.c.slug == slug) & (dataset_version.c.number == number)
    with act(ex, by, f"review:{ref}/{number}") as conn:
        version = version_by(conn, names)
        _check_reviewable(conn, version, layer)
        asked = ReviewRequest(layer, BY_OPERATOR, BY_OPERATOR, 1, evidence.strip())
        review_id = _insert(conn, ex, by, version, asked)
        _add_step(conn, ex, by, find(conn, review_id), "under_review", {})
        append(conn, ex, by, _entry(Action.REVIEW_BEGUN, find(conn, review_id)))
        reviewer = Reviewer(by.email if by else "operator", "operator")
        _settle(conn, ex, by, find(conn, review_id), ReviewDecision(True, (reviewer,), tuple(Criterion), evidence.strip()))
        return next(one for one in layers_of(conn, version.id) if one.name == layer)


def all_reviews(ex: Exchange, by: Actor | None, *, state: str = "") -> Sequence[Review]:
    """Reviews, the newest first: all for operators, auditors and the person at the machine, else those of the own organisation."""
    with db.read(ex) as conn:
        found = _found(conn, _seen_by(by))
    return [one for one in found if state in ("", one.state)]


def of_version(ex: Exchange, by: Actor, version: Version) -> Mapping[str, Review]:
    """The newest review of each layer of a version, as far as `by` may see it."""
    with db.read(ex) as conn:
        found = _found(conn, _seen_by(by) & (footage_review.c.version_id == version.id))
    return {one.request.layer: one for one in reversed(found)}


def get(ex: Exchange, by: Actor | None, review_id: str) -> Review:
    """One review. Raises: NotFound: `review.unknown`: absent or foreign."""
    with db.read(ex) as conn:
        return find(conn, review_id, _seen_by(by))


def document(ex: Exchange, by: Actor, review_id: str) -> tuple[Review, bytes]:
    """The document of a review; who reads it is in the log.

    Raises: NotFound: `review.unknown`, `review.no_document`.
    """
    with act(ex, by) as conn:
        found = find(conn, review_id, _seen_by(by))
        if not found.document_sha256:
            raise NotFound("review.no_document", "No document was added to this review.")
        key = conn.execute(select(footage_review.c.object_key).where(footage_review.c.id == review_id)).scalar_one()
        append(conn, ex, by, _entry(Action.REVIEW_READ, found, document_sha256=found.document_sha256))
    return found, b"".join(ex.store.read(Bucket.DATA, key))


def accepted(conn: Connection, version_id: str) -> dict[str, Reviewed]:
    """What everybody may know of the reviews of the layers of a version."""
    return {
        one.request.layer: Reviewed(
            one.steps[-1].at_ns, sorted({reviewer.organisation for reviewer in one.decision.reviewers}), one.decision.valid_to_ns
        )
        for one in reversed(_found(conn, footage_review.c.version_id == version_id))
        if one.decision is not None and one.decision.accepted
    }


def check_valid(conn: Connection, version_id: str, layers: Sequence[Layer], now_ns: int) -> None:
    """Refuse to put footage on sale as pseudonymised whose review does not hold any more.

    Raises: Conflict: `review.ended`.
    """
    known = accepted(conn, version_id)
    for layer in layers:
        one = known.get(layer.name)
        ends_ns = one.valid_to_ns if one and layer.handling_class != HandlingClass.ORIGINAL else None
        if ends_ns is not None and ends_ns <= now_ns:
            sentence = f"The review of {layer.name} held until {iso_from_ns(ends_ns)}; ask for a new one with a new version."
            raise Conflict("review.ended", sentence, layer=layer.name)


def _seen_by(by: Actor | None) -> ColumnElement[bool]:
    if by is None or authority.sees_all(by):
        return footage_review.c.id.is_not(None)
    return organisation.c.id == (by.org_id or authority.NOBODY)


def _check_reviewable(conn: Connection, version: Version, layer: str) -> None:
    _hold(conn, version)
    if version.state != "draft":
        text = f"Version {version.number} of {version.dataset} is {version.state}; only the footage of a draft is reviewed."
        raise Conflict("version.not_draft", text, state=version.state)
    found = next((one for one in layers_of(conn, version.id) if one.name == layer), None)
    if found is None or not found.facts.footage:
        raise Invalid("footage.none", f"Version {version.number} of {version.dataset} has no layer {layer!r} with footage.", layer=layer)
    for one in _found(conn, footage_review.c.version_id == version.id):
        if one.request.layer == layer and one.is_open:
            raise Conflict("review.open", f"A review of {layer} is open; wait for what comes of it.", review=one.id)
        if one.request.layer == layer and one.state == "accepted":
            raise Conflict("review.accepted", f"{layer} was reviewed and accepted already.", review=one.id)


def _hold(conn: Connection, version: Version) -> None:
    """One at a time for each dataset, as its seller does to it what concerns its versions."""
    conn.execute(select(dataset.c.id).where(dataset.c.id == version.dataset_id).with_for_update())


def _check_state(found: Review, wanted: str) -> None:
    if found.state != wanted:
        raise Conflict("review.state", f"The review is {found.state}; that can be done only while it is {wanted}.", state=found.state)


def _insert(conn: Connection, ex: Exchange, by: Actor | None, version: Version, asked: ReviewRequest) -> str:
    """A new request with its first step; the document goes into the store before anything refers to it."""
    body = asked.document.body if asked.document else b""
    sha256 = hashlib.sha256(body).hexdigest() if body else ""
    key = review_key(version.org_id, sha256) if body else None
    if key:
        ex.store.put(Bucket.DATA, key, body, sha256=sha256, media_type=_DOCUMENT_TYPE)
    row = {
        "id": ids.new("rev"),
        "version_id": version.id,
        "layer": asked.layer,
        "method": asked.method,
        "tool": asked.tool,
        "sample": asked.sample,
        "statement": asked.statement,
        "document_name": asked.document.name if asked.document else "",
        "object_key": key,
        "sha256": sha256,
        "bytes": len(body),
    }
    conn.execute(insert(footage_review).values(**row))
    step = {"review_id": row["id"], "ordinal": 0, "state": "requested", "at_ns": ex.now(), "record": "{}"}
    conn.execute(insert(footage_review_step).values(**step, person_id=by.person_id if by else None))
    found = find(conn, str(row["id"]))
    stated = {name: row[name] for name in ("method", "tool", "sample", "statement")}
    append(conn, ex, by, _entry(Action.REVIEW_REQUESTED, found, **stated, document_sha256=sha256))
    return found.id


def _settle(conn: Connection, ex: Exchange, by: Actor | None, found: Review, decision: ReviewDecision) -> None:
    state, record = "accepted" if decision.accepted else "refused", decision.as_json()
    _add_step(conn, ex, by, found, state, record)
    if not decision.accepted:
        append(conn, ex, by, _entry(Action.REVIEW_REFUSED, found, **record))
        return
    version = version_by(conn, dataset_version.c.id == found.version_id)
    _hold(conn, version)
    names = ", ".join(f"{one.name} ({one.organisation})" for one in decision.reviewers)
    by_seller = found.request.method != BY_OPERATOR
    evidence = f"{found.request.method}, {found.request.tool}; reviewed by {names}" if by_seller else found.request.statement
    drafts.clear_footage(conn, ex, by, version, found.request.layer, evidence, {"review": found.id, **record})


def _add_step(conn: Connection, ex: Exchange, by: Actor | None, found: Review, state: str, record: Mapping[str, Any]) -> None:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    row = {"review_id": found.id, "ordinal": len(found.steps), "state": state, "at_ns": ex.now(), "record": text}
    conn.execute(insert(footage_review_step).values(**row, person_id=by.person_id if by else None))


def _entry(action: Action, found: Review, **details: Any) -> AuditEntry:
    about = {"version": found.version, "review": found.id, **details}
    return AuditEntry(action, owner=found.org, dataset=found.dataset, layer=found.request.layer, details=about)


def find(conn: Connection, review_id: str, condition: ColumnElement[bool] | None = None) -> Review:
    """One review, as it is in a transaction. Raises: NotFound: `review.unknown`."""
    is_it = footage_review.c.id == review_id
    found = _found(conn, is_it if condition is None else is_it & condition)
    if not found:
        raise NotFound("review.unknown", "There is no such review.")
    return found[0]


def _found(conn: Connection, condition: ColumnElement[bool]) -> list[Review]:
    """Reviews of which the condition holds, the newest first."""
    names = (organisation.c.slug.label("org"), dataset.c.slug.label("dataset"), dataset_version.c.number.label("number"))
    query = (
        select(footage_review, *names)
        .join(dataset_version, dataset_version.c.id == footage_review.c.version_id)
        .join(dataset, dataset.c.id == dataset_version.c.dataset_id)
        .join(organisation, organisation.c.id == dataset.c.org_id)
        .where(condition)
    )
    rows = {row["id"]: row for row in conn.execute(query).mappings()}
    step = footage_review_step.c
    columns = (step.review_id, step.state, step.at_ns, step.record, person.c.email)
    steps: dict[str, list[RowMapping]] = {review_id: [] for review_id in rows}
    asked = select(*columns).outerjoin_from(footage_review_step, person, person.c.id == step.person_id)
    for one in conn.execute(asked.where(step.review_id.in_(list(rows))).order_by(step.review_id, step.ordinal)).mappings():
        steps[one["review_id"]].append(one)
    made = [_review(row, steps[review_id]) for review_id, row in rows.items()]
    return sorted(made, key=lambda one: (one.steps[0].at_ns, one.id), reverse=True)


def _review(row: RowMapping, steps: Sequence[RowMapping]) -> Review:
    record = json.loads(steps[-1]["record"])
    return Review(
        id=row["id"],
        org=row["org"],
        dataset=row["dataset"],
        version=row["number"],
        version_id=row["version_id"],
        request=ReviewRequest(row["layer"], row["method"], row["tool"], row["sample"], row["statement"]),
        document_name=row["document_name"],
        document_sha256=row["sha256"],
        steps=[Step(one["state"], one["at_ns"], one["email"] or "system") for one in steps],
        decision=ReviewDecision.from_json(record) if record else None,
    )
