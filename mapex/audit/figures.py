"""The log as figures: numbers, a timeline, accesses per tile. Counted by the database, from the same rows that the list shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Connection, case, func, literal_column, not_, or_, select

from mapex.audit import flags as flag_rules
from mapex.audit import log
from mapex.audit.log import Action, EventFilter, Page
from mapex.database import db, schema
from mapex.exchange import Actor, Exchange
from mapex.rules.licences import HandlingClass
from mapex.times import DAY_NS, MINUTE_NS, NS

MOST_BARS = 120
MOST_TILES = 3000
WIDTHS_NS = (
    *(minutes * MINUTE_NS for minutes in (1, 5, 15, 60, 180, 720)),
    *(days * DAY_NS for days in (1, 7, 28, 84, 364, 3640)),
)
"""Widths of a bar of the timeline, from which the finest that needs no more than `MOST_BARS` is taken."""

FINEST_TILE = 16
_KST_NS = 9 * 3600 * NS


@dataclass(frozen=True, slots=True)
class Reads:
    """Accesses that were granted, by how many persons, to how many tiles."""

    accesses: int
    persons: int
    tiles: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of the entries that fit: how many, what was read of original footage and of anything else, how many are flagged."""

    entries: int
    originals: Reads
    others: Reads
    flagged: int
    flags: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TimelineBar:
    """A span of the timeline that has entries."""

    start_ns: int
    entries: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars of equal width, aligned to Korean midnight; the filter's own times do not cut it off, so that they can be widened."""

    width_ns: int
    bars: Sequence[TimelineBar]


@dataclass(frozen=True, slots=True)
class Heat:
    """Accesses of a tile (quadkey, of one zoom for the whole map) to original footage and to others, and how many are flagged."""

    tile: str
    originals: int
    others: int
    flagged: int


@dataclass(frozen=True, slots=True)
class OwnReads:
    """The own readings of the log that fit, which would fill the list: how many, and the newest."""

    count: int
    newest_ns: int


@dataclass(frozen=True, slots=True)
class View:
    """List, numbers, timeline and map of one moment: they agree with each other."""

    page: Page
    numbers: Numbers
    timeline: Timeline
    heat: Sequence[Heat]
    own: OwnReads | None = None


def view(ex: Exchange, by: Actor, wanted: EventFilter | None = None, *, after: int | None = None, limit: int = 50) -> View:
    """The log under a filter, for who may see it; the reading is one event.

    Own readings of the log are in none of the four unless the filter asks for an action of the log itself; `own` counts them.

    Raises: Invalid: `audit.limit`, `audit.flag`.
    """
    wanted = wanted or EventFilter()
    with db.begin(ex) as conn:
        # All four look at the same rows, also when others write meanwhile.
        newest = int(conn.execute(select(func.coalesce(func.max(schema.audit_event.c.seq), 0))).scalar_one())
        fits, listed = [*log.conditions(by, wanted), schema.audit_event.c.seq <= newest], _listed(by, wanted)
        own = _own_reads(conn, [*fits, *map(not_, listed)]) if listed else None
        seen = [*fits, *listed]
        ever = [*log.conditions(by, replace(wanted, from_ns=None, to_ns=None)), schema.audit_event.c.seq <= newest, *listed]
        page = log.read_page(conn, ex, by, wanted, after=newest + 1 if after is None else after, limit=limit, only=listed)
        return View(page, _numbers(conn, seen), _timeline(conn, ever), _heat(conn, seen), own)


def _listed(by: Actor, wanted: EventFilter) -> list[Any]:
    """What holds of all entries but the own readings; nothing where the filter asks for readings."""
    event = schema.audit_event.c
    return [] if wanted.action.startswith("audit") else [or_(event.action != Action.AUDIT_READ, event.person != by.email)]


def _own_reads(conn: Connection, own: list[Any]) -> OwnReads | None:
    count, newest = conn.execute(select(func.count(), func.max(schema.audit_event.c.at_ns)).where(*own)).one()
    return OwnReads(int(count), int(newest)) if count else None


def _numbers(conn: Connection, seen: list[Any]) -> Numbers:
    event = schema.audit_event.c
    columns = (
        event.action,
        event.person,
        event.tile,
        event["class"].label("class"),
        *(case((flag_rules.condition(name), 1), else_=0).label(name) for name in flag_rules.FLAGS),
    )
    fits = select(*columns).where(*seen).subquery().c  # each flag is looked up once for each row
    is_access, is_original = fits.action == Action.ACCESS_GRANTED, fits["class"] == HandlingClass.ORIGINAL
    flagged = [func.coalesce(func.sum(fits[name]), 0) for name in flag_rules.FLAGS]
    counts = [
        func.count(),
        *_reads(fits, is_access & is_original),
        *_reads(fits, is_access & ~is_original),
        func.count(case((or_(*(fits[name] == 1 for name in flag_rules.FLAGS)), 1))),
    ]
    entries, *reads = (int(value) for value in conn.execute(select(*counts, *flagged)).one())
    originals, others, (any_flag, *each) = reads[:3], reads[3:6], reads[6:]
    return Numbers(entries, Reads(*originals), Reads(*others), any_flag, dict(zip(flag_rules.FLAGS, each, strict=True)))


def _reads(fits: Any, which: Any) -> list[Any]:
    """The columns of `Reads`."""
    tile = case((which & (fits.tile != ""), fits.tile))
    return [func.count(case((which, 1))), func.count(case((which, fits.person)).distinct()), func.count(tile.distinct())]


def _timeline(conn: Connection, seen: list[Any]) -> Timeline:
    event = schema.audit_event.c
    first, last = conn.execute(select(func.min(event.at_ns), func.max(event.at_ns)).where(*seen)).one()
    if first is None:
        return Timeline(WIDTHS_NS[0], ())
    width = next((width for width in WIDTHS_NS if (last - first) // width + 2 <= MOST_BARS), WIDTHS_NS[-1])
    number = ((event.at_ns + literal_column(str(_KST_NS), BigInteger)) // literal_column(str(width), BigInteger)).label("number")
    query = select(number, func.count(), flag_rules.counted(flag_rules.ANY)).where(*seen).group_by(number).order_by(number)
    return Timeline(width, [TimelineBar(int(at) * width - _KST_NS, int(count), int(flagged)) for at, count, flagged in conn.execute(query)])


def _heat(conn: Connection, seen: list[Any]) -> Sequence[Heat]:
    event = schema.audit_event.c
    accesses = [*seen, event.action == Action.ACCESS_GRANTED, event.tile != ""]
    originals = func.count(case((event["class"] == HandlingClass.ORIGINAL, 1)))
    for z in range(FINEST_TILE, 0, -2):  # too many tiles for a map: their parents
        tile: Any = func.substr(event.tile, literal_column("1"), literal_column(str(z))).label("tile")
        query = select(tile, originals, func.count(), flag_rules.counted(flag_rules.ANY)).where(*accesses).group_by(tile).order_by(tile)
        found = conn.execute(query.limit(MOST_TILES + 1)).all()
        if len(found) <= MOST_TILES:
            break
    return [Heat(str(key), int(original), int(count) - int(original), int(flagged)) for key, original, count, flagged in found]
