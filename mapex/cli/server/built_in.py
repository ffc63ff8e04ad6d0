"""The built-in web server: waitress, with room for everybody while one address sends slowly, reads slowly, or floods the log-in.

It is for one machine, or behind a proxy (docs/operator.md): it speaks no TLS, and whoever has many addresses can still fill it.
"""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from mapex.cli.server.connection import Bodies, CallerLimits, Channel, Judge
from mapex.cli.server.lanes import Lane
from mapex.people.passwords import LOGINS_AT_ONCE
from web.edge.bodies import Wanted

log = logging.getLogger(__name__)

LONGEST_HEADERS = 32 << 10
"""Bytes: a signed address has under 2,000, and browsers send at most a few thousand of cookies."""
MOST_BUFFERED = 128 << 20
"""Bytes of one answer that wait for a slow reader, in a temporary file from 1 MiB on; files of the store go out from where they are."""
MOST_LOGINS_WAITING = 8
ACCEPTED_AT_ONCE = 32
_FILES_OF_A_CONNECTION = 3  # its socket, and two temporary files
_FILES_BESIDE = 200
_ORDER = ("idle", "drain", "new", "header", "body", "answer")
"""Who is closed for others: whoever does least first. Who is being served stays."""


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """A socket that listens. Several of one name share their lanes, and the map of what is open."""

    channel_class = Channel

    def __init__(self, app: Any, *, judge: Judge, limits: CallerLimits, bodies: Bodies, log_ins: Lane, **waitress: Any) -> None:
        self.judge, self.limits, self.bodies, self.log_ins = judge, limits, bodies, log_ins
        super().__init__(app, **waitress)

    def add_task(self, task: Any) -> None:
        """Work for a thread: log-ins wait for each other. What finds their lane full is answered so by the application, at once."""
        is_log_in = getattr(task.requests[0], "has_password", False) and len(self.log_ins.queue) < MOST_LOGINS_WAITING
        (self.log_ins if is_log_in else self.task_dispatcher).add_task(task)

    def handle_accept(self) -> None:
        """See waitress, which lets in one caller for each look at all of them: many at once would hold up those behind them."""
        for _ in range(ACCEPTED_AT_ONCE):
            super().handle_accept()

    def maintenance(self, now: float) -> None:
        """See waitress; the door does that, and does not wait until somebody reads who does not."""


class _Door:
    """Who may stay. It looks between two turns of the loop: whoever is closed within one leaves a number there that the next gets."""

    def __init__(self, opened: dict[int, Any], limits: CallerLimits) -> None:
        self._opened, self._limits = opened, limits
        self._known: set[Channel] = set()
        self._looked = 0.0

    def look(self) -> None:
        """Close what is too much, of an address and in all; and once a second what takes too long."""
        there = {one for one in self._opened.values() if isinstance(one, Channel)}
        for new in there - self._known:
            self._make_room(there, new)
        now = time.time()
        if now - self._looked >= 1:
            self._looked = now
            for one in [one for one in there if one.is_overdue(now)]:
                self._close(there, one)
        self._known = there

    def _make_room(self, there: set[Channel], new: Channel) -> None:
        mine = [one for one in there if one.key == new.key]
        if len(mine) > self._limits.of_an_address:
            self._close(there, _least_busy(mine, new))
        elif len(there) > self._limits.connections:
            [(key, _)] = Counter(one.key for one in there).most_common(1)
            self._close(there, _least_busy([one for one in there if one.key == key], new))

    @staticmethod
    def _close(there: set[Channel], one: Channel) -> None:
        one.handle_close()
        there.discard(one)


def _least_busy(channels: list[Channel], new: Channel) -> Channel:
    """The one that does least, for the longest time; the new one where all the others are being served."""
    others = [one for one in channels if one is not new and one.phase[0] in _ORDER]
    return min(others, key=lambda one: (_ORDER.index(one.phase[0]), one.last_activity), default=new)


@contextmanager
def serving(
    app: Any, *, host: str, port: int, threads: int = 8, is_behind_proxy: bool = False, limits: CallerLimits | None = None
) -> Iterator[threading.Thread]:
    """Answer requests to a WSGI application in a thread until the block ends; listens when the block begins.

    Args:
        app: the application; it may say which bodies it wants (`app.extensions["wanted"]`).
        host: to listen on.
        port: to listen on.
        threads: requests that are answered at a time, beside log-ins.
        is_behind_proxy: every connection is one of the proxy's then, and its header with the caller's address is left in.
        limits: what callers may hold.
    """
    limits = _within_the_system(limits or CallerLimits(), is_behind_proxy=is_behind_proxy)
    settings = Adjustments(
        **{"host": host, "port": port, "threads": threads, "ident": None, "clear_untrusted_proxy_headers": not is_behind_proxy},
        **{"connection_limit": 1 << 20, "max_request_header_size": LONGEST_HEADERS},
        **{"max_request_body_size": 1 << 62, "outbuf_high_watermark": MOST_BUFFERED, "log_socket_errors": False},
    )
    opened: dict[int, Any] = {}
    of_a_caller = threads if is_behind_proxy else max(2, threads // 2)
    pages, log_ins = Lane(threads, of_a_caller), Lane(LOGINS_AT_ONCE, 1 << 20)
    shared: dict[str, Any] = {"judge": _judge_of(app), "limits": limits, "bodies": Bodies(limits), "log_ins": log_ins}
    servers = [_Server(app, map=opened, dispatcher=pages, adj=settings, sockinfo=one, **shared) for one in settings.listen]
    stop, door = threading.Event(), _Door(opened, limits)

    def run() -> None:
        while not stop.is_set():
            wasyncore.loop(timeout=1, use_poll=True, map=opened, count=1)
            door.look()

    thread = threading.Thread(target=run, name="web", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        servers[0].pull_trigger()
        thread.join(10)
        for lane in (pages, log_ins):
            lane.shutdown()
        for channel in [one for one in opened.values() if isinstance(one, Channel)]:  # with the files of their last answers
            channel.handle_close()
        wasyncore.close_all(opened)


def serve(app: Any, *, host: str, port: int, threads: int, is_behind_proxy: bool) -> None:
    """Answer requests until the process is ended, or somebody presses Ctrl+C."""
    with serving(app, host=host, port=port, threads=threads, is_behind_proxy=is_behind_proxy) as thread:
        try:
            while thread.is_alive():
                thread.join(1)
        except KeyboardInterrupt:
            return
        raise RuntimeError("The web server ended by itself; look into the log, and start it again.")


def _judge_of(app: Any) -> Judge:
    found: Judge | None = getattr(app, "extensions", {}).get("wanted")
    return found or (lambda environ: Wanted(most=1 << 62, is_proven=True))


def _within_the_system(limits: CallerLimits, *, is_behind_proxy: bool) -> CallerLimits:
    """The limits, as far as the system lets this process open files; its own limit is raised as far as that goes."""
    wish = limits.connections * _FILES_OF_A_CONNECTION + _FILES_BESIDE
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wish if most == resource.RLIM_INFINITY else min(wish, most)
    if now != resource.RLIM_INFINITY and now < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
        now = allowed
    room = limits.connections if now == resource.RLIM_INFINITY else (now - _FILES_BESIDE) // _FILES_OF_A_CONNECTION
    connections = max(10, min(limits.connections, room))
    if is_behind_proxy:
        return replace(limits, connections=connections, of_an_address=connections, bodies_of_an_address=limits.bodies)
    return replace(limits, connections=connections)
