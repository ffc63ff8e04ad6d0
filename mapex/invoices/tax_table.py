"""A tax invoice as a row of the form for many at once of 홈택스 (엑셀업로드양식, 59 columns, four items).

The columns are those that programs fill which write that form; the form itself was not at hand, so its header lines are to be compared.
"""

from __future__ import annotations

from mapex.invoices.businesses import Business
from mapex.invoices.invoice import Invoice, Item
from mapex.invoices.tax_xml import DUE, PAID, description, name_of, shortened

_SIDE = ("등록번호", "종사업장번호", "상호", "성명", "사업장주소", "업태", "종목")
_ITEM = ("일자", "품목", "규격", "수량", "단가", "공급가액", "세액", "품목비고")
ITEMS = 4
COLUMNS = (
    *("전자세금계산서 종류", "작성일자"),
    *(f"공급자 {name}" for name in (*_SIDE, "이메일")),
    *(f"공급받는자 {name}" for name in (*_SIDE, "이메일1", "이메일2")),
    *("공급가액", "세액", "비고"),
    *(f"{name}{n}" for n in range(1, ITEMS + 1) for name in _ITEM),
    *("현금", "수표", "어음", "외상미수금", "영수/청구"),
)


def row(invoice: Invoice) -> list[str | int]:
    """One row of `COLUMNS`."""
    items = shortened(invoice.items, ITEMS)
    cells = [cell for item in items for cell in _item(item)] + [""] * len(_ITEM) * (ITEMS - len(items))
    paid, owed = (invoice.total, "") if invoice.is_paid else ("", invoice.total)
    return [
        *("01", invoice.day.replace("-", "")),
        *_side(invoice.invoicer),
        *_side(invoice.invoicee),
        "",
        *(invoice.supply, invoice.tax, description(invoice)),
        *cells,
        *(paid, "", "", owed, PAID if invoice.is_paid else DUE),
    ]


def _side(one: Business) -> tuple[str, ...]:
    return one.number or "", "", one.name, one.representative, one.address, one.business_type, one.item, one.email


def _item(item: Item) -> tuple[str | int, ...]:
    quantity = f"{item.quantity.normalize():f}" if item.quantity is not None else ""
    price = item.unit_price if item.unit_price is not None else ""
    return item.day[8:], name_of(item), item.spec, quantity, price, item.supply, item.tax, item.note
