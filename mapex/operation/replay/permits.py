"""Permits, as the log made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, differences, parsed
from mapex.rights.past import STATES
from mapex.rights.permit import area_digest
from mapex.times import iso_from_ns


class Permits(State):
    """Whom each permit names, what it allows, where (in entries that say so), from when to when, and its state, by number."""

    actions = frozenset({Action.PERMIT_ADDED, *map(Action, STATES)})

    def take(self, payload: Payload) -> None:
        """A permit was entered, suspended, resumed or revoked."""
        if payload["action"] in STATES:
            self.made[payload["permit"]]["state"] = STATES[payload["action"]]
            return
        plain = {name: payload[name] for name in ("purposes", "classes", "recipients", "rule_set")}
        period = {"begin": payload["valid_from"], "end": payload["valid_to"]}
        area = {"area": payload["area_sha256"]} if "area_sha256" in payload else {}
        self.made[payload["permit"]] = {"holder": payload["owner"], **plain, **period, **area, "state": "active"}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the tables."""
        recipients: dict[str, list[str]] = defaultdict(list)
        query = "SELECT r.permit_id, o.slug FROM permit_recipient r JOIN organisation o ON o.id = r.org_id ORDER BY r.permit_id, r.ordinal"
        for permit_id, slug in conn.execute(text(query)):
            recipients[permit_id].append(slug)
        rows = conn.execute(text("SELECT p.*, o.slug FROM permit p JOIN organisation o ON o.id = p.org_id ORDER BY p.number"))
        stored = {
            row.number: {
                "holder": row.slug,
                "purposes": parsed(row.purposes),
                "classes": parsed(row.classes),
                "recipients": recipients[row.id],
                "rule_set": row.rule_set,
                "begin": iso_from_ns(row.valid_from_ns),
                "end": iso_from_ns(row.valid_to_ns),
                "area": area_digest(row.area),
                "state": row.state,
            }
            for row in rows
        }
        yield from differences("permit", self.made, stored)
