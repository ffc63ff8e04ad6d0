"""Organisations, persons, passwords, tokens: who is let in, and who no longer."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from mapex.audit import log
from mapex.database import db, schema
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Exchange
from mapex.people import orgs, passwords, persons, roles, tokens
from tests.support.exchange import Clock, a_person, an_exchange, an_org

PASSWORD = "correct horse battery"


def token_of(ex: Exchange, email: str, **given: object) -> str:
    person = persons.get_person(ex, email=email)
    assert person
    return tokens.create(ex, person, **given)  # type: ignore[arg-type]


def test_a_token_lets_in_its_person_with_its_scopes(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    secret = token_of(exchange, seller.email, scopes=("sell", "read"))
    actor = tokens.actor_of(exchange, secret)
    assert actor
    assert (actor.email, actor.org_slug, actor.role, actor.scopes) == (seller.email, "hanbit", "member", {"sell", "read"})
    assert secret.startswith("mpx_")


def test_only_the_hash_of_a_token_is_stored(exchange: Exchange) -> None:
    secret = token_of(exchange, a_person(exchange).email)
    with db.read(exchange) as conn:
        everything = repr(conn.execute(select(schema.api_token)).all()) + repr(conn.execute(select(schema.audit_event)).all())
    _, _, hidden = secret.split("_", 2)  # the hidden part may hold "_" itself
    assert len(hidden) >= 40 and hidden not in everything
    assert secret not in everything


@pytest.mark.parametrize("change", ["x", "", "swapped"])
def test_a_wrong_secret_lets_nobody_in(exchange: Exchange, change: str) -> None:
    person = a_person(exchange)
    one, two = token_of(exchange, person.email), token_of(exchange, person.email)
    wrong = "_".join([*one.split("_", 2)[:2], two.split("_", 2)[2]]) if change == "swapped" else one[:-5] + change
    assert tokens.actor_of(exchange, wrong) is None
    assert tokens.actor_of(exchange, one) is not None


def test_a_revoked_token_is_refused_on_the_next_request(exchange: Exchange) -> None:
    person = a_person(exchange)
    secret = token_of(exchange, person.email)
    (token,) = tokens.of(exchange, person)
    tokens.revoke(exchange, person, token.id)
    assert tokens.actor_of(exchange, secret) is None
    assert tokens.of(exchange, person) == []


def test_an_expired_token_is_refused(exchange: Exchange) -> None:
    secret = token_of(exchange, a_person(exchange).email, days=1)
    clock = exchange.now
    assert isinstance(clock, Clock)
    clock.forward(days=0.9)
    assert tokens.actor_of(exchange, secret)
    clock.forward(days=0.2)
    assert tokens.actor_of(exchange, secret) is None


def test_a_foreign_token_is_as_absent_as_one_that_never_was(exchange: Exchange) -> None:
    person, stranger = a_person(exchange), a_person(exchange)
    token_of(exchange, person.email)
    (token,) = tokens.of(exchange, person)
    answer = []
    for token_id in (token.id, "tok_never"):
        with pytest.raises(NotFound) as refused:
            tokens.revoke(exchange, stranger, token_id)
        answer.append((refused.value.code, refused.value.message, refused.value.details))
    assert answer[0] == answer[1]
    assert tokens.of(exchange, person)


def test_suspended_persons_and_organisations_are_refused_until_they_are_resumed(exchange: Exchange) -> None:
    person = a_person(exchange, "dongil")
    persons.set_password(exchange, None, person.email, PASSWORD)
    secret = token_of(exchange, person.email)

    def is_let_in() -> bool:
        ways = (
            tokens.actor_of(exchange, secret),
            persons.actor_of(exchange, person.person_id),
            persons.verify_password(exchange, person.email, PASSWORD),
        )
        assert len({way is None for way in ways}) == 1
        return ways[0] is not None

    assert is_let_in()
    orgs.set_org_state(exchange, None, "dongil", "suspended")
    assert not is_let_in()
    orgs.set_org_state(exchange, None, "dongil", "active")
    assert tokens.actor_of(exchange, secret) is None, "what ended with the suspension stays ended"
    secret = token_of(exchange, person.email)
    assert is_let_in()
    roles.set_state(exchange, None, person.email, "suspended")
    assert not is_let_in()


def test_a_limited_token_cannot_make_a_wider_one(exchange: Exchange) -> None:
    person = a_person(exchange)
    actor = tokens.actor_of(exchange, token_of(exchange, person.email, scopes=("read",)))
    assert actor
    with pytest.raises(Invalid) as refused:
        tokens.create(exchange, actor, scopes=("*",), by=actor)
    assert refused.value.code == "token.scope"


@pytest.mark.parametrize("given", [{"scopes": ("root",)}, {"scopes": ()}, {"days": 0}, {"days": 10_000}, {"name": "a\0b"}])
def test_tokens_with_unknown_scopes_or_endless_life_are_refused(exchange: Exchange, given: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        token_of(exchange, a_person(exchange).email, **given)


def test_password_is_checked_and_changing_it_ends_all_sessions(exchange: Exchange) -> None:
    person = a_person(exchange)
    assert persons.verify_password(exchange, person.email, PASSWORD) is None
    before = persons.get_person(exchange, email=person.email)
    persons.set_password(exchange, person, person.email, PASSWORD)
    found = persons.verify_password(exchange, person.email.upper(), PASSWORD)
    assert before
    assert found
    assert found.session_key != before.session_key
    assert persons.verify_password(exchange, person.email, PASSWORD + "!") is None
    assert persons.verify_password(exchange, "nobody@nowhere.example", PASSWORD) is None


def test_nobody_sets_the_password_of_another(exchange: Exchange) -> None:
    victim = a_person(exchange)
    for other in (a_person(exchange), a_person(exchange, role="auditor")):
        with pytest.raises(Denied):
            persons.set_password(exchange, other, victim.email, PASSWORD)


@pytest.mark.parametrize(("password", "code"), [("short", "password.short"), ("x" * 257, "password.long")])
def test_passwords_that_are_too_short_or_too_long_are_refused(exchange: Exchange, password: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        persons.set_password(exchange, None, a_person(exchange).email, password)
    assert refused.value.code == code


def test_no_more_log_ins_at_once_than_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ex = an_exchange(tmp_path)
    person = a_person(ex)
    persons.set_password(ex, None, person.email, PASSWORD)
    monkeypatch.setattr(passwords, "LOGIN_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(passwords, "_hashing", threading.BoundedSemaphore(1))
    with passwords._hashing, pytest.raises(MapexError) as refused:
        persons.verify_password(ex, person.email, PASSWORD)
    assert refused.value.code == "login.busy"
    assert persons.verify_password(ex, person.email, PASSWORD)
    ex.engine.dispose()


def test_slugs_and_emails_are_taken_once(exchange: Exchange) -> None:
    an_org(exchange, "dongil")
    with pytest.raises(Conflict):
        an_org(exchange, "dongil")
    a_person(exchange, "dongil", email="kim@dongil.example")
    with pytest.raises(Conflict):
        a_person(exchange, "dongil", email=" KIM@dongil.example ")


@pytest.mark.parametrize("slug", ["", "A", "a b", "-a", "a-", "a" * 64, "a/b", "..", "한빛"])
def test_malformed_slugs_are_refused(exchange: Exchange, slug: str) -> None:
    with pytest.raises(Invalid) as refused:
        orgs.add_org(exchange, None, slug)
    assert refused.value.code == "slug.malformed"


@pytest.mark.parametrize("email", ["", "a", "a@", "@b", "a@b@c", "a b@c.example", "a\0@b.example", "a@b/c"])
def test_malformed_emails_are_refused(exchange: Exchange, email: str) -> None:
    with pytest.raises(Invalid) as refused:
        persons.add_person(exchange, None, email, role="auditor")
    assert refused.value.code == "person.email"


def test_members_belong_to_an_organisation_and_others_to_none(exchange: Exchange) -> None:
    an_org(exchange, "dongil")
    for given in ({"role": "member"}, {"role": "auditor", "org": "dongil"}):
        with pytest.raises(Invalid) as refused:
            persons.add_person(exchange, None, "x@y.example", **given)
        assert refused.value.code == "person.org"
    with pytest.raises(NotFound):
        persons.add_person(exchange, None, "x@y.example", org="absent")


def test_only_operators_add_and_suspend(exchange: Exchange) -> None:
    for by in (a_person(exchange, "dongil"), a_person(exchange, role="auditor")):
        with pytest.raises(Denied):
            orgs.add_org(exchange, by, "new")
        with pytest.raises(Denied):
            persons.add_person(exchange, by, "a@b.example", org="dongil")
        with pytest.raises(Denied):
            orgs.set_org_state(exchange, by, "dongil", "suspended")
    operator = a_person(exchange, role="operator")
    assert orgs.add_org(exchange, operator, "new").state == "active"


def test_each_change_is_logged_once(exchange: Exchange) -> None:
    operator = a_person(exchange, role="operator")
    person = a_person(exchange, "dongil", email="kim@dongil.example")
    token_of(exchange, person.email)
    tokens.revoke(exchange, person, tokens.of(exchange, person)[0].id)
    persons.set_password(exchange, person, person.email, PASSWORD)
    orgs.set_org_state(exchange, operator, "dongil", "suspended")
    page = log.events(exchange, operator)
    done = [(event.action, event.person, event.owner) for event in reversed(page.events)]
    assert done == [
        ("person.added", "system", ""),
        ("org.added", "system", "dongil"),
        ("person.added", "system", "dongil"),
        ("token.created", "system", "dongil"),
        ("token.revoked", person.email, "dongil"),
        ("signer.retired", "system", "dongil"),
        ("person.password_set", person.email, "dongil"),
        ("signer.retired", "system", "dongil"),
        ("org.suspended", operator.email, "dongil"),
        ("signer.retired", "system", "dongil"),
    ]


def test_a_token_that_was_made_with_a_token_ends_with_it(exchange: Exchange) -> None:
    """Else whoever finds a token that lives a day has one for a year."""
    short = tokens.actor_of(exchange, token_of(exchange, a_person(exchange).email, days=1))
    assert short
    longer = tokens.create(exchange, short, days=366, by=short)
    assert tokens.actor_of(exchange, longer)
    assert isinstance(exchange.now, Clock)
    exchange.now.forward(seconds=86_400)
    assert tokens.actor_of(exchange, longer) is None
