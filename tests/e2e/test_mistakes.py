"""Mistakes of sellers cost one click: a bad file, a cancelled upload, the same content twice, a wrong price."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from mapex.catalogue import datasets
from mapex.database import db, schema
from mapex.exchange import Actor
from mapex.people import persons
from tests.e2e.test_sell import SELLER, a_file, begin, drafted, seller, walk
from tests.support.browser import Site, publish_terms, ready


def actor(site: Site) -> Actor:
    person = persons.get_person(site.ex, email=SELLER)
    assert person
    return person.actor


def bad(folder: Path) -> Path:
    path = folder / "bad.laz"
    path.write_bytes(b"\x00" * 400)
    return path


def test_a_bad_file_is_left_out_before_sending_by_one_click(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    page.set_input_files("#files", [a_file(tmp_path, "walks.geojson", [walk(0)]), bad(tmp_path)])
    expect(page.locator("#faulty")).to_contain_text("bad.laz")
    expect(page.locator("#rows .faulty")).to_have_count(1)
    page.click("#faulty button:has-text('Leave bad.laz out')")
    expect(page.locator("#rows li.file-row")).to_have_count(1)
    expect(page.locator("#faulty")).to_be_hidden()
    page.fill("[name=title]", "Walks")
    page.click("#send")
    drafted(page, "walks")
    expect(page.locator("#left-out")).to_have_count(0)


def test_a_bad_file_is_left_out_after_sending_by_one_click(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    begin(page, [a_file(tmp_path, "walks.geojson", [walk(0)]), bad(tmp_path)])
    drafted(page, "walks", state="rejected")
    with db.read(working.ex) as conn:
        before = conn.execute(schema.upload.select()).all()
    expect(page.locator("#without")).to_contain_text("1 other file stays")
    with page.expect_navigation():
        page.click("#without button:has-text('Go on without bad.laz')")
    drafted(page, "walks")
    expect(page.locator("#left-out")).to_contain_text("Left out: bad.laz. 1 file is read.")
    with db.read(working.ex) as conn:
        assert conn.execute(schema.upload.select()).all() == before


def test_a_cancelled_upload_reads_so_and_is_removed(site: Site, tmp_path: Path) -> None:
    page = seller(site)  # no worker: it waits
    begin(page, a_file(tmp_path, "walks.geojson", [walk(0)]))
    page.wait_for_url("**/sell/walks/1")
    ready(page)
    with page.expect_navigation():
        page.click("button:has-text('Cancel')")
    ready(page)
    expect(page.locator("#version > p .chip")).to_have_text("cancelled")
    expect(page.locator("#version")).not_to_contain_text("failed")
    site.open(page, "/sell")
    expect(page.locator("tbody .chip")).to_have_text("cancelled")
    page.click("a:has-text('Remove this version')")
    ready(page)
    expect(page.locator("#remove")).to_contain_text("The dataset has no other version and goes with it.")
    page.click("#remove button")
    page.wait_for_url("**/sell")
    expect(page.locator(".empty")).to_be_visible()
    assert datasets.datasets(site.ex, actor(site)) == []


def test_a_price_is_changed_from_the_list_and_a_wrong_one_says_so_while_it_is_typed(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    begin(page, a_file(tmp_path, "walks.geojson", [walk(n) for n in range(9)]))
    drafted(page, "walks")
    publish_terms(page, footway_km=1000)
    working.open(page, "/sell")
    expect(page.locator("tbody").first).to_contain_text("₩1,000")
    page.click("a:has-text('Change the price')")
    ready(page)
    field, problem = page.locator("[name=footway_km]"), page.locator("#problem-footway_km")
    expect(page.locator("#median")).not_to_be_empty()
    for wrong in ("-5", "1.5", "9999999999", "abc"):
        field.fill(wrong)
        expect(problem).to_contain_text("whole number of won")
        expect(page.locator("#bill-wrong")).to_be_visible()
    field.fill("2000")
    expect(problem).to_be_hidden()
    expect(page.locator("#bill-wrong")).to_be_hidden()
    expect(page.locator("#bill-full")).to_be_visible()
    with page.expect_navigation():
        page.click("button:has-text('Change the terms')")
    working.open(page, "/sell")
    expect(page.locator("tbody").first).to_contain_text("₩2,000")
    assert [one.number for one in datasets.versions(working.ex, actor(working), "walks")] == [1]


def test_the_same_content_is_said_before_it_is_sold_twice(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    begin(page, a_file(tmp_path, "walks.geojson", [walk(0)]))
    drafted(page, "walks")
    expect(page.locator("#same-as")).to_have_count(0)
    working.open(page, "/sell/new")
    begin(page, a_file(tmp_path, "again.geojson", [walk(0)]), title="Again")
    drafted(page, "again")
    expect(page.locator("#same-as")).to_contain_text("walks · version 1")
    page.click("#to-terms")
    ready(page)
    expect(page.locator("#same-as a")).to_have_attribute("href", "/sell/walks/1")
