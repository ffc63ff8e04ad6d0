"""Role and state of persons: what is taken is gone at once, one operator always stays, and each change is in the log with its state."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import IntegrityError

from mapex import authority
from mapex.audit import log
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import persons, roles
from mapex.people import tokens as api_tokens
from tests.support.exchange import a_person, an_org


def person_of(ex: Exchange, email: str) -> persons.Person:
    found = persons.get_person(ex, email=email)
    assert found
    return found


def token_of(ex: Exchange, by: Actor) -> str:
    return api_tokens.create(ex, by)


def changes(ex: Exchange, by: Actor) -> list[int]:
    """Numbers of the log's entries about persons (reading the log is logged too)."""
    return [event.seq for event in log.events(ex, by).events if event.action.startswith("person.")]


@pytest.mark.parametrize(("role", "org"), [("auditor", ""), ("operator", ""), ("member", "nuri")])
def test_a_change_of_role_ends_sessions_and_tokens_at_once(exchange: Exchange, role: str, org: str) -> None:
    an_org(exchange, "nuri")
    operator, member = a_person(exchange, role="operator"), a_person(exchange, "dongil")
    tokens = [token_of(exchange, member) for _ in range(2)]
    before = person_of(exchange, member.email)
    changed = roles.set_role(exchange, operator, f" {member.email.upper()} ", role, org=org)
    assert (changed.role, changed.org_slug, changed.state) == (role, org, "active")
    assert before and changed.session_key != before.session_key
    assert [api_tokens.actor_of(exchange, secret) for secret in tokens] == [None, None]
    now = persons.actor_of(exchange, member.person_id)
    assert now and (now.role, now.org_slug) == (role, org)
    fresh = api_tokens.actor_of(exchange, token_of(exchange, now))
    assert fresh and fresh.role == role


def test_a_demoted_operator_can_do_nothing_of_one(exchange: Exchange) -> None:
    first, second = a_person(exchange, role="operator"), a_person(exchange, role="operator")
    secret = token_of(exchange, second)
    roles.set_role(exchange, first, second.email, "auditor")
    assert api_tokens.actor_of(exchange, secret) is None
    now = persons.actor_of(exchange, second.person_id)
    assert now
    with pytest.raises(Denied):
        authority.operator(now)
    with pytest.raises(Denied):
        roles.set_role(exchange, now, second.email, "operator")
    roles.set_role(exchange, first, second.email, "operator")
    assert api_tokens.actor_of(exchange, secret) is None  # an old token gains no power when the role comes back


@pytest.mark.parametrize("how", ["demoted", "suspended"])
def test_the_only_operator_stays(exchange: Exchange, how: str) -> None:
    operator, other = a_person(exchange, role="operator"), a_person(exchange, role="operator")

    def leave(who: Actor) -> None:
        if how == "demoted":
            roles.set_role(exchange, None, who.email, "auditor")
        else:
            roles.set_state(exchange, None, who.email, "suspended")

    leave(other)
    before = changes(exchange, operator)
    with pytest.raises(Conflict) as refused:
        leave(operator)
    assert refused.value.code == "operator.last"
    assert person_of(exchange, operator.email).is_active and person_of(exchange, operator.email).role == "operator"
    assert changes(exchange, operator) == before


def test_of_two_operators_who_leave_at_once_one_stays(exchange: Exchange) -> None:
    both = [a_person(exchange, role="operator") for _ in range(2)]
    ends: list[str] = []
    start = threading.Barrier(2)

    def leave(who: Actor) -> None:
        start.wait()
        try:
            roles.set_state(exchange, None, who.email, "suspended")
            ends.append("left")
        except MapexError as error:
            ends.append(error.code)

    threads = [threading.Thread(target=leave, args=(who,)) for who in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["left", "operator.last"]
    assert sum(person_of(exchange, who.email).is_active for who in both) == 1


def test_only_operators_change_roles(exchange: Exchange) -> None:
    victim = a_person(exchange, "dongil")
    for by in (victim, a_person(exchange, role="auditor")):
        for change in (lambda by=by: roles.set_role(exchange, by, victim.email, "operator"),
                       lambda by=by: roles.set_state(exchange, by, victim.email, "suspended")):  # fmt: skip
            with pytest.raises(Denied):
                change()


def test_roles_and_organisations_must_fit(exchange: Exchange) -> None:
    victim = a_person(exchange, "dongil")
    for given, error, code in (
        ({"role": "member"}, Invalid, "person.org"),
        ({"role": "auditor", "org": "dongil"}, Invalid, "person.org"),
        ({"role": "king"}, Invalid, "person.role"),
        ({"role": "member", "org": "absent"}, NotFound, "org.unknown"),
    ):
        with pytest.raises(error) as refused:
            roles.set_role(exchange, None, victim.email, **given)
        assert refused.value.code == code
    with pytest.raises(NotFound) as refused:
        roles.set_role(exchange, None, "nobody@x.example", "auditor")
    assert refused.value.code == "person.unknown"
    assert person_of(exchange, victim.email).org_slug == "dongil"


def test_each_change_is_logged_once_with_what_it_changed(exchange: Exchange) -> None:
    operator, member = a_person(exchange, role="operator"), a_person(exchange, "dongil")
    token_of(exchange, member)
    for _ in range(2):  # asked twice: nothing changes, nothing is logged
        roles.set_role(exchange, operator, member.email, "auditor")
        roles.set_state(exchange, operator, member.email, "suspended")
    events = [e for e in log.events(exchange, operator).events if e.payload.get("subject") == member.email][:2]
    assert [(e.action, e.person) for e in reversed(events)] == [
        ("person.role_changed", operator.email),
        ("person.suspended", operator.email),
    ]
    answer = {name: events[1].payload[name] for name in ("role", "before", "before_org", "tokens_revoked")}
    assert answer == {"role": "auditor", "before": "member", "before_org": "dongil", "tokens_revoked": 1}


def test_without_its_log_entry_no_role_changes(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    operator, member = a_person(exchange, role="operator"), a_person(exchange, "dongil")
    secret = token_of(exchange, member)

    def refuse(*_: object, **__: object) -> None:
        raise IntegrityError("the log is full", {}, Exception())

    monkeypatch.setattr(log, "append", refuse)
    with pytest.raises(IntegrityError):
        roles.set_role(exchange, operator, member.email, "auditor")
    assert person_of(exchange, member.email).role == "member"
    assert api_tokens.actor_of(exchange, secret)
