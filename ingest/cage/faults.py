"""What becomes known of a caged child that did not end well: a limit that was passed, an end from outside, or a fault of its reader.

A reader that crashes, or raises what nobody expected, is a fault of mapex and not of the file, whatever is in the file. It gets a number:
the same fault has the same number, which stands in the log of the operator beside its trace.
"""

from __future__ import annotations

import hashlib
import logging
import signal

from ingest.cage.child import MIB, Ending, Limits
from ingest.findings import error
from mapex.catalogue.finding import Finding

log = logging.getLogger(__name__)

FAILED = "reader.failed"
"""Code of a reader that raised what nobody expected (`ingest.tasks.program`)."""

_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_TRACE = 2000


def finding_of(ending: Ending, name: str, limits: Limits) -> Finding:
    """What the uploader is to know about a child that did not end well."""
    if ending.limit:
        return _over_limit(ending.limit, name, limits)
    if ending.signal is None:
        return crashed(name, f"status {ending.status}", ending.stderr)
    what = signal.Signals(ending.signal).name if ending.signal in signal.valid_signals() else f"signal {ending.signal}"
    if ending.signal in _FROM_OUTSIDE:
        message = f"The reader of {name} was ended from outside ({what}): the machine may have been short of memory."
        return error(
            "reader.ended", message, "Upload the file again later, and tell the operator if it happens again.", file=name, value=what
        )
    return crashed(name, what, ending.stderr)


def crashed(name: str, what: str, trace: str) -> Finding:
    """The finding for a reader that died. `what`: of which signal; `trace`: its standard error."""
    message, fix, value = _fault(name, what, trace)
    return error("reader.crashed", message, fix, file=name, value=value)


def failed(name: str, what: str, trace: str) -> Finding:
    """The finding for a reader that raised what nobody expected. `what`: the exception in words; `trace`: its standard error."""
    message, fix, value = _fault(name, what, trace)
    return error("reader.failed", message, fix, file=name, value=value)


def _fault(name: str, what: str, trace: str) -> tuple[str, str, str]:
    """Message, fix and value for a fault of a reader, which is logged."""
    number = hashlib.sha256(f"{what}\n{trace[-_TRACE:]}".encode("utf-8", "replace")).hexdigest()[:8]
    log.error("fault %s: the reader of %s failed (%s): %s", number, name, what, trace[-_TRACE:])
    message = f"The reader of {name} failed ({what}). That is a fault of mapex, not of the file; nothing else was touched."
    fix = f"Tell the operator the number of the fault, {number}. Until it is mended, try the file in another format."
    return message, fix, f"{what.partition(':')[0]} {number}"


def _over_limit(limit: str, name: str, limits: Limits) -> Finding:
    if limit == "cpu":
        message = f"Reading {name} needed more than {limits.cpu_s} s of processor time."
        return error("reader.limit_cpu", message, "Check the file, or split it into smaller ones and upload those.", file=name)
    if limit == "memory":
        message = f"Reading {name} needed more than {limits.memory // MIB} MiB of memory."
        return error("reader.limit_memory", message, "Check the file (a header may be false), or split it into smaller ones.", file=name)
    if limit == "time":
        message = f"Reading {name} took longer than {limits.wall_s} s."
        return error("reader.limit_time", message, "Check the file, or split it into smaller ones and upload those.", file=name)
    most = f"{limits.output // MIB} MiB in all, {limits.file // MIB} MiB in one file, {limits.scratch // MIB} MiB of scratch"
    message = f"Reading {name} wrote more than its limits ({most})."
    return error("reader.limit_output", message, "Check the file: it may be made to grow. Or split it into smaller ones.", file=name)
