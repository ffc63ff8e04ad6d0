"""The collision guard: `web`, `tiles` and `ingest` are names that others use too (web.py installs `web`).

A wheel runs nothing while it is installed, so what it collides with is reported at the first start, and by `mapex doctor`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mapex.errors import Conflict

PACKAGES = ("mapex", "tiles", "web", "ingest")

ALONE = "install mapex by itself: `uv tool install mapex`, or `pipx install mapex`"
HERE = Path(__file__).resolve().parents[3]
"""The folder that our packages are in."""


@dataclass(frozen=True, slots=True)
class Collision:
    """A package of ours that is not, or not only, ours; what it collides with, and what to do."""

    package: str
    message: str
    fix: str


def collisions() -> list[Collision]:
    """All of them: those that are imported from somewhere else, and those whose files another distribution owns too."""
    found = shadowed()
    known = {one.package for one in found}
    return [*found, *(one for one in _shared() if one.package not in known)]


def shadowed() -> list[Collision]:
    """Those of our packages that would be imported from somewhere else than beside `mapex`; quick, looks at no distribution."""
    return [_stranger(name, place) for name, place in ((name, _place(name)) for name in PACKAGES) if place != HERE / name]


def check(found: Sequence[Collision] | None = None) -> None:
    """Refuse to start when one of our packages is not ours. `found`: what was looked at; by default everything.

    Raises: Conflict: `start.collision`, naming the packages and what they collide with.
    """
    found = collisions() if found is None else found
    if found:
        texts = " ".join(dict.fromkeys(f"{one.message} {one.fix}" for one in found))
        raise Conflict("start.collision", f"The packages of mapex are not its own alone. {texts}", packages=[one.package for one in found])


def _place(name: str) -> Path | None:
    """The folder from which a package is imported; None when there is none, or only one without an `__init__`."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent if spec is not None and spec.origin is not None else None


def _stranger(name: str, place: Path | None) -> Collision:
    if place is None:
        text = f"The package `{name}` of mapex is incomplete: what shared its folder was removed, and took files of it along."
        return Collision(name, text, f"Remove mapex and {ALONE}.")
    if place.parent == Path.cwd().resolve():
        text = f"The folder {place} hides the package `{name}` of mapex: Python looks into the current folder first."
        return Collision(name, text, "Start from another folder, or with `python -P`.")
    owners = _owners(place.parent, name)
    if owners:
        return _owned(name, owners)
    text = f"The package `{name}` is imported from {place}, and that of mapex is in {HERE}."
    return Collision(name, text, f"Take that folder off PYTHONPATH, or {ALONE}.")


def _shared() -> list[Collision]:
    """Those of our packages into whose folder another distribution has written."""
    return [_owned(name, owners) for name in PACKAGES if (owners := _owners(HERE, name))]


def _owned(name: str, owners: Sequence[str]) -> Collision:
    text = f"The distribution {', '.join(owners)} has a package `{name}` as well, and one writes over the other."
    return Collision(name, text, f"Remove mapex here and {ALONE}.")


def _owners(folder: Path, package: str) -> list[str]:
    """The distributions in a folder that own a top-level package, without mapex; no other metadata of them is read."""
    from importlib.metadata import distributions

    listed = re.compile(rf'^"?(\.\./)?{package}(/|$)', re.MULTILINE)
    found = {
        one.metadata["Name"]
        for one in distributions(path=[str(folder)])
        if listed.search(one.read_text("RECORD") or one.read_text("top_level.txt") or "")
    }
    return sorted(found - {"mapex"})
