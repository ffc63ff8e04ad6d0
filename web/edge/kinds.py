"""Kinds of values in the description of the API: times, words of a closed list, quadkeys, digests. Services check what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiflask import fields

from mapex.intake.placement import Known
from mapex.rules.licences import LICENCES, HandlingClass, Purpose
from tiles.batch import LayerKind

PURPOSES = tuple(map(str, Purpose))
CLASSES = tuple(map(str, HandlingClass))
LICENCE_CODES = tuple(LICENCES)
LAYER_KINDS = tuple(map(str, LayerKind))
KNOWN = tuple(map(str, Known))
ROLES = ("member", "auditor", "operator")
PARTICIPANT_STATES = ("active", "suspended")
VERSION_STATES = ("ingesting", "failed", "cancelled", "unplaced", "rejected", "draft", "published", "superseded", "withdrawn", "recalled")
OFFER_STATES = ("live", "replaced", "withdrawn")
ENTITLEMENT_STATES = ("active", "suspended", "recalled")


def moment(**given: Any) -> fields.String:
    """A time: RFC 3339, UTC."""
    return _described(given, format="date-time")


def word(of: Iterable[str], **given: Any) -> fields.String:
    """A word of a closed list."""
    return _described(given, enum=[*of, *((None,) if given.get("allow_none") else ())])


def quadkey(**given: Any) -> fields.String:
    """A cell of the grid."""
    return _described(given, pattern="^[0-3]{1,24}$")


def digest(**given: Any) -> fields.String:
    """A digest in hex."""
    return _described(given, pattern="^[0-9a-f]{64}$")


def update_policy(**given: Any) -> fields.String:
    """What newer versions cost."""
    free = "`free:12` = nothing for 12 calendar months (1 to 36) after the order"
    kept = "`difference` = what changed of them: what did not was paid already and is credited"
    what = f"what newer versions of the tiles cost who buys: `paid`, {free}, or {kept}"
    return _described(given, pattern="^(paid|difference|free:([1-9]|[12][0-9]|3[0-6]))$", description=what)


def address(**given: Any) -> fields.String:
    """An absolute address, or one of this exchange that begins with a slash."""
    return _described(given, format="uri-reference")


def content(description: str, *media_types: str, schema: Mapping[str, Any]) -> Any:
    """An answer that a route declares itself, as `blueprint.doc(responses={200: ...})` takes it."""
    return {"description": description, "content": {media_type: {"schema": dict(schema)} for media_type in media_types}}


def _described(given: dict[str, Any], **about: Any) -> fields.String:
    return fields.String(**{**given, "metadata": {**about, **given.get("metadata", {})}})
