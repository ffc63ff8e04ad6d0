"""Whose turn it is: organisations share the workers, however many jobs each of them has queued.

Next is the organisation that has the fewest jobs in work, then the one that was served longest ago, then the one whose job came first.
So one that queues a hundred jobs, or jobs that kill their workers, delays the first job of another by one job at most.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, func, select

from mapex.database import schema


def next_job(conn: Connection, is_waiting: Any, now: int) -> str | None:
    """The id of the job that is to be taken next, locked; None when there is none. Claims take turns (`jobs.hold_claims`).

    Args:
        is_waiting: condition on `job` of those that can be taken.
        now: UTC nanoseconds.
    """
    job = schema.job.c
    first = _by_org(conn, func.min(job.seq), is_waiting)
    of_them = job.org_id.in_(list(first))
    busy = _by_org(conn, func.count(), and_(of_them, job.state == "running", job.lease_until_ns > now))
    served = _by_org(conn, func.max(job.claimed_ns), and_(of_them, job.claimed_ns.is_not(None)))
    for org_id in sorted(first, key=lambda one: (busy.get(one, 0), served.get(one, 0), first[one])):
        of_it = select(job.id).where(is_waiting, job.org_id == org_id).order_by(job.seq).limit(1)
        found: str | None = conn.execute(of_it.with_for_update(key_share=True, skip_locked=True)).scalar()
        if found is not None:
            return found
    return None


def _by_org(conn: Connection, value: Any, condition: Any) -> dict[str, int]:
    org_id = schema.job.c.org_id
    return {str(org): int(found) for org, found in conn.execute(select(org_id, value).where(condition).group_by(org_id))}
