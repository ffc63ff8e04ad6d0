"""Waiting for a job of the exchange."""

from __future__ import annotations

import time

from mapex.client.bar import bar
from mapex.client.http import Client
from mapex.errors import Conflict


def wait_for(client: Client, job_id: str) -> None:
    """Return when the job is done. Raises Conflict with the job's own code when it failed or was cancelled."""
    with bar("Waiting for a worker") as progress:
        pause = 0.1
        while True:
            job = client.call("GET", f"/jobs/{job_id}")
            done = job.get("progress") or {}
            progress.update(done.get("done", 0), done.get("total"), done.get("stage"))
            if job["state"] in ("done", "failed", "cancelled"):
                break
            time.sleep(pause)
            pause = min(1.0, pause * 1.3)
    if job["state"] != "done":
        error = job.get("error") or {}
        raise Conflict(error.get("code", f"job.{job['state']}"), error.get("message", f"The job was {job['state']}."), job=job_id)
