"""The examples on the page of a dataset do what they say when they are copied and run; catalogue and samples over HTTP and the shell."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shlex
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapex.offers import offers
from tests.support.exchange import a_person
from tests.support.market import RATES
from tests.support.site import Served, served
from tests.support.uploads import a_map, ingest


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("examples") / "exchange") as running:
        seller = a_person(running.ex, "hanbit")
        ingest(running.ex, {"walks.geojson": a_map(80, step=0.01)}, by=seller, slug="walks", classes="open")
        offers.publish(running.ex, seller, "walks", rate_card=RATES, licence="research")
        yield running


@pytest.fixture(scope="module")
def token(site: Served) -> str:
    return site.token(a_person(site.ex, "dongil"))


def example(site: Served, name: str, token: str) -> str:
    """The text of an example as the button copies it, with the token in its place."""
    with urllib.request.urlopen(f"{site.running.url}/datasets/hanbit/walks?lang=en", timeout=60) as answer:
        page = answer.read().decode()
    found = re.search(rf'<code id="example-{name}">(.*?)</code>', page, re.DOTALL)
    assert found
    return html.unescape(re.sub(r"<[^>]+>", "", found[1])).replace("MAPEX_TOKEN=...", f"MAPEX_TOKEN={token}")


def test_the_lines_for_the_shell_take_the_sample_and_hold_a_price(site: Served, token: str, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "mapex"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from mapex.cli import main; main()" "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    environ = {**site.running.environ, "PATH": f"{command.parent}:/usr/bin:/bin"}
    lines = ["bash", "-euc", example(site, "cli", token)]
    done = subprocess.run(lines, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Buy with: mapex buy quo_" in done.stdout
    (file,) = tmp_path.glob("*.parquet")
    (sample,) = site.call("GET", "/datasets/hanbit/walks/samples", token=token).json["samples"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sample["files"][0]["sha256"]


def test_the_lines_in_python_hold_a_price(site: Served, token: str) -> None:
    environ = {**site.running.environ, "MAPEX_TOKEN": token}
    lines = [sys.executable, "-c", example(site, "python", token)]
    done = subprocess.run(lines, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1].startswith("quo_")


def test_the_line_for_curl_asks_for_a_price(site: Served, token: str) -> None:
    """Read as a shell and curl read it: not every machine has curl."""
    words = shlex.split(example(site, "curl", token).replace("$MAPEX_TOKEN", token).replace("\\\n", " "))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    (url,) = [word for word in words if word.startswith("http")]
    request = urllib.request.Request(url, words[words.index("-d") + 1].encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["total"] > 0


def test_the_catalogue_and_descriptions_speak_to_the_shell(site: Served, token: str, tmp_path: Path) -> None:
    seller = site.token(a_person(site.ex, "hanbit"))
    (tmp_path / "ko.txt").write_text("서울의 보도입니다.", encoding="utf-8")
    words = ("dataset", "describe", "walks", "--ko", tmp_path / "ko.txt", "--accuracy", "0.1", "--basis", "1 sigma")
    assert site.running.cli(*words, token=seller)["accuracy_m"] == 0.1
    found = site.running.cli("search", "서울의", "보도", "--kind", "sidewalk", token=token)
    assert [(one["slug"], one["description"]) for one in found["datasets"]] == [("walks", "서울의 보도입니다.")]
    assert [one["slug"] for one in site.call("GET", "/datasets?q=walks", token=token).json["datasets"]] == ["walks"]
    assert site.call("GET", "/datasets?q=nothing", token=token).json["datasets"] == []
    asked = site.running.cli("question", "ask", "hanbit/walks", "How wide?", token=token)
    assert site.running.cli("question", "list", token=seller)["unread"] == 1
    site.running.cli("question", "answer", asked["id"], "Two metres.", token=seller)
    assert [one["org"] for one in site.running.cli("question", "show", asked["id"], token=token)["messages"]] == ["dongil", "hanbit"]
    seen = site.call("GET", "/datasets/hanbit/walks/attributes", token=token).json["layers"][0]
    assert seen["known"] and "width" in {row["name"] for row in seen["attributes"]}


def test_visitors_of_a_closed_exchange_see_no_price_and_no_sample(tmp_path: Path) -> None:
    with served(tmp_path / "closed", public_prices=False) as closed:
        seller = a_person(closed.ex, "hanbit")
        ingest(closed.ex, {"walks.geojson": a_map(80, step=0.01)}, by=seller, slug="walks", classes="open")
        offers.publish(closed.ex, seller, "walks", rate_card=RATES, licence="research")
        for path in ("/datasets", "/datasets?unit=footway_km", "/sellers/hanbit", "/datasets/hanbit/walks"):
            with urllib.request.urlopen(f"{closed.running.url}{path}{'&' if '?' in path else '?'}lang=en", timeout=60) as answer:
                page = answer.read().decode()
            assert "walks" in page.lower() and "₩" not in page and 'name="unit"' not in page, path
        for path in ("/samples", "/samples/sidewalks/0", "/samples/sidewalks/features", "/attributes"):
            assert closed.call("GET", f"/datasets/hanbit/walks{path}").status == 401
        assert closed.call("GET", "/catalogue").status == 401
