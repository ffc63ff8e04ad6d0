"""A dataset on offer as everybody may see it, signed in or not: what it is, its versions, how good it is, what it costs.

Whatever is not on offer by an active organisation is the same to everybody: there is no such dataset. What is in the tiles, names of
files and places of findings are not here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, bindparam, select, text

from mapex.catalogue import comparisons
from mapex.catalogue.comparisons import LayerChanges
from mapex.catalogue.versions import VISIBLE, Layer, layers_of
from mapex.database import db
from mapex.database.live_offers import live_offers
from mapex.database.schema import dataset, dataset_version
from mapex.errors import NotFound
from mapex.exchange import Exchange
from mapex.offers import reviews
from mapex.offers.review import Reviewed
from mapex.pyramid.coverage import Covered, Shown
from mapex.rules import quality
from tiles.box import Box
from tiles.grid import grid

_BOX_ZOOM = 14


@dataclass(frozen=True, slots=True)
class Release:
    """A version that was published: its number, state (published, superseded), and when."""

    number: int
    state: str
    published_ns: int


@dataclass(frozen=True, slots=True)
class FindingCount:
    """Findings of one code in the version on sale, added up: for how many records they speak."""

    severity: str
    code: str
    layer: str
    count: int


@dataclass(frozen=True, slots=True)
class LayerOnSale:
    """A layer of the version on sale with its age in whole days and its quality (0 to 100, or `quality.UNKNOWN`)."""

    layer: Layer
    age: int
    quality: int


@dataclass(frozen=True, slots=True)
class Product:
    """A dataset on offer."""

    id: str
    version: int
    org: str
    org_name: str
    slug: str
    title: str
    description: str
    releases: Sequence[Release]
    layers: Sequence[LayerOnSale]
    findings: Sequence[FindingCount]
    licence: str
    attribution: str
    credits_earlier: bool
    updates: str
    rates: Mapping[str, int]
    priced_ns: int
    box: Box | None
    changes: Mapping[str, LayerChanges]
    reviews: Mapping[str, Reviewed]


def get(ex: Exchange, org: str, slug: str) -> Product:
    """The dataset of an organisation that is on offer.

    Raises: NotFound (`dataset.unknown`): absent, a draft, withdrawn, or of a suspended organisation; all look the same.
    """
    now = ex.now()
    with db.read(ex) as conn:
        row = on_offer(conn, org, slug)
        layers = layers_of(conn, row["version_id"])
        facts = text(f"SELECT layer_id, seen_ns, quality FROM shown_layer WHERE layer_id IN ({_OF_VERSION})")
        shown = {one.layer_id: (quality.age_days(one.seen_ns, now), one.quality) for one in conn.execute(facts, dict(row))}
        on_sale = [LayerOnSale(layer, *shown[layer.id]) for layer in layers if layer.id in shown]
        return Product(
            id=row["dataset_id"],
            version=row["number"],
            org=org,
            org_name=row["org_name"],
            slug=slug,
            title=row["title"],
            description=row["description"],
            releases=_releases(conn, row["dataset_id"]),
            layers=on_sale,
            findings=_findings(conn, row["version_id"]),
            licence=row["licence"],
            attribution=row["attribution"],
            credits_earlier=bool(row["credits_earlier"]),
            updates=row["updates"],
            rates=json.loads(row["rate_card"]),
            priced_ns=row["priced_ns"],
            box=_box(conn, on_sale),
            changes=comparisons.of_version(conn, row["version_id"]),
            reviews=reviews.accepted(conn, row["version_id"]),
        )


def box_of(ex: Exchange, ref: str) -> Box | None:
    """Where the dataset `ORG/SLUG` is, in degrees; None when nothing of that name is on offer."""
    org, _, slug = ref.partition("/")
    try:
        return get(ex, org, slug).box
    except NotFound:
        return None


def cells(ex: Exchange, org: str, slug: str, z: int, lo: int, hi: int) -> Sequence[Covered]:
    """As `coverage.cells`, of one dataset.

    Raises: NotFound (`dataset.unknown`).
    """
    now = ex.now()
    statement = text(
        "SELECT s.cell, k.kind, SUM(s.cells), MAX(k.seen_ns), MAX(k.quality) FROM shown_layer k "
        f"JOIN tile_sum s ON s.layer_id = k.layer_id WHERE k.layer_id IN ({_OF_VERSION}) AND s.z = :z "
        "AND s.cell >= :lo AND s.cell < :hi GROUP BY s.cell, k.kind ORDER BY s.cell, k.kind"
    )
    found: dict[int, dict[str, Shown]] = {}
    with db.read(ex) as conn:
        row = on_offer(conn, org, slug)
        for cell, kind, count, seen, score in conn.execute(statement, {**row, "z": z, "lo": lo, "hi": hi}):
            found.setdefault(cell, {})[kind] = Shown(int(count), quality.age_days(seen, now), score)
    return [Covered(cell, kinds) for cell, kinds in found.items()]


_OF_VERSION = "SELECT id FROM layer WHERE version_id = :version_id"


def on_offer(conn: Connection, org: str, slug: str) -> RowMapping:
    """The dataset, its version on sale and the terms of its live offer.

    Raises: NotFound (`dataset.unknown`).
    """
    query = (
        select(
            dataset.c.id.label("dataset_id"),
            dataset.c.title,
            dataset.c.description,
            live_offers.c.org_name,
            live_offers.c.version_id,
            live_offers.c.seller_id,
            dataset_version.c.number,
            live_offers.c.licence,
            live_offers.c.attribution,
            live_offers.c.credits_earlier,
            live_offers.c.updates,
            live_offers.c.rate_card,
            live_offers.c.created_ns.label("priced_ns"),
        )
        .join_from(dataset, live_offers, live_offers.c.dataset_id == dataset.c.id)
        .join(dataset_version, dataset_version.c.id == live_offers.c.version_id)
        .where(live_offers.c.org == org, live_offers.c.dataset == slug)
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound("dataset.unknown", "There is no such dataset.")
    return row


def _releases(conn: Connection, dataset_id: str) -> list[Release]:
    asked = text(
        "SELECT number, state, published_ns FROM dataset_version WHERE dataset_id = :dataset AND state IN :visible "
        "AND published_ns IS NOT NULL ORDER BY number DESC"
    ).bindparams(bindparam("visible", expanding=True))
    return [Release(*row) for row in conn.execute(asked, {"dataset": dataset_id, "visible": list(VISIBLE)})]


def _findings(conn: Connection, version_id: str) -> list[FindingCount]:
    asked = text(
        "SELECT severity, code, layer, SUM(count) FROM finding WHERE version_id = :version GROUP BY severity, code, layer "
        "ORDER BY CASE severity WHEN 'error' THEN 0 WHEN 'question' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, 4 DESC, code, layer"
    )
    return [
        FindingCount(severity, code, layer, int(count)) for severity, code, layer, count in conn.execute(asked, {"version": version_id})
    ]


def _box(conn: Connection, layers: Sequence[LayerOnSale]) -> Box | None:
    """Around the boxes that the files named, or else around coarser ones that hold anything."""
    boxes = [grid.around(box) for one in layers if one.layer.cells and (box := one.layer.facts.box)]
    if not boxes:
        asked = text("SELECT DISTINCT cell FROM tile_sum WHERE z = :z AND layer_id IN :layers").bindparams(
            bindparam("layers", expanding=True)
        )
        found = conn.execute(asked, {"z": _BOX_ZOOM, "layers": [one.layer.id for one in layers]}).scalars()
        boxes = [grid.bounds(cell, _BOX_ZOOM) for cell in found]
    return Box.around(boxes)
