"""What a seller says about a dataset, and about itself: text in Korean and English, stated accuracy, method, whether a sample is free.

Nobody has checked it. What mapex measures stands beside it and is never mixed with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import rfc8785
from sqlalchemy import Connection, RowMapping, Table, delete, insert, select

from mapex import authority
from mapex.audit.log import Action, AuditEntry, append
from mapex.catalogue.versions import find_dataset, own_dataset
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Invalid
from mapex.exchange import Actor, Exchange
from mapex.offers.products import Product
from mapex.texts import check_text

LONGEST = {"ko": 10_000, "en": 10_000, "accuracy_basis": 100, "method": 2000, "sensors": 500}
"""Characters of each text."""

MOST_ACCURACY_MM = 1_000_000


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """What a seller says about a dataset. `accuracy_mm` is None where none is stated; `sample`: one tile a layer is free to look at."""

    ko: str = ""
    en: str = ""
    accuracy_mm: int | None = None
    accuracy_basis: str = ""
    method: str = ""
    sensors: str = ""
    sample: bool = False

    def text(self, language: str) -> str:
        """The text in a language (`ko`, `en`), or in the other one when that is all there is."""
        return (self.ko or self.en) if language == "ko" else (self.en or self.ko)

    @property
    def sha256(self) -> str:
        """The digest that the log holds: what is shown is what was described."""
        return _digest(asdict(self))


@dataclass(frozen=True, slots=True)
class SellerText:
    """What a seller says about itself."""

    ko: str = ""
    en: str = ""

    def text(self, language: str) -> str:
        """As `DatasetDescription.text`."""
        return (self.ko or self.en) if language == "ko" else (self.en or self.ko)

    @property
    def sha256(self) -> str:
        """As `DatasetDescription.sha256`."""
        return _digest(asdict(self))


def get(ex: Exchange, by: Actor, ref: str) -> DatasetDescription:
    """The description of a dataset (`SLUG` or `ORG/SLUG`) that `by` may see.

    Raises: NotFound, Conflict (`dataset.ambiguous`).
    """
    with db.read(ex) as conn:
        return of_dataset(conn, find_dataset(conn, by, ref).id)


def get_seller(ex: Exchange, by: Actor) -> SellerText:
    """What the own organisation says about itself.

    Raises: Denied.
    """
    org_id = authority.member(by)
    with db.read(ex) as conn:
        return of_seller(conn, org_id)


def of_product(ex: Exchange, product: Product) -> DatasetDescription:
    """The description of a dataset on sale."""
    with db.read(ex) as conn:
        return of_dataset(conn, product.id)


def of_dataset(conn: Connection, dataset_id: str) -> DatasetDescription:
    """The description of a dataset; an empty one where there is none."""
    table = schema.dataset_description
    row = conn.execute(select(table).where(table.c.dataset_id == dataset_id)).mappings().first()
    return description_from(row) if row is not None else DatasetDescription()


def of_seller(conn: Connection, org_id: str) -> SellerText:
    """What an organisation says about itself; an empty text where it does not."""
    table = schema.seller_description
    row = conn.execute(select(table).where(table.c.org_id == org_id)).mappings().first()
    return SellerText(row["ko"], row["en"]) if row is not None else SellerText()


def description_from(row: RowMapping) -> DatasetDescription:
    """The description of a row."""
    named = {one.name: row[one.name] for one in fields(DatasetDescription)}
    return DatasetDescription(**{**named, "sample": bool(named["sample"])})


def describe(ex: Exchange, by: Actor, dataset: str, changes: Mapping[str, Any]) -> DatasetDescription:
    """Say something about an own dataset: the fields that are named change, the others stay; None takes the stated accuracy away.

    Raises: Denied, NotFound (`dataset.unknown`), Invalid (`text.malformed`, `description.accuracy`).
    """
    values = _checked(changes)
    with act(ex, by) as conn:
        found = own_dataset(conn, by, dataset)
        before = of_dataset(conn, found.id)
        after = replace(before, **values)
        if after == before:
            return before
        _store(conn, schema.dataset_description, "dataset_id", found.id, {**asdict(after), "described_ns": ex.now()})
        details = {"description_sha256": after.sha256, "accuracy_mm": after.accuracy_mm, "gives_sample": after.sample}
        append(conn, ex, by, AuditEntry(Action.DATASET_DESCRIBED, dataset=found.slug, details=details))
        return after


def describe_seller(ex: Exchange, by: Actor, changes: Mapping[str, Any]) -> SellerText:
    """Say something about the own organisation, as `describe`.

    Raises: Denied, Invalid (`text.malformed`).
    """
    org_id = authority.member(by)
    values = _checked(changes)
    with act(ex, by, f"seller:{org_id}") as conn:
        before = of_seller(conn, org_id)
        after = replace(before, **values)
        if after == before:
            return before
        _store(conn, schema.seller_description, "org_id", org_id, {**asdict(after), "described_ns": ex.now()})
        details = {"description_sha256": after.sha256}
        append(conn, ex, by, AuditEntry(Action.SELLER_DESCRIBED, owner=by.org_slug, details=details))
        return after


def _store(conn: Connection, table: Table, key: str, value: str, row: Mapping[str, Any]) -> None:
    conn.execute(delete(table).where(table.c[key] == value))
    conn.execute(insert(table).values(**{key: value}, **row))


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as they are stored: texts in bounds, with plain line breaks."""
    values = dict(changes)
    for name in LONGEST.keys() & values.keys():
        text = str(values[name]).replace("\r\n", "\n")
        values[name] = check_text(text, name, LONGEST[name]) if text.strip() else ""
    accuracy = values.get("accuracy_mm")
    if accuracy is not None and not 1 <= accuracy <= MOST_ACCURACY_MM:
        message = f"A stated accuracy is between 0.001 and {MOST_ACCURACY_MM // 1000:,} metres. Give that number, or none."
        raise Invalid("description.accuracy", message, most_m=MOST_ACCURACY_MM // 1000)
    return values


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(dict(values))).hexdigest()
