"""Permits, and requests for them, as the log made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, differences, parsed
from mapex.rights import permit_requests
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


class PermitRequests(State):
    """What each request for a permit states, of which organisation it is, and its state, by id."""

    ENDS: ClassVar[Mapping[Action, str]] = {
        Action.PERMIT_REQUEST_ACCEPTED: "accepted",
        Action.PERMIT_REQUEST_REFUSED: "refused",
        Action.PERMIT_REQUEST_WITHDRAWN: "withdrawn",
    }
    actions = frozenset({Action.PERMIT_REQUESTED, *ENDS})

    def take(self, payload: Payload) -> None:
        """A request was made, accepted, refused or withdrawn."""
        if payload["action"] == Action.PERMIT_REQUESTED:
            self.made[payload["request"]] = {"organisation": payload["owner"], "content": payload["content"], "state": "open"}
        else:
            ended: dict[str, Any] = {"state": self.ENDS[Action(payload["action"])]}
            if payload["action"] == Action.PERMIT_REQUEST_ACCEPTED:
                ended["permit"] = payload["permit"]
            self.made[payload["request"]] |= ended

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT r.*, o.slug, p.number AS permit FROM permit_request r JOIN organisation o ON o.id = r.org_id "
            "LEFT JOIN permit p ON p.id = r.permit_id ORDER BY r.id"
        )
        stored = {
            row["id"]: {
                "organisation": row["slug"],
                "content": permit_requests.digest(row),
                "state": row["state"],
                "permit": row["permit"],
            }
            for row in conn.execute(text(query)).mappings()
        }
        yield from differences("request for a permit", self.made, stored)
