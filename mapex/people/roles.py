"""What a person is in the exchange: role and state. Changing either ends all sessions and needs an operator; one operator always stays.

Both end the API tokens and open invitations too: what is left of a former life must not gain or keep a power that nobody gave it.
`by=None` is the operator at the machine (the command line on the exchange itself).
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from mapex import authority
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict
from mapex.exchange import Actor, Exchange
from mapex.people import signers
from mapex.people.endings import end_standing
from mapex.people.orgs import find_org, state_action
from mapex.people.persons import Person, check_email, check_role, find_person


def set_role(ex: Exchange, by: Actor | None, email: str, role: str, *, org: str = "") -> Person:
    """Give a person another role, in the organisation with slug `org` if it is that of a member; effective on the next request.

    All sessions, API tokens and open invitations of the person end, and download addresses of the former organisation. The same role
    given again changes nothing.

    Raises: Denied, NotFound (`person.unknown`, `org.unknown`), Invalid (`person.role`, `person.org`), Conflict (`operator.last`).
    """
    authority.operator(by)
    check_role(role, org)
    email = check_email(email)
    with signers.retiring(ex) as retire, act(ex, by, f"person:{email}") as conn:
        person = find_person(conn, email)
        if (person.role, person.org_slug) == (role, org):
            return person
        if role != "operator":
            _keep_an_operator(conn, person)
        org_id = find_org(conn, org).id if org else None
        ended = end_standing(conn, ex, schema.person.c.id == person.id, "role")
        conn.execute(update(schema.person).where(schema.person.c.id == person.id).values(role=role, org_id=org_id, proven_ns=ex.now()))
        before = {"before": person.role, "before_org": person.org_slug}
        details = {"subject": email, "role": role, **before, **ended.counts}
        log.append(conn, ex, by, log.AuditEntry(log.Action.PERSON_ROLE_CHANGED, owner=org or person.org_slug, details=details))
        retire(conn, {person.org_id, *ended.org_ids})
        return find_person(conn, email)


def set_state(ex: Exchange, by: Actor | None, email: str, state: str) -> Person:
    """Suspend or resume a person. Either ends all sessions, tokens, open invitations and download addresses; effective on the next request.

    Raises: Denied, NotFound (`person.unknown`), Invalid (`state.unknown`), Conflict (`operator.last`).
    """
    authority.operator(by)
    action = state_action(state, log.Action.PERSON_SUSPENDED, log.Action.PERSON_RESUMED)
    email = check_email(email)
    with signers.retiring(ex) as retire, act(ex, by, f"person:{email}") as conn:
        person = find_person(conn, email)
        if person.state == state:
            return person  # set before: nothing changes, nothing is logged
        if state != "active":
            _keep_an_operator(conn, person)
        this = schema.person.c.id == person.id
        ended = end_standing(conn, ex, this, "suspended")
        conn.execute(update(schema.person).where(this).values(state=state))
        log.append(conn, ex, by, log.AuditEntry(action, owner=person.org_slug, details={"subject": email, **ended.counts}))
        retire(conn, {person.org_id, *ended.org_ids})
        return find_person(conn, email)


def _keep_an_operator(conn: Connection, leaving: Person) -> None:
    """Refuse when nobody else could operate the exchange; two who leave at the same time take turns."""
    if leaving.role != "operator" or leaving.state != "active":
        return
    db.take_turns(conn, "operators")
    person = schema.person.c
    others = select(func.count()).where(person.role == "operator", person.state == "active", person.id != leaving.id)
    if not conn.execute(others).scalar_one():
        raise Conflict("operator.last", f"{leaving.email} is the only active operator; make another one first.", email=leaving.email)
