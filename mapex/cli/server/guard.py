"""The collision guard: `web` and `tiles` are names that other distributions use too (web.py installs `web`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGES = ("mapex", "tiles", "web", "ingest")


def strangers() -> list[str]:
    """Those of our four packages that would be imported from somewhere else than beside `mapex`."""
    here = Path(__file__).resolve().parents[3]
    found = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parents[1] != here:
            found.append(name)
    return found


def check() -> None:
    """Refuse to start when one of our packages is not ours.

    Raises: Conflict: `start.collision`, naming the packages.
    """
    from mapex.errors import Conflict

    found = strangers()
    if found:
        raise Conflict(
            "start.collision",
            f"The Python package {', '.join(found)} comes from another distribution (web.py installs one). Remove that distribution.",
            packages=found,
        )
