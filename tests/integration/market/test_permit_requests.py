"""A request for a permit: stated by a member, entered by the operator as it is confirmed, and worth nothing before."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from mapex.database import db, schema
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.rights import permit_requests, permits
from mapex.rights.permit import NewPermit
from mapex.rights.permit_requests import NewRequest
from tests.support.exchange import DAY_ONE, a_person, square
from tests.support.tampering import broken

SHA256 = "ab" * 32


def stated(by: Actor, number: str = "제2026-17호", **changes: object) -> NewRequest:
    area = square(126.9, 37.4, 127.1, 37.6)
    permit = NewPermit(by.org_slug, number, ("research",), ("original",), area, DAY_ONE, DAY_ONE + 10**16)
    values = {"permit": permit, "issuer": "개인정보보호위원회", "document": "승인서.pdf", "document_sha256": SHA256}
    return NewRequest(**{**values, **changes})  # type: ignore[arg-type]


def test_the_operator_enters_what_is_confirmed_and_the_request_names_the_permit(exchange: Exchange) -> None:
    member, operator = a_person(exchange, "dongil"), a_person(exchange, role="operator")
    asked = permit_requests.request(exchange, member, stated(member))
    assert (asked.state, asked.document_sha256, asked.org) == ("open", SHA256, "dongil")
    assert not permits.all_permits(exchange, member), "a request grants nothing"
    confirmed = stated(member, "제2026-17호-연장").permit
    made = permit_requests.accept(exchange, operator, asked.id, confirmed)
    assert [one.number for one in permits.all_permits(exchange, member)] == [made.number] == ["제2026-17호-연장"]
    found = permit_requests.get(exchange, member, asked.id)
    assert (found.state, found.permit) == ("accepted", made.number)
    with pytest.raises(Conflict) as twice:
        permit_requests.accept(exchange, operator, asked.id, stated(member, "another").permit)
    assert twice.value.code == "permit.request_decided" and len(permits.all_permits(exchange)) == 1
    assert not broken(exchange)


def test_a_permit_that_cannot_be_entered_leaves_the_request_open(exchange: Exchange) -> None:
    member = a_person(exchange, "dongil")
    permits.add(exchange, None, stated(member).permit)
    asked = permit_requests.request(exchange, member, stated(member))
    with pytest.raises(Conflict) as refused:
        permit_requests.accept(exchange, None, asked.id, stated(member).permit)
    assert refused.value.code == "permit.exists"
    assert permit_requests.get(exchange, member, asked.id).state == "open"


def test_a_refusal_has_a_reason_and_a_request_is_withdrawn_by_its_organisation_only(exchange: Exchange) -> None:
    member, other = a_person(exchange, "dongil"), a_person(exchange, "nuri")
    first, second = (permit_requests.request(exchange, member, stated(member)) for _ in range(2))
    assert not permit_requests.all_requests(exchange, other)
    for deed in (permit_requests.get, permit_requests.withdraw):
        with pytest.raises(NotFound):
            deed(exchange, other, first.id)
    with pytest.raises(Denied):
        permit_requests.refuse(exchange, member, first.id, "no")
    assert permit_requests.refuse(exchange, None, first.id, "문서와 번호가 다릅니다.").reason == "문서와 번호가 다릅니다."
    assert permit_requests.withdraw(exchange, member, second.id).state == "withdrawn"
    with pytest.raises(Conflict):
        permit_requests.withdraw(exchange, member, second.id)
    assert not broken(exchange)
    with db.begin(exchange) as conn:
        conn.execute(update(schema.permit_request).where(schema.permit_request.c.id == first.id).values(issuer="someone"))
    assert broken(exchange)


def test_what_is_no_permit_cannot_be_asked_for_and_twenty_wait_at_most(exchange: Exchange) -> None:
    member = a_person(exchange, "dongil")
    for wrong in ({"issuer": " "}, {"document_sha256": "no"}, {"document": ""}):
        with pytest.raises(Invalid):
            permit_requests.request(exchange, member, stated(member, **wrong))
    for _ in range(permit_requests.MOST_OPEN):
        permit_requests.request(exchange, member, stated(member))
    with pytest.raises(Conflict) as full:
        permit_requests.request(exchange, member, stated(member))
    assert full.value.code == "permit.requests"
    with pytest.raises(Denied):
        permit_requests.request(exchange, a_person(exchange, role="auditor"), stated(member))
