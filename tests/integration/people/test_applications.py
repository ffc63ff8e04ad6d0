"""Registration: an application proves its address, is accepted or refused by the operator, and gives nothing to who only asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update

from mapex.database import db, schema
from mapex.errors import Conflict, Denied, Invalid, Limited, NotFound
from mapex.exchange import Exchange
from mapex.login import applications
from mapex.login.applications import NewApplication
from mapex.people import invitations, orgs, persons
from tests.integration.people.test_resets import letters, link_in, mailing
from tests.support.exchange import a_person
from tests.support.signing_in import PASSWORD, clock, form_of, send
from tests.support.tampering import broken
from web import create_app

FORM = {"slug": "gildong", "name": "길동모빌리티", "contact": "홍길동", "email": "hong@gildong.example", "about": "자율주행 시험"}


def new(**changes: str) -> NewApplication:
    return NewApplication(**{**FORM, **changes})


def the_one(ex: Exchange) -> applications.Application:
    (found,) = applications.all_applications(ex, None)
    return found


def test_an_applicant_proves_the_address_by_the_link_and_becomes_the_first_member(exchange: Exchange, tmp_path: Path) -> None:
    ex = mailing(exchange, tmp_path / "mail")
    client = create_app(ex).test_client()
    answer = send(client, "/register", **FORM)
    assert answer.status_code == 200 and "/register/" not in answer.text.partition("<main")[2].replace('action="/register"', "")
    link = link_in(letters(tmp_path / "mail")[0])
    assert the_one(ex).state == "received"
    page = client.get(link)
    assert page.status_code == 200 and the_one(ex).state == "received", "a mail program that opens links proves nothing"
    client.post(link, data=form_of(page.text))
    assert the_one(ex).state == "proven"

    made, shown = applications.accept(ex, None, the_one(ex).id, slug="gildong-mobility")
    assert not shown and made.org == "gildong-mobility"
    assert orgs.get_org(ex, "gildong-mobility").name == FORM["name"]
    invitation = next(letter for letter in letters(tmp_path / "mail") if "/invite/" in letter)
    secret = invitation.partition("/invite/")[2].split()[0]
    person = invitations.redeem(ex, secret, name="홍길동", password=PASSWORD)
    assert (person.email, person.org_slug) == (FORM["email"], "gildong-mobility")
    assert "gildong-mobility" not in client.get(link).text and applications.look(ex, link.rpartition("/")[2]).state == "accepted"
    assert not broken(ex)


def test_without_mail_the_page_shows_the_link_and_nothing_is_proven_by_it(exchange: Exchange) -> None:
    client = create_app(exchange).test_client()
    answer = send(client, "/register", **FORM)
    link = link_in(answer.text.replace('"/register"', "")).partition("<")[0]
    page = client.get(link)
    client.post(link, data=form_of(page.text))
    assert the_one(exchange).state == "received"
    made, secret = applications.accept(exchange, None, the_one(exchange).id)
    assert secret and invitations.look(exchange, secret) == made


def test_a_refusal_is_read_behind_the_link_and_by_mail_only_where_the_address_is_proven(exchange: Exchange, tmp_path: Path) -> None:
    ex = mailing(exchange, tmp_path / "mail")
    for proves in (True, False):
        applications.apply(ex, "203.0.113.1", new(email=f"{proves}@a.example".lower()))
        sent = letters(tmp_path / "mail")
        secret = next(link_in(one) for one in sent if f"to: {proves}@a.example".lower() in one.lower()).rpartition("/")[2]
        if proves:
            applications.prove(ex, secret)
        applications.refuse(ex, None, the_one(ex).id, "사업자등록증을 확인할 수 없습니다.")
        assert applications.look(ex, secret).reason == "사업자등록증을 확인할 수 없습니다."
        assert len(letters(tmp_path / "mail")) == len(sent) + proves
        with pytest.raises(Conflict) as refused:
            applications.accept(ex, None, applications.look(ex, secret).id)
        assert refused.value.code == "application.decided"
    assert not broken(ex)


def test_what_is_known_here_is_not_answered_and_is_met_when_it_is_accepted(exchange: Exchange) -> None:
    member = a_person(exchange, "gildong", email=FORM["email"])
    assert applications.apply(exchange, "203.0.113.1", new())
    with pytest.raises(Conflict) as taken:
        applications.accept(exchange, None, the_one(exchange).id)
    assert taken.value.code == "org.exists"
    with pytest.raises(Conflict) as known:
        applications.accept(exchange, None, the_one(exchange).id, slug="other")
    assert known.value.code == "person.exists"
    with pytest.raises(NotFound):
        orgs.get_org(exchange, "other")
    assert the_one(exchange).state == "received"
    found = persons.get_person(exchange, email=member.email)
    assert found and found.org_slug == "gildong"


def test_registrations_are_bounded_and_spam_is_deleted_with_its_names(exchange: Exchange) -> None:
    for number in range(applications.MOST["network"]):
        applications.apply(exchange, "203.0.113.1", new(email=f"{number}@a.example"))
    with pytest.raises(Limited) as limited:
        applications.apply(exchange, "203.0.113.9", new())
    assert limited.value.code == "application.tries"
    for number in range(applications.MOST["address"] + 2):
        assert applications.apply(exchange, f"198.51.{number}.1", new()), "nobody learns that no more are kept"
    kept = [one for one in applications.all_applications(exchange, None) if one.email == FORM["email"]]
    assert len(kept) == applications.MOST["address"]
    applications.clear(exchange, None, kept[0].id)
    assert applications.clear(exchange, None) == applications.MOST["network"] + 2
    with exchange.engine.connect() as conn:
        rows = [conn.execute(select(table)).all() for table in (schema.application, schema.audit_event)]
    assert "a.example" not in str(rows) and FORM["name"] not in str(rows)
    assert not broken(exchange)


def test_an_unproven_application_is_forgotten_after_two_weeks(exchange: Exchange) -> None:
    secret = applications.apply(exchange, "203.0.113.1", new())
    clock(exchange).forward(days=applications.DAYS_UNPROVEN + 1)
    applications.apply(exchange, "203.0.113.1", new(email="next@a.example"))
    with pytest.raises(NotFound):
        applications.look(exchange, secret)
    assert the_one(exchange).email == "next@a.example"


@pytest.mark.parametrize(
    "wrong", [{"slug": "Kein Slug!"}, {"name": " "}, {"email": "nobody"}, {"about": "x" * 2001}, {"contact": "a\x00b"}]
)
def test_what_cannot_be_kept_is_refused_in_the_form(exchange: Exchange, wrong: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        applications.apply(exchange, "203.0.113.1", new(**wrong))
    assert not applications.all_applications(exchange, None)
    if "contact" not in wrong:
        answer = send(create_app(exchange).test_client(), "/register", **{**FORM, **wrong})
        assert answer.status_code == 422 and FORM["contact"] in answer.text, "what was typed is still there"


def test_only_the_operator_sees_and_decides_and_fsck_finds_a_changed_address(exchange: Exchange) -> None:
    applications.apply(exchange, "203.0.113.1", new())
    member = a_person(exchange)
    for deed in (
        lambda: applications.all_applications(exchange, member),
        lambda: applications.accept(exchange, member, the_one(exchange).id),
        lambda: applications.refuse(exchange, member, the_one(exchange).id, "no"),
        lambda: applications.clear(exchange, member),
    ):
        with pytest.raises(Denied):
            deed()
    with db.begin(exchange) as conn:
        conn.execute(update(schema.application).values(email="thief@a.example"))
    assert broken(exchange)
