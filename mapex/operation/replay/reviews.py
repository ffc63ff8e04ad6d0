"""Reviews of pseudonymised footage, as the log made them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, differences, parsed

_STATES = {Action.REVIEW_BEGUN: "under_review", Action.FOOTAGE_CLEARED: "accepted", Action.REVIEW_REFUSED: "refused"}
_STATED = ("method", "tool", "sample", "statement", "document_sha256")
_DECIDED = ("accepted", "reviewers", "criteria", "residual_risk", "reasons", "valid_to")


class Reviews(State):
    """What was asked, what it came to, and what was decided, by id."""

    actions = frozenset({Action.REVIEW_REQUESTED, *_STATES})

    def take(self, payload: Payload) -> None:
        """A review went on."""
        action = Action(payload["action"])
        if action == Action.REVIEW_REQUESTED:
            about = {"of": f"{payload['owner']}/{payload['dataset']} {payload['version']} {payload['layer']}"}
            self.made[payload["review"]] = {**about, **{name: payload[name] for name in _STATED}, "states": ["requested"]}
        elif "review" in payload:  # before there were reviews, the operator cleared footage without one
            found = self.made[payload["review"]]
            found["states"] = [*found["states"], _STATES[action]]
            if action != Action.REVIEW_BEGUN:
                found["decision"] = {name: payload[name] for name in _DECIDED}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the tables."""
        query = (
            "SELECT r.*, g.slug AS org, d.slug AS dataset, v.number FROM footage_review r JOIN dataset_version v ON v.id = r.version_id "
            "JOIN dataset d ON d.id = v.dataset_id JOIN organisation g ON g.id = d.org_id ORDER BY r.id"
        )
        stored = {
            row.id: {
                "of": f"{row.org}/{row.dataset} {row.number} {row.layer}",
                **{name: getattr(row, name) for name in _STATED[:-1]},
                "document_sha256": row.sha256,
                "states": [],
            }
            for row in conn.execute(text(query))
        }
        for review_id, state, record in conn.execute(
            text("SELECT review_id, state, record FROM footage_review_step ORDER BY review_id, ordinal")
        ):
            stored[review_id]["states"].append(state)
            if record != "{}":
                stored[review_id]["decision"] = parsed(record)
        yield from differences("review", self.made, stored)
