"""One address cannot stop the site: idle connections, bodies that nobody asked for, slow readers, floods of log-ins.

Real server processes on 127.0.0.1; the attacker comes from another address than those who want a page. CallerLimits of time are tried with
small ones, on the same server inside this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen
from wsgiref.types import StartResponse

import pytest

from mapex.cli.server.built_in import serving
from mapex.cli.server.connection import CallerLimits
from tests.support.callers import ATTACKER, NEIGHBOUR, ask, connection, connections, ended, established, head, reply, until
from tests.support.processes import Running, running_exchange
from tests.support.servers import free_port

PART = 64 << 20
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`mapex serve` as it starts on one machine: the built-in server, SQLite, the directory store."""
    with running_exchange(tmp_path_factory.mktemp("edge") / "ex", {"MAPEX_PART_SIZE": str(PART)}) as running:
        running.cli("org", "add", "hanbit")
        running.cli("person", "add", "maps@hanbit.example", "--org", "hanbit")
        yield running


def port_of(running: Running) -> int:
    return urlsplit(running.url).port or 0


@pytest.fixture(scope="module")
def token(running: Running) -> str:
    return running.token("maps@hanbit.example")


def call(running: Running, token: str, path: str, body: object) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urlopen(Request(f"{running.url}/api/v1{path}", json.dumps(body).encode(), headers), timeout=60) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def signed_part(running: Running, token: str, content: bytes) -> tuple[str, dict[str, str]]:
    """Target and headers of the signed address of the first part of a new upload."""
    upload = call(running, token, "/uploads", {"name": "a.mcap", "size": len(content)})
    part = {"number": 1, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    answer = call(running, token, f"/uploads/{upload['id']}/parts", {"parts": [part]})
    [signed] = answer["parts"]  # type: ignore[misc]
    target = urlsplit(signed["url"])
    return f"{target.path}?{target.query}", {name.replace("-", "_"): text for name, text in signed["headers"].items()}


def spooled(running: Running) -> int:
    """Bytes in temporary files without a name that the server has open."""
    pid = next(pid for pid in _children() if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    total = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(link).endswith("(deleted)"):
                total += link.stat().st_size
    return total


@contextlib.contextmanager
def _peak_of(running: Running) -> Iterator[list[int]]:
    """The most that is spooled at once while this is open, as the only element."""
    peak, is_over = [0], threading.Event()

    def look() -> None:
        while not is_over.wait(0.02):
            with contextlib.suppress(FileNotFoundError):  # a thread of ours that ended while its children were looked up
                peak[0] = max(peak[0], spooled(running))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield peak
    finally:
        is_over.set()
        looking.join()


def _children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


# ---- connections -------------------------------------------------------------------------------------------------------------------


def test_idle_connections_of_one_address_keep_nobody_out(running: Running) -> None:
    with connections(port_of(running), 400):
        for source in (NEIGHBOUR, ATTACKER):
            answer = ask(port_of(running), "/login", source)
            assert answer is not None and answer.status == 200, source


@pytest.mark.parametrize("first", [b"GET / HT", head("POST", "/login", length=1000, **FORM) + b"email="], ids=["headers", "body"])
def test_half_sent_requests_of_one_address_keep_nobody_out(running: Running, first: bytes) -> None:
    with connections(port_of(running), 400, first=first):
        answer = ask(port_of(running), "/login")
        assert answer is not None and answer.status == 200


def test_whoever_is_closed_for_others_is_the_one_that_has_most(running: Running) -> None:
    """A neighbour who keeps a few connections open keeps them while the attacker opens hundreds."""
    with connections(port_of(running), 6, NEIGHBOUR) as kept, connections(port_of(running), 400):
        for line in kept:
            line.sendall(head("GET", "/healthz"))
            answer = reply(line)
            assert answer is not None and answer.status == 200


# ---- bodies ------------------------------------------------------------------------------------------------------------------------

REFUSED = {
    "a part that nobody signed": ("PUT", "/store/staging/a/b?partNumber=1&uploadId=" + "0" * 32, PART, {}, 403),
    "a part below no store": ("PUT", "/store/nothing/a", PART, {}, 403),
    "no such page": ("POST", "/nothing", PART, {}, 404),
    "a page that takes no body": ("POST", "/explore", PART, {}, 405),
    "a long form": ("POST", "/login", 4 << 20, FORM, 413),
    "a long request of a visitor": ("POST", "/api/v1/estimates", 600 << 10, {"Content_Type": "application/json"}, 413),
    "a long request of a member": ("POST", "/api/v1/uploads", 9 << 20, {"Content_Type": "application/json"}, 413),
    "more than a gigabyte": ("POST", "/api/v1/uploads", 1 << 40, {"Content_Type": "application/json"}, 413),
    "a body of no stated length": (
        "POST",
        "/api/v1/uploads",
        None,
        {"Content_Type": "application/json", "Transfer_Encoding": "chunked"},
        411,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("hurry", [False, True], ids=["waits", "sends"])
def test_a_body_that_is_not_wanted_is_refused_before_it_is_sent(running: Running, token: str, case: str, hurry: bool) -> None:
    """The answer comes after the headers; it also reaches a client that goes on sending without a look, and is the last on its line."""
    method, target, length, headers, status = REFUSED[case]
    if "member" in case or length is None or length > PART:
        headers = {**headers, "Authorization": f"Bearer {token}"}
    with connection(port_of(running)) as line:
        line.sendall(head(method, target, length=length, **headers))
        if hurry:
            with contextlib.suppress(ConnectionError):
                line.sendall(b"10000\r\n" + b"x" * 65536)
        answer = reply(line)
        assert answer is not None and answer.status == status
        assert answer.headers["connection"] == "close"
        assert ended(line)
    assert spooled(running) == 0


UNREADABLE = {
    "a length of 5,000 digits": (head("POST", "/login", **FORM)[:-2] + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "a length that is none": (head("POST", "/login", **FORM)[:-2] + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (head("POST", "/login", length=3, **FORM)[:-2] + b"Content-Length: 4\r\n\r\nabc", 400),
    "a length and pieces": (head("POST", "/login", length=3, Transfer_Encoding="chunked", **FORM) + b"0\r\n\r\n", 411),
    "another coding": (head("POST", "/login", Transfer_Encoding="gzip", **FORM), 501),
    "an address that is none": (b"GET http://[ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    "no line of a request": (b"\x16\x03\x01\r\n\r\n", 400),
    "a header without a name": (head("GET", "/login")[:-2] + b": x\r\n\r\n", 400),
    "a line that goes on": (head("GET", "/login")[:-2] + b"X: a\rb\r\n\r\n", 400),
    "endless headers": (head("GET", "/login", X="x" * 40_000), 431),
    "two hosts": (head("GET", "/login")[:-2] + b"Host: evil.example\r\n\r\n", 400),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_refused_in_words(running: Running, case: str) -> None:
    request, status = UNREADABLE[case]
    with connection(port_of(running)) as line:
        line.sendall(request)
        answer = reply(line)
    assert answer is not None and answer.status == status


def test_a_signed_part_of_another_length_is_refused_before_it_is_sent(running: Running, token: str) -> None:
    target, headers = signed_part(running, token, b"x" * 100_000)
    with connection(port_of(running)) as line:
        line.sendall(head("PUT", target, length=100_001, **headers))
        answer = reply(line)
        assert answer is not None and answer.status == 403


def test_a_signed_part_is_taken(running: Running, token: str) -> None:
    content = os.urandom(3 << 20)
    target, headers = signed_part(running, token, content)
    with connection(port_of(running)) as line:
        line.sendall(head("PUT", target, length=len(content), **headers) + content)
        answer = reply(line)
        assert answer is not None and answer.status == 200
        line.sendall(head("GET", "/healthz"))
        assert reply(line) is not None, "the connection is kept"


def test_whoever_waits_to_be_asked_for_a_body_is_asked_only_where_it_is_wanted(running: Running, token: str) -> None:
    target, headers = signed_part(running, token, b"content")
    for length, first in ((7, b"HTTP/1.1 100 Continue\r\n\r\n"), (8, b"HTTP/1.1 403 ")):
        with connection(port_of(running)) as line:
            line.sendall(head("PUT", target, length=length, Expect="100-continue", **headers))
            assert line.recv(len(first), socket.MSG_WAITALL) == first


def test_bodies_of_one_address_that_prove_nothing_are_bounded_together(running: Running) -> None:
    """A made-up token is looked up only when the body is there, so what an address sends along with such is counted."""
    length, json_body = 8 << 20, {"Content_Type": "application/json", "Authorization": "Bearer mpx_no_token"}
    with connections(port_of(running), 30, first=head("POST", "/api/v1/uploads", length=length, **json_body)) as lines:
        senders = [threading.Thread(target=_send, args=(line, bytes(length - 1))) for line in lines]
        with _peak_of(running) as peak:  # from before the first byte: on a busy machine the senders are done before anybody looks
            for sender in senders:
                sender.start()
            with connection(port_of(running), ATTACKER) as line:
                line.sendall(head("POST", "/api/v1/uploads", length=2, **json_body) + b"{}")
                answer = reply(line)
                assert answer is not None and answer.status == 401, "what is small is never in the way"
            for sender in senders:
                sender.join()
            until(lambda: peak[0] > 0)
        answers = [reply(line) for line in lines[-3:]]
        assert peak[0] <= 32 << 20
        assert [answer.status for answer in answers if answer] == [401] * 3


def test_whoever_sends_too_much_at_once_is_told_to_come_again(running: Running) -> None:
    length = 510 << 10
    with connections(
        port_of(running), 70, first=head("POST", "/api/v1/estimates", length=length, Content_Type="application/json")
    ) as lines:
        answer = reply(lines[-1])
        assert answer is not None and answer.status == 503 and answer.headers["retry-after"]
        assert json.loads(answer.body)["code"] == "request.busy"
        neighbour = head("POST", "/api/v1/estimates", length=length, Content_Type="application/json", Expect="100-continue")
        with connection(port_of(running), NEIGHBOUR) as line:
            line.sendall(neighbour)
            assert line.recv(64).startswith(b"HTTP/1.1 100 "), "another address has room of its own"
    until(lambda: _is_asked(port_of(running), length))


def _is_asked(port: int, length: int) -> bool:
    """Whether the attacker's next body is wanted again."""
    with connection(port, ATTACKER) as line:
        line.sendall(head("POST", "/api/v1/estimates", length=length, Content_Type="application/json", Expect="100-continue"))
        return line.recv(64).startswith(b"HTTP/1.1 100 ")


def _send(line: socket.socket, content: bytes) -> None:
    with contextlib.suppress(OSError):
        line.sendall(content)


# ---- log-ins -----------------------------------------------------------------------------------------------------------------------


def test_a_flood_of_log_ins_holds_no_page_up(running: Running) -> None:
    """58 log-ins at once: pages are answered while they wait, each ends with a word, and whoever is turned away is told when to come."""

    page = ask(port_of(running), "/login", ATTACKER)
    assert page is not None
    secret = page.body.decode().partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    assert secret

    def form(i: int) -> bytes:
        body = urlencode({"email": f"p{i}@dongil.example", "password": "wrong", "csrf_token": secret}).encode()
        return head("POST", "/login", length=len(body), **FORM) + body

    with contextlib.ExitStack() as stack:
        lines = []
        for i in range(58):
            lines.append(stack.enter_context(connection(port_of(running), ATTACKER)))
            lines[-1].sendall(form(i))
        for _ in range(3):
            answer = ask(port_of(running), "/login")
            assert answer is not None and answer.status == 200
        checked = sum(_begins(line, b"HTTP/1.1 200 ") for line in lines)
        answers = [reply(line) for line in lines]
    assert checked <= 29, "the pages did not wait for the log-ins"
    statuses = [answer.status for answer in answers if answer]
    assert len(statuses) == 58 and set(statuses) <= {200, 429, 503} and statuses.count(200) >= 2
    assert all(answer.headers["retry-after"] for answer in answers if answer and answer.status != 200)


def _begins(line: socket.socket, first: bytes) -> bool:
    """Whether an answer is there already, and begins so."""
    line.setblocking(False)
    try:
        return line.recv(len(first), socket.MSG_PEEK) == first
    except BlockingIOError:
        return False
    finally:
        line.settimeout(60)


# ---- slow readers ------------------------------------------------------------------------------------------------------------------


def test_readers_who_do_not_read_hold_no_thread(running: Running, token: str) -> None:
    """More downloads of a large object than there are threads, none of which is read."""
    target = large_object(running)
    with connections(port_of(running), 20, first=head("GET", target)):
        answer = ask(port_of(running), "/login")
        assert answer is not None and answer.status == 200


def large_object(running: Running) -> str:
    """The target of the signed address of an object of 64 MiB, put into the store directly."""
    from mapex import config
    from mapex.database import opening
    from tiles.store.protocol import Bucket

    ex = opening.open_exchange(config.load(running.folder, dict(running.environ)))
    try:
        content = bytes(PART)
        ex.store.put(Bucket.DATA, "large/object", content, sha256=hashlib.sha256(content).hexdigest())
        signed = ex.store.presign_get("large/object", expires_s=600, grant="a" * 8, filename="a.bin")
    finally:
        ex.engine.dispose()
    address = urlsplit(signed.url)
    return f"{address.path}?{address.query}"


# ---- time --------------------------------------------------------------------------------------------------------------------------

SHORT = CallerLimits(idle_s=1, header_s=1, grace_s=1, drain_s=1)


@pytest.fixture(scope="module")
def hurried() -> Iterator[int]:
    """The port of a server that gives its callers a second; what it serves is long."""

    def app(environ: dict[str, object], start: StartResponse) -> list[bytes]:
        start("200 OK", [("Content-Length", str(64 << 20 if environ["PATH_INFO"] == "/long" else 2))])
        return [bytes(64 << 20)] if environ["PATH_INFO"] == "/long" else [b"ok"]

    port = free_port()
    with serving(app, host="127.0.0.1", port=port, threads=2, limits=SHORT):
        yield port


SILENT = {
    "nothing": b"",
    "half a line": b"GET / HT",
    "half of the headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half of a body": head("POST", "/", length=100) + b"half",
    "a request, then nothing": head("GET", "/"),
}


@pytest.mark.parametrize("case", SILENT)
def test_whoever_says_nothing_more_is_hung_up_on(hurried: int, case: str) -> None:
    with connection(hurried) as line:
        line.sendall(SILENT[case])
        assert ended(line)


DRIBBLED = {
    "headers": (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
    "a body": (head("POST", "/", length=1 << 20), b"x"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.mark.parametrize("case", DRIBBLED)
def test_whoever_dribbles_is_hung_up_on(hurried: int, case: str) -> None:
    """A byte now and then keeps no connection open."""
    first, again = DRIBBLED[case]
    with connection(hurried) as line:
        line.sendall(first)
        line.settimeout(0.1)
        with contextlib.suppress(ConnectionError):
            for _ in range(600):
                line.sendall(again)
                try:
                    assert not line.recv(4096)
                except TimeoutError:
                    continue
                return
            pytest.fail("it is open still")


def test_a_slow_reader_is_hung_up_on_and_holds_no_thread(hurried: int) -> None:
    with connections(hurried, 8, first=head("GET", "/long")) as lines:
        answer = ask(hurried, "/")
        assert answer is not None and answer.body == b"ok"
        until(lambda: not established(hurried, ATTACKER))
        assert all(ended(line) for line in lines)


def test_whoever_reads_and_sends_at_a_fair_pace_is_served(hurried: int) -> None:
    """Longer than any limit of time, and faster than the least pace."""
    with connection(hurried) as line:
        line.sendall(head("POST", "/", length=64 * 1024))
        line.settimeout(0.1)
        for _ in range(31):
            line.sendall(bytes(2048))
            with pytest.raises(TimeoutError):
                line.recv(1)
        line.settimeout(60)
        line.sendall(bytes(2048))
        answer = reply(line)
        assert answer is not None and answer.status == 200
