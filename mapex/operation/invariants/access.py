"""Grants: inside the period of their permit, short, and not of what was stopped or recalled."""

from __future__ import annotations

from sqlalchemy import Connection, text

from mapex.operation.invariants.asking import Offender, ask, member
from mapex.times import NS

LONGEST_GRANT_NS = 300 * NS
"""No download address may live longer: until its end nothing takes it back, not even a permit that is suspended."""


def overdue(conn: Connection) -> list[Offender]:
    """I10: grants outside their permit, their period or their version's life."""
    return [*_out_of_bounds(conn), *_while_suspended(conn), *_after_recall(conn)]


def _out_of_bounds(conn: Connection) -> list[Offender]:
    """Grants outside the period of their permit, without the permit that they need, or that live too long."""
    return [
        *ask(
            conn,
            "grant {0} was issued outside the period of permit {1}",
            "SELECT g.id, p.number FROM access_grant g JOIN permit p ON p.id = g.permit_id "
            "WHERE g.issued_ns < p.valid_from_ns OR g.issued_ns >= p.valid_to_ns",
        ),
        *ask(
            conn,
            "grant {0} gives {1} data without a permit",
            "SELECT g.id, l.handling_class FROM access_grant g JOIN entitlement e ON e.id = g.entitlement_id "
            "JOIN layer l ON l.id = e.layer_id WHERE g.permit_id IS NULL AND l.handling_class IN ('restricted', 'original')",
        ),
        *ask(
            conn,
            "grant {0} lives {1} ns",
            "SELECT id, expires_ns - issued_ns FROM access_grant WHERE expires_ns - issued_ns > :most OR expires_ns <= issued_ns",
            most=LONGEST_GRANT_NS,
        ),
        *ask(
            conn,
            "grant {0} was read before it was given",
            "SELECT g.id FROM access_served s JOIN access_grant g ON g.id = s.grant_id WHERE s.served_ns < g.issued_ns",
        ),
    ]


def _while_suspended(conn: Connection) -> list[Offender]:
    found: list[Offender] = []
    for permit, since, until in _suspensions(conn):
        found += ask(
            conn,
            "grant {0} was issued while permit {1} was suspended or revoked",
            "SELECT g.id, p.number FROM access_grant g JOIN permit p ON p.id = g.permit_id "
            "WHERE p.number = :permit AND g.issued_ns > :since AND g.issued_ns < :until",
            permit=permit,
            since=since,
            until=until,
        )
    return found


def _after_recall(conn: Connection) -> list[Offender]:
    number = "CAST(" + member(conn, "version") + " AS integer)"
    return ask(
        conn,
        "grant {0} was issued after its version was recalled",
        # From the few recalls to their grants: CROSS JOIN keeps this order in SQLite, which has no statistics.
        "SELECT DISTINCT g.id FROM audit_event a CROSS JOIN organisation o CROSS JOIN dataset d CROSS JOIN dataset_version v "
        "CROSS JOIN layer l CROSS JOIN entitlement e CROSS JOIN access_grant g WHERE a.action = 'version.recalled' AND o.slug = a.owner "
        f"AND d.org_id = o.id AND d.slug = a.dataset AND v.dataset_id = d.id AND v.number = {number} AND l.version_id = v.id "
        "AND e.layer_id = l.id AND g.entitlement_id = e.id AND g.issued_ns > a.at_ns",
    )


def _suspensions(conn: Connection) -> list[tuple[str, int, int]]:
    """(permit number, from, to) of the times in which permits were not active, by the log."""
    spans: list[tuple[str, int, int]] = []
    since: dict[str, int] = {}
    rows = conn.execute(
        text(
            "SELECT permit, action, at_ns FROM audit_event WHERE action IN ('permit.suspended', 'permit.revoked', 'permit.resumed') "
            "ORDER BY seq"
        )
    )
    for permit, action, at_ns in rows:
        if action != "permit.resumed":
            since.setdefault(permit, at_ns)
        elif permit in since:
            spans.append((permit, since.pop(permit), at_ns))
    forever = 2**63 - 1
    return spans + [(permit, at_ns, forever) for permit, at_ns in since.items()]
