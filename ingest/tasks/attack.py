"""What a reader that was taken over would try, for `mapex doctor`: each line says what was tried and whether it worked."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

_OWN_PROCESSES = 3

Emit = Callable[[Mapping[str, Any]], None]


def attack(request: Mapping[str, Any], emit: Emit) -> None:
    """Try everything. `request`: `secrets` (paths to read), `port` (on 127.0.0.1, somebody listens), `writes`."""
    for path in request["secrets"]:
        emit({"attack": f"read {path}", "worked": _works(partial(_read, path))})
    out = Path(request["writes"])
    tries: dict[str, Callable[[], object]] = {
        "read the environment of the worker": _read_environments,
        "see other processes": _see_others,
        "open a socket": lambda: socket.create_connection(("127.0.0.1", request["port"]), timeout=5),
        "start a process": _start,
        "write beside its folder": lambda: (out.parent / f"{out.name}-beside").write_bytes(b"x"),
        "write into what it reads": lambda: (Path(request["reads"]) / "written").write_bytes(b"x"),
    }
    for name, do in tries.items():
        emit({"attack": name, "worked": _works(do)})


def _works(do: Callable[[], object]) -> bool:
    try:
        do()
    except OSError:
        return False
    return True


def _read(path: str) -> None:
    if os.path.isdir(path):
        os.listdir(path)
        return
    with open(path, "rb") as file:
        if not file.read(1):
            raise OSError


def _read_environments() -> None:
    for one in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if b"MAPEX_" in one.read_bytes():
                return
    raise PermissionError


def _see_others() -> None:
    if len(list(Path("/proc").glob("[0-9]*"))) <= _OWN_PROCESSES:
        raise PermissionError


def _start() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
