"""Whether a permit allows a use of tiles: the conditions, one after the other, and of several permits the one that answers.

A cell is permitted when all of its ground is inside the permit's area: what a tile shows outside would be read without permission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from mapex import authority
from mapex.rights import permits
from mapex.rights.permit import Permit
from mapex.rules.licences import check_class
from mapex.times import iso_from_ns
from tiles.arrays import UInt64s
from tiles.grid import grid
from tiles.grid.cover import Cover


@dataclass(frozen=True, slots=True)
class Use:
    """Who is to have tiles (id of an organisation), what for, and when (UTC ns).

    `purpose` None = any that the permit allows: an estimate before the buyer named one.
    """

    org_id: str
    purpose: str | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What a permit must meet to allow a use, and the code of the refusal when it does not."""

    code: str
    holds: Callable[[Permit, Use], bool]


CONDITIONS = (
    Condition("permit.recipient", lambda permit, use: use.org_id in permit.named_ids),
    Condition("permit.suspended", lambda permit, use: permit.state == "active"),
    Condition("permit.expired", lambda permit, use: use.at_ns < permit.valid_to_ns),
    Condition("permit.not_yet", lambda permit, use: use.at_ns >= permit.valid_from_ns),
    Condition("permit.purpose", lambda permit, use: use.purpose is None or use.purpose in permit.purposes),
)
"""The conditions from the furthest away to the nearest miss: of several permits, the nearest miss answers. The area comes last."""

SENTENCES: Mapping[str, str] = {
    "permit.missing": "Data of class {handling_class} need a permit, and your organisation has none for this class.",
    "permit.visitor": "Data of class {handling_class} need a permit; sign in as a member of an organisation to see what its permits allow.",
    "permit.recipient": "The permit {number} names your organisation neither as holder nor as recipient.",
    "permit.suspended": "The permit {number} is {state}; nothing is given under it.",
    "permit.expired": "The permit {number} ended on {valid_to}.",
    "permit.not_yet": "The permit {number} begins on {valid_from}.",
    "permit.purpose": "The permit {number} does not allow the purpose {purpose}; it allows {purposes}.",
    "permit.area": "The permit {number} does not cover {tiles} of the tiles; leave them out, or have the permit extended.",
}
"""English sentence of each refusal, filled in with what `_values` gives; the pages translate by code and fill in the same values."""

_NEARNESS = ("permit.visitor", "permit.missing", *(condition.code for condition in CONDITIONS), "permit.area")


@dataclass(frozen=True, slots=True)
class PermitRefusal:
    """Why cells (z16) are not permitted: stable code, English sentence, and the values in it."""

    code: str
    sentence: str
    cells: Cover
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """The cells that are allowed, under which permit (None: none is needed, or nothing is allowed), and why the others are not."""

    permit: Permit | None
    allowed: Cover
    refusal: PermitRefusal | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether all of it is allowed."""
        return self.refusal is None


def check(conn: Connection, use: Use, handling_class: str, cells: Cover) -> Decision:
    """Whether these cells of a layer of this class may be used so.

    One permit answers: the one that allows most of the cells, or else the nearest miss. `authority.NOBODY` has none.
    """
    return decide(held(conn, use, [handling_class]), use, handling_class, cells)


def held(conn: Connection, use: Use, classes: Iterable[str]) -> Sequence[Permit]:
    """The permits that name the organisation; none where none of the classes needs one."""
    return permits.naming(conn, use.org_id) if any(check_class(one).needs_permit for one in classes) else ()


def decide(held: Sequence[Permit], use: Use, handling_class: str, cells: Cover) -> Decision:
    """As `check`, of the permits that the organisation has (`held`): for whoever asks several times."""
    if not check_class(handling_class).needs_permit:
        return Decision(None, cells)
    best = _refused("permit.visitor" if use.org_id == authority.NOBODY else "permit.missing", cells, handling_class=handling_class)
    for permit in held:
        if handling_class not in permit.classes:
            continue
        decision = decide_by(permit, use, cells)
        if decision.is_allowed:
            return decision
        if _nearness(decision) > _nearness(best):
            best = decision
    return best


def decide_by(permit: Permit, use: Use, cells: Cover) -> Decision:
    """What one permit allows of the cells; its handling classes are not looked at."""
    values = _values(permit, use)
    for condition in CONDITIONS:
        if not condition.holds(permit, use):
            return _refused(condition.code, cells, **values)
    allowed = cells_inside(permit, cells)
    outside = cells.difference(allowed)
    if not outside.count:
        return Decision(permit, cells)
    return Decision(permit if allowed.count else None, allowed, _refusal("permit.area", outside, values))


def _values(permit: Permit, use: Use) -> dict[str, str]:
    """What the sentences are filled in with."""
    return {
        "number": permit.number,
        "state": permit.state,
        "valid_from": iso_from_ns(permit.valid_from_ns),
        "valid_to": iso_from_ns(permit.valid_to_ns),
        "purposes": ", ".join(permit.purposes),
        "purpose": use.purpose or "",
    }


def _refused(code: str, cells: Cover, **values: str) -> Decision:
    return Decision(None, Cover.from_cells(np.empty(0, np.uint64)), _refusal(code, cells, values))


def _refusal(code: str, cells: Cover, values: Mapping[str, str]) -> PermitRefusal:
    filled = {**values, "tiles": str(cells.count)}
    return PermitRefusal(code, SENTENCES[code].format(**filled), cells, filled)


def _nearness(decision: Decision) -> tuple[int, int]:
    refusal = decision.refusal
    assert refusal is not None
    return _NEARNESS.index(refusal.code), -refusal.cells.count


def cells_inside(permit: Permit, cover: Cover) -> Cover:
    """The cells of the cover whose ground is inside the permit's area.

    From coarse cells to fine ones: only where the outline of the area runs through a cell do its children have to be looked at, so the
    work grows with the outline, not with the number of cells.
    """
    import shapely

    ranges = []
    waiting = {z: _cells_of(found) for z, found in cover.pyramid()}
    for z in range(min(waiting, default=0), grid.ZOOM + 1):
        cells = waiting.get(z, np.empty(0, np.uint64))
        if not len(cells):
            continue
        boxes = shapely.box(*grid.bounds_of(cells, z).T)
        inside = shapely.covers(permit.ground, boxes)
        shift = np.uint64(2 * (grid.ZOOM - z))
        ranges.append(np.stack([cells[inside] << shift, (cells[inside] + np.uint64(1)) << shift], axis=1))
        if z < grid.ZOOM:
            cut = cells[~inside & shapely.intersects(permit.ground, boxes)]
            children = (cut[:, None] << np.uint64(2)) + np.arange(4, dtype=np.uint64)
            waiting[z + 1] = np.concatenate([waiting.get(z + 1, np.empty(0, np.uint64)), children.ravel()])
    together = np.concatenate(ranges) if ranges else np.empty((0, 2), np.uint64)
    return Cover.from_ranges(together)


def _cells_of(ranges: UInt64s) -> UInt64s:
    return np.concatenate([np.arange(low, high, dtype=np.uint64) for low, high in ranges]) if len(ranges) else np.empty(0, np.uint64)
