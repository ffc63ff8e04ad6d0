"""What a person or organisation had before it was suspended, and what a token made before it was revoked, is never open again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import select, text, update

from mapex.audit import log
from mapex.database import db, schema
from mapex.errors import MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.operation import fsck
from mapex.people import domains, invitations, orgs, roles, signers, tokens
from tests.support.exchange import a_person
from tests.support.signing_in import at_a_browser

Turn = Callable[[Exchange, str], object]

TURNS: Mapping[str, tuple[Turn, Turn]] = {
    "the organisation is suspended": (
        lambda ex, email: orgs.set_org_state(ex, None, "dongil", "suspended"),
        lambda ex, email: orgs.set_org_state(ex, None, "dongil", "active"),
    ),
    "the person is suspended": (
        lambda ex, email: roles.set_state(ex, None, email, "suspended"),
        lambda ex, email: roles.set_state(ex, None, email, "active"),
    ),
    "the role changes": (
        lambda ex, email: roles.set_role(ex, None, email, "auditor"),
        lambda ex, email: roles.set_role(ex, None, email, "member", org="dongil"),
    ),
}


def a_link(ex: Exchange, by: Actor | None, email: str, org: str = "dongil") -> tuple[str, str]:
    """An open invitation: its id, and the secret of its link."""
    made, _ = invitations.invite(ex, by, email, org=org)
    return made.id, invitations.hand_out(ex, None, made.id)[1]


def is_live(ex: Exchange, secret: str) -> bool:
    """Whether a link still makes a person."""
    try:
        invitations.look(ex, secret)
    except NotFound:
        return False
    return True


def with_token(ex: Exchange, by: Actor | None, person: Actor | None = None) -> Actor:
    """Who acts with a new token of `person`, or of `by` itself, that `by` makes."""
    whose = person or by
    assert whose
    found = tokens.actor_of(ex, tokens.create(ex, whose, by=by))
    assert found
    return found


def is_revoked(ex: Exchange, by: Actor) -> bool:
    with db.read(ex) as conn:
        token = schema.api_token.c
        return conn.execute(select(token.revoked_ns).where(token.id == by.token_id)).scalar() is not None


def wrong(ex: Exchange) -> list[str]:
    """What `mapex fsck` finds."""
    return [f"{check.name}: {check.message}" for check in fsck.check(ex) if not check.ok]


@pytest.fixture
def firm(exchange: Exchange) -> Actor:
    """A member of dongil, which has a domain."""
    member = a_person(exchange, "dongil")
    domains.add(exchange, None, "dongil", "dongil.example")
    return member


@pytest.mark.parametrize(("stop", "back"), TURNS.values(), ids=TURNS)
def test_tokens_and_invitations_of_before_are_dead_when_the_person_is_back(exchange: Exchange, firm: Actor, stop: Turn, back: Turn) -> None:
    secret = tokens.create(exchange, firm)
    invitation, link = a_link(exchange, firm, "friend@dongil.example")
    stop(exchange, firm.email)
    back(exchange, firm.email)
    assert tokens.actor_of(exchange, secret) is None and not is_live(exchange, link)
    assert tokens.of(exchange, firm) == [] and invitations.open_ones(exchange, firm) == []
    with pytest.raises(NotFound):
        invitations.hand_out(exchange, None, invitation)
    assert tokens.actor_of(exchange, tokens.create(exchange, firm)) and is_live(
        exchange, a_link(exchange, firm, "friend@dongil.example")[1]
    )
    assert wrong(exchange) == []


def test_whoever_invited_into_a_firm_its_invitations_end_with_it(exchange: Exchange, firm: Actor) -> None:
    links = [a_link(exchange, by, f"{n}@elsewhere.example")[1] for n, by in enumerate((None, a_person(exchange, role="operator")))]
    other = a_link(exchange, None, "kim@nuri.example", org=orgs.add_org(exchange, None, "nuri").slug)[1]
    for state in ("suspended", "active"):
        orgs.set_org_state(exchange, None, "dongil", state)
    assert [is_live(exchange, link) for link in (*links, other)] == [False, False, True]
    assert wrong(exchange) == []


@pytest.mark.parametrize(("stop", "back"), list(TURNS.values())[:2], ids=list(TURNS)[:2])
def test_what_a_version_before_left_open_under_a_suspension_ends_when_it_does(
    exchange: Exchange, firm: Actor, stop: Turn, back: Turn
) -> None:
    secret, link = tokens.create(exchange, firm), a_link(exchange, firm, "friend@dongil.example")[1]
    stop(exchange, firm.email)
    with db.begin(exchange) as conn:
        conn.execute(update(schema.api_token).values(revoked_ns=None))
        conn.execute(update(schema.invitation).values(ended_ns=None))
    assert tokens.actor_of(exchange, secret) is None and not is_live(exchange, link)
    back(exchange, firm.email)
    assert tokens.actor_of(exchange, secret) is None and not is_live(exchange, link)


def test_the_log_counts_what_a_suspension_ended(exchange: Exchange, firm: Actor) -> None:
    at_a_browser(exchange, firm)
    tokens.create(exchange, firm)
    a_link(exchange, firm, "friend@dongil.example")
    orgs.set_org_state(exchange, None, "dongil", "suspended")
    newest = log.events(exchange, a_person(exchange, role="auditor"), log.EventFilter(action="org.suspended")).events[0].payload
    counted = {name: newest[name] for name in ("sessions_ended", "tokens_revoked", "invitations_ended")}
    assert counted == {"sessions_ended": 1, "tokens_revoked": 1, "invitations_ended": 1}


# ---- what a token made ---------------------------------------------------------------------------------------------------------------


def test_what_a_token_made_ends_with_it_to_the_last_generation(exchange: Exchange, firm: Actor) -> None:
    line = [with_token(exchange, firm)]
    for _ in range(4):
        line.append(with_token(exchange, line[-1]))
    beside = with_token(exchange, firm)
    links = [a_link(exchange, by, f"{n}@dongil.example")[1] for n, by in enumerate((line[0], line[-1], beside, firm))]
    assert line[1].token_id
    tokens.revoke(exchange, firm, line[1].token_id)
    assert [is_revoked(exchange, by) for by in (*line, beside)] == [False, True, True, True, True, False]
    assert [is_live(exchange, link) for link in links] == [True, False, True, True]
    newest = log.events(exchange, firm, log.EventFilter(action="token.revoked")).events[0].payload
    assert (newest["tokens_revoked"], newest["invitations_ended"]) == (4, 1)
    assert wrong(exchange) == []


@pytest.mark.parametrize("end", ["revoked", "role", "suspended"])
def test_what_an_operators_token_made_for_others_ends_with_it(exchange: Exchange, firm: Actor, end: str) -> None:
    operator, _ = a_person(exchange, role="operator"), a_person(exchange, role="operator")
    own = with_token(exchange, operator)
    given, beside = with_token(exchange, own, firm), with_token(exchange, operator, firm)
    made_with_it = with_token(exchange, given)
    link = a_link(exchange, own, "guest@elsewhere.example")[1]
    with db.read(exchange) as conn:
        signer = signers.of(conn, firm)
    assert own.token_id
    if end == "revoked":
        tokens.revoke(exchange, operator, own.token_id)
    elif end == "role":
        roles.set_role(exchange, None, operator.email, "auditor")
    else:
        roles.set_state(exchange, None, operator.email, "suspended")
    assert [is_revoked(exchange, by) for by in (own, given, made_with_it, beside)] == [True, True, True, False]
    assert not is_live(exchange, link)
    assert not signers.is_current(exchange, signer), "addresses that were given out to such a token end too"
    assert wrong(exchange) == []


def test_a_token_that_was_revoked_meanwhile_makes_nothing(exchange: Exchange, firm: Actor) -> None:
    by = with_token(exchange, firm)
    assert by.token_id
    tokens.revoke(exchange, firm, by.token_id)
    with pytest.raises(NotFound) as refused:
        tokens.create(exchange, by, by=by)
    assert refused.value.code == "token.unknown"
    with pytest.raises(NotFound):
        invitations.invite(exchange, by, "friend@dongil.example", org="dongil")


def test_of_tokens_that_are_made_while_theirs_is_revoked_none_is_left(exchange: Exchange, firm: Actor) -> None:
    first = with_token(exchange, firm)
    start = threading.Barrier(7)

    def make() -> None:
        start.wait()
        by = first
        for _ in range(5):
            try:
                by = with_token(exchange, by)
            except (MapexError, AssertionError):  # revoked before it was made, or before it was looked up
                return

    def revoke() -> None:
        start.wait()
        assert first.token_id
        tokens.revoke(exchange, firm, first.token_id)

    threads = [threading.Thread(target=make) for _ in range(6)] + [threading.Thread(target=revoke)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens.of(exchange, firm) == []
    assert wrong(exchange) == []


def test_tokens_of_before_are_of_no_parent_and_end_by_themselves(exchange: Exchange, firm: Actor) -> None:
    first = with_token(exchange, firm)
    secret = tokens.create(exchange, first, by=first)
    with db.begin(exchange) as conn:
        conn.execute(update(schema.api_token).values(parent_id=None))
    assert first.token_id
    tokens.revoke(exchange, firm, first.token_id)
    assert tokens.actor_of(exchange, secret)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE api_token SET revoked_ns = NULL WHERE parent_id IS NOT NULL", "revoked is False, by the log True"),
        ("UPDATE api_token SET parent_id = NULL", "parent is '', by the log"),
        ("UPDATE invitation SET ended_ns = NULL", "ended is False, by the log True"),
        ("UPDATE invitation SET token_id = NULL", "token is '', by the log"),
    ],
)
def test_what_is_made_live_again_in_the_database_is_found(exchange: Exchange, firm: Actor, change: str, found: str) -> None:
    first = with_token(exchange, firm)
    a_link(exchange, with_token(exchange, first), "friend@dongil.example")
    assert first.token_id
    tokens.revoke(exchange, firm, first.token_id)
    with db.begin(exchange) as conn:
        conn.execute(text(change))
    assert any(found in line for line in wrong(exchange)), wrong(exchange)
