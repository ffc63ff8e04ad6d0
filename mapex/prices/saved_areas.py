"""Saved areas: what an organisation's people drew once and want to use again, and who of them wants news of it. Foreign ones are absent."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, select, update

from mapex import authority, ids
from mapex.database import db
from mapex.database.acts import act
from mapex.database.schema import area_watch, saved_area
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.texts import check_text
from tiles.grid.region import Region

MOST = 200
"""Saved areas of one organisation."""

LONGEST_NAME = 120

NEWS = ("new", "version", "cheaper")
"""What a person may want to know of an area: new data on sale there, a new version of data, a lower price."""


@dataclass(frozen=True, slots=True)
class SavedArea:
    """An area under a name that is unique in its organisation. `region` is a GeoJSON geometry (WGS 84).

    `tell` is what the person who asks wants to know of it, of `NEWS`.
    """

    id: str
    name: str
    region: Mapping[str, Any]
    area_m2: float
    created_ns: int
    tell: tuple[str, ...] = ()


def save(ex: Exchange, by: Actor, name: str, region: Region, *, tell: Collection[str] = ()) -> SavedArea:
    """Keep an area for everybody of `by`'s organisation; `by` gets notices of what `tell` names.

    Raises: Invalid (`text.malformed`, `area.flat`, `area.news`), Conflict (`area.exists`, `area.too_many`), Denied (`role.member`).
    """
    org_id = authority.member(by)
    news = _checked(tell)
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
        _watch(conn, by, area_id, news)
        return _find(conn, by, area_id)


def saved(ex: Exchange, by: Actor) -> Sequence[SavedArea]:
    """The areas of `by`'s organisation, by name."""
    org_id = authority.member(by)
    with db.read(ex) as conn:
        rows = conn.execute(_areas(by).where(saved_area.c.org_id == org_id).order_by(saved_area.c.name)).mappings()
        return [_area(row) for row in rows]


def rename(ex: Exchange, by: Actor, area_id: str, name: str) -> SavedArea:
    """Give a saved area another name.

    Raises: NotFound (`area.unknown`), Invalid (`text.malformed`), Conflict (`area.exists`).
    """
    org_id = authority.member(by)
    name = check_text(name, "name", LONGEST_NAME)

    with act(ex, by, f"areas:{org_id}") as conn:
        if _find(conn, by, area_id).name != name:
            _check_free(conn, org_id, name)
            conn.execute(update(saved_area).where(saved_area.c.id == area_id, saved_area.c.org_id == org_id).values(name=name))
        return _find(conn, by, area_id)


def watch(ex: Exchange, by: Actor, area_id: str, tell: Collection[str]) -> SavedArea:
    """Choose what `by` wants to know of a saved area from now on; nothing named = nothing.

    Raises: NotFound (`area.unknown`), Invalid (`area.news`).
    """
    org_id = authority.member(by)
    news = _checked(tell)
    with act(ex, by, f"areas:{org_id}") as conn:
        _find(conn, by, area_id)
        _watch(conn, by, area_id, news)
        return _find(conn, by, area_id)


def remove(ex: Exchange, by: Actor, area_id: str) -> None:
    """Delete a saved area; quotes and orders that used it keep their own copy.

    Raises: NotFound: `area.unknown`.
    """
    org_id = authority.member(by)
    with act(ex, by, f"areas:{org_id}") as conn:
        _find(conn, by, area_id)
        conn.execute(delete(area_watch).where(area_watch.c.area_id == area_id))
        conn.execute(delete(saved_area).where(saved_area.c.id == area_id, saved_area.c.org_id == org_id))


def _check_free(conn: Connection, org_id: str, name: str) -> None:
    if conn.execute(select(saved_area.c.id).where(saved_area.c.org_id == org_id, saved_area.c.name == name)).first():
        raise Conflict("area.exists", f"An area {name!r} is saved already; choose another name.", name=name)


def _checked(tell: Collection[str]) -> list[str]:
    if unknown := sorted(set(tell) - set(NEWS)):
        raise Invalid("area.news", f"Of an area one may know {', '.join(NEWS)}, not {unknown[0][:40]!r}.", news=unknown[0][:40])
    return [one for one in NEWS if one in tell]


def _watch(conn: Connection, by: Actor, area_id: str, news: Sequence[str]) -> None:
    conn.execute(delete(area_watch).where(area_watch.c.area_id == area_id, area_watch.c.person_id == by.person_id))
    if news:
        conn.execute(insert(area_watch).values(area_id=area_id, person_id=by.person_id, news=" ".join(news)))


def _areas(by: Actor) -> Any:
    """Query of saved areas, with what `by` wants to know of each."""
    mine = and_(area_watch.c.area_id == saved_area.c.id, area_watch.c.person_id == by.person_id)
    return select(saved_area, area_watch.c.news).select_from(saved_area.outerjoin(area_watch, mine))


def _find(conn: Connection, by: Actor, area_id: str) -> SavedArea:
    row = conn.execute(_areas(by).where(saved_area.c.id == area_id, saved_area.c.org_id == by.org_id)).mappings().first()
    if row is None:
        raise NotFound("area.unknown", f"There is no saved area {area_id!r} of your organisation.", area=area_id)
    return _area(row)


def _area(row: RowMapping) -> SavedArea:
    tell = tuple((row["news"] or "").split())
    return SavedArea(row["id"], row["name"], json.loads(row["region"]), row["area_m2"], row["created_ns"], tell)
