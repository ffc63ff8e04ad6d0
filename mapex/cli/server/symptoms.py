"""What `mapex doctor` tells: one thing that was looked at, or attacked, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing looked at: `state` is ok, warning, missing or broken; `fix` is what to do."""

    name: str
    state: str
    message: str
    fix: str = ""
