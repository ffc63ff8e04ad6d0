"""Settlements: what the exchange bought from each seller in a Korean month, and when it is paid.

The exchange sells to the buyer and buys from the seller (decision 10): supply = sales - refunds - fee, with VAT on it. A month is closed
once it is over and covers everything up to its end exactly once; what came too late for it falls in the next one.
"""

from __future__ import annotations

from dataclasses import dataclass

from mapex.times import next_month

DUE_DAY = 15
"""Day of the next month on which a settlement is due."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One seller's month, in whole KRW; `sales`, `refunds` and `fee` are without VAT, and any may be 0.

    `paid` is what was transferred, None before: the total, or less where the seller had spent some of its wallet.
    """

    id: str
    org: str  # slug of the seller
    month: str  # 2026-11
    sales: int
    refunds: int
    fee: int
    vat: int
    closed_ns: int
    paid: int | None = None
    paid_ns: int | None = None
    reference: str = ""

    @property
    def supply(self) -> int:
        """What the exchange bought, without VAT; negative where more was returned than sold."""
        return self.sales - self.refunds - self.fee

    @property
    def total(self) -> int:
        """What the seller gets, VAT included."""
        return self.supply + self.vat

    @property
    def due_day(self) -> str:
        """`2026-12-15`: the 15th of the next month."""
        return f"{next_month(self.month)}-{DUE_DAY}"

    @property
    def state(self) -> str:
        """`paid`, `due`, or `none` where there is nothing to be paid."""
        if self.paid is not None:
            return "paid"
        return "due" if self.total > 0 else "none"
