"""Who signs download addresses: a name for each organisation, `<id>.<generation>`. Raising the generation ends all that was signed.

Whatever takes a right away retires the signers of those who had it, in its own transaction: the next address has another signer, and
what is out opens nothing. The directory store asks here at each request; in MinIO the account of the signer is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select, update

from mapex.audit.log import Action, AuditEntry, append
from mapex.database import db
from mapex.database.schema import organisation, person
from mapex.errors import Denied
from mapex.exchange import Actor, Exchange
from tiles.errors import TilesError

log = logging.getLogger(__name__)


def of(conn: Connection, by: Actor) -> str:
    """The signer of the organisation for which `by` acts. Ask before anything else is checked: what ends from then on ends it too.

    Raises: Denied: `person.suspended`: since the request came in, the person or the organisation was suspended or the role changed.
    """
    query = select(organisation.c.id, organisation.c.signer).join(person, person.c.org_id == organisation.c.id)
    found = conn.execute(
        query.where(
            person.c.id == by.person_id,
            organisation.c.id == by.org_id,
            person.c.state == "active",
            organisation.c.state == "active",
        )
    ).first()
    if found is None:
        raise Denied("person.suspended", f"{by.email} may no longer act for {by.org_slug}; ask the operator.", org=by.org_slug)
    return _name(found.id, found.signer)


def of_owner(conn: Connection, slug: str) -> str:
    """The signer of an active organisation, for who looks at what is its own by right of office.

    Raises: Denied: `org.suspended`.
    """
    query = select(organisation.c.id, organisation.c.signer).where(organisation.c.slug == slug, organisation.c.state == "active")
    found = conn.execute(query).first()
    if found is None:
        raise Denied("org.suspended", f"The organisation {slug} is suspended; nothing of it is given out.", org=slug)
    return _name(found.id, found.signer)


def is_current(ex: Exchange, signer: str) -> bool:
    """Whether what this signer signed still holds."""
    org_id, _, generation = signer.rpartition(".")
    with db.read(ex) as conn:
        found = conn.execute(select(organisation.c.signer).where(organisation.c.id == org_id)).scalar()
    return found is not None and str(found) == generation


Retire = Callable[[Connection, Iterable[str | None]], None]
"""Give each of these organisations another signer, in a transaction; None and unknown ids are passed over."""


@contextmanager
def retiring(ex: Exchange) -> Iterator[Retire]:
    """Around a transaction that may retire signers: once it is committed, the store lets go of them.

    A store that is away is no reason to refuse: who signs is decided by the database, and what is out in MinIO then ends by its time.
    """
    retired: list[str] = []

    def retire(conn: Connection, org_ids: Iterable[str | None]) -> None:
        retired.extend(_renewed(conn, ex, org_ids))

    yield retire
    for signer in retired:
        try:
            ex.store.retire(signer)
        except TilesError as error:
            log.error("addresses signed by %s live to their end, for the store did not take the change: %s", signer, error)


def _renewed(conn: Connection, ex: Exchange, org_ids: Iterable[str | None]) -> Iterator[str]:
    """The signers that these organisations had until now. The log keeps the new ones: one that is set back is named by `mapex fsck`."""
    for org_id in sorted({org_id for org_id in org_ids if org_id}):  # in one order: two at the same time do not wait for each other
        row = organisation.c
        raised = update(organisation).where(row.id == org_id).values(signer=row.signer + 1).returning(row.signer, row.slug)
        renewed = conn.execute(raised).first()
        if renewed is not None:
            append(conn, ex, None, AuditEntry(Action.SIGNER_RETIRED, owner=renewed.slug, details={"signer": renewed.signer}))
            yield _name(org_id, renewed.signer - 1)


def _name(org_id: str, generation: int) -> str:
    return f"{org_id}.{generation}"
