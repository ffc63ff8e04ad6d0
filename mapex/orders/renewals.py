"""A quote again: the same request at the price of now, held anew, and what differs from the old one line by line."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from mapex import authority
from mapex.database import db
from mapex.database.schema import order
from mapex.errors import Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.orders import approvals, updates
from mapex.prices import estimates, quotes
from mapex.prices.estimate import Estimate, Line
from mapex.rules import licences


@dataclass(frozen=True, slots=True)
class Pair:
    """One line in the old quote and in the new one; None where it is missing."""

    old: Line | None
    new: Line | None

    @property
    def line(self) -> Line:
        """Whichever there is, the newer first."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def differs(self) -> bool:
        """Whether anything of it changed."""
        return self.old != self.new


def renew(ex: Exchange, by: Actor, quote_id: str, purpose: str | None = None) -> quotes.Quote:
    """Hold the price of what a quote asked for anew, for another purpose if one is named; a request for approval goes along.

    Raises: NotFound: `quote.unknown`. Invalid: `purpose.unknown`, `order.current`. What `quotes.hold` raises.
    """
    org_id = authority.member(by)
    if purpose is not None:
        licences.check_purpose(purpose)
    with db.read(ex) as conn:
        before = quotes.load(conn, ex, org_id, quote_id)
    wanted_for = purpose or str(before.estimate.purpose)
    request = {**before.request, "replaces": before.id}
    made = quotes.hold(ex, by, request, lambda conn, org, now: _price(conn, ex, org, before, wanted_for, now), name=before.name)
    approvals.follow(ex, by, before.id, made.id)
    return made


def price_now(conn: Connection, ex: Exchange, quote: quotes.Quote, at_ns: int) -> Estimate | None:
    """What a quote asked for, at the price of now, in the caller's transaction; None: nothing of it is for sale any more."""
    try:
        return _price(conn, ex, quote.org_id, quote, str(quote.estimate.purpose), at_ns)
    except (Invalid, NotFound):  # an update that was bought meanwhile, a dataset that was withdrawn
        return None


def compare(old: Estimate, new: Estimate) -> list[Pair]:
    """The lines of two estimates side by side, in the order of the new one, then those that are gone."""
    before = {_key(line): line for line in old.lines}
    pairs = [Pair(before.pop(_key(line), None), line) for line in new.lines]
    return pairs + [Pair(line, None) for line in before.values()]


def _price(conn: Connection, ex: Exchange, org_id: str, quote: quotes.Quote, purpose: str, at_ns: int) -> Estimate:
    order_id = quote.request.get("updates_of")
    if order_id is None:
        return estimates.price(conn, org_id, replace(quote.price_request, purpose=purpose), at_ns)
    quote_id = conn.execute(select(order.c.quote_id).where(order.c.id == order_id, order.c.org_id == org_id)).scalar_one()
    bought = quotes.load(conn, ex, org_id, quote_id)
    return updates.pricing(order_id, bought, purpose, added=quote.request["added"])(conn, org_id, at_ns)


def _key(line: Line) -> tuple[str, str, str, str]:
    return line.org, line.dataset, line.layer, line.unit
