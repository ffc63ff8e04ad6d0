"""What an offer is to those who watch saved areas: new data there, a new version, or a lower price; never to its own seller.

Only what the map shows to everybody counts. A person gets one notice for an offer, and the same news of the same version, or of a lower
price on the same day, comes once, however often an offer is withdrawn and made again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from sqlalchemy import Connection, RowMapping, text

from mapex.exchange import Exchange
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import Addressed, News
from mapex.times import kst_day
from tiles.errors import InvalidRegion
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM
from tiles.grid.region import Region
from tiles.grid.scan import cover


@dataclass(frozen=True, slots=True)
class _Offered:
    """An offer that is live, with the ground of what it shows, and of what the one that it replaced had."""

    dataset_id: str
    dataset: str
    org_id: str
    version_id: str
    ground: Cover
    before: Cover
    is_other_version: bool
    is_cheaper: bool

    def news_of(self, area: Cover) -> Sequence[str]:
        """What it is to who watches an area, the most of it first."""
        if not self.ground.intersection(area).count:
            return ()
        is_known = self.before.intersection(area).count > 0
        found = [] if is_known else ["new"]
        found += ["version"] if is_known and self.is_other_version else []
        return [*found, "cheaper"] if is_known and self.is_cheaper else found

    def cause_of(self, news: str, day: str) -> str:
        """By what the same news is known again."""
        return f"cheaper:{self.dataset_id}:{day}" if news == "cheaper" else f"{news}:{self.version_id}"


def found(conn: Connection, ex: Exchange, offer_id: str, before_id: str | None) -> list[Addressed]:
    """The notices of an offer, by the one that it replaced."""
    watched = conn.execute(text(_WATCHED)).mappings().all()
    offered = _offered(conn, offer_id, before_id) if watched else None
    if offered is None:
        return []
    areas: dict[tuple[str, str], list[str]] = {}
    for row in watched:
        if row["org_id"] != offered.org_id and (area := _ground_of(row["region"])) is not None:
            wanted = next((one for one in offered.news_of(area) if one in row["news"].split()), None)
            if wanted is not None:
                areas.setdefault((row["person_id"], wanted), []).append(row["name"])
    day, notices = kst_day(ex.now()), []
    for (person_id, news), names in areas.items():
        about = {"news": news, "dataset": offered.dataset, "areas": names}
        notices.append(Addressed(News(NoticeKind.AREA, offered.cause_of(news, day), about), frozenset([person_id])))
    return notices


_WATCHED = (
    "SELECT w.person_id, w.news, a.org_id, a.name, a.region FROM area_watch w JOIN saved_area a ON a.id = w.area_id "
    "JOIN person p ON p.id = w.person_id AND p.org_id = a.org_id ORDER BY w.person_id, a.name"
)


def _offered(conn: Connection, offer_id: str, before_id: str | None) -> _Offered | None:
    """The offer, or None where it is not on sale any more."""
    row = conn.execute(text(_OFFER), {"offer": offer_id}).mappings().first()
    if row is None:
        return None
    before = conn.execute(text("SELECT version_id, rate_card FROM offer WHERE id = :offer"), {"offer": before_id}).mappings().first()
    return _Offered(
        row["dataset_id"],
        f"{row['org']}/{row['dataset']}",
        row["org_id"],
        row["version_id"],
        _cells(conn, _SHOWN, row["version_id"]),
        _cells(conn, _HAD, before["version_id"]) if before else Cover.from_cells(np.empty(0, np.uint64)),
        before is not None and before["version_id"] != row["version_id"],
        before is not None and _is_cheaper(before, row),
    )


_OFFER = (
    "SELECT o.dataset_id, o.org_id, o.version_id, o.rate_card, g.slug AS org, d.slug AS dataset FROM offer o "
    "JOIN organisation g ON g.id = o.org_id AND g.state = 'active' JOIN dataset d ON d.id = o.dataset_id "
    "WHERE o.id = :offer AND o.state = 'live'"
)
_SHOWN = (
    "SELECT DISTINCT s.cell FROM layer l JOIN shown_layer k ON k.layer_id = l.id "
    f"JOIN tile_sum s ON s.layer_id = l.id AND s.z = {ZOOM} WHERE l.version_id = :version"
)
_HAD = "SELECT DISTINCT t.cell FROM layer l JOIN tile t ON t.layer_id = l.id WHERE l.version_id = :version"


def _cells(conn: Connection, statement: str, version_id: str) -> Cover:
    return Cover.from_cells(np.array(conn.execute(text(statement), {"version": version_id}).scalars().all(), np.uint64))


def _is_cheaper(before: RowMapping, now: RowMapping) -> bool:
    """Whether a rate is lower and none is higher; a unit that is charged for no more is lower, a new one higher."""
    old, new = (_rates(one) for one in (before, now))
    units: Collection[str] = old.keys() | new.keys()
    pairs = [(old.get(unit, 0), new.get(unit, 0)) for unit in units]
    return all(b <= a for a, b in pairs) and any(b < a for a, b in pairs)


def _rates(row: RowMapping) -> Mapping[str, int]:
    rates: dict[str, int] = json.loads(row["rate_card"])
    return rates


@lru_cache(maxsize=4096)
def _ground_of(region: str) -> Cover | None:
    """The cells of a saved area; None where the limits of now are too narrow for it."""
    try:
        return cover(Region.from_geojson(region, max_vertices=1_000_000))
    except InvalidRegion:
        return None
