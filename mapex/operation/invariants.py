"""The questions behind `mapex fsck`: SQL that names what breaks an invariant; an intact exchange answers with nothing.

They look only at what is stored, never at what the services would answer, so that they find what happened behind the services' back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.database import db
from mapex.database.schema import quote
from mapex.exchange import Exchange
from mapex.operation import ownership
from mapex.orders import lines
from mapex.prices.estimate import Line
from mapex.prices.quotes import is_genuine
from mapex.pyramid import cell_sums
from mapex.times import NS
from tiles.batch import QUANTITIES
from tiles.grid.grid import ZOOM

LONGEST_GRANT_NS = 300 * NS
"""No download address may live longer: until its end nothing takes it back, not even a permit that is suspended."""

RELEASED = ("published", "superseded", "withdrawn", "recalled")
"""States of versions that were published once; written into a query, the tuple reads as a list of SQL."""

Offender = str


def _ask(conn: Connection, what: str, sql: str, **values: object) -> list[Offender]:
    """`what` filled in with the columns of each row that the question finds."""
    return [what.format(*row) for row in conn.execute(text(sql), values)]


def _member(conn: Connection, name: str) -> str:
    """SQL for a member of an event's payload, as text."""
    return f"json_extract(a.payload, '$.{name}')" if db.is_sqlite(conn) else f"(CAST(a.payload AS json) ->> '{name}')"


def lost(conn: Connection) -> list[Offender]:
    """I1: what is in the log as done, and is not stored."""

    def gone(action: str, member: str, table: str) -> list[Offender]:
        key = _member(conn, member)
        return _ask(
            conn,
            f"event {{0}} {action} names {member} {{1}}, which is not there",
            f"SELECT a.seq, {key} FROM audit_event a LEFT JOIN {table} t ON t.id = {key} WHERE a.action = :action AND t.id IS NULL",
            action=action,
        )

    number = "CAST(" + _member(conn, "version") + " AS integer)"
    return [
        *gone("order.placed", "order", "purchase_order"),
        *gone("wallet.credited", "transaction", "ledger_transaction"),
        *gone("quote.made", "quote", "quote"),
        *gone("access.granted", "grant", "access_grant"),
        *gone("offer.published", "offer", "offer"),
        *_ask(
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
    order, number = _member(conn, "order"), _member(conn, "version")
    return [
        *_ask(
            conn,
            "order {0} has {1} payments",
            "SELECT order_id, COUNT(*) FROM ledger_transaction WHERE order_id IS NOT NULL GROUP BY order_id HAVING COUNT(*) > 1",
        ),
        *_ask(
            conn,
            "order {0} was logged {1} times",
            f"SELECT {order}, COUNT(*) FROM audit_event a WHERE a.action = 'order.placed' GROUP BY {order} HAVING COUNT(*) > 1",
        ),
        *_ask(
            conn,
            "version {2} of {0}/{1} was published {3} times",
            f"SELECT a.owner, a.dataset, {number}, COUNT(*) FROM audit_event a WHERE a.action = 'version.published' "
            f"GROUP BY a.owner, a.dataset, {number} HAVING COUNT(*) > 1",
        ),
        *_ask(
            conn,
            "quote {0} was bought {1} times",
            "SELECT quote_id, COUNT(*) FROM purchase_order GROUP BY quote_id HAVING COUNT(*) > 1",
        ),
        *_ask(
            conn,
            "dataset {0} has {1} live offers",
            "SELECT dataset_id, COUNT(*) FROM offer WHERE state = 'live' GROUP BY dataset_id HAVING COUNT(*) > 1",
        ),
    ]


def unbalanced(conn: Connection) -> list[Offender]:
    """I3: transactions, balances and wallets that do not add up."""
    return [
        *_ask(
            conn,
            "transaction {0} sums to {1}",
            "SELECT transaction_id, SUM(amount) FROM ledger_entry GROUP BY transaction_id HAVING SUM(amount) <> 0",
        ),
        *_ask(
            conn,
            "account {0} has the balance {1} and its entries sum to {2}",
            "SELECT a.id, a.balance, COALESCE(SUM(e.amount), 0) FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id "
            "GROUP BY a.id, a.balance HAVING a.balance <> COALESCE(SUM(e.amount), 0)",
        ),
        *_ask(conn, "wallet {0} is at {1}", "SELECT id, balance FROM ledger_account WHERE kind = 'wallet' AND balance < 0"),
    ]


def disagreeing(ex: Exchange, conn: Connection) -> list[Offender]:
    """I4: orders, quotes, entitlements, money, grants and log that contradict each other."""
    total, order, grant = _member(conn, "total"), _member(conn, "order"), _member(conn, "grant")
    return [
        *_ask(
            conn,
            "order {0} of {1} KRW is not in the log with this total",
            "SELECT o.id, o.total FROM purchase_order o LEFT JOIN audit_event a ON a.action = 'order.placed' "
            f"AND {order} = o.id AND CAST({total} AS bigint) = o.total WHERE a.seq IS NULL",
        ),
        *_ask(
            conn,
            "order {0} costs {1} KRW and its quote {2}",
            "SELECT o.id, o.total, q.total FROM purchase_order o JOIN quote q ON q.id = o.quote_id "
            "WHERE o.total <> q.total OR o.subtotal + o.vat <> o.total",
        ),
        *_ask(
            conn,
            "order {0} costs {1} KRW and its buyer paid {2}",
            "SELECT o.id, o.total, COALESCE(-SUM(e.amount), 0) FROM purchase_order o LEFT JOIN ledger_transaction t ON t.order_id = o.id "
            "LEFT JOIN ledger_account c ON c.kind = 'wallet' AND c.org_id = o.org_id "
            "LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.account_id = c.id "
            "GROUP BY o.id, o.total HAVING o.total <> COALESCE(-SUM(e.amount), 0)",
        ),
        *_wrong_tiles(conn),
        *_wrong_lines(conn),
        *_ask(
            conn,
            "grant {0} is not in the log",
            f"SELECT g.id FROM access_grant g LEFT JOIN (SELECT {grant} AS id FROM audit_event a WHERE a.action = 'access.granted') l "
            "ON l.id = g.id WHERE l.id IS NULL",
        ),
        *_ask(
            conn,
            "grant {0} is of another organisation or object than its entitlement {1}",
            "SELECT g.id, e.id FROM access_grant g JOIN entitlement e ON e.id = g.entitlement_id "
            "JOIN tile t ON t.layer_id = e.layer_id AND t.cell = e.cell AND t.part = e.part "
            "WHERE g.org_id <> e.org_id OR g.object_key <> t.object_key OR t.sha256 <> e.sha256",
        ),
        *[f"quote {row['id']} is not what was signed" for row in conn.execute(quote.select()).mappings() if not is_genuine(ex, row)],
    ]


def _wrong_tiles(conn: Connection) -> Iterator[Offender]:
    """Orders whose entitlements are not the tiles of their lines."""
    entitled: dict[tuple[str, str, str], int] = {}
    rows = conn.execute(
        text(
            "SELECT e.order_id, d.slug, e.layer_name, COUNT(DISTINCT e.cell), g.slug FROM entitlement e "
            "JOIN dataset d ON d.id = e.dataset_id JOIN organisation g ON g.id = d.org_id GROUP BY e.order_id, d.slug, e.layer_name, g.slug"
        )
    )
    for order_id, dataset, layer, cells, org in rows:
        entitled[order_id, f"{org}/{dataset}", layer] = cells
    for order_id, billed in lines.of_orders(conn).items():
        for line in billed:
            cells = entitled.get((order_id, f"{line.org}/{line.dataset}", line.layer), 0)
            if cells != line.tiles:
                yield f"order {order_id} has {line.tiles} tiles of {line.dataset} {line.layer} and {cells} entitlements"


def _wrong_lines(conn: Connection) -> Iterator[Offender]:
    """Orders whose lines are not those of the quote that was signed, or do not sum to what was charged."""
    billed = lines.of_orders(conn)
    signed = text("SELECT p.id, p.subtotal, q.body FROM purchase_order p JOIN quote q ON q.id = p.quote_id ORDER BY p.id")
    for order_id, subtotal, body in conn.execute(signed):
        of_order = billed.get(order_id, ())
        if of_order != tuple(Line(**line) for line in json.loads(body)["lines"]):
            yield f"order {order_id} has other lines than its quote"
        if (total := sum(line.amount for line in of_order)) != subtotal:
            yield f"order {order_id} charges {subtotal} KRW and its lines {total}"


def leaked(conn: Connection) -> list[Offender]:
    """I6: what is listed, sold or classless and should not be."""
    return [
        *_ask(
            conn,
            "layer {0} is listed and not on offer",
            "SELECT s.layer_id FROM (SELECT DISTINCT layer_id FROM tile_sum) s JOIN layer l ON l.id = s.layer_id "
            "JOIN dataset_version v ON v.id = l.version_id LEFT JOIN offer o ON o.version_id = v.id AND o.state = 'live' "
            "WHERE o.id IS NULL OR v.state <> 'published'",
        ),
        *_ask(
            conn,
            "offer {0} is live and its version is {1}",
            "SELECT o.id, v.state FROM offer o JOIN dataset_version v ON v.id = o.version_id "
            "WHERE o.state = 'live' AND v.state <> 'published'",
        ),
        *_ask(
            conn,
            "layer {0} is published without a handling class",
            "SELECT l.id FROM layer l JOIN dataset_version v ON v.id = l.version_id "
            f"WHERE v.state IN {RELEASED} AND l.handling_class IS NULL",
        ),
        *_ask(
            conn,
            "order {0} holds tiles of version {1}, which is {2}",
            "SELECT DISTINCT e.order_id, v.id, v.state FROM entitlement e JOIN layer l ON l.id = e.layer_id "
            f"JOIN dataset_version v ON v.id = l.version_id WHERE v.state NOT IN {RELEASED}",
        ),
    ]


def overdue(conn: Connection) -> list[Offender]:
    """I10: grants outside their permit, their period or their version's life."""
    return [*_out_of_bounds(conn), *_while_suspended(conn), *_after_recall(conn)]


def _out_of_bounds(conn: Connection) -> list[Offender]:
    """Grants outside the period of their permit, without the permit that they need, or that live too long."""
    return [
        *_ask(
            conn,
            "grant {0} was issued outside the period of permit {1}",
            "SELECT g.id, p.number FROM access_grant g JOIN permit p ON p.id = g.permit_id "
            "WHERE g.issued_ns < p.valid_from_ns OR g.issued_ns >= p.valid_to_ns",
        ),
        *_ask(
            conn,
            "grant {0} gives {1} data without a permit",
            "SELECT g.id, l.handling_class FROM access_grant g JOIN entitlement e ON e.id = g.entitlement_id "
            "JOIN layer l ON l.id = e.layer_id WHERE g.permit_id IS NULL AND l.handling_class IN ('restricted', 'original')",
        ),
        *_ask(
            conn,
            "grant {0} lives {1} ns",
            "SELECT id, expires_ns - issued_ns FROM access_grant WHERE expires_ns - issued_ns > :most OR expires_ns <= issued_ns",
            most=LONGEST_GRANT_NS,
        ),
    ]


def _while_suspended(conn: Connection) -> list[Offender]:
    found: list[Offender] = []
    for permit, since, until in _suspensions(conn):
        found += _ask(
            conn,
            "grant {0} was issued while permit {1} was suspended or revoked",
            "SELECT g.id, p.number FROM access_grant g JOIN permit p ON p.id = g.permit_id "
            "WHERE p.number = :permit AND g.issued_ns > :since AND g.issued_ns < :until",
            permit=permit,
            since=since,
            until=until,
        )
    return found


def _after_recall(conn: Connection) -> list[Offender]:
    number = "CAST(" + _member(conn, "version") + " AS integer)"
    return _ask(
        conn,
        "grant {0} was issued after its version was recalled",
        f"SELECT DISTINCT g.id FROM audit_event a JOIN organisation o ON o.slug = a.owner JOIN dataset d ON d.org_id = o.id "
        f"AND d.slug = a.dataset JOIN dataset_version v ON v.dataset_id = d.id AND v.number = {number} JOIN layer l ON l.version_id = v.id "
        "JOIN entitlement e ON e.layer_id = l.id JOIN access_grant g ON g.entitlement_id = e.id "
        "WHERE a.action = 'version.recalled' AND g.issued_ns > a.at_ns",
    )


def _suspensions(conn: Connection) -> list[tuple[str, int, int]]:
    """(permit number, from, to) of the times in which permits were not active, by the log."""
    spans: list[tuple[str, int, int]] = []
    since: dict[str, int] = {}
    rows = conn.execute(
        text(
            "SELECT permit, action, at_ns FROM audit_event WHERE action IN ('permit.suspended', 'permit.revoked', 'permit.resumed') "
            "ORDER BY seq"
        )
    )
    for permit, action, at_ns in rows:
        if action != "permit.resumed":
            since.setdefault(permit, at_ns)
        elif permit in since:
            spans.append((permit, since.pop(permit), at_ns))
    forever = 2**63 - 1
    return spans + [(permit, at_ns, forever) for permit, at_ns in since.items()]


def halves(conn: Connection) -> list[Offender]:
    """I11: what only a half-done action leaves."""
    found = [
        *_ask(
            conn,
            "order {0} gives no tile",
            "SELECT o.id FROM purchase_order o WHERE NOT EXISTS (SELECT 1 FROM entitlement e WHERE e.order_id = o.id)",
        ),
        *_ask(
            conn,
            "order {0} has no payment",
            "SELECT o.id FROM purchase_order o LEFT JOIN ledger_transaction t ON t.order_id = o.id WHERE t.id IS NULL",
        ),
        *_ask(
            conn,
            "transaction {0} has no entries",
            "SELECT t.id FROM ledger_transaction t LEFT JOIN purchase_order o ON o.id = t.order_id "
            "WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id) AND COALESCE(o.total, 1) <> 0",
        ),
        *_ask(
            conn,
            "version {0} is {1} and was never on offer",
            "SELECT v.id, v.state FROM dataset_version v WHERE v.state IN ('published', 'superseded') "
            "AND NOT EXISTS (SELECT 1 FROM offer o WHERE o.version_id = v.id)",
        ),
        *_ask(
            conn,
            "version {0} is being read and no job does it",
            "SELECT v.id FROM dataset_version v WHERE v.state = 'ingesting' AND NOT EXISTS "
            "(SELECT 1 FROM job j WHERE j.version_id = v.id AND j.state IN ('queued', 'running'))",
        ),
    ]
    if db.is_sqlite(conn):
        found += _ask(conn, "row {1} of {0} refers to a {2} that is not there", "PRAGMA foreign_key_check")
    return found


def wrong_sums(conn: Connection) -> list[Offender]:
    """Pyramids that are not the sums of their tiles."""
    numbered = list(enumerate(QUANTITIES, start=1))
    of_tiles = ", ".join(f"SUM(t.{name}) AS c{i}" for i, name in numbered)
    of_sums = ", ".join(f"SUM({name}) AS c{i}" for i, name in numbered)
    differ = " OR ".join(f"a.c{i} <> b.c{i}" for i, _ in numbered)
    everything = " + ".join(f"SUM({name})" for name in QUANTITIES)
    levels = ZOOM - cell_sums.ZMIN + 1
    found = _ask(
        conn,
        "layer {0} has other sums than its tiles",
        f"SELECT a.layer_id FROM (SELECT t.layer_id, COUNT(DISTINCT t.cell) AS c0, {of_tiles} FROM tile t "
        "JOIN layer l ON l.id = t.layer_id JOIN offer o ON o.version_id = l.version_id AND o.state = 'live' GROUP BY t.layer_id) a "
        f"LEFT JOIN (SELECT layer_id, SUM(cells) AS c0, {of_sums} FROM tile_sum WHERE z = :zoom GROUP BY layer_id) b "
        f"ON b.layer_id = a.layer_id WHERE b.layer_id IS NULL OR a.c0 <> b.c0 OR {differ}",
        zoom=ZOOM,
    )
    for table, key in (("tile_sum", "layer_id"), ("owned_sum", "org_id, purpose, layer_id")):
        found += _ask(
            conn,
            f"{table} of {{0}} differs between zooms",
            f"SELECT layer_id FROM (SELECT {key}, z, SUM(cells) AS c, {everything} AS s FROM {table} GROUP BY {key}, z) p "
            f"GROUP BY {key} HAVING COUNT(*) <> {levels} OR MIN(c) <> MAX(c) OR MIN(s) <> MAX(s)",
        )
    return found + ownership.wrong(conn) + _wrong_showcase(conn)


def _wrong_showcase(conn: Connection) -> list[Offender]:
    """Layers and squares of the map that are not those of the layers on offer."""
    on_offer = (
        "SELECT l.id, l.kind FROM offer o JOIN organisation g ON g.id = o.org_id AND g.state = 'active' "
        "JOIN layer l ON l.version_id = o.version_id WHERE o.state = 'live'"
    )
    sums = "SUM(cells) AS c, MAX(seen_ns) AS n, MAX(quality) AS q, COUNT(DISTINCT cell) AS m"
    true = (
        f"SELECT z, kind, {sums} FROM (SELECT s.z, s.cell, k.kind, s.cells, k.seen_ns, k.quality FROM shown_layer k "
        "JOIN tile_sum s ON s.layer_id = k.layer_id) t GROUP BY z, kind"
    )
    return [
        *_ask(
            conn,
            "layer {0} is on offer but not on the map",
            f"SELECT w.id FROM ({on_offer}) w LEFT JOIN shown_layer k ON k.layer_id = w.id AND k.kind = w.kind WHERE k.layer_id IS NULL",
        ),
        *_ask(
            conn,
            "layer {0} is on the map but not on offer",
            f"SELECT k.layer_id FROM shown_layer k LEFT JOIN ({on_offer}) w ON w.id = k.layer_id WHERE w.id IS NULL",
        ),
        *_ask(
            conn,
            "the map's squares of zoom {0}, {1}, are not those of its layers",
            f"SELECT a.z, a.kind FROM ({true}) a LEFT JOIN (SELECT z, kind, {sums} FROM kind_sum GROUP BY z, kind) b "
            "ON b.z = a.z AND b.kind = a.kind WHERE b.z IS NULL OR a.c <> b.c OR a.n <> b.n OR a.q <> b.q OR a.m <> b.m",
        ),
        *_ask(
            conn,
            "the map shows {1} at zoom {0}, which no layer has",
            f"SELECT b.z, b.kind FROM (SELECT DISTINCT z, kind FROM kind_sum) b LEFT JOIN ({true}) a "
            "ON a.z = b.z AND a.kind = b.kind WHERE a.z IS NULL",
        ),
    ]
