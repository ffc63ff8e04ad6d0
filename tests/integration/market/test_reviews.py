"""Reviews of pseudonymised footage: asked for, looked at, decided, kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mapex.audit import log
from mapex.database import db
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.offers import looks, offers, products, reviews
from mapex.offers.review import Criterion, Review, ReviewDecision, ReviewDocument, Reviewer, ReviewRequest
from mapex.operation import fsck
from mapex.times import DAY_NS
from tests.support.exchange import a_person, an_exchange
from tests.support.market import RATES, a_draft, a_layer, block
from tiles.batch import LayerKind, Quantities

ASKED = ReviewRequest("recording", "faces and plates blurred", "blur 2.1", 500, "J. Kim looked at 500 frames; nobody can be recognised.")
REVIEWERS = (Reviewer("Lee", "Privacy Institute"), Reviewer("Park", "University"))


def refused(code: str, kind: type[MapexError], action: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.code == code


def a_recording(ex: Exchange, seller: Actor) -> int:
    """A draft with footage, which is original."""
    each = Quantities(frames=10, features=10)
    about = {"footage": True, "counts": {"read": 10, "placed": 10, "unplaced": 0, "rejected": 0}}
    layer = a_layer(block(1), name="recording", handling_class="original", kind=LayerKind.RECORDING, each=each, about=about)
    return a_draft(ex, seller, "drives", [layer])


def decided(ex: Exchange, *, accepted: bool = True) -> ReviewDecision:
    criteria = tuple(Criterion) if accepted else (Criterion.FACES,)
    return ReviewDecision(accepted, REVIEWERS, criteria, "Gait may be recognised.", "Plates are readable.", ex.now() + 365 * DAY_NS)


def under_review(ex: Exchange, seller: Actor, operator: Actor) -> Review:
    made = reviews.request(
        ex, seller, "drives", a_recording(ex, seller), replace(ASKED, document=ReviewDocument("report.pdf", b"%PDF report"))
    )
    return reviews.begin(ex, operator, made.id)


def sound(ex: Exchange) -> bool:
    return [one for one in fsck.check(ex, deep=True) if not one.ok] == []


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


def test_what_is_accepted_can_be_sold_as_pseudonymised_and_buyers_see_by_whom(exchange: Exchange) -> None:
    seller, operator = a_person(exchange, "hanbit"), a_person(exchange, role="operator")
    review = under_review(exchange, seller, operator)
    assert reviews.document(exchange, operator, review.id)[0].document_name == "report.pdf"
    assert reviews.document(exchange, seller, review.id)[1] == b"%PDF report"
    done = reviews.decide(exchange, operator, review.id, decided(exchange))
    assert [step.state for step in done.steps] == ["requested", "under_review", "accepted"]
    assert [step.person for step in done.steps] == [seller.email, operator.email, operator.email]
    offers.publish(exchange, seller, "drives", rate_card=RATES, licence="research")
    product = products.get(exchange, "hanbit", "drives")
    assert product.layers[0].layer.handling_class == "pseudonymised"
    assert product.reviews["recording"].organisations == ["Privacy Institute", "University"]
    auditor = a_person(exchange, role="auditor")
    assert reviews.get(exchange, auditor, review.id) == done
    actions = [event.action for event in log.events(exchange, auditor, log.EventFilter()).events]
    assert {"review.requested", "review.begun", "review.read", "footage.cleared"} <= set(actions)
    assert sound(exchange)


def test_what_is_refused_stays_original_and_can_be_asked_for_again(ex: Exchange) -> None:
    seller, operator = a_person(ex, "hanbit"), a_person(ex, role="operator")
    review = under_review(ex, seller, operator)
    refused("review.open", Conflict, lambda: reviews.request(ex, seller, "drives", 1, ASKED))
    done = reviews.decide(ex, operator, review.id, decided(ex, accepted=False))
    assert done.state == "refused" and done.decision is not None and done.decision.reasons == "Plates are readable."
    refused("review.state", Conflict, lambda: reviews.decide(ex, operator, review.id, decided(ex)))
    again = reviews.request(ex, seller, "drives", 1, ASKED)
    assert [one.id for one in reviews.all_reviews(ex, seller)] == [again.id, review.id]
    offers.publish(ex, seller, "drives", rate_card=RATES, licence="research")
    assert products.get(ex, "hanbit", "drives").layers[0].layer.handling_class == "original"
    assert products.get(ex, "hanbit", "drives").reviews == {}
    assert sound(ex)


def test_a_decision_says_all_that_it_must(ex: Exchange) -> None:
    seller, operator = a_person(ex, "hanbit"), a_person(ex, role="operator")
    review = under_review(ex, seller, operator)
    good = decided(ex)

    def decide(**changes: object) -> Callable[[], object]:
        return lambda: reviews.decide(ex, operator, review.id, replace(good, **changes))  # type: ignore[arg-type]

    refused("review.reviewers", Invalid, decide(reviewers=()))
    refused("review.criteria", Invalid, decide(criteria=(Criterion.FACES,)))
    refused("review.valid_to", Invalid, decide(valid_to_ns=None))
    refused("review.valid_to", Invalid, decide(valid_to_ns=ex.now()))
    refused("review.reasons", Invalid, decide(accepted=False, reasons=" "))
    refused("text.malformed", Invalid, decide(residual_risk=""))
    refused("role.operator", Denied, lambda: reviews.decide(ex, seller, review.id, good))


def test_reviews_of_others_are_not_there(ex: Exchange) -> None:
    seller, operator, spy = a_person(ex, "hanbit"), a_person(ex, role="operator"), a_person(ex, "nuri")
    review = under_review(ex, seller, operator)
    assert reviews.all_reviews(ex, spy) == []
    refused("review.unknown", NotFound, lambda: reviews.get(ex, spy, review.id))
    refused("review.unknown", NotFound, lambda: reviews.document(ex, spy, review.id))
    refused("role.operator", Denied, lambda: looks.look(ex, seller, review.id, 0, holder_nonce="n" * 32))


def test_a_reviewer_reads_tiles_for_a_minute_and_each_is_logged_before(ex: Exchange) -> None:
    seller, operator = a_person(ex, "hanbit"), a_person(ex, role="operator")
    review = under_review(ex, seller, operator)
    refused("grant.holder_missing", Invalid, lambda: looks.look(ex, operator, review.id, 0))
    look = looks.look(ex, operator, review.id, 0, holder_nonce="n" * 32)
    assert look.expires_ns <= ex.now() + 60 * 10**9
    assert "n" * 32 not in look.request.url and "n" * 32 not in str(look.request.headers)
    refused("tile.unknown", NotFound, lambda: looks.look(ex, operator, review.id, 1, holder_nonce="n" * 32))
    auditor = a_person(ex, role="auditor")
    events = log.events(ex, auditor, log.EventFilter(action="footage.looked_at")).events
    assert [event.payload["class"] for event in events] == ["original"]
    assert sound(ex)


def test_a_review_that_does_not_hold_any_more_lets_nothing_be_put_on_sale(ex: Exchange) -> None:
    seller, operator = a_person(ex, "hanbit"), a_person(ex, role="operator")
    review = under_review(ex, seller, operator)
    reviews.decide(ex, operator, review.id, decided(ex))
    ex.now.forward(days=366)  # type: ignore[attr-defined]
    refused("review.ended", Conflict, lambda: offers.publish(ex, seller, "drives", rate_card=RATES, licence="research"))


def test_rows_of_reviews_are_only_added(exchange: Exchange) -> None:
    seller, operator = a_person(exchange, "hanbit"), a_person(exchange, role="operator")
    under_review(exchange, seller, operator)
    for statement in ("UPDATE footage_review SET method = 'x'", "DELETE FROM footage_review_step"):
        with pytest.raises(DBAPIError), db.begin(exchange) as conn:
            conn.execute(text(statement))
