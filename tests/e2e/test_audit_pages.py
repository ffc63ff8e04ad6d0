"""The auditor's pages: one filter for numbers, timeline, map and list; the log verified in the auditor's own browser."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Error, Page, Route, expect
from sqlalchemy import text

from mapex.audit import log as audit_log
from mapex.audit.log import Action
from mapex.database import db
from mapex.exchange import Exchange
from tests.support.browser import Market, map_idle, ready, until
from tests.support.exchange import a_permit
from tests.support.market import block
from tiles.grid import grid

AUDITOR = "auditor@audit.example"
DAY_NS = 86_400 * 10**9
LONG = 30_000


@pytest.fixture
def log(market: Market) -> Market:
    """Two weeks of accesses, one busy night, one refusal."""
    site = market.site
    site.person(AUDITOR, role="auditor")
    now = site.ex.now()
    a_permit(site.ex, "dongil", number="KR-SB-1", valid_from_ns=now - 90 * DAY_NS, valid_to_ns=now + 90 * DAY_NS)
    noon = datetime.fromtimestamp(now / 1e9, UTC).replace(hour=3, minute=0, second=0, microsecond=0)  # 12:00 in Korea
    for day in range(14, 2, -1):
        _at(market, int(noon.timestamp()) * 10**9 - day * DAY_NS)
        _read(market, block(1 + day % 4), permit="KR-SB-1")
    _at(market, int(noon.timestamp()) * 10**9 - 2 * DAY_NS - 9 * 3600 * 10**9)  # 03:00 in Korea
    _read(market, block(8), permit="KR-SB-1")
    with db.begin(site.ex) as conn:
        entry = audit_log.AuditEntry(Action.ACCESS_REFUSED, details={"order": "ord_x", "code": "permit.expired", "asked": 2})
        audit_log.append(conn, site.ex, market.buyer, entry)
    site.clock.offset_ns = 0
    return market


def _at(market: Market, at_ns: int) -> None:
    market.site.clock.offset_ns = 0
    market.site.clock.offset_ns = at_ns - market.site.ex.now()


def _read(market: Market, cells: list[int], permit: str) -> None:
    ex = market.site.ex
    entry = audit_log.AuditEntry(
        Action.ACCESS_GRANTED,
        owner="hanbit",
        dataset="drive",
        layer="recording",
        permit=permit,
        purpose="research",
        handling_class="original",
    )
    with db.begin(ex) as conn:
        audit_log.append_many(conn, ex, market.buyer, [replace(entry, tile=grid.quadkey(cell)) for cell in cells])


def _sql(ex: Exchange, query: str, **values: object) -> list[Any]:
    with ex.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(query), values)]


def _numbers(page: Page) -> dict[str, int]:
    found = page.locator("#numbers [data-number]")
    return {str(one.get_attribute("data-number")): int(str(one.text_content()).replace(",", "")) for one in found.all()}


def _heat(page: Page) -> dict[str, int]:
    figures = json.loads(str(page.locator("#figures").text_content()))
    return {tile: originals for tile, originals, *_ in figures["heat"]}


def test_audit_filter_brush_map_agree(log: Market) -> None:
    site = log.site
    page = site.visit(AUDITOR)
    page.goto(f"{site.url}/audit?q=action:access.granted")
    map_idle(page)
    where = "action = 'access.granted'"
    _agrees(page, site.ex, where)

    page.fill("#q", "action:access.granted flag:night")
    page.press("#q", "Enter")
    expect(page.locator("[data-number=entries]")).to_have_text("64")
    _agrees(page, site.ex, f"{where} AND at_ns >= :night AND at_ns < :dawn", **_night(log))

    page.fill("#q", "action:access.granted")
    page.press("#q", "Enter")
    total = _sql(site.ex, f"SELECT COUNT(*) FROM audit_event WHERE {where}")[0][0]
    expect(page.locator("[data-number=entries]")).to_have_text(str(total))  # the view before has other entries, but the same flags
    expect(page.locator("[data-number=flagged]")).to_have_text("64")
    expect(page.locator("#timeline svg")).to_be_visible()
    page.locator("#timeline svg").scroll_into_view_if_needed()
    box = page.locator("#timeline svg").bounding_box()
    assert box
    # Drag over the first third: the edges snap to bars, the filter says the times, everything follows.
    page.mouse.move(box["x"] + 2, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 30)
    page.mouse.move(box["x"] + box["width"] * 0.33, box["y"] + 30)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from%3A|to%3A"))
    expect(page.locator(".chips")).to_contain_text("to:")
    start, end = _times(page)
    brushed = _agrees(page, site.ex, f"{where} AND at_ns >= :start AND at_ns < :end", start=start, end=end)
    assert 0 < brushed < total

    # The same with the keyboard alone: the slider of the end, one bar to the left.
    before = page.url
    last = page.locator("#timeline input[type=range]").nth(1)
    last.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("(before) => location.href !== before", arg=before)
    expect(page.locator("#timeline input[type=range]").nth(1)).to_be_focused()  # the next key goes on from there
    start, end = _times(page)
    _agrees(page, site.ex, f"{where} AND at_ns >= :start AND at_ns < :end", start=start, end=end)

    page.reload()  # the address holds the filter
    map_idle(page)
    assert _times(page) == (start, end)
    _agrees(page, site.ex, f"{where} AND at_ns >= :start AND at_ns < :end", start=start, end=end)
    shot = Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("L")
    assert ImageStat.Stat(shot).stddev[0] > 2  # a blank canvas has none


def _night(log: Market) -> dict[str, int]:
    (at,) = _sql(log.site.ex, "SELECT MIN(at_ns) FROM audit_event WHERE action = 'access.refused'")[0]
    return {"night": at - 60 * 10**9, "dawn": at + 60 * 10**9}


def _times(page: Page) -> tuple[int, int]:
    line = page.input_value("#q")
    found = {name: value for name, value in re.findall(r"(from|to):(\S+)", line)}

    def ns(value: str | None, open_end: int) -> int:
        return int(datetime.fromisoformat(value).timestamp()) * 10**9 if value else open_end

    return ns(found.get("from"), 0), ns(found.get("to"), 2**62)


def _agrees(page: Page, ex: Exchange, where: str, **values: object) -> int:
    """Numbers, heat and list of the page equal the SQL; returns the number of entries."""
    rows = _sql(ex, f"SELECT seq, tile, person FROM audit_event WHERE {where} ORDER BY seq DESC", **values)
    expect(page.locator("[data-number=entries]")).to_have_text(f"{len(rows):,}")
    numbers = _numbers(page)
    assert (numbers["originals"], numbers["others"]) == (len(rows), 0)
    assert numbers["tiles"] == len({tile for _, tile, _ in rows})
    assert numbers["persons"] == len({person for *_, person in rows})
    assert _heat(page) == dict(Counter(tile for _, tile, _ in rows))
    listed = [int(str(one.text_content())) for one in page.locator("#events td[data-label=Entry] a").all()]
    assert listed == [seq for seq, *_ in rows][:50]
    return len(rows)


def test_audit_verify_ok(log: Market) -> None:
    site = log.site
    page = site.visit(AUDITOR)
    page.goto(f"{site.url}/audit")
    ready(page)
    expect(page.locator("#verify-save")).to_be_disabled()
    _verify(page, "intact")
    expect(page.locator("#verify-result")).to_contain_text("There is no earlier checkpoint")
    kept = _kept(page)
    leaves = [bytes.fromhex(row[0]) for row in _sql(site.ex, "SELECT commitment FROM audit_event ORDER BY seq")]
    assert kept["root"] == _root(leaves[: kept["size"]]).hex() == page.locator("#root").text_content()
    _verify(page, "intact")  # the log has grown meanwhile, at least by the reading itself
    expect(page.locator("#verify-result")).to_contain_text("was changed or removed since")
    again = _kept(page)
    assert again["size"] > kept["size"]
    assert again["root"] == _root(leaves_now(site.ex)[: again["size"]]).hex()
    page.reload()
    ready(page)
    _verify(page, "intact")
    expect(page.locator("#verify-result")).to_contain_text("Not proved")


def leaves_now(ex: Exchange) -> list[bytes]:
    return [bytes.fromhex(row[0]) for row in _sql(ex, "SELECT commitment FROM audit_event ORDER BY seq")]


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there: split at the largest power of two below n."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:k]) + _root(leaves[k:])).digest()


def _verify(page: Page, state: str) -> None:
    page.evaluate("() => document.querySelector('#verify-result').removeAttribute('data-state')")
    page.click("#verify-now")
    expect(page.locator("#verify-result")).to_have_attribute("data-state", state, timeout=LONG)


def _kept(page: Page) -> Any:
    return json.loads(page.evaluate(f"() => localStorage.getItem('mapex-checkpoint:{AUDITOR}')") or "null")


def _tamper(ex: Exchange, statement: str, **values: object) -> None:
    """What an operator with the database in hand can do: drop the trigger, change, put it back."""
    with ex.engine.begin() as conn:
        triggers = conn.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_event'")).all()
        for name, _ in triggers:
            conn.execute(text(f"DROP TRIGGER {name}"))
        assert conn.execute(text(statement), values).rowcount > 0
        for _, sql in triggers:
            conn.execute(text(sql))


def test_audit_verify_detects_change(log: Market, tmp_path: Path) -> None:
    site = log.site
    page = site.visit(AUDITOR)
    page.goto(f"{site.url}/audit")
    ready(page)
    _verify(page, "intact")
    kept = _kept(page)
    with page.expect_download() as waiting:
        page.click("#verify-save")
    saved = tmp_path / "checkpoint.json"
    waiting.value.save_as(saved)
    assert json.loads(saved.read_text())["root"] == kept["root"]

    # One byte of one entry: the entry is named.
    victim = _sql(site.ex, "SELECT seq, payload FROM audit_event WHERE action = 'access.granted' ORDER BY seq LIMIT 1 OFFSET 7")[0]
    changed = victim[1].replace("research", "resfarch")
    assert changed != victim[1]
    _tamper(site.ex, f"UPDATE audit_event SET payload = REPLACE(payload, 'research', 'resfarch') WHERE seq = {victim[0]}")
    _verify(page, "broken")
    expect(page.locator("#verify-result [role=alert] a")).to_have_text([str(victim[0])])
    assert _kept(page) == kept  # the evidence is not written over
    page.goto(f"{site.url}/audit/events/{victim[0]}")
    expect(page.locator("#recomputed")).to_contain_text("is not what was committed to")
    _tamper(site.ex, f"UPDATE audit_event SET payload = REPLACE(payload, 'resfarch', 'research') WHERE seq = {victim[0]}")

    # The entry rewritten whole, with a commitment that fits: only the checkpoint that was kept tells.
    rewrite = "UPDATE audit_event SET payload = :payload, salt = :salt, commitment = :commitment WHERE seq = :seq"
    salt, payload = "00" * 32, victim[1].replace("research", "simulation")
    old = _sql(site.ex, "SELECT salt, commitment FROM audit_event WHERE seq = :seq", seq=victim[0])[0]
    _tamper(site.ex, rewrite, payload=payload, salt=salt, commitment=audit_log.commitment(salt, payload), seq=victim[0])
    page.goto(f"{site.url}/audit")
    ready(page)
    _verify(page, "broken")
    expect(page.locator("#verify-result")).to_contain_text("History was rewritten")
    stranger = site.visit(AUDITOR)  # a browser that has kept nothing cannot know
    stranger.goto(f"{site.url}/audit")
    ready(stranger)
    _verify(stranger, "intact")
    expect(stranger.locator("#verify-result")).to_contain_text("There is no earlier checkpoint")
    stranger.set_input_files("#verify-load", saved)  # with the file it does
    expect(stranger.locator("#verify-result")).to_have_attribute("data-state", "broken")
    _tamper(site.ex, rewrite, payload=victim[1], salt=old[0], commitment=old[1], seq=victim[0])
    _verify(page, "intact")

    # The tail cut off, below what was kept.
    _tamper(site.ex, f"DELETE FROM audit_event WHERE seq > {kept['seq'] - 20}")
    _verify(page, "broken")
    expect(page.locator("#verify-result")).to_contain_text(re.compile("Entries were removed|History was rewritten"))


def test_the_log_is_verified_by_a_worker_of_its_own(log: Market) -> None:
    page = log.site.visit(AUDITOR)
    log.site.open(page, "/audit")
    held = _held(page)
    page.focus("#verify-now")
    page.keyboard.press("Enter")
    expect(page.locator("#verify-progress")).to_be_visible()
    expect(page.locator("#verify-now")).to_be_disabled()  # one at a time
    expect(page.locator("#verify-load")).to_be_disabled()
    expect(page.locator("#verify-cancel")).to_be_focused()
    _verifiers_are(page, 1)
    _let_go(page, held)
    expect(page.locator("#verify-result")).to_have_attribute("data-state", "intact")
    head = _kept(page)["seq"]
    expect(page.locator("#verify-count")).to_have_text(f"Entry {head} of {head}")
    expect(page.locator("#verify-progress")).to_be_hidden()
    expect(page.locator("#verify-now")).to_be_focused()
    _verifiers_are(page, 0)  # it is ended, with all that it read


def test_verifying_that_is_cancelled_claims_nothing(log: Market) -> None:
    page = log.site.visit(AUDITOR)
    log.site.open(page, "/audit")
    _verify(page, "intact")
    kept = _kept(page)
    held = _held(page)
    page.click("#verify-now")
    expect(page.locator("#verify-result")).to_be_empty()  # nothing of the run before is left standing
    page.click("#verify-cancel")
    expect(page.locator("#verify-result")).to_have_attribute("data-state", "cancelled")
    expect(page.locator("#verify-result")).to_contain_text("this says nothing about the log")
    expect(page.locator("#verify-result")).not_to_contain_text("✓")
    expect(page.locator("#verify-running")).to_be_hidden()
    _verifiers_are(page, 0)
    _let_go(page, held)
    assert _kept(page) == kept
    _verify(page, "intact")  # and once more, to the end
    assert _kept(page)["size"] > kept["size"]


def test_leaving_while_the_log_is_verified_keeps_no_checkpoint(log: Market) -> None:
    page = log.site.visit(AUDITOR)
    log.site.open(page, "/audit")
    held = _held(page)
    page.click("#verify-now")
    expect(page.locator("#verify-progress")).to_be_visible()
    log.site.open(page, "/account")
    _let_go(page, held)
    page.go_back()
    ready(page)
    expect(page.locator("#verify-running")).to_be_hidden()
    assert _kept(page) is None
    _verify(page, "intact")


@pytest.mark.parametrize("missing", ["verifier.js", "proof.js"])  # the worker itself, and what it imports
def test_a_worker_that_does_not_start_is_reported(log: Market, missing: str) -> None:
    page = log.site.visit(AUDITOR)
    log.site.open(page, "/audit")
    page.route(f"**/js/audit/{missing}", lambda route: route.abort())
    page.click("#verify-now")
    expect(page.locator("#verify-result [role=alert]")).to_contain_text("Nothing was verified: this browser did not start")
    expect(page.locator("#verify-running")).to_be_hidden()
    page.unroute(f"**/js/audit/{missing}")
    _verify(page, "intact")


def test_an_exchange_that_stops_answering_while_the_log_is_verified_is_reported(log: Market) -> None:
    page = log.site.visit(AUDITOR)
    log.site.open(page, "/audit")
    page.route("**/audit/entries*", lambda route: route.abort())
    _verify(page, "failed")
    expect(page.locator("#verify-result [role=alert]")).to_contain_text("No answer from the server")
    page.unroute("**/audit/entries*")
    page.context.clear_cookies()  # or the session has ended
    _verify(page, "failed")
    expect(page.locator("#verify-result [role=alert]")).to_contain_text(re.compile("sign in", re.IGNORECASE))


def _held(page: Page) -> list[Route]:
    """The requests for entries, which wait until they are let go."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/audit/entries*", hold)
    return held


def _let_go(page: Page, held: list[Route]) -> None:
    page.unroute("**/audit/entries*")
    for route in held:
        with contextlib.suppress(Error):  # whoever asked is gone
            route.continue_()


def _verifiers_are(page: Page, count: int) -> None:
    """Wait until so many workers verify."""
    until(page, lambda: sum(worker.url.endswith("/js/audit/verifier.js") for worker in page.workers) == count)


def test_a_file_that_is_no_checkpoint_is_reported(log: Market, tmp_path: Path) -> None:
    page = log.site.visit(AUDITOR)
    page.goto(f"{log.site.url}/audit")
    ready(page)
    root = "0" * 64
    some = {"size": 3, "root": root, "blocks": [], "at": "2026-11-17T00:00:00Z"}
    other = [{"size": 0}, {"root": "x"}, {"at": "today"}, {"blocks": [root]}, {"size": 1024}, {"size": 1024, "blocks": ["x"]}]
    for content in ("nothing", "[]", "null", *(json.dumps({**some, **change}) for change in other)):
        file = tmp_path / "some.json"
        file.write_text(content)
        page.set_input_files("#verify-load", file)
        expect(page.locator("#verify-result [role=alert]")).to_have_text("This file is no checkpoint of a log.")
        page.evaluate("() => document.querySelector('#verify-result').replaceChildren()")


def test_one_entry_one_permit_one_tile(log: Market) -> None:
    site = log.site
    page = site.visit(AUDITOR)
    seq, tile = _sql(site.ex, "SELECT seq, tile FROM audit_event WHERE action = 'access.granted' ORDER BY seq LIMIT 1")[0]
    page.goto(f"{site.url}/audit/events/{seq}")
    expect(page.locator("#summary")).to_contain_text(
        f"buyer@dongil.example of dongil was given tile Nagwon-dong, Jongno-gu, Seoul ({tile}) of drive"
    )
    expect(page.locator("#summary")).to_contain_text("+09:00, for the purpose Research. It was given under permit KR-SB-1.")
    expect(page.locator("#recomputed")).to_contain_text("✓")
    page.click("main dd a:has-text('KR-SB-1')")
    map_idle(page)
    expect(page.locator("h1")).to_have_text("Everything under permit KR-SB-1")
    count = _sql(site.ex, "SELECT COUNT(*) FROM audit_event WHERE permit = 'KR-SB-1'")[0][0]
    expect(page.locator("[data-number=entries]")).to_have_text(str(count))
    page.goto(f"{site.url}/audit/tiles/{tile}")
    map_idle(page)
    count = _sql(site.ex, "SELECT COUNT(*) FROM audit_event WHERE tile = :tile", tile=tile)[0][0]
    expect(page.locator("[data-number=entries]")).to_have_text(str(count))
    answer = page.goto(f"{site.url}/audit/events/999999")
    assert answer is not None
    assert answer.status == 404


def test_a_word_that_is_not_understood_is_named_and_the_filter_stays(log: Market) -> None:
    page = log.site.visit(AUDITOR)
    page.goto(f"{log.site.url}/audit?q=colour:red")
    expect(page.locator("[role=alert]")).to_contain_text("colour:")
    assert page.input_value("#q") == "colour:red"
    page.fill("#q", "flag:refused")
    page.press("#q", "Enter")
    expect(page.locator("#events tbody tr")).to_have_count(1)
