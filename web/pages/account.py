"""The account pages: who one is, organisation and members, tokens, permits, balance, the own part of the log; notices; invitations."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from mapex.atlas import regions
from mapex.audit import log as audit_log
from mapex.audit.log import Action, EventFilter
from mapex.errors import MapexError
from mapex.invoices import businesses
from mapex.notices import notices, wishes
from mapex.orders import ledger
from mapex.people import domains, invitations, mail, orgs, persons, purchase_rights, tokens
from mapex.pyramid import coverage
from mapex.rights import permit_requests, permits
from mapex.rules.licences import HandlingClass
from mapex.times import kst_day
from web.edge import static_files
from web.edge.auth import check_forgery, current_actor, current_person, exchange, sign_in
from web.edge.errors import retry_later
from web.edge.policy import policy
from web.edge.schemas import entry_number, when
from web.pages.theme import THEMES
from web.words import notices as notice_words
from web.words import vocabulary
from web.words.businesses import business_rows
from web.words.language import LANGUAGES
from web.words.permits import form_values, permit_words

blueprint = Blueprint("pages_account", __name__)

PAGE = 50
SHOWN_REQUESTS = 20
"""Requests for permits on a page, the newest."""
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
        requests=permit_requests.all_requests(ex, by)[:SHOWN_REQUESTS] if member else [],
        wallet=ledger.wallet(ex, by, limit=20) if member else None,
        ways=wishes.of(ex, by),
        notice_words=notice_words,
        themes=THEMES,
        page={"permits": [{"number": one.number, "area": one.area} for one in named]},
    )


@blueprint.get("/account/permits/request")
@policy("own")
def request_permit() -> str:
    """Ask the operator to enter a permit; `?renew=` names one from which the form starts."""
    ex, by = exchange(), current_actor()
    renewed = request.args.get("renew", "")
    page = {"bounds": regions.home(ex), "kinds": sorted(coverage.kinds(ex)), "hasVendor": static_files.has_vendor()}
    return render_template(
        "account/permit_request.html",
        purposes=vocabulary.PURPOSES,
        classes=[code for code in HandlingClass if code.needs_permit],
        page={**page, "renewed": form_values(permits.get(ex, by, renewed)) if renewed else None},
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


@blueprint.get("/notices")
@policy("account")
def list_notices() -> str:
    """What happened, by day, newest first."""
    page = notices.of(exchange(), current_actor(), after=request.args.get("after", ""), limit=PAGE)
    days = [(day, list(those)) for day, those in groupby(page.notices, lambda one: kst_day(one.at_ns))]
    return render_template("account/notices.html", days=days, next=page.next, notice_words=notice_words)


@blueprint.get("/unsubscribe/<token>")
@policy("public")
def unsubscribe(token: str) -> str:
    """Ask whether mail of a kind is to end: programs that open the links of a letter only look."""
    return render_template("public/unsubscribe.html", kind=notice_words.name(wishes.look(exchange(), token)), is_off=False)


@blueprint.post("/unsubscribe/<token>")
@policy("public")
def switch_off(token: str) -> str:
    """Send no more mail of a kind. The link is signed and can do nothing else: mail programs post here by themselves (RFC 8058)."""
    return render_template("public/unsubscribe.html", kind=notice_words.name(wishes.switch_off(exchange(), token)), is_off=True)


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
