"""What the operator pays on: VAT to the tax office, and its own fee. Never more than was put aside for it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from mapex import authority, texts
from mapex.audit.log import Action, AuditEntry, append
from mapex.database.acts import act
from mapex.database.schema import ledger_entry, ledger_transaction
from mapex.errors import Conflict, Invalid
from mapex.exchange import Actor, Exchange
from mapex.orders import ledger
from mapex.orders.settlements import TURN


@dataclass(frozen=True, slots=True)
class Remittance:
    """Money that left the bank, as it was booked; `balance` is what is still put aside."""

    transaction: str
    amount: int
    reference: str
    balance: int


@dataclass(frozen=True, slots=True)
class _Fund:
    """From which account, as which transaction, logged as what."""

    account: str
    transaction: str
    prefix: str
    action: Action


_VAT = _Fund(ledger.VAT, "vat_paid", "vat:", Action.VAT_PAID)
_FEE = _Fund(ledger.FEE, "fee_drawn", "fee:", Action.FEE_DRAWN)


def pay_vat(ex: Exchange, by: Actor | None, amount: int, reference: str) -> Remittance:
    """Book VAT that was paid to the tax office; the same reference again changes nothing and answers the same.

    Raises:
        Denied: `by` is not the operator. Invalid: `payment.amount`, `text.malformed` (no reference).
        Conflict: `payment.key_reused` (the reference paid another amount), `payment.exceeds` (less was put aside).
    """
    return _remit(ex, by, _VAT, amount, reference)


def draw_fee(ex: Exchange, by: Actor | None, amount: int, reference: str) -> Remittance:
    """Book fee that the operator took out, as `pay_vat`."""
    return _remit(ex, by, _FEE, amount, reference)


def _remit(ex: Exchange, by: Actor | None, fund: _Fund, amount: int, reference: str) -> Remittance:
    authority.operator(by)
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= ledger.MAX_CREDIT:
        message = f"An amount is a whole number of KRW from 1 to {ledger.MAX_CREDIT}, not {amount!r}."
        raise Invalid("payment.amount", message, amount=str(amount))
    reference = texts.check_text(reference, "reference", ledger.MAX_KEY - len(fund.prefix))
    with act(ex, by, TURN) as conn:
        transaction = _before(conn, fund, amount, reference)
        if transaction is None:
            ledger.hold(conn, [ledger.BANK, fund.account])
            held = ledger.balance(conn, fund.account)
            if amount > held:
                message = f"{amount} KRW are more than the {max(0, held)} KRW that are put aside; book at most that."
                raise Conflict("payment.exceeds", message, amount=amount, available=held)
            moved = {fund.account: -amount, ledger.BANK: amount}
            transaction = ledger.post(conn, ex, fund.transaction, moved, key=fund.prefix + reference)
            details = {"transaction": transaction, "amount": amount, "key": reference}
            append(conn, ex, by, AuditEntry(fund.action, details=details))
        return Remittance(transaction, amount, reference, ledger.balance(conn, fund.account))


def _before(conn: Connection, fund: _Fund, amount: int, reference: str) -> str | None:
    """The transaction that this reference booked before, if it did."""
    booked = (
        select(ledger_transaction.c.id, ledger_entry.c.amount)
        .join_from(ledger_transaction, ledger_entry)
        .where(ledger_transaction.c.key == fund.prefix + reference, ledger_entry.c.account_id == ledger.BANK)
    )
    found = conn.execute(booked).first()
    if found is not None and found.amount != amount:
        raise Conflict("payment.key_reused", f"Reference {reference!r} booked another payment before; take a new one.", key=reference)
    return None if found is None else str(found.id)
