"""Looking before buying: the cloud in three colourings, the clip by ranges, and nothing of what is for sale among the requests."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ingest.previews import blur
from mapex.catalogue import datasets
from mapex.exchange import Actor
from mapex.offers import offers, reviews
from tests.support.browser import SHARP, WAIT_MS, Site, go_to
from tests.support.clouds import a_street_cloud
from tests.support.needs import absent
from tests.support.uploads import a_version


def sells(site: Site, slug: str, name: str, body: bytes, *, handling: str = "open", rates: dict[str, int] | None = None) -> Actor:
    """A seller whose upload is ingested by the worker of the test, cleared where it is footage, and on sale."""
    seller = site.person(f"maps@{slug}.example", slug)
    _, version, job = a_version(site.ex, {name: body}, by=seller, slug=slug, classes=handling)
    from tests.support.uploads import work

    work(site.ex)
    layers = datasets.describe(site.ex, seller, slug, version.number).layers
    if handling == "pseudonymised":
        reviews.clear(site.ex, None, f"{slug}/{slug}", version.number, layers[0].name, "Drawn by a program of the tests.")
    offers.publish(site.ex, seller, slug, rate_card=rates or {"million_points": 100}, licence="research")
    return seller


def pixels(page: Page) -> np.ndarray:
    """The cloud as it is on the screen, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(page.locator("dialog.preview canvas").screenshot())).convert("RGB")).astype(int)


def lit(picture: np.ndarray) -> float:
    """Share of pixels that are not the dark ground."""
    return float((np.abs(picture - [10, 20, 32]).max(axis=2) > 12).mean())


def still(page: Page) -> None:
    expect(page.locator("dialog.preview canvas[data-state=still]")).to_be_visible(timeout=WAIT_MS)
    page.wait_for_timeout(400)


def test_cloud_preview(site: Site) -> None:
    sells(site, "cloud", "street.laz", a_street_cloud(600_000))
    site.person("buyer@dongil.example", "dongil")
    page = site.visit("buyer@dongil.example", device_scale_factor=SHARP)
    site.open(page, "/explore")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.click("[data-preview-kind=pointcloud]")
    canvas = page.locator("dialog.preview canvas[data-whole=yes]")
    expect(canvas).to_be_visible(timeout=WAIT_MS)
    still(page)
    expect(page.locator("dialog.preview")).to_contain_text("150,000 of 150,000 points", timeout=WAIT_MS)
    colour = pixels(page)
    assert lit(colour) > 0.2
    page.click("dialog.preview [data-mode=height]")
    still(page)
    height = pixels(page)
    page.click("dialog.preview [data-mode=intensity]")
    still(page)
    intensity = pixels(page)
    for a, b in ((colour, height), (height, intensity), (colour, intensity)):
        assert np.abs(a - b).mean() > 3
    assert np.abs(intensity - intensity.mean(axis=2, keepdims=True))[lit_mask(intensity)].mean() < 3  # grey
    before = str(canvas.get_attribute("data-view"))
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(canvas).not_to_have_attribute("data-view", before)
    still(page)
    assert np.abs(pixels(page) - intensity).mean() > 2
    page.keyboard.press("0")
    expect(canvas).to_have_attribute("data-view", before)
    still(page)
    page.keyboard.press("Escape")
    expect(page.locator("dialog.preview")).to_be_hidden()
    assert not [url for url in asked if "/store/" in url]


def test_published_lines_are_drawn_for_everybody(site: Site, samples: Path) -> None:
    body = (samples / "lanelet2" / "karlsruhe_mapping_example.osm").read_bytes()
    sells(site, "karlsruhe", "karlsruhe.osm", body, rates={"lane_km": 6300})
    site.person("buyer@dongil.example", "dongil")

    def blue(email: str) -> int:
        """Pixels of the map in the colour of lanes."""
        page = site.visit(email, device_scale_factor=SHARP, color_scheme="dark")
        go_to(page, site, 8.4242, 49.0034, 17)
        picture = np.asarray(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB")).astype(int)
        return int((np.abs(picture - [0x4D, 0x9B, 0xFF]).max(axis=2) < 24).sum())

    assert blue("buyer@dongil.example") > 300
    assert blue("") > 300


def lit_mask(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture - [10, 20, 32]).max(axis=2) > 12


def test_cloud_preview_without_webgl_is_a_picture(site: Site) -> None:
    sells(site, "cloud", "street.laz", a_street_cloud(40_000))
    site.person("buyer@dongil.example", "dongil")
    page = site.visit("buyer@dongil.example", device_scale_factor=SHARP)
    site.open(page, "/explore")
    page.evaluate(
        "() => { const own = HTMLCanvasElement.prototype, real = own.getContext;"
        " own.getContext = function (kind, ...more) { return kind === 'webgl2' ? null : real.call(this, kind, ...more); }; }"
    )
    page.click("[data-preview-kind=pointcloud]")
    picture = page.locator("dialog.preview figure.cloud > img")
    expect(picture).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("dialog.preview")).to_contain_text("cannot draw points in 3-D", timeout=WAIT_MS)
    assert picture.evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 640


@pytest.fixture
def street(tmp_path: Path) -> bytes:
    if blur.why_not():
        absent(blur.why_not())
    from mapex.cli.demo import drive

    drive.write_drive(tmp_path / "street.mcap", seconds=24)
    return (tmp_path / "street.mcap").read_bytes()


def test_clip_preview(site: Site, street: bytes) -> None:
    sells(site, "street", "street.mcap", street, handling="pseudonymised", rates={"frame": 20})
    site.person("buyer@dongil.example", "dongil")
    page = site.visit("buyer@dongil.example", device_scale_factor=SHARP)
    site.open(page, "/explore")
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    page.click("[data-preview-kind=recording]")
    video = page.locator("dialog.preview video")
    expect(video).to_be_visible(timeout=WAIT_MS)
    assert page.locator("dialog.preview figure.strip img").count() == 12
    widths = page.locator("dialog.preview figure.strip img").evaluate_all(
        "(all) => Promise.all(all.map((i) => i.decode().then(() => i.naturalWidth)))"
    )
    assert set(widths) == {320}
    page.wait_for_function("() => document.querySelector('dialog.preview video').readyState >= 2")
    video.evaluate("(v) => v.play()")
    page.wait_for_function("() => document.querySelector('dialog.preview video').currentTime > 0.4")
    video.evaluate("(v) => (v.pause(), (v.currentTime = 4.1))")
    page.wait_for_function(
        "() => { const v = document.querySelector('dialog.preview video'); return !v.seeking && Math.abs(v.currentTime - 4.1) < 0.01; }"
    )
    assert [status for url, status in answers if url.endswith("/clip/0")]
    assert {status for url, status in answers if url.endswith("/clip/0")} == {206}
    assert not [url for url, _ in answers if "/store/" in url or ".mcap" in url or "grants" in url]


def test_original_footage_shows_what_was_recorded_and_no_picture(site: Site, street: bytes) -> None:
    sells(site, "street", "street.mcap", street, handling="original", rates={"frame": 20})
    site.person("buyer@dongil.example", "dongil")
    page = site.visit("buyer@dongil.example", lang="ko")
    site.open(page, "/explore")
    page.click("[data-preview-kind=recording]")
    dialog = page.locator("dialog.preview")
    expect(dialog).to_contain_text("원본 영상은 구매 전에 보여 드리지 않습니다", timeout=WAIT_MS)
    expect(dialog).to_contain_text("/camera/front/compressed", timeout=WAIT_MS)
    assert dialog.locator("img, video, canvas").count() == 0


def test_lines_of_a_draft_are_shown_to_its_seller(site: Site) -> None:
    from tests.support.uploads import a_map, work

    seller = site.person("maps@hanbit.example", "hanbit")
    a_version(site.ex, {"walks.geojson": a_map(40)}, by=seller, slug="walks")
    work(site.ex)
    page = site.visit("maps@hanbit.example", size=(390, 844), device_scale_factor=SHARP)
    site.open(page, "/sell/walks/1")
    page.click("[data-preview]")
    canvas = page.locator("dialog.preview figure.lines canvas[data-lines]")
    expect(canvas).to_be_visible(timeout=WAIT_MS)
    assert int(canvas.get_attribute("data-lines") or 0) >= 40
    drawn = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(int)
    assert 0.001 < ((drawn[..., 0] > 200) & (drawn[..., 1] > 200) & (drawn[..., 2] < 160)).mean() < 0.5
    assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")
