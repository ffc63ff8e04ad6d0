"""Waiting for a job of the exchange."""

from __future__ import annotations

import time
from typing import Any

from mapex.client.bar import Bar, bar, tell
from mapex.client.http import Client
from mapex.errors import Conflict

_WAITS = {"scheduler": "Waiting for the Dask scheduler", "workers": "Waiting for Dask workers"}
"""What a running job says in the place of its stage while a cluster is away."""


def wait_for(client: Client, job_id: str) -> None:
    """Return when the job is done. Raises Conflict with the job's own code when it failed or was cancelled."""
    with bar("Waiting for a worker") as progress:
        pause, shown = 0.1, ""
        while True:
            job = client.call("GET", f"/jobs/{job_id}")
            shown = _show(progress, job, shown)
            if job["state"] in ("done", "failed", "cancelled"):
                break
            time.sleep(pause)
            pause = min(1.0, pause * 1.3)
    if job["state"] != "done":
        error = job.get("error") or {}
        raise Conflict(error.get("code", f"job.{job['state']}"), error.get("message", f"The job was {job['state']}."), job=job_id)


def _show(progress: Bar, job: dict[str, Any], shown: str) -> str:
    """Move the bar, and say once, in a line, what the job waits for; returns the line that was last."""
    done = job.get("progress") or {}
    stage = done.get("stage", "")
    progress.update(done.get("done", 0), done.get("total"), _WAITS.get(stage, stage))
    why = ""
    if job["state"] == "running" and stage in _WAITS:
        why = f"{_WAITS[stage]}; the job goes on by itself."
    elif job["state"] == "queued" and job.get("error"):
        why = f"The job waits: {job['error']['message']}"
    if why and why != shown:
        tell(why)
    return why
