"""Pages of the catalogue: all that is on sale, found by words and filters, and one seller."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from mapex.showroom import search, sellers
from mapex.showroom.search import LONGEST_QUESTION, SORTS, CatalogueQuery
from tiles.box import Box
from web.edge import static_files
from web.edge.auth import exchange
from web.edge.policy import policy
from web.pages.shared import shows_prices
from web.words import vocabulary
from web.words.language import language
from web.words.licences import licence_words
from web.words.units import UNITS

blueprint = Blueprint("pages_catalogue", __name__)

TEXTS = {"q": "q", "kind": "kind", "class": "handling_class", "licence": "licence", "purpose": "purpose", "place": "place"}
PRICED = {"unit": "unit"}
"""Filters that say what is charged: for those who see prices."""
DAYS = (30, 90, 180, 365)


@blueprint.get("/datasets")
@policy("public")
def catalogue() -> str:
    """All that is on sale, found by words and filters, with a picture of each; without a script."""
    chosen = _chosen()
    page = search.find(exchange(), _query(chosen))
    return render_template(
        "buy/catalogue.html",
        found=page,
        chosen=chosen,
        at=min(_number(chosen.get("page", "")) or 1, page.pages),
        filters=_filters(page),
        days=DAYS,
        sorts=SORTS,
        text_of=lambda one: one.described.text(language()) or one.description,
    )


@blueprint.get("/sellers/<org>")
@policy("public")
def seller(org: str) -> str:
    """A seller: what it says about itself, what it sells, where, and since when."""
    found = sellers.get(exchange(), org)
    box = Box.around(found.squares)
    page = {
        "squares": [[round(side, 6) for side in one] for one in found.squares],
        "bounds": box,
        "hasVendor": static_files.has_vendor(),
    }
    return render_template(
        "buy/seller.html",
        seller=found,
        page=page,
        described=found.described.text(language()),
        text_of=lambda one: one.described.text(language()) or one.description,
    )


def _chosen() -> dict[str, str]:
    """What the address asks for, as it was typed."""
    names = (*TEXTS, *(PRICED if shows_prices() else ()), "seller", "fresh", "sort", "page")
    return {name: text for name in names if (text := request.args.get(name, "").strip()[:LONGEST_QUESTION])}


def _query(chosen: dict[str, str]) -> CatalogueQuery:
    texts = {field: chosen.get(name, "") for name, field in (TEXTS | PRICED | {"seller": "seller"}).items()}
    sort = chosen.get("sort", "")
    numbers = {"fresh": _number(chosen.get("fresh", "")), "page": _number(chosen.get("page", "")) or 1}
    return CatalogueQuery(**texts, sort=sort if sort in SORTS else SORTS[0], **numbers)  # type: ignore[arg-type]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def _filters(page: search.CataloguePage) -> list[dict[str, Any]]:
    """The filters with their values, each value with how many there are."""
    words: dict[str, Any] = {
        "kind": vocabulary.KINDS,
        "class": vocabulary.CLASSES,
        "purpose": vocabulary.PURPOSES,
        "unit": UNITS,
    }
    fields = {"kind": "kind", "class": "handling_class", "licence": "licence", "purpose": "purpose", "seller": "seller"}
    fields |= PRICED if shows_prices() else {}
    found = []
    for name, field in fields.items():
        counts = page.counts[field]
        known = words.get(name, {})
        order = [code for code in known if code in counts] or sorted(counts)
        named = {code: licence_words(code)["name"] if name == "licence" else known.get(code, code) for code in order}
        found.append({"name": name, "values": [(str(code), str(named[code]), counts[code]) for code in order]})
    return found
