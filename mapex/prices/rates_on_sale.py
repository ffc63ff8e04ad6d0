"""The rate cards of what is on sale now, and what each unit usually costs on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from mapex.database import db, schema
from mapex.exchange import Exchange
from mapex.rules.usual_rates import unusual, usual_on

# Those of suspended sellers too: a quantity more costs nothing, and their state would be looked up for each offer at each estimate.
_RATE_CARDS = select(schema.offer.c.rate_card).distinct().where(schema.offer.c.state == "live")


def cards(conn: Connection) -> frozenset[str]:
    """The different rate cards, as they are stored."""
    return frozenset(conn.execute(_RATE_CARDS).scalars())


def unusual_of(ex: Exchange, rates: Iterable[tuple[str, int]]) -> frozenset[tuple[str, int]]:
    """Those of these units and rates that are far from what is asked now."""
    with db.read(ex) as conn:
        medians = usual(conn)
    return frozenset(pair for pair in rates if unusual(dict([pair]), medians))


def usual(conn: Connection) -> Mapping[str, int]:
    """By unit what it usually costs (`mapex.rules.usual_rates`)."""
    return usual_on(cards(conn))
