"""A web server inside this process for the time of a block, as the demo needs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def serving(app: Any, *, host: str, port: int, threads: int = 8) -> Iterator[None]:
    """Answer requests to a WSGI application in a thread until the block ends; listens when the block begins.

    waitress's own loop cannot be left from outside: closing its sockets under it raises there. So the loop is turned here, and
    everything is closed after its last turn.
    """
    from waitress.server import create_server

    server: Any = create_server(app, host=host, port=port, threads=threads, ident=None)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            server.asyncore.loop(timeout=1, use_poll=True, map=server._map, count=1)

    thread = threading.Thread(target=run, name="web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        server.pull_trigger()
        thread.join(10)
        server.task_dispatcher.shutdown()
        server.asyncore.close_all(server._map)  # the listening socket, and connections that browsers keep open
