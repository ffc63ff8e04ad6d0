"""What sellers got: sales as their orders were billed, refunds that were due, settlements that cover each of them once."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.operation.invariants.asking import Offender, ask, member
from mapex.rules.pricing import fee_of, signed_vat_of
from mapex.times import month_end_ns


def wrong(conn: Connection) -> Iterator[Offender]:
    """I12: sales, refunds, settlements and payouts that are not what orders and recalls make of them."""
    yield from _wrong_sales(conn)
    yield from _wrong_refunds(conn)
    yield from _not_taken_back(conn)
    yield from _wrong_settlements(conn)
    yield from _wrong_payouts(conn)


def _wrong_sales(conn: Connection) -> Iterator[Offender]:
    billed = "SELECT n.order_id, d.org_id, SUM(n.amount) AS amount FROM order_line n JOIN dataset d ON d.id = n.dataset_id GROUP BY 1, 2"
    yield from ask(
        conn,
        "order {0} sold for {1} KRW of {2} and what is noted as sold is {3}",
        f"SELECT b.order_id, b.amount, b.org_id, s.amount FROM ({billed}) b LEFT JOIN sale s ON s.order_id = b.order_id "
        "AND s.org_id = b.org_id WHERE s.id IS NULL OR s.amount <> b.amount",
    )
    yield from ask(
        conn,
        "sale {0} is of an order that sold nothing of its seller",
        f"SELECT s.id FROM sale s LEFT JOIN ({billed}) b ON b.order_id = s.order_id AND b.org_id = s.org_id WHERE b.order_id IS NULL",
    )
    yield from ask(
        conn,
        "order {0} has fees of several rates",
        "SELECT order_id FROM sale GROUP BY order_id HAVING COUNT(DISTINCT fee_rate) > 1",
    )
    for row in conn.execute(text("SELECT id, amount, fee_rate, fee FROM sale ORDER BY id")):
        if row.fee != fee_of(row.amount, row.fee_rate):
            yield f"sale {row.id} of {row.amount} KRW has a fee of {row.fee}"


def _wrong_refunds(conn: Connection) -> Iterator[Offender]:
    yield from ask(
        conn,
        "refund {0} returns {1} KRW and {2} were paid for the version, or it was not recalled",
        "SELECT f.id, f.amount, SUM(n.amount) FROM refund f JOIN dataset_version v ON v.id = f.version_id "
        "LEFT JOIN order_line n ON n.order_id = f.order_id AND n.dataset_id = v.dataset_id AND n.version = v.number "
        "JOIN dataset d ON d.id = v.dataset_id GROUP BY f.id, f.amount, f.org_id, d.org_id, v.state "
        "HAVING f.amount <> COALESCE(SUM(n.amount), 0) OR v.state <> 'recalled' OR f.org_id <> d.org_id",
    )
    of_account = "(SELECT COALESCE(-SUM(e.amount), 0) FROM ledger_entry e WHERE e.transaction_id = t.id AND e.account_id = 'acc_{0}')"
    yield from ask(
        conn,
        "refund {0} moved another VAT or fee than it notes, or is of another order",
        "SELECT f.id FROM refund f JOIN ledger_transaction t ON t.id = f.transaction_id WHERE t.kind <> 'refund' "
        f"OR t.order_id <> f.order_id OR f.vat <> {of_account.format('vat')} OR f.fee <> {of_account.format('fee')}",
    )
    yield from ask(
        conn,
        "order {0} cost {1} KRW and {2} were returned",
        "SELECT o.id, o.total, SUM(f.amount + f.vat) FROM purchase_order o JOIN refund f ON f.order_id = o.id "
        "GROUP BY o.id, o.total, o.subtotal, o.vat HAVING SUM(f.amount) > o.subtotal OR SUM(f.vat) > o.vat "
        "OR (SUM(f.amount) = o.subtotal AND SUM(f.vat) <> o.vat)",
    )
    yield from ask(
        conn,
        "fees of {1} KRW were returned for sale {0}, and {2} were taken",
        "SELECT s.id, SUM(f.fee), s.fee FROM sale s JOIN refund f ON f.order_id = s.order_id AND f.org_id = s.org_id "
        "GROUP BY s.id, s.amount, s.fee HAVING SUM(f.fee) > s.fee OR (SUM(f.amount) = s.amount AND SUM(f.fee) <> s.fee)",
    )


def _not_taken_back(conn: Connection) -> list[Offender]:
    """Recalls since money is returned: every order of the version that paid anything was refunded, and every tile taken back."""
    number = "CAST(" + member(conn, "version") + " AS integer)"
    versions = (
        "audit_event a JOIN organisation o ON o.slug = a.owner JOIN dataset d ON d.org_id = o.id AND d.slug = a.dataset "
        f"JOIN dataset_version v ON v.dataset_id = d.id AND v.number = {number}"
    )
    recalled = f"a.action = 'version.recalled' AND {member(conn, 'refunds')} IS NOT NULL"
    return [
        *ask(
            conn,
            "order {0} paid for version {1}, which was recalled, and got nothing back",
            f"SELECT DISTINCT n.order_id, v.id FROM {versions} JOIN order_line n ON n.dataset_id = d.id AND n.version = v.number "
            f"WHERE {recalled} AND n.amount > 0 "
            "AND NOT EXISTS (SELECT 1 FROM refund f WHERE f.order_id = n.order_id AND f.version_id = v.id)",
        ),
        *ask(
            conn,
            "tiles of order {0} of the recalled version {1} are still active",
            f"SELECT DISTINCT e.order_id, v.id FROM {versions} JOIN layer l ON l.version_id = v.id JOIN entitlement e ON e.layer_id = l.id "
            f"WHERE {recalled} AND e.state <> 'recalled'",
        ),
    ]


def _wrong_settlements(conn: Connection) -> Iterator[Offender]:
    covered = (
        "SELECT c.settlement_id, s.org_id, s.amount AS sold, 0 AS returned, s.fee, o.created_ns FROM settled_sale c "
        "JOIN sale s ON s.id = c.sale_id JOIN purchase_order o ON o.id = s.order_id UNION ALL "
        "SELECT c.settlement_id, f.org_id, 0, f.amount, -f.fee, f.created_ns FROM settled_refund c JOIN refund f ON f.id = c.refund_id"
    )
    query = (
        "SELECT t.id, t.month, t.sales, t.refunds, t.fee, t.vat, CAST(SUM(c.sold) AS bigint) AS sold, "
        "CAST(SUM(c.returned) AS bigint) AS returned, CAST(SUM(c.fee) AS bigint) AS taken, MAX(c.created_ns) AS newest, "
        "MAX(CASE WHEN c.org_id <> t.org_id THEN 1 ELSE 0 END) AS strange, "
        "(SELECT CAST(COALESCE(-SUM(e.amount), 0) AS bigint) FROM ledger_entry e WHERE e.transaction_id = t.transaction_id "
        "AND e.account_id = 'acc_vat') AS moved "
        f"FROM settlement t LEFT JOIN ({covered}) c ON c.settlement_id = t.id GROUP BY t.id ORDER BY t.id"
    )
    for row in conn.execute(text(query)):
        if (row.sales, row.refunds, row.fee) != (row.sold, row.returned, row.taken) or row.strange:
            yield f"settlement {row.id} is not the sum of what it covers"
        elif row.newest >= month_end_ns(row.month):
            yield f"settlement {row.id} of {row.month} covers what came after it"
        if row.vat != signed_vat_of(row.sales - row.refunds - row.fee) or row.vat != row.moved:
            yield f"settlement {row.id} has VAT of {row.vat} KRW, and {row.moved} were moved"


def _wrong_payouts(conn: Connection) -> list[Offender]:
    return ask(
        conn,
        "payout of settlement {0} is {1} KRW, and {2} were due",
        "SELECT p.settlement_id, p.amount, s.sales - s.refunds - s.fee + s.vat FROM payout p JOIN settlement s ON s.id = p.settlement_id "
        "JOIN ledger_transaction t ON t.id = p.transaction_id LEFT JOIN ledger_entry e ON e.transaction_id = t.id "
        "AND e.account_id = 'acc_bank' WHERE p.amount > s.sales - s.refunds - s.fee + s.vat OR p.amount <= 0 OR t.kind <> 'payout' "
        "OR e.amount IS NULL OR e.amount <> p.amount",
    )
