"""What people wait for in the browser: first load, a quiet map, pages, prices through HTTP, a cloud of a million points, a first purchase.

    python -m benchmarks pages                   # everything; chromium draws in software
    python benchmarks/pages.py --only pages first

Every number stands beside its goal and what limits it. A fresh demonstration is served by waitress in a process of its own; prices are
asked of the catalogue of `benchmarks/market.py` (1,000,000 tile rows). Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

PAGES = {
    "buyer": ("/", "/orders", "/account", "/about/licences"),
    "seller": ("/sell", "/sell/new", "/sell/pangyo-hd/1"),
    "auditor": ("/audit",),
}
ROUNDS = 20


def main() -> None:
    """Measure, print a table."""
    from screenshots import FLAGS, SIZE, demonstration

    parts = {"first": first_load, "pages": pages, "purchase": purchase, "cloud": cloud}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=[*parts, "prices"], default=[*parts, "prices"])
    only = parser.parse_args().only
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    print(f"{'what':52} {'measured':>22}   {'goal':18} limit")
    if set(only) & set(parts):
        from playwright.sync_api import sync_playwright

        chromium = os.environ.get("MAPEX_CHROMIUM") or shutil.which("chromium")
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        with tempfile.TemporaryDirectory() as folder, demonstration(Path(folder) / "demo") as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *sandbox])
            for name in only:
                if name in parts:
                    context = browser.new_context(viewport=SIZE, locale="en-GB", accept_downloads=True)
                    context.set_default_timeout(60_000)
                    parts[name](context.new_page(), url, Path(folder) / "demo")
                    context.close()
            browser.close()
    if "prices" in only:
        prices()


def say(what: str, measured: str, goal: str = "", limit: str = "") -> None:
    """A row of the table."""
    print(f"{what:52} {measured:>22}   {goal:18} {limit}", flush=True)


def spread(spent: list[float]) -> str:
    """p50 and p95 of milliseconds."""
    return "p50 {:.0f} p95 {:.0f} ms".format(*np.percentile(spent, [50, 95]))


def first_load(page: Any, url: str, _: Path) -> None:
    """The map, cold: bytes on the wire, requests, time until it is quiet; then the same warm."""
    from screenshots import play

    play(page, url, "buyer")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    for name in ("cold", "warm"):
        session.send("Network.setCacheDisabled", {"cacheDisabled": name == "cold"})
        names: dict[str, str] = {}
        received: list[tuple[str, float]] = []

        def on_begin(event: Any, names: dict[str, str] = names) -> None:
            names[event["requestId"]] = event["request"]["url"]

        def on_end(event: Any, names: dict[str, str] = names, received: list[tuple[str, float]] = received) -> None:
            received.append((names.get(event["requestId"], ""), event["encodedDataLength"]))

        session.on("Network.requestWillBeSent", on_begin)
        session.on("Network.loadingFinished", on_end)
        page.goto("about:blank")
        started = time.perf_counter()
        page.goto(f"{url}/explore")
        page.wait_for_selector("#coverage-legend, #legend, .legend", state="attached")
        page.wait_for_selector("html[data-map=idle]", state="attached")
        quiet = time.perf_counter() - started
        session.remove_listener("Network.requestWillBeSent", on_begin)
        session.remove_listener("Network.loadingFinished", on_end)
        if name == "cold":
            own = [size for asked, size in received if not asked.endswith(".pmtiles") and not asked.startswith(("data:", "blob:"))]
            ground = sum(size for asked, size in received if asked.endswith(".pmtiles"))
            say("explore, first load on the wire", f"{sum(own) / 1e6:.2f} MB", "<= 0.9 MB", "MapLibre is most of it")
            say("  and tiles of the ground", f"{ground / 1e6:.2f} MB", "<= 0.6 MB", "the base map of Korea and of the town")
            say("explore, first load requests", str(len(own)), "<= 40", "own modules; fonts and coverage of the demo")
        say(f"explore, map idle, {name}", f"{quiet:.1f} s", "<= 4 s", "software WebGL draws on the processor")


def pages(page: Any, url: str, _: Path) -> None:
    """Pages without the map, whole answers through HTTP."""
    from screenshots import play

    for who, paths in PAGES.items():
        play(page, url, who)
        for path in paths:
            spent = []
            for _round in range(ROUNDS + 2):
                started = time.perf_counter()
                answer = page.context.request.get(f"{url}{path}")
                spent.append((time.perf_counter() - started) * 1e3)
                if not answer.ok:
                    raise SystemExit(f"{path} answers {answer.status}")
            say(f"page {path}", spread(spent[2:]), "p95 <= 150 ms", "rendering; 1-2 ms are the client's")


def purchase(page: Any, url: str, _: Path) -> None:
    """From the first page of the demonstration to the downloaded map: what a program that never hesitates needs."""
    started = time.perf_counter()
    page.goto(url)
    page.click("form[action='/demo/buyer'] button")
    page.click("#example")
    page.wait_for_selector("#price .total")
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    page.wait_for_selector("html[data-ready]", state="attached")
    with page.expect_download() as download:
        page.click("#download")
    path = download.value.path()
    spent = time.perf_counter() - started
    say(
        "first page to a bought and downloaded map",
        f"{spent:.1f} s",
        "<= 60 s",
        f"5 clicks, {Path(path).stat().st_size / 1e6:.1f} MB; the map's drawing",
    )


def cloud(page: Any, url: str, home: Path) -> None:
    """A cloud whose preview has a million points: uploaded by the CLI, then opened."""
    from screenshots import play

    environ = {**os.environ, "MAPEX_DIR": str(home), "MAPEX_URL": url}

    def mapex(*words: str) -> str:
        command = [sys.executable, "-c", "from mapex.cli import main; main()", *words]
        return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()

    environ["MAPEX_TOKEN"] = mapex("token", "create", "maps@hanbit.example").splitlines()[-1]
    with tempfile.TemporaryDirectory() as folder:
        laz = Path(folder) / "street.laz"
        subprocess.run([sys.executable, "-m", "benchmarks.generate_points", "--n", "4.2e6", "--out", str(laz)], cwd=ROOT, check=True)
        mapex(
            "push",
            str(laz),
            "--dataset",
            "million",
            "--title",
            "A million",
            "--class",
            "open",
            "--height-datum",
            "ellipsoid",
            "--wait",
            "--json",
        )
    mapex("publish", "million", "--rate", "million_points=100", "--licence", "research", "--json")
    play(page, url, "seller")
    page.goto(f"{url}/sell/million/1")
    page.wait_for_selector("html[data-ready]", state="attached")
    started = time.perf_counter()
    page.locator("[data-preview]").first.click()
    page.wait_for_selector("dialog.preview canvas[data-drawn]", state="attached")
    drawn = time.perf_counter() - started
    page.wait_for_selector("dialog.preview canvas[data-whole=yes]", state="attached")
    whole = time.perf_counter() - started
    points = page.locator("dialog.preview canvas").get_attribute("data-drawn")
    say("cloud, first points drawn", f"{drawn:.1f} s", "<= 4 s", "software WebGL draws on the processor")
    say(f"cloud, all {int(points):,} drawn", f"{whole:.1f} s", "", "bytes come in pieces, each drawn as it comes")


def prices() -> None:
    """Estimates through HTTP on a catalogue of a million tile rows."""
    import shapely

    from benchmarks import market
    from mapex.cli.server.built_in import serving
    from mapex.people import tokens
    from web import create_app

    with market.catalogue(1_000_000) as ex:
        token = tokens.create(ex, market.buyer(ex, "newcomer"), "benchmark")
        from urllib.request import Request, urlopen

        with serving(create_app(ex), host="127.0.0.1", port=8791):
            for target, n, goal in ((1000, 40, 100), (100_000, 8, 250)):
                bodies = [json.dumps({"region": json.loads(shapely.to_geojson(one.geometry))}).encode() for one in market.stars(target, n)]
                calls: list[Callable[[], bytes]] = []
                for body in bodies * 3:
                    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
                    asked = Request("http://127.0.0.1:8791/api/v1/estimates", data=body, headers=headers)  # noqa: S310
                    calls.append(lambda asked=asked: urlopen(asked).read())  # type: ignore[misc]  # noqa: S310
                tiles = [json.loads(call())["tiles"] for call in calls[:n]]
                spent = []
                for call in calls:
                    started = time.perf_counter()
                    call()
                    spent.append((time.perf_counter() - started) * 1e3)
                say(
                    f"estimate by HTTP, {target:,} cells, {np.median(tiles):,.0f} tiles",
                    spread(spent),
                    f"p95 <= {goal} ms",
                    "sums by SQLite, then JSON",
                )


if __name__ == "__main__":
    main()
