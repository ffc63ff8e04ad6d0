"""UTC nanoseconds and their text: ISO 8601 with Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from mapex.errors import Invalid

NS = 1_000_000_000
"""Nanoseconds of a second."""

MINUTE_NS = 60 * NS
DAY_NS = 24 * 3600 * NS

KST = timezone(timedelta(hours=9), "KST")
"""Korean time: what people call a day and a month here."""


def kst_day(at_ns: int) -> str:
    """`2026-11-23`: the day in Korea."""
    return datetime.fromtimestamp(at_ns // NS, KST).date().isoformat()


def kst_month(at_ns: int) -> str:
    """`2026-11`: the month in Korea."""
    return kst_day(at_ns)[:7]


def iso_from_ns(at_ns: int) -> str:
    """`2026-11-23T04:06:06.000001Z`: microseconds, and none when they are zero."""
    seconds, rest = divmod(at_ns, NS)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def ns_from_iso(value: str) -> int:
    """UTC nanoseconds of an ISO 8601 date or time; a date is its first moment, a time without zone is UTC.

    Raises: Invalid: the text is no such time.
    """
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise Invalid("time.malformed", f"{value!r} is no ISO 8601 time such as 2026-11-23T00:00:00Z", value=value) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * NS + moment.microsecond * 1000
