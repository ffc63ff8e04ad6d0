"""Numbers, sizes, times and counts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from flask_babel import ngettext

from mapex.times import KST, NS, ns_from_iso


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


def plain(value: float) -> str:
    """A coordinate as a file writes it, to the centimetre."""
    return f"{value:.2f}" if abs(value) > 360 else f"{value:.6f}"


def n_(one: str, many: str, count: int, **values: object) -> str:
    """The sentence for one or for many of what is counted; `%(count)s` is the count, written out."""
    return str(ngettext(one, many, count, count=number(count), **values))


def number(value: float) -> str:
    """A count with thousands, or up to three digits after the point (more for very small amounts)."""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) >= 0.001 else f"{value:.2g}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent; what is neither nothing nor all is never written as such."""
    percent = 100 * part / whole
    if 0 < part < whole and not 1 <= percent <= 99:
        return "< 1 %" if percent < 1 else "> 99 %"
    return f"{percent:.0f} %"
