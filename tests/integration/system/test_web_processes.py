"""`mapex serve --server granian`: several processes that count log-ins together, stop gracefully, and are replaced when they die."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from mapex import config
from mapex.database import attempts, opening
from mapex.exchange import Exchange
from mapex.operation import fsck
from mapex.orders import orders
from mapex.people import tokens, tries
from mapex.people.networks import around
from mapex.people.tries import FREE
from tests.support.market import Market, a_market
from tests.support.processes import MAPEX, Running, until_open
from tests.support.servers import Postgres, free_port
from tests.support.signing_in import form_of

GRANIAN = ("--server", "granian", "--processes", "2", "--threads", "4")
PART = 64 << 20


@dataclass(frozen=True, slots=True)
class Server:
    """A running `mapex serve`."""

    port: int
    process: subprocess.Popen[bytes]

    def children(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for thread in task.iterdir() for pid in (thread / "children").read_text().split()]

    def log_in(self, email: str, **headers: str) -> int:
        """Status of one attempt with a wrong password, over a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", "/login")
            hidden = form_of(connection.getresponse().read().decode())
            form = {"Content-Type": "application/x-www-form-urlencoded", **{name.replace("_", "-"): text for name, text in headers.items()}}
            connection.request("POST", "/login", urlencode({**hidden, "email": email, "password": "wrong"}), form)
            return connection.getresponse().status

    def order(self, quote: str, token: str) -> str | None:
        """The id of the order of a quote, placed under one key; None where the process died before it answered."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": f"key of {quote}"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            try:
                connection.request("POST", "/api/v1/orders", json.dumps({"quote": quote}), headers)
                answer = connection.getresponse()
                body = answer.read()
            except (ConnectionError, http.client.HTTPException):
                return None
        assert answer.status in (200, 201), body
        return str(json.loads(body)["id"])


@contextlib.contextmanager
def serving(environ: Mapping[str, str], *options: str, log: Path) -> Iterator[Server]:
    port = free_port()
    own = {**environ, "MAPEX_PORT": str(port)}
    with log.open("wb") as out:
        process = subprocess.Popen([*MAPEX, "serve", *options], env=own, stdout=out, stderr=out)
        try:
            until_open(f"http://127.0.0.1:{port}/login", process, log)
            yield Server(port, process)
        finally:
            if process.poll() is None:
                process.terminate()
            assert process.wait(60) in (0, -signal.SIGTERM), log.read_text(errors="replace")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a fresh exchange behind one proxy."""
    return a_home(tmp_path_factory.mktemp("processes") / "ex", request)


def a_home(folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("MAPEX_")} | {"MAPEX_DIR": str(folder)}
    environ |= {"MAPEX_PROXIES": "1", "MAPEX_PART_SIZE": str(PART)}
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        environ["MAPEX_DATABASE_URL"] = server.new_database()
    subprocess.run([*MAPEX, "init", "--dir", str(folder)], env=environ, check=True, capture_output=True)
    return environ


@pytest.fixture(scope="module")
def granian(home: Mapping[str, str]) -> Iterator[Server]:
    with serving(home, *GRANIAN, log=Path(home["MAPEX_DIR"]) / "granian.log") as server:
        yield server


def test_attempts_to_log_in_are_counted_by_all_processes_together(home: Mapping[str, str], granian: Server) -> None:
    """One server of two processes and another beside it, on one database: each try is counted once, and all of them wait."""
    ex = opening.open_exchange(config.load(Path(home["MAPEX_DIR"]), home))
    with serving(home, log=Path(home["MAPEX_DIR"]) / "waitress.log") as waitress, ThreadPoolExecutor(4) as people:
        servers = [granian, waitress] * 6
        statuses = list(people.map(lambda server: server.log_in("a@dongil.example"), servers))
        assert set(statuses) == {200, 429}
        assert attempts.so_far(ex, "try account a@dongil.example").count == statuses.count(200) >= FREE["account"]
        failed(ex, "b@dongil.example", times=FREE["account"] + 10)
        assert list(people.map(lambda server: server.log_in("b@dongil.example"), servers)) == [429] * 12
        assert {server.log_in("c@dongil.example") for server in (granian, waitress)} == {200}
    ex.engine.dispose()


def failed(ex: Exchange, email: str, *, times: int, address: str = "192.0.2.1") -> None:
    """So many tries to sign in that failed, as a web process counts them; the pause after them is longer than a test."""
    for _ in range(times):
        attempts.forget(ex, f"pause account {email}")
        for where in (f"address {address}", f"network {around(address)}"):
            attempts.forget(ex, f"pause {where}")
        tries.check(ex, tries.Asker(address), email)


def test_the_callers_address_is_what_the_nearest_proxy_saw(home: Mapping[str, str], granian: Server) -> None:
    ex = opening.open_exchange(config.load(Path(home["MAPEX_DIR"]), home))
    failed(ex, "d@dongil.example", times=FREE["address"] + 10, address="203.0.113.7")
    ex.engine.dispose()
    seen = [granian.log_in("e@dongil.example", X_Forwarded_For=f"198.51.100.{i}, 203.0.113.7") for i in range(6)]
    assert seen == [429] * 6, "what stands further left is made up by the caller"
    assert granian.log_in("e@dongil.example", X_Forwarded_For="203.0.113.7, 203.0.113.8") == 200


def test_nothing_secret_is_on_a_command_line(home: Mapping[str, str], granian: Server) -> None:
    assert len(granian.children()) >= 2
    secrets = [line.split('"')[1] for line in (Path(home["MAPEX_DIR"]) / "mapex.toml").read_text().splitlines() if '"' in line]
    assert len(secrets) == 2
    for pid in (granian.process.pid, *granian.children()):
        report = Path(f"/proc/{pid}/cmdline").read_text()
        assert "serve" in report and not any(secret in report for secret in (*secrets, "postgresql"))


def test_our_files_are_compressed_and_immutable(granian: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", granian.port, timeout=60)) as connection:
        connection.request("GET", "/login")
        page = connection.getresponse().read().decode()
        address = next(piece for piece in page.split('"') if piece.startswith("/static/") and piece.endswith("app.css"))
        connection.request("GET", address, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == 200 and answer.headers["Content-Encoding"] == "gzip" and len(body) == int(answer.headers["Content-Length"])
    assert "immutable" in answer.headers["Cache-Control"]


def test_a_large_part_reaches_the_store_without_a_temporary_file_or_much_memory(home: Mapping[str, str], granian: Server) -> None:
    ex = Running(Path(home["MAPEX_DIR"]), home, f"http://127.0.0.1:{granian.port}")
    ex.cli("org", "add", "hanbit")
    ex.cli("person", "add", "maps@hanbit.example", "--org", "hanbit")
    token = ex.token("maps@hanbit.example")
    half = os.urandom(PART // 2)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", granian.port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = {"name": "a.mcap", "size": PART, "sha256": hashlib.sha256(half * 2).hexdigest()}
        connection.request("POST", "/api/v1/uploads", json.dumps(body), headers)
        upload = json.loads(connection.getresponse().read())
        size = upload["part_size"]
        content = (half * 2)[:size]
        part = {"number": 1, "size": size, "sha256": hashlib.sha256(content).hexdigest()}
        connection.request("POST", f"/api/v1/uploads/{upload['id']}/parts", json.dumps({"parts": [part]}), headers)
        signed = json.loads(connection.getresponse().read())["parts"][0]
        before = {pid: _resident(pid) for pid in granian.children()}
        target = urlsplit(signed["url"])
        connection.putrequest("PUT", f"{target.path}?{target.query}", skip_accept_encoding=True)
        for name, text in signed["headers"].items():
            connection.putheader(name, text)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        files: set[str] = set()
        for at in range(0, size, 1 << 20):
            connection.send(content[at : at + (1 << 20)])
            files |= {name for pid in granian.children() for name in _open_files(pid) if "(deleted)" in name or name.startswith("/tmp/tmp")}
        grown = max(_resident(pid) - before.get(pid, 0) for pid in granian.children())
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
    assert not files
    assert grown < size // 2 // 1024, f"{grown} kB for a part of {size // 1024} kB"


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def _open_files(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(link))
    return found


def test_a_process_that_is_killed_is_replaced(granian: Server) -> None:
    before = set(granian.children())
    os.kill(min(before), signal.SIGKILL)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (set(granian.children()) - before and len(granian.children()) == len(before)):
        time.sleep(0.2)
    assert len(granian.children()) == len(before) and set(granian.children()) != before
    assert granian.log_in("k@dongil.example") == 200


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[dict[str, str], Market]]:
    """The environment of a fresh exchange that nobody serves yet, and the market in it."""
    environ = a_home(tmp_path / "ex", request)
    ex = opening.open_exchange(config.load(tmp_path / "ex", environ))
    yield environ, a_market(ex)
    ex.engine.dispose()


@pytest.mark.parametrize("point", ["order.before_commit", "order.after_commit"])
def test_a_process_that_is_killed_while_it_takes_a_payment_takes_it_once_or_not_at_all(
    shop: tuple[dict[str, str], Market], point: str
) -> None:
    """Each process is killed at its second order; a client that hears nothing says the same again, to whichever process answers.

    That order is the last one: granian takes a process that dies again within seconds for one that cannot live, and ends.
    """
    environ, market = shop
    token = tokens.create(market.ex, market.buyer, "test", ("*",), 90)
    quotes = [market.quote(market.cells[i : i + 1]) for i in range(4)]
    armed = {**environ, "MAPEX_FAILPOINT": f"{point}:kill:2"}
    with serving(armed, *GRANIAN, log=Path(environ["MAPEX_DIR"]) / "killed.log") as server:
        lost, placed, children = 0, [], len(server.children())
        for quote in quotes:
            if lost:
                break
            while (order := server.order(quote.id, token)) is None:
                lost += 1
                assert lost < 60, "nobody answers"
                time.sleep(0.5)
            assert server.order(quote.id, token) == order
            placed.append((order, quote.estimate.total))
        assert lost, "four orders, two processes: one of them came to its second"
        end = time.monotonic() + 60
        while len(server.children()) != children and time.monotonic() < end:
            time.sleep(0.2)
        assert len(server.children()) == children
        assert server.log_in("f@dongil.example") == 200
    made = orders.of(market.ex, market.buyer).orders
    assert sorted((order.id, order.total) for order in made) == sorted(placed)
    assert market.balance() == 10_000_000 - sum(total for _, total in placed)
    assert [check.message for check in fsck.check(market.ex) if not check.ok] == []  # the ledger sums to zero, and so on


def test_what_is_being_answered_is_answered_before_the_server_ends(home: Mapping[str, str]) -> None:
    log = Path(home["MAPEX_DIR"]) / "stopped.log"
    with serving(home, *GRANIAN, log=log) as server, socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        body = b"email=e%40dongil.example&password=wrong"
        kind = "Content-Type: application/x-www-form-urlencoded"
        head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        line.sendall(head.encode() + body[:10])
        time.sleep(4)  # a thread waits for the rest now
        server.process.terminate()
        time.sleep(0.5)
        assert server.process.poll() is None, "it waits for what is open"
        line.sendall(body[10:])
        assert line.recv(64).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(60) == 0
