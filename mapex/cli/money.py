"""The operator's commands about money: settlements with sellers, the ledger. They act on MAPEX_DIR or MAPEX_* settings."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapex.cli.options import as_json_option, the_exchange
from mapex.cli.output import show, table

if TYPE_CHECKING:
    from mapex.orders.settlements import Settlement

_reference = click.option("--reference", required=True, help="Number of the bank's slip; the same reference never books twice.")


@click.group()
def settlement() -> None:
    """What the exchange buys from sellers: month by month, due on the 15th of the next."""


@settlement.command(name="close")
@click.argument("month")
@as_json_option
def settlement_close(month: str, as_json: bool) -> None:
    """Settle MONTH (such as 2026-10), once it is over in Korea, with every seller. Again, it changes nothing."""
    from mapex.orders import settlements

    with the_exchange() as ex:
        found = settlements.close(ex, None, month)
    _show(found, as_json=as_json, none=f"Nobody sold anything until the end of {month}.")


@settlement.command(name="list")
@as_json_option
def settlement_list(as_json: bool) -> None:
    """All settlements, the newest first, and whether they are paid."""
    from mapex.orders import settlements

    with the_exchange() as ex:
        found = settlements.settlements(ex, None)
    _show(found, as_json=as_json, none="No month was closed yet.")


@settlement.command(name="pay")
@click.argument("org")
@click.argument("month")
@_reference
@as_json_option
def settlement_pay(org: str, month: str, reference: str, as_json: bool) -> None:
    """Note that the settlement of ORG for MONTH was transferred: its total, or what the wallet still holds of it."""
    from mapex.orders import settlements

    with the_exchange() as ex:
        paid = settlements.pay(ex, None, org, month, reference)
    amount = paid.settlement.paid or 0
    text = f"{month}: {amount:,} KRW paid to {org}."
    if paid.rest:
        text += f" The rest, {paid.rest:,} KRW, was spent from the wallet already."
    show({"org": org, "month": month, "paid": amount, "rest": paid.rest, "balance": paid.balance}, as_json=as_json, text=text)


@click.group()
def ledger() -> None:
    """The books of the exchange: what is held for whom, VAT, every entry."""


@ledger.command(name="sheet")
@as_json_option
def ledger_sheet(as_json: bool) -> None:
    """Whether the wallets add up to what was paid in, line by line."""
    from mapex.orders import books

    with the_exchange() as ex:
        found = books.sheet(ex, None)
    came = [("paid in", found.paid_in), ("paid out", -found.paid_out), ("VAT paid", -found.vat_paid), ("fee drawn", -found.fee_drawn)]
    held = [(f"wallet of {org}", amount) for org, amount in found.wallets.items()]
    held += [("VAT", found.vat), ("fee", found.fee), *((f"owed by {org}", -amount) for org, amount in found.owed.items())]
    lines = [*came, ("in the bank", found.in_bank), *held, ("held", found.held)]
    text = table(["what", "KRW"], [[name, f"{amount:,}"] for name, amount in lines], right={1})
    sentence = "What is held is what is in the bank." if found.agrees else "What is held is NOT what is in the bank; run `mapex fsck`."
    record = {**asdict(found), "in_bank": found.in_bank, "held": found.held, "agrees": found.agrees}
    show(record, as_json=as_json, text=f"{text}\n{sentence}")


@ledger.command(name="vat")
@as_json_option
def ledger_vat(as_json: bool) -> None:
    """VAT month by month: of orders, returned, of settlements, paid to the tax office, and what is held after it."""
    from mapex.orders import books

    with the_exchange() as ex:
        found = [asdict(one) for one in books.vat_months(ex, None)]
    rows = [[f"{value:,}" if isinstance(value, int) else value for value in one.values()] for one in found]
    headers = ["month", "of orders", "returned", "of settlements", "paid", "balance"]
    show({"months": found}, as_json=as_json, text=table(headers, rows, right={1, 2, 3, 4, 5}) if rows else "No VAT yet.")


@ledger.command(name="export")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="CSV file to write. Default: standard output.")
@as_json_option
def ledger_export(out: Path | None, as_json: bool) -> None:
    """Every entry of the ledger with its ids, oldest first, as CSV; the entries of a transaction sum to zero."""
    import csv
    import sys

    from mapex.orders import books

    with the_exchange() as ex:
        rows = [one.row for one in books.entries(ex, None)]
    if as_json:
        show({"entries": [dict(zip(books.COLUMNS, row, strict=True)) for row in rows]}, as_json=True)
        return
    with out.open("w", encoding="utf-8-sig", newline="") if out else click.open_file("-", "w") as file:
        writer = csv.writer(file)
        writer.writerow(books.COLUMNS)
        writer.writerows(rows)
    if out:
        click.echo(f"{len(rows):,} entries in {out}", file=sys.stderr)


@ledger.command(name="vat-paid")
@click.argument("amount", type=click.IntRange(1), metavar="KRW")
@_reference
@as_json_option
def ledger_vat_paid(amount: int, reference: str, as_json: bool) -> None:
    """Book VAT that was paid to the tax office."""
    from mapex.orders import remittances

    with the_exchange() as ex:
        made = asdict(remittances.pay_vat(ex, None, amount, reference))
    show(made, as_json=as_json, text=f"{amount:,} KRW of VAT paid; {made['balance']:,} KRW are still put aside.")


@ledger.command(name="fee-drawn")
@click.argument("amount", type=click.IntRange(1), metavar="KRW")
@_reference
@as_json_option
def ledger_fee_drawn(amount: int, reference: str, as_json: bool) -> None:
    """Book fee that the operator took out."""
    from mapex.orders import remittances

    with the_exchange() as ex:
        made = asdict(remittances.draw_fee(ex, None, amount, reference))
    show(made, as_json=as_json, text=f"{amount:,} KRW of fee drawn; {made['balance']:,} KRW are still put aside.")


def _show(found: list[Settlement], *, as_json: bool, none: str) -> None:
    records: list[dict[str, Any]] = [
        {**asdict(one), "supply": one.supply, "total": one.total, "due_day": one.due_day, "state": one.state} for one in found
    ]
    rows = [
        [one.month, one.org, *(f"{money:,}" for money in (one.sales, one.refunds, one.fee, one.vat, one.total)), one.due_day, one.state]
        for one in found
    ]
    headers = ["month", "seller", "sales", "refunds", "fee", "VAT", "total", "due", "state"]
    show({"settlements": records}, as_json=as_json, text=table(headers, rows, right={2, 3, 4, 5, 6}) if rows else none)
