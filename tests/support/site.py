"""An exchange served from inside the test: its clock moves as the test says, its log is read, and a test may act at each request."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from mapex.exchange import Actor, Exchange
from mapex.people import tokens
from tests.support.exchange import Clock, an_exchange
from tests.support.processes import Running
from tests.support.servers import free_port
from web import create_app


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP request was answered."""

    status: int
    json: Any
    text: str


@dataclass(slots=True)
class Served:
    """A served exchange; `running.cli` is the command line as a process."""

    ex: Exchange
    clock: Clock
    running: Running
    log: list[logging.LogRecord]
    on_request: list[Callable[[str], None]] = field(default_factory=list)
    """Called with the path of each request before it is answered."""

    def token(self, actor: Actor, *scopes: str) -> str:
        return tokens.create(self.ex, actor, "test", scopes or ("*",), 90)

    def call(self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> Answer:
        """One request to /api/v1, answered with whatever status."""
        given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.running.url}/api/v1{path}", data, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return _answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read())

    def warnings(self) -> list[str]:
        """What was logged at WARNING and above, with tracebacks."""
        text = logging.Formatter("%(name)s %(levelname)s %(message)s")
        return [text.format(record) for record in self.log if record.levelno >= logging.WARNING]


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        del type, message, args


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def served(folder: Path, *, clock: Clock | None = None, **changes: object) -> Iterator[Served]:
    """An exchange on SQLite and a directory store at a free port of 127.0.0.1; `changes` are settings."""
    port, clock = free_port(), clock or Clock()
    url = f"http://127.0.0.1:{port}"
    ex = an_exchange(folder, now=clock, port=port, public_url=url, store_public_url=url, **changes)
    app = create_app(ex)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")} | {"MAPEX_DIR": str(folder)}
    ear = _Ear()
    there = Served(ex, clock, Running(folder, environ, url), ear.records)

    def watched(request: dict[str, Any], start: Any) -> Any:
        for act in there.on_request:
            act(request["PATH_INFO"])
        return app.wsgi_app(request, start)

    server = make_server("127.0.0.1", port, watched, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    names = [logging.getLogger(name) for name in ("mapex", "web", "tiles", "ingest")]
    for logger in names:
        logger.addHandler(ear)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
        for logger in names:
            logger.removeHandler(ear)
        ex.engine.dispose()


def _answer(status: int, body: bytes) -> Answer:
    text = body.decode()
    try:
        return Answer(status, json.loads(text), text)
    except ValueError:
        return Answer(status, None, text)
