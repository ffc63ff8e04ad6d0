"""A small HTTP proxy between a client and an exchange: it counts what passes, and a test may act at each request and piece."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.support.servers import free_port

PIECE = 16 << 10


@dataclass(frozen=True, slots=True)
class Passed:
    """One request that came through: `size` is the bytes of its body, `sent` those of the answer."""

    method: str
    target: str
    size: int
    sent: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def part(self) -> int:
        """Number of the part that an upload sent; 0 when it sent none."""
        return int(parse_qs(urlsplit(self.target).query).get("partNumber", ["0"])[0])


class Stop(Exception):
    """Raised by a hook: the connection is cut here."""


@dataclass(slots=True)
class Proxy:
    """What passed, and what to do on the way."""

    port: int
    to: int
    log: list[Passed] = field(default_factory=list)
    on_request: Callable[[str, str], None] = lambda method, target: None
    """Called before a request goes on."""
    on_piece: Callable[[str, int], None] = lambda target, sent: None
    """Called after each piece of an answer, with the bytes sent so far."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def parts(self) -> list[int]:
        """Numbers of the parts that went to the store."""
        return sorted(one.part for one in self.log if one.method == "PUT" and one.part)

    def fetched(self) -> list[Passed]:
        """Reads from the store."""
        return [one for one in self.log if one.method == "GET" and one.path.startswith("/store/")]

    def calm(self) -> None:
        """Forget what passed, also what is just ending, and act no more."""
        self.log = []
        self.on_request = lambda method, target: None
        self.on_piece = lambda target, sent: None


@contextlib.contextmanager
def proxied(to: int) -> Iterator[Proxy]:
    """A proxy on a free port of 127.0.0.1 to the port `to`."""
    proxy = Proxy(free_port(), to)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(OSError):  # the client was killed
                super().handle_one_request()
                return
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            del format, args

        def begin(self, answer: http.client.HTTPResponse) -> None:
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sent, log = 0, proxy.log  # the log of now: what began before `calm` does not come up after it
            try:
                proxy.on_request(self.command, self.path)
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.to, timeout=60)) as onward:
                    onward.request(self.command, self.path, body or None, dict(self.headers.items()))
                    with onward.getresponse() as answer:
                        self.begin(answer)
                        while piece := answer.read(PIECE):
                            self.wfile.write(piece)
                            sent += len(piece)
                            proxy.on_piece(self.path, sent)
            except Stop:
                pass
            finally:
                self.close_connection = True
                log.append(Passed(self.command, self.path, len(body), sent))

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = pass_on

    server = ThreadingHTTPServer(("127.0.0.1", proxy.port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
