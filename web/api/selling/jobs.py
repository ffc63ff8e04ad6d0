"""Jobs: how far, cancel, retry."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint

from mapex.intake import jobs
from mapex.intake.jobs import Job
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.policy import policy
from web.edge.schemas import Answer, fields

blueprint = APIBlueprint("jobs", __name__, url_prefix="/api/v1", tag="Jobs")


class JobProgressOut(Answer):
    """`done` of `total` (0 = unknown) of a stage; what was found wrong so far."""

    stage = fields.String()
    done = fields.Integer()
    total = fields.Integer()
    file = fields.String()
    errors = fields.Integer()
    warnings = fields.Integer()


class JobErrorOut(Answer):
    """Why it failed, or waits."""

    code = fields.String()
    message = fields.String()


class JobOut(Answer):
    """A job."""

    id = fields.String()
    kind = fields.String()
    state = fields.String(metadata={"enum": ["queued", "running", "done", "failed", "cancelled"]})
    attempts = fields.Integer()
    progress = fields.Nested(JobProgressOut)
    error = fields.Nested(JobErrorOut, allow_none=True)
    created_at = moment()
    finished_at = moment(allow_none=True)


@blueprint.get("/jobs/<job_id>")
@policy("read")
@blueprint.output(JobOut)
def job(job_id: str) -> dict[str, Any]:
    """State and progress."""
    return shown(jobs.get(exchange(), current_actor(), job_id))


@blueprint.post("/jobs/<job_id>/cancel")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output(JobOut)
def cancel(job_id: str) -> dict[str, Any]:
    """Cancel: at once when it waits, at the worker's next sign of life when it runs."""
    return shown(jobs.cancel(exchange(), current_actor(), job_id))


@blueprint.post("/jobs/<job_id>/retry")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output(JobOut)
def retry(job_id: str) -> dict[str, Any]:
    """Queue a failed or cancelled job again."""
    return shown(jobs.retry(exchange(), current_actor(), job_id))


def shown(job: Job) -> dict[str, Any]:
    """The job as JSON."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "attempts": job.attempts,
        "progress": asdict(job.progress),
        "error": dict(job.error) if job.error else None,
        "created_at": iso_from_ns(job.created_ns),
        "finished_at": iso_from_ns(job.finished_ns) if job.finished_ns else None,
    }
