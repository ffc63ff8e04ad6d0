"""The auditor's pages: who read which tile, when, why, under which permit; one entry; one permit; one tile."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from mapex.atlas import grounds, naming
from mapex.audit import figures, proof
from mapex.audit.figures import View
from mapex.audit.log import Action
from mapex.catalogue import datasets
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid, MapexError, NotFound
from mapex.offers import reviews
from mapex.offers.review import Review
from mapex.rights import past, permits
from mapex.rules.licences import HandlingClass
from mapex.times import NS
from tiles.errors import InvalidRegion
from web.edge import static_files
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.edge.schemas import entry_number
from web.pages import audit_filter
from web.pages.audit_filter import FIELDS, ORIGINALS, Asked
from web.words import entries, places
from web.words.licences import class_line
from web.words.permits import permit_words

blueprint = Blueprint("pages_audit", __name__)

PAGE = 50
MOST_LISTED_TILES = 50
MOST_REVIEWS = 200

Answer = str | tuple[str, int] | tuple[str, int, dict[str, str]]


@blueprint.get("/audit")
@policy("inspect")
def log() -> Answer:
    """Numbers, timeline, map and list under one filter, which stands in the address."""
    return _page({})


@blueprint.get("/audit/permits/<permit_id>")
@policy("inspect")
def by_permit(permit_id: str) -> Answer:
    """Everything that happened under one permit (by its id or number)."""
    ex = exchange()
    found = permits.get(ex, current_actor(), permit_id)
    return _page({"permit": found.number}, permit=permit_words(found, ex.now()), area=found.area)


@blueprint.get("/audit/tiles/<quadkey>")
@policy("inspect")
def by_tile(quadkey: str) -> Answer:
    """Everything about one tile."""
    from tiles.grid import grid

    cell, z = grid.cell_from_quadkey(quadkey)
    return _page({"tile": quadkey}, box=grid.bounds(cell, z))


@blueprint.get("/audit/events/<long:seq>")
@policy("inspect")
def event(seq: int) -> str:
    """One entry: what happened, on what grounds, and what was committed to."""
    ex, by = exchange(), current_actor()
    found = proof.entry(ex, by, seq)
    facts = found.event
    number = str(facts.get("permit", ""))
    under = past.as_of(ex, by, number, seq) if number else None
    code = facts.get("class", "")
    ground_of = {"tile": facts.get("tile", ""), "area": under.permit.area if under and under.has_area else None}
    page = {
        "ground": ground_of,
        "hasVendor": static_files.has_vendor(),
        "entry": {"seq": seq, "payload": found.payload, "salt": found.salt, "commitment": found.commitment},
    }
    return render_template(
        "audit/entry.html",
        entry=found,
        facts=facts,
        shown=entries.in_order(facts),
        fields=entries.FIELDS,
        ground=ground_of,
        under=under,
        permit=permit_words(under.permit, found.at_ns) if under else None,
        rule=class_line(code) if code in list(HandlingClass) else "",
        page=page,
    )


def _page(fixed: dict[str, str], **about: Any) -> Answer:
    """The page, or its inner part for htmx. `fixed` are fields of the filter that belong to the address itself."""
    given = request.args.get("q", "")
    after = request.args.get("after", "")
    refusal: MapexError | InvalidRegion | None = None
    try:
        asked = _asked(given, fixed)
        seen = _view(asked, fixed, after)
        shown = _figures(seen, asked)
    except (Invalid, NotFound, InvalidRegion) as mistake:
        refusal, asked, seen, shown = mistake, Asked(), None, {}
    older = seen.page.next if seen else None
    values = {
        "given": given if refusal else asked.text,
        "asked": asked,
        "fixed": fixed,
        "path": request.path,
        "view": seen,
        "older": {"q": asked.text, "after": older} if older is not None else None,
        "api": _whole(asked, fixed).api,
        "most_tiles": MOST_LISTED_TILES,
        "refusal": refusal,
        "figures": shown,
        "form": _form(asked),
        "actions": [str(action) for action in Action],
        "fields": FIELDS,
        "who": current_actor().email,
        "numbers": [permit.number for permit in permits.all_permits(exchange(), current_actor())],
        **about,
    }
    status = 422 if refusal else 200
    if request.headers.get("HX-Request"):
        return render_template("audit/_audit.html", **values), status, {} if refusal else {"HX-Push-Url": request.path + asked.query}
    page = {"who": current_actor().email, "area": about.get("area"), "box": about.get("box"), "hasVendor": static_files.has_vendor()}
    return render_template("audit/audit.html", **values, page=page), status


def _asked(given: str, fixed: dict[str, str]) -> Asked:
    """The filter in the address: `q`, or its fields one by one as links from elsewhere write them."""
    if not request.args and not fixed:
        return ORIGINALS
    asked = audit_filter.read(given)
    for name in FIELDS:
        value = request.args.get(name, "").strip()
        if value:
            asked = asked.with_(name, value)
    if last := request.args.get("last", "").strip():
        asked = asked.with_("to", audit_filter.after_day(last))
    for name in fixed:
        asked = asked.without(name)
    return asked


def _whole(asked: Asked, fixed: dict[str, str]) -> Asked:
    for name, value in fixed.items():
        asked = asked.with_(name, value)
    return asked


def _view(asked: Asked, fixed: dict[str, str], after: str) -> View:
    wanted = _whole(asked, fixed).filter
    return figures.view(exchange(), current_actor(), wanted, after=entry_number(after), limit=PAGE)


def _form(asked: Asked) -> dict[str, str]:
    """The filter as the fields of the form: whole days, the last one included."""
    fields = dict.fromkeys((*FIELDS, "last"), "") | dict(asked.words)
    if fields["from"]:
        fields["from"] = audit_filter.day_of(audit_filter.ns_from_text(fields["from"]))
    if fields["to"]:
        fields["last"] = audit_filter.last_day(fields["to"])
    return fields


def _figures(seen: View, asked: Asked) -> dict[str, Any]:
    """What the script draws: seconds instead of nanoseconds, which JavaScript's numbers cannot hold."""
    chosen = {name: value for name, value in asked.words if name in ("from", "to", "region")}
    named = naming.of_tiles(exchange(), [heat.tile for heat in seen.heat])
    return {
        "width": seen.timeline.width_ns // NS,
        "bars": [[bar.start_ns // NS, bar.entries, bar.flagged] for bar in seen.timeline.bars],
        "heat": [[heat.tile, heat.originals, heat.others, heat.flagged, places.area(named[heat.tile])] for heat in seen.heat],
        "region": grounds.region_of(exchange(), chosen["region"]).geojson if "region" in chosen else None,
        "from": audit_filter.ns_from_text(chosen["from"]) // NS if "from" in chosen else None,
        "to": audit_filter.ns_from_text(chosen["to"]) // NS if "to" in chosen else None,
    }


@blueprint.get("/audit/reviews")
@policy("inspect")
def review_list() -> str:
    """What was asked, what the checks found in it, and what was decided; the open ones first."""
    ex, by = exchange(), current_actor()
    found = sorted(reviews.all_reviews(ex, by), key=lambda one: not one.is_open)[:MOST_REVIEWS]
    findings = {one.id: _findings_of(one) for one in found if one.is_open}
    return render_template("audit/reviews.html", reviews=found, findings=findings, page={})


def _findings_of(review: Review) -> list[Finding]:
    """What the checks found in the layer under review, and in the version as a whole."""
    described = datasets.describe(exchange(), current_actor(), f"{review.org}/{review.dataset}", review.version)
    return [one for one in described.findings if one.layer in ("", review.request.layer)]
