"""Orders: a quote is bought once, by one key, at exactly its price, in one transaction, or refused with nothing changed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, text

from mapex import authority, ids
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import db, failpoints, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.notices import outbox
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import News
from mapex.orders import approvals, ledger, lines, renewals, terms
from mapex.people import orgs, purchase_rights
from mapex.prices import quotes
from mapex.prices.earlier import Earlier
from mapex.prices.estimate import Line, document
from mapex.prices.estimates import reprice
from mapex.prices.quotes import Quote
from mapex.pyramid.unbilled import Owner
from mapex.rights import entitlements, named_users, permit_check
from mapex.rights.permit_check import Use
from mapex.rules.pricing import UNITS, fee_of
from tiles.grid.cover import Cover


@dataclass(frozen=True, slots=True)
class Order:
    """What was bought. `lines` are those of the quote; money is whole KRW. `name` is what the buyer calls the area."""

    id: str
    org_id: str
    quote_id: str
    key: str
    purpose: str
    state: str  # paid
    lines: tuple[Line, ...]
    subtotal: int
    vat: int
    total: int
    created_ns: int
    name: str = ""
    person: str = ""
    asked_by: str = ""
    """Who asked for it, where `person`, who paid, is an approver."""


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Orders, newest first; `next` is the `after` of the following page, or None at the end."""

    orders: Sequence[Order]
    next: str | None


def place(ex: Exchange, by: Actor, quote_id: str, key: str, *, persons: Sequence[str] = ()) -> Order:
    """Buy a quote. The same `key` again answers the same order and changes nothing.

    Args:
        persons: e-mails of those of the organisation who may download it; none named = all of them, which original footage forbids.

    Raises:
        Invalid: `order.key`, `order.persons`, `order.persons_needed`. NotFound: `quote.unknown`.
        Conflict: `order.key_reused` (the key bought another quote), `quote.bought` (under another key), `quote.expired`,
        `offer.withdrawn`, `quote.terms_changed` (licence or attribution; old and new are in the details), `quote.price_changed` (the
        new estimate is in the details).
        Denied: `permit.*`: the permit that the quote rested on is not valid now; `session.stale`; `purchase.*`: `by` may not pay this.
        Unpaid: `wallet.insufficient`, with `needed` and `available`.
    """
    org_id = authority.member(by)
    asked = _asked(quote_id, key, persons)
    # One order at a time for each buyer: ownership and balance stay as they were read until the commit.
    with act(ex, by, purchase_rights.turn_of(org_id)) as conn:
        before = conn.execute(_orders().where(schema.order.c.org_id == org_id, schema.order.c.key == key)).mappings().first()
        if before is not None:
            return _replayed(conn, before, asked)
        quote = quotes.load(conn, ex, org_id, quote_id)
        named_users.check_enough(asked.persons, (line.handling_class for line in quote.estimate.lines))
        if _spent(conn, by) + quote.estimate.total >= ex.settings.confirm_from_krw:
            authority.confirmed_by_factor(ex, by)
        now = ex.now()
        purchase_rights.check(conn, by, org_id, quote.estimate.total, now)
        groups = _checked(conn, ex, quote, now)
        made = _insert(conn, by, quote, asked, now)
        owner = Owner(org_id, made.purpose, quote.created_ns)
        earlier = Earlier.of(conn, owner)
        for group in groups:
            earlier.take(made.id, group.layer_ids, group.ranges)
            entitlements.add(conn, owner, made.id, group)
        _check_tiles(conn, made, quote)
        _settle(conn, ex, made, quote.fee_rate)
        if asked.persons:
            named_users.put(conn, ex, by, made.id, asked.persons)
        approved = approvals.settle(conn, ex, by, quote.id, made.id)
        made = replace(made, asked_by=approved.asker if approved else "")
        _log(conn, ex, by, made, quote, {"approval": approved.id, "asked_by": approved.asker} if approved else {})
        _announce(conn, ex, by, made, asked.persons)
        failpoints.hit("order.before_commit")
    failpoints.hit("order.after_commit")
    return made


def _announce(conn: Connection, ex: Exchange, by: Actor, made: Order, emails: Sequence[str]) -> None:
    """Its files are in the store already: an order that is paid is ready, for whoever ordered and whoever it names."""
    named = conn.execute(select(schema.person.c.id).where(schema.person.c.email.in_(emails))).scalars()
    outbox.to_persons(conn, ex, News(NoticeKind.ORDER, made.id, {"order": made.id}), {by.person_id, *named})


def _spent(conn: Connection, by: Actor) -> int:
    """What the person of a session has ordered since it last showed who it is: many small orders are a large one."""
    if by.presence is None:
        return 0
    placed = schema.order.c
    since = select(func.sum(placed.total)).where(placed.person_id == by.person_id, placed.created_ns > by.presence.proven_ns)
    return int(conn.execute(since.where(placed.org_id == by.org_id)).scalar() or 0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The request for an order: its idempotency key, the digest by which the same request is known again, e-mails of named users."""

    key: str
    body_sha256: str
    persons: Sequence[str]


def _asked(quote_id: str, key: str, persons: Sequence[str]) -> _Asked:
    ledger.check_key(key)
    if not isinstance(quote_id, str):
        raise Invalid("quote.malformed", "The quote must be named by its id.")
    named = sorted({email.strip().lower() for email in persons})
    return _Asked(key, hashlib.sha256("\n".join([quote_id, *named]).encode()).hexdigest(), named)


def _checked(conn: Connection, ex: Exchange, quote: Quote, now: int) -> list[entitlements.Bought]:
    """What is bought, in groups of the same cells and permit, when all that the quote rests on still holds."""
    quotes.check_open(quote, now)
    _check_offers(conn, quote)
    terms.check_same(conn, quote)
    groups = _permitted(conn, quote, now)
    if reprice(conn, quote.org_id, quote.estimate, quote.created_ns) != quote.estimate.lines:
        raise _price_changed(conn, ex, quote, now)
    ledger.check_funds(conn, ledger.wallet_id(quote.org_id), quote.estimate.total)
    return groups


def get(ex: Exchange, by: Actor, order_id: str) -> Order:
    """An order of `by`'s organisation.

    Raises: NotFound: absent or foreign.
    """
    org_id = authority.member(by)
    with db.read(ex) as conn:
        row = conn.execute(_orders().where(schema.order.c.id == order_id, schema.order.c.org_id == org_id)).mappings().first()
        if row is None:
            raise NotFound("order.unknown", f"There is no order {order_id!r} of your organisation.", order=order_id)
        return _made(conn, [row])[0]


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders; empty or None means any. `dataset` is a slug, times are those of the order (half open)."""

    purpose: str = ""
    dataset: str = ""
    from_ns: int | None = None
    to_ns: int | None = None


def of(ex: Exchange, by: Actor, *, after: str = "", limit: int = 100, wanted: OrderFilter | None = None) -> OrderPage:
    """Orders of `by`'s organisation, newest first; `after` is the id of the last one seen.

    Raises: Invalid: `page.limit`.
    """
    org_id = authority.member(by)
    if not 1 <= limit <= 1000:
        raise Invalid("page.limit", f"The limit must be 1 to 1000, not {limit}.", limit=limit)
    query = _orders().where(schema.order.c.org_id == org_id, *_conditions(wanted or OrderFilter()))
    query = query.order_by(schema.order.c.created_ns.desc(), schema.order.c.id.desc()).limit(limit + 1)
    with db.read(ex) as conn:
        if after:
            seen = conn.execute(
                select(schema.order.c.created_ns).where(schema.order.c.id == after, schema.order.c.org_id == org_id)
            ).scalar()
            if seen is None:
                raise NotFound("order.unknown", f"There is no order {after!r} of your organisation.", order=after)
            query = query.where((schema.order.c.created_ns < seen) | ((schema.order.c.created_ns == seen) & (schema.order.c.id < after)))
        found = _made(conn, conn.execute(query).mappings().all())
    return OrderPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def _orders() -> Any:
    """Query of orders, with what the buyer calls the area, and who ordered."""
    ordered, quoted, person, asker = schema.order, schema.quote, schema.person, schema.person.alias("asker")
    joined = ordered.join(quoted, quoted.c.id == ordered.c.quote_id).join(person, person.c.id == ordered.c.person_id)
    asked = joined.outerjoin(schema.approval, schema.approval.c.order_id == ordered.c.id)
    asked = asked.outerjoin(asker, asker.c.id == schema.approval.c.asker_id)
    names = (person.c.email.label("person"), func.coalesce(asker.c.email, "").label("asked_by"))
    return select(ordered, quoted.c.name, *names).select_from(asked)


def _conditions(wanted: OrderFilter) -> list[Any]:
    found: list[Any] = []
    if wanted.purpose:
        found.append(schema.order.c.purpose == wanted.purpose)
    if wanted.dataset:
        slug = orgs.check_slug(wanted.dataset)
        found.append(schema.order.c.id.in_(select(schema.order_line.c.order_id).join(schema.dataset).where(schema.dataset.c.slug == slug)))
    if wanted.from_ns is not None:
        found.append(schema.order.c.created_ns >= wanted.from_ns)
    if wanted.to_ns is not None:
        found.append(schema.order.c.created_ns < wanted.to_ns)
    return found


def _replayed(conn: Connection, row: RowMapping, asked: _Asked) -> Order:
    if row["body_sha256"] != asked.body_sha256:
        raise Conflict(
            "order.key_reused", f"Key {asked.key!r} bought another quote before; take a new key for a new order.", order=row["id"]
        )
    return _made(conn, [row])[0]


def _check_offers(conn: Connection, quote: Quote) -> None:
    """Hold the offers as they are until the commit; refuse when a seller took one back."""
    ids_ = sorted({pin.offer_id for pin in quote.estimate.pins})
    query = (
        select(schema.offer.c.id, schema.offer.c.state, schema.organisation.c.state.label("seller"))
        .select_from(schema.offer.join(schema.organisation, schema.organisation.c.id == schema.offer.c.org_id))
        .where(schema.offer.c.id.in_(ids_))
        .order_by(schema.offer.c.id)
        .with_for_update(read=True, of=schema.offer)
    )
    rows = conn.execute(query).all()
    if any(row.state == "withdrawn" or row.seller != "active" for row in rows):
        raise Conflict("offer.withdrawn", "A seller has withdrawn an offer of this quote; ask for a new quote.", quote=quote.id)


def _permitted(conn: Connection, quote: Quote, now: int) -> list[entitlements.Bought]:
    """The pinned layers in groups of the same cells and permit.

    Raises: Denied: the permit of a handling class does not allow its cells now.
    """
    estimate = quote.estimate
    pinned = [pin.layer_id for pin in estimate.pins]
    found = conn.execute(select(schema.layer.c.id, schema.layer.c.handling_class).where(schema.layer.c.id.in_(pinned))).all()
    classes = {row.id: row.handling_class for row in found}
    grouped: dict[tuple[int, str], list[str]] = defaultdict(list)
    for pin in estimate.pins:
        grouped[pin.area, classes[pin.layer_id]].append(pin.layer_id)
    groups = []
    for (area, handling_class), layer_ids in sorted(grouped.items()):
        ranges = estimate.areas[area]
        use = Use(quote.org_id, estimate.purpose, now)
        decision = permit_check.check(conn, use, handling_class, Cover(ranges))
        if refusal := decision.refusal:
            raise Denied(refusal.code, refusal.sentence, refusals=[{"code": refusal.code, "message": refusal.sentence}])
        groups.append(entitlements.Bought(layer_ids, ranges, decision.permit.id if decision.permit else None))
    return groups


def _price_changed(conn: Connection, ex: Exchange, quote: Quote, now: int) -> MapexError:
    fresh = renewals.price_now(conn, ex, quote, now)
    if fresh is None:
        return Conflict(
            "quote.price_changed", f"What quote {quote.id} named is not on sale as it was; ask for a new quote.", quote=quote.id
        )
    return Conflict(
        "quote.price_changed",
        f"The quote was {quote.estimate.total} KRW and the same area costs {fresh.total} KRW now; ask for a new quote.",
        estimate=document(fresh),
    )


_NAMES = ("lines", "name", "person", "asked_by")
"""Members of an order that are no columns of it."""


def _insert(conn: Connection, by: Actor, quote: Quote, asked: _Asked, now: int) -> Order:
    estimate = quote.estimate
    made = Order(
        id=ids.new("ord"),
        org_id=quote.org_id,
        quote_id=quote.id,
        key=asked.key,
        purpose=str(estimate.purpose),
        state="paid",
        lines=tuple(terms.stated(conn, quote)),
        subtotal=estimate.subtotal,
        vat=estimate.vat,
        total=estimate.total,
        created_ns=now,
        name=quote.name,
        person=by.email,
    )
    values = {name: getattr(made, name) for name in Order.__dataclass_fields__ if name not in _NAMES}
    conn.execute(insert(schema.order).values(**values, person_id=by.person_id, body_sha256=asked.body_sha256))
    lines.write(conn, made.id, made.lines, now)
    return made


def _check_tiles(conn: Connection, made: Order, quote: Quote) -> None:
    """The tiles that were entitled must be those of the quote, and what is paid for must measure what its lines charge.

    Raises: Conflict: `quote.price_changed`; the transaction is undone.
    """
    rows = conn.execute(text("SELECT layer_id, cell, part, sha256 FROM entitlement WHERE order_id = :o"), {"o": made.id})
    same = quotes.digest_of([tuple(row) for row in rows]) == quote.tiles_sha256
    columns = sorted({unit.column for unit in UNITS.values()})
    sums = ", ".join(f"CAST(SUM(e.paid * t.{column}) AS bigint) AS {column}" for column in columns)
    measured = {
        (row["org"], row["dataset"], row["layer"]): row
        for row in conn.execute(
            text(
                f"SELECT g.slug AS org, d.slug AS dataset, e.layer_name AS layer, {sums} FROM entitlement e "
                "JOIN tile t ON t.layer_id = e.layer_id AND t.cell = e.cell AND t.part = e.part JOIN dataset d ON d.id = e.dataset_id "
                "JOIN organisation g ON g.id = d.org_id WHERE e.order_id = :o GROUP BY g.slug, d.slug, e.layer_name"
            ),
            {"o": made.id},
        ).mappings()
    }
    paid = all(measured[line.org, line.dataset, line.layer][UNITS[line.unit].column] == line.small for line in made.lines)
    if not same or not paid:
        raise Conflict("quote.price_changed", f"The tiles of quote {quote.id} are not those that were priced; ask for a new quote.")


def _settle(conn: Connection, ex: Exchange, made: Order, fee_rate: int) -> None:
    """Move the money: the buyer pays the total, each seller gets its lines less the fee, the tax and the fee are put aside."""
    sold: dict[str, int] = defaultdict(int)
    for line in made.lines:
        sold[line.org] += line.amount
    query = select(schema.organisation.c.id, schema.organisation.c.slug).where(schema.organisation.c.slug.in_(sold))
    sales = [_sale(made.id, row.id, sold[row.slug], fee_rate) for row in conn.execute(query.order_by(schema.organisation.c.id))]
    conn.execute(insert(schema.sale), sales)
    buyer, *_ = wallets = [ledger.open_wallet(conn, org_id) for org_id in (made.org_id, *(sale["org_id"] for sale in sales))]
    ledger.hold(conn, [ledger.FEE, ledger.VAT, *wallets])
    amounts: dict[str, int] = defaultdict(int, {buyer: -made.total, ledger.VAT: made.vat})
    for sale in sales:
        amounts[ledger.FEE] += sale["fee"]
        for account, amount in ledger.share(conn, sale["org_id"], sale["amount"] - sale["fee"]).items():
            amounts[account] += amount
    ledger.post(conn, ex, "order", amounts, order_id=made.id, memo=f"order of {len(made.lines)} lines")


def _sale(order_id: str, org_id: str, amount: int, fee_rate: int) -> dict[str, Any]:
    fee = fee_of(amount, fee_rate)
    return {"id": ids.new("sal"), "order_id": order_id, "org_id": org_id, "amount": amount, "fee_rate": fee_rate, "fee": fee}


def _log(conn: Connection, ex: Exchange, by: Actor, made: Order, quote: Quote, approved: Mapping[str, str]) -> None:
    datasets = sorted({(line.org, line.dataset) for line in made.lines})
    permit_ids = sorted({pin.permit_id for pin in quote.estimate.pins if pin.permit_id})
    numbers = conn.execute(select(schema.permit.c.number).where(schema.permit.c.id.in_(permit_ids))).scalars().all() if permit_ids else []
    entry = AuditEntry(
        Action.ORDER_PLACED,
        owner=datasets[0][0] if len({org for org, _ in datasets}) == 1 else "",
        dataset=datasets[0][1] if len(datasets) == 1 else "",
        purpose=made.purpose,
        permit=numbers[0] if len(numbers) == 1 else "",
        details={
            "order": made.id,
            "quote": made.quote_id,
            "total": made.total,
            "vat": made.vat,
            "credited": sum(line.earlier for line in made.lines),
            "fee_rate": quote.fee_rate,
            "tile_count": quote.estimate.tiles,
            "tiles_sha256": quote.tiles_sha256,
            "datasets": [f"{org}/{dataset}" for org, dataset in datasets],
            "terms": {f"{line.org}/{line.dataset}": line.terms for line in made.lines},
            **approved,
        },
    )
    append(conn, ex, by, entry)


def _made(conn: Connection, rows: Sequence[RowMapping]) -> list[Order]:
    """The orders of rows of `_orders`, with their lines."""
    billed = lines.of_orders(conn, [row["id"] for row in rows])
    plain = [name for name in Order.__dataclass_fields__ if name != "lines"]
    return [Order(**{name: row[name] for name in plain}, lines=billed.get(row["id"], ())) for row in rows]
