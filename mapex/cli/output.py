"""What the command line prints: JSON for machines, tables and bars for people, one sentence for a failure."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import click

from mapex.texts import one_line, shown, shown_json

EXIT_CODES = {
    "Invalid": 2,
    "NotFound": 3,
    "Denied": 4,
    "Conflict": 5,
    "Unpaid": 6,
    "Limited": 7,
    "Unavailable": 7,
    "not publishable": 8,
    "unexpected": 1,
    "interrupted": 130,
}
"""Exit status by kind of error (`mapex.errors`); documented in docs/cli.md."""


def show(value: Any, *, as_json: bool, text: str | None = None) -> None:
    """Print `value` as JSON, or `text` for people."""
    if as_json:
        click.echo(shown_json(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)))
    elif text is not None:
        click.echo(shown(text))


def fail(error: BaseException, *, as_json: bool) -> int:
    """Tell of an error: one sentence on standard error, and with `as_json` an object on standard output. Returns the exit status."""
    from mapex.errors import MapexError

    if isinstance(error, ImportError | AttributeError):  # perhaps of a package that is not, or not only, ours
        error = _collision() or error
    if isinstance(error, MapexError):  # before `tiles` is imported, which may be what another distribution has taken
        status = next((EXIT_CODES[c.__name__] for c in type(error).__mro__ if c.__name__ in EXIT_CODES), 1)
        return _report(error.code, error.message, status, as_json=as_json, details=error.details)
    from tiles.errors import ExtraMissing, StoreError, TilesError

    details: dict[str, Any] = {}
    if isinstance(error, TilesError):
        code, message, details = error.code, error.message, error.details
        status = EXIT_CODES["Unavailable" if isinstance(error, StoreError | ExtraMissing) else "Invalid"]
    elif isinstance(error, click.exceptions.Abort):
        code, message, status = "cli.aborted", "Stopped.", EXIT_CODES["interrupted"]
    elif isinstance(error, click.ClickException):
        code, message, status = "cli.usage", error.format_message(), 2
        if isinstance(error, click.UsageError) and error.ctx is not None:
            message += f" See: {error.ctx.command_path} --help"
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        code, message, status = "cli.file", f"{where}{error.strerror or error}", EXIT_CODES["unexpected"]
    else:
        code, message, status = "cli.unexpected", f"{type(error).__name__}: {error}. Please report this.", EXIT_CODES["unexpected"]
        if os.environ.get("MAPEX_TRACEBACK"):
            traceback.print_exception(error)
    return _report(code, message, status, as_json=as_json, details=details)


def _collision() -> BaseException | None:
    from mapex.cli.server import guard
    from mapex.errors import Conflict

    try:
        guard.check()
    except Conflict as found:
        return found
    return None


def _report(code: str, message: str, status: int, *, as_json: bool, details: dict[str, Any]) -> int:
    if as_json:
        report = {"error": {"code": code, "message": message, "details": details}}
        click.echo(shown_json(json.dumps(report, ensure_ascii=False, default=str)))
    click.echo(shown(message), err=True)
    return status


def table(headers: list[str], rows: list[list[str]], *, right: set[int] | None = None) -> str:
    """Rows as an aligned text table; columns in `right` are numbers."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max((len(row[i]) for row in [headers, *rows]), default=0) for i in range(len(headers))]
    numbers = right or set()

    def line(cells: list[str]) -> str:
        return "  ".join(c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))).rstrip()

    return "\n".join([line(headers), line(["-" * w for w in widths]), *(line(row) for row in rows)])


def size(count: float) -> str:
    """Bytes in words: `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def ground(m2: float) -> str:
    """Ground in words: `312 m2`, `0.94 km2`; never nothing."""
    if m2 < 10_000:
        return f"{max(m2, 0.01):.2g} m2" if m2 < 10 else f"{m2:,.0f} m2"
    km2 = m2 / 1e6
    return f"{km2:.2g} km2" if km2 < 1 else f"{km2:,.{2 if km2 < 100 else 0}f} km2"


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 tile`, `15 tiles`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def findings_text(findings: list[dict[str, Any]]) -> str:
    """Findings as lines for people, errors first."""
    order = ("error", "question", "warning", "info")
    lines = []
    for f in sorted(findings, key=lambda f: order.index(f["severity"])):
        where = one_line(" ".join(str(f[k]) for k in ("file", "layer", "feature") if f.get(k)))
        message, fix = one_line(f["message"]), one_line(f.get("fix") or "")
        more = f" ({f['count']} times)" if f.get("count", 1) > 1 else ""
        lines.append(f"{f['severity']:>8}  {f['code']}: {where}: {message}{more}" + (f" -> {fix}" if fix else ""))
    return "\n".join(lines)
