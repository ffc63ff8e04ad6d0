"""Invitations: who may invite whom, one link one person, and every way in which a link ends."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from mapex.audit import log
from mapex.database import schema
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import domains, invitations, orgs, persons, roles
from mapex.people.invitations import Invitation
from tests.support.exchange import Clock, a_person, an_org
from tests.support.signing_in import form_of, is_in
from web import create_app

PASSWORD = "correct horse battery"


def actions(ex: Exchange, subject: str) -> list[str]:
    auditor = a_person(ex, role="auditor")
    return [str(e.action) for e in log.events(ex, auditor, limit=1000).events if e.payload.get("subject") == subject][::-1]


def asked(ex: Exchange, member: Actor, email: str) -> tuple[Invitation, str]:
    """What a member asked for under a domain of the own organisation, and the link that the operator then handed out."""
    domains.add(ex, None, member.org_slug, "hanbit.example")
    made, shown = invitations.invite(ex, member, email, org=member.org_slug)
    assert not shown
    return invitations.hand_out(ex, None, made.id)


def test_an_invited_person_chooses_name_and_password_and_can_log_in(exchange: Exchange) -> None:
    inviter = a_person(exchange, "hanbit")
    made, secret = asked(exchange, inviter, " Kim@Hanbit.example ")
    assert (made.email, made.org, made.role, made.inviter) == ("kim@hanbit.example", "hanbit", "member", inviter.email)
    assert invitations.look(exchange, secret) == made
    person = invitations.redeem(exchange, secret, name="김하나", password=PASSWORD)
    assert (person.email, person.name, person.org_slug, person.role) == ("kim@hanbit.example", "김하나", "hanbit", "member")
    assert persons.verify_password(exchange, "kim@hanbit.example", PASSWORD) == person
    assert actions(exchange, "kim@hanbit.example") == ["person.invited", "invitation.handed_out", "person.added"]


def test_a_link_makes_one_person_only(exchange: Exchange) -> None:
    _, secret = invitations.invite(exchange, None, "a@audit.example", role="auditor")
    invitations.redeem(exchange, secret, name="A", password=PASSWORD)
    with pytest.raises(NotFound) as raised:
        invitations.redeem(exchange, secret, name="B", password=PASSWORD)
    assert raised.value.code == "invitation.unknown"


def test_the_secret_is_not_stored(exchange: Exchange) -> None:
    _, secret = asked(exchange, a_person(exchange, "hanbit"), "kim@hanbit.example")
    with exchange.engine.connect() as conn:
        rows = conn.execute(select(schema.invitation)).all() + conn.execute(select(schema.audit_event)).all()
    assert secret not in str(rows)


def test_a_link_ends_after_seven_days(exchange: Exchange) -> None:
    _, secret = asked(exchange, a_person(exchange, "hanbit"), "kim@hanbit.example")
    assert isinstance(exchange.now, Clock)
    exchange.now.forward(days=6.99)
    invitations.look(exchange, secret)
    exchange.now.forward(days=0.02)
    with pytest.raises(NotFound):
        invitations.look(exchange, secret)
    with pytest.raises(NotFound):
        invitations.redeem(exchange, secret, name="Kim", password=PASSWORD)


def test_a_newer_link_for_the_same_address_ends_the_older(exchange: Exchange) -> None:
    inviter = a_person(exchange, "hanbit")
    _, first = asked(exchange, inviter, "kim@hanbit.example")
    _, second = asked(exchange, inviter, "kim@hanbit.example")
    with pytest.raises(NotFound):
        invitations.look(exchange, first)
    invitations.look(exchange, second)
    assert len(invitations.open_ones(exchange, inviter)) == 1


def test_a_link_that_was_taken_back_is_dead(exchange: Exchange) -> None:
    inviter = a_person(exchange, "hanbit")
    made, secret = asked(exchange, inviter, "kim@hanbit.example")
    with pytest.raises(NotFound):
        invitations.revoke(exchange, a_person(exchange, "nuri"), made.id)
    invitations.revoke(exchange, inviter, made.id)
    with pytest.raises(NotFound):
        invitations.look(exchange, secret)
    with pytest.raises(NotFound):
        invitations.revoke(exchange, inviter, made.id)
    assert actions(exchange, "kim@hanbit.example") == ["person.invited", "invitation.handed_out", "invitation.revoked"]


@pytest.mark.parametrize("who", ["inviter", "organisation"])
def test_a_suspended_inviter_or_organisation_lets_nobody_in(exchange: Exchange, who: str) -> None:
    inviter = a_person(exchange, "hanbit")
    _, secret = asked(exchange, inviter, "kim@hanbit.example")
    if who == "inviter":
        roles.set_state(exchange, None, inviter.email, "suspended")
    else:
        orgs.set_org_state(exchange, None, "hanbit", "suspended")
    with pytest.raises(NotFound):
        invitations.redeem(exchange, secret, name="Kim", password=PASSWORD)


def test_what_an_operator_of_yesterday_invited_lets_nobody_in(exchange: Exchange) -> None:
    a_person(exchange, role="operator")
    inviter = a_person(exchange, role="operator")
    _, secret = invitations.invite(exchange, inviter, "kim@x.example", role="operator")
    invitations.look(exchange, secret)
    roles.set_role(exchange, None, inviter.email, "auditor")
    with pytest.raises(NotFound):
        invitations.redeem(exchange, secret, name="Kim", password=PASSWORD)
    an_org(exchange, "hanbit")
    roles.set_role(exchange, None, inviter.email, "member", org="hanbit")
    with pytest.raises(NotFound):
        invitations.look(exchange, secret)


def test_members_invite_members_of_their_own_organisation_only(exchange: Exchange) -> None:
    member = a_person(exchange, "hanbit")
    an_org(exchange, "nuri")
    for given in ({"org": "nuri"}, {"role": "operator"}, {"role": "auditor"}):
        with pytest.raises(Denied) as raised:
            invitations.invite(exchange, member, "kim@x.example", **given)
        assert raised.value.code == "invitation.foreign"
    with pytest.raises(Denied):
        invitations.invite(exchange, a_person(exchange, role="auditor"), "kim@x.example", org="nuri")
    operator = a_person(exchange, role="operator")
    for given in ({"org": "nuri"}, {"role": "operator"}, {"role": "auditor"}):
        invitations.invite(exchange, operator, "kim@x.example", **given)
    assert len(invitations.open_ones(exchange, operator)) == 2  # operator and auditor have no organisation: the newer one counts
    assert invitations.open_ones(exchange, member) == []


def test_an_address_that_exists_is_reported_only_to_who_may_see_the_person(exchange: Exchange) -> None:
    member, foreign = a_person(exchange, "hanbit"), a_person(exchange, "nuri", email="kim@hanbit.example")
    operator = a_person(exchange, role="operator")
    domains.add(exchange, None, "hanbit", "hanbit.example")
    with pytest.raises(Conflict):
        invitations.invite(exchange, operator, foreign.email, org="nuri")
    with pytest.raises(Conflict):
        invitations.invite(exchange, member, a_person(exchange, "hanbit", email="own@hanbit.example").email, org="hanbit")
    made, _ = invitations.invite(exchange, member, foreign.email, org="hanbit")
    with pytest.raises(Conflict) as raised:
        invitations.hand_out(exchange, operator, made.id)
    assert raised.value.code == "person.exists"


def test_a_bad_name_or_password_leaves_the_link_open(exchange: Exchange) -> None:
    _, secret = asked(exchange, a_person(exchange, "hanbit"), "kim@hanbit.example")
    for name, password in (("Kim", "short"), ("", PASSWORD), ("a\x00b", PASSWORD)):
        with pytest.raises(Invalid):
            invitations.redeem(exchange, secret, name=name, password=password)
    invitations.redeem(exchange, secret, name="가" * 200, password=PASSWORD)


def test_a_form_of_another_site_redeems_no_invitation(exchange: Exchange) -> None:
    """Else whoever prepared it has a browser of somebody else work, unknowingly, in an account whose password it knows."""
    a_person(exchange, "hanbit")
    _, secret = invitations.invite(exchange, None, "friend@hanbit.example", org="hanbit")
    client = create_app(exchange).test_client()
    fields = {**form_of(client.get(f"/invite/{secret}").text), "name": "x", "password": PASSWORD}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert client.post(f"/invite/{secret}", data=fields, headers=headers).status_code == 422
        assert not is_in(client)
    assert client.post(f"/invite/{secret}", data={**fields, "csrf_token": "x"}).status_code == 422
    assert client.post(f"/invite/{secret}", data=fields).status_code == 302
    assert is_in(client)
