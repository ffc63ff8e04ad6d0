"""Numbers, sizes, times and counts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from flask import has_request_context
from flask_babel import ngettext

from mapex.times import KST, NS, ns_from_iso
from web.words.language import language

MYRIADS = ((10**12, "조"), (10**8, "억"), (10**4, "만"))
"""What Korean counts large numbers in."""


def won(amount: int) -> str:
    """Whole KRW."""
    return f"{'-' if amount < 0 else ''}₩{abs(amount):,}"


def day(at: int | str | None) -> str:
    """A date for people, in Korean time, of nanoseconds or of ISO 8601 text."""
    at_ns = ns_from_iso(at) if isinstance(at, str) else at
    return moment(at_ns)[:10]


def moment(at_ns: int | None) -> str:
    """A time for people, in Korean time, marked as such."""
    if at_ns is None:
        return ""
    local = datetime.fromtimestamp(at_ns // NS, UTC).astimezone(KST)
    return f"{local:%Y-%m-%d %H:%M:%S} KST"


def clock(at_ns: int) -> str:
    """The time of day, in Korean time, marked as such."""
    return f"{datetime.fromtimestamp(at_ns // NS, UTC).astimezone(KST):%H:%M} KST"


def kst(at_ns: int) -> str:
    """A time for auditors: Korean time with its offset."""
    local = datetime.fromtimestamp(at_ns // NS, UTC).astimezone(KST)
    return f"{local:%Y-%m-%d %H:%M:%S} +09:00"


def size(count: int) -> str:
    """Bytes for people, decimal units."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


SMALL_M2 = 10_000
"""Less ground than this is given in square metres."""


def ground(m2: float) -> str:
    """Ground with digits that mean something: a small one in square metres, and never as nothing."""
    if m2 < SMALL_M2:
        return f"{number(float(f'{max(m2, 0.01):.2g}')) if m2 < 10 else number(round(m2))} m²"
    km2 = m2 / 1e6
    return f"{number(float(f'{km2:.2g}') if km2 < 1 else round(km2, 2 if km2 < 100 else 0))} km²"


def plain(value: float) -> str:
    """A coordinate as a file writes it, to the centimetre."""
    return f"{value:.2f}" if abs(value) > 360 else f"{value:.6f}"


def n_(one: str, many: str, count: int, **values: object) -> str:
    """The sentence for one or for many of what is counted; `%(count)s` is the count, written out."""
    return str(ngettext(one, many, count, count=number(count), **values))


def number(value: float) -> str:
    """A count: from 10,000 on in 만 and 억 in Korean, else as `digits`. No digit is lost, so that sums can be followed."""
    if has_request_context() and language() == "ko" and float(value).is_integer() and abs(value) >= 10**4:
        return ("-" if value < 0 else "") + _in_myriads(abs(int(value)))
    return digits(value)


def digits(value: float) -> str:
    """A number with thousands, or up to three digits after the point; of very small amounts the first two digits."""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) >= 0.001 else f"{Decimal(f'{value:.2g}'):f}"


def _in_myriads(count: int) -> str:
    """256,000 is 25.6만, 12,345 is 1만 2,345: a tenth of the largest unit after the point where nothing else follows."""
    unit, name = next((one, name) for one, name in MYRIADS if count >= one)
    if count % (unit // 10) == 0:
        return f"{digits(count / unit)}{name}"
    parts = []
    for unit, name in (*MYRIADS, (1, "")):
        part, count = divmod(count, unit)
        if part:
            parts.append(f"{part:,}{name}")
    return " ".join(parts)
