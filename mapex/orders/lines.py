"""The lines of orders, as they were billed: one row each, written with the order and never changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, RowMapping, and_, insert, or_, select

from mapex.database.schema import dataset, order_line, organisation
from mapex.prices.estimate import Line
from mapex.rules.update_policy import free_until_ns

_PLAIN = tuple(name for name in Line.__dataclass_fields__ if name not in ("dataset", "org"))


def write(conn: Connection, order_id: str, lines: Sequence[Line], ordered_ns: int) -> None:
    """Store the lines of a new order in this order, and until when updates of them are free."""
    named = {(line.org, line.dataset) for line in lines}
    of_seller = [and_(organisation.c.slug == org, dataset.c.slug == slug) for org, slug in sorted(named)]
    query = select(organisation.c.slug.label("org"), dataset.c.slug, dataset.c.id).join_from(dataset, organisation).where(or_(*of_seller))
    datasets = {(row.org, row.slug): row.id for row in conn.execute(query)}
    rows = [
        {
            "order_id": order_id,
            "ordinal": ordinal,
            "dataset_id": datasets[line.org, line.dataset],
            **{name: getattr(line, name) for name in _PLAIN},
            "free_until_ns": free_until_ns(line.updates, ordered_ns),
        }
        for ordinal, line in enumerate(lines)
    ]
    conn.execute(insert(order_line), rows)


def of_orders(conn: Connection, order_ids: Collection[str] | None = None) -> Mapping[str, tuple[Line, ...]]:
    """The lines of each of the orders (None: of all that there are), by order id."""
    query = (
        select(order_line, dataset.c.slug.label("dataset"), organisation.c.slug.label("org"))
        .join_from(order_line, dataset)
        .join(organisation, organisation.c.id == dataset.c.org_id)
        .order_by(order_line.c.order_id, order_line.c.ordinal)
    )
    if order_ids is not None:
        query = query.where(order_line.c.order_id.in_(order_ids))
    found: dict[str, list[Line]] = defaultdict(list)
    for row in conn.execute(query).mappings():
        found[row["order_id"]].append(_line(row))
    return {order_id: tuple(lines) for order_id, lines in found.items()}


def _line(row: RowMapping) -> Line:
    return Line(**{name: row[name] for name in Line.__dataclass_fields__})
