"""Pages that everybody may open, and what all templates share."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, redirect, render_template, request
from flask_babel import gettext
from flask_wtf.csrf import generate_csrf

from mapex.offers import products
from mapex.pyramid import coverage
from mapex.rules.licences import LICENCES
from tiles.batch import LayerKind
from web.edge import static_files
from web.edge.auth import current_person, exchange
from web.edge.policy import policy
from web.words import errors, findings, formats, vocabulary
from web.words.language import language, script_messages
from web.words.licences import class_line, licence_difference, licence_words

blueprint = Blueprint("pages", __name__)


def install(app: Flask) -> None:
    """Names that every template uses."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        page_data=page_data,
        n_=formats.n_,
        navigation=navigation,
        current_person=current_person,
        csrf=generate_csrf,
        demo=lambda: exchange().settings.demo,
        shows_prices=shows_prices,
        words=vocabulary,
        licence_words=licence_words,
        licence_difference=licence_difference,
        class_line=class_line,
        error_words=errors,
        finding_words=findings,
        label=vocabulary.label,
        sentence=errors.sentence,
    )
    app.jinja_env.filters.update(
        won=formats.won,
        moment=formats.moment,
        clock=formats.clock,
        day=formats.day,
        bytes=formats.size,
        number=formats.number,
        plain=formats.plain,
    )
    app.jinja_env.filters.update(kst=formats.kst, query=urlencode)
    app.register_blueprint(blueprint)


def shows_prices() -> bool:
    """Whether whoever asks may see prices."""
    return current_person() is not None or exchange().settings.public_prices


def navigation() -> list[tuple[str, str]]:
    """Address and name of the pages that this person works with."""
    person = current_person()
    pages = [("/explore", gettext("Explore"))]
    if person and person.role == "member":
        pages += [("/orders", gettext("Orders")), ("/sell", gettext("Sell"))]
    if person and person.role == "operator":
        pages.append(("/operate", gettext("Operate")))
    if person and person.role != "member":
        pages.append(("/audit", gettext("Audit")))
    return pages


def page_data(page: dict[str, Any]) -> dict[str, Any]:
    """What scripts need: language, words, the secret against forged requests, and the page's own values."""
    person = current_person()
    return {
        "language": language(),
        "messages": script_messages(),
        "words": vocabulary.vocabulary(),
        "csrf": generate_csrf() if person else "",
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
    return {
        "land": static_files.vendor_url("world-atlas", "land.json") if static_files.has_vendor() else "",
        "basemap": "/map/basemap.pmtiles" if static_files.basemap_file(ex) else basemap if "://" in basemap else "",
    }


@blueprint.get("/")
@policy("public")
def start() -> Response | str:
    """What this is, for those who are not signed in; the map for those who are."""
    if current_person() is not None:
        return redirect("/explore")  # type: ignore[return-value]
    return render_template("public/start.html")


@blueprint.get("/explore")
@policy("public")
def explore() -> str:
    """The map: what is on offer, an area drawn on it, its price."""
    ex = exchange()
    offered = coverage.kinds(ex)
    kinds = [kind.value for kind in LayerKind if kind.value in offered]
    page = {
        "bounds": products.box_of(ex, request.args.get("dataset", "")) or coverage.bounds(ex),
        "everywhere": coverage.everywhere(ex),
        "example": coverage.example(ex),
        "kinds": kinds,
        "hasVendor": static_files.has_vendor(),
    }
    return render_template("buy/explore.html", kinds=kinds, page=page)


@blueprint.get("/logout")
@policy("public")
def logout() -> Response | str:
    """A link or a bookmark signs nobody out: it asks."""
    if current_person() is None:
        return redirect("/")  # type: ignore[return-value]
    return render_template("public/logout.html")


@blueprint.get("/docs")
@policy("public")
def docs() -> str:
    """The API, shown from openapi.json."""
    return render_template("account/docs.html")


@blueprint.get("/about/licences")
@policy("public")
def licences() -> str:
    """Licences of data and of the software in the pages."""
    return render_template("public/licences.html", licences=[licence_words(code) for code in LICENCES], software=static_files.licences())


@blueprint.get("/about/shortcuts")
@policy("public")
def shortcuts() -> str:
    """The keys of the map and of the cloud viewer."""
    return render_template("account/shortcuts.html")
