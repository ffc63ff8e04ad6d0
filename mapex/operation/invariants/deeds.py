"""What is in the log as done: it is stored, and was done once."""

from __future__ import annotations

from sqlalchemy import Connection

from mapex.operation.invariants.asking import RELEASED, Offender, ask, member


def lost(conn: Connection) -> list[Offender]:
    """I1: what is in the log as done, and is not stored."""

    def gone(action: str, named: str, table: str) -> list[Offender]:
        key = member(conn, named)
        return ask(
            conn,
            f"event {{0}} {action} names {named} {{1}}, which is not there",
            f"SELECT a.seq, {key} FROM audit_event a LEFT JOIN {table} t ON t.id = {key} WHERE a.action = :action AND t.id IS NULL",
            action=action,
        )

    number = "CAST(" + member(conn, "version") + " AS integer)"
    return [
        *gone("order.placed", "order", "purchase_order"),
        *gone("wallet.credited", "transaction", "ledger_transaction"),
        *gone("order.refunded", "refund", "refund"),
        *gone("settlement.closed", "settlement", "settlement"),
        *gone("settlement.paid", "transaction", "ledger_transaction"),
        *gone("vat.paid", "transaction", "ledger_transaction"),
        *gone("fee.drawn", "transaction", "ledger_transaction"),
        *gone("quote.made", "quote", "quote"),
        *gone("access.granted", "grant", "access_grant"),
        *gone("offer.published", "offer", "offer"),
        *ask(
            conn,
            "event {0} published version {1} of {2}/{3}, which is not there or not published",
            f"SELECT a.seq, {number}, a.owner, a.dataset FROM audit_event a LEFT JOIN organisation g ON g.slug = a.owner "
            "LEFT JOIN dataset d ON d.org_id = g.id AND d.slug = a.dataset "
            f"LEFT JOIN dataset_version v ON v.dataset_id = d.id AND v.number = {number} AND v.state IN {RELEASED} "
            "WHERE a.action = 'version.published' AND v.id IS NULL",
        ),
    ]


def repeated(conn: Connection) -> list[Offender]:
    """I2: keys that had more than one effect."""
    order, number = member(conn, "order"), member(conn, "version")
    return [
        *ask(
            conn,
            "order {0} has {1} payments",
            "SELECT order_id, COUNT(*) FROM ledger_transaction WHERE kind = 'order' GROUP BY order_id HAVING COUNT(*) > 1",
        ),
        *ask(
            conn,
            "order {0} was logged {1} times",
            f"SELECT {order}, COUNT(*) FROM audit_event a WHERE a.action = 'order.placed' GROUP BY {order} HAVING COUNT(*) > 1",
        ),
        *ask(
            conn,
            "version {2} of {0}/{1} was published {3} times",
            f"SELECT a.owner, a.dataset, {number}, COUNT(*) FROM audit_event a WHERE a.action = 'version.published' "
            f"GROUP BY a.owner, a.dataset, {number} HAVING COUNT(*) > 1",
        ),
        *ask(
            conn,
            "quote {0} was bought {1} times",
            "SELECT quote_id, COUNT(*) FROM purchase_order GROUP BY quote_id HAVING COUNT(*) > 1",
        ),
        *ask(
            conn,
            "dataset {0} has {1} live offers",
            "SELECT dataset_id, COUNT(*) FROM offer WHERE state = 'live' GROUP BY dataset_id HAVING COUNT(*) > 1",
        ),
    ]
