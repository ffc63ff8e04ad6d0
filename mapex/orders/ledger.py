"""Money: double-entry accounts in whole KRW, append-only.

Accounts: a *wallet* of each organisation (prepaid; what it earns by selling goes there and pays what it buys), *vat* (tax collected less
tax paid to sellers), *fee* (the operator's), a *receivable* of a seller (what it owes the exchange, as a negative balance, after a refund
that its wallet could not cover) and *bank* (the mirror of all money paid in and out: minus the sum of the others). The entries of a
transaction sum to zero; the balance of an account is the cached sum of its entries, and a wallet's is never negative (CHECK in the
database). VAT and fee may be: after what was collected was paid on, refunds take more from them than they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, text, update

from mapex import authority, ids, texts
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import ledger_account, ledger_entry, ledger_transaction, order, organisation
from mapex.errors import Conflict, Denied, Invalid, Unpaid
from mapex.exchange import Actor, Exchange
from mapex.people import orgs
from mapex.rules.bounds import MAX_AMOUNT

BANK = "acc_bank"
FEE = "acc_fee"
VAT = "acc_vat"
COMMON = {BANK: "bank", FEE: "fee", VAT: "vat"}
"""Accounts of the exchange itself, with their kinds."""
OWED = "acc_owed_"
"""What the ids of receivables begin with."""

MAX_CREDIT = 10**12
"""KRW of one credit; a typing mistake should not become money."""

MAX_KEY = 255
CREDIT_PREFIX = "credit:"
"""What the keys of credits begin with among the keys of all transactions."""


@dataclass(frozen=True, slots=True)
class WalletEntry:
    """One line of a statement: what changed the wallet, and the balance after it."""

    transaction: str
    kind: str  # credit | order | refund | settlement | payout
    at_ns: int
    memo: str
    order_id: str | None  # only of own orders: of an income the seller does not learn whose order it was
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Wallet:
    """An organisation's prepaid money, with the newest entries first."""

    org: str
    balance: int
    entries: Sequence[WalletEntry]
    owed: int = 0  # to the exchange, which takes it from what is earned next


@dataclass(frozen=True, slots=True)
class Credit:
    """A payment that the operator booked into a wallet, and the balance now."""

    transaction: str
    org: str
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Payment:
    """Money paid in, as it was booked: the slug of whose wallet, KRW, and the reference that makes it book once."""

    org: str
    amount: int
    reference: str
    memo: str
    at_ns: int


def wallet_id(org_id: str) -> str:
    """Id of the wallet account of an organisation."""
    return "acc_" + org_id


def owed_id(org_id: str) -> str:
    """Id of the account of what an organisation owes the exchange."""
    return OWED + org_id


def credit(ex: Exchange, by: Actor | None, org: str, amount: int, key: str, memo: str = "") -> Credit:
    """Book `amount` KRW paid in by the organisation with slug `org`; the same `key` again changes nothing and answers the same.

    Raises:
        Denied: `by` is not the operator (None: the command line on the exchange itself).
        NotFound: no such organisation.
        Invalid: `credit.amount`, `text.malformed` (no reference). Conflict: `credit.key_reused`, `ledger.full`.
    """
    authority.operator(by)
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= MAX_CREDIT:
        raise Invalid("credit.amount", f"A credit is a whole number of KRW from 1 to {MAX_CREDIT}, not {amount!r}.", amount=str(amount))
    key = texts.check_text(key, "reference", MAX_KEY - len(CREDIT_PREFIX))
    stored_key = CREDIT_PREFIX + key

    def book(conn: Connection) -> Credit:
        found = orgs.find_org(conn, org)
        wallet = open_wallet(conn, found.id)
        before = conn.execute(select(ledger_transaction.c.id).where(ledger_transaction.c.key == stored_key)).scalar()
        if before is None:
            transaction = post(conn, ex, "credit", {BANK: -amount, wallet: amount}, key=stored_key, memo=memo)
            entry = AuditEntry(Action.WALLET_CREDITED, owner=found.slug, details={"amount": amount, "transaction": transaction, "key": key})
            append(conn, ex, by, entry)
        else:
            transaction = before
            booked = conn.execute(
                select(ledger_entry.c.amount).where(ledger_entry.c.transaction_id == before, ledger_entry.c.account_id == wallet)
            ).scalar()
            if booked != amount:
                raise Conflict("credit.key_reused", f"Key {key!r} booked another credit before; take a new key for a new payment.", key=key)
        return Credit(transaction, found.slug, amount, balance(conn, wallet))

    with act(ex, by, stored_key) as conn:
        return book(conn)


def payments(ex: Exchange, by: Actor, *, limit: int = 20) -> list[Payment]:
    """The payments that were booked last, newest first.

    Raises: Denied: `by` is not the operator.
    """
    authority.operator(by)
    query = (
        select(
            organisation.c.slug, ledger_entry.c.amount, ledger_transaction.c.key, ledger_transaction.c.memo, ledger_transaction.c.created_ns
        )
        .select_from(ledger_transaction.join(ledger_entry).join(ledger_account).join(organisation))
        .where(ledger_transaction.c.kind == "credit")
        .order_by(ledger_transaction.c.created_ns.desc(), ledger_transaction.c.id.desc())
        .limit(limit)
    )
    with db.read(ex) as conn:
        rows = conn.execute(query).all()
    return [Payment(row.slug, row.amount, row.key.removeprefix(CREDIT_PREFIX), row.memo, row.created_ns) for row in rows]


def wallet(ex: Exchange, by: Actor, org: str | None = None, *, limit: int = 100) -> Wallet:
    """The wallet of `by`'s organisation; auditors and operators name one.

    Raises: Denied: no organisation, or not the own one. NotFound. Invalid: `limit` not within 1 to 1000.
    """
    if not 1 <= limit <= 1000:
        raise Invalid("page.limit", f"The limit must be 1 to 1000, not {limit}.", limit=limit)
    if not authority.sees_all(by):
        authority.member(by)
        if org is not None and org != by.org_slug:
            raise Denied("wallet.foreign", "A wallet is shown to its own organisation only.")
        org = by.org_slug
    if org is None:
        raise Invalid("wallet.org", "Name the organisation whose wallet is asked for.")
    with db.read(ex) as conn:
        found = orgs.find_org(conn, org)
        now, owed = balance(conn, wallet_id(found.id)), -balance(conn, owed_id(found.id))
        rows = conn.execute(_entries(found.id).limit(limit)).all()
    return Wallet(found.slug, now, _running(rows, found.id, now), owed)


def statement(ex: Exchange, by: Actor) -> Wallet:
    """The wallet of `by`'s organisation with every entry that there ever was, newest first.

    Raises: Denied: no organisation.
    """
    org_id = authority.member(by)
    with db.read(ex) as conn:
        now, owed = balance(conn, wallet_id(org_id)), -balance(conn, owed_id(org_id))
        rows = conn.execute(_entries(org_id)).all()
    return Wallet(by.org_slug, now, _running(rows, org_id, now), owed)


def _entries(org_id: str) -> Select[tuple[Any, ...]]:
    """Query of the entries of an organisation's wallet, newest first."""
    return (
        select(
            ledger_transaction.c.id,
            ledger_transaction.c.kind,
            ledger_transaction.c.created_ns,
            ledger_transaction.c.memo,
            ledger_entry.c.amount,
            order.c.id.label("order_id"),
            order.c.org_id.label("buyer"),
        )
        .select_from(ledger_entry.join(ledger_transaction).outerjoin(order, order.c.id == ledger_transaction.c.order_id))
        .where(ledger_entry.c.account_id == wallet_id(org_id))
        .order_by(ledger_transaction.c.created_ns.desc(), ledger_transaction.c.id.desc())
    )


def _running(rows: Sequence[Any], org_id: str, now: int) -> list[WalletEntry]:
    """The entries of rows of `_entries`, with the balance after each; `now` is the balance after the first."""
    entries, running = [], now
    for row in rows:
        own = row.order_id if row.buyer == org_id else None
        memo = row.memo if row.buyer in (None, org_id) else ""  # it counts the lines of all sellers
        entries.append(WalletEntry(row.id, row.kind, row.created_ns, memo, own, row.amount, running))
        running -= row.amount
    return entries


def balance(conn: Connection, account_id: str) -> int:
    """Balance of an account; 0 for one that was never used."""
    return conn.execute(select(ledger_account.c.balance).where(ledger_account.c.id == account_id)).scalar() or 0


def open_wallet(conn: Connection, org_id: str) -> str:
    """Id of the organisation's wallet account, which is made when it is not there yet."""
    account_id = wallet_id(org_id)
    _open(conn, account_id, "wallet", org_id)
    return account_id


def hold(conn: Connection, account_ids: Iterable[str]) -> None:
    """Keep these accounts as they are until the commit. Everybody takes the rows in the same order, so that no two wait for each other.

    What an organisation owes is held with its wallet.
    """
    wanted = sorted(set(account_ids))
    for account in wanted:
        if account in COMMON:
            _open(conn, account, COMMON[account], None)
    row = ledger_account.c.id
    conn.execute(select(row).where(row.in_(wanted)).order_by(row).with_for_update(key_share=True)).all()


def share(conn: Connection, org_id: str, amount: int) -> dict[str, int]:
    """What `amount` KRW for a seller (to be taken back where negative) moves, by account; its wallet is open and held.

    What it owes is paid first; what its wallet does not hold, it owes.
    """
    wallet, owed = wallet_id(org_id), owed_id(org_id)
    if amount >= 0:
        repaid = min(amount, -balance(conn, owed))
        return {wallet: amount - repaid, owed: repaid}
    lacking = max(0, -amount - balance(conn, wallet))
    if lacking:
        _open(conn, owed, "receivable", org_id)
    return {wallet: amount + lacking, owed: -lacking}


def post(
    conn: Connection,
    ex: Exchange,
    kind: str,
    amounts: Mapping[str, int],
    *,
    order_id: str | None = None,
    key: str | None = None,
    memo: str = "",
) -> str:
    """Write one transaction (`amounts`: KRW by account id) and move the cached balances with it; returns its id.

    The caller holds the accounts, if it read what they hold.
    Raises: ValueError: the amounts do not sum to zero. Unpaid: a wallet would be negative. Conflict: `ledger.full`.
    """
    if sum(amounts.values()) != 0:
        raise ValueError(f"entries do not sum to zero: {dict(amounts)}")
    transaction = ids.new("txn")
    conn.execute(insert(ledger_transaction).values(id=transaction, kind=kind, order_id=order_id, key=key, memo=memo, created_ns=ex.now()))
    moved = {account: amount for account, amount in amounts.items() if amount}
    for account, amount in sorted(moved.items()):  # everybody takes the rows in the same order, so that no two wait for each other
        _move(conn, account, amount)
    if moved:
        rows = [{"id": ids.new("led"), "transaction_id": transaction, "account_id": a, "amount": n} for a, n in sorted(moved.items())]
        conn.execute(insert(ledger_entry), rows)
    total = conn.execute(select(func.coalesce(func.sum(ledger_entry.c.amount), 0)).where(ledger_entry.c.transaction_id == transaction))
    if total.scalar_one() != 0:
        raise ValueError(f"transaction {transaction} does not sum to zero")
    return transaction


def check_funds(conn: Connection, account_id: str, needed: int) -> None:
    """Pass when the account holds `needed` KRW. The caller holds the buyer's turn, so that until the commit it can only get more.

    Raises: Unpaid: `wallet.insufficient`, with `needed` and `available`.
    """
    available = balance(conn, account_id)
    if available < needed:
        raise Unpaid(
            "wallet.insufficient",
            f"{needed} KRW are needed and the wallet holds {available} KRW; have the operator credit at least {needed - available} KRW.",
            needed=needed,
            available=available,
        )


def check_key(key: object) -> str:
    """`key` when it can be an idempotency key.

    Raises: Invalid: `order.key`.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or not key.isprintable() or not key.isascii():
        raise Invalid(
            "order.key", f"An idempotency key is 1 to {MAX_KEY} printable ASCII characters that the client chooses for a request."
        )
    return key


def _move(conn: Connection, account: str, amount: int) -> None:
    """Change the balance of an account.

    Raises: Unpaid. Conflict: `ledger.full`: the account would hold more than can be counted; in the bank it is all money there is.
    """
    if account in COMMON:
        _open(conn, account, COMMON[account], None)
    elif amount < 0 and not account.startswith(OWED):
        check_funds(conn, account, -amount)
    fits = ledger_account.c.balance.between(-MAX_AMOUNT - amount, MAX_AMOUNT - amount)
    is_it = ledger_account.c.id == account
    changed = conn.execute(update(ledger_account).where(is_it, fits).values(balance=ledger_account.c.balance + amount))
    if changed.rowcount == 1:
        return
    if conn.execute(select(ledger_account.c.id).where(is_it)).first() is None:
        raise ValueError(f"no account {account}")
    raise Conflict("ledger.full", f"An account would hold more than {MAX_AMOUNT:,} KRW; nothing was booked. Book less.", largest=MAX_AMOUNT)


def _open(conn: Connection, account_id: str, kind: str, org_id: str | None) -> None:
    statement = "INSERT INTO ledger_account (id, kind, org_id, balance) VALUES (:id, :kind, :org, 0) ON CONFLICT (id) DO NOTHING"
    conn.execute(text(statement), {"id": account_id, "kind": kind, "org": org_id})
