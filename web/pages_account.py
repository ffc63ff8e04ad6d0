"""The account page: who one is, tokens, permits, balance."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from mapex import ledger, participants, permits
from web.auth import current_actor, current_person, exchange
from web.policy import policy

blueprint = Blueprint("pages_account", __name__)


@blueprint.get("/account")
@policy("account")
def account() -> str:
    """Organisation, role, tokens, permits, the newest movements of the wallet."""
    ex, by = exchange(), current_actor()
    return render_template(
        "account.html",
        by=by,
        tokens=participants.tokens(ex, by),
        scopes=[scope for scope in participants.SCOPES if scope != "*"],
        permits=permits.all_permits(ex, by),
        wallet=ledger.wallet(ex, by, limit=20) if by.role == "member" else None,
        now_ns=ex.now(),
    )


@blueprint.post("/account/language")
@policy("account")
def set_language() -> Response:
    """Remember the language for this person, and show the page in it."""
    wish = request.form.get("language", "")
    if current_person() is not None:
        participants.set_language(exchange(), current_actor(), wish)
    return redirect(f"/account?lang={wish}")
