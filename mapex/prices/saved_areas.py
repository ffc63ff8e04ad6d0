"""Saved areas: what an organisation's people drew once and want to use again. Foreign ones are absent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from mapex import authority, ids
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import saved_area
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.texts import check_text
from tiles.grid.region import Region

MOST = 200
"""Saved areas of one organisation."""

LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class SavedArea:
    """An area under a name that is unique in its organisation. `region` is a GeoJSON geometry (WGS 84)."""

    id: str
    name: str
    region: Mapping[str, Any]
    area_m2: float
    created_ns: int


def save(ex: Exchange, by: Actor, name: str, region: Region) -> SavedArea:
    """Keep an area for everybody of `by`'s organisation.

    Raises: Invalid (`text.malformed`, `area.flat`), Conflict (`area.exists`, `area.too_many`), Denied (`role.member`).
    """
    org_id = authority.member(by)
    name = check_text(name, "name", LONGEST_NAME)
    area_m2 = region.area_m2
    if area_m2 <= 0:
        raise Invalid("area.flat", "Only an area can be saved, not lines or points. Draw a polygon.")

    with act(ex, by, f"areas:{org_id}") as conn:
        _check_free(conn, org_id, name)
        if conn.execute(select(func.count()).select_from(saved_area).where(saved_area.c.org_id == org_id)).scalar_one() >= MOST:
            raise Conflict("area.too_many", f"Your organisation has saved {MOST} areas already; delete one first.", limit=MOST)
        area_id = ids.new("are")
        row = {"name": name, "region": json.dumps(region.geojson), "area_m2": round(area_m2), "created_ns": ex.now()}
        conn.execute(insert(saved_area).values(id=area_id, org_id=org_id, **row))
        return _find(conn, org_id, area_id)


def saved(ex: Exchange, by: Actor) -> Sequence[SavedArea]:
    """The areas of `by`'s organisation, by name."""
    org_id = authority.member(by)
    with db.read(ex) as conn:
        return [
            _area(row)
            for row in conn.execute(select(saved_area).where(saved_area.c.org_id == org_id).order_by(saved_area.c.name)).mappings()
        ]


def rename(ex: Exchange, by: Actor, area_id: str, name: str) -> SavedArea:
    """Give a saved area another name.

    Raises: NotFound (`area.unknown`), Invalid (`text.malformed`), Conflict (`area.exists`).
    """
    org_id = authority.member(by)
    name = check_text(name, "name", LONGEST_NAME)

    with act(ex, by, f"areas:{org_id}") as conn:
        if _find(conn, org_id, area_id).name != name:
            _check_free(conn, org_id, name)
            conn.execute(update(saved_area).where(saved_area.c.id == area_id, saved_area.c.org_id == org_id).values(name=name))
        return _find(conn, org_id, area_id)


def remove(ex: Exchange, by: Actor, area_id: str) -> None:
    """Delete a saved area; quotes and orders that used it keep their own copy.

    Raises: NotFound: `area.unknown`.
    """
    org_id = authority.member(by)
    with act(ex, by, f"areas:{org_id}") as conn:
        _find(conn, org_id, area_id)
        conn.execute(delete(saved_area).where(saved_area.c.id == area_id, saved_area.c.org_id == org_id))


def _check_free(conn: Connection, org_id: str, name: str) -> None:
    if conn.execute(select(saved_area.c.id).where(saved_area.c.org_id == org_id, saved_area.c.name == name)).first():
        raise Conflict("area.exists", f"An area {name!r} is saved already; choose another name.", name=name)


def _find(conn: Connection, org_id: str, area_id: str) -> SavedArea:
    row = conn.execute(select(saved_area).where(saved_area.c.id == area_id, saved_area.c.org_id == org_id)).mappings().first()
    if row is None:
        raise NotFound("area.unknown", f"There is no saved area {area_id!r} of your organisation.", area=area_id)
    return _area(row)


def _area(row: RowMapping) -> SavedArea:
    return SavedArea(row["id"], row["name"], json.loads(row["region"]), row["area_m2"], row["created_ns"])
