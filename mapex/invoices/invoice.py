"""A tax invoice (세금계산서): two parties, items with their tax, and sums; of an order, of what was returned of one, or of a settlement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from mapex.invoices.businesses import Business

RETURNED, CANCELLED = "03", "04"
"""Reasons of amended invoices (수정사유): some of it was returned (환입); the contract was cancelled (계약의 해제)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line: `kind` is `sale`, `fee` or `refund`; money in whole KRW, negative where it is taken off."""

    day: str  # 2026-11-30
    kind: str
    name: str
    spec: str
    quantity: Decimal | None
    unit_price: int | None
    supply: int
    tax: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Invoice:
    """The data of a tax invoice; `id` is that of its order, refund or settlement. Issuing it is the operator's, by its certificate."""

    id: str
    about: str  # order | refund | settlement
    day: str  # 작성일자
    invoicer: Business
    invoicee: Business
    items: Sequence[Item]
    supply: int
    tax: int
    is_paid: bool
    note: str = ""
    amends: str = ""
    reason: str = ""
    made_ns: int = 0

    @property
    def total(self) -> int:
        """Supply value and tax."""
        return self.supply + self.tax

    @property
    def is_reverse(self) -> bool:
        """Whether who is supplied makes it (역발행): the exchange, of what it bought from a seller."""
        return self.about == "settlement"


def split_tax(tax: int, supplies: Sequence[int]) -> list[int]:
    """`tax` on each of the amounts, whole KRW that sum to it exactly; by shares of the running sum, so that none is off by more than 1."""
    total, running, given = sum(supplies), 0, 0
    found = []
    for at, supply in enumerate(supplies, 1):
        running += supply
        until = tax if at == len(supplies) or not total else tax * running // total
        found.append(until - given)
        given = until
    return found
