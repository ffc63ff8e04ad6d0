"""For whoever watches the web process: is it alive, and can it serve?"""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.errors import Unavailable
from mapex.operation import readiness
from web.edge.auth import exchange
from web.edge.policy import policy
from web.edge.schemas import Answer, fields

blueprint = APIBlueprint("health", __name__, tag="Health")


class HealthOut(Answer):
    """All is well."""

    status = fields.String(metadata={"enum": ["ok"]})


@blueprint.get("/healthz")
@policy("public")
@blueprint.output(HealthOut)
def alive() -> dict[str, Any]:
    """Whether the process answers; asks nobody else. Needs no token."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@policy("public")
@blueprint.output(HealthOut)
@blueprint.doc(responses={503: "The database or the store does not answer; `details` names which, and why."})
def ready() -> dict[str, Any]:
    """Whether database and store can be used: 200, or 503 with a plain reason. Needs no token."""
    if lacking := readiness.lacking(exchange()):
        raise Unavailable("exchange.not_ready", " ".join(lacking.values()), lacking=dict(lacking))
    return {"status": "ok"}
