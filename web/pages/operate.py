"""The operator's pages: organisations, persons, wallets, permits."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from mapex.atlas import regions
from mapex.audit import examination
from mapex.login import applications, factors, resets, sessions
from mapex.operation import overview
from mapex.orders import books, ledger
from mapex.orders import settlements as settlements_
from mapex.people import domains as org_domains
from mapex.people import invitations, mail, orgs
from mapex.people import persons as people
from mapex.pyramid import coverage
from mapex.rights import permit_requests, permits
from mapex.rules.licences import HandlingClass
from web.edge import static_files
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.words import vocabulary
from web.words.permits import form_values, permit_words

blueprint = Blueprint("pages_operate", __name__, url_prefix="/operate")

SHOWN_DECIDED = 50
"""Decisions on a page, the newest."""


@blueprint.get("")
@policy("operate")
def organisations() -> str:
    """Numbers of the whole exchange, and its organisations."""
    ex, by = exchange(), current_actor()
    return render_template(
        "operate/operate.html",
        here="organisations",
        numbers=overview.overview(ex, by),
        orgs=orgs.all_orgs(ex),
        domains=org_domains.all_domains(ex),
        balances=overview.balances(ex, by),
        examined=examination.results(ex, by),
    )


@blueprint.get("/persons")
@policy("operate")
def persons() -> str:
    """All persons, and invitations that are open."""
    return _persons()


def _persons(**more: str) -> str:
    ex, by = exchange(), current_actor()
    return render_template(
        "operate/persons.html",
        here="persons",
        persons=people.all_persons(ex, by),
        orgs=orgs.all_orgs(ex),
        invitations=invitations.open_ones(ex, by),
        by=by,
        sends_mail=mail.is_set_up(ex.settings),
        **more,
    )


@blueprint.get("/persons/rescue")
@policy("rescue")
def rescued_before() -> Response:
    """Where a link was shown once; loaded again it is the page of persons."""
    return redirect("/operate/persons")


@blueprint.post("/persons/rescue")
@policy("rescue")
def rescue() -> Response | str:
    """End the sessions of a person, take lost second factors away (which ends the sessions too), or make a link for a new password."""
    ex, by, email = exchange(), current_actor(), request.form.get("email", "")
    if request.form.get("what") == "password":
        link = f"{ex.settings.public_url}/reset/{resets.hand_out(ex, by, email)}"
        return _persons(reset_link=link, reset_email=email)
    if request.form.get("what") == "factors":
        factors.reset(ex, by, email)
    else:
        sessions.end_all(ex, by, email)
    return redirect("/operate/persons")


@blueprint.get("/applications")
@policy("operate")
def registrations() -> str:
    """Who asks for an organisation here, and what was decided."""
    ex, by = exchange(), current_actor()
    return render_template(
        "operate/applications.html",
        here="applications",
        waiting=applications.all_applications(ex, by),
        decided=applications.all_applications(ex, by, states=("accepted", "refused"))[-SHOWN_DECIDED:][::-1],
        sends_mail=mail.is_set_up(ex.settings),
        days=applications.DAYS_UNPROVEN,
    )


@blueprint.get("/wallets")
@policy("operate")
def wallets() -> str:
    """Prepaid money: balances, whether they add up, a payment to be booked, and those booked last."""
    ex, by = exchange(), current_actor()
    return render_template(
        "operate/wallets.html",
        here="wallets",
        orgs=orgs.all_orgs(ex),
        sheet=books.sheet(ex, by),
        payments=ledger.payments(ex, by),
    )


@blueprint.get("/settlements")
@policy("operate")
def settlements() -> str:
    """Months with sellers: closed and paid; VAT by month, and what is paid on."""
    ex, by = exchange(), current_actor()
    return render_template(
        "operate/settlements.html",
        here="settlements",
        settlements=settlements_.settlements(ex, by),
        vat_months=books.vat_months(ex, by),
        sheet=books.sheet(ex, by),
    )


@blueprint.get("/permits")
@policy("operate")
def permit_list() -> str:
    """Permits, and a new one with its area drawn on a map."""
    ex, by = exchange(), current_actor()
    found = permits.all_permits(ex, by)
    asked = permit_requests.all_requests(ex, by, states=("open",))
    return render_template(
        "operate/permits.html",
        here="permits",
        permits=[permit_words(one, ex.now()) for one in found],
        orgs=orgs.all_orgs(ex),
        purposes=vocabulary.PURPOSES,
        classes=[code for code in HandlingClass if code.needs_permit],
        requests=asked,
        page={
            "bounds": regions.home(ex),
            "kinds": sorted(coverage.kinds(ex)),
            "hasVendor": static_files.has_vendor(),
            "permits": [{"number": one.number, "area": one.area} for one in found],
            "requests": {one.id: {**form_values(one), "request": one.id, "org": one.org} for one in asked},
        },
    )
