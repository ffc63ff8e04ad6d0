"""The audit page: who read which tile, when, why, under which permit. Members see their own part of it."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, render_template, request

from mapex import audit
from mapex.audit import Action, Filter
from web import words
from web.auth import current_actor, exchange
from web.parse import when
from web.policy import policy

blueprint = Blueprint("pages_audit", __name__)

PAGE = 50
WORDS = ("action", "person", "org", "owner", "dataset", "layer", "tile", "purpose", "permit")
TIMES = ("from", "to")


@blueprint.get("/audit")
@policy("audit")
def log() -> str:
    """Entries, newest first, with a filter in the address."""
    given = {name: request.args.get(name, "").strip() for name in (*WORDS, *TIMES)}
    wanted = Filter(**{name: given[name] for name in WORDS}, from_ns=when(given["from"]), to_ns=when(given["to"]))
    after = request.args.get("after", "")
    page = audit.events(exchange(), current_actor(), wanted, after=int(after) if after.isdecimal() else None, limit=PAGE)
    chosen = {name: value for name, value in given.items() if value}
    values = {
        "events": page.events,
        "next": f"/audit?{urlencode({**chosen, 'after': page.next})}" if page.next is not None else "",
        "csv": f"/api/v1/audit/events?{urlencode({**chosen, 'format': 'csv', 'limit': 100_000})}",
        "given": given,
        "actions": [str(action) for action in Action],
        "purposes": words.PURPOSES,
    }
    return render_template("_events.html" if request.headers.get("HX-Request") else "audit.html", **values)
