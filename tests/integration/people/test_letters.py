"""Letters of notices: in the language of the person, to whom they concern and no more, tried again, and switched off by their own link."""

from __future__ import annotations

import email
import email.policy
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import select

from mapex.database import db, schema
from mapex.errors import NotFound
from mapex.exchange import Exchange
from mapex.notices import letters, notices, wishes
from mapex.notices.kind import NoticeKind
from mapex.people import persons, roles
from mapex.times import MINUTE_NS
from tests.support.exchange import Clock
from tests.support.mail import MailServer, mail_server
from tests.support.market import Market, a_market
from web import create_app


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def market(exchange: Exchange, server: MailServer) -> Market:
    mailing = {"mail_from": "mapex@exchange.example", "mail_host": "127.0.0.1", "mail_port": server.port, "mail_security": "none"}
    return a_market(replace(exchange, settings=replace(exchange.settings, **mailing)))  # type: ignore[arg-type]


def states(ex: Exchange) -> list[str]:
    with db.read(ex) as conn:
        return list(conn.execute(select(schema.notice.c.mail).order_by(schema.notice.c.at_ns)).scalars())


def opened(server: MailServer) -> list[EmailMessage]:
    return [email.message_from_string(one.text, policy=email.policy.default) for one in server.box]  # type: ignore[misc]


def forward(ex: Exchange, minutes: float) -> None:
    assert isinstance(ex.now, Clock)
    ex.now.forward(seconds=minutes * 60)


def test_a_letter_says_what_happened_and_where_to_look_and_nothing_else(market: Market, server: MailServer) -> None:
    persons.set_language(market.ex, market.buyer, "en")
    order = market.buy()
    assert letters.send_due(market.ex) == 1
    [letter], [sent] = opened(server), server.box
    url = market.ex.settings.public_url
    assert sent.to == [market.buyer.email]
    assert (letter["To"], letter["Subject"]) == (market.buyer.email, "mapex · Order ready")
    assert letter.get_content().startswith(f"What was ordered can be downloaded.\n\n{url}/orders/{order.id}\n")
    assert f"{order.total}" not in letter.get_content()
    assert "hanbit" not in sent.text, "no other firm, no price, no place"
    assert letters.send_due(market.ex) == 0, "a letter goes out once"
    assert states(market.ex) == ["sent"]


def test_letters_are_korean_for_whoever_reads_korean(market: Market, server: MailServer) -> None:
    persons.set_language(market.ex, market.buyer, "ko")
    market.buy()
    letters.send_due(market.ex)
    [letter] = opened(server)
    assert letter["Subject"] == "mapex · 주문 준비 완료"
    assert letter.get_content().startswith("주문한 데이터를 내려받을 수 있습니다.")


def test_the_link_in_a_letter_switches_mail_of_its_kind_off_and_can_do_nothing_else(market: Market, server: MailServer) -> None:
    ex = market.ex
    market.buy(market.cells[:1])
    letters.send_due(ex)
    [letter] = opened(server)
    assert "\nList-Unsubscribe: <http" in server.box[0].text, "plain, for programs that read it"
    link = re.fullmatch(rf"<{re.escape(ex.settings.public_url)}(/unsubscribe/\S+)>", letter["List-Unsubscribe"])
    assert link
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link[1] in letter.get_content()
    client = create_app(ex).test_client()
    assert client.get(link[1]).status_code == 200
    assert wishes.of(ex, market.buyer)[NoticeKind.ORDER] == "mail", "who only looks changes nothing"
    market.buy(market.cells[1:2])
    assert client.post(link[1], data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert letters.send_due(ex) == 0, "what was still waiting is not sent either"
    market.buy(market.cells[2:3])
    assert letters.send_due(ex) == 0
    assert wishes.of(ex, market.buyer) == {kind: "page" if kind in ("order", "quote") else "mail" for kind in NoticeKind}
    assert len(notices.of(ex, market.buyer).notices) == 3
    wishes.choose(ex, market.buyer, {"order": "none"})
    client.post(link[1])
    assert wishes.of(ex, market.buyer)[NoticeKind.ORDER] == "none", "it never brings more"


def test_a_link_that_was_made_up_opens_nothing(market: Market) -> None:
    ex, client = market.ex, create_app(market.ex).test_client()
    good = wishes.token_of(ex, market.buyer.person_id, NoticeKind.ORDER)
    others = [good[:-1], good + "0", good.replace(".order.", ".recall."), good.replace(market.buyer.person_id, market.seller.person_id)]
    for token in [*others, "x", "..", "a.order.b", "é" * 20, "a" * 5000]:
        assert client.post(f"/unsubscribe/{token}").status_code == 404
        with pytest.raises(NotFound):
            wishes.switch_off(ex, token)
    with db.read(ex) as conn:
        assert conn.execute(select(schema.notice_wish)).all() == []


def test_a_letter_that_is_not_taken_is_tried_again_ever_later_and_given_up(market: Market, server: MailServer) -> None:
    ex = replace(market.ex, settings=replace(market.ex.settings, mail_port=1))  # nobody is there
    market.buy()
    waits = []
    while states(ex) == ["waiting"]:
        before = ex.now()
        assert letters.send_due(ex) == 0
        with db.read(ex) as conn:
            due = conn.execute(select(schema.notice.c.due_ns)).scalar_one()
        if due is not None:
            waits.append(round((due - before) / MINUTE_NS))
            forward(ex, waits[-1] + 0.1)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[360] * 4]
    assert states(ex) == ["failed"]
    assert letters.send_due(market.ex) == 0, "given up is given up"
    assert server.box == []


def test_an_address_that_is_refused_for_good_is_not_tried_again_and_holds_up_nobody(market: Market, server: MailServer) -> None:
    server.takes = False
    market.buy()
    assert letters.send_due(market.ex) == 0
    assert states(market.ex) == ["failed"]


def test_who_is_suspended_or_has_left_by_then_gets_no_letter(market: Market, server: MailServer) -> None:
    ex = market.ex
    market.buy(market.cells[:1])
    roles.set_role(ex, None, market.buyer.email, "member", org="hanbit")
    assert letters.send_due(ex) == 0
    roles.set_role(ex, None, market.buyer.email, "member", org="dongil")
    market.buy(market.cells[1:2])
    roles.set_state(ex, None, market.buyer.email, "suspended")
    assert letters.send_due(ex) == 0
    assert (states(ex), server.box) == (["dropped", "dropped"], [])


def test_what_happened_while_there_was_no_mail_is_not_sent_later(exchange: Exchange, server: MailServer) -> None:
    market = a_market(exchange)
    market.buy()
    mailing = {"mail_from": "mapex@exchange.example", "mail_host": "127.0.0.1", "mail_port": server.port, "mail_security": "none"}
    later = replace(exchange, settings=replace(exchange.settings, **mailing))  # type: ignore[arg-type]
    assert letters.send_due(later) == 0
    assert states(later) == ["none"]


def test_a_letter_of_a_worker_that_was_killed_is_sent_after_its_lease_with_the_same_number(market: Market, server: MailServer) -> None:
    ex = market.ex
    market.buy()
    killed = _send_in_a_process(ex, server, "letter.after_answer:kill")
    assert killed == -signal.SIGKILL
    assert len(server.box) == 1
    assert letters.send_due(ex) == 0, "it may still be at it"
    forward(ex, letters.LEASE_NS / MINUTE_NS + 1)
    assert letters.send_due(ex) == 1
    first, second = opened(server)
    assert first["Message-ID"] == second["Message-ID"], "a mail program shows one of them"
    forward(ex, 1000)
    assert (letters.send_due(ex), states(ex)) == (0, ["sent"])


def _send_in_a_process(ex: Exchange, server: MailServer, failpoint: str) -> int:
    code = (
        "import sys\nfrom dataclasses import replace\nfrom pathlib import Path\nfrom mapex import config\n"
        "from mapex.database import opening\nfrom mapex.notices import letters\n"
        f"s = config.load(Path({str(ex.settings.dir)!r}), {{'MAPEX_DATABASE_URL': {ex.settings.database_url!r}}})\n"
        f"s = replace(s, mail_host='127.0.0.1', mail_port={server.port}, mail_security='none', mail_from='mapex@exchange.example')\n"
        f"letters.send_due(opening.open_exchange(s, lambda: {ex.now()}))\n"
    )
    environ = {"MAPEX_FAILPOINT": failpoint, "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-c", code], env=environ, check=False, timeout=120).returncode


def test_two_workers_send_each_letter_once(market: Market, server: MailServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for cell in market.cells:
        market.buy([cell])
    with ThreadPoolExecutor(4) as threads:
        sent = sum(threads.map(lambda _: letters.send_due(market.ex), range(4)))
    numbers = [letter["Message-ID"] for letter in opened(server)]
    assert (sent, len(numbers), len(set(numbers))) == (16, 16, 16)


def test_letters_in_a_folder_are_written_as_they_would_be_sent(exchange: Exchange) -> None:
    ex = replace(exchange, settings=replace(exchange.settings, mail_from="mapex@exchange.example", mail_folder=Path("mail")))
    a_market(ex).buy()
    assert letters.send_due(ex) == 1
    [file] = (ex.settings.dir / "mail").iterdir()
    assert b"List-Unsubscribe: <http" in file.read_bytes()
