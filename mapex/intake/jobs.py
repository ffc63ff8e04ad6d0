"""Durable jobs in SQL: leased, fenced, resumable, with progress, cancel and retry. No broker.

A worker *claims* a job for `lease_seconds` and renews while it works. Organisations take turns (`mapex.intake.turns`).
Each claim raises `attempts`, which is the fencing token: whatever an earlier claim still tries to write is refused (`Lost`).
What a job is about is written in the transaction that enqueues it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, func, insert, or_, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake.turns import next_job
from mapex.times import NS

ENDED = ("done", "failed", "cancelled")


class Lost(Conflict):
    """The lease of this claim is over: another worker has the job, or it was ended. Stop, write nothing."""


class Cancelled(Conflict):
    """Someone cancelled the job. Stop, write nothing, call `stopped`."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is: `done` of `total` (0 = unknown) of `stage`, at `file`; errors and warnings that were found so far."""

    stage: str = ""
    done: int = 0
    total: int = 0
    file: str = ""
    errors: int = 0
    warnings: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A job. `attempts` is the fencing token of the claim that returned it; `error` is {code, message} of a failed one."""

    id: str
    kind: str
    org_id: str
    person_id: str
    version_id: str | None
    payload: Mapping[str, Any]
    state: str  # queued | running | done | failed | cancelled
    attempts: int
    attempt_limit: int
    worker: str | None
    lease_until_ns: int | None
    is_cancelled: bool
    progress: JobProgress
    error: Mapping[str, str] | None
    created_ns: int
    finished_ns: int | None = field(default=None)


def enqueue(
    conn: Connection, ex: Exchange, by: Actor, kind: str, *, version_id: str | None = None, payload: Mapping[str, Any] | None = None
) -> Job:
    """A new job of the actor's organisation, in the transaction of what it is about."""
    db.take_turns(conn, "mapex.job.seq")
    job_id = ids.new("job")
    seq = conn.execute(select(func.coalesce(func.max(schema.job.c.seq), 0) + 1)).scalar_one()
    now = ex.now()
    conn.execute(
        insert(schema.job).values(
            id=job_id,
            seq=seq,
            kind=kind,
            org_id=authority.member(by),
            person_id=by.person_id,
            version_id=version_id,
            payload=json.dumps(dict(payload or {})),
            state="queued",
            attempt_limit=ex.settings.job_attempts,
            run_at_ns=now,
            created_ns=now,
        )
    )
    return _find(conn, job_id)


def claim(ex: Exchange, worker: str) -> Job | None:
    """The next job for `worker` (a name that no other live worker has), leased for `lease_seconds`; None when there is none.

    It is of the organisation whose turn it is, and the first that came of that.

    Jobs whose worker fell silent are taken again; after `attempt_limit` claims they are failed with `job.attempts`.
    """
    now = ex.now()
    with db.read(ex) as conn:  # an idle worker must not take SQLite's write lock once a second
        if conn.execute(select(schema.job.c.id).where(_waiting(now)).limit(1)).first() is None:
            return None
    job = schema.job.c
    with db.begin(ex) as conn:
        hold_claims(conn)
        _end_the_exhausted(conn, ex, now)
        found = next_job(conn, _waiting(now), now)
        if found is None:
            return None
        lease = now + ex.settings.lease_seconds * NS
        values = {"state": "running", "worker": worker, "lease_until_ns": lease, "attempts": job.attempts + 1, "error": None}
        values["claimed_ns"] = now
        conn.execute(update(schema.job).where(job.id == found).values(**values))
        return _find(conn, found)


def hold_claims(conn: Connection) -> None:
    """No job is claimed by others until the transaction ends."""
    db.take_turns(conn, "jobs:claim")


def renew(ex: Exchange, job: Job, progress: JobProgress | None = None) -> None:
    """Keep the lease for another `lease_seconds` and report how far the work is.

    Raises: Lost, Cancelled.
    """
    values: dict[str, Any] = {"lease_until_ns": ex.now() + ex.settings.lease_seconds * NS}
    if progress is not None:
        values["progress"] = json.dumps(asdict(progress))
    with db.begin(ex) as conn:
        fence(conn, job)
        conn.execute(update(schema.job).where(schema.job.c.id == job.id).values(**values))


def fence(conn: Connection, job: Job) -> None:
    """Hold the job until the transaction ends, if this claim still has it.

    Raises: Lost (`job.lost`), Cancelled (`job.cancelled`).
    """
    jobs = schema.job.c
    query = select(jobs.state, jobs.worker, jobs.attempts, jobs.cancel).where(jobs.id == job.id).with_for_update(key_share=True)
    found = conn.execute(query).first()
    if found is None or (found.state, found.worker, found.attempts) != ("running", job.worker, job.attempts):
        raise Lost("job.lost", f"Claim {job.attempts} of job {job.id} is over; another worker has it or it has ended.", job=job.id)
    if found.cancel:
        raise Cancelled("job.cancelled", f"Job {job.id} was cancelled.", job=job.id)


def finish(ex: Exchange, job: Job) -> None:
    """The job is done. Called twice by the same claim, the second time changes nothing.

    Raises: Lost, Cancelled.
    """
    with db.begin(ex) as conn:
        if not is_done(conn, job):
            finish_in(conn, ex, job)


def finish_in(conn: Connection, ex: Exchange, job: Job) -> None:
    """As `finish`, in the transaction of the result."""
    fence(conn, job)
    _end(conn, ex, job.id, "done", None)


def fail(ex: Exchange, job: Job, code: str, message: str, *, again_in_s: float | None = None) -> Job:
    """The attempt failed: try again in `again_in_s` seconds while attempts are left (None: no use), else the job is failed.

    Raises: Lost. A cancelled job ends as cancelled.
    """
    with db.begin(ex) as conn:
        try:
            fence(conn, job)
        except Cancelled:
            _end_cancelled(conn, ex, job.id)
            return _find(conn, job.id)
        if again_in_s is not None and job.attempts < job.attempt_limit:
            values = {"state": "queued", "worker": None, "lease_until_ns": None, "run_at_ns": ex.now() + int(again_in_s * NS)}
            conn.execute(update(schema.job).where(schema.job.c.id == job.id).values(error=_error(code, message), **values))
        else:
            _end_failed(conn, ex, job.id, code, message)
        return _find(conn, job.id)


def stopped(ex: Exchange, job: Job) -> None:
    """The worker has stopped a cancelled job.

    Raises: Lost.
    """
    with db.begin(ex) as conn:
        try:
            fence(conn, job)
        except Cancelled:
            _end_cancelled(conn, ex, job.id)


def release(ex: Exchange, job: Job, *, again_in_s: float = 0.0, code: str = "", message: str = "") -> None:
    """Give the job back (the worker shuts down, or store or disk are away); the attempt does not count against the limit.

    Args:
        again_in_s: not to be taken before; `code` and `message` are the reason why it waits.
    Raises: Lost, Cancelled.
    """
    with db.begin(ex) as conn:
        fence(conn, job)
        jobs = schema.job.c
        values: dict[str, Any] = {"state": "queued", "worker": None, "lease_until_ns": None, "attempt_limit": jobs.attempt_limit + 1}
        values |= {"run_at_ns": ex.now() + int(again_in_s * NS), "error": _error(code, message) if code else None}
        conn.execute(update(schema.job).where(jobs.id == job.id).values(**values))


def get(ex: Exchange, by: Actor, job_id: str) -> Job:
    """A job of the own organisation (auditor, operator: of any).

    Raises: NotFound: absent or foreign.
    """
    with db.read(ex) as conn:
        return _visible(conn, by, job_id)


def of_version(ex: Exchange, by: Actor, version_id: str) -> Sequence[Job]:
    """Jobs about a version that `by` may see, newest first."""
    job = schema.job.c
    query = select(schema.job).where(job.version_id == version_id).order_by(job.seq.desc())
    if not authority.sees_all(by):
        query = query.where(job.org_id == by.org_id)
    with db.read(ex) as conn:
        return [_job(found) for found in conn.execute(query).mappings()]


def newest_of(conn: Connection, version_id: str) -> Job | None:
    """The newest job about a version, in the caller's transaction."""
    query = select(schema.job).where(schema.job.c.version_id == version_id).order_by(schema.job.c.seq.desc()).limit(1)
    row = conn.execute(query).mappings().first()
    return _job(row) if row else None


def cancel(ex: Exchange, by: Actor, job_id: str) -> Job:
    """Cancel a job: at once when it waits, at the worker's next sign of life when it runs. Cancelled again, nothing changes.

    Raises: NotFound, Denied, Conflict (`job.ended`).
    """
    with act(ex, by) as conn:
        job = _own(conn, by, job_id)
        if job.state == "cancelled" or job.is_cancelled:
            return job
        if job.state in ENDED:
            raise Conflict("job.ended", f"Job {job_id} is {job.state} already.", job=job_id, state=job.state)
        conn.execute(update(schema.job).where(schema.job.c.id == job_id).values(cancel=1))
        log.append(conn, ex, by, _entry(conn, job, log.Action.JOB_CANCELLED))
        if job.state == "queued":
            _end_cancelled(conn, ex, job_id)
        return _find(conn, job_id)


def retry(ex: Exchange, by: Actor, job_id: str) -> Job:
    """Queue a failed or cancelled job again, with as many attempts as a new one has. Queued already, nothing changes.

    Raises: NotFound, Denied, Conflict (`job.not_ended`; `job.outdated`: its version went on without it, or was removed).
    """
    with act(ex, by) as conn:
        job = _own(conn, by, job_id)
        if job.state == "queued":
            return job
        if job.state not in ("failed", "cancelled"):
            raise Conflict("job.not_ended", f"Job {job_id} is {job.state}; only a failed or cancelled one can be retried.", state=job.state)
        if not _set_version(conn, job.version_id, job.state, "ingesting"):
            raise Conflict("job.outdated", f"What job {job_id} was to read was removed, or another job reads it. Load the page again.")
        jobs = schema.job.c
        values = {
            "state": "queued",
            "cancel": 0,
            "error": None,
            "worker": None,
            "finished_ns": None,
            "lease_until_ns": None,
            "run_at_ns": ex.now(),
            "attempt_limit": jobs.attempts + ex.settings.job_attempts,
            "progress": "{}",
        }
        conn.execute(update(schema.job).where(jobs.id == job_id).values(**values))
        log.append(conn, ex, by, _entry(conn, job, log.Action.JOB_RETRIED))
        return _find(conn, job_id)


def _waiting(now: int) -> Any:
    job = schema.job.c
    return or_(and_(job.state == "queued", job.run_at_ns <= now), and_(job.state == "running", job.lease_until_ns <= now))


def _end_the_exhausted(conn: Connection, ex: Exchange, now: int) -> None:
    """Jobs whose worker is gone and that nobody shall take again: cancelled meanwhile, or tried too often."""
    jobs = schema.job.c
    gone = and_(jobs.state == "running", jobs.lease_until_ns <= now)
    query = select(schema.job).where(gone, or_(jobs.cancel == 1, jobs.attempts >= jobs.attempt_limit))
    query = query.with_for_update(key_share=True, skip_locked=True)
    for job in [_job(found) for found in conn.execute(query).mappings()]:
        if job.is_cancelled:
            _end_cancelled(conn, ex, job.id)
            continue
        where = f" at {job.progress.stage} {job.progress.file}".rstrip() if job.progress.stage else ""
        message = (
            f"The worker died or fell silent {job.attempts} times{where}; "
            "the file may need more memory or time than allowed: split it, or retry when the exchange has more."
        )
        _end_failed(conn, ex, job.id, "job.attempts", message)


def _end(conn: Connection, ex: Exchange, job_id: str, state: str, error: str | None) -> None:
    values = {"state": state, "error": error, "finished_ns": ex.now(), "lease_until_ns": None}
    conn.execute(update(schema.job).where(schema.job.c.id == job_id).values(**values))


def _end_failed(conn: Connection, ex: Exchange, job_id: str, code: str, message: str) -> None:
    _end(conn, ex, job_id, "failed", _error(code, message))
    job = _find(conn, job_id)
    _set_version(conn, job.version_id, "ingesting", "failed")
    log.append(conn, ex, None, _entry(conn, job, log.Action.JOB_FAILED, {"code": code, "message": message[:1000]}))


def _end_cancelled(conn: Connection, ex: Exchange, job_id: str) -> None:
    _end(conn, ex, job_id, "cancelled", _error("job.cancelled", "The job was cancelled."))
    _set_version(conn, _find(conn, job_id).version_id, "ingesting", "cancelled")


def _set_version(conn: Connection, version_id: str | None, before: str, after: str) -> bool:
    """Whether the version was as it was before; a job that makes none has nothing that could be otherwise."""
    version = schema.dataset_version.c
    changed = update(schema.dataset_version).where(version.id == version_id, version.state == before).values(state=after)
    return version_id is None or conn.execute(changed).rowcount == 1


def is_done(conn: Connection, job: Job) -> bool:
    """Whether this very claim has ended the job as done."""
    found = _find(conn, job.id)
    return (found.state, found.worker, found.attempts) == ("done", job.worker, job.attempts)


def _entry(conn: Connection, job: Job, action: log.Action, details: Mapping[str, str] | None = None) -> log.AuditEntry:
    """The entry of the audit log about a job, which names its owner and, if it makes one, its version."""
    org = conn.execute(select(schema.organisation.c.slug).where(schema.organisation.c.id == job.org_id)).scalar_one()
    version, dataset = schema.dataset_version.c, schema.dataset.c
    query = select(dataset.slug, version.number).join(schema.dataset_version, version.dataset_id == dataset.id)
    found = conn.execute(query.where(version.id == job.version_id)).first()
    about = {"job": job.id, **({"version": found.number} if found else {}), **(details or {})}
    return log.AuditEntry(action, owner=org, dataset=found.slug if found else "", details=about)


def _visible(conn: Connection, by: Actor, job_id: str) -> Job:
    row = conn.execute(select(schema.job).where(schema.job.c.id == job_id)).mappings().first()
    if row is None or not (authority.sees_all(by) or row["org_id"] == by.org_id):
        raise NotFound("job.unknown", "There is no such job.")
    return _job(row)


def _own(conn: Connection, by: Actor, job_id: str) -> Job:
    """The job, locked, for someone who may change it: a member of its organisation or an operator."""
    conn.execute(select(schema.job.c.id).where(schema.job.c.id == job_id).with_for_update(key_share=True))
    job = _visible(conn, by, job_id)
    if by.role != "operator":
        authority.member(by)
    return job


def _find(conn: Connection, job_id: str) -> Job:
    return _job(conn.execute(select(schema.job).where(schema.job.c.id == job_id)).mappings().one())


def _job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        org_id=row["org_id"],
        person_id=row["person_id"],
        version_id=row["version_id"],
        payload=json.loads(row["payload"]),
        state=row["state"],
        attempts=row["attempts"],
        attempt_limit=row["attempt_limit"],
        worker=row["worker"],
        lease_until_ns=row["lease_until_ns"],
        is_cancelled=bool(row["cancel"]),
        progress=JobProgress(**json.loads(row["progress"])),
        error=json.loads(row["error"]) if row["error"] else None,
        created_ns=row["created_ns"],
        finished_ns=row["finished_ns"],
    )


def _error(code: str, message: str) -> str:
    return json.dumps({"code": code, "message": message}, ensure_ascii=False)
