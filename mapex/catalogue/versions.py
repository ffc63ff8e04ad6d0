"""Rows of the catalogue as values: datasets, versions, layers; who may see which."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, func, or_, select

from mapex import authority
from mapex.catalogue.draft import LayerFacts
from mapex.database import schema
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor
from mapex.intake.placement import Placement
from tiles.batch import QUANTITIES, Content, LayerKind, Quantities

REMOVED = "removed"
"""State of a version that its seller removed: it is there for nobody."""

VISIBLE = ("published", "superseded")
"""States of a version that other organisations may see."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A seller's product line. `published` is the number of the version on sale, if any; `newest` counts drafts only for the owner."""

    id: str
    org_id: str
    org: str
    slug: str
    title: str
    description: str
    created_ns: int
    newest: int | None
    published: int | None


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable version of a dataset (its state apart). `classes` are as asked for, by layer name or `*`.

    `left_out`: names of files that were sent with it, and that its seller left out.
    """

    id: str
    dataset_id: str
    org_id: str
    org: str
    dataset: str
    number: int
    state: str
    parent_id: str | None
    uploads: tuple[str, ...]
    classes: Mapping[str, str]
    placement: Placement
    manifest_sha256: str | None
    created_ns: int
    published_ns: int | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a version; `cells` is the number of its tiles' cells, `quantities` what they own."""

    id: str
    name: str
    kind: LayerKind
    content: Content
    handling_class: str | None
    facts: LayerFacts
    cells: int
    quantities: Quantities


def find_dataset(conn: Connection, by: Actor, ref: str) -> Dataset:
    """The dataset `SLUG` (the own one first) or `ORG/SLUG`.

    Raises: NotFound: absent or foreign and not published. Conflict (`dataset.ambiguous`): several organisations publish that slug.
    """
    org, _, slug = ref.rpartition("/")
    query = visible_datasets(by).where(schema.dataset.c.slug == slug)
    if org:
        query = query.where(schema.organisation.c.slug == org)
    found = [dataset_from(row) for row in conn.execute(query).mappings()]
    own = [dataset for dataset in found if dataset.org_id == by.org_id]
    if own:
        return own[0]
    if not found:
        raise NotFound("dataset.unknown", "There is no such dataset.")
    if len(found) > 1:
        names = sorted(f"{dataset.org}/{slug}" for dataset in found)
        raise Conflict("dataset.ambiguous", f"Several organisations have a dataset {slug!r}; name one: {', '.join(names)}.", datasets=names)
    return found[0]


def own_dataset(conn: Connection, by: Actor, slug: str) -> Dataset:
    """The actor's own dataset, locked until the transaction ends, so that versions are numbered and published one at a time.

    Raises: Denied: `by` is of no organisation. NotFound: absent or foreign.
    """
    org_id = authority.member(by)
    dataset = schema.dataset.c
    own = (dataset.org_id == org_id, dataset.slug == slug, dataset.removed_ns.is_(None))
    locked = conn.execute(select(dataset.id).where(*own).with_for_update(key_share=True)).first()
    if locked is None:
        raise NotFound("dataset.unknown", "There is no such dataset.")
    return find_dataset(conn, by, f"{by.org_slug}/{slug}")


def find_version(conn: Connection, by: Actor, ref: str, number: int | None = None) -> Version:
    """As `get_version`, in the caller's transaction."""
    dataset = find_dataset(conn, by, ref)
    version = schema.dataset_version.c
    query = all_versions().where(version.dataset_id == dataset.id).order_by(version.number.desc())
    if number is not None:
        query = query.where(version.number == number)
    for found in conn.execute(query).mappings():
        if may_see(by, found["org_id"], found["state"]):
            return version_from(found)
    raise NotFound("version.unknown", "There is no such version.")


def layers_of(conn: Connection, version_id: str) -> Sequence[Layer]:
    """Layers of a version, by name."""
    query = select(schema.layer).where(schema.layer.c.version_id == version_id).order_by(schema.layer.c.name)
    return [layer_from(row) for row in conn.execute(query).mappings()]


def may_see(by: Actor, org_id: str, state: str) -> bool:
    """Whether `by` may see a version in this state of this organisation."""
    return state != REMOVED and (authority.sees_all(by) or org_id == by.org_id or state in VISIBLE)


def visible_datasets(by: Actor) -> Any:
    """Query of the datasets that `by` may see: own ones, and those of active organisations with a visible version."""
    version = schema.dataset_version
    of_it = and_(version.c.dataset_id == schema.dataset.c.id, version.c.state != REMOVED)
    newest = select(func.max(version.c.number)).where(of_it).scalar_subquery()
    published = select(func.max(version.c.number)).where(of_it, version.c.state == "published").scalar_subquery()
    query = select(schema.dataset, schema.organisation.c.slug.label("org"), newest.label("newest"), published.label("published")).join(
        schema.organisation, schema.organisation.c.id == schema.dataset.c.org_id
    )
    query = query.where(schema.dataset.c.removed_ns.is_(None))
    if authority.sees_all(by):
        return query
    shown = select(version.c.id).where(of_it, version.c.state.in_(VISIBLE)).exists()
    foreign = and_(shown, schema.organisation.c.state == "active")
    return query.where(or_(schema.dataset.c.org_id == by.org_id, foreign)).add_columns(
        (schema.dataset.c.org_id != by.org_id).label("is_foreign")
    )


def dataset_from(row: RowMapping) -> Dataset:
    """The dataset of a row of `visible_datasets`."""
    is_foreign = row.get("is_foreign", False)
    columns = {name: row[name] for name in ("id", "org_id", "org", "slug", "title", "description", "created_ns", "published")}
    return Dataset(**columns, newest=row["published"] if is_foreign else row["newest"])


def all_versions() -> Any:
    """Query of all versions with the slugs of dataset and organisation."""
    dataset, org = schema.dataset.c, schema.organisation.c
    named = select(schema.dataset_version, dataset.slug.label("dataset"), dataset.org_id, org.slug.label("org"))
    return named.join(schema.dataset, dataset.id == schema.dataset_version.c.dataset_id).join(schema.organisation, org.id == dataset.org_id)


def version_by(conn: Connection, condition: Any) -> Version:
    """The one version of a condition, whoever asks.

    Raises: NotFound.
    """
    row = conn.execute(all_versions().where(condition)).mappings().first()
    if row is None:
        raise NotFound("version.unknown", "There is no such version.")
    return version_from(row)


def version_from(row: RowMapping) -> Version:
    """The version of a row of `all_versions`."""
    request = json.loads(row["request"])
    columns = (
        "id",
        "dataset_id",
        "org_id",
        "org",
        "dataset",
        "number",
        "state",
        "parent_id",
        "manifest_sha256",
        "created_ns",
        "published_ns",
    )
    return Version(
        **{name: row[name] for name in columns},
        uploads=tuple(request["uploads"]),
        classes=request["classes"],
        placement=Placement.from_json(request["placement"]),
        left_out=tuple(request.get("left_out", ())),
    )


def layer_from(row: RowMapping) -> Layer:
    """The layer of a row."""
    return Layer(
        id=row["id"],
        name=row["name"],
        kind=LayerKind(row["kind"]),
        content=Content(row["content"]),
        handling_class=row["handling_class"],
        facts=LayerFacts.from_json(json.loads(row["about"])),
        cells=row["cells"],
        quantities=Quantities(**{name: row[name] for name in QUANTITIES}),
    )
