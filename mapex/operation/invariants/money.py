"""Money: transactions, balances and wallets."""

from __future__ import annotations

from sqlalchemy import Connection

from mapex.operation.invariants.asking import Offender, ask


def unbalanced(conn: Connection) -> list[Offender]:
    """I3: transactions, balances and wallets that do not add up."""
    return [
        *ask(
            conn,
            "transaction {0} sums to {1}",
            "SELECT transaction_id, SUM(amount) FROM ledger_entry GROUP BY transaction_id HAVING SUM(amount) <> 0",
        ),
        *ask(
            conn,
            "account {0} has the balance {1} and its entries sum to {2}",
            "SELECT a.id, a.balance, COALESCE(SUM(e.amount), 0) FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id "
            "GROUP BY a.id, a.balance HAVING a.balance <> COALESCE(SUM(e.amount), 0)",
        ),
        *ask(
            conn,
            "account {0} is at {1}, as if somebody were owed",
            "SELECT id, balance FROM ledger_account WHERE kind = 'receivable' AND balance > 0",
        ),
        *ask(conn, "wallet {0} is at {1}", "SELECT id, balance FROM ledger_account WHERE kind = 'wallet' AND balance < 0"),
    ]
