"""Who may pay, who asked for approval, and what stands on tax invoices, as the log made them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, differences

_RIGHT = ("may_pay", "order_limit", "month_limit")
_BUSINESS = ("number", "name", "representative", "address", "business_type", "item", "email")


class PurchaseRights(State):
    """What each person may pay in an organisation, where somebody decided it."""

    actions = frozenset({Action.RIGHT_SET})

    def take(self, payload: Payload) -> None:
        """A right was given, limited or taken."""
        self.made[f"{payload['subject']} in {payload['owner']}"] = {name: payload[name] for name in _RIGHT}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT p.email, g.slug, r.may_pay, r.order_limit, r.month_limit FROM purchase_right r JOIN person p ON p.id = r.person_id "
            "JOIN organisation g ON g.id = r.org_id ORDER BY p.email, g.slug"
        )
        stored = {
            f"{row.email} in {row.slug}": {"may_pay": bool(row.may_pay), "order_limit": row.order_limit, "month_limit": row.month_limit}
            for row in conn.execute(text(query))
        }
        yield from differences("the right to pay of", self.made, stored)


class Approvals(State):
    """Who asked for the approval of which quote, and what came of it, by id."""

    actions = frozenset(
        {
            *(Action.APPROVAL_ASKED, Action.APPROVAL_RENEWED, Action.APPROVAL_REFUSED, Action.APPROVAL_WITHDRAWN),
            Action.ORDER_PLACED,
        }
    )

    def take(self, payload: Payload) -> None:
        """Somebody asked; the price was asked anew; it was paid, refused or withdrawn."""
        action = payload["action"]
        if action == Action.APPROVAL_ASKED:
            asked = {"organisation": payload["org"], "asker": payload["person"], "quote": payload["quote"], "note": payload["note"]}
            self.made[payload["approval"]] = {**asked, **_ended("open")}
        elif action == Action.APPROVAL_RENEWED:
            self.made[payload["approval"]]["quote"] = payload["quote"]
        elif action != Action.ORDER_PLACED:
            state = "refused" if action == Action.APPROVAL_REFUSED else "withdrawn"
            self.made[payload["approval"]] |= _ended(state, payload["person"], payload["reason"])
        elif "approval" in payload:
            self.made[payload["approval"]] |= _ended("paid", payload["person"], order=payload["order"])

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT a.*, g.slug, p.email, e.email AS ender FROM approval a JOIN organisation g ON g.id = a.org_id "
            "JOIN person p ON p.id = a.asker_id LEFT JOIN person e ON e.id = a.ender_id ORDER BY a.id"
        )
        stored = {
            row.id: {
                **{"organisation": row.slug, "asker": row.email, "quote": row.quote_id, "note": row.note},
                **_ended(row.state, row.ender or "", row.reason, row.order_id or ""),
            }
            for row in conn.execute(text(query))
        }
        yield from differences("request for approval", self.made, stored)


def _ended(state: str, ender: str = "", reason: str = "", order: str = "") -> dict[str, Any]:
    return {"state": state, "ender": ender, "reason": reason, "order": order}


class Businesses(State):
    """What stands on the tax invoices of each organisation, by slug."""

    actions = frozenset({Action.BUSINESS_SET})

    def take(self, payload: Payload) -> None:
        """It was entered or changed."""
        self.made[payload["owner"]] = {name: payload[name] for name in _BUSINESS}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        rows = conn.execute(text("SELECT b.*, g.slug FROM business b JOIN organisation g ON g.id = b.org_id ORDER BY g.slug")).mappings()
        yield from differences("the business of", self.made, {row["slug"]: {name: row[name] for name in _BUSINESS} for row in rows})
