"""An exchange or a store that is away is waited for, in words; nothing that may have been done is asked for again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import NewConnectionError, ProtocolError

from mapex.client import bar, upload
from mapex.client.download import Download
from mapex.client.http import Client
from mapex.client.patience import Patience
from mapex.errors import Invalid, Unavailable

REFUSED = NewConnectionError(None, "refused")  # type: ignore[arg-type]
RESET = ProtocolError("reset")


@dataclass(slots=True)
class Time:
    """A clock that only sleeping moves."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, seconds: float = 180.0) -> Patience:
        return Patience(seconds, self.sleep, lambda: self.now, self.lines.append)


@dataclass(slots=True)
class Answer:
    status: int
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    def stream(self, size: int) -> Sequence[bytes]:
        return [self.data[at : at + size] for at in range(0, len(self.data), size)]

    def release_conn(self) -> None: ...


OK = Answer(200, b'{"id": "x"}')
CONTENDED = Answer(503, json.dumps({"code": "database.busy", "message": "Busy."}).encode(), {"Retry-After": "5"})
GATEWAY = Answer(502, b"<html>Bad gateway</html>")
LIMITED = Answer(429, json.dumps({"code": "rate.limited", "message": "Slowly."}).encode(), {"Retry-After": "7"})


class Pool:
    """Answers in the given order; the last one for ever."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def request(self, *given: object, **more: object) -> Answer:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_client(time: Time, *answers: Answer | Exception, seconds: float = 180.0) -> tuple[Client, Pool]:
    client = Client("http://127.0.0.1:9", "mpx_a_b", time.patience(seconds))
    pool = Pool(*answers)
    client.pool = pool  # type: ignore[assignment]
    return client, pool


ONCE, REPEATABLE, KEYED, GET = "once", "repeatable", "keyed", "get"


def ask(client: Client, kind: str) -> Any:
    if kind == GET:
        return client.call("GET", "/wallet")
    headers = {"Idempotency-Key": "k"} if kind == KEYED else None
    return client.call("POST", "/quotes", {}, headers=headers, repeatable=kind == REPEATABLE)


@pytest.mark.parametrize("kind", [ONCE, REPEATABLE, KEYED, GET])
@pytest.mark.parametrize("first", [REFUSED, CONTENDED, LIMITED], ids=["refused", "503 of the exchange", "429"])
def test_what_was_surely_not_carried_out_is_asked_again(kind: str, first: Answer | Exception) -> None:
    time = Time()
    client, pool = a_client(time, first, first, OK)
    assert ask(client, kind) == {"id": "x"}
    assert pool.asked == 3


@pytest.mark.parametrize("kind", [REPEATABLE, KEYED, GET])
@pytest.mark.parametrize("first", [RESET, GATEWAY], ids=["reset", "502 of a proxy"])
def test_what_may_have_been_carried_out_is_asked_again_only_where_twice_is_once(kind: str, first: Answer | Exception) -> None:
    client, pool = a_client(Time(), first, OK)
    assert ask(client, kind) == {"id": "x"}
    assert pool.asked == 2
    client, pool = a_client(Time(), first, OK)
    with pytest.raises(Unavailable):
        ask(client, ONCE)
    assert pool.asked == 1


@pytest.mark.parametrize("status", [400, 402, 404, 409, 422, 500])
def test_what_time_does_not_mend_is_asked_once(status: int) -> None:
    client, pool = a_client(Time(), Answer(status, b'{"code": "x", "message": "No."}'))
    with pytest.raises(Exception, match=r"No\."):
        ask(client, GET)
    assert pool.asked == 1


def test_an_exchange_that_is_away_for_a_minute_is_waited_for_and_each_pause_is_said() -> None:
    time = Time()
    client, pool = a_client(time, REFUSED)
    answered_at = 66.0
    real = pool.request
    pool.request = lambda *given, **more: OK if time.now >= answered_at else real()  # type: ignore[method-assign]
    assert ask(client, GET) == {"id": "x"}
    assert all(line.startswith("Waiting for the exchange, next try in ") for line in time.lines)
    assert len(time.lines) >= 3


def test_the_exchange_says_how_long_to_wait() -> None:
    time = Time()
    client, _ = a_client(time, LIMITED, OK)
    ask(client, GET)
    assert 7 <= time.pauses[0] <= 7 * 1.25


@given(st.floats(0, 1000), st.one_of(st.none(), st.integers(0, 2000)))
def test_waiting_ends_when_the_patience_does(seconds: float, after: int | None) -> None:
    time = Time()
    waits = time.patience(seconds).begin("the store")
    while waits.again(after):
        assert time.now <= seconds + 1e-6
    assert time.now <= seconds + 1e-6


def test_without_patience_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    client, pool = a_client(time, REFUSED, seconds=0)
    with pytest.raises(Unavailable) as away:
        ask(client, GET)
    assert (away.value.code, pool.asked, time.pauses) == ("exchange.unreachable", 1, [])
    monkeypatch.setenv("MAPEX_PATIENCE", "0")
    assert Patience.from_environment().seconds == 0
    monkeypatch.setenv("MAPEX_PATIENCE", "long")
    with pytest.raises(Invalid):
        Patience.from_environment()


def test_streams_that_wait_for_the_same_say_so_once() -> None:
    time = Time()
    patience = time.patience()
    patience.sleep = lambda seconds: None  # the others pause at the same time
    for _ in range(4):
        patience.pause("the store", 10.0)
    assert time.lines == ["Waiting for the store, next try in 10 s."]


@pytest.mark.parametrize("first", [REFUSED, RESET, Answer(500), Answer(502), Answer(503), Answer(429)])
def test_a_part_is_sent_again_to_a_store_that_was_away(first: Answer | Exception, tmp_path: Path) -> None:
    client, pool = a_client(Time(), *[first] * 8, OK)
    sending = upload.Sending(client, bar._Silent(), 1, streams=1)
    part = {"number": 3, "method": "PUT", "url": "http://127.0.0.1:9/part", "headers": {}}
    sending._put(part, b"x", upload.File(tmp_path / "a.osm", "a.osm", 1))
    assert (pool.asked, sending._done) == (9, 1)


@pytest.mark.parametrize("first", [REFUSED, RESET, Answer(500), Answer(503), Answer(429)])
def test_a_tile_is_fetched_from_a_store_that_was_away_and_what_came_is_kept(first: Answer | Exception, tmp_path: Path) -> None:
    client, pool = a_client(Time(), Answer(206, b"abc"), *[first] * 8, Answer(206, b"def"))
    download = Download(client, "ord_1", tmp_path)
    part, tile = tmp_path / "t.part", {"path": "t", "size": 6, "sha256": ""}
    assert download._bring(part, tile, {"method": "GET", "url": "http://127.0.0.1:9/t", "id": "gra_1"}) == 6
    assert (part.read_bytes(), pool.asked) == (b"abcdef", 10)


def test_a_store_that_stays_away_ends_the_download_in_words(tmp_path: Path) -> None:
    client, _ = a_client(Time(), Answer(503))
    with pytest.raises(Unavailable, match="the store answered 503") as away:
        Download(client, "ord_1", tmp_path)._bring(
            tmp_path / "t.part", {"path": "t", "size": 6, "sha256": ""}, {"method": "GET", "url": "http://127.0.0.1:9/t", "id": "gra_1"}
        )
    assert away.value.code == "download.broken"


def test_a_grant_that_ended_while_the_store_was_away_is_asked_for_anew(tmp_path: Path) -> None:
    """The store is away for longer than the grant lives: nothing came, and that is no refusal."""
    time = Time()
    body, granted = b"abc", []
    tile = {"id": "t1", "path": "t.las", "size": 3, "sha256": hashlib.sha256(body).hexdigest(), "licence": "research", "attribution": ""}

    class Exchange:
        token, patience = "mpx_a_b", time.patience()
        pool = Pool(*[REFUSED] * 9, Answer(403), Answer(200, body))

        def call(self, method: str, path: str, body: object = None, **more: object) -> dict[str, Any]:
            if path == "/grants":
                granted.append(time.now)
                return {"grants": [{"tile_id": "t1", "id": f"gra_{len(granted)}", "method": "GET", "url": "http://127.0.0.1:9/t"}]}
            return {"tiles": [tile]} if path.endswith("/tiles") else {"id": "ord_1"}

    report = Download(Exchange(), "ord_1", tmp_path).run(streams=1, progress=bar._Silent())  # type: ignore[arg-type]
    assert (report["fetched"], len(granted)) == (1, 2)
    assert (tmp_path / "t.las").read_bytes() == body
