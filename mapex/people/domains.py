"""Mail domains of organisations: the operator was shown that a domain is theirs, and enters it. Each belongs to one organisation.

Members invite people whose addresses are under a domain of their own organisation, and nobody else: so nobody can take an address that
is not theirs, nor find out whether one is known here. `by=None` is the operator at the machine.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from mapex import authority
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people.orgs import find_org

_DOMAIN = re.compile(r"(?=.{1,190}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def add(ex: Exchange, by: Actor | None, slug: str, domain: str) -> Sequence[str]:
    """Enter a domain that an organisation has proven to have, the proof of whose members' addresses it is; answers all of its domains.

    Raises: Denied, NotFound (`org.unknown`), Invalid (`domain.malformed`), Conflict (`domain.taken`).
    """
    authority.operator(by)
    domain = _checked(domain)
    with act(ex, by, f"domain:{domain}") as conn:
        org = find_org(conn, slug)
        owner = conn.execute(select(schema.org_domain.c.org_id).where(schema.org_domain.c.domain == domain)).scalar()
        if owner not in (None, org.id):
            raise Conflict("domain.taken", f"{domain} belongs to another organisation; remove it there first.", domain=domain)
        if owner is None:
            conn.execute(insert(schema.org_domain).values(domain=domain, org_id=org.id, created_ns=ex.now()))
            person = schema.person.c
            theirs = (person.org_id == org.id, person.email.like(f"%@{domain}"), person.proven_ns.is_(None))
            conn.execute(update(schema.person).where(*theirs).values(proven_ns=ex.now()))
            log.append(conn, ex, by, log.AuditEntry(log.Action.DOMAIN_ADDED, owner=slug, details={"domain": domain}))
        return _of(conn, org.id)


def remove(ex: Exchange, by: Actor | None, slug: str, domain: str) -> Sequence[str]:
    """Take a domain from an organisation: invitations of its members under it end, members stay; answers the domains that are left.

    Raises: Denied, NotFound (`org.unknown`, `domain.unknown`).
    """
    authority.operator(by)
    domain = domain.strip().lower()
    with act(ex, by, f"domain:{domain}") as conn:
        org = find_org(conn, slug)
        entry, invitation = schema.org_domain.c, schema.invitation.c
        if not conn.execute(delete(schema.org_domain).where(entry.domain == domain, entry.org_id == org.id)).rowcount:
            raise NotFound("domain.unknown", "The organisation has no such domain.")
        by_members = select(schema.person.c.id).where(schema.person.c.org_id == org.id)
        under = (invitation.org_id == org.id, invitation.email.like(f"%@{domain}"), invitation.inviter_id.in_(by_members))
        conn.execute(update(schema.invitation).where(*under, invitation.ended_ns.is_(None)).values(ended_ns=ex.now()))
        log.append(conn, ex, by, log.AuditEntry(log.Action.DOMAIN_REMOVED, owner=slug, details={"domain": domain}))
        return _of(conn, org.id)


def all_domains(ex: Exchange) -> Mapping[str, Sequence[str]]:
    """The domains of each organisation that has some, by its id."""
    found: dict[str, list[str]] = defaultdict(list)
    with db.read(ex) as conn:
        for row in conn.execute(select(schema.org_domain).order_by(schema.org_domain.c.domain)):
            found[row.org_id].append(row.domain)
    return found


def is_of(conn: Connection, org_id: str, email: str) -> bool:
    """Whether an address is under a domain of an organisation."""
    domain = email.rpartition("@")[2]
    entry = schema.org_domain.c
    return conn.execute(select(entry.domain).where(entry.domain == domain, entry.org_id == org_id)).first() is not None


def _of(conn: Connection, org_id: str) -> Sequence[str]:
    entry = schema.org_domain.c
    return conn.execute(select(entry.domain).where(entry.org_id == org_id).order_by(entry.domain)).scalars().all()


def _checked(domain: str) -> str:
    domain = domain.strip().lower()
    if not _DOMAIN.fullmatch(domain):
        raise Invalid("domain.malformed", f"{domain[:80]!r} is no mail domain like firm.example.", domain=domain[:80])
    return domain
