"""A mail server of a few lines on 127.0.0.1 that keeps what it is given."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Mail:
    """One message: to whom the envelope was addressed, and its text with all headers."""

    to: list[str]
    text: str


@dataclass(slots=True)
class MailServer:
    """Its port, what came, and whether it takes recipients at all."""

    port: int = 0
    box: list[Mail] = field(default_factory=list)
    takes: bool = True


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    """A running server that speaks as much of RFC 5321 as a sender needs."""
    kept = MailServer()

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            to: list[str] = []
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"RCPT":
                    to.append(line.decode().split("<")[1].split(">")[0])
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    text = b"".join(iter(self.rfile.readline, b".\r\n"))
                    kept.box.append(Mail(to, text.decode()))
                refused = word == b"RCPT" and not kept.takes
                self.wfile.write(b"550 no\r\n" if refused else b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Line) as server:
        server.daemon_threads = True
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join(10)
