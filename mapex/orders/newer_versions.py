"""A new version of what was bought, to whoever ordered it: once for a version, with what the changed tiles cost now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, text

from mapex.exchange import Exchange
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import MOST_NAMED, Addressed, News
from mapex.orders import updates

_OUTDATED = (
    "SELECT DISTINCT b.person_id, b.org_id, b.id, b.created_ns FROM offer o JOIN entitlement e ON e.dataset_id = o.dataset_id "
    "AND e.state = 'active' JOIN layer l ON l.id = e.layer_id AND l.version_id <> o.version_id "
    "JOIN purchase_order b ON b.id = e.order_id JOIN person p ON p.id = b.person_id AND p.org_id = b.org_id "
    "WHERE o.id = :offer AND o.state = 'live' ORDER BY b.created_ns, b.id"
)
_VERSION = (
    "SELECT v.id, v.number, g.slug AS org, d.slug AS dataset FROM offer o JOIN dataset_version v ON v.id = o.version_id "
    "JOIN dataset d ON d.id = o.dataset_id JOIN organisation g ON g.id = o.org_id WHERE o.id = :offer"
)


def found(conn: Connection, ex: Exchange, offer_id: str) -> list[Addressed]:
    """The notices of an offer to those who bought another version of its dataset of which something is newer now.

    The price is that of one order; where several are outdated, each shows its own on its page.
    """
    outdated: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for row in conn.execute(text(_OUTDATED), {"offer": offer_id}).all():
        changed, total = updates.cost(conn, ex, row.org_id, row.id)
        if changed:
            outdated[row.person_id].append((row.id, total))
    if not outdated:
        return []
    version = conn.execute(text(_VERSION), {"offer": offer_id}).one()
    about = {"dataset": f"{version.org}/{version.dataset}", "version": version.number}
    return [
        Addressed(News(NoticeKind.VERSION, version.id, {**about, **_of_orders(bought)}), frozenset([person_id]))
        for person_id, bought in outdated.items()
    ]


def _of_orders(outdated: Sequence[tuple[str, int | None]]) -> dict[str, object]:
    """The orders that are outdated, and what the changed tiles cost where it is one."""
    named = [order_id for order_id, _ in outdated[:MOST_NAMED]]
    return {"orders": named, "total": outdated[0][1] if len(outdated) == 1 else None}
