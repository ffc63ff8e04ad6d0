"""What slow callers and log-ins of one address cost everybody else: p99 of a page, alone and beside 200 of them.

    python -m benchmarks.slow_clients                      # the built-in server, then granian behind the proxy of compose
    python -m benchmarks.slow_clients --front built-in

Each kind is measured in slices that take turns with slices of the same page without it, and the ratio is of all to all: what else the
machine does is in both. Attackers come from 127.0.0.2 and are a process that yields to the server, as they would be elsewhere; the page
is asked for from 127.0.0.3. Whoever is hung up on comes again after five seconds. On a machine that has other work, as root:
`nice -n -10 python -m benchmarks.slow_clients`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

CALLERS = 200
LOG_INS_A_MINUTE = 60
PAGE = "/login"
SECONDS = 30.0
SLICES = 3
COMES_AGAIN_S = 5.0
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--front", nargs="*", choices=FRONTS, default=list(FRONTS))
    parser.add_argument("--only", nargs="*", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    print(
        f"{'front':10} {'beside':22} {'pages':>6} {'alone: p50':>7} {'p99':>4} {'beside: p50':>9} {'p99':>5} {'ratio':>6}  ms, goal <= 1.5"
    )
    for front in given.front:
        with tempfile.TemporaryDirectory() as folder, FRONTS[front](Path(folder) / "ex") as port:
            asked(port, 3)  # warm
            for name in given.only:
                alone, beside = [], []
                for _ in range(SLICES):
                    alone += asked(port, given.seconds / SLICES)
                    with attack(name, port):
                        beside += asked(port, given.seconds / SLICES)
                (usual_50, usual), (p50, p99) = np.percentile(alone, [50, 99]), np.percentile(beside, [50, 99])
                row = f"{front:10} {name:22} {len(beside):6} {usual_50:7.1f} {usual:7.1f} {p50:9.1f} {p99:7.1f} {p99 / usual:6.2f}"
                print(row, flush=True)


# ---- who is attacked -----------------------------------------------------------------------------------------------------------


@contextmanager
def built_in(folder: Path) -> Iterator[int]:
    """`mapex serve`."""
    from tests.support.processes import running_exchange

    with running_exchange(folder, {}) as running:
        yield urlsplit(running.url).port or 0


@contextmanager
def behind_proxy(folder: Path) -> Iterator[int]:
    """Two processes of granian behind nginx with the configuration of compose."""
    from tests.support.front import running_proxy
    from tests.support.processes import running_exchange

    command = ("serve", "--server", "granian", "--processes", "2")
    with running_exchange(folder, {"MAPEX_PROXIES": "1"}, serve=command) as running, running_proxy(urlsplit(running.url).port or 0) as port:
        yield port


FRONTS = {"built-in": built_in, "proxy": behind_proxy}


def asked(port: int, seconds: float) -> list[float]:
    """Milliseconds of a page, asked for some forty times a second, each on a connection of its own."""
    from tests.support.callers import ask

    spent, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.perf_counter()
        answer = ask(port, PAGE)
        if answer is None or answer.status != 200:
            raise SystemExit(f"{PAGE} is answered {answer and answer.status}")
        spent.append((time.perf_counter() - started) * 1e3)
        time.sleep(0.01)
    return spent


# ---- who attacks ---------------------------------------------------------------------------------------------------------------


@contextmanager
def attack(name: str, port: int) -> Iterator[None]:
    """An attack by a process of its own, for the time of the block; it begins when all of it is there."""
    begun = multiprocessing.Event()
    process = multiprocessing.Process(target=_attacking, args=(name, port, begun), daemon=True)
    process.start()
    begun.wait(60)
    try:
        yield
    finally:
        process.terminate()
        process.join(10)


def _attacking(name: str, port: int, begun: threading.Event) -> None:
    os.nice(5)
    ATTACKS[name](port, begun)


def dribble(first: bytes, again: bytes) -> Callable[..., None]:
    """200 connections that send some bytes, then one a second; whoever is hung up on comes again."""

    def run(port: int, begun: threading.Event) -> None:
        from tests.support.callers import ATTACKER, connection

        def line() -> socket.socket | None:
            with suppress(OSError):
                made = connection(port, ATTACKER, timeout=5)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                made.sendall(first)
                made.setblocking(False)
                return made
            return None

        lines = [line() for _ in range(CALLERS)]
        closed = [0.0] * CALLERS
        begun.set()
        while True:
            for i, one in enumerate(lines):
                time.sleep(1 / CALLERS)
                if one is None:
                    if time.monotonic() - closed[i] > COMES_AGAIN_S:
                        lines[i] = line()
                    continue
                try:
                    if again and not one.send(again):
                        raise ConnectionError
                    with suppress(BlockingIOError):
                        if not one.recv(1):
                            raise ConnectionError
                except BlockingIOError:
                    continue
                except OSError:
                    one.close()
                    lines[i], closed[i] = None, time.monotonic()

    return run


def log_ins(port: int, begun: threading.Event) -> None:
    """60 log-ins a minute with a wrong password, all of which are checked: each is for another account, from another network."""
    from tests.support.callers import ATTACKER, ask, connection, head, reply

    page = ask(port, "/login", ATTACKER)
    assert page is not None
    secret = page.body.decode().partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    begun.set()
    for i in range(10_000):
        body = urlencode({"email": f"p{i}@dongil.example", "password": "wrong", "csrf_token": secret}).encode()
        with suppress(OSError), connection(port, f"127.{10 + i % 200}.0.2", timeout=30) as line:
            line.sendall(head("POST", "/login", length=len(body), **FORM) + body)
            threading.Thread(target=reply, args=(line.dup(),), daemon=True).start()
        time.sleep(60 / LOG_INS_A_MINUTE)


def _attacks() -> dict[str, Callable[..., None]]:
    from tests.support.callers import head

    form = head("POST", "/login", length=60_000, **FORM)
    return {
        "idle connections": dribble(b"", b""),
        "slow headers": dribble(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"y"),
        "slow bodies": dribble(form, b"x"),
        "slow readers": dribble(head("GET", f"/static/vendor/{_largest()}"), b""),
        "unsigned parts": dribble(head("PUT", "/store/staging/a?partNumber=1", length=600 << 20), b"x" * 1000),
        "60 log-ins a minute": log_ins,
    }


def _largest() -> str:
    """Path of the largest file that everybody may read."""
    folder = ROOT / "web" / "static" / "vendor"
    files = [path for path in folder.rglob("*") if path.is_file()]
    return str(max(files, key=lambda path: path.stat().st_size).relative_to(folder))


ATTACKS = _attacks()


if __name__ == "__main__":
    main()
