"""The whole way in the browser, on real files: upload, checks, publication, area, price, purchase, download, audit."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mapex.audit import log as audit_log
from mapex.catalogue import datasets
from mapex.exchange import Actor
from mapex.orders import ledger
from mapex.people import persons
from tests.support.browser import Site, click_at, map_idle, point, publish_terms, ready, won
from tests.support.market import a_permit
from tiles.grid import grid

SELLER, BUYER, AUDITOR = "maps@hanbit.example", "buyer@dongil.example", "auditor@audit.example"
CHECKED_MS = 240_000


def firms(site: Site) -> None:
    site.person(SELLER, "hanbit")
    site.person(BUYER, "dongil")
    site.person(AUDITOR, role="auditor")
    ledger.credit(site.ex, None, "dongil", 500_000_000, key="first")


def actor(site: Site, email: str) -> Actor:
    person = persons.get_person(site.ex, email=email)
    assert person
    return person.actor


def upload(site: Site, files: list[Path], slug: str, *, folder: bool = False) -> Page:
    """The seller's page of the new version, after its checks."""
    page = site.visit(SELLER)
    site.open(page, "/sell/new")
    page.set_input_files("#folder" if folder else "#files", files[0] if folder else files)
    page.fill("[name=title]", slug.title())
    page.fill("[name=slug]", slug)
    page.click("#send")
    page.wait_for_url(f"**/sell/{slug}/1", timeout=120_000)
    ready(page)
    page.wait_for_selector("#version[data-busy=no]", timeout=CHECKED_MS)
    return page


def buy(page: Page, *, named: str = "") -> int:
    """From a priced area to the paid order, which only `named` may use."""
    expect(page.locator("#price")).not_to_have_class("stale")  # the price of what was drawn last
    total = won(page.locator("#total").text_content())
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    assert won(page.locator("#total").text_content()) == total
    if named:
        page.check(f"[name=person][value='{named}']")
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    return total


def download(page: Page, to: Path) -> list[dict[str, object]]:
    """All files of the order, each compared with the manifest."""
    with page.expect_download(timeout=120_000) as coming:
        page.click("#download")
    coming.value.save_as(to)
    with zipfile.ZipFile(to) as archive:
        manifest = json.loads(archive.read("_manifest.json"))
        files: list[dict[str, object]] = manifest["files"]
        enclosed = [str(one["path"]) for one in manifest["enclosures"]]
        assert "README.txt" in enclosed
        assert sorted(archive.namelist()) == sorted([*(str(file["path"]) for file in files), *enclosed, "_manifest.json"])
        for file in files:
            assert hashlib.sha256(archive.read(str(file["path"]))).hexdigest() == file["sha256"]
    return files


def test_a_lanelet2_map_from_the_seller_to_the_auditor(working: Site, samples: Path, tmp_path: Path) -> None:
    site = working
    firms(site)
    page = upload(site, [samples / "lanelet2" / "karlsruhe_mapping_example.osm"], "karlsruhe")
    expect(page.locator("#version")).to_have_attribute("data-state", "draft")
    expect(page.locator("#version")).to_contain_text("rejected 0")
    publish_terms(page, lane_km=6300)

    buyer = site.visit(BUYER)
    site.open(buyer, "/explore")
    map_idle(buyer)
    described = datasets.describe(site.ex, actor(site, BUYER), "hanbit/karlsruhe")
    west, south, east, north = described.layers[0].facts.box
    lon, lat = (west + east) / 2, (south + north) / 2
    buyer.goto("about:blank")
    dx, dy = (east - west) * 0.8, (north - south) * 0.8
    zoom = min(18.0, math.log2(500 / 512 * 360 / (2 * max(dx, dy * 1.6))))
    buyer.goto(f"{site.url}/explore#m={zoom:.2f}/{lat:.5f}/{lon:.5f}")
    map_idle(buyer)
    buyer.click("[data-tool=polygon]")
    for i, j in ((-1, -1), (1, -1), (1, 1)):
        click_at(buyer, lon + i * dx, lat + j * dy)
    expect(buyer.locator("#total")).to_be_visible()  # while it is still drawn
    buyer.mouse.move(*point(buyer, lon - dx, lat + dy), steps=3)
    click_at(buyer, lon - dx, lat + dy)
    buyer.keyboard.press("Enter")
    expect(buyer.locator("#ground")).to_contain_text(f"you buy {described.layers[0].cells} square")
    assert buy(buyer) > 0
    files = download(buyer, tmp_path / "order.zip")
    assert {file["tile"] for file in files} == {
        grid.quadkey(cell) for cell in datasets.coverage(site.ex, actor(site, BUYER), "karlsruhe")["hdmap"]
    }

    auditor = site.visit(AUDITOR)
    auditor.goto(f"{site.url}/audit")
    auditor.fill("#q", "action:access.granted")
    auditor.press("#q", "Enter")
    rows = auditor.locator("#events tbody tr")
    expect(rows).to_have_count(min(50, len(files)))
    expect(rows.first).to_contain_text(BUYER)
    expect(rows.first).to_contain_text("karlsruhe")
    expect(rows.first).to_contain_text("Research")
    table = auditor.request.get(site.url + str(auditor.locator("a[download]").first.get_attribute("href"))).text()
    assert table.count("access.granted") == len(files)


@pytest.mark.parametrize(
    ("path", "rates", "is_footage"),
    [
        ("sidewalk/osw_microsoft_valid.zip", {"footway_km": 2900}, False),
        ("pointcloud/autzen_trim.laz", {"million_points": 4000}, False),
        ("recordings/ros2_mcap/comma2k19_seg40_ros2.mcap", {"frame": 20}, True),
        ("recordings/photos_gps", {"frame": 20}, True),
    ],
    ids=["sidewalks", "points", "recording", "photos"],
)
def test_other_formats_go_the_same_way(
    working: Site, samples: Path, tmp_path: Path, path: str, rates: dict[str, int], is_footage: bool
) -> None:
    site = working
    firms(site)
    source = samples / path
    page = upload(site, [source], "real", folder=source.is_dir())
    assert page.locator("#version").get_attribute("data-state") == "draft", page.locator("#version").text_content()
    publish_terms(page, **rates)

    buyer = site.visit(BUYER)
    site.open(buyer, "/explore")
    boxes = [layer.facts.box for layer in datasets.describe(site.ex, actor(site, BUYER), "hanbit/real").layers]
    west, south = min(b[0] for b in boxes) - 1e-4, min(b[1] for b in boxes) - 1e-4
    east, north = max(b[2] for b in boxes) + 1e-4, max(b[3] for b in boxes) + 1e-4
    box = {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}
    buyer.locator("#typed").evaluate("one => one.open = true")
    buyer.fill("[name=geojson]", json.dumps(box))
    buyer.click("#pasted button")
    if is_footage:
        expect(buyer.locator("[data-code='permit.missing']").first).to_be_visible()
        around = [[west - 0.1, south - 0.1], [east + 0.1, south - 0.1], [east + 0.1, north + 0.1], [west - 0.1, north + 0.1]]
        a_permit(site.ex, "dongil", area={"type": "Polygon", "coordinates": [[*around, around[0]]]})
        buyer.click("#pasted button")
        buyer.locator("[data-offer]:has(.chip.original) input").check()
    expect(buyer.locator("#review")).to_be_visible()
    buy(buyer, named=BUYER if is_footage else "")
    files = download(buyer, tmp_path / "order.zip")
    log = audit_log.events(site.ex, actor(site, AUDITOR), audit_log.EventFilter(action="access.granted", org="dongil"), limit=1000)
    assert len(log.events) == len(files) > 0
    if is_footage:
        assert {event.permit for event in log.events} == {"P-1"}
