"""UTC nanoseconds and their text: ISO 8601 with Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from mapex.errors import Invalid

NS = 1_000_000_000
"""Nanoseconds of a second."""

MINUTE_NS = 60 * NS
DAY_NS = 24 * 3600 * NS

FIRST_YEAR, LAST_YEAR = 1678, 2261
"""The whole years that signed 64-bit nanoseconds reach."""

KST = timezone(timedelta(hours=9), "KST")
"""Korean time: what people call a day and a month here."""


def kst_day(at_ns: int) -> str:
    """`2026-11-23`: the day in Korea."""
    return datetime.fromtimestamp(at_ns // NS, KST).date().isoformat()


def kst_month(at_ns: int) -> str:
    """`2026-11`: the month in Korea."""
    return kst_day(at_ns)[:7]


def kst_month_start(at_ns: int) -> int:
    """When the month in Korea began."""
    return ns_from_iso(f"{kst_month(at_ns)}-01", KST)


def month_end_ns(month: str) -> int:
    """The first moment after a month in Korea.

    Raises: Invalid: `time.month`.
    """
    return ns_from_iso(f"{next_month(month)}-01", KST)


def next_month(month: str) -> str:
    """`2026-12` -> `2027-01`.

    Raises: Invalid: `time.month`.
    """
    year, _, number = month.partition("-")
    if not (len(month) == 7 and year.isdecimal() and number.isdecimal() and 1 <= int(number) <= 12 and month.isascii()):
        raise Invalid("time.month", f"{month[:80]!r} is no month such as 2026-11.", value=month[:80])
    if not FIRST_YEAR < int(year) < LAST_YEAR:
        raise Invalid("time.month", f"The month {month!r} must be after {FIRST_YEAR} and before {LAST_YEAR}.", value=month)
    return f"{int(year) + int(number) // 12:04d}-{int(number) % 12 + 1:02d}"


def iso_from_ns(at_ns: int) -> str:
    """`2026-11-23T04:06:06.000001Z`: microseconds, and none when they are zero."""
    seconds, rest = divmod(at_ns, NS)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def ns_from_iso(value: str, zone: timezone = UTC) -> int:
    """UTC nanoseconds of an ISO 8601 date or time; a date is its first moment, a time without zone is one of `zone`.

    Raises: Invalid: `time.malformed`; `time.range`: before 1678 or after 2261, which 64 bits of nanoseconds do not reach.
    """
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise Invalid(
            "time.malformed", f"{value[:80]!r} is no date or time such as 2026-11-23 or 2026-11-23T00:00:00Z.", value=value[:80]
        ) from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise Invalid("time.range", f"{value!r} must be between the years {FIRST_YEAR} and {LAST_YEAR}.", value=value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * NS + moment.microsecond * 1000
