"""The worker: takes jobs one after another and does them, until it is asked to stop.

Any number of workers may run on one exchange. A worker that dies loses nothing: its lease ends, another takes the job, and the result is
the same. What is nobody's fault (store or disk away) waits and is tried again, however often; only a job that kills its worker is given up.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable

from ingest.conversion.convert import Stopped
from ingest.worker import pipeline, trust
from ingest.worker.messenger import Messenger
from mapex.audit import checkpoints
from mapex.errors import MapexError, Unavailable
from mapex.exchange import Exchange
from mapex.intake import jobs, leftovers, uploads
from tiles.errors import ExtraMissing, ObjectMissing, StoreError, StoreUnavailable, TilesError

log = logging.getLogger(__name__)

_IDLE_S = 0.5
_TIDY_S = 6 * 3600.0
_SEAL_S = 600.0
_LONGEST_WAIT_S = 300.0


def run(ex: Exchange, stop: threading.Event, *, once: bool = False) -> None:
    """Do jobs until `stop` is set (SIGTERM); the job at hand is then left at its next step and given back.

    Args:
        once: return when no job is waiting.
    Raises: Unavailable: `cage.weak`, `cage.missing`: nobody's files may be opened here.
    """
    name = f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(3)}"
    level = trust.cage_of(ex.settings)
    log.info("worker %s is ready; cage: %s", name, level)
    with Messenger(ex):
        _take_jobs(ex, name, stop, once=once)


def _take_jobs(ex: Exchange, name: str, stop: threading.Event, *, once: bool) -> None:
    tidied = sealed = -math.inf
    while not stop.is_set():
        if time.monotonic() - sealed > _SEAL_S:
            sealed = time.monotonic()
            _seal(ex)
        try:
            job = jobs.claim(ex, name)
        except Unavailable as why:
            log.warning("no job can be taken: %s", why.message)
            stop.wait(5.0)
            continue
        if job is not None:
            work(ex, job, stop)
        if (job is None or tidied > -math.inf) and time.monotonic() - tidied > _TIDY_S:  # also where jobs never end
            tidied = time.monotonic()
            _tidy(ex)
        if job is not None:
            continue
        if once:
            return
        stop.wait(_IDLE_S)


def _seal(ex: Exchange) -> None:
    """Sign what the log has grown by, so that it cannot be written again by who has the database alone."""
    try:
        checkpoints.keep(ex)
    except Unavailable as why:
        log.warning("the log is not signed further for now: %s", why.message)


def _tidy(ex: Exchange) -> None:
    """Remove what nobody needs any more: folders of killed workers, old uploads, objects that ended jobs left in the store."""
    pipeline.sweep(ex)
    for sweep in (uploads.sweep, leftovers.sweep):
        try:
            sweep(ex)
        except (Unavailable, StoreUnavailable) as why:
            log.warning("what %s removes stays for now: %s", sweep.__module__, why.message)


def work(ex: Exchange, job: jobs.Job, stop: threading.Event) -> None:
    """Do one claimed job and write how it ended."""
    log.info("job %s, attempt %d: begun", job.id, job.attempts)
    try:
        _attempt(ex, job, stop)
    except jobs.Lost as why:
        log.warning("job %s: %s", job.id, why.message)
    except jobs.Cancelled:
        log.info("job %s: cancelled", job.id)
        _end(lambda: jobs.stopped(ex, job), job)


def _attempt(ex: Exchange, job: jobs.Job, stop: threading.Event) -> None:
    try:
        state = pipeline.build(ex, job, stop)
    except (jobs.Lost, jobs.Cancelled):
        raise
    except Stopped:
        log.info("job %s: given back, the worker stops", job.id)
        _end(lambda: jobs.release(ex, job), job)
    except (Unavailable, StoreUnavailable, ExtraMissing) as why:
        _postpone(ex, job, why.code, why.message)
    except ObjectMissing as why:
        text = f"An uploaded file is gone from the store ({why.message}). Upload it again."
        _end(lambda: jobs.fail(ex, job, "upload.missing", text), job)
    except (MapexError, TilesError) as why:
        code, message, again = why.code, why.message, _wait_s(job) if isinstance(why, StoreError) else None
        _end(lambda: jobs.fail(ex, job, code, message, again_in_s=again), job)
    except OSError as why:
        if why.errno in (errno.ENOSPC, errno.EDQUOT):
            _postpone(ex, job, "disk.full", "A disk of the exchange is full. Free some space; the job is tried again by itself.")
            return
        _crashed(ex, job, why)
    except Exception as why:  # one of the two outermost loops: a fault of ours must not stop the worker
        _crashed(ex, job, why)
    else:
        log.info("job %s: done, the version is %s", job.id, state)


def _crashed(ex: Exchange, job: jobs.Job, why: Exception) -> None:
    log.exception("job %s failed", job.id)
    message = f"A fault of mapex ({type(why).__name__}) stopped the job; the operator finds the reason in the worker's log under {job.id}."
    _end(lambda: jobs.fail(ex, job, "job.crashed", message, again_in_s=_wait_s(job)), job)


def _postpone(ex: Exchange, job: jobs.Job, code: str, message: str) -> None:
    """Try again later, without counting the attempt: it is not the job's fault."""
    wait = _wait_s(job)
    log.warning("job %s waits %.0f s: %s", job.id, wait, message)
    _end(lambda: jobs.release(ex, job, again_in_s=wait, code=code, message=message), job)


def _wait_s(job: jobs.Job) -> float:
    """Seconds to wait after this attempt: 2, 4, 8, ... up to five minutes."""
    return float(min(2.0 ** min(job.attempts, 9), _LONGEST_WAIT_S))


def _end(end: Callable[[], object], job: jobs.Job) -> None:
    """Write how the job ended; when the database is away, the lease runs out and the job is taken again."""
    try:
        end()
    except (jobs.Lost, Unavailable) as why:
        log.warning("job %s: its end could not be written: %s", job.id, why.message)
