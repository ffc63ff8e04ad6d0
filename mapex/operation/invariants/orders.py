"""Orders with their quotes, lines, tiles, payments, grants and entries of the log: all of them say the same."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.database.schema import quote
from mapex.exchange import Exchange
from mapex.operation.invariants import earlier, updates
from mapex.operation.invariants.asking import Offender, ask, member
from mapex.orders import lines
from mapex.prices.estimate import Line
from mapex.prices.quotes import is_genuine
from mapex.rules.pricing import UNITS


def disagreeing(ex: Exchange, conn: Connection) -> list[Offender]:
    """I4: orders, quotes, entitlements, money, grants and log that contradict each other."""
    total, order, grant = member(conn, "total"), member(conn, "order"), member(conn, "grant")
    return [
        *ask(
            conn,
            "order {0} of {1} KRW is not in the log with this total",
            f"SELECT o.id, o.total FROM purchase_order o WHERE (o.id, o.total) NOT IN (SELECT {order}, CAST({total} AS bigint) "
            f"FROM audit_event a WHERE a.action = 'order.placed' AND {order} IS NOT NULL AND {total} IS NOT NULL)",
        ),
        *ask(
            conn,
            "order {0} costs {1} KRW and its quote {2}",
            "SELECT o.id, o.total, q.total FROM purchase_order o JOIN quote q ON q.id = o.quote_id "
            "WHERE o.total <> q.total OR o.subtotal + o.vat <> o.total",
        ),
        *ask(
            conn,
            "order {0} costs {1} KRW and its buyer paid {2}",
            "SELECT o.id, o.total, COALESCE(-SUM(e.amount), 0) FROM purchase_order o LEFT JOIN ledger_transaction t ON t.order_id = o.id "
            "AND t.kind = 'order' LEFT JOIN ledger_account c ON c.kind = 'wallet' AND c.org_id = o.org_id "
            "LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.account_id = c.id "
            "GROUP BY o.id, o.total HAVING o.total <> COALESCE(-SUM(e.amount), 0)",
        ),
        *_wrong_tiles(conn),
        *_wrong_permits(conn),
        *_wrong_lines(conn),
        *earlier.wrong(conn),
        *updates.wrong(conn),
        *ask(
            conn,
            "grant {0} is not in the log",
            f"SELECT g.id FROM access_grant g WHERE g.id NOT IN (SELECT {grant} FROM audit_event a "
            f"WHERE a.action = 'access.granted' AND {grant} IS NOT NULL)",
        ),
        *ask(
            conn,
            "grant {0} is of another organisation or object than its entitlement {1}",
            "SELECT g.id, e.id FROM access_grant g JOIN entitlement e ON e.id = g.entitlement_id "
            "JOIN tile t ON t.layer_id = e.layer_id AND t.cell = e.cell AND t.part = e.part "
            "WHERE g.org_id <> e.org_id OR g.object_key <> t.object_key OR t.sha256 <> e.sha256",
        ),
        *_foreign_entitlements(conn),
        *[f"quote {row['id']} is not what was signed" for row in conn.execute(quote.select()).mappings() if not is_genuine(ex, row)],
    ]


def _foreign_entitlements(conn: Connection) -> list[Offender]:
    """Entitlements that are not those of their order and layer."""
    return ask(
        conn,
        "entitlement {0} is not of its order's buyer and purpose, of its layer's dataset and version, or neither active nor taken back",
        "SELECT e.id FROM entitlement e JOIN purchase_order o ON o.id = e.order_id JOIN layer l ON l.id = e.layer_id "
        "JOIN dataset_version v ON v.id = l.version_id JOIN offer f ON f.id = e.offer_id WHERE e.org_id <> o.org_id "
        "OR e.purpose <> o.purpose OR NOT (e.state = 'active' OR (e.state = 'recalled' AND v.state = 'recalled')) "
        "OR e.layer_name <> l.name OR e.dataset_id <> v.dataset_id "
        "OR f.version_id <> v.id",
    )


_COLUMNS = sorted({unit.column for unit in UNITS.values()})


def _wrong_tiles(conn: Connection) -> Iterator[Offender]:
    """Orders whose entitlements are not the tiles of their lines, or of which others are marked as paid than were charged."""
    paid = ", ".join(f"CAST(SUM(e.paid * t.{column}) AS bigint) AS {column}" for column in _COLUMNS)
    rows = conn.execute(
        text(
            f"SELECT e.order_id, d.slug, e.layer_name, g.slug AS org, COUNT(DISTINCT e.cell) AS cells, {paid} FROM entitlement e "
            "JOIN tile t ON t.layer_id = e.layer_id AND t.cell = e.cell AND t.part = e.part "
            "JOIN dataset d ON d.id = e.dataset_id JOIN organisation g ON g.id = d.org_id GROUP BY e.order_id, d.slug, e.layer_name, g.slug"
        )
    )
    entitled = {(row.order_id, f"{row.org}/{row.slug}", row.layer_name): row for row in rows}
    for order_id, billed in lines.of_orders(conn).items():
        for line in billed:
            row = entitled.get((order_id, f"{line.org}/{line.dataset}", line.layer))
            what = f"order {order_id} has {line.tiles} tiles of {line.dataset} {line.layer}"
            if row is None or row.cells != line.tiles:
                yield f"{what} and {row.cells if row else 0} entitlements"
            elif (measured := getattr(row, UNITS[line.unit].column)) != line.small:
                yield f"{what} and charges {line.small} of them, and entitlements of {measured} are marked as paid"


def _wrong_permits(conn: Connection) -> Iterator[Offender]:
    """Orders whose tiles name another permit than the quote that was signed."""
    named: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
    for order_id, layer_id, permit_id in conn.execute(text("SELECT DISTINCT order_id, layer_id, permit_id FROM entitlement")):
        named[order_id].add((layer_id, permit_id))
    for order_id, body in conn.execute(text("SELECT p.id, q.body FROM purchase_order p JOIN quote q ON q.id = p.quote_id ORDER BY p.id")):
        pinned = {(pin["layer_id"], pin["permit_id"]) for pin in json.loads(body)["pins"]}
        if not named[order_id] <= pinned:
            yield f"tiles of order {order_id} name another permit than its quote"


def _wrong_lines(conn: Connection) -> Iterator[Offender]:
    """Orders whose lines are not those of the quote that was signed, or do not sum to what was charged."""
    billed = lines.of_orders(conn)
    signed = text("SELECT p.id, p.subtotal, q.body FROM purchase_order p JOIN quote q ON q.id = p.quote_id ORDER BY p.id")
    for order_id, subtotal, body in conn.execute(signed):
        of_order = billed.get(order_id, ())
        for line in of_order:
            if line.unit in UNITS and line.amount != max(0, line.price - line.earlier):
                yield f"order {order_id} charges {line.amount} KRW for {line.layer} and not its price less what was paid before"
        if of_order != tuple(Line(**line) for line in json.loads(body)["lines"]):
            yield f"order {order_id} has other lines than its quote"
        if (total := sum(line.amount for line in of_order)) != subtotal:
            yield f"order {order_id} charges {subtotal} KRW and its lines {total}"
