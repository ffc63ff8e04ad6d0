"""What a worker does for notices every few seconds: look whom new offers concern, what ends soon, and send the letters that wait."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from mapex.database import db
from mapex.database.live_offers import live_offers
from mapex.database.schema import offer_news
from mapex.exchange import Exchange
from mapex.notices import letters, outbox
from mapex.notices.outbox import Addressed
from mapex.offers import area_news
from mapex.orders import ending_quotes, newer_versions
from mapex.rights import ending_permits


def go(ex: Exchange) -> None:
    """One round. Several workers may be at it at once: a notice is there once for a person and cause, a letter is one's at a time.

    Raises: Unavailable: the database is away; what was not done is done by the next round.
    """
    look_at_offers(ex)
    look_at_quotes(ex)
    letters.send_due(ex)


def look_at_offers(ex: Exchange) -> None:
    """Write the notices of each offer that was made since, and remember that it was looked at; those that are not on sale now wait."""
    waiting = select(offer_news).join(live_offers, live_offers.c.id == offer_news.c.offer_id).order_by(offer_news.c.offer_id)
    with db.read(ex) as conn:
        rows = conn.execute(waiting).all()
    for row in rows:
        with db.read(ex) as conn:
            found = [*area_news.found(conn, ex, row.offer_id, row.before_id), *newer_versions.found(conn, ex, row.offer_id)]
        with db.begin(ex) as conn:
            outbox.write(conn, ex, found)
            seen = (offer_news.c.dataset_id == row.dataset_id, offer_news.c.offer_id == row.offer_id)  # not one that came meanwhile
            conn.execute(delete(offer_news).where(*seen))


def look_at_quotes(ex: Exchange) -> None:
    """Write the notices of prices that end soon."""
    with db.read(ex) as conn:
        found = ending_quotes.found(conn, ex)
    _write(ex, found)


def look_at_permits(ex: Exchange) -> None:
    """Write the notices of permits that end soon; once an hour is often enough."""
    with db.read(ex) as conn:
        found = ending_permits.found(conn, ex)
    _write(ex, found)


def _write(ex: Exchange, found: Sequence[Addressed]) -> None:
    if found:
        with db.begin(ex) as conn:
            outbox.write(conn, ex, found)
