"""Flags: what an auditor should look at first. Each is a plain rule over the whole log, in SQL, the same for everybody.

A flag judges nobody. The rules look at nothing but the entries themselves, so that anybody can count again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, and_, case, func, literal_column, or_, select, tuple_

from mapex.database import schema
from mapex.errors import Invalid
from mapex.times import NS

NIGHT_ENDS = 6
"""Hours of the day (Korean time) from midnight on that are night."""

MANY_AT_NIGHT = 50
"""Accesses under a permit by one person in one night that are many."""

REFUSED, NIGHT, ANY = "refused", "night", "any"

FLAGS = {
    REFUSED: "an access that was asked for and refused",
    NIGHT: f"an access under a permit from 0 to {NIGHT_ENDS} o'clock in Korea, when the same person had {MANY_AT_NIGHT} or more that night",
}
"""Name of each flag and its rule in words."""

# Written out in the SQL: PostgreSQL takes two expressions that name different parameters for different ones, also in GROUP BY, and an
# index of some rows (`schema.NIGHT_ACCESS`) serves only a query that names the same rows.
_KST_NS = literal_column(str(9 * 3600 * NS), BigInteger)
_HOUR_NS = literal_column(str(3600 * NS), BigInteger)
_DAY_NS = literal_column(str(24 * 3600 * NS), BigInteger)
_NIGHT_ENDS = literal_column(str(NIGHT_ENDS), BigInteger)


def condition(name: str) -> Any:
    """What holds of a row of `audit_event` with this flag; `any` = with at least one.

    Raises: Invalid: `audit.flag`.
    """
    rules = {REFUSED: _refused, NIGHT: _night}
    if name == ANY:
        return or_(*(rule() for rule in rules.values()))
    if name not in rules:
        raise Invalid("audit.flag", f"`flag` must be one of {', '.join((*FLAGS, ANY))}, not {name!r}.", flag=name)
    return rules[name]()


def counted(name: str) -> Any:
    """The number of flagged rows, as a column of a grouped query."""
    return func.coalesce(func.sum(case((condition(name), 1), else_=0)), 0)


def _refused() -> Any:
    return schema.audit_event.c.action == "access.refused"


def _night() -> Any:
    """Set-based: the nights with many accesses are found once, and each row is looked up in them."""
    event, other = schema.audit_event.c, schema.audit_event.alias("night").c
    busy = (
        select(other.person, _day(other.at_ns))
        .where(*_by_night(other))
        .group_by(other.person, _day(other.at_ns))
        .having(func.count() >= MANY_AT_NIGHT)
    )
    return and_(*_by_night(event), tuple_(event.person, _day(event.at_ns)).in_(busy))


def _by_night(row: Any) -> tuple[Any, ...]:
    return row.action == literal_column("'access.granted'"), row.permit != literal_column("''"), _hour(row.at_ns) < _NIGHT_ENDS


def _day(at_ns: Any) -> Any:
    return (at_ns + _KST_NS) // _DAY_NS


def _hour(at_ns: Any) -> Any:
    return ((at_ns + _KST_NS) // _HOUR_NS) % literal_column("24", BigInteger)
