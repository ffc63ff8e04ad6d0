"""Every page of the site, taken from the routes themselves: who opens it, and what stands for its parameters.

A new page without parameters is in the list by itself; one with parameters must be added to `FILLED`, else `addresses` fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from mapex.invoices import businesses
from mapex.invoices.businesses import Business
from mapex.notices import wishes
from mapex.notices.kind import NoticeKind
from mapex.offers import offers
from mapex.orders import approvals, orders
from mapex.people import purchase_rights
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.showroom import questions
from tests.support.browser import Market
from tests.support.market import RATES, SEOUL, a_draft, a_layer, a_permit, area, block, named_for, with_originals
from tiles.grid import grid
from web import create_app
from web.edge.policy import policy_of

BUYER, SELLER = "buyer@dongil.example", "maps@hanbit.example"
DRAWER = "drawer@dongil.example"
"""Who may not pay."""
AUDITOR, OPERATOR = "auditor@audit.example", "operator@mapex.example"
NOBODY = ""

COUNT = """
window.asked = 0;
const plainFetch = window.fetch;
window.fetch = (...about) => (window.asked++, plainFetch(...about).finally(() => window.asked--));
"""
AT_REST = """() => {
  const {map, ready} = document.documentElement.dataset;
  const scripts = [...document.querySelectorAll("script[type=module][src]")].filter((one) => !/(header|permit).js$/.test(one.src));
  const rests = (!scripts.length || ready !== undefined) && map !== "busy" && !window.asked;
  window.rested = rests ? (window.rested ?? 0) + 1 : 0;
  return window.rested > 2;
}"""
"""The page's script reported that it is ready, its map is drawn, and for three looks in a row no answer was awaited."""

MACHINES = ("/api/", "/static/", "/store/", "/map/", "/healthz", "/readyz")
"""What programs read, not people."""
FILES = (".json", ".csv", ".ico")
PARTS = ("/sell/<slug>/<int:number>/state",)
"""Pieces that a page fetches into itself."""


DONGIL = Business("124-81-00998", "동일 주식회사", "홍길동", "서울 중구 세종대로 110", "정보통신업", "소프트웨어", "tax@dongil.example")


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is to see: a held quote, an order with original footage, a draft, published datasets."""

    market: Market
    quote: str
    order: str
    question: str
    asked: str
    """A quote for which approval is asked."""


Fill = Callable[[Stock], str]
FILLED: dict[str, tuple[str, Fill]] = {
    "/audit/events/<long:seq>": (AUDITOR, lambda stock: "/audit/events/1"),
    "/audit/permits/<permit_id>": (AUDITOR, lambda stock: "/audit/permits/P-1"),
    "/audit/tiles/<quadkey>": (AUDITOR, lambda stock: f"/audit/tiles/{grid.quadkey(SEOUL)}"),
    "/datasets/<org>/<slug>": (BUYER, lambda stock: "/datasets/hanbit/lanes"),
    "/sell/<slug>/describe": (SELLER, lambda stock: "/sell/lanes/describe"),
    "/sellers/<org>": (BUYER, lambda stock: "/sellers/hanbit"),
    "/questions/<question_id>": (BUYER, lambda stock: f"/questions/{stock.question}"),
    "/help/<name>": (NOBODY, lambda stock: "/help/auditor"),
    "/invoices/<document_id>": (BUYER, lambda stock: f"/invoices/{stock.order}"),
    "/invite/<secret>": (NOBODY, lambda stock: "/invite/of-nobody"),
    "/orders/<order_id>": (BUYER, lambda stock: f"/orders/{stock.order}"),
    "/orders/<order_id>/receipt": (BUYER, lambda stock: f"/orders/{stock.order}/receipt"),
    "/quotes/<quote_id>": (BUYER, lambda stock: f"/quotes/{stock.quote}"),
    "/register/<secret>": (NOBODY, lambda stock: "/register/of-nobody"),
    "/reset/<secret>": (NOBODY, lambda stock: "/reset/of-nobody"),
    "/sell/<slug>/<int:number>": (SELLER, lambda stock: "/sell/roads/1"),
    "/sell/<slug>/<int:number>/publish": (SELLER, lambda stock: "/sell/roads/1/publish"),
    "/unsubscribe/<token>": (NOBODY, lambda stock: f"/unsubscribe/{letter_of(stock.market)}"),
}
MORE: tuple[tuple[str, Fill], ...] = (
    (BUYER, lambda stock: f"/explore#t={grid.quadkey(SEOUL)}"),
    (NOBODY, lambda stock: "/explore"),
    (NOBODY, lambda stock: "/datasets?q=roads&kind=hdmap&fresh=90"),
    (NOBODY, lambda stock: "/datasets?q=%E3%85%8B%E3%85%8B"),
    (NOBODY, lambda stock: f"/explore#t={grid.quadkey(SEOUL)}"),
    (BUYER, lambda stock: f"/quotes/{stock.asked}"),
    (DRAWER, lambda stock: f"/quotes/{stock.asked}"),
    (DRAWER, lambda stock: f"/quotes/{stock.quote}"),
    (BUYER, lambda stock: "/nowhere"),
    (AUDITOR, lambda stock: "/account"),
    (OPERATOR, lambda stock: "/account"),
    (SELLER, lambda stock: "/sell/lanes/1"),
)
"""The same pages in another state."""


def letter_of(market: Market) -> str:
    """What the link in a letter of the buyer carries."""
    return wishes.token_of(market.site.ex, market.buyer.person_id, NoticeKind.ORDER)


def stock(market: Market) -> Stock:
    """Fill the market: people of every role, a permit, two offers of the same ground, a quote, an order, a draft that waits."""
    ex = market.site.ex
    market.site.person(AUDITOR, role="auditor")
    market.site.person(OPERATOR, role="operator")
    a_permit(ex)
    a_draft(ex, market.seller, "roads", [a_layer(block(2), handling_class=None)])
    a_draft(ex, market.seller, "lanes2", [a_layer(block(2), salt="2")])
    offers.publish(ex, market.seller, "lanes2", rate_card=RATES, licence="commercial")
    named = with_originals(ex, market.buyer, area(block(2)))
    held = quotes.quote(ex, market.buyer, of_area(area(block(2)), purpose="research", choice=named))
    one = quotes.quote(ex, market.buyer, of_area(area([SEOUL]), purpose="research", choice=named))
    bought = orders.place(ex, market.buyer, one.id, "key", persons=named_for(one, market.buyer))
    asked = questions.ask(ex, market.buyer, "hanbit/lanes", "How wide are the lanes?")
    businesses.put(ex, market.buyer, "dongil", DONGIL)
    return Stock(market, held.id, bought.id, asked.id, _asked(market))


def _asked(market: Market) -> str:
    """A quote for which approval is asked by who may not pay."""
    ex, drawer = market.site.ex, market.site.person(DRAWER, "dongil")
    purchase_rights.set_right(ex, market.buyer, DRAWER, purchase_rights.NONE)
    wanted = quotes.quote(ex, drawer, of_area(area(block(2)), purpose="simulation"))
    approvals.ask(ex, drawer, wanted.id, "보행로 시험")
    return wanted.id


def addresses(found: Stock) -> list[tuple[str, str]]:
    """Who opens which address, sorted by person. Fails where a page with parameters is not known."""
    app = create_app(found.market.site.ex)
    listed: list[tuple[str, str]] = []
    for rule in app.url_map.iter_rules():
        path = str(rule)
        if "GET" not in (rule.methods or ()) or path.startswith(MACHINES) or path.endswith(FILES) or path in PARTS:
            continue
        if not rule.arguments:
            listed.append((_visitor(path, policy_of(app.view_functions[rule.endpoint])), path))
        else:
            assert path in FILLED, f"{path} is a page with parameters: add it to FILLED in tests/support/pages.py (or to PARTS)"
            email, fill = FILLED[path]
            listed.append((email, fill(found)))
    return sorted([*listed, *((email, fill(found)) for email, fill in MORE)])


def _visitor(path: str, policy: object) -> str:
    roles = getattr(policy, "roles", frozenset())
    if not roles:
        return NOBODY
    if "member" not in roles:
        return AUDITOR if "auditor" in roles else OPERATOR
    return AUDITOR if path.startswith("/audit") else SELLER if path.startswith("/sell") else BUYER


def at_rest(page: Page) -> None:
    """Wait until a page is at rest; its window counts what it asks (`COUNT`)."""
    page.wait_for_function(AT_REST, polling=50)


class Visitors:
    """One window for each person, opened when it is needed first; `script` runs in every page before the page's own."""

    def __init__(self, market: Market, script: str = "", **context: object) -> None:
        self.market, self.script, self.context = market, script, context
        self.windows: dict[str, Page] = {}

    def open(self, email: str, path: str, *, width: int) -> Page:
        """The page in the window of this person, at rest."""
        if email not in self.windows:
            self.windows[email] = self.market.site.visit(email, **self.context)  # type: ignore[arg-type]
            self.windows[email].context.add_init_script(f"{self.script};{COUNT}")
        page = self.windows[email]
        page.goto("about:blank")
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(self.market.site.url + path)
        at_rest(page)
        return page

    def close(self) -> None:
        """Close every window."""
        for page in self.windows.values():
            page.context.close()
