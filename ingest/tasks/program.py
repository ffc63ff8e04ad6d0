"""The program inside the cage: limits itself, reads one request from standard input, does it, and answers in JSON lines.

Started by `ingest.cage.launch` as `python -m ingest.tasks.program`. The limits are set here, before any library is loaded or any byte
of the upload is read, as hard limits that nothing can raise again.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ingest.cage.exits import EXIT_BUG, EXIT_FAILED, EXIT_MEMORY, EXIT_OUTPUT

TASKS = {
    "attack": "ingest.tasks.attack:attack",
    "compare": "ingest.tasks.compare:compare",
    "convert": "ingest.tasks.convert:convert",
    "inspect": "ingest.tasks.convert:inspect",
    "preview": "ingest.previews.make:preview",
    "verify": "ingest.tasks.recount:verify",
}
"""What a caged child can do: name -> function (request, emit)."""


Emit = Callable[[Mapping[str, Any]], None]


def limit(limits: Mapping[str, int], caged: bool, filtered: bool) -> None:
    """Set the hard limits of this process (bytes, seconds, counts)."""
    wanted = [
        (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
        (resource.RLIMIT_CPU, limits["cpu_s"], limits["cpu_s"] + 2),
        (resource.RLIMIT_FSIZE, limits["file"], limits["file"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    if caged or not filtered:  # outside a user namespace this would count every process of the user, and the filter forbids new ones
        wanted.append((resource.RLIMIT_NPROC, limits["processes"], limits["processes"]))
    for which, soft, hard in wanted:
        top = resource.getrlimit(which)[1]
        known = top != resource.RLIM_INFINITY
        resource.setrlimit(which, (min(soft, top) if known else soft, min(hard, top) if known else hard))


class WithoutPandas:
    """pyarrow imports pandas where it finds it, only to look whether it was given one of its own; no reader needs it (0.4 s, 50 MB)."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Says that there is no pandas, and nothing about anything else."""
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError("pandas is left out of the cage", name="pandas")


def main() -> int:
    """Do the request on standard input; the exit status says how it ended (`EXIT_*`), the lines on standard output what came out."""
    from ingest.cage.seccomp import confine

    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", newline="\n")
    os.dup2(2, 1)  # what a library prints must not reach the answer
    request = json.loads(sys.stdin.buffer.read())
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it: die with a signal that says which limit it was
    sys.meta_path.insert(0, WithoutPandas())
    filtered = confine()
    limit(request["limits"], request["caged"], filtered)

    def emit(record: Mapping[str, Any]) -> None:
        out.write(json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")
        out.flush()

    status = _do(request, emit)
    out.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # no destructors of libraries that have seen hostile bytes


def _do(request: Mapping[str, Any], emit: Emit) -> int:
    from mapex.errors import MapexError
    from tiles.errors import TilesError

    module, _, name = TASKS[request["do"]].partition(":")
    try:
        getattr(import_module(module), name)(request, emit)
    except (MapexError, TilesError) as why:
        emit({"failed": {"code": why.code, "message": why.message[:1500]}})
        return EXIT_FAILED
    except BaseException as why:  # the outermost loop of a child; PanicException of lazrs is a BaseException
        return _status_of(why, emit)
    return 0


def _status_of(why: BaseException, emit: Emit) -> int:
    if isinstance(why, MemoryError) or ("memory" in str(why).lower() and "alloc" in str(why).lower()):
        return EXIT_MEMORY
    if isinstance(why, OSError) and why.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return EXIT_OUTPUT
    return _bug(emit, why)


def _bug(emit: Emit, why: BaseException) -> int:
    import traceback

    traceback.print_exc()
    emit({"failed": {"code": "reader.failed", "message": f"{type(why).__name__}: {str(why)[:500]}"}})
    return EXIT_BUG


if __name__ == "__main__":
    sys.exit(main())
