"""What is on sale as a catalogue: each dataset with what it holds, where, by whom and under which licence.

Only what everybody may see of a dataset on offer. What a version holds never changes, so names of its places and attributes are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, text

from mapex.atlas import naming
from mapex.atlas.naming import Named
from mapex.catalogue.versions import VISIBLE
from mapex.database import db, schema
from mapex.database.live_offers import live_offers
from mapex.exchange import Exchange
from mapex.rules import quality
from mapex.showroom.descriptions import DatasetDescription, description_from

_PLACE_ZOOM = 13
_MOST_CELLS = 2000
"""Cells of a dataset whose names are found; of a province a sample, evenly over its order."""


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """A layer of a version on sale; `age` in whole days, `quality` 0 to 100 or `quality.UNKNOWN`."""

    name: str
    kind: str
    handling_class: str
    tiles: int
    age: int
    quality: int


@dataclass(frozen=True, slots=True)
class OnSale:
    """A dataset on sale."""

    dataset_id: str
    version_id: str
    org: str
    org_name: str
    slug: str
    title: str
    description: str
    described: DatasetDescription
    version: int
    versions: int
    published_ns: int
    licence: str
    attribution: str
    updates: str
    rates: Mapping[str, int]
    layers: tuple[ListedLayer, ...]
    place: Named | None
    places: tuple[str, ...]
    attributes: tuple[str, ...]

    @property
    def ref(self) -> str:
        """`ORG/SLUG`."""
        return f"{self.org}/{self.slug}"

    @property
    def age(self) -> int:
        """Days since the newest of it was seen."""
        return min((one.age for one in self.layers), default=0)

    @property
    def quality(self) -> int:
        """Of its best layer."""
        return max((one.quality for one in self.layers), default=quality.UNKNOWN)

    @property
    def tiles(self) -> int:
        """Of all layers."""
        return sum(one.tiles for one in self.layers)


@dataclass(frozen=True, slots=True)
class _Content:
    """What of a version is looked for: where it is, what its features carry."""

    place: Named | None
    places: tuple[str, ...]
    attributes: tuple[str, ...]


def on_sale(ex: Exchange, *, org: str | None = None) -> list[OnSale]:
    """All datasets on sale, or those of one seller, the newest first."""
    with db.read(ex) as conn:
        rows = conn.execute(_offers(org)).mappings().all()
        layers = _layers(conn, ex.now())
        described = {row["dataset_id"]: description_from(row) for row in conn.execute(select(schema.dataset_description)).mappings()}
        contents = {row["version_id"]: _content(ex, conn, row["version_id"]) for row in rows}
    return [
        _listed(row, layers.get(row["version_id"], ()), described.get(row["dataset_id"], DatasetDescription()), contents) for row in rows
    ]


def _offers(org: str | None) -> Any:
    version, released = schema.dataset_version, schema.dataset_version.alias("released")
    versions = select(func.count()).where(
        released.c.dataset_id == schema.dataset.c.id, released.c.state.in_(VISIBLE), released.c.published_ns.is_not(None)
    )
    query = (
        select(live_offers, schema.dataset.c.title, schema.dataset.c.description, version.c.number, version.c.published_ns)
        .add_columns(versions.scalar_subquery().label("versions"))
        .join_from(live_offers, schema.dataset, schema.dataset.c.id == live_offers.c.dataset_id)
        .join(version, version.c.id == live_offers.c.version_id)
        .order_by(version.c.published_ns.desc(), live_offers.c.org, live_offers.c.dataset)
    )
    return query if org is None else query.where(live_offers.c.org == org)


def _layers(conn: Connection, now: int) -> dict[str, tuple[ListedLayer, ...]]:
    """The layers that the map shows, by version."""
    rows = conn.execute(
        text(
            "SELECT l.version_id, l.name, l.kind, l.handling_class, l.cells, k.seen_ns, k.quality FROM shown_layer k "
            "JOIN layer l ON l.id = k.layer_id WHERE l.cells > 0 ORDER BY l.version_id, l.name"
        )
    )
    found: dict[str, list[ListedLayer]] = {}
    for row in rows:
        age = quality.age_days(row.seen_ns, now)
        found.setdefault(row.version_id, []).append(ListedLayer(row.name, row.kind, row.handling_class, row.cells, age, row.quality))
    return {version: tuple(layers) for version, layers in found.items()}


def _listed(row: RowMapping, layers: Sequence[ListedLayer], described: DatasetDescription, contents: Mapping[str, _Content]) -> OnSale:
    content = contents[row["version_id"]]
    same = ("dataset_id", "version_id", "org", "org_name", "title", "description", "published_ns", "versions")
    terms = ("licence", "attribution", "updates")
    return OnSale(
        **{name: row[name] for name in (*same, *terms)},
        slug=row["dataset"],
        described=described,
        version=row["number"],
        rates=json.loads(row["rate_card"]),
        layers=tuple(layers),
        place=content.place,
        places=content.places,
        attributes=content.attributes,
    )


_kept: dict[tuple[str, str], _Content] = {}
_MOST_KEPT = 20_000


def _content(ex: Exchange, conn: Connection, version_id: str) -> _Content:
    key = (str(ex.engine.url), version_id)
    if key not in _kept:
        if len(_kept) > _MOST_KEPT:
            _kept.clear()
        cells = list(conn.execute(_CELLS, {"z": _PLACE_ZOOM, "version": version_id}).scalars())
        some = cells[:: max(1, len(cells) // _MOST_CELLS)]
        names = naming.all_names(ex, some, _PLACE_ZOOM)
        own = conn.execute(_ATTRIBUTES, {"version": version_id}).scalars()
        attributes = sorted({str(row[0]) for about in own for row in json.loads(about)["rows"]})
        named = naming.of_cells(ex, some, _PLACE_ZOOM)
        _kept[key] = _Content(named, tuple(dict.fromkeys(name for one in names for name in one)), tuple(attributes))
    return _kept[key]


_CELLS = text(
    "SELECT DISTINCT s.cell FROM tile_sum s JOIN layer l ON l.id = s.layer_id WHERE s.z = :z AND l.version_id = :version ORDER BY s.cell"
)
_ATTRIBUTES = text(
    "SELECT p.about FROM preview p JOIN layer l ON l.id = p.layer_id WHERE l.version_id = :version AND p.kind = 'attributes' "
    "ORDER BY p.layer_id, p.ordinal"
)
