"""The review of pseudonymised footage (가명처리 적정성 검토): what a seller asks, and what the reviewers decided. Values; see `reviews`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mapex.errors import Invalid
from mapex.texts import check_text
from mapex.times import iso_from_ns, ns_from_iso

MOST_DOCUMENT = 5 << 20
"""Bytes of the document that a seller adds."""

MOST_SAMPLE = 10**9
MOST_REVIEWERS = 20
BY_OPERATOR = "stated by the operator"
"""The method of a review that the operator entered at the machine, where no seller asked."""

OPEN = ("requested", "under_review")
"""States in which it is not decided."""
STATES = (*OPEN, "accepted", "refused")


class Criterion(StrEnum):
    """What has to be met before footage counts as pseudonymised."""

    FACES = "faces"
    PLATES = "plates"
    TEXTS = "texts"
    METADATA = "metadata"
    LINKAGE = "linkage"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person who reviewed, and for which organisation."""

    name: str
    organisation: str


@dataclass(frozen=True, slots=True)
class ReviewDocument:
    """What the seller added: a file by its name, and its bytes."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """What a seller states of a layer: how and with what it was pseudonymised, how many frames were looked at, by whom with what result."""

    layer: str
    method: str
    tool: str
    sample: int
    statement: str
    document: ReviewDocument | None = None


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """What the reviewers decided. `valid_to_ns`: until when it holds; None: without an end."""

    accepted: bool
    reviewers: tuple[Reviewer, ...]
    criteria: tuple[Criterion, ...]
    residual_risk: str
    reasons: str = ""
    valid_to_ns: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is stored, and stands in the log."""
        return {
            "accepted": self.accepted,
            "reviewers": [{"name": one.name, "organisation": one.organisation} for one in self.reviewers],
            "criteria": [str(one) for one in self.criteria],
            "residual_risk": self.residual_risk,
            "reasons": self.reasons,
            "valid_to": iso_from_ns(self.valid_to_ns) if self.valid_to_ns is not None else None,
        }

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> ReviewDecision:
        """Of a stored record."""
        return ReviewDecision(
            accepted=record["accepted"],
            reviewers=tuple(Reviewer(one["name"], one["organisation"]) for one in record["reviewers"]),
            criteria=tuple(Criterion(one) for one in record["criteria"]),
            residual_risk=record["residual_risk"],
            reasons=record["reasons"],
            valid_to_ns=ns_from_iso(record["valid_to"]) if record["valid_to"] else None,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """A state that a review came into, when, and by whom ("system": the person at the machine)."""

    state: str
    at_ns: int
    person: str


@dataclass(frozen=True, slots=True)
class Review:
    """A request and what became of it. `document_sha256` and `document_name` are "" without a document."""

    id: str
    org: str
    dataset: str
    version: int
    version_id: str
    request: ReviewRequest
    document_name: str
    document_sha256: str
    steps: Sequence[Step]
    decision: ReviewDecision | None = None

    @property
    def state(self) -> str:
        """What it is now."""
        return self.steps[-1].state

    @property
    def is_open(self) -> bool:
        """Whether nothing is decided yet."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What everybody may know of a review that was accepted: when, by which organisations, until when it holds."""

    at_ns: int
    organisations: Sequence[str] = field(default_factory=list)
    valid_to_ns: int | None = None


def checked_request(asked: ReviewRequest) -> ReviewRequest:
    """The request with its texts in form. Raises: Invalid: `text.malformed`, `review.sample`, `review.document`."""
    if isinstance(asked.sample, bool) or not 1 <= asked.sample <= MOST_SAMPLE:
        raise Invalid(
            "review.sample", f"State how many frames were looked at: a whole number from 1 to {MOST_SAMPLE:,}.", sample=asked.sample
        )
    document = asked.document
    if document is not None:
        if not 1 <= len(document.body) <= MOST_DOCUMENT:
            raise Invalid(
                "review.document", f"A document has 1 byte to {MOST_DOCUMENT >> 20} MiB; send a shorter one.", bytes=len(document.body)
            )
        document = ReviewDocument(check_text(document.name, "document", 200), document.body)
    texts = (check_text(asked.method, "method", 200), check_text(asked.tool, "tool", 200))
    return ReviewRequest(asked.layer, *texts, asked.sample, check_text(asked.statement, "statement", 2000), document)


def checked_decision(made: ReviewDecision, now_ns: int) -> ReviewDecision:
    """The decision with its texts in form; what is accepted meets every criterion and ends one day, what is refused has reasons.

    Raises: Invalid: `text.malformed`, `review.reviewers`, `review.criteria`, `review.reasons`, `review.valid_to`.
    """
    if not 1 <= len(made.reviewers) <= MOST_REVIEWERS:
        raise Invalid(
            "review.reviewers", f"Name 1 to {MOST_REVIEWERS} reviewers, each with an organisation.", reviewers=len(made.reviewers)
        )
    reviewers = tuple(Reviewer(check_text(r.name, "name", 100), check_text(r.organisation, "organisation", 200)) for r in made.reviewers)
    met = tuple(criterion for criterion in Criterion if criterion in made.criteria)
    if made.accepted and (missing := [str(criterion) for criterion in Criterion if criterion not in met]):
        raise Invalid("review.criteria", f"What is not met must be refused: {', '.join(missing)}.", criteria=missing)
    if not made.accepted and not made.reasons.strip():
        raise Invalid("review.reasons", "Write why it is refused, so that the seller can mend it.")
    if made.accepted and (made.valid_to_ns is None or made.valid_to_ns <= now_ns):
        raise Invalid("review.valid_to", "Give the day until which the review holds; it must be to come.")
    reasons = check_text(made.reasons, "reasons", 2000) if made.reasons.strip() else ""
    risk = check_text(made.residual_risk, "residual_risk", 2000)
    return ReviewDecision(made.accepted, reviewers, met, risk, reasons, made.valid_to_ns if made.accepted else None)
