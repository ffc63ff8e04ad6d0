"""Second factors: the password alone opens nothing, no code is good twice, and money, permits and footage ask again."""

from __future__ import annotations

import re
from dataclasses import replace

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mapex.audit import log
from mapex.audit.log import Action
from mapex.authority import FRESH_MINUTES
from mapex.database import schema
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.login import factors, recovery_codes, sealed, second_step, sessions, totp
from mapex.login.factors import MOST, NewFactor
from mapex.orders import orders
from mapex.people import invitations, persons, tokens
from mapex.rights import entitlements
from mapex.rights import grants as granting
from tests.support.exchange import a_person
from tests.support.market import a_layer, a_market, a_permit, block
from tests.support.signing_in import (
    PASSWORD,
    a_member,
    at_a_browser,
    call,
    clock,
    code_of,
    form_of,
    is_in,
    next_code,
    present,
    secret_of,
    send,
    sign_in,
    with_app,
)
from tiles.batch import LayerKind
from web import create_app

STALE_SECONDS = FRESH_MINUTES * 60 + 1


def refused(call_: object, code: str, kind: type[MapexError] = Denied) -> None:
    with pytest.raises(kind) as caught:
        call_()  # type: ignore[operator]
    assert caught.value.code == code


def renewed(ex: Exchange, by: Actor) -> Actor:
    """The same session after it has just been confirmed."""
    return present(ex, sessions.prove(ex, by, "totp"))


def ticket_page(client: FlaskClient, email: str) -> dict[str, str]:
    """After the password: the fields of the second step."""
    page = send(client, "/login", email=email, password=PASSWORD)
    assert page.status_code == 200 and 'name="ticket"' in page.text
    return form_of(page.text)


def test_the_password_alone_opens_nothing_for_who_has_a_factor(exchange: Exchange) -> None:
    person, app = a_member(exchange), create_app(exchange)
    phone = with_app(exchange, at_a_browser(exchange, person)[0])
    client = app.test_client()
    fields = ticket_page(client, person.email)
    assert not is_in(client)
    assert client.post("/login/second", data={**fields, "code": "000000"}).status_code == 200
    assert not is_in(client)
    assert client.post("/login/second", data={**fields, "code": next_code(exchange, phone)}).status_code == 302
    assert is_in(client)
    assert sessions.of(exchange, person.id)[0].factors == ("password", "totp")


@pytest.mark.parametrize("spoil", ["", "x", "cut", "late"])
def test_a_ticket_that_is_not_ours_or_late_is_no_password(exchange: Exchange, spoil: str) -> None:
    person, client = a_member(exchange), create_app(exchange).test_client()
    phone = with_app(exchange, at_a_browser(exchange, person)[0])
    fields = ticket_page(client, person.email)
    if spoil == "late":
        clock(exchange).forward(seconds=second_step.TICKET_SECONDS + 60)
    fields["ticket"] = {"cut": fields["ticket"][:-1], "late": fields["ticket"]}.get(spoil, spoil)
    client.post("/login/second", data={**fields, "code": next_code(exchange, phone)})
    assert not is_in(client)


def test_a_code_works_once_and_only_around_its_time(exchange: Exchange) -> None:
    person = a_member(exchange)
    by, _ = at_a_browser(exchange, person)
    setup = totp.begin(exchange, by)
    phone = pyotp.TOTP(setup.secret)
    first = code_of(exchange, phone)
    totp.confirm(exchange, by, setup.ticket, first)
    assert not totp.use(exchange, person.id, first)  # it added the app, and is used up
    second = next_code(exchange, phone)
    assert totp.use(exchange, person.id, second)
    assert not totp.use(exchange, person.id, second)
    old = next_code(exchange, phone)
    clock(exchange).forward(seconds=120)
    assert not totp.use(exchange, person.id, old)
    assert not totp.use(exchange, a_member(exchange).id, code_of(exchange, phone))


def test_a_recovery_code_works_once_and_new_ones_replace_the_old(exchange: Exchange) -> None:
    person = a_member(exchange)
    by, _ = at_a_browser(exchange, person)
    refused(lambda: recovery_codes.make(exchange, by), "factor.none", Conflict)
    with_app(exchange, by)
    first = recovery_codes.make(exchange, by)
    assert len(set(first)) == recovery_codes.left(exchange, person.id) == 10
    with exchange.engine.connect() as conn:
        stored = repr(conn.execute(select(schema.recovery_code)).all())
    assert not any(code in stored for code in first)
    assert second_step.check_code(exchange, by, f" {first[0].upper()} ") == "recovery"
    refused(lambda: second_step.check_code(exchange, by, first[0]), "factor.refused")
    refused(lambda: second_step.check_code(exchange, a_member(exchange).actor, first[1]), "factor.refused")
    assert recovery_codes.left(exchange, person.id) == 9
    recovery_codes.make(exchange, by)
    refused(lambda: second_step.check_code(exchange, by, first[2]), "factor.refused")


def test_codes_are_not_guessed(exchange: Exchange) -> None:
    person = a_member(exchange)
    by, _ = at_a_browser(exchange, person)
    phone = with_app(exchange, by)
    [recovery, *_] = recovery_codes.make(exchange, by)
    wrong = str((int(code_of(exchange, phone)) + 1) % 1_000_000).zfill(6)
    for _ in range(second_step.TRIES):
        refused(lambda: second_step.check_code(exchange, by, wrong), "factor.refused")
    refused(lambda: second_step.check_code(exchange, by, next_code(exchange, phone)), "factor.tries")
    assert second_step.check_code(exchange, by, recovery) == "recovery"  # 80 random bits need no limit
    clock(exchange).forward(seconds=second_step.TRIES_SECONDS)
    assert second_step.check_code(exchange, by, next_code(exchange, phone)) == "totp"
    for _ in range(second_step.TRIES):
        refused(lambda: second_step.check_password(exchange, by, "wrong password 123"), "password.wrong")
    refused(lambda: second_step.check_password(exchange, by, PASSWORD), "factor.tries")


def test_the_database_alone_does_not_give_the_secret_of_an_app(exchange: Exchange) -> None:
    by, _ = at_a_browser(exchange, a_member(exchange))
    phone = with_app(exchange, by)
    with exchange.engine.connect() as conn:
        [row] = conn.execute(select(schema.second_factor)).all()
    assert phone.secret not in repr(row)
    other = replace(exchange, settings=replace(exchange.settings, secret_key="k" * 40))
    assert sealed.unseal(other, "totp", row.secret) is None
    assert sealed.unseal(exchange, "form", row.secret) is None


def test_what_concerns_signing_in_is_not_for_tokens(exchange: Exchange) -> None:
    """Neither by the services nor at any address."""
    person = a_member(exchange)
    token = tokens.create(exchange, person)
    by = tokens.actor_of(exchange, token)
    assert by
    new = NewFactor("totp", "x", "x", 0)
    for tried in (
        lambda: persons.change_password(exchange, by, PASSWORD, PASSWORD + "!"),
        lambda: totp.begin(exchange, by),
        lambda: factors.add(exchange, by, new),
        lambda: factors.remove(exchange, by, "fac_x"),
        lambda: recovery_codes.make(exchange, by),
        lambda: sessions.end_others(exchange, by),
        lambda: sessions.end(exchange, by, "ses_x"),
        lambda: sessions.prove(exchange, by, "password"),
    ):
        refused(tried, "session.only")
    app, tried_addresses = create_app(exchange), 0
    operator = tokens.create(exchange, a_member(exchange, role="operator"))
    for rule in app.url_map.iter_rules():
        if getattr(app.view_functions[rule.endpoint].__policy__, "present", False):  # type: ignore[attr-defined]
            for method in (rule.methods or set()) & {"GET", "POST"}:
                for secret in (token, operator):
                    answer = app.test_client().open(rule.rule, method=method, headers={"Authorization": f"Bearer {secret}"})
                    assert answer.status_code in (403, 415, 422), rule.rule
                    tried_addresses += 1
    assert tried_addresses > 20


def test_changes_ask_who_it_is_once_it_was_long_ago(exchange: Exchange) -> None:
    person = a_member(exchange)
    by, _ = at_a_browser(exchange, person)
    setup = totp.begin(exchange, by)
    clock(exchange).forward(seconds=STALE_SECONDS)
    phone = pyotp.TOTP(setup.secret)
    refused(lambda: totp.begin(exchange, by), "session.stale")
    refused(lambda: totp.confirm(exchange, by, setup.ticket, code_of(exchange, phone)), "session.stale")
    refused(lambda: factors.remove(exchange, by, "fac_x"), "session.stale")
    refused(lambda: recovery_codes.make(exchange, by), "session.stale")
    refused(lambda: totp.confirm(exchange, renewed(exchange, by), setup.ticket, code_of(exchange, phone)), "factor.setup", Invalid)


def test_an_app_is_for_who_began_it_and_as_many_as_fit(exchange: Exchange) -> None:
    (mine, _), (other, _) = at_a_browser(exchange, a_member(exchange)), at_a_browser(exchange, a_member(exchange))
    setup = totp.begin(exchange, mine)
    phone = pyotp.TOTP(setup.secret)
    refused(lambda: totp.confirm(exchange, other, setup.ticket, code_of(exchange, phone)), "factor.setup", Invalid)
    refused(lambda: totp.confirm(exchange, mine, setup.ticket, "12345"), "factor.code", Invalid)
    for _ in range(MOST):
        with_app(exchange, mine)
    refused(lambda: with_app(exchange, mine), "factor.many", Conflict)
    refused(lambda: factors.remove(exchange, other, factors.of(exchange, mine.person_id)[0].id), "factor.unknown", NotFound)


def test_a_stale_session_pays_nothing_from_the_amount_on_that_is_set(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    limits = {"above": quote.estimate.total + 1, "at": quote.estimate.total}
    by, secret = at_a_browser(exchange, market.buyer)
    with_app(exchange, by)
    clock(exchange).forward(seconds=STALE_SECONDS)
    by = present(exchange, secret)
    again = market.quote()

    def priced(limit: int) -> Exchange:
        return replace(exchange, settings=replace(exchange.settings, confirm_from_krw=limit))

    refused(lambda: orders.place(priced(limits["at"]), by, again.id, "k"), "session.stale")
    assert orders.place(priced(limits["above"]), by, again.id, "k").state == "paid"
    assert orders.place(priced(limits["at"]), by, again.id, "k").state == "paid"  # the same order, which is there


def test_original_footage_is_read_by_who_has_just_shown_to_be_there(exchange: Exchange) -> None:
    layer = a_layer(block(), name="photos", handling_class="original", kind=LayerKind.PHOTOS)
    market = a_market(exchange, layers=[layer])
    a_permit(exchange)
    order_id = market.buy().id
    tiles = [tile.id for tile in entitlements.of_order(exchange, market.buyer, order_id).tiles][:2]
    by, secret = at_a_browser(exchange, market.buyer)
    with_app(exchange, by)
    clock(exchange).forward(seconds=STALE_SECONDS)
    by = present(exchange, secret)
    refused(lambda: granting.grant(exchange, by, order_id, tiles, holder_nonce="n" * 32), "session.stale")
    assert granting.grant(exchange, market.buyer, order_id, tiles, holder_token="mpx_x_y")  # a token has scopes
    assert granting.grant(exchange, renewed(exchange, by), order_id, tiles, holder_nonce="n" * 32)
    auditor = a_person(exchange, role="auditor")
    refusals = log.events(exchange, auditor, log.EventFilter(action="access.refused")).events
    assert len(refusals) == len(tiles)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/organisations", {"slug": "nuri"}),
        ("/api/v1/wallet/credits", {"org": "hanbit", "amount": 1000, "key": "k"}),
        ("/api/v1/permits", {}),
        ("/api/v1/tokens", {"name": "x"}),
        ("/api/v1/invitations", {"email": "friend@nowhere.example", "role": "operator"}),
        ("/operate/persons/rescue", {}),
    ],
)
def test_a_stolen_browser_of_an_operator_changes_nothing(exchange: Exchange, path: str, body: dict[str, object]) -> None:
    """Neither directly, nor by making a token or a second operator that would have no factor."""
    person, app = a_member(exchange, role="operator"), create_app(exchange)
    phone = with_app(exchange, at_a_browser(exchange, person)[0])
    client = app.test_client()
    client.post("/login/second", data={**ticket_page(client, person.email), "code": next_code(exchange, phone)})
    assert is_in(client)
    clock(exchange).forward(seconds=STALE_SECONDS)
    if path.startswith("/operate"):
        answer = client.post(path, data={"csrf_token": secret_of(client)["X-CSRF-Token"], "email": person.email, "what": "factors"})
        assert (answer.status_code, answer.location[:8]) == (303, "/confirm")
        assert len(factors.of(exchange, person.id)) == 1
        return
    answer = call(client, path, body)
    assert answer.status_code == 403 and answer.json is not None and answer.json["code"] == "session.stale"
    done = call(client, "/api/passkeys/confirm/code", {"code": next_code(exchange, phone)})
    assert done.status_code == 200
    later = call(client, path, body)
    assert later.json is None or later.json.get("code") != "session.stale"


def test_who_has_no_factor_is_not_asked_unless_its_role_needs_one(exchange: Exchange) -> None:
    person = a_member(exchange, role="operator")
    client = sign_in(create_app(exchange), person.email)
    clock(exchange).forward(seconds=STALE_SECONDS)
    assert call(client, "/api/v1/organisations", {"slug": "nuri"}).status_code == 201
    strict = replace(exchange, settings=replace(exchange.settings, second_factor_roles="operator"))
    client = create_app(strict).test_client()
    assert send(client, "/login", email=person.email, password=PASSWORD).location == "/account/security"
    for path in ("/operate", "/account", "/operate/persons"):
        answer = client.get(path)
        assert answer.status_code == 303 and answer.location.startswith("/account/security")
    assert call(client, "/api/v1/organisations", {"slug": "saenuri"}).json["code"] == "factor.needed"  # type: ignore[index]
    assert "Your role needs" in client.get("/account/security").text
    page = client.get("/account/security/app").text
    secret = re.search(r'class="secret">(\w+)<', page)
    assert secret
    added = client.post("/account/security/app", data={**form_of(page), "code": code_of(strict, pyotp.TOTP(secret[1]))})
    assert added.status_code == 302
    assert client.get("/operate").status_code == 200
    assert call(client, "/api/v1/organisations", {"slug": "saenuri"}).status_code == 201
    member = sign_in(create_app(strict), a_member(strict).email)
    assert member.get("/account").status_code == 200


def test_the_page_of_ones_sign_in_does_what_it_says(exchange: Exchange) -> None:
    person, app = a_member(exchange), create_app(exchange)
    client, other = sign_in(app, person.email), sign_in(app, person.email)
    page = client.get("/account/security").text
    assert page.count(">this one<") == 1 and page.count('name="session"') == 1
    wrong = send(client, "/account/security", "/account/security/password", old="wrong password 123", new=PASSWORD + "!")
    assert wrong.status_code == 422 and is_in(other)
    short = send(client, "/account/security", "/account/security/password", old=PASSWORD, new="short")
    assert short.status_code == 422 and is_in(other)
    assert send(client, "/account/security", "/account/security/password", old=PASSWORD, new=PASSWORD + "!").status_code == 302
    assert is_in(client) and not is_in(other)
    other = sign_in(app, person.email, PASSWORD + "!")
    send(client, "/account/security", "/account/security/sessions/end")
    assert is_in(client) and not is_in(other)
    clock(exchange).forward(seconds=STALE_SECONDS)
    assert client.get("/account/security/app").location.startswith("/confirm?next=")
    assert send(client, "/confirm?next=/account/security/app", "/confirm", password=PASSWORD + "!").location == "/account/security/app"
    assert client.get("/account/security/app").status_code == 200


def test_forms_of_the_page_need_its_secret(exchange: Exchange) -> None:
    client = sign_in(create_app(exchange), a_member(exchange).email)
    for path in ("sessions/end", "password", "app", "factors/remove", "codes"):
        assert client.post(f"/account/security/{path}", data={}).status_code == 403
    assert client.post("/confirm", data={"password": PASSWORD}).status_code == 403


def test_each_change_is_an_entry_of_the_log(exchange: Exchange) -> None:
    person, auditor = a_member(exchange), a_person(exchange, role="auditor")
    by, _ = at_a_browser(exchange, person)
    with_app(exchange, by)
    [code, *_] = recovery_codes.make(exchange, by)
    second_step.check_code(exchange, by, code)
    refused(lambda: second_step.check_code(exchange, by, code), "factor.refused")
    factors.remove(exchange, by, factors.of(exchange, person.id)[0].id)
    factors.reset(exchange, None, person.email)
    found = [str(one.action) for one in log.events(exchange, auditor).events if one.action.startswith(("factor", "recovery"))]
    actions = (Action.FACTOR_ADDED, Action.RECOVERY_MADE, Action.RECOVERY_USED, Action.FACTOR_REFUSED, Action.FACTOR_REMOVED)
    assert found == [str(action) for action in (Action.FACTORS_RESET, *reversed(actions))]


def test_an_operator_invited_by_a_stolen_browser_is_none(exchange: Exchange) -> None:
    by, secret = at_a_browser(exchange, a_member(exchange))
    with_app(exchange, by)
    clock(exchange).forward(seconds=STALE_SECONDS)
    refused(lambda: invitations.invite(exchange, present(exchange, secret), "x@nowhere.example", org="hanbit"), "session.stale")


def test_the_same_app_is_added_once(exchange: Exchange) -> None:
    """A form that is sent twice would make two factors of one secret, and each code good for two uses."""
    by, _ = at_a_browser(exchange, a_member(exchange))
    setup = totp.begin(exchange, by)
    phone = pyotp.TOTP(setup.secret)
    totp.confirm(exchange, by, setup.ticket, code_of(exchange, phone))
    refused(lambda: totp.confirm(exchange, by, setup.ticket, next_code(exchange, phone)), "factor.exists", Conflict)
    code = next_code(exchange, phone)
    assert totp.use(exchange, by.person_id, code) and not totp.use(exchange, by.person_id, code)


def test_many_small_orders_of_a_stale_session_are_one_large_one(exchange: Exchange) -> None:
    market = a_market(exchange)
    by, secret = at_a_browser(exchange, market.buyer)
    with_app(exchange, by)
    each = market.quote(market.cells[:1]).estimate.total
    strict = replace(exchange, settings=replace(exchange.settings, confirm_from_krw=3 * each))
    clock(exchange).forward(seconds=STALE_SECONDS)

    def order(cell: int, who: Actor) -> None:
        quote = market.quote([cell])
        orders.place(strict, who, quote.id, quote.id)

    for cell in market.cells[:2]:
        order(cell, present(exchange, secret))
    refused(lambda: order(market.cells[2], present(exchange, secret)), "session.stale")
    fresh = renewed(exchange, present(exchange, secret))
    for cell in market.cells[2:6]:
        order(cell, fresh)


def test_refused_codes_do_not_fill_the_log(exchange: Exchange) -> None:
    by, _ = at_a_browser(exchange, a_member(exchange))
    with_app(exchange, by)
    for n in range(30):
        refused(lambda n=n: second_step.check_code(exchange, by, f"abcd-{n}"), "factor.refused")  # type: ignore[misc]
    wanted = log.EventFilter(action="factor.refused")
    found = log.events(exchange, a_person(exchange, role="auditor"), wanted).events
    assert [one.payload["tries"] for one in found] == [10, 1]
