"""Whether what buyers own of what is on offer is what their entitlements say, purpose by purpose."""

from __future__ import annotations

from sqlalchemy import Connection, text

from mapex.operation.invariants.asking import Offender
from mapex.pyramid import owned
from tiles.batch import QUANTITIES
from tiles.grid.grid import ZOOM

_NUMBERED = list(enumerate(QUANTITIES, start=1))

_HELD = (
    "SELECT DISTINCT e.org_id, p.wanted AS purpose, o.version_id, e.layer_name, e.cell, e.part, e.sha256 FROM entitlement e "
    "JOIN offer f ON f.id = e.offer_id JOIN offer o ON o.dataset_id = e.dataset_id AND o.state = 'live' "
    "JOIN licences k ON k.held = f.licence AND k.wanted = o.licence JOIN purposes p ON p.held = e.purpose WHERE e.state = 'active'"
)

_ENTITLED = (
    f"(SELECT e.org_id, e.purpose, t.layer_id, {', '.join(f'SUM(t.{name}) AS c{i}' for i, name in _NUMBERED)} FROM ({_HELD}) e "
    "JOIN layer l ON l.version_id = e.version_id AND l.name = e.layer_name JOIN tile t ON t.layer_id = l.id AND t.cell = e.cell "
    "AND t.part = e.part AND t.sha256 = e.sha256 GROUP BY e.org_id, e.purpose, t.layer_id)"
)

_SUMMED = (
    f"(SELECT org_id, purpose, layer_id, {', '.join(f'SUM({name}) AS c{i}' for i, name in _NUMBERED)} FROM owned_sum WHERE z = {ZOOM} "
    "GROUP BY org_id, purpose, layer_id)"
)


def wrong(conn: Connection) -> list[Offender]:
    """Layers of which somebody's sums are not those of the entitlements, or are there without any."""
    differ = " OR ".join(f"a.c{i} <> b.c{i}" for i, _ in _NUMBERED)
    found = []
    for one, other in ((_ENTITLED, _SUMMED), (_SUMMED, _ENTITLED)):
        query = (
            f"WITH {owned.counting()} SELECT DISTINCT a.org_id, a.layer_id FROM {one} a LEFT JOIN {other} b ON b.org_id = a.org_id "
            f"AND b.purpose = a.purpose AND b.layer_id = a.layer_id WHERE b.layer_id IS NULL OR {differ}"
        )
        found += [f"what {org} owns of layer {layer} has other sums than its entitlements" for org, layer in conn.execute(text(query))]
    return found
