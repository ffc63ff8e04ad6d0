"""What all pages share: names for templates, values for scripts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Flask, g

from mapex.atlas import naming
from mapex.errors import Unavailable
from mapex.notices import notices
from mapex.orders import approvals
from web.edge import static_files
from web.edge.auth import current_actor, current_person, exchange, form_secret
from web.pages.navigation import navigation
from web.words import errors, findings, numbers, places, reviews, units, vocabulary
from web.words.documents import guides
from web.words.language import language, script_messages
from web.words.licences import class_line, licence_difference, licence_words, updates_words


def install(app: Flask) -> None:
    """Names that every template uses."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        page_data=page_data,
        n_=numbers.n_,
        navigation=navigation,
        current_person=current_person,
        unread_notices=unread_notices,
        csrf=form_secret,
        demo=lambda: exchange().settings.demo,
        shows_prices=shows_prices,
        words=vocabulary,
        licence_words=licence_words,
        licence_difference=licence_difference,
        updates_words=updates_words,
        class_line=class_line,
        error_words=errors,
        review_states=reviews.STATES,
        review_criteria=reviews.CRITERIA,
        finding_words=findings,
        label=vocabulary.label,
        crs_name=vocabulary.crs_name,
        measured=units.measured,
        charged=units.charged,
        sentence=errors.sentence,
        has_help=guides.documents,
        ground=places.ground,
        ground_of=places.area,
        share=numbers.share,
        approvals_waiting=approvals_waiting,
    )
    app.jinja_env.filters.update(
        won=numbers.won,
        metres=numbers.metres,
        moment=numbers.moment,
        clock=numbers.clock,
        day=numbers.day,
        bytes=numbers.size,
        number=numbers.number,
        digits=numbers.digits,
        m2=numbers.ground,
        plain=numbers.plain,
        kst=numbers.kst,
        query=urlencode,
        place=place,
        region_place=region_place,
    )


def place(quadkey: str) -> str:
    """What a tile is called."""
    return places.area(naming.of_tiles(exchange(), [quadkey])[quadkey])


def region_place(geometry: dict[str, Any]) -> str:
    """What the ground of an outline is called."""
    return places.area(naming.of_region(exchange(), geometry))


def approvals_waiting() -> int:
    """How many requests wait for the approval of whoever reads the page; asked once for each page."""
    if "approvals_waiting" not in g:
        person = current_person()
        try:
            g.approvals_waiting = approvals.waiting(exchange(), person.actor) if person is not None else 0
        except Unavailable:  # the page that says so must not fail itself
            g.approvals_waiting = 0
    return int(g.approvals_waiting)


def shows_prices() -> bool:
    """Whether whoever asks may see prices."""
    return current_person() is not None or exchange().settings.public_prices


def unread_notices() -> int:
    """How many notices the person who asks has not read; 0 for nobody, and while the database is away."""
    if current_person() is None:
        return 0
    if "unread_notices" not in g:
        try:
            g.unread_notices = notices.unread(exchange(), current_actor())
        except Unavailable:
            g.unread_notices = 0
    return int(g.unread_notices)


def page_data(page: dict[str, Any]) -> dict[str, Any]:
    """What scripts need: language, words, the secret against forged requests, and the page's own values."""
    person = current_person()
    return {
        "language": language(),
        "messages": script_messages(),
        "words": vocabulary.vocabulary(),
        "csrf": form_secret() if person else "",
        "signedIn": person is not None,
        "prices": shows_prices(),
        "role": person.role if person else "",
        "org": person.org_slug if person else "",
        "map": _map_data(),
        **page,
    }


def _map_data() -> dict[str, Any]:
    ex = exchange()
    basemap = ex.settings.basemap
    shown = "/map/basemap.pmtiles" if static_files.basemap_file(ex) else basemap if "://" in basemap else ""
    if not static_files.has_vendor():
        return {"basemap": shown}
    fonts = {script: static_files.vendor_url("@fontsource/nanum-gothic", f"{script}.woff2") for script in ("korean", "latin")}
    ground = {name: static_files.vendor_url("basemap", f"{name}.pmtiles") for name in ("world", "korea")}
    return {"basemap": shown, "fonts": fonts, **ground}
