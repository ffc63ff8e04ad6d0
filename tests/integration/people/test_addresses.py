"""Mail addresses are proven: nobody takes one that is not theirs, nor learns whether it is known; links go to the address only."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text

from mapex.audit import log
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.login import sessions
from mapex.people import domains, invitations, mail, persons, roles, tokens
from tests.support.exchange import a_person, an_org
from tests.support.mail import MailServer, mail_server
from tests.support.signing_in import at_a_browser, is_open
from web import create_app

PASSWORD = "correct horse battery"
INSPECTOR = "inspector@audit.example"


@pytest.fixture
def member(exchange: Exchange) -> Actor:
    """Of a firm with a domain of its own."""
    found = a_person(exchange, "hanbit")
    domains.add(exchange, None, "hanbit", "hanbit.example")
    return found


def by_mail(ex: Exchange, **settings: object) -> Exchange:
    """The same exchange, with mail into a folder unless the settings say otherwise."""
    given: dict[str, object] = {"mail_from": "mapex@exchange.example", **(settings or {"mail_folder": Path("mail")})}
    return replace(ex, settings=replace(ex.settings, **given))  # type: ignore[arg-type]


def letters(ex: Exchange) -> list[str]:
    """What is in the folder, decoded."""
    files = sorted((ex.settings.dir / "mail").glob("*.eml"))
    return [str(email.message_from_bytes(one.read_bytes(), policy=email.policy.default)) for one in files]


def link_in(letter: str) -> str:
    found = re.search(r"/invite/(\S+)", email.message_from_string(letter, policy=email.policy.default).get_content())
    assert found
    return found[1]


def refusal(call: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(MapexError) as caught:
        call()
    return type(caught.value).__name__, caught.value.code, json.dumps(caught.value.details, sort_keys=True)


# ---- an address that is not theirs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        INSPECTOR,
        "kim@nuri.example",
        "kim@sub.hanbit.example",
        "kim@xhanbit.example",
        "kim@hanbit.example.evil.example",
        "kim@HANBIT.example.",
    ],
)
def test_a_member_cannot_take_an_address_outside_of_the_domains_of_the_firm(exchange: Exchange, member: Actor, address: str) -> None:
    with pytest.raises((Denied, Invalid)) as refused:
        invitations.invite(exchange, member, address, org="hanbit")
    assert refused.value.code in ("invitation.domain", "person.email")
    assert invitations.open_ones(exchange, member) == []
    if refused.value.code == "invitation.domain":
        _, secret = invitations.invite(exchange, None, address, role="auditor")  # the operator can invite them all the same
        assert invitations.redeem(exchange, secret, name="Inspector", password=PASSWORD).role == "auditor"


def test_without_a_domain_members_invite_nobody(exchange: Exchange) -> None:
    member = a_person(exchange, "hanbit")
    with pytest.raises(Denied) as refused:
        invitations.invite(exchange, member, "kim@hanbit.example", org="hanbit")
    assert refused.value.code == "invitation.domain"


def test_a_foreign_address_is_refused_alike_whether_it_is_known_here_or_not(exchange: Exchange, member: Actor) -> None:
    a_person(exchange, role="auditor", email="known@audit.example")
    answers = [
        refusal(lambda who=who: invitations.invite(exchange, member, f"{who}@audit.example", org="hanbit")) for who in ("known", "free")
    ]
    assert answers[0] == answers[1]


def test_the_link_is_never_shown_to_a_member_and_the_operator_hands_it_out(exchange: Exchange, member: Actor) -> None:
    made, secret = invitations.invite(exchange, member, "kim@hanbit.example", org="hanbit")
    assert (made.handed, secret) == ("", "")
    operator = a_person(exchange, role="operator")
    with pytest.raises(Denied):
        invitations.hand_out(exchange, member, made.id)
    _, first = invitations.hand_out(exchange, operator, made.id)
    handed, second = invitations.hand_out(exchange, operator, made.id)
    assert handed.handed == "operator"
    with pytest.raises(NotFound):
        invitations.look(exchange, first)
    assert invitations.redeem(exchange, second, name="Kim", password=PASSWORD).is_proven
    with pytest.raises(NotFound):
        invitations.hand_out(exchange, operator, made.id)


# ---- what a member can find out about others --------------------------------------------------------------------------------------------


class Asker:
    """A member at the API, and everything that the member sees of an invitation."""

    def __init__(self, ex: Exchange, member: Actor) -> None:
        self.ex, self.member = ex, member
        self.client: FlaskClient = create_app(ex).test_client()
        self.headers = {"Authorization": f"Bearer {tokens.create(ex, member)}"}

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1{path}", headers=self.headers).json

    def sees_of(self, address: str) -> str:
        """The answer to an invitation of the address, what it changed, and the work that it made, without the address, ids and times."""
        statements: list[str] = []

        def note(_: Any, __: Any, statement: str, *rest: Any) -> None:
            statements.append(statement)

        event.listen(self.ex.engine, "before_cursor_execute", note)
        try:
            answer = self.client.post("/api/v1/invitations", json={"email": address, "org": "hanbit"}, headers=self.headers)
        finally:
            event.remove(self.ex.engine, "before_cursor_execute", note)
        assert (answer.status_code, answer.json["url"]) == (201, None)
        seen = {
            "answer": [answer.json, sorted(answer.headers.keys())],
            "listed": [one for one in self.get("/invitations")["invitations"] if one["email"] == address],
            "logged": [one for one in self.get("/audit/events?limit=1000")["events"] if one["details"].get("subject") == address],
            "work": statements,
        }
        changing = r"inv_\w+|\d{4}-\d\d-\d\dT[\d:.]+Z|\"seq\": \d+"
        return re.sub(changing, "-", json.dumps(seen).replace(address, "-"))


@pytest.mark.parametrize("way", ["operator", "mail"])
def test_inviting_tells_nobody_whether_an_address_is_known_elsewhere(exchange: Exchange, member: Actor, way: str) -> None:
    ex = by_mail(exchange) if way == "mail" else exchange
    a_person(ex, "nuri", email="known@hanbit.example")
    a_person(ex, role="auditor", email="guest@hanbit.example")
    asker = Asker(ex, member)
    known, official, free = (asker.sees_of(f"{who}@hanbit.example") for who in ("known", "guest", "other"))
    assert known == official == free
    assert len(letters(ex)) == (3 if way == "mail" else 0)


def test_what_an_invited_address_answers_is_told_to_the_address_alone(exchange: Exchange, member: Actor) -> None:
    ex = by_mail(exchange)
    a_person(ex, role="auditor", email="guest@hanbit.example")
    invitations.invite(ex, member, "guest@hanbit.example", org="hanbit")
    before = Asker(ex, member).get("/invitations")
    [letter] = letters(ex)
    with pytest.raises(Conflict):
        invitations.redeem(ex, link_in(letter), name="X", password=PASSWORD)
    assert Asker(ex, member).get("/invitations") == before


def test_a_domain_is_of_one_organisation_so_that_no_two_ask_for_the_same_address(exchange: Exchange, member: Actor) -> None:
    an_org(exchange, "nuri")
    with pytest.raises(Conflict) as taken:
        domains.add(exchange, None, "nuri", "Hanbit.example")
    assert taken.value.code == "domain.taken"
    for by in (member, a_person(exchange, role="auditor")):
        for change in (domains.add, domains.remove):
            with pytest.raises(Denied):
                change(exchange, by, "hanbit", "other.example")


@pytest.mark.parametrize(
    "domain",
    ["", "x", "a b.example", "-a.example", "a-.example", "a..example", ".example", "*.example", "%.example", "1.2.3.4", "a.example."],
)
def test_what_is_no_domain_is_refused(exchange: Exchange, domain: str) -> None:
    an_org(exchange, "hanbit")
    with pytest.raises(Invalid) as refused:
        domains.add(exchange, None, "hanbit", domain)
    assert refused.value.code == "domain.malformed"


def test_without_its_domain_what_members_asked_for_ends_and_members_stay(exchange: Exchange, member: Actor) -> None:
    made, _ = invitations.invite(exchange, member, "kim@hanbit.example", org="hanbit")
    _, secret = invitations.hand_out(exchange, None, made.id)
    assert domains.remove(exchange, None, "hanbit", "hanbit.example") == []
    with pytest.raises(NotFound):
        invitations.look(exchange, secret)
    with pytest.raises(NotFound):
        domains.remove(exchange, None, "hanbit", "hanbit.example")
    assert persons.get_person(exchange, email=member.email)


# ---- mail -------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.mark.parametrize("who", ["member", "operator"])
def test_a_mailed_link_goes_to_the_address_and_is_shown_to_nobody(exchange: Exchange, member: Actor, server: MailServer, who: str) -> None:
    ex = by_mail(exchange, mail_host="127.0.0.1", mail_port=server.port, mail_security="none")
    made, shown = invitations.invite(ex, member if who == "member" else None, "kim@hanbit.example", org="hanbit")
    assert (made.handed, shown) == ("mail", "")
    [letter] = server.box
    assert letter.to == ["kim@hanbit.example"]
    assert invitations.redeem(ex, link_in(letter.text), name="Kim", password=PASSWORD).is_proven


def test_a_letter_that_is_not_taken_waits_for_the_operator(exchange: Exchange, member: Actor, server: MailServer) -> None:
    server.takes = False
    ex = by_mail(exchange, mail_host="127.0.0.1", mail_port=server.port, mail_security="none")
    made, secret = invitations.invite(ex, member, "kim@hanbit.example", org="hanbit")
    assert (made.handed, secret, server.box) == ("", "", [])
    assert [one.handed for one in invitations.open_ones(ex, member)] == [""]
    assert invitations.hand_out(ex, None, made.id)[1]


@pytest.mark.parametrize("local", ["a,b", "a;b", '"a"', "a<b", "a(b)", "a\\b", "a:b", "a\u202eb", "김"])
def test_no_address_is_read_by_mail_as_another_one(exchange: Exchange, member: Actor, server: MailServer, local: str) -> None:
    ex = by_mail(exchange, mail_host="127.0.0.1", mail_port=server.port, mail_security="none")
    made, _ = invitations.invite(ex, member, f"{local}@hanbit.example", org="hanbit")
    assert (made.handed, server.box) == ("", [])


def test_letters_in_a_folder_are_for_their_owner_alone(exchange: Exchange, member: Actor) -> None:
    ex = by_mail(exchange)
    invitations.invite(ex, member, "kim@hanbit.example", org="hanbit")
    [file] = (ex.settings.dir / "mail").iterdir()
    assert [file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777] == [0o600, 0o700]
    assert not mail.is_set_up(exchange.settings)


# ---- who came in before addresses were proven -------------------------------------------------------------------------------------------


def unproven(ex: Exchange, member: Actor) -> None:
    with ex.engine.begin() as conn:
        conn.execute(text("UPDATE person SET proven_ns = NULL WHERE email = :email"), {"email": member.email})


@pytest.mark.parametrize("way", ["added", "invited"])
def test_an_unproven_person_blocks_nobody_and_keeps_nothing_but_the_past(exchange: Exchange, way: str) -> None:
    squatter = a_person(exchange, "hanbit", email=INSPECTOR)
    persons.set_password(exchange, None, INSPECTOR, PASSWORD)
    secret = tokens.create(exchange, squatter)
    _, at_the_browser = at_a_browser(exchange, squatter)
    unproven(exchange, squatter)
    if way == "added":
        persons.add_person(exchange, None, INSPECTOR, role="auditor")
    else:
        _, link = invitations.invite(exchange, None, INSPECTOR, role="auditor")
        assert tokens.actor_of(exchange, secret), "an invitation that nobody redeemed moves nobody"
        invitations.redeem(exchange, link, name="Inspector", password="another horse battery")
    found = persons.get_person(exchange, email=INSPECTOR)
    assert found and (found.role, found.org_slug, found.is_proven) == ("auditor", "", True)
    before = persons.get_person(exchange, person_id=squatter.person_id)
    assert before and before.email == f"{squatter.person_id}@displaced.invalid" and not before.is_active
    assert tokens.actor_of(exchange, secret) is None
    assert persons.verify_password(exchange, INSPECTOR, PASSWORD) is None
    roles.set_state(exchange, None, before.email, "active")
    assert not is_open(exchange, at_the_browser), "what has ended is never open again"
    actions = [one.action for one in log.events(exchange, found.actor, limit=1000).events if one.payload.get("subject") == INSPECTOR]
    assert "person.displaced" in actions


def test_sessions_of_a_displaced_person_are_never_open_again(exchange: Exchange) -> None:
    squatter = a_person(exchange, "hanbit", email=INSPECTOR)
    before = persons.get_person(exchange, person_id=squatter.person_id)
    assert before is not None
    secret = sessions.start(exchange, before, sessions.Caller("203.0.113.0/24", "Firefox"), ["password"])
    unproven(exchange, squatter)
    persons.add_person(exchange, None, INSPECTOR, role="auditor")
    now = persons.get_person(exchange, person_id=squatter.person_id)
    assert now is not None
    roles.set_state(exchange, None, now.email, "active")
    assert sessions.find(exchange, secret) is None


def test_a_proven_person_is_never_displaced(exchange: Exchange) -> None:
    person = a_person(exchange, "hanbit", email="kim@hanbit.example")
    with pytest.raises(Conflict):
        persons.add_person(exchange, None, person.email, role="auditor")
    with pytest.raises(Conflict):
        invitations.invite(exchange, None, person.email, role="auditor")


@pytest.mark.parametrize("proof", ["operator", "domain", "role"])
def test_the_operator_or_a_domain_of_the_firm_proves_an_address(exchange: Exchange, proof: str) -> None:
    person = a_person(exchange, "hanbit", email="kim@hanbit.example")
    other = a_person(exchange, "hanbit", email="kim@elsewhere.example")
    for one in (person, other):
        unproven(exchange, one)
    if proof == "operator":
        assert persons.prove(exchange, None, person.email).is_proven
        with pytest.raises(Denied):
            persons.prove(exchange, person, other.email)
    elif proof == "domain":
        domains.add(exchange, None, "hanbit", "hanbit.example")
    else:
        an_org(exchange, "nuri")
        roles.set_role(exchange, None, person.email, "member", org="nuri")
    found = [persons.get_person(exchange, email=one.email) for one in (person, other)]
    assert [one.is_proven for one in found if one] == [True, False]


# ---- relatives: other things that could tell whether somebody or some firm is here ------------------------------------------------------


def test_no_question_of_a_member_tells_whether_a_person_or_a_firm_is_here(exchange: Exchange, member: Actor) -> None:
    """The same questions about what is known elsewhere and about what is not: equal but for the names that were asked."""
    a_person(exchange, "nuri", email="kim@nuri.example")
    asker = Asker(exchange, member)

    def asked(method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = asker.client.open(f"/api/v1{path}", method=method, json=body, headers=asker.headers)
        return answer.status_code, re.sub(r'"request_id":"\w+"', "", answer.get_data(as_text=True).replace(" ", "").replace("\n", ""))

    questions: list[tuple[str, str, Any]] = [
        ("POST", "/invitations", {"email": "kim@{}.example", "org": "{}"}),
        ("POST", "/invitations", {"email": "kim@{}.example", "org": "hanbit"}),
        ("POST", "/persons", {"email": "kim@{}.example"}),
        ("POST", "/persons/kim@{}.example/state", {"state": "suspended"}),
        ("POST", "/organisations", {"slug": "{}"}),
        ("POST", "/organisations/{}/domains", {"domain": "{}.example"}),
        ("GET", "/datasets/streets?org={}", None),
        ("GET", "/datasets/streets/versions?org={}", None),
        ("GET", "/datasets/streets/versions/1?org={}", None),
        ("GET", "/datasets/{}/streets/previews?version=1", None),
        ("GET", "/wallet?org={}", None),
        ("GET", "/audit/events?org={}", None),
        ("GET", "/audit/events?person=kim@{}.example", None),
        ("POST", "/search", {"quadkeys": ["1321211203013210"], "dataset": "{}/streets"}),
        ("POST", "/estimates", {"quadkeys": ["1321211203013210"], "dataset": "{}/streets"}),
    ]
    for method, path, body in questions:
        here, absent = (
            asked(method, path.replace("{}", firm), None if body is None else json.loads(json.dumps(body).replace("{}", firm)))
            for firm in ("nuri", "void")
        )
        assert (here[0], here[1].replace("nuri", "void")) == absent, (method, path)
    for page in ("/datasets/{}/streets", "/map/coverage/{}/streets/10/873/396.mvt", "/account/log?org={}"):
        bodies = [asker.client.get(page.replace("{}", firm), headers=asker.headers).get_data(as_text=True) for firm in ("nuri", "void")]
        clean = [re.sub(r"[0-9a-f]{16}|nonce-\S+", "", one).replace("nuri", "void") for one in bodies]
        assert clean[0] == clean[1], page


def test_the_firm_of_a_displaced_person_does_not_learn_where_the_address_is_now(exchange: Exchange) -> None:
    colleague, squatter = a_person(exchange, "hanbit"), a_person(exchange, "hanbit", email=INSPECTOR)
    unproven(exchange, squatter)
    an_org(exchange, "saenuri")
    _, link = invitations.invite(exchange, None, INSPECTOR, org="saenuri")
    invitations.redeem(exchange, link, name="Inspector", password=PASSWORD)
    seen = log.events(exchange, colleague, limit=1000).events
    assert "person.displaced" in [one.action for one in seen]
    assert "saenuri" not in repr(seen)
