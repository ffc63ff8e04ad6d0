"""What is on sale: the live offers of active sellers, spelled once for every query that asks for them.

A replaced or withdrawn offer, and every offer of a suspended organisation, is as if it were not there. (`mapex.operation.invariants`
spells it again on purpose: it checks what the services store.)
"""

from __future__ import annotations

from sqlalchemy import and_, select

from mapex.database.schema import dataset, layer, offer, organisation

live_offers = (
    select(
        offer.c.id,
        offer.c.version_id,
        offer.c.dataset_id,
        offer.c.org_id.label("seller_id"),
        offer.c.licence,
        offer.c.attribution,
        offer.c.rate_card,
        offer.c.credits_earlier,
        offer.c.updates,
        offer.c.created_ns,
        dataset.c.slug.label("dataset"),
        organisation.c.slug.label("org"),
        organisation.c.name.label("org_name"),
    )
    .select_from(
        offer.join(organisation, and_(organisation.c.id == offer.c.org_id, organisation.c.state == "active")).join(
            dataset, dataset.c.id == offer.c.dataset_id
        )
    )
    .where(offer.c.state == "live")
    .subquery("live_offers")
)
"""One row for each live offer of an active seller; `dataset` and `org` are slugs."""

live_layers = layer.join(live_offers, live_offers.c.version_id == layer.c.version_id)
"""The layers of the versions on sale, each beside its offer."""
