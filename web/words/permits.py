"""Permits as pages show them."""

from __future__ import annotations

from typing import Any

from mapex.rights.permit import Permit
from mapex.rights.permit_requests import PermitRequest
from mapex.times import DAY_NS
from web.words.numbers import moment


def permit_words(one: Permit, now_ns: int) -> dict[str, Any]:
    """A permit as pages show it, with the state of this moment and whole days left."""
    state = one.state
    if state == "active" and one.valid_to_ns <= now_ns:
        state = "expired"
    elif state == "active" and one.valid_from_ns > now_ns:
        state = "not_yet"
    left = max(0, -(-(one.valid_to_ns - now_ns) // DAY_NS))
    return {"permit": one, "state": state, "days": left}


def form_values(one: Permit | PermitRequest) -> dict[str, Any]:
    """What a form for a permit starts from: days are Korean ones."""
    days = {"valid_from": moment(one.valid_from_ns)[:10], "valid_to": moment(one.valid_to_ns)[:10]}
    return {"number": one.number, "purposes": one.purposes, "classes": one.classes, "area": one.area, **days}
