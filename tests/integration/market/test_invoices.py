"""Tax invoices: of an order, of what was returned, of a settlement; to the won those of the VAT ledger, and in the tax office's names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree.ElementTree import Element, fromstring

import pytest
from sqlalchemy import select, text

from mapex.database import schema
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.invoices import businesses, invoices, tax_table, tax_xml
from mapex.invoices.businesses import Business
from mapex.invoices.invoice import Invoice, split_tax
from mapex.offers import recalls
from mapex.operation import fsck
from mapex.orders import books, settlements
from mapex.people import purchase_rights
from mapex.people.purchase_rights import NONE
from mapex.times import kst_month, month_end_ns
from tests.support.exchange import Clock, a_person
from tests.support.market import Market, a_market

DONGIL = Business("124-81-00998", "동일 주식회사", "홍길동", "서울 중구 세종대로 110", "정보통신업", "소프트웨어", "tax@dongil.example")
HANBIT = replace(DONGIL, number="1208147521", name="한빛 지도", email="tax@hanbit.example")
OURS = {
    "number": "220-81-62517",
    "name": "거래소",
    "representative": "김운영",
    "address": "성남",
    "business_type": "서비스",
    "item": "중개",
}


def refused(kind: type[MapexError], code: str, call: Callable[[], object]) -> MapexError:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    return caught.value


@pytest.fixture
def ex(exchange: Exchange) -> Exchange:
    ours = {f"operator_{name}": value for name, value in {**OURS, "email": "tax@exchange.example"}.items()}
    return replace(exchange, settings=replace(exchange.settings, fee_percent=type(exchange.settings.fee_percent)(7), **ours))


def a_trade(ex: Exchange) -> Market:
    """Both sides have entered their business."""
    market = a_market(ex)
    businesses.put(ex, market.buyer, "dongil", DONGIL)
    businesses.put(ex, market.seller, "hanbit", HANBIT)
    return market


def ids(ex: Exchange, table: str) -> list[str]:
    with ex.engine.connect() as conn:
        return list(conn.execute(select(schema.metadata.tables[table].c.id)).scalars())


def a_month_later(ex: Exchange) -> str:
    """The month of now, when it is over."""
    assert isinstance(ex.now, Clock)
    month = kst_month(ex.now())
    ex.now.at_ns = month_end_ns(month)
    return month


def test_the_invoices_of_a_month_sum_to_the_vat_ledger(ex: Exchange) -> None:
    market = a_trade(ex)
    operator = a_person(ex, role="operator")
    for at in range(4):
        market.buy(market.cells[3 * at : 3 * at + 3])
    settlements.close(ex, operator, a_month_later(ex))
    recalls.recall(ex, market.seller, "streets", 1)
    settlements.close(ex, operator, a_month_later(ex))
    made = {table: [invoices.get(ex, operator, one) for one in ids(ex, table)] for table in ("purchase_order", "refund", "settlement")}
    for month in books.vat_months(ex, operator):
        sums = {table: sum(one.tax for one in found if one.day.startswith(month.month)) for table, found in made.items()}
        assert sums == {"purchase_order": month.output, "refund": -month.returned, "settlement": month.input}
    for one in (one for found in made.values() for one in found):
        assert (sum(item.supply for item in one.items), sum(item.tax for item in one.items)) == (one.supply, one.tax)
        assert one.total == one.supply + one.tax
    assert [(one.reason, one.invoicer.number) for one in made["refund"]] == [("04", "2208162517")] * 4
    assert sorted((one.reason, one.total > 0) for one in made["settlement"]) == [("", True), ("03", False)]


def test_a_settlement_is_bought_from_the_seller_in_reverse_less_the_fee(ex: Exchange) -> None:
    market = a_trade(ex)
    order = market.buy()
    (one,) = settlements.close(ex, None, a_month_later(ex))
    made = invoices.get(ex, market.seller, one.id)
    assert (made.invoicer, made.invoicee.name, made.is_reverse, made.is_paid) == (businesses.get(ex, None, "hanbit"), "거래소", True, False)
    assert (made.supply, made.tax, made.total) == (one.supply, one.vat, one.total)
    assert [(item.kind, item.supply) for item in made.items] == [("sale", order.subtotal), ("fee", -one.fee)]
    settlements.pay(ex, None, "hanbit", one.month, "slip")
    assert invoices.get(ex, market.seller, one.id).is_paid


def test_it_is_seen_by_its_party_and_the_operator_alone(ex: Exchange) -> None:
    market = a_trade(ex)
    order = market.buy()
    (settled,) = settlements.close(ex, None, a_month_later(ex))
    operator, auditor, stranger = a_person(ex, role="operator"), a_person(ex, role="auditor"), a_person(ex)
    for document, party, others in ((order.id, market.buyer, market.seller), (settled.id, market.seller, market.buyer)):
        assert replace(invoices.get(ex, party, document), made_ns=0) == replace(invoices.get(ex, operator, document), made_ns=0)
        for foreign in (others, auditor, stranger):
            refused(NotFound, "invoice.unknown", lambda document=document, foreign=foreign: invoices.get(ex, foreign, document))
    for absent in ("ord_absent", "stl_", "x", ""):
        refused(NotFound, "invoice.unknown", lambda absent=absent: invoices.get(ex, operator, absent))


def test_what_is_missing_is_named(exchange: Exchange, ex: Exchange) -> None:
    market = a_market(ex)
    order = market.buy()
    error = refused(Conflict, "invoice.operator", lambda: invoices.get(exchange, market.buyer, order.id))
    assert "MAPEX_OPERATOR_NUMBER" in error.message
    refused(Conflict, "invoice.business", lambda: invoices.get(ex, market.buyer, order.id))
    businesses.put(ex, market.buyer, "dongil", replace(DONGIL, number=None))  # a firm abroad buys
    made = invoices.get(ex, market.buyer, order.id)
    assert party(made, "InvoiceeParty")[:2] == ["9999999999999", "03"]
    businesses.put(ex, market.seller, "hanbit", replace(HANBIT, number=None))
    (settled,) = settlements.close(ex, None, a_month_later(ex))
    refused(Conflict, "invoice.foreign", lambda: invoices.get(ex, market.seller, settled.id))


def test_business_details_are_entered_by_who_pays_and_a_number_is_of_one_organisation(exchange: Exchange) -> None:
    ex, market = exchange, a_market(exchange)
    drawer, operator, auditor = a_person(ex, "dongil"), a_person(ex, role="operator"), a_person(ex, role="auditor")
    purchase_rights.set_right(ex, market.buyer, drawer.email, NONE)

    def put(by: Actor, slug: str = "dongil", **changes: str) -> Callable[[], object]:
        return lambda: businesses.put(ex, by, slug, replace(DONGIL, **changes))

    refused(Denied, "purchase.approver", put(drawer))
    for foreign in (market.seller, auditor):
        refused(NotFound, "org.unknown", put(foreign))
    refused(Invalid, "business.number_check", put(market.buyer, number="124-81-00999"))
    refused(Invalid, "text.malformed", put(market.buyer, item=" "))
    put(market.buyer)()
    put(operator, name="동일")()
    refused(Conflict, "business.number_taken", put(market.seller, "hanbit"))
    assert [businesses.get(ex, one, "dongil") for one in (drawer, operator, auditor)] == [
        replace(DONGIL, number="1248100998", name="동일")
    ] * 3
    refused(NotFound, "org.unknown", lambda: businesses.get(ex, market.seller, "dongil"))
    assert [one.message for one in fsck.check(ex) if not one.ok] == []
    with ex.engine.begin() as conn:
        conn.execute(text("UPDATE business SET address = 'elsewhere'"))
    (broken,) = (one for one in fsck.check(ex) if not one.ok)
    assert "the business of dongil: address" in broken.message


# ---- the forms of the tax office -----------------------------------------------------------------------------------------------------

_PARTY = ["ID", "TypeCode", "NameText", "ClassificationCode"]
ORDER_OF_THE_STANDARD = {
    "TaxInvoice": ["ExchangedDocument", "TaxInvoiceDocument", "TaxInvoiceTradeSettlement", "TaxInvoiceTradeLineItem"],
    "ExchangedDocument": ["ID", "IssueDateTime", "ReferencedDocument"],
    "TaxInvoiceDocument": [
        *("IssueID", "TypeCode", "DescriptionText", "IssueDateTime", "AmendmentStatusCode", "PurposeCode", "OriginalIssueID"),
    ],
    "TaxInvoiceTradeSettlement": ["InvoicerParty", "InvoiceeParty", "SpecifiedPaymentMeans", "SpecifiedMonetarySummation"],
    "InvoicerParty": [*_PARTY, "SpecifiedOrganization", "SpecifiedPerson", "DefinedContact", "SpecifiedAddress"],
    "InvoiceeParty": [*_PARTY, "SpecifiedOrganization", "SpecifiedPerson", "PrimaryDefinedContact", "SpecifiedAddress"],
    "SpecifiedPaymentMeans": ["TypeCode", "PaidAmount"],
    "SpecifiedMonetarySummation": ["ChargeTotalAmount", "TaxTotalAmount", "GrandTotalAmount"],
    "TaxInvoiceTradeLineItem": [
        *("SequenceNumeric", "DescriptionText", "InvoiceAmount", "ChargeableUnitQuantity", "InformationText", "NameText"),
        *("PurchaseExpiryDateTime", "TotalTax", "UnitPrice"),
    ],
    "TotalTax": ["CalculatedAmount"],
    "UnitPrice": ["UnitAmount"],
}
"""Elements in the order of the tax office's test document."""


def local(node: Element) -> str:
    return node.tag.removeprefix(f"{{{tax_xml.NAMESPACE}}}")


def texts(root: Element, path: str) -> list[str | None]:
    return [node.text for node in root.findall("/".join(f"{{{tax_xml.NAMESPACE}}}{name}" for name in path.split("/")))]


def party(made: Invoice, side: str) -> list[str | None]:
    root, at = fromstring(tax_xml.written(made)), f"TaxInvoiceTradeSettlement/{side}"
    return [*texts(root, f"{at}/ID"), *texts(root, f"{at}/SpecifiedOrganization/BusinessTypeCode"), *texts(root, f"{at}/NameText")]


def test_the_xml_has_the_elements_of_the_standard_in_their_order(ex: Exchange) -> None:
    market = a_trade(ex)
    order = market.buy()
    recalls.recall(ex, market.seller, "streets", 1)
    (returned,) = ids(ex, "refund")
    for made, code, reason in ((invoices.get(ex, None, order.id), "0101", []), (invoices.get(ex, None, returned), "0201", ["04"])):
        root = fromstring(tax_xml.written(made))
        for node in root.iter():
            if (wanted := ORDER_OF_THE_STANDARD.get(local(node))) is not None:
                found = [wanted.index(local(child)) for child in node]
                assert found == sorted(found), local(node)
        assert texts(root, "TaxInvoiceDocument/TypeCode") == [code]
        assert texts(root, "TaxInvoiceDocument/AmendmentStatusCode") == reason
        assert party(made, "InvoicerParty") == ["2208162517", "거래소"]
        assert party(made, "InvoiceeParty") == ["1248100998", "01", "동일 주식회사"]
        sums = [texts(root, f"TaxInvoiceTradeSettlement/SpecifiedMonetarySummation/{name}")[0] for name in _SUMS]
        assert sums == [str(made.supply), str(made.tax), str(made.total)]
        assert sum(int(one or 0) for one in texts(root, "TaxInvoiceTradeLineItem/InvoiceAmount")) == made.supply
        assert sum(int(one or 0) for one in texts(root, "TaxInvoiceTradeLineItem/TotalTax/CalculatedAmount")) == made.tax


def test_a_text_that_no_xml_may_hold_makes_no_file_that_nobody_reads(ex: Exchange) -> None:
    market = a_trade(ex)
    businesses.put(ex, market.buyer, "dongil", replace(DONGIL, name="동일 <&> \ufffe"))
    assert party(invoices.get(ex, market.buyer, market.buy().id), "InvoiceeParty")[2] == "동일 <&> \ufffd"


_SUMS = ("ChargeTotalAmount", "TaxTotalAmount", "GrandTotalAmount")


def test_the_row_has_the_columns_of_the_form_and_more_items_than_it_has_room_for_are_one(ex: Exchange) -> None:
    market = a_trade(ex)
    made = invoices.get(ex, None, market.buy().id)
    many = replace(made, items=[*made.items] * 9, supply=made.supply * 9, tax=made.tax * 9)
    assert len(tax_table.COLUMNS) == 59
    for one in (made, many):
        row = dict(zip(tax_table.COLUMNS, tax_table.row(one), strict=True))
        assert (row["공급자 등록번호"], row["공급받는자 상호"], row["작성일자"]) == (
            "2208162517",
            "동일 주식회사",
            made.day.replace("-", ""),
        )
        assert (row["공급가액"], row["세액"], row["현금"], row["영수/청구"]) == (one.supply, one.tax, one.total, "01")
        supplies = [row[f"공급가액{n}"] for n in range(1, 5)]
        assert sum(amount for amount in supplies if isinstance(amount, int)) == one.supply
    assert str(row["품목4"]).endswith(f"외 {len(many.items) - 4}건")


@pytest.mark.parametrize(("tax", "supplies"), [(3, [10, 10, 10, 1]), (-7, [-33, -44]), (0, []), (5, [100, -100]), (1, [0, 5, 5])])
def test_the_tax_of_the_items_sums_to_that_of_the_invoice(tax: int, supplies: list[int]) -> None:
    assert sum(split_tax(tax, supplies)) == (tax if supplies else 0)
    assert all(abs(one - amount / 10) <= 1 for one, amount in zip(split_tax(tax, supplies), supplies, strict=True) if sum(supplies))
