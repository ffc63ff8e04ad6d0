"""Builders for the market's tests: drafts put into the database directly, everything after that by the real services."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, insert, select

from mapex import ids
from mapex.audit import log
from mapex.audit.log import Action, AuditEntry
from mapex.catalogue import comparisons, drafts, versions
from mapex.catalogue.comparison import CellChange, LayerComparison
from mapex.catalogue.versions import Version
from mapex.database.schema import dataset, dataset_version, layer, tile
from mapex.exchange import Actor, Exchange
from mapex.intake.keys import object_key
from mapex.offers import offers
from mapex.orders import ledger, orders
from mapex.prices import estimates, quotes
from mapex.prices.request import of_area
from mapex.rights import permits
from mapex.rights.permit import NewPermit, Permit
from mapex.rules.choice import Choice
from mapex.times import DAY_NS
from tests.support.exchange import DAY_ONE, a_person
from tiles.batch import QUANTITIES, LayerKind, Quantities
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.store.protocol import Bucket

SEOUL = grid.morton(55_885, 25_377)
"""A sale cell in the middle of Seoul."""

"""Of a draft that no worker has made."""

RATES: Mapping[str, object] = {"lane_km": 6300, "footway_km": 2900, "million_points": 4000, "frame": 20}

EVERYWHERE = {"type": "Polygon", "coordinates": [[[120, 30], [135, 30], [135, 45], [120, 45], [120, 30]]]}


@dataclass(slots=True)
class Spec:
    """A layer to be: parts by cell, each part a text that is its content, and the price vector of every part (of a cell: `vectors`).

    `changes` are its cells that differ from the version before; None: it was not compared.
    """

    name: str = "hdmap"
    kind: LayerKind = LayerKind.HDMAP
    handling_class: str | None = "open"
    parts: Mapping[int, Sequence[str]] = field(default_factory=dict)
    each: Quantities = field(default_factory=lambda: Quantities(lane_mm=1_234_567, crossings=2, features=9))
    about: Mapping[str, object] = field(default_factory=dict)
    vectors: Mapping[int, Quantities] = field(default_factory=dict)
    changes: Sequence[CellChange] | None = None
    content: str = "features"


def block(side: int = 4, origin: int = SEOUL) -> list[int]:
    """Cells of a square of `side` x `side`, whose north-western corner is the cell `origin`."""
    x, y = grid.xy(origin)
    return [int(grid.morton(x + i, y + j)) for j in range(side) for i in range(side)]


def area(cells: Sequence[int]) -> Cover:
    return Cover.from_cells(np.array(cells, dtype=np.uint64))


def a_layer(cells: Sequence[int], *, name: str = "hdmap", handling_class: str | None = "open", salt: str = "", **changes: object) -> Spec:
    """A layer with one part in each cell; `salt` changes every content."""
    return Spec(name=name, handling_class=handling_class, parts={cell: [f"{name} {cell} {salt}"] for cell in cells}, **changes)


def a_draft(ex: Exchange, seller: Actor, slug: str, layers: Sequence[Spec]) -> int:
    """A version that is ready to be published, with its objects in the store; returns its number."""
    with ex.engine.begin() as conn:
        dataset_id = conn.execute(select(dataset.c.id).where(dataset.c.org_id == seller.org_id, dataset.c.slug == slug)).scalar()
        if dataset_id is None:
            dataset_id = ids.new("dat")
            conn.execute(insert(dataset).values(id=dataset_id, org_id=seller.org_id, slug=slug, title=slug.title(), created_ns=DAY_ONE))
            log.append(conn, ex, seller, AuditEntry(Action.DATASET_CREATED, dataset=slug, details={"title": slug.title()}))
        number = len(conn.execute(select(dataset_version.c.id).where(dataset_version.c.dataset_id == dataset_id)).all()) + 1
        version_id = ids.new("ver")
        request = {"uploads": [], "classes": {}, "placement": {"crs": None, "origin": None, "height_datum": None}}
        conn.execute(
            insert(dataset_version).values(
                id=version_id,
                dataset_id=dataset_id,
                number=number,
                state="draft",
                request=json.dumps(request),
                created_ns=DAY_ONE,
            )
        )
        layer_ids = {spec.name: _add_layer(conn, ex, seller, version_id, spec) for spec in layers}
        version = versions.version_by(conn, dataset_version.c.id == version_id)
        drafted = _compared(ex, conn, version, layers, layer_ids)
        digest = drafts.write_manifest(conn, version, {"sources": [], "findings": {}, "tools": {}})
        for action, more in ((Action.VERSION_STARTED, {}), (Action.VERSION_DRAFTED, {"manifest_sha256": digest, **drafted})):
            log.append(conn, ex, seller, AuditEntry(action, dataset=slug, details={"version": number, **more}))
    return number


def _compared(ex: Exchange, conn: Connection, version: Version, layers: Sequence[Spec], layer_ids: Mapping[str, str]) -> dict[str, str]:
    """Keep what the layers change against those on sale, and answer what the log has of it."""
    compared = [spec for spec in layers if spec.changes is not None]
    before = {one.name: one for one in comparisons.layers_before(ex, version)} if compared else {}
    found = [LayerComparison.of(spec.name, before[spec.name].id, (0, 0), spec.changes or ()) for spec in compared]
    comparisons.store(conn, layer_ids, found)
    digest = comparisons.digest(conn, version.id)
    return {"changes_sha256": digest} if digest else {}


def _add_layer(conn: Connection, ex: Exchange, seller: Actor, version_id: str, spec: Spec) -> str:
    layer_id = ids.new("lay")
    rows = []
    total = Quantities()
    for cell, contents in spec.parts.items():
        for part, content in enumerate(contents):
            body = content.encode()
            sha256 = hashlib.sha256(body).hexdigest()
            key = object_key(str(seller.org_id), sha256)
            ex.store.put(Bucket.DATA, key, body, sha256=sha256)
            west, south, east, north = grid.bounds(cell)
            each = spec.vectors.get(cell, spec.each)
            vector = {name: getattr(each, name) for name in QUANTITIES} | {"bytes": len(body)}
            total += Quantities(**vector)
            rows.append(
                {
                    "layer_id": layer_id,
                    "cell": cell,
                    "part": part,
                    "object_key": key,
                    "sha256": sha256,
                    "media_type": "application/vnd.apache.parquet",
                    "west": west,
                    "south": south,
                    "east": east,
                    "north": north,
                    **vector,
                }
            )
    sums = {name: getattr(total, name) for name in QUANTITIES}
    conn.execute(
        insert(layer).values(
            id=layer_id,
            version_id=version_id,
            name=spec.name,
            kind=spec.kind,
            content=spec.content,
            handling_class=spec.handling_class,
            about=json.dumps(dict(spec.about)),
            cells=len(spec.parts),
            **sums,
        )
    )
    if rows:
        conn.execute(insert(tile), rows)
    return layer_id


@dataclass(slots=True)
class Market:
    """A seller with one published dataset `streets`, and a buyer with money."""

    ex: Exchange
    seller: Actor
    buyer: Actor
    cells: list[int]

    def quote(self, cells: Sequence[int] | None = None, purpose: str | None = "research", **wanted: object) -> quotes.Quote:
        """A quote of what the rule takes, and of all original footage unless a `choice` is made."""
        ground = area(self.cells if cells is None else cells)
        made = {"choice": with_originals(self.ex, self.buyer, ground), **wanted}
        return quotes.quote(self.ex, self.buyer, of_area(ground, purpose=purpose, **made))

    def buy(self, cells: Sequence[int] | None = None, key: str = "", purpose: str = "research") -> orders.Order:
        made = self.quote(cells, purpose)
        return orders.place(self.ex, self.buyer, made.id, key or made.id, persons=named_for(made, self.buyer))

    def balance(self, who: Actor | None = None) -> int:
        return ledger.wallet(self.ex, who or self.buyer).balance


def with_originals(ex: Exchange, buyer: Actor, ground: Cover) -> Choice:
    """A choice that names all original footage of an area."""
    offered = estimates.estimate(ex, buyer, of_area(ground)).offers
    return Choice(frozenset(row.name for row in offered if row.lines[0].handling_class == "original"))


def named_for(quote: quotes.Quote, buyer: Actor) -> Sequence[str]:
    """Whom an order of a quote has to name: the buyer when there is original footage in it."""
    return [buyer.email] if any(line.handling_class == "original" for line in quote.estimate.lines) else []


def a_market(ex: Exchange, *, layers: Sequence[Spec] | None = None, credit: int = 10_000_000, side: int = 4) -> Market:
    """Hanbit sells `streets` (16 cells of lanes in Seoul unless asked otherwise), Dongil has `credit` KRW."""
    seller, buyer = a_person(ex, "hanbit"), a_person(ex, "dongil")
    cells = block(side)
    a_draft(ex, seller, "streets", layers if layers is not None else [a_layer(cells)])
    offers.publish(ex, seller, "streets", rate_card=RATES, licence="research")
    if credit:
        ledger.credit(ex, None, "dongil", credit, key="first")
    return Market(ex, seller, buyer, cells)


def a_permit(ex: Exchange, org: str = "dongil", number: str = "P-1", *, days: int = 30, **changes: object) -> Permit:
    """A permit for research with original and restricted data in all of Korea, from now on for `days`."""
    now = ex.now()
    terms: dict[str, object] = {
        "purposes": ["research", "simulation"],
        "classes": ["original", "restricted"],
        "area": EVERYWHERE,
        "valid_from_ns": now - DAY_NS,
        "valid_to_ns": now + days * DAY_NS,
    }
    return permits.add(ex, None, NewPermit(org=org, number=number, **{**terms, **changes}))  # type: ignore[arg-type]
