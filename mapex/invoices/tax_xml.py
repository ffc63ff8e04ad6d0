"""A tax invoice as XML in the names of the standard of the National Tax Service (표준전자세금계산서 v3.0, KEC/KS X 3.0 `TaxInvoice`).

Names, their order and the namespace are those of the service's own test document (`unsigned.xml` in github.com/ruseel/kr-etax-sample) and
of readers of issued invoices. Not in it, because only who issues has it: the signature and the approval number (`IssueID`, and of what is
amended `OriginalIssueID`). The official schema file was not at hand: lengths of texts are not checked against it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mapex.invoices.businesses import Business
from mapex.invoices.invoice import Invoice, Item
from mapex.times import KST, NS

NAMESPACE = "urn:kr:or:kec:standard:Tax:ReusableAggregateBusinessInformationEntitySchemaModule:1:0"
SCHEMA = "http://www.kec.or.kr/standard/Tax/TaxInvoiceSchemaModule_1.0.xsd"
ORDINARY, AMENDED = "0101", "0201"
PAID, DUE = "01", "02"
"""영수, 청구."""
CASH, OWED = "10", "40"
"""Means of payment: 현금, 외상미수금."""
DOMESTIC, ABROAD = "01", "03"
NUMBER_ABROAD = "9999999999999"
"""What stands for the number of a firm that has none."""
_IMPOSSIBLE = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML may hold."""
MOST_ITEMS = 99
WORDS = {"refund": "환입", "fee": "거래소 수수료"}


def written(invoice: Invoice) -> bytes:
    """The document, UTF-8."""
    root = Element("TaxInvoice", {"xmlns": NAMESPACE, "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"})
    root.set("xsi:schemaLocation", f"{NAMESPACE} {SCHEMA}")
    _exchanged(root, invoice)
    _document(root, invoice)
    _settlement(root, invoice)
    for at, item in enumerate(shortened(invoice.items, MOST_ITEMS), 1):
        _item(root, at, item)
    indent(root, "  ")
    body: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return body


def name_of(item: Item) -> str:
    """What an item is called, in Korean."""
    word = WORDS.get(item.kind, "")
    return f"{word}: {item.name}" if word and item.name != item.kind else word or item.name


def shortened(items: Sequence[Item], most: int) -> list[Item]:
    """The items, of which those that find no room are one: the sums stay."""
    found = list(items)
    if len(found) <= most:
        return found
    first, rest = found[: most - 1], found[most - 1 :]
    supply, tax = sum(one.supply for one in rest), sum(one.tax for one in rest)
    return [*first, Item(rest[0].day, "sale", f"{name_of(rest[0])} 외 {len(rest) - 1}건", "", None, None, supply, tax)]


def _exchanged(root: Element, invoice: Invoice) -> None:
    node = SubElement(root, "ExchangedDocument")
    _text(node, "ID", invoice.id)
    _text(node, "IssueDateTime", datetime.fromtimestamp(invoice.made_ns // NS, UTC).astimezone(KST).strftime("%Y%m%d%H%M%S"))
    _text(SubElement(node, "ReferencedDocument"), "ID", invoice.amends or invoice.id)


def _document(root: Element, invoice: Invoice) -> None:
    node = SubElement(root, "TaxInvoiceDocument")
    _text(node, "TypeCode", AMENDED if invoice.reason else ORDINARY)
    _text(node, "DescriptionText", description(invoice))
    _text(node, "IssueDateTime", invoice.day.replace("-", ""))
    if invoice.reason:
        _text(node, "AmendmentStatusCode", invoice.reason)
    _text(node, "PurposeCode", PAID if invoice.is_paid else DUE)


def description(invoice: Invoice) -> str:
    """The remark on an invoice: of which order or settlement it is."""
    which = {"order": "주문", "refund": "환불", "settlement": "정산(역발행)"}[invoice.about]
    return f"{which} {invoice.id}" + (f", 당초 주문 {invoice.amends}" if invoice.amends else "")


def _settlement(root: Element, invoice: Invoice) -> None:
    node = SubElement(root, "TaxInvoiceTradeSettlement")
    _party(SubElement(node, "InvoicerParty"), invoice.invoicer, is_supplied=False)
    _party(SubElement(node, "InvoiceeParty"), invoice.invoicee, is_supplied=True)
    means = SubElement(node, "SpecifiedPaymentMeans")
    _text(means, "TypeCode", CASH if invoice.is_paid else OWED)
    _text(means, "PaidAmount", str(invoice.total))
    sums = SubElement(node, "SpecifiedMonetarySummation")
    _text(sums, "ChargeTotalAmount", str(invoice.supply))
    _text(sums, "TaxTotalAmount", str(invoice.tax))
    _text(sums, "GrandTotalAmount", str(invoice.total))


def _party(node: Element, one: Business, *, is_supplied: bool) -> None:
    _text(node, "ID", one.number or NUMBER_ABROAD)
    _text(node, "TypeCode", one.business_type)
    _text(node, "NameText", one.name)
    _text(node, "ClassificationCode", one.item)
    if is_supplied:
        _text(SubElement(node, "SpecifiedOrganization"), "BusinessTypeCode", DOMESTIC if one.number else ABROAD)
    _text(SubElement(node, "SpecifiedPerson"), "NameText", one.representative)
    _text(SubElement(node, "PrimaryDefinedContact" if is_supplied else "DefinedContact"), "URICommunication", one.email)
    _text(SubElement(node, "SpecifiedAddress"), "LineOneText", one.address)


def _item(root: Element, at: int, item: Item) -> None:
    node = SubElement(root, "TaxInvoiceTradeLineItem")
    _text(node, "SequenceNumeric", str(at))
    if item.note:
        _text(node, "DescriptionText", item.note)
    _text(node, "InvoiceAmount", str(item.supply))
    if item.quantity is not None:
        _text(node, "ChargeableUnitQuantity", f"{item.quantity.normalize():f}")
    if item.spec:
        _text(node, "InformationText", item.spec)
    _text(node, "NameText", name_of(item))
    _text(node, "PurchaseExpiryDateTime", item.day.replace("-", ""))
    _text(SubElement(node, "TotalTax"), "CalculatedAmount", str(item.tax))
    if item.unit_price is not None:
        _text(SubElement(node, "UnitPrice"), "UnitAmount", str(item.unit_price))


def _text(parent: Element, name: str, value: str) -> None:
    SubElement(parent, name).text = _IMPOSSIBLE.sub("\ufffd", value)
