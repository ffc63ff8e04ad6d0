"""Orders and their named users, as the log made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, at_another_time, differences
from mapex.prices.quotes import digest_of


class Orders(State):
    """Who bought which quote for which purpose, at what price, and the digest of exactly the tiles that came with it, by id."""

    actions = frozenset({Action.ORDER_PLACED})

    def __init__(self) -> None:
        super().__init__()
        self._at: dict[str, str] = {}

    def take(self, payload: Payload) -> None:
        """An order was placed."""
        money = {"subtotal": payload["total"] - payload["vat"], "vat": payload["vat"], "total": payload["total"]}
        who = {"organisation": payload["org"], "person": payload["person"], "purpose": payload["purpose"]}
        self._at[payload["order"]] = payload["at"]
        money |= {name: payload.get(name, 0) for name in ("credited", "fee_rate")}  # entries from before there were any
        self.made[payload["order"]] = {**who, "quote": payload["quote"], **money, "tiles": payload["tiles_sha256"], "state": "paid"}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the tables."""
        tiles = dict(_digests(conn))
        query = (
            "SELECT o.*, g.slug, p.email, (SELECT CAST(COALESCE(SUM(n.earlier), 0) AS bigint) FROM order_line n WHERE n.order_id = o.id) "
            "AS credited, (SELECT MAX(s.fee_rate) FROM sale s WHERE s.order_id = o.id) AS fee_rate "
            "FROM purchase_order o JOIN organisation g ON g.id = o.org_id "
            "JOIN person p ON p.id = o.person_id ORDER BY o.id"
        )
        rows = conn.execute(text(query)).all()
        for row in rows:
            if row.id in self._at:
                yield from at_another_time(f"order {row.id}", self._at[row.id], row.created_ns)
        stored = {
            row.id: {
                "organisation": row.slug,
                "person": row.email,
                "purpose": row.purpose,
                "quote": row.quote_id,
                "subtotal": row.subtotal,
                "vat": row.vat,
                "total": row.total,
                "credited": row.credited,
                "fee_rate": row.fee_rate,
                "tiles": tiles.get(row.id, ""),
                "state": row.state,
            }
            for row in rows
        }
        yield from differences("order", self.made, stored)


def _digests(conn: Connection) -> Iterator[tuple[str, str]]:
    """Each order with the digest of the tiles that it entitles to, as quotes and the log have it."""
    query = text("SELECT order_id, layer_id, cell, part, sha256 FROM entitlement ORDER BY order_id")
    rows = conn.execute(query, execution_options={"yield_per": 10_000})
    for order_id, of_order in groupby(rows, key=lambda row: str(row[0])):
        yield order_id, digest_of([(row[1], row[2], row[3], row[4]) for row in of_order])


class NamedUsers(State):
    """Who may download an order that names somebody, by order."""

    actions = frozenset({Action.ORDER_NAMED})

    def take(self, payload: Payload) -> None:
        """An order names others than before, or nobody."""
        self.made.pop(payload["order"], None)
        if payload["persons"]:
            self.made[payload["order"]] = {"persons": sorted(payload["persons"])}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = "SELECT n.order_id, p.email FROM order_person n JOIN person p ON p.id = n.person_id ORDER BY n.order_id, p.email"
        named: dict[str, list[str]] = defaultdict(list)
        for order_id, email in conn.execute(text(query)):
            named[order_id].append(email)
        stored = {order_id: {"persons": sorted(emails)} for order_id, emails in named.items()}
        yield from differences("the list of named users of order", self.made, stored)
