"""The rate cards of what is on sale now, and what each unit usually costs on them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from mapex.database import schema
from mapex.rules.usual_rates import usual_on

# Those of suspended sellers too: a quantity more costs nothing, and their state would be looked up for each offer at each estimate.
_RATE_CARDS = select(schema.offer.c.rate_card).distinct().where(schema.offer.c.state == "live")


def cards(conn: Connection) -> frozenset[str]:
    """The different rate cards, as they are stored."""
    return frozenset(conn.execute(_RATE_CARDS).scalars())


def usual(conn: Connection) -> Mapping[str, int]:
    """By unit what it usually costs (`mapex.rules.usual_rates`)."""
    return usual_on(cards(conn))
