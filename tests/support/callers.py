"""Callers as they come over a socket: slow, half silent, many, from addresses of this machine; nothing here waits a fixed time."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ATTACKER, NEIGHBOUR = "127.0.0.2", "127.0.0.3"
"""Two addresses of this machine, for a server that listens on all of 127.0.0.0/8."""
PATIENCE = 60.0
"""Seconds after which an answer is taken for none."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The first answer on a connection."""

    status: int
    headers: dict[str, str]
    body: bytes


def connection(port: int, source: str = "127.0.0.1", *, timeout: float = PATIENCE) -> socket.socket:
    """A connection from an address of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))


@contextlib.contextmanager
def connections(port: int, count: int, source: str = ATTACKER, *, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Many of them at once, which have sent `first` and no more. Those that the server closes meanwhile stay in the list."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            line = stack.enter_context(connection(port, source))
            with contextlib.suppress(ConnectionError):
                line.sendall(first)
            made.append(line)
        yield made


def head(method: str, target: str, *, length: int | None = None, **headers: str) -> bytes:
    """The lines of a request up to the empty one; `_` in a name of a header stands for `-`."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items())]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def reply(line: socket.socket) -> Reply | None:
    """The answer on a connection, read whole; None where it ends, or was cut, without one."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = _piece(line)
        if not piece:
            return None
        received += piece
    top, _, body = received.partition(b"\r\n\r\n")
    first, *rest = top.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): text.strip() for name, _, text in (row.partition(":") for row in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        piece = _piece(line)
        if not piece:
            break
        body += piece
    return Reply(int(first.split()[1]), headers, body)


def ask(port: int, target: str, source: str = NEIGHBOUR, *, method: str = "GET", **headers: str) -> Reply | None:
    """One request on a connection of its own."""
    with connection(port, source) as line:
        line.sendall(head(method, target, **headers))
        return reply(line)


def ended(line: socket.socket) -> bool:
    """Whether the server ends a connection, whatever it says before that; waits for it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if not line.recv(65536):
                return True
        except ConnectionError:
            return True
    return False


def established(port: int, source: str) -> int:
    """Connections from an address to a port of 127.0.0.1 which the server has not closed, whether or not the caller knows."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    peer = socket.inet_aton(source)[::-1].hex().upper()
    return sum(local.endswith(f":{port:04X}") and remote.startswith(peer) and state == "01" for _, local, remote, state, *_ in lines)


def until(is_so: Callable[[], bool]) -> None:
    """Return when something is so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it is not so still"
        time.sleep(0.02)


def _piece(line: socket.socket) -> bytes:
    try:
        return line.recv(65536)
    except ConnectionError:
        return b""
