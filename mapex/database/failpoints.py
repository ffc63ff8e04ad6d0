"""Named points at which a fault test can kill or fail the process: `MAPEX_FAILPOINT=name:kill|raise[:n]` (n-th passing, from 1)."""

from __future__ import annotations

import os
import signal

NAMES = (
    "upload.before_join",
    "upload.after_join",
    "ingest.after_fetch",
    "ingest.after_read",
    "ingest.after_previews",
    "ingest.after_first_object",
    "ingest.after_objects",
    "draft.before_commit",
    "draft.after_commit",
    "publish.before_commit",
    "publish.after_commit",
    "order.before_commit",
    "order.after_commit",
    "recall.before_commit",
    "settlement.before_commit",
    "payout.before_commit",
    "grant.before_commit",
    "grant.after_commit",
    "letter.after_answer",
    "migration.before_commit",
)
"""Every point that the code passes; a name that is not here is refused, so that a test cannot wait for a point that is gone."""

_passed: dict[str, int] = {}


class Failpoint(Exception):
    """Raised at a point that a test armed with `raise`."""


def hit(name: str) -> None:
    """Pass the point `name`: nothing happens unless MAPEX_FAILPOINT arms it."""
    armed = os.environ.get("MAPEX_FAILPOINT")
    if not armed:
        return
    target, action, nth = _parsed(armed)
    if target != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] != nth:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise Failpoint(name)


def _parsed(armed: str) -> tuple[str, str, int]:
    name, _, rest = armed.partition(":")
    action, _, nth = rest.partition(":")
    if name not in NAMES or action not in ("kill", "raise") or not (nth or "1").isdecimal():
        raise ValueError(f"MAPEX_FAILPOINT={armed!r}: expected NAME:kill|raise[:n] with NAME one of {', '.join(NAMES)}")
    return name, action, int(nth or "1")
