"""The account pages: who one is, the organisation and its members, tokens, permits, balance, the own part of the log; invitations."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from mapex.audit import log as audit_log
from mapex.audit.log import Action, EventFilter
from mapex.errors import MapexError
from mapex.invoices import businesses
from mapex.orders import ledger
from mapex.people import domains, invitations, mail, orgs, persons, purchase_rights, tokens
from mapex.rights import permits
from web.edge.auth import check_forgery, current_actor, current_person, exchange, sign_in
from web.edge.errors import retry_later
from web.edge.policy import policy
from web.edge.schemas import entry_number, when
from web.pages.theme import THEMES
from web.words import vocabulary
from web.words.businesses import business_rows
from web.words.language import LANGUAGES
from web.words.permits import permit_words

blueprint = Blueprint("pages_account", __name__)

PAGE = 50
WORDS = ("action", "person", "org", "owner", "dataset", "layer", "tile", "purpose", "permit")
TIMES = ("from", "to")


@blueprint.get("/account")
@policy("account")
def account() -> str:
    """Organisation, members, invitations, role, tokens, permits, the newest movements of the wallet."""
    ex, by = exchange(), current_actor()
    named = permits.all_permits(ex, by) if by.role == "member" else []
    member = by.role == "member"
    business = businesses.get(ex, by, by.org_slug) if member else None
    return render_template(
        "account/account.html",
        by=by,
        rights=purchase_rights.of_members(ex, by) if member else {},
        sets_rights=member and purchase_rights.allowance(ex, by).right.is_whole,
        business=business,
        business_rows=business_rows(business) if business else [],
        person=current_person(),
        org=orgs.get_org(ex, by.org_slug) if member else None,
        members=persons.all_persons(ex, by) if member else [],
        invitations=invitations.open_ones(ex, by) if member else [],
        domains=domains.all_domains(ex).get(by.org_id or "", []),
        sends_mail=mail.is_set_up(ex.settings),
        tokens=tokens.of(ex, by),
        scopes=[scope for scope in tokens.SCOPES if scope != "*"],
        permits=[permit_words(one, ex.now()) for one in named],
        wallet=ledger.wallet(ex, by, limit=20) if member else None,
        themes=THEMES,
        page={"permits": [{"number": one.number, "area": one.area} for one in named]},
    )


@blueprint.post("/account/language")
@policy("account")
def set_language() -> Response:
    """Remember the language for this person, and show the page in it."""
    wish = request.form.get("language", "")
    if current_person() is not None:
        persons.set_language(exchange(), current_actor(), wish)
    return redirect(f"/account?lang={wish if wish in LANGUAGES else ''}")


@blueprint.get("/account/log")
@policy("account")
def log() -> str:
    """What the own organisation did and what was done with its data, newest first, with a filter in the address."""
    given = {name: request.args.get(name, "").strip() for name in (*WORDS, *TIMES)}
    words: dict[str, Any] = {name: given[name] for name in WORDS}
    wanted = EventFilter(**words, from_ns=when(given["from"]), to_ns=when(given["to"]))
    after = request.args.get("after", "")
    page = audit_log.events(exchange(), current_actor(), wanted, after=entry_number(after), limit=PAGE)
    chosen = {name: value for name, value in given.items() if value}
    values = {
        "events": page.events,
        "next": {**chosen, "after": page.next} if page.next is not None else None,
        "chosen": chosen,
        "given": given,
        "actions": [str(action) for action in Action],
        "purposes": vocabulary.PURPOSES,
    }
    return render_template("account/_log.html" if request.headers.get("HX-Request") else "account/log.html", **values)


@blueprint.get("/invite/<secret>")
@policy("public")
def invitation(secret: str) -> str:
    """The page behind an invitation: name and password."""
    return render_template("public/invite.html", found=invitations.look(exchange(), secret), name="", refusal=None)


@blueprint.post("/invite/<secret>")
@policy("public")
def redeem(secret: str) -> Response | tuple[str, int]:
    """Become a person of the exchange, signed in at once."""
    ex = exchange()
    found = invitations.look(ex, secret)
    name = request.form.get("name", "")
    try:
        check_forgery()
        person = invitations.redeem(ex, secret, name=name, password=request.form.get("password", ""))
    except MapexError as refusal:
        if refusal.code == "invitation.unknown":
            raise
        retry_later(refusal)
        return render_template("public/invite.html", found=found, name=name, refusal=refusal), 422
    sign_in(person, "invitation")
    return redirect("/explore")
