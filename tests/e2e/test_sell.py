"""Selling: uploads that go on, checks with findings on the map, places that are asked for, publication."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import geopandas
from playwright.sync_api import Page, Request, Route, expect
from shapely.geometry import LineString

from mapex.audit import log
from mapex.catalogue import datasets
from mapex.people import persons
from tests.support.browser import Site, map_idle, publish_terms, ready

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


def a_large_file(folder: Path, name: str = "walks.geojson", note: str = "x") -> tuple[Path, int]:
    """A file of several parts, and their number."""
    source = a_file(folder, name, [walk(n, note=note * 4000) for n in range(100)])
    parts = -(-source.stat().st_size // 65536)
    assert parts > 5
    return source, parts


def begin(page: Page, source: Path | list[Path], title: str = "Walks") -> None:
    page.set_input_files("#files", source)
    page.fill("[name=title]", title)
    page.click("#send")


def drafted(page: Page, slug: str, *, state: str = "draft") -> None:
    page.wait_for_url(f"**/sell/{slug}/1", timeout=60_000)
    page.wait_for_selector(f"#version[data-state={state}][data-busy=no]", timeout=CHECKED_MS)
    ready(page)


def arrived(site: Site, slug: str) -> dict[str, str]:
    """sha256 of the files of a version, by name, as the worker found them."""
    by = persons.get_person(site.ex, email=SELLER)
    assert by
    sources = json.loads(datasets.manifest(site.ex, by.actor, slug, 1))["sources"]
    names = datasets.describe(site.ex, by.actor, slug, 1).files
    return {name: one["sha256"] for name, one in zip(names, sources, strict=True)}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_double_click_send_once(working: Site, tmp_path: Path) -> None:
    site = working
    by = site.person(SELLER, "hanbit")
    page = site.visit(SELLER)
    site.open(page, "/sell/new")
    page.set_input_files("#files", a_file(tmp_path, "walks.geojson", [walk(0)]))
    page.fill("[name=title]", "Walks")
    page.dblclick("#send")
    drafted(page, "walks")
    assert [one.slug for one in datasets.datasets(site.ex, by)] == ["walks"]
    assert [one.number for one in datasets.versions(site.ex, by, "walks")] == [1]
    assert page.url.endswith("/sell/walks/1")


def test_upload_resume(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    source, parts = a_large_file(tmp_path)
    sent: list[str] = []

    def break_after_three(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) > 3:
            route.abort()
        else:
            route.continue_()

    page.route("**/store/**", break_after_three)
    begin(page, source)
    expect(page.locator("#rows li")).to_have_attribute("data-state", "waiting", timeout=60_000)
    expect(page.locator("#rows li")).to_contain_text("nothing is lost")
    stored = "Object.entries(localStorage).filter(([key]) => key.startsWith('upload ')).map(([_, text]) => JSON.parse(text).digests)"
    page.wait_for_function(f"() => {stored}.some((digests) => Object.keys(digests).length === 3)")  # the store has answered three times

    page.reload()  # the tab was closed; what it had sent lies in the store
    page.unroute("**/store/**")  # not before: the old page would go on
    ready(page)
    expect(page.locator("#begun li")).to_contain_text(f"parts arrived: 3 of {parts}")
    again: list[Request] = []
    page.on("request", lambda request: again.append(request) if "/store/" in request.url else None)
    damaged: list[str] = []

    def damage_one(route: Route) -> None:
        body = route.request.post_data_buffer or b""
        if not damaged:
            damaged.append(route.request.url)
            route.continue_(post_data=b"!" + body[1:])
        else:
            route.continue_()

    page.route("**/store/**", damage_one)
    begin(page, source)
    drafted(page, "walks")
    assert len(damaged) == 1
    assert len(again) == parts - 3 + 1, "only what was missing, and the damaged part once more"
    assert arrived(working, "walks") == {"walks.geojson": digest(source)}
    expect(page.locator("#version")).to_contain_text("read 100 = placed 100 + unplaced 0 + rejected 0")
    assert page.evaluate("() => localStorage.length") == 0


def test_an_upload_pauses_and_goes_on(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    source, parts = a_large_file(tmp_path)
    sent: list[str] = []

    def two_then_none(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) <= 2:
            route.continue_()  # the others hang until paused

    page.route("**/store/**", two_then_none)
    begin(page, source)
    row = page.locator("#rows li")
    expect(row).to_have_attribute("data-state", "sending")
    row.get_by_role("button", name="Pause").click()
    expect(row).to_have_attribute("data-state", "paused")
    expect(row).to_contain_text("What arrived is kept")
    page.wait_for_timeout(1200)
    quiet = len(sent)
    assert quiet < parts
    page.wait_for_timeout(700)
    assert len(sent) == quiet
    page.unroute("**/store/**")
    row.get_by_role("button", name="Resume").click()
    drafted(page, "walks")
    assert arrived(working, "walks") == {"walks.geojson": digest(source)}


def test_a_file_replaced_between_two_parts_is_not_mixed(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    source, parts = a_large_file(tmp_path)
    sent: list[str] = []

    def replace_after_two(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) == 2:
            a_large_file(tmp_path, note="y")
        route.continue_()

    page.route("**/store/**", replace_after_two)
    begin(page, source)
    row = page.locator("#rows li")
    expect(row).to_have_attribute("data-state", "changed", timeout=60_000)
    expect(row).to_contain_text("The file was replaced while it was being sent")
    page.unroute("**/store/**")
    again: list[str] = []
    page.on("request", lambda request: again.append(request.url) if "/store/" in request.url else None)
    page.set_input_files("#files", source)
    drafted(page, "walks")
    assert len(again) == parts
    assert arrived(working, "walks") == {"walks.geojson": digest(source)}


def test_a_file_replaced_before_it_is_chosen_again_stops_and_starts_anew(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    source, parts = a_large_file(tmp_path)
    sent: list[str] = []

    def stop_after_four(route: Route) -> None:
        sent.append(route.request.url)
        route.abort() if len(sent) > 4 else route.continue_()

    page.route("**/store/**", stop_after_four)
    begin(page, source)
    expect(page.locator("#rows li")).to_have_attribute("data-state", "waiting", timeout=60_000)
    a_large_file(tmp_path, note="z")  # the same name and size
    page.reload()
    page.unroute("**/store/**")  # not before: the old page would go on
    ready(page)
    begin(page, source)
    row = page.locator("#rows li")
    expect(row).to_have_attribute("data-state", "changed", timeout=60_000)
    row.get_by_role("button", name="Start again").click()
    drafted(page, "walks")
    assert arrived(working, "walks") == {"walks.geojson": digest(source)}


def test_a_store_that_does_not_answer_is_waited_for(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    source, _ = a_large_file(tmp_path)
    page.route("**/store/**", lambda route: route.abort())
    begin(page, source)
    row = page.locator("#rows li")
    expect(row).to_have_attribute("data-state", "waiting", timeout=60_000)
    expect(row).to_contain_text("The store does not answer")
    expect(page.locator("#safe")).to_contain_text("You may close this tab")
    page.unroute("**/store/**")
    drafted(page, "walks")
    assert arrived(working, "walks") == {"walks.geojson": digest(source)}


def test_what_files_are_is_shown_before_anything_is_sent(site: Site, tmp_path: Path) -> None:
    page = seller(site)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}") if request.method != "GET" else None)
    frame = geopandas.GeoDataFrame(geometry=[LineString([(199_000, 540_000), (201_000, 541_000)])], crs="EPSG:5186")
    frame.to_file(tmp_path / "lanes.shp")
    walks = a_file(tmp_path, "walks.geojson", [walk(n) for n in range(5)])
    turned = a_file(tmp_path, "turned.geojson", [walk(1, west=37.5, south=127.0)])
    program = tmp_path / "map.laz"
    program.write_bytes(b"MZ\x90\x00 this is a program")
    page.set_input_files("#files", [*sorted(tmp_path.glob("lanes.*")), walks, turned, program])
    rows = page.locator("#rows li.file-row")
    shape = rows.filter(has=page.get_by_text("lanes.shp", exact=True))
    expect(shape).to_contain_text("Shapefile")
    expect(shape).to_contain_text("KGD2002_Central_Belt_2010")
    expect(shape).to_contain_text("height datum not stated")
    place = [float(value) for value in str(shape.get_attribute("data-place")).split(",")]
    assert abs(place[0] - 126.9887) < 0.001 and abs(place[1] - 37.459) < 0.001
    expect(rows.filter(has_text="lanes.prj")).to_contain_text("Belongs to the shapefile")
    expect(rows.filter(has_text="walks.geojson")).to_contain_text("37.50")
    expect(rows.filter(has_text="turned.geojson")).to_contain_text("seem to be exchanged")
    expect(rows.filter(has_text="map.laz")).to_contain_text("not read here")
    expect(page.locator("#map")).to_have_attribute("data-boxes", re.compile(r"^126\.98\d+.*;127\.00"))
    map_idle(page)
    assert asked == [], "nothing was sent"


def test_files_dropped_on_the_page_are_taken(site: Site) -> None:
    page = seller(site)
    page.evaluate("""() => {
        const data = new DataTransfer();
        const text = JSON.stringify({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: [127.1, 37.4] } });
        data.items.add(new File([text], "dropped.geojson"));
        document.querySelector("#drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }""")
    expect(page.locator("#rows li")).to_contain_text("dropped.geojson")
    expect(page.locator("#rows li")).to_have_attribute("data-place", "127.1,37.4,127.1,37.4")


def test_long_korean_and_hostile_names_are_text(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    features = [walk(1)]
    long = "가" * 76 + ".geojson"  # 236 bytes: what a file system takes
    hostile = "<img src=x onerror=alert(1)>\u202egnp.geojson"
    named = [a_file(tmp_path, long, features), a_file(tmp_path, hostile, [walk(2)])]
    folder = "정밀도로지도 " + "긴이름" * 60
    page.set_input_files("#files", named)
    page.evaluate(
        """async ([path, text]) => {
            const file = new File([text], path.split("/").pop());
            Object.defineProperty(file, "webkitRelativePath", { value: path });
            const input = document.querySelector("#folder");
            Object.defineProperty(input, "files", { value: [file], configurable: true });
            input.dispatchEvent(new Event("change"));
        }""",
        [f"{folder[:80]}/{folder[80:160]}/{folder[160:]}.geojson", json.dumps(walk(3))],
    )
    expect(page.locator("#rows li.file-row")).to_have_count(3)
    assert page.locator("#rows img").count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.fill("[name=title]", "긴 이름 " * 28)
    page.fill("[name=slug]", "long")
    page.click("#send")
    drafted(page, "long")
    assert set(arrived(working, "long")) >= {long, hostile}
    assert page.locator("#version img").count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_checks_show_findings(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    ends = [[127.01, 37.51, 30.0], [127.01005, 37.51, 180.0], [127.0101, 37.51, 30.5]]
    bad_lane = {
        "type": "Feature",
        "id": "lane-7",
        "properties": {"kind": "lane_centre"},
        "geometry": {"type": "LineString", "coordinates": ends},
    }
    begin(page, a_file(tmp_path, "lanes.geojson", [walk(1), walk(2), bad_lane]), "Lanes")
    page.wait_for_url("**/sell/lanes/1")
    expect(page.locator("#version[data-busy=yes] .checks li, #version[data-busy=no]").first).to_be_visible()
    drafted(page, "lanes")
    map_idle(page)
    finding = page.locator(".findings li", has_text="lane-7")
    expect(finding).to_have_attribute("data-code", "height.jump")
    expect(finding).to_contain_text("The height jumps by more than 50 m")
    expect(finding).to_contain_text("What to do: Correct the height.")
    finding.get_by_role("button", name="Show on map").click()
    shown = page.locator("html").get_attribute("data-shown")
    assert shown is not None
    lon, lat = (float(value) for value in shown.split(","))
    assert abs(lon - 127.01005) < 0.0005 and abs(lat - 37.51) < 0.0005, "the map is centred on it"
    expect(page.locator(".maplibregl-marker")).to_be_visible()
    korean = working.visit(SELLER, lang="ko")
    working.open(korean, "/sell/lanes/1")
    expect(korean.locator(".findings li", has_text="lane-7")).to_contain_text(re.compile("이웃한 꼭짓점 사이에서 높이가 .+ m 넘게 튑니다"))


def a_cloud(folder: Path) -> Path:
    """Points in the Korean central belt, without a word about it."""
    cloud = folder / "cloud.pcd"
    points = "\n".join(f"{200_000 + i * 0.5} {550_000 + i * 0.25} {30 + i % 3}" for i in range(400))
    head = (
        "VERSION .7\nFIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 400\nHEIGHT 1\n"
        "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 400\nDATA ascii\n"
    )
    cloud.write_text(head + points + "\n", encoding="ascii")
    return cloud


def test_what_does_not_state_where_it_is_is_placed_on_the_map(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    begin(page, a_cloud(tmp_path), "Cloud")
    drafted(page, "cloud", state="unplaced")
    map_idle(page)
    form = page.locator("#placement")
    expect(form).to_contain_text("x 200000.00 … 200199.50")
    page.click("#placement [name=crs]")
    expect(page.locator("[role=option]")).to_have_count(20)  # the list is there before anything is typed
    page.fill("#placement [name=crs]", "somewhere")
    expect(page.locator("[role=option]")).to_have_text(["No coordinate system is called that."])
    page.locator("#placement [name=crs]").blur()
    expect(form.locator("[data-landing]")).not_to_be_empty()  # what it says moves the button
    page.click("#placement button.primary")
    expect(form.locator("[data-problem]")).to_contain_text("EPSG:5186")

    page.fill("#placement [name=crs]", "UTM-K")
    page.locator("[role=option]", has_text="EPSG:5179").click()
    expect(form.locator("[data-landing]")).to_contain_text("outside of the area")
    page.fill("#placement [name=crs]", "central belt 2010")
    expect(page.locator("[role=option]").first).to_contain_text("EPSG:5186")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(form.locator("[data-landing]")).to_contain_text("They would be here")
    west, south = (float(value) for value in str(page.locator("#map").get_attribute("data-boxes")).split(",")[:2])
    assert abs(west - 127.0) < 0.001 and abs(south - 37.5495) < 0.001, "the box lies on the map before anything is placed"
    page.select_option("[name=height_datum]", "KVD1964")
    page.click("#placement button.primary")
    page.wait_for_selector("#version[data-state=draft][data-busy=no]", timeout=CHECKED_MS)
    expect(page.locator("#version")).to_contain_text("as you stated")
    expect(page.locator("#version")).to_contain_text("KVD1964")


def test_an_origin_is_clicked_on_the_map(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    cloud = a_cloud(tmp_path)
    cloud.write_text(cloud.read_text().replace("2000", "0").replace("2001", "1").replace("5500", "0").replace("5501", "1"))
    begin(page, cloud, "Cloud")
    drafted(page, "cloud", state="unplaced")
    map_idle(page)
    page.click("[data-pick]")
    expect(page.locator("[data-landing]")).to_contain_text("Click the place of the origin")
    at = page.locator("#map").bounding_box()
    assert at
    page.mouse.click(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    expect(page.locator("[data-landing]")).to_contain_text("They would be here")
    lon, lat = float(page.input_value("[name=lon]")), float(page.input_value("[name=lat]"))
    assert abs(lon - 127.5) < 0.2 and abs(lat - 36.5) < 0.2
    page.click("#placement button.primary")
    page.wait_for_selector("#version[data-state=draft][data-busy=no]", timeout=CHECKED_MS)


def test_a_wrong_file_is_refused_with_a_sentence_and_nothing_is_for_sale(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    wrong = tmp_path / "map.geojson"
    wrong.write_bytes(b"MZ\x90\x00 this is a program" * 50)
    page.set_input_files("#files", wrong)
    page.fill("[name=title]", "Wrong")
    page.click("#send")
    page.wait_for_url("**/sell/wrong/1")
    page.wait_for_selector("#version[data-busy=no]", timeout=CHECKED_MS)
    expect(page.locator("#to-terms")).to_have_count(0)
    assert page.locator("#version .error, #version .findings").count() > 0


def test_published_tiles_are_on_the_map_of_others(working: Site, tmp_path: Path) -> None:
    page = seller(working)
    page.set_input_files("#files", a_file(tmp_path, "walks.geojson", [walk(n) for n in range(20)]))
    page.fill("[name=title]", "Walks")
    page.click("#send")
    page.wait_for_url("**/sell/walks/1")
    page.wait_for_selector("#version[data-state=draft][data-busy=no]", timeout=CHECKED_MS)
    ready(page)
    publish_terms(page, footway_km=2900)
    other = working.visit()
    working.open(other, "/explore")
    expect(other.locator("[name=kind][value=sidewalk]")).to_be_visible()
    by = persons.get_person(working.ex, email=SELLER)
    assert by
    events = log.events(working.ex, by.actor, log.EventFilter(action="version.published")).events
    assert len(events) == 1
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#withdraw")
    page.wait_for_selector("#terms[data-state=withdrawn]")
    other.reload()
    ready(other)
    expect(other.locator("[name=kind]")).to_have_count(0)
    assert datasets.get_version(working.ex, by.actor, "walks", 1).state == "withdrawn"


def test_a_title_proposes_a_short_name_in_latin_letters(site: Site) -> None:
    page = seller(site)
    for title, slug in (("판교 정밀도로지도 v2", "pangyo-jeongmildorojido-v2"), ("Straße in Köln", "stra-e-in-koln"), ("값", "gap")):
        page.fill("[name=title]", title)
        expect(page.locator("[name=slug]")).to_have_value(slug)
    page.fill("[name=slug]", "mine")
    page.fill("[name=title]", "서울")
    expect(page.locator("[name=slug]")).to_have_value("mine")


def test_columns_of_a_table_are_asked_for_before_and_after_the_upload(working: Site, tmp_path: Path) -> None:
    """A CSV whose names tell nothing: left open, the version waits and asks; the answer places it and gives the kinds."""
    page = seller(working)
    table = tmp_path / "기둥.csv"
    table.write_bytes("동,북,무엇\n332000,4140000,보도\n332010,4140000,횡단보도\n".encode("cp949"))
    page.set_input_files("#files", table)
    fields = page.locator("[data-placing] [data-columns]")
    expect(fields).to_be_visible()
    assert page.eval_on_selector_all("#column-names option", "all => all.map((one) => one.value)") == ["동", "북", "무엇"]
    begin(page, table, title="Posts")
    drafted(page, "posts", state="unplaced")
    for name, value in (("crs", "EPSG:32652"), ("column_lon", "동"), ("column_lat", "북"), ("column_kind", "무엇")):
        page.fill(f"#placement [name={name}]", value)
    page.press("#placement [name=crs]", "Escape")
    page.click("#placement button.primary")
    page.wait_for_selector("#version[data-state=draft][data-busy=no]", timeout=CHECKED_MS)
    by = persons.get_person(working.ex, email=SELLER)
    assert by
    (layer,) = datasets.describe(working.ex, by.actor, "posts", 1).layers
    assert (layer.facts.counts.placed, layer.quantities.crossings) == (2, 1)
