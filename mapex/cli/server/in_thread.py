"""A web server inside this process for the time of a block, as the demo needs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import create_server


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that closes the temporary files of its requests too; waitress leaves them to the garbage collector."""

    request: Any

    def handle_close(self) -> None:
        super().handle_close()
        if self.request is not None:  # half received
            self.request.close()
            self.request = None

    def cancel(self) -> None:
        for request in self.requests:  # received, and not begun
            request.close()
        super().cancel()


@contextmanager
def serving(app: Any, *, host: str, port: int, threads: int = 8) -> Iterator[None]:
    """Answer requests to a WSGI application in a thread until the block ends; listens when the block begins.

    waitress's own loop cannot be left from outside: closing its sockets under it raises there. So the loop is turned here, and
    everything is closed after its last turn.
    """
    server: Any = create_server(app, host=host, port=port, threads=threads, ident=None)
    server.channel_class = _Channel
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
        for channel in [*server.active_channels.values()]:  # connections that browsers keep open, with the files of their last answer
            channel.handle_close()
        server.asyncore.close_all(server._map)  # the listening socket and the trigger
