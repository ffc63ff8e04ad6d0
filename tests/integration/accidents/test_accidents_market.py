"""What goes wrong between looking and buying, as a client meets it: a sentence, a stable code, no row, nothing in the server's log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mapex.database import schema
from mapex.offers import offers
from mapex.orders import ledger
from mapex.rights.permit import Permit
from tests.support.answers import without_id
from tests.support.exchange import settings
from tests.support.market import RATES, Market, a_draft, a_layer, a_market, a_permit, block
from tests.support.processes import Failed
from tests.support.site import Served, served

HERE = {"type": "Polygon", "coordinates": [[[126.9, 37.5], [127.1, 37.5], [127.1, 37.65], [126.9, 37.65], [126.9, 37.5]]]}


@pytest.fixture
def there(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Served]:
    folder = tmp_path / "ex"
    settings(folder)
    shutil.copyfile(migrated_sqlite, folder / "mapex.db")
    with served(folder) as running:
        yield running
        assert running.warnings() == [], "a client's mistake is no matter for the operator"


def rows(there: Served) -> Mapping[str, int]:
    """Rows of every table; a refused access is counted and logged and a token's last use is noted, everything else must stay."""
    with there.ex.engine.connect() as conn:
        counts = {
            t.name: conn.execute(select(func.count()).select_from(t)).scalar_one()
            for t in schema.metadata.sorted_tables
            if t is not schema.attempt
        }
        refused = select(func.count()).select_from(schema.audit_event).where(schema.audit_event.c.action == "access.refused")
        counts["audit_event"] -= conn.execute(refused).scalar_one()
    return counts


def refused(there: Served, token: str, *words: str | Path) -> Failed:
    """How a command was refused; nothing changed, and it was reported without a traceback."""
    before = rows(there)
    with pytest.raises(Failed) as report:
        there.running.cli(*words, token=token)
    assert rows(there) == before
    assert "Traceback" not in report.value.stderr
    assert report.value.stderr.strip() == report.value.error["message"]
    return report.value


def area(tmp_path: Path, geometry: Any = HERE) -> Path:
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(geometry))
    return path


def quoted(there: Served, token: str, tmp_path: Path, *more: str) -> dict[str, Any]:
    made: dict[str, Any] = there.running.cli("quote", "--region", area(tmp_path), "--purpose", "research", *more, token=token)
    return made


def shop(there: Served, **given: Any) -> tuple[Market, str]:
    """A market, and the buyer's token."""
    market = a_market(there.ex, **given)
    return market, there.token(market.buyer)


BOW = {"type": "Polygon", "coordinates": [[[127, 37], [127.1, 37.1], [127.1, 37], [127, 37.1], [127, 37]]]}
HUGE = {"type": "Polygon", "coordinates": [[[120, 30], [135, 30], [135, 45], [120, 45], [120, 30]]]}
FINE = {"type": "LineString", "coordinates": [[127 + n / 1e6, 37.5 + n % 2 / 1e6] for n in range(5001)]}


@pytest.mark.parametrize(
    ("geometry", "code", "says"),
    [
        (BOW, "region.crossing", ["127.05", "37.05", "without a crossing"]),
        (HUGE, "region.too_large", ["40,000", "km2"]),
        (FINE, "region.too_many_vertices", ["5,000", "simplify"]),
        (
            {"type": "Polygon", "coordinates": [[[37.5, 127.0], [37.6, 127.0], [37.6, 127.1], [37.5, 127.0]]]},
            "region.swapped",
            ["longitude comes first"],
        ),
        ({"type": "Polygon", "coordinates": "everywhere"}, "region.malformed", []),
        ({"type": "Polygon", "coordinates": []}, "region.empty", []),
        ({"type": "Point", "coordinates": [float("nan"), 37.5]}, None, []),
    ],
    ids=["crossing", "too large", "too many vertices", "latitude first", "no geometry", "empty", "not a number"],
)
@pytest.mark.parametrize("command", ["search", "quote"])
def test_a_region_that_cannot_be_is_refused_and_the_place_named(
    there: Served, tmp_path: Path, command: str, geometry: Any, code: str | None, says: list[str]
) -> None:
    _, buyer = shop(there, credit=0, side=1)
    words = [command, "--region", area(tmp_path, geometry), *(["--purpose", "research"] if command == "quote" else [])]
    report = refused(there, buyer, *words)
    assert report.status == 2
    assert report.error["code"] == code if code else report.error["code"].startswith("region.")
    assert all(word in report.error["message"] for word in says), report.error["message"]


def test_an_expired_quote_is_refused_and_says_until_when_it_was_held(there: Served, tmp_path: Path) -> None:
    _, buyer = shop(there)
    quote = quoted(there, buyer, tmp_path)
    there.clock.forward(seconds=15 * 60)
    report = refused(there, buyer, "buy", quote["id"], "--key", "k1")
    assert (report.status, report.error["code"]) == (5, "quote.expired")
    assert quote["expires_at"][:19] in report.error["message"] and "ask for a new one" in report.error["message"]


def test_a_changed_price_is_refused_with_the_old_and_the_new_one(there: Served, tmp_path: Path) -> None:
    market, buyer = shop(there)
    quote = quoted(there, buyer, tmp_path)
    offers.publish(there.ex, market.seller, "streets", rate_card={**RATES, "lane_km": 9900}, licence="research")
    report = refused(there, buyer, "buy", quote["id"], "--key", "k1")
    assert (report.status, report.error["code"]) == (5, "quote.price_changed")
    now = quoted(there, buyer, tmp_path)["total"]
    assert str(quote["total"]) in report.error["message"] and str(now) in report.error["message"]
    assert now > quote["total"] and report.error["details"]["estimate"]["total"] == now


def test_a_withdrawn_offer_is_refused(there: Served, tmp_path: Path) -> None:
    market, buyer = shop(there)
    quote = quoted(there, buyer, tmp_path)
    offers.withdraw(there.ex, market.seller, "streets")
    report = refused(there, buyer, "buy", quote["id"], "--key", "k1")
    assert (report.status, report.error["code"]) == (5, "offer.withdrawn")


def test_a_double_click_buys_once(there: Served, tmp_path: Path) -> None:
    """Ten clicks at once, over HTTP: ten times the same order, paid once."""
    market, buyer = shop(there)
    quote = quoted(there, buyer, tmp_path)
    with ThreadPoolExecutor(10) as pool:
        order = lambda _: there.call("POST", "/orders", {"quote": quote["id"]}, token=buyer, Idempotency_Key="click")  # noqa: E731
        answers = list(pool.map(order, range(10)))
    assert {answer.status for answer in answers} <= {200, 201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert market.balance() == 10_000_000 - quote["total"]
    assert rows(there)[schema.order.name] == 1


def test_the_same_key_with_another_body_is_refused(there: Served, tmp_path: Path) -> None:
    market, buyer = shop(there)
    first, second = quoted(there, buyer, tmp_path), quoted(there, buyer, tmp_path)
    bought = there.running.cli("buy", first["id"], "--key", "k1", token=buyer)
    report = refused(there, buyer, "buy", second["id"], "--key", "k1")
    assert (report.status, report.error["code"]) == (5, "order.key_reused")
    assert "k1" in report.error["message"] and report.error["details"]["order"] == bought["id"]
    assert market.balance() == 10_000_000 - bought["total"]


def test_a_balance_that_does_not_cover_is_refused_and_names_both_amounts(there: Served, tmp_path: Path) -> None:
    market, buyer = shop(there, credit=1000)
    quote = quoted(there, buyer, tmp_path)
    report = refused(there, buyer, "buy", quote["id"], "--key", "k1")
    assert (report.status, report.error["code"]) == (6, "wallet.insufficient")
    digits = report.error["message"].replace(",", "")
    assert "1000" in digits and str(quote["total"]) in digits
    ledger.credit(there.ex, None, "dongil", quote["total"], key="more")
    assert there.running.cli("buy", quote["id"], "--key", "k1", token=buyer)["total"] == quote["total"]
    assert market.balance() == 1000


FOOTAGE = ("--offer", "hanbit/streets/hdmap")
"""What names the original footage that `footage` sells."""


def footage(there: Served) -> tuple[Market, str, Permit]:
    """A market of original footage, and a permit of the buyer for an hour."""
    market, buyer = shop(there, layers=[a_layer(block(2), handling_class="original")])
    permit = a_permit(there.ex, valid_to_ns=there.ex.now() + 3600 * 10**9)
    return market, buyer, permit


def test_a_permit_that_expired_stops_the_quote_the_order_and_the_download(there: Served, tmp_path: Path) -> None:
    market, buyer, _ = footage(there)
    quote = quoted(there, buyer, tmp_path, *FOOTAGE)
    order = there.running.cli("buy", quote["id"], "--key", "k1", "--for", market.buyer.email, token=buyer)
    to = tmp_path / "got"
    there.clock.forward(seconds=3600)
    report = refused(there, buyer, "get", order["id"], "--to", to)
    assert (report.status, report.error["code"]) == (4, "permit.expired")
    assert "P-1" in report.error["message"]
    assert [p for p in to.rglob("*") if p.is_file()] == []
    report = refused(there, buyer, "quote", "--region", area(tmp_path), "--purpose", "research")
    assert report.error["code"].startswith(("permit.", "quote.")), report.error
    assert "P-1" in report.error["message"] or "permit" in report.error["message"]


def test_a_permit_that_expires_between_quote_and_order_stops_the_order(there: Served, tmp_path: Path) -> None:
    market, buyer, _ = footage(there)
    there.clock.forward(seconds=3600 - 60)
    quote = quoted(there, buyer, tmp_path, *FOOTAGE)
    there.clock.forward(seconds=61)
    report = refused(there, buyer, "buy", quote["id"], "--key", "k1", "--for", market.buyer.email)
    assert (report.status, report.error["code"]) == (4, "permit.expired")
    assert market.balance() == 10_000_000


def test_grants_that_end_on_a_slow_line_are_asked_for_again(there: Served, tmp_path: Path) -> None:
    """Every download address lives 120 s; where a line is slower than that, fresh ones are asked for, each in the log."""
    market, buyer = shop(there)
    order = market.buy()
    asked: list[str] = []

    def slow(path: str) -> None:
        if path.startswith("/store/"):
            asked.append(path)
            there.clock.forward(seconds=121 if len(asked) in (4, 20) else 0)

    there.on_request.append(slow)
    report = there.running.cli("get", order.id, "--to", tmp_path / "got", "--streams", "1", token=buyer)
    assert report["files"] == report["fetched"] == len(market.cells)
    assert rows(there)["access_grant"] > len(market.cells)


def test_foreign_ids_are_answered_like_absent_ones(there: Served, tmp_path: Path) -> None:
    market, buyer = shop(there)
    a_draft(there.ex, market.seller, "secret", [a_layer(block(1), salt="draft")])
    quote = quoted(there, buyer, tmp_path)
    order = there.running.cli("buy", quote["id"], "--key", "k1", token=buyer)
    tile = there.call("GET", f"/orders/{order['id']}/tiles", token=buyer).json["tiles"][0]["id"]
    stranger = there.token(market.seller)
    for command in (("get", order["id"], "--to", tmp_path / "got"), ("buy", quote["id"], "--key", "k2")):
        report = refused(there, stranger, *command)
        assert (report.status, report.error["code"].partition(".")[2]) == (3, "unknown")
    assert not (tmp_path / "got").exists()
    asked = [
        ("GET", "/quotes/{}", quote["id"], None, stranger),
        ("GET", "/orders/{}", order["id"], None, stranger),
        ("GET", "/orders/{}/tiles", order["id"], None, stranger),
        ("POST", "/orders", quote["id"], {"quote": "{}"}, stranger),
        ("POST", "/grants", order["id"], {"order": "{}", "tiles": [tile]}, stranger),
        ("GET", "/datasets/{}", "secret", None, buyer),
        ("GET", "/datasets/{}/versions/1", "secret", None, buyer),
        ("POST", "/datasets/{}/withdraw", "secret", None, buyer),
        ("POST", "/datasets/{}/publish", "secret", {"rates": {"lane_km": 1}, "licence": "research"}, buyer),
    ]
    before = rows(there)
    for method, path, foreign, body, token in asked:
        report = [ask(there, method, path, name, body, token) for name in (foreign, "x" * len(foreign))]
        assert report[0] == report[1] and report[0][0] == 404, (path, report)
    assert rows(there) == before


def ask(there: Served, method: str, path: str, name: str, body: Any, token: str) -> tuple[int, str]:
    """Status and text of the answer, with the id that was asked for left out."""
    given = None if body is None else json.loads(json.dumps(body).replace("{}", name))
    answer = there.call(method, path.format(name), given, token=token, Idempotency_Key="k3")
    return answer.status, without_id(answer.text).replace(name, "ID")
