"""The commands that look at the catalogue, orders and the wallet, and those that take a part of an order, against a served exchange."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mapex.cli import main
from mapex.database.schema import finding
from mapex.exchange import Actor
from mapex.invoices import businesses
from mapex.invoices.businesses import Business
from mapex.offers import offers
from mapex.people import purchase_rights
from mapex.prices import quotes
from mapex.prices.request import of_area
from tests.support.exchange import a_person
from tests.support.market import RATES, Market, a_draft, a_layer, a_market, area, block
from tests.support.market import SEOUL as CORNER
from tests.support.site import Served, served
from tiles.batch import LayerKind
from tiles.grid import grid

Cli = Callable[..., Any]
SEOUL = "126.9,37.4,127.2,37.7"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    given = {f"operator_{name}": value for name, value in OPERATOR.items()}
    with served(tmp_path_factory.mktemp("site"), **given, operator_email="tax@mapex.example") as site:
        yield site


@pytest.fixture(scope="module")
def market(there: Served) -> Market:
    """16 cells of lanes and, in the middle 4, signs; Dongil has bought all."""
    cells = block()
    signs = a_layer(cells[5:7] + cells[9:11], name="signs", kind=LayerKind.SIDEWALK)
    return a_market(there.ex, layers=[a_layer(cells), signs])


@pytest.fixture(scope="module")
def order(market: Market) -> str:
    return market.buy().id


@pytest.fixture
def cli(there: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`mapex WORDS` as somebody (None: with no token): the JSON with `--json` among the words, else the text; of a failure the error."""

    def run(by: Actor | None, *words: str | Path) -> Any:
        monkeypatch.setenv("MAPEX_URL", there.running.url)
        monkeypatch.setenv("MAPEX_TOKEN", there.token(by) if by else "")
        with pytest.raises(SystemExit):
            main([str(word) for word in words])
        out = capsys.readouterr()
        return json.loads(out.out) if "--json" in words else out.out

    return run


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    return found


def test_orders_are_listed_shown_and_followed(market: Market, order: str, cli: Cli) -> None:
    assert [one["id"] for one in cli(market.buyer, "order", "list", "--json")["orders"]] == [order]
    assert cli(market.buyer, "order", "list", "--purpose", "simulation", "--json") == {"orders": []}
    assert order in cli(market.buyer, "order", "list")
    shown = cli(market.buyer, "order", "show", order, "--json")
    assert (shown["id"], {line["dataset"] for line in shown["lines"]}) == (order, {"streets"})
    assert f"Total {shown['total']:,} KRW" in cli(market.buyer, "order", "show", order)
    assert cli(market.buyer, "order", "progress", order, "--json")["files"] == 20
    assert "given out: 0 of 20 files\nRead to the end: 0 of 20 files" in cli(market.buyer, "order", "progress", order)
    assert cli(market.seller, "order", "show", order, "--json")["error"]["code"] == "order.unknown"


def test_the_wallet_says_what_is_in_it_and_what_came_and_went(market: Market, order: str, cli: Cli) -> None:
    balance = market.balance()
    assert cli(market.buyer, "wallet", "balance", "--json") == {"org": "dongil", "currency": "KRW", "balance": balance}
    assert cli(market.buyer, "wallet", "balance") == f"dongil: {balance:,} KRW\n"
    statement = cli(market.buyer, "wallet", "statement", "--json")
    assert [(entry["kind"], entry["order"]) for entry in statement["entries"]] == [("order", order), ("credit", None)]
    assert order in cli(market.buyer, "wallet", "statement")


def test_datasets_and_versions_are_listed_and_a_version_shows_its_findings(there: Served, market: Market, cli: Cli) -> None:
    a_draft(there.ex, market.seller, "streets", [a_layer(market.cells, salt="new")])
    with there.ex.engine.begin() as conn:
        version = conn.exec_driver_sql("SELECT id FROM dataset_version WHERE number = 2").scalar_one()
        row = {"id": "fin_1", "version_id": version, "ordinal": 0, "severity": "question", "code": "geometry.jump", "file": "a.osm"}
        conn.execute(finding.insert().values(**row, layer="hdmap", feature="7", value="", message="It jumps.", fix="Look.", count=1))
    assert [d["slug"] for d in cli(market.seller, "dataset", "list", "--json")["datasets"]] == ["streets"]
    assert "streets" in cli(market.seller, "dataset", "list")
    versions = cli(market.seller, "version", "list", "streets", "--json")["versions"]
    assert [(one["version"], one["state"]) for one in versions] == [(2, "draft"), (1, "published")]
    assert "draft" in cli(market.seller, "version", "list", "streets")
    shown = cli(market.seller, "version", "show", "streets", "2", "--json")
    assert [found["code"] for found in shown["findings"]] == ["geometry.jump"]
    text = cli(market.seller, "version", "show", "streets", "2")
    assert "Version 2 of streets: draft" in text and "question  geometry.jump" in text
    assert cli(market.buyer, "version", "show", "streets", "2", "--json")["error"]["code"] == "version.unknown"


def test_a_part_of_an_order_is_fetched_and_the_rest_later(market: Market, order: str, cli: Cli, tmp_path: Path) -> None:
    to = tmp_path / "tiles"
    part = cli(market.buyer, "get", order, "--to", to, "--layers", "signs", "--json")
    assert (part["files"], part["fetched"], part["left_out"]["files"]) == (4, 4, 16)
    assert files_in(to) == sorted(file["path"] for file in manifest_of(to)["files"]) and len(files_in(to)) == 4
    assert manifest_of(to)["left_out"] == part["left_out"]
    quadkey = grid.quadkey(market.cells[0])
    tile = cli(market.buyer, "get", order, "--to", to, "--tiles", quadkey, "--dataset", "hanbit/streets", "--json")
    assert (tile["files"], tile["fetched"], tile["left_out"]["files"]) == (1, 1, 15)
    assert len(manifest_of(to)["files"]) == len(files_in(to)) == 5
    assert "Left out: 15 files of the order" in cli(market.buyer, "get", order, "--to", to, "--tiles", quadkey)
    rest = cli(market.buyer, "get", order, "--to", to, "--json")
    assert (rest["files"], rest["verified"], rest["fetched"], rest["left_out"]) == (20, 20, 15, {"files": 0, "bytes": 0})
    assert len(manifest_of(to)["files"]) == 20 and "left_out" not in manifest_of(to)


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--layers", "signs,lanes"), "get.layers", "hdmap, signs"),
        (("--dataset", "roads"), "get.dataset", "streets"),
        (("--tiles", "0123"), "get.tiles", "and 4 more"),
    ],
)
def test_a_part_that_the_order_does_not_have_is_refused_with_what_it_has(
    market: Market, order: str, cli: Cli, tmp_path: Path, words: tuple[str, ...], code: str, named: str
) -> None:
    error = cli(market.buyer, "get", order, "--to", tmp_path / "none", *words, "--json")["error"]
    assert error["code"] == code and named in error["message"]
    assert not (tmp_path / "none").exists()


def test_a_visitor_may_search_where_prices_are_public(market: Market, cli: Cli) -> None:
    assert [d["dataset"] for d in cli(None, "search", "--bbox", SEOUL, "--json")["datasets"]] == ["streets"]


def test_where_prices_are_closed_a_search_says_that_it_needs_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path, public_prices=False) as site:
        monkeypatch.setenv("MAPEX_URL", site.running.url)
        monkeypatch.delenv("MAPEX_TOKEN", raising=False)
        with pytest.raises(SystemExit):
            main(["search", "--bbox", SEOUL, "--json"])
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "cli.no_token"


def test_a_dataset_is_withdrawn_and_what_was_bought_stays(there: Served, market: Market, order: str, cli: Cli, tmp_path: Path) -> None:
    answer = cli(market.seller, "withdraw", "streets", "--json")
    assert (answer["dataset"], answer["state"]) == ("streets", "withdrawn")
    assert cli(market.buyer, "search", "--bbox", SEOUL, "--json")["datasets"] == []
    assert cli(market.buyer, "get", order, "--to", tmp_path, "--json")["files"] == 20


def test_who_may_not_pay_asks_for_approval_and_another_buys(cli: Cli, there: Served, market: Market) -> None:
    drawer = a_person(there.ex, "dongil")
    purchase_rights.set_right(there.ex, None, drawer.email, purchase_rights.NONE)
    elsewhere = block(2, CORNER + 64)
    a_draft(there.ex, market.seller, "parks", [a_layer(elsewhere)])
    offers.publish(there.ex, market.seller, "parks", rate_card=RATES, licence="research")
    held = quotes.quote(there.ex, drawer, of_area(area(elsewhere), purpose="research")).id
    assert cli(drawer, "buy", held, "--json")["error"]["code"] == "purchase.right"
    asked = cli(drawer, "buy", held, "--ask", "--note", "pilot\u202e", "--json")
    assert (asked["state"], asked["quote"]) == ("open", held)
    assert "\u202e" not in (listed := cli(market.buyer, "approvals")) and asked["id"] in listed
    assert cli(market.buyer, "approvals", "--refuse", asked["id"], "--json")["error"]["code"] == "text.malformed"
    assert cli(market.buyer, "buy", held, "--json")["asked_by"] == drawer.email
    assert [one["state"] for one in cli(drawer, "approvals", "--state", "paid", "--json")["approvals"]] == ["paid"]


def test_an_invoice_is_printed_in_the_forms_of_the_tax_office(cli: Cli, there: Served, market: Market, order: str) -> None:
    assert cli(market.seller, "invoice", order, "--json")["error"]["code"] == "invoice.unknown"
    assert cli(market.buyer, "invoice", order, "--json")["error"]["code"] == "invoice.business"
    businesses.put(there.ex, market.buyer, "dongil", BUSINESS)
    found = cli(market.buyer, "invoice", order, "--json")
    assert (found["invoicee"]["number"], found["total"]) == ("1248100998", found["supply"] + found["tax"])
    assert "동일" in cli(market.buyer, "invoice", order)
    assert "<NameText>동일</NameText>" in cli(market.buyer, "invoice", order, "--format", "xml")
    assert "전자세금계산서 종류" in cli(market.buyer, "invoice", order, "--format", "csv")


BUSINESS = Business("124-81-00998", "동일", "홍길동", "서울", "정보통신업", "소프트웨어", "tax@dongil.example")
OPERATOR = {name: "거래소" for name in ("name", "representative", "address", "business_type", "item")} | {"number": "220-81-62517"}
