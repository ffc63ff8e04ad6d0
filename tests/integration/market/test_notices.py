"""Notices: what happens reaches whom it concerns, once, and nobody else; what a person chose decides how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from mapex.database import db, schema
from mapex.errors import Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.notices import notices, wishes
from mapex.notices.kind import NoticeKind
from mapex.notices.notices import Notice
from mapex.offers import offers, recalls
from mapex.operation import fsck, rounds
from mapex.orders import approvals, orders, settlements, updates
from mapex.people import purchase_rights, roles
from mapex.prices import saved_areas
from mapex.showroom import questions
from mapex.times import DAY_NS, MINUTE_NS, kst_month
from tests.support.exchange import Clock, a_permit, a_person
from tests.support.market import RATES, Market, a_draft, a_layer, a_market, area
from tiles.grid.cover import Cover
from tiles.grid.region import Region


def kinds(ex: Exchange, by: Actor) -> list[str]:
    return [str(one.kind) for one in notices.of(ex, by).notices]


def newest(ex: Exchange, by: Actor) -> Notice:
    return notices.of(ex, by).notices[0]


def clock(ex: Exchange) -> Clock:
    assert isinstance(ex.now, Clock)
    return ex.now


def published(market: Market, *, salt: str = "", rates: Any = RATES, cells: list[int] | None = None) -> None:
    """Put a new version on sale, or one of before at other rates where there is no `salt`."""
    if salt:
        a_draft(market.ex, market.seller, "streets", [a_layer(cells or market.cells, salt=salt)])
    offers.publish(market.ex, market.seller, "streets", rate_card=rates, licence="research")


def ground(cells: list[int]) -> Region:
    return Region.from_cells(area(cells).cells())


# ---- orders, recalls, new versions -------------------------------------------------------------------------------------------------------


def test_an_order_is_announced_to_whoever_ordered_and_whoever_it_names_once(exchange: Exchange) -> None:
    market = a_market(exchange)
    named, other = a_person(exchange, "dongil"), a_person(exchange, "dongil")
    quote = market.quote()
    for _ in range(2):  # the same key again changes nothing
        made = orders.place(exchange, market.buyer, quote.id, "k", persons=[named.email])
    assert [kinds(exchange, one) for one in (market.buyer, named, other, market.seller)] == [["order"], ["order"], [], []]
    assert newest(exchange, named).path == f"/orders/{made.id}"


def test_a_recall_reaches_everybody_of_those_who_hold_it_and_nobody_else(exchange: Exchange) -> None:
    market = a_market(exchange)
    colleague, stranger = a_person(exchange, "dongil"), a_person(exchange, "nuri")
    gone, left = a_person(exchange, "dongil"), a_person(exchange, "dongil")
    order = market.buy()
    roles.set_state(exchange, None, gone.email, "suspended")
    recalls.recall(exchange, market.seller, "streets", 1)
    assert kinds(exchange, market.buyer) == ["recall", "order"]
    assert kinds(exchange, colleague) == ["recall"]
    assert newest(exchange, colleague).path == f"/orders/{order.id}"
    assert (kinds(exchange, gone), kinds(exchange, stranger), kinds(exchange, market.seller)) == ([], [], [])
    assert kinds(exchange, left) == ["recall"]
    roles.set_role(exchange, None, left.email, "member", org="nuri")
    assert kinds(exchange, replace(left, org_id=stranger.org_id)) == [], "who left a firm sees nothing of it any more"


def test_a_new_version_reaches_its_buyers_once_with_what_it_costs_them(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    rounds.go(exchange)
    assert kinds(exchange, market.buyer) == ["order"]
    published(market, salt="v2")
    rounds.go(exchange)
    published(market, rates={**RATES, "lane_km": 6200})  # the same version at another price
    rounds.go(exchange)
    found = [one for one in notices.of(exchange, market.buyer).notices if one.kind is NoticeKind.VERSION]
    price = 16 * 1_234_567 * 6300 // 10**6
    assert [one.path for one in found] == [f"/orders/{order.id}"]
    now = updates.of_order(exchange, market.buyer, order.id).price
    assert now is not None and found[0].about["total"] == pytest.approx(price * 1.1, rel=0.01)
    assert (found[0].about["dataset"], found[0].about["version"]) == ("hanbit/streets", 2)
    assert all(check.ok for check in fsck.check(exchange))


def test_a_version_that_changed_nothing_of_what_was_bought_is_no_news(exchange: Exchange) -> None:
    market = a_market(exchange)
    market.buy(market.cells[:1])
    changed = [a_layer(market.cells[:1]), a_layer(market.cells[1:], name="more", salt="x")]
    a_draft(exchange, market.seller, "streets", changed)
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    rounds.go(exchange)
    assert kinds(exchange, market.buyer) == ["order"]


# ---- what ends -------------------------------------------------------------------------------------------------------------------------


def test_a_permit_is_announced_30_7_and_1_days_before_its_end_to_all_whom_it_names(exchange: Exchange) -> None:
    holder, colleague, recipient, stranger = (a_person(exchange, org) for org in ("dongil", "dongil", "nuri", "hanbit"))
    end = exchange.now() + 40 * DAY_NS
    a_permit(exchange, "dongil", valid_to_ns=end, recipients=("nuri",))
    seen = []
    for left in (31, 29, 20, 6, 2, 0.5, -1):
        clock(exchange).at_ns = end - int(left * DAY_NS)
        for _ in range(2):
            rounds.look_at_permits(exchange)
        seen.append(len(kinds(exchange, holder)))
    assert seen == [0, 1, 1, 2, 2, 3, 3]
    assert [len(kinds(exchange, one)) for one in (colleague, recipient, stranger)] == [3, 3, 0]


def test_a_permit_that_is_stopped_announces_no_end(exchange: Exchange) -> None:
    from mapex.rights import permits

    holder = a_person(exchange, "dongil")
    made = a_permit(exchange, "dongil", valid_to_ns=exchange.now() + 5 * DAY_NS)
    permits.set_state(exchange, None, made.number, "revoked")
    rounds.look_at_permits(exchange)
    assert kinds(exchange, holder) == []


def test_only_the_newest_quote_that_was_not_bought_announces_its_end(exchange: Exchange) -> None:
    market = a_market(exchange)
    market.quote(market.cells[:2])
    last = market.quote()
    bought = a_market_of(market, "nuri")
    clock(exchange).at_ns = last.expires_ns - 4 * MINUTE_NS
    rounds.look_at_quotes(exchange)
    assert kinds(exchange, market.buyer) == []
    for left in (2, 1, 0):
        clock(exchange).at_ns = last.expires_ns - left * MINUTE_NS
        rounds.look_at_quotes(exchange)
    assert [one.path for one in notices.of(exchange, market.buyer).notices] == [f"/quotes/{last.id}"]
    assert kinds(exchange, bought) == ["order"]


def a_market_of(market: Market, org: str) -> Actor:
    """Another buyer, who bought at once."""
    from mapex.orders import ledger

    buyer = a_person(market.ex, org)
    ledger.credit(market.ex, None, org, 10_000_000, key=org)
    Market(market.ex, market.seller, buyer, market.cells).buy(market.cells[:1])
    return buyer


# ---- areas -----------------------------------------------------------------------------------------------------------------------------


def test_the_ground_of_tiles_is_saved_as_exactly_these_tiles(exchange: Exchange) -> None:
    from tiles.grid.scan import cover

    market = a_market(exchange)
    kept = saved_areas.save(exchange, market.buyer, "tiles", ground(market.cells[:7]))
    assert cover(Region.from_geojson(kept.region)) == area(market.cells[:7])
    assert isinstance(area(market.cells[:7]), Cover)


def test_who_follows_an_area_gets_what_it_chose_of_it(exchange: Exchange) -> None:
    market = a_market(exchange)
    fans = {news: a_person(exchange, "nuri") for news in saved_areas.NEWS}
    for news, fan in fans.items():
        saved_areas.save(exchange, fan, f"home of {news}", ground(market.cells[:2]), tell=[news])
        saved_areas.save(exchange, fan, f"elsewhere of {news}", Region.from_bbox(129.0, 35.0, 129.1, 35.1), tell=saved_areas.NEWS)
    silent, own = a_person(exchange, "nuri"), market.seller
    saved_areas.save(exchange, silent, "silent", ground(market.cells))
    saved_areas.save(exchange, own, "mine", ground(market.cells), tell=saved_areas.NEWS)
    rounds.go(exchange)  # the offer of before the areas were followed is news all the same: nobody had looked at it
    published(market, salt="v2")
    rounds.go(exchange)
    published(market, rates={**RATES, "lane_km": 6000})
    rounds.go(exchange)
    published(market, rates={**RATES, "lane_km": 6300})  # dearer again is no news
    rounds.go(exchange)
    got = {news: [one.about["news"] for one in notices.of(exchange, fan).notices] for news, fan in fans.items()}
    assert got == {"new": ["new"], "version": ["version"], "cheaper": ["cheaper"]}
    assert newest(exchange, fans["new"]).about["areas"] == ["home of new"]
    assert (kinds(exchange, silent), kinds(exchange, own)) == ([], [])


def test_a_lower_price_is_news_once_a_day_and_an_offer_that_is_made_again_is_not_new(exchange: Exchange) -> None:
    market = a_market(exchange)
    fan = a_person(exchange, "nuri")
    saved_areas.save(exchange, fan, "home", ground(market.cells[:2]), tell=saved_areas.NEWS)
    rounds.go(exchange)
    for price in (6200, 6300, 6100):
        published(market, rates={**RATES, "lane_km": price})
        rounds.go(exchange)
    offers.withdraw(exchange, market.seller, "streets")
    rounds.go(exchange)
    published(market, salt="v2")
    rounds.go(exchange)
    assert sorted(one.about["news"] for one in notices.of(exchange, fan).notices) == ["cheaper", "new", "version"]


def test_a_new_version_whose_price_was_changed_before_anybody_looked_is_still_news(exchange: Exchange) -> None:
    market = a_market(exchange)
    fan = a_person(exchange, "nuri")
    saved_areas.save(exchange, fan, "home", ground(market.cells[:2]), tell=["version"])
    rounds.go(exchange)
    published(market, salt="v2")
    published(market, rates={**RATES, "lane_km": 7000})
    rounds.go(exchange)
    assert newest(exchange, fan).about["news"] == "version"


def test_data_that_reaches_an_area_first_with_a_later_version_is_new_there(exchange: Exchange) -> None:
    market = a_market(exchange, side=2)
    fan = a_person(exchange, "nuri")
    far = [cell + 4096 for cell in market.cells]
    saved_areas.save(exchange, fan, "far", ground(far), tell=["new"])
    rounds.go(exchange)
    assert kinds(exchange, fan) == []
    published(market, salt="v2", cells=[*market.cells, *far])
    rounds.go(exchange)
    assert newest(exchange, fan).about["news"] == "new"


def test_what_the_map_does_not_show_is_no_news(exchange: Exchange) -> None:
    market = a_market(exchange)
    fan = a_person(exchange, "nuri")
    saved_areas.save(exchange, fan, "home", ground(market.cells), tell=saved_areas.NEWS)
    from mapex.people import orgs

    orgs.set_org_state(exchange, None, "hanbit", "suspended")
    rounds.go(exchange)
    assert kinds(exchange, fan) == []


def test_an_area_is_followed_by_each_person_for_itself_and_forgotten_with_it(exchange: Exchange) -> None:
    kim, lee, other = a_person(exchange, "dongil"), a_person(exchange, "dongil"), a_person(exchange, "nuri")
    made = saved_areas.save(exchange, kim, "home", Region.from_bbox(126.97, 37.55, 126.99, 37.57), tell=["cheaper", "new"])
    assert (made.tell, saved_areas.saved(exchange, lee)[0].tell) == (("new", "cheaper"), ())
    assert saved_areas.watch(exchange, lee, made.id, ["version"]).tell == ("version",)
    assert saved_areas.rename(exchange, kim, made.id, "house").tell == ("new", "cheaper")
    assert saved_areas.watch(exchange, kim, made.id, []).tell == ()
    with pytest.raises(NotFound):
        saved_areas.watch(exchange, other, made.id, ["new"])
    with pytest.raises(Invalid) as refused:
        saved_areas.watch(exchange, kim, made.id, ["everything"])
    assert refused.value.code == "area.news"
    saved_areas.remove(exchange, kim, made.id)
    with db.read(exchange) as conn:
        assert conn.execute(select(func.count()).select_from(schema.area_watch)).scalar_one() == 0


# ---- between persons ---------------------------------------------------------------------------------------------------------------------


def test_a_request_to_pay_reaches_who_may_pay_and_its_answer_who_asked(exchange: Exchange) -> None:
    market = a_market(exchange)
    payer, idle, stranger = a_person(exchange, "dongil"), a_person(exchange, "dongil"), a_person(exchange, "nuri")
    purchase_rights.set_right(exchange, None, idle.email, purchase_rights.NONE)
    first, second = market.quote(market.cells[:1]), market.quote(market.cells[1:2])
    asked = [approvals.ask(exchange, idle, quote.id, "please") for quote in (first, second)]
    assert [kinds(exchange, one) for one in (payer, market.buyer, idle, stranger)] == [["approval"] * 2, ["approval"] * 2, [], []]
    assert newest(exchange, payer).path == f"/quotes/{second.id}"
    order = orders.place(exchange, payer, first.id, "k")
    approvals.close(exchange, payer, asked[1].id, "too dear")
    answers = [(one.about["news"], one.path) for one in notices.of(exchange, idle).notices]
    assert answers == [("refused", f"/quotes/{second.id}"), ("paid", f"/orders/{order.id}")]


def test_messages_about_a_dataset_reach_the_other_side_once_until_it_looks(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = questions.ask(exchange, market.buyer, "hanbit/streets", "How old?")
    questions.answer(exchange, market.buyer, made.id, "And how good?")
    assert (kinds(exchange, market.seller), kinds(exchange, market.buyer)) == (["question"], [])
    questions.answer(exchange, market.seller, made.id, "A month.")
    questions.answer(exchange, market.buyer, made.id, "Thanks.")
    assert (kinds(exchange, market.seller), kinds(exchange, market.buyer)) == (["question"] * 2, ["question"])
    assert newest(exchange, market.buyer).path == f"/questions/{made.id}"


def test_a_payout_reaches_the_seller_once(exchange: Exchange) -> None:
    market = a_market(exchange)
    market.buy()
    month = kst_month(exchange.now())
    clock(exchange).forward(days=32)
    settlements.close(exchange, None, month)
    for _ in range(2):
        settlements.pay(exchange, None, "hanbit", month, "bank-1")
    assert kinds(exchange, market.seller) == ["settlement"]
    assert kinds(exchange, market.buyer) == ["order"]
    assert newest(exchange, market.seller).path == "/sell"


# ---- reading and choosing ----------------------------------------------------------------------------------------------------------------


def test_notices_are_read_one_by_one_or_all_by_their_person_only(exchange: Exchange) -> None:
    market = a_market(exchange)
    for cell in market.cells[:3]:
        market.buy([cell])
    first, second, third = notices.of(exchange, market.buyer).notices
    page = notices.of(exchange, market.buyer, limit=2)
    rest = notices.of(exchange, market.buyer, limit=2, after=page.next or "")
    assert ([one.id for one in [*page.notices, *rest.notices]], rest.next) == ([first.id, second.id, third.id], None)
    with pytest.raises(NotFound):
        notices.read(exchange, market.seller, [first.id])
    assert notices.unread(exchange, market.buyer) == 3
    notices.read(exchange, market.buyer, [first.id, first.id])
    assert [one.id for one in notices.of(exchange, market.buyer, unread=True).notices] == [second.id, third.id]
    notices.read_all(exchange, market.buyer)
    assert notices.unread(exchange, market.buyer) == 0


def test_what_a_person_does_not_want_is_not_written(exchange: Exchange) -> None:
    market = a_market(exchange)
    assert wishes.of(exchange, market.buyer)[NoticeKind.ORDER] == "mail"
    wishes.choose(exchange, market.buyer, {"order": "none", "quote": "mail"})
    chosen = wishes.choose(exchange, market.buyer, {"order": "none"})
    assert (chosen[NoticeKind.ORDER], chosen[NoticeKind.QUOTE], chosen[NoticeKind.AREA]) == ("none", "mail", "mail")
    market.buy()
    assert kinds(exchange, market.buyer) == []
    for ways, code in (({"orders": "none"}, "notice.kind"), ({"order": "pigeon"}, "notice.way")):
        with pytest.raises(Invalid) as refused:
            wishes.choose(exchange, market.buyer, ways)
        assert refused.value.code == code


def test_very_old_notices_are_thrown_away(exchange: Exchange) -> None:
    market = a_market(exchange)
    market.buy()
    notices.sweep(exchange)
    assert kinds(exchange, market.buyer) == ["order"]
    clock(exchange).forward(days=notices.KEPT_DAYS + 1)
    notices.sweep(exchange)
    assert kinds(exchange, market.buyer) == []
