"""Tries to sign in that failed: who guesses waits, the owner does not, and the log learns that an account was tried."""

from __future__ import annotations

import json
import threading

import pytest
from sqlalchemy import select

from mapex.database import db, schema
from mapex.errors import Denied, Limited, Unavailable
from mapex.exchange import Exchange
from mapex.people import persons, tries
from mapex.people.tries import FREE, LONGEST_PAUSE, Asker
from tests.support.exchange import a_person


def heard(ex: Exchange, callers: list[Asker], emails: list[str]) -> int:
    """How many of these tries are heard before somebody has to wait."""
    for n, (caller, email) in enumerate(zip(callers, emails, strict=True)):
        try:
            guess(ex, caller, email)
        except Limited as refused:
            assert refused.code == "login.tries" and refused.details["retry_after_s"] >= 1
            return n
    return len(callers)


def guess(ex: Exchange, caller: Asker, email: str) -> None:
    """A try that fails."""
    with pytest.raises(Denied), tries.trying(ex, caller, email):
        raise Denied("login.refused", "E-mail or password is wrong; try again.")


def refusals(ex: Exchange) -> list[dict[str, object]]:
    with db.read(ex) as conn:
        rows = conn.execute(select(schema.audit_event.c.payload).where(schema.audit_event.c.action == "session.refused")).scalars()
        return [json.loads(row) for row in rows]


@pytest.mark.parametrize(
    ("addresses", "accounts", "kind"),
    [
        ([f"203.0.{n}.7" for n in range(30)], ["a@x.example"] * 30, "account"),
        (["203.0.113.7"] * 60, [f"{n}@x.example" for n in range(60)], "address"),
        ([f"203.0.113.{n}" for n in range(120)], [f"{n}@x.example" for n in range(120)], "network"),
        ([f"2001:db8:0:1::{n:x}" for n in range(120)], [f"{n}@x.example" for n in range(120)], "network"),
        ([f"::ffff:203.0.113.{n}" for n in range(120)], [f"{n}@x.example" for n in range(120)], "network"),
    ],
)
def test_whoever_guesses_waits_by_account_address_and_network(
    exchange: Exchange, addresses: list[str], accounts: list[str], kind: str
) -> None:
    assert heard(exchange, [Asker(address) for address in addresses], accounts) == FREE[kind]


def test_guesses_from_everywhere_wait_together(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FREE, "all", 40)
    callers = [Asker(f"203.{n}.113.7") for n in range(60)]
    assert heard(exchange, callers, [f"{n}@x.example" for n in range(60)]) == 40


@pytest.mark.parametrize("exists", [True, False])
def test_an_account_that_exists_waits_like_one_that_does_not(exchange: Exchange, *, exists: bool) -> None:
    email = a_person(exchange).email if exists else "nobody@x.example"
    assert heard(exchange, [Asker(f"203.0.{n}.7") for n in range(30)], [email] * 30) == FREE["account"]
    assert heard(exchange, [Asker("198.51.100.1")], [f"  {email.upper()} "]) == 0, "however it is spelt"


def test_pauses_double_up_to_a_quarter_of_an_hour_and_end(exchange: Exchange) -> None:
    caller, pauses = Asker("203.0.113.7"), []
    for _ in range(FREE["account"] + 14):
        try:
            guess(exchange, caller, "a@x.example")
        except Limited as refused:
            pauses.append(refused.details["retry_after_s"])
            exchange.now.forward(seconds=refused.details["retry_after_s"])  # type: ignore[attr-defined]
            guess(exchange, caller, "a@x.example")
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert max(pauses) <= LONGEST_PAUSE
    exchange.now.forward(seconds=7200)  # type: ignore[attr-defined]
    tries.check(exchange, caller, "a@x.example")


def test_the_owner_signs_in_from_a_known_device_whatever_others_try(exchange: Exchange) -> None:
    owner = a_person(exchange).email
    device = tries.device_of(exchange, owner)
    heard(exchange, [Asker("203.0.113.7")] * 30, [owner] * 30)
    with tries.trying(exchange, Asker("203.0.113.7", device), owner):
        pass  # who is right is not counted
    assert heard(exchange, [Asker("203.0.113.7", device)] * 30, [owner] * 30) == FREE["device"], "the device has a count of its own"


@pytest.mark.parametrize("change", ["another account", "too old", "altered", "rubbish"])
def test_a_mark_of_another_device_is_none(exchange: Exchange, change: str) -> None:
    owner, other = a_person(exchange).email, a_person(exchange).email
    device = tries.device_of(exchange, other if change == "another account" else owner)
    if change == "too old":
        exchange.now.forward(days=91)  # type: ignore[attr-defined]
    if change == "altered":
        device = device[:-1] + ("0" if device[-1] != "0" else "1")
    if change == "rubbish":
        device = "é.٣.x"
    heard(exchange, [Asker("203.0.113.7")] * 30, [owner] * 30)
    with pytest.raises(Limited):
        tries.check(exchange, Asker("203.0.113.7", device), owner)


def test_the_log_learns_that_an_account_was_tried_and_never_what_was_typed(exchange: Exchange) -> None:
    owner = a_person(exchange).email
    for n in range(100):
        tries.failed(exchange, owner)
        tries.failed(exchange, f"=cmd|' /C calc'!{n}\u202e <b>" + "x" * 200)
    found = refusals(exchange)
    assert [(one["subject"], one["tries"]) for one in found if one["subject"] == owner] == [(owner, 1), (owner, 10), (owner, 100)]
    assert [one["tries"] for one in found if one["subject"] == "unknown"] == [1, 10, 100]
    assert "calc" not in repr(found)


def test_what_is_waited_for_is_what_is_told(exchange: Exchange) -> None:
    caller = Asker("203.0.113.7")
    heard(exchange, [caller] * 30, ["a@x.example"] * 30)
    with pytest.raises(Limited) as refused:
        tries.check(exchange, caller, "a@x.example")
    exchange.now.forward(seconds=refused.value.details["retry_after_s"])  # type: ignore[attr-defined]
    tries.check(exchange, caller, "a@x.example")


def test_one_customers_networks_keep_nobody_else_out(exchange: Exchange) -> None:
    """A /48 has 65,536 networks, each with its own free tries."""
    heard_ = heard(exchange, [Asker(f"2001:db8:1:{n:x}::1") for n in range(300)], [f"{n}@x.example" for n in range(300)])
    assert heard_ == FREE["site"] < FREE["all"] / 4
    tries.check(exchange, Asker("2001:db8:2::1"), "owner@x.example")


def test_a_passkey_does_not_wait_for_what_others_guess(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FREE, "all", 10)
    heard(exchange, [Asker(f"203.{n}.113.7") for n in range(30)], [f"{n}@x.example" for n in range(30)])
    tries.check(exchange, Asker("198.51.100.7"), "")
    assert heard(exchange, [Asker("198.51.100.7")], ["owner@x.example"]) == 0


def test_marks_end_with_the_password_under_which_they_were_made(exchange: Exchange) -> None:
    """Whoever knew it signs in a thousand times, and would have a thousand free counts to guess the next one."""
    owner = a_person(exchange).email
    persons.set_password(exchange, None, owner, "correct horse battery")
    gathered = [tries.device_of(exchange, owner) for _ in range(12)]
    persons.set_password(exchange, None, owner, "another horse battery")
    assert heard(exchange, [Asker("203.0.113.7", mark) for mark in gathered], [owner] * 12) == FREE["account"]
    tries.check(exchange, Asker("203.0.113.7", tries.device_of(exchange, owner)), owner)


@pytest.mark.parametrize("by_then", [0, FREE["account"] + 2])
def test_of_many_guesses_at_once_no_more_are_heard_than_of_one_after_the_other(exchange: Exchange, by_then: int) -> None:
    """Twenty ask before the first has failed. After a pause, one is heard."""
    for _ in range(by_then):
        try:
            guess(exchange, Asker("203.0.113.7"), "a@x.example")
        except Limited as refused:
            exchange.now.forward(seconds=refused.details["retry_after_s"])  # type: ignore[attr-defined]
            guess(exchange, Asker("203.0.113.7"), "a@x.example")
    exchange.now.forward(seconds=60 if by_then else 0)  # type: ignore[attr-defined]
    together, looked_at, counted = threading.Barrier(20), [], threading.Lock()

    def ask(n: int) -> None:
        together.wait()
        try:
            guess_slowly(n)
        except Limited:
            together.wait()

    def guess_slowly(n: int) -> None:
        with pytest.raises(Denied), tries.trying(exchange, Asker(f"203.0.{n}.7"), "a@x.example"):
            with counted:
                looked_at.append(n)
            together.wait()  # nobody has failed before everybody has asked
            raise Denied("login.refused", "E-mail or password is wrong; try again.")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked_at) == (1 if by_then else FREE["account"])


@pytest.mark.parametrize("end", ["right", "not looked at"])
def test_a_try_that_did_not_fail_is_given_back(exchange: Exchange, end: str) -> None:
    caller = Asker("203.0.113.7")
    for _ in range(3 * FREE["account"]):
        if end == "right":
            with tries.trying(exchange, caller, "a@x.example"):
                pass
        else:
            with pytest.raises(Unavailable), tries.trying(exchange, caller, "a@x.example"):
                raise Unavailable("login.busy", "Too many log-ins at once; try again in a moment.")
    assert heard(exchange, [caller] * 30, ["a@x.example"] * 30) == FREE["account"]
