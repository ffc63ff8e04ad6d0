"""Selling: uploads that go on, checks with findings on the map, places that are asked for, publication."""

from __future__ import annotations

import json
from pathlib import Path

from browsing import Site, ready, won
from playwright.sync_api import Page, Route, expect

from mapex import audit, catalogue, participants

SELLER = "maps@hanbit.example"
CHECKED_MS = 120_000


def seller(site: Site) -> Page:
    site.person(SELLER, "hanbit")
    page = site.visit(SELLER)
    site.open(page, "/sell/new")
    return page


def a_file(folder: Path, name: str, features: list[dict[str, object]], **more: object) -> Path:
    path = folder / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}), encoding="utf-8")
    return path


def walk(n: int, west: float = 127.0, south: float = 37.5, note: str = "") -> dict[str, object]:
    line = [[west + n * 0.002, south], [west + n * 0.002 + 0.001, south + 0.0005]]
    return {
        "type": "Feature",
        "id": f"walk-{n}",
        "properties": {"footway": "sidewalk", "note": note},
        "geometry": {"type": "LineString", "coordinates": line},
    }


def test_an_upload_goes_on_where_the_connection_broke(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    source = a_file(tmp_path, "walks.geojson", [walk(n, note="x" * 4000) for n in range(100)])
    parts = -(-source.stat().st_size // 65536)
    assert parts > 5
    sent: list[str] = []

    def break_after_three(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) > 3:
            route.abort()
        else:
            route.continue_()

    page.route("**/store/**", break_after_three)
    page.set_input_files("#files", source)
    page.fill("[name=title]", "Walks")
    page.click("#send")
    expect(page.locator("#problem")).to_contain_text("Parts that arrived are kept", timeout=60_000)

    page.unroute("**/store/**")
    page.reload()
    ready(page)
    again: list[str] = []
    page.on("request", lambda request: again.append(request.url) if "/store/" in request.url else None)
    page.set_input_files("#files", source)
    page.fill("[name=title]", "Walks")
    page.click("#send")
    page.wait_for_url("**/sell/walks/1")
    assert len(again) == parts - 3
    page.wait_for_selector("#version[data-busy=no]", timeout=CHECKED_MS)
    expect(page.locator("#version")).to_have_attribute("data-state", "draft")
    expect(page.locator("#version")).to_contain_text("read 100 = placed 100 + unplaced 0 + rejected 0")


def test_findings_are_shown_on_the_map(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    broken = {
        "type": "Feature",
        "id": "bow",
        "properties": {},
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[127.0, 37.5], [127.001, 37.501], [127.001, 37.5], [127.0, 37.501], [127.0, 37.5]]],
        },
    }
    page.set_input_files("#files", a_file(tmp_path, "mixed.geojson", [walk(1), walk(2), broken]))
    page.fill("[name=title]", "Mixed")
    page.click("#send")
    page.wait_for_url("**/sell/mixed/1")
    ready(page)
    page.wait_for_selector("#version[data-busy=no]", timeout=CHECKED_MS)
    finding = page.locator(".findings li", has_text="bow")
    expect(finding).to_be_visible()
    finding.locator("button").click()
    shown = page.locator("html").get_attribute("data-shown")
    assert shown is not None
    lon, lat = (float(value) for value in shown.split(","))
    assert abs(lon - 127.0005) < 0.001 and abs(lat - 37.5005) < 0.001


def test_what_does_not_say_where_it_lies_waits_for_an_answer(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    cloud = tmp_path / "cloud.pcd"
    points = "\n".join(f"{200_000 + i * 0.5} {550_000 + i * 0.25} {30 + i % 3}" for i in range(400))
    head = (
        "VERSION .7\nFIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 400\nHEIGHT 1\n"
        "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 400\nDATA ascii\n"
    )
    cloud.write_text(head + points + "\n", encoding="ascii")
    page.set_input_files("#files", cloud)
    page.fill("[name=title]", "Cloud")
    page.click("#send")
    page.wait_for_url("**/sell/cloud/1")
    page.wait_for_selector("#version[data-state=unplaced][data-busy=no]", timeout=CHECKED_MS)
    ready(page)
    page.fill("#placement [name=crs]", "somewhere")
    page.click("#placement button")
    expect(page.locator("#placement [data-problem]")).to_contain_text("EPSG:5186")
    page.fill("#placement [name=crs]", "EPSG:5186")
    page.click("#placement button")
    page.wait_for_selector("#version[data-state=draft][data-busy=no]", timeout=CHECKED_MS)
    expect(page.locator("#version")).to_contain_text("as you said")


def test_a_wrong_file_is_refused_with_a_sentence_and_nothing_is_for_sale(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    wrong = tmp_path / "map.geojson"
    wrong.write_bytes(b"MZ\x90\x00 this is a program" * 50)
    page.set_input_files("#files", wrong)
    page.fill("[name=title]", "Wrong")
    page.click("#send")
    page.wait_for_url("**/sell/wrong/1")
    page.wait_for_selector("#version[data-busy=no]", timeout=CHECKED_MS)
    expect(page.locator("#publish")).to_have_count(0)
    assert page.locator("#version .error, #version .findings").count() > 0


def test_published_tiles_are_on_the_map_of_others(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    page.set_input_files("#files", a_file(tmp_path, "walks.geojson", [walk(n) for n in range(20)]))
    page.fill("[name=title]", "Walks")
    page.click("#send")
    page.wait_for_url("**/sell/walks/1")
    page.wait_for_selector("#version[data-state=draft][data-busy=no]", timeout=CHECKED_MS)
    ready(page)
    page.fill("#publish [name=footway_km]", "2900")
    assert won(page.locator("#whole").text_content()) > 0
    page.click("#publish button.primary")
    page.wait_for_selector("#version[data-state=published]")
    other = working.visit()
    working.open(other, "/explore")
    expect(other.locator("[name=kind][value=sidewalk]")).to_be_visible()
    by = participants.get_person(working.ex, email=SELLER)
    assert by
    events = audit.events(working.ex, by.actor, audit.Filter(action="version.published")).events
    assert len(events) == 1
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("[data-confirm]")
    page.wait_for_selector("#version[data-state=withdrawn]")
    other.reload()
    ready(other)
    expect(other.locator("[name=kind]")).to_have_count(0)
    assert catalogue.get_version(working.ex, by.actor, "walks", 1).state == "withdrawn"
