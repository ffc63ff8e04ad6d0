"""The proxy of compose before several processes: what would stop these alone ends at it. A real nginx, set up as we ship it."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mapex.people.tries import FREE
from tests.support.callers import ask, connection, connections, head, reply, until
from tests.support.front import running_proxy
from tests.support.processes import running_exchange
from tests.support.servers import free_port

FORM = {"Content_Type": "application/x-www-form-urlencoded"}
GRANIAN = ("serve", "--server", "granian", "--processes", "2", "--threads", "8")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of two processes of eight threads each, as compose starts them."""
    with running_exchange(tmp_path_factory.mktemp("proxy") / "ex", {"MAPEX_PROXIES": "1"}, serve=GRANIAN) as running:
        yield urlsplit(running.url).port or 0


@pytest.fixture(scope="module")
def proxy(web: int) -> Iterator[int]:
    with running_proxy(web) as port:
        yield port


SLOW = {
    "nothing": b"",
    "half of the headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half of a form": head("POST", "/login", length=1000, **FORM) + b"email=",
    "half of a body": head("POST", "/api/v1/estimates", length=100_000, Content_Type="application/json") + b"{",
}


@pytest.mark.parametrize("case", SLOW)
def test_slow_callers_hold_no_thread_behind_the_proxy(proxy: int, case: str) -> None:
    with connections(proxy, 200, first=SLOW[case]):
        for _ in range(3):
            answer = ask(proxy, "/login")
            assert answer is not None and answer.status == 200


def test_one_address_has_no_more_than_its_share(proxy: int) -> None:
    with connections(proxy, 70, first=SLOW["half of a form"]) as lines:
        answer = reply(lines[-1])
        assert answer is not None and answer.status == 429 and answer.headers["retry-after"]


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(proxy: int) -> None:
    with connection(proxy) as line:
        line.sendall(head("POST", "/api/v1/uploads", length=9 << 20, Content_Type="application/json"))
        answer = reply(line)
        assert answer is not None and answer.status == 413


def test_a_flood_of_log_ins_waits_at_the_proxy_and_holds_no_page_up(proxy: int) -> None:
    body = b"email=a%40dongil.example&password=wrong"
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(connection(proxy)) for _ in range(40)]
        for line in lines:
            line.sendall(head("POST", "/login", length=len(body), **FORM) + body)
        for _ in range(3):
            answer = ask(proxy, "/login")
            assert answer is not None and answer.status == 200
        answers = [reply(line) for line in lines]
    statuses = [answer.status for answer in answers if answer]
    assert len(statuses) == 40 and set(statuses) <= {200, 429, 503} and 429 in statuses
    assert all(answer.headers["retry-after"] for answer in answers if answer and answer.status != 200)


def test_the_address_that_counts_is_the_one_that_the_proxy_saw(proxy: int) -> None:
    """Somebody who makes up another one each time is counted as one."""

    page = ask(proxy, "/login", "127.0.0.9")
    assert page is not None
    secret = page.body.decode().partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]

    def log_in(account: str, made_up: str) -> int:
        body = f"email={account}%40dongil.example&password=wrong&csrf_token={secret}".encode()
        with connection(proxy, "127.0.0.9") as line:
            line.sendall(head("POST", "/login", length=len(body), X_Forwarded_For=made_up, Forwarded="for=1.2.3.4", **FORM) + body)
            answer = reply(line)
            return answer.status if answer else 0

    until(lambda: log_in("before", "198.51.100.99") == 200)  # the lane of log-ins is free
    # Another account each time, so that the address alone has failed too often; its pauses double, and are soon longer than a log-in.
    statuses = [log_in(f"c{i}", f"198.51.100.{i}") for i in range(FREE["address"] + 10)]
    assert statuses[:15] == [200] * 15 and 429 in statuses


def test_it_speaks_tls_where_there_is_a_certificate(web: int, tmp_path: Path) -> None:
    tls, port = tmp_path / "tls", free_port()
    tls.mkdir()
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(tls / "privkey.pem"), "-out", str(tls / "fullchain.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files], check=True, capture_output=True
    )
    example = (Path(__file__).parents[3] / "proxy" / "tls.conf.example").read_text(encoding="utf-8")
    (tls / "mapex.conf").write_text(example.replace("/etc/nginx/tls", str(tls)).replace("listen 443", f"listen 127.0.0.1:{port}"))
    with running_proxy(web, tls=tls):
        trusted = ssl.create_default_context(cafile=str(tls / "fullchain.pem"))
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/login", context=trusted, timeout=30) as answer:
            assert answer.status == 200
