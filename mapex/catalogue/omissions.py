"""Files that stand in the way of a version, and what goes with them when they are left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mapex.catalogue.finding import Finding, Severity
from mapex.errors import Invalid
from mapex.rules.parts import aside, shapefiles


def at_fault(names: Sequence[str], findings: Iterable[Finding]) -> tuple[str, ...]:
    """The files without which the rest may go on: those that errors name. None where an error is of no file, or nothing would be left."""
    blamed: set[str] = set()
    for finding in findings:
        if finding.severity == Severity.ERROR:
            named = _named(names, finding.file)
            if not named:
                return ()
            blamed |= named
    return _in_order(names, blamed) if _is_data(set(names) - blamed) else ()


def together(names: Sequence[str], chosen: Collection[str]) -> tuple[str, ...]:
    """The chosen files with what belongs to them: of a shapefile all parts.

    Raises: Invalid: `version.no_such_file`, `version.nothing_left`.
    """
    if strange := [name for name in chosen if name not in names]:
        raise Invalid("version.no_such_file", f"No file of it is called {strange[0][:80]!r}. Name one that was sent.", file=strange[0][:80])
    if not chosen:
        raise Invalid("version.no_such_file", "Name at least one file to leave out.", file="")
    out = {part for name in chosen for part in _set_of(names, name)}
    if not _is_data(set(names) - out):
        raise Invalid("version.nothing_left", "Without these files nothing would be left. Upload others as a new version.")
    return _in_order(names, out)


def _named(names: Sequence[str], file: str) -> set[str]:
    """The files that a finding is about: one of them, or the zip that its file is in."""
    whole = next((name for name in names if file == name or file.startswith(f"{name}/")), "")
    return _set_of(names, whole) if whole else set()


def _set_of(names: Sequence[str], name: str) -> set[str]:
    return next(({*parts} for parts in shapefiles(names).values() if name in parts), {name})


def _is_data(names: set[str]) -> bool:
    return bool(names - aside(names))


def _in_order(names: Sequence[str], chosen: set[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in chosen)
