"""One connection of the built-in server: a request whose body is taken only where it is wanted, and times within which callers move on.

waitress takes bodies in beside its threads, so that a slow one holds none of them, but it takes any body whole before anybody is asked.
Here the headers are judged first (`Judge`). A body that is not wanted is left where it is: the application gets the request without it,
knows that (`WITHHELD`), and refuses it in its own words. Then the connection ends.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import BadRequest

from web.edge.bodies import WITHHELD, Wanted
from web.edge.limits.visitors import address_key

Judge = Callable[[dict[str, Any]], Wanted]
"""What the application wants of a body, by the WSGI environment of its headers."""


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """What callers may hold of a server."""

    connections: int = 500
    of_an_address: int = 100
    idle_s: float = 30
    """Between two requests."""
    header_s: float = 10
    """From the first byte of a request to the end of its headers; as long for a new connection that says nothing."""
    grace_s: float = 20
    """Over which bodies, and readers of answers, are at least as fast as `least_rate`."""
    least_rate: int = 4096
    """Bytes a second."""
    drain_s: float = 5
    """How long what a refused caller still sends is thrown away, so that it can read why."""
    small_body: int = 64 << 10
    """Bytes of a body that is never in the way."""
    bodies: int = 256 << 20
    """Bytes of larger ones that are on their way at a time and prove nothing yet."""
    bodies_of_an_address: int = 32 << 20


class Bodies:
    """How many bytes of bodies that prove nothing yet are on their way, by address and in all."""

    def __init__(self, limits: CallerLimits) -> None:
        self._limits = limits
        self._of: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, key: str, size: int) -> bool:
        """Whether there is room for so many more of this address; then they are counted."""
        with self._lock:
            mine = self._of[key] + size <= self._limits.bodies_of_an_address
            if mine and self._of.total() + size <= self._limits.bodies:
                self._of[key] += size
                return True
            return False

    def give_back(self, key: str, size: int) -> None:
        """They are here, or will not come."""
        with self._lock:
            self._of[key] -= size
            if self._of[key] <= 0:
                del self._of[key]


class Request(HTTPRequestParser):  # type: ignore[misc]
    """One request, as it comes in."""

    body_rcv: Any
    completed: bool
    withheld = ""
    """Why its body is not taken; empty while it is."""
    has_password = False
    """Whether it is work for the lane of those."""
    _judged = False
    _counted = 0

    def __init__(self, adj: Any, *, channel: Channel) -> None:
        super().__init__(adj)
        self._channel = channel

    def received(self, data: bytes) -> int:
        """See waitress: takes in what it can, and says how much that was."""
        if self.withheld:
            return len(data)
        try:
            consumed = int(super().received(data))
        except ValueError:  # an address or a length that no number holds, which waitress would answer by hanging up
            self.error, self.completed = BadRequest("The request cannot be read."), True
            return len(data)
        if self.body_rcv is not None and not self.completed and not self._judged:
            self._judged = True
            self._judge()
        return len(data) if self.withheld else consumed

    def close(self) -> None:
        """Remove its temporary file, and what is counted for it."""
        super().close()
        self._forget()

    def _judge(self) -> None:
        wanted = self._channel.server.judge(Task(self._channel, self).get_environment())
        self.has_password = wanted.has_password
        if self.chunked:
            self._withhold("length")
        elif self.content_length > wanted.most:
            self._withhold("size")
        elif not wanted.is_proven and self.content_length > self._channel.server.limits.small_body:
            if self._channel.server.bodies.take(self._channel.key, self.content_length):
                self._counted = self.content_length
            else:
                self._withhold("busy")

    def _withhold(self, why: str) -> None:
        self.withheld, self.completed, self.expect_continue = why, True, False
        self._channel.is_refused = True
        self.close()
        self.body_rcv = None
        self.headers["CONNECTION"] = "close"

    def _forget(self) -> None:
        counted, self._counted = self._counted, 0
        if counted:
            self._channel.server.bodies.give_back(self._channel.key, counted)


class Task(WSGITask):  # type: ignore[misc]
    """A request on its way through the application."""

    def get_environment(self) -> dict[str, Any]:
        """See waitress."""
        environ: dict[str, Any] = super().get_environment()
        environ[WITHHELD] = self.request.withheld
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection. What it does just now, and since when, is looked at once a second by `is_overdue`."""

    task_class = Task
    request: Any
    close_when_flushed: bool
    sent = 0
    """Bytes that the caller took."""
    is_refused = False
    """Whether a body was not wanted: nothing that follows on this connection is a request any more."""
    _draining = False
    _phase: tuple[str, int] = ("", 0)
    _phase_began = 0.0
    _moved_before = 0
    _quiet_began = 0.0

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        self.key = address_key(addr[0])
        self.parser_class = partial(Request, channel=self)
        super().__init__(server, sock, addr, adj, map=map)
        self._phase_began = self._quiet_began = self.creation_time

    # ---- what it does ----------------------------------------------------------------------------------------------------------

    @property
    def phase(self) -> tuple[str, int]:
        """`idle`, `new`, `header`, `body`, `served`, `answer` or `drain`, and which one of these."""
        if self._draining:
            return "drain", 0
        if self.total_outbufs_len:
            return "answer", 0
        if self.requests:
            return "served", id(self.requests[0])
        if self.request is None:
            return ("idle" if self.sent else "new"), self.sent
        return ("body" if self.request.headers_finished else "header"), id(self.request)

    def is_overdue(self, now: float) -> bool:
        """Whether it took longer than it may for what it does since some earlier look."""
        limits, (name, _) = self.server.limits, phase = self.server.limits, self.phase
        if phase != self._phase:
            self._phase, self._phase_began, self._moved_before = phase, now, self._moved()
        spent = now - self._phase_began
        if name not in ("idle", "new", "header"):
            self._quiet_began = now
        elif now - self._quiet_began > limits.idle_s + limits.header_s:  # empty lines, one by one, are no beginning of a request
            return True
        if name in ("body", "answer"):
            if spent < limits.grace_s:
                return False
            is_slow = self._moved() - self._moved_before < spent * limits.least_rate
            self._phase_began, self._moved_before = now, self._moved()  # the system takes megabytes of an answer at once, for whoever reads
            return bool(is_slow)
        most = {"idle": limits.idle_s, "new": limits.header_s, "header": limits.header_s, "drain": limits.drain_s}
        return bool(spent > most.get(name, spent))

    def _moved(self) -> int:
        return self.sent if self.request is None else self.sent + int(self.request.body_bytes_received)

    # ---- waitress's own steps ----------------------------------------------------------------------------------------------------

    def send(self, data: bytes, do_close: bool = True) -> int:
        """See waitress; counts what was taken."""
        count = int(super().send(data, do_close=do_close))
        self.sent += count
        return count

    def received(self, data: bytes) -> bool:
        """See waitress."""
        return not self.is_refused and bool(super().received(data))

    def readable(self) -> bool:
        """See waitress."""
        return self._draining or (not self.is_refused and bool(super().readable()))

    def handle_read(self) -> None:
        """See waitress; what still comes after a refusal is thrown away."""
        if not self._draining:
            super().handle_read()
        else:
            self.recv(1 << 16)  # closes the connection where the caller has done so

    def handle_write(self) -> None:
        """See waitress; a refusal is read before the connection ends, also by a caller who is still sending.

        A connection that is closed while bytes wait in it is reset, and the answer on its way is lost with it.
        """
        if not self.is_refused or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some_if_lockable)
        if self.close_when_flushed and not self.total_outbufs_len and self.connected:
            self.close_when_flushed, self._draining = False, True
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the caller is gone
                self.handle_close()

    def handle_close(self) -> None:
        """See waitress; closes the temporary file of a request that is half here too."""
        super().handle_close()
        if self.request is not None:
            self.request.close()
            self.request = None

    def cancel(self) -> None:
        """See waitress."""
        for request in self.requests:  # received, and not begun
            request.close()
        super().cancel()
