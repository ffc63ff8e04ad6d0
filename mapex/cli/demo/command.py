"""`mapex demo`: an exchange with a made-up district, filled through the real pipeline, open in the browser.

Everything goes the way that a firm's data goes: uploaded over HTTP, opened in the cage, tiled, published, bought, downloaded.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mapex.client.bar import bar
from mapex.client.http import Client
from mapex.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from mapex.config import Settings
    from mapex.exchange import Exchange

DONE = "demo.json"  # log-ins; written last, so its presence means that the data is in
FIRMS = {
    "hanbit": "Hanbit AV",
    "saebom": "Saebom Mapping",
    "dongil": "Dongil Robotics",
    "nuri": "Nuri Delivery",
}
PERSONS = {
    "maps@hanbit.example": ("hanbit", "member", "seller: HD lanes and a point cloud"),
    "maps@saebom.example": ("saebom", "member", "seller: sidewalks and raw footage"),
    "buyer@dongil.example": ("dongil", "member", "buyer: robots, valid permit"),
    "buyer@nuri.example": ("nuri", "member", "buyer: robots, permit expired"),
    "auditor@audit.example": ("", "auditor", "auditor"),
    "operator@mapex.example": ("", "operator", "operator"),
}
CREDIT = 5_000_000
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Product:
    """A dataset of the demo: who sells it, its files, and its prices."""

    seller: str
    slug: str
    title: str
    files: tuple[str, ...]
    handling: str
    rates: dict[str, int]
    licence: str


PRODUCTS = (
    Product("maps@hanbit.example", "pangyo-hd", "판교 정밀지도 · HD map", ("district.osm",), "open", {"lane_km": 6300}, "commercial"),
    Product(
        "maps@hanbit.example",
        "pangyo-cloud",
        "판교 점군 · Point cloud",
        ("cloud.laz",),
        "open",
        {"million_points": 4000},
        "research",
    ),
    Product("maps@saebom.example", "pangyo-walks", "판교 보도망 · Sidewalks", ("walks",), "open", {"footway_km": 2900}, "commercial"),
    Product("maps@saebom.example", "pangyo-drive", "판교 원본 영상 · Drive", ("drive.mcap",), "original", {"frame": 20}, "research"),
    Product(
        "maps@saebom.example", "pangyo-street", "판교 가명 영상 · Street", ("street.mcap",), "pseudonymised", {"frame": 12}, "research"
    ),
)
DRAWN = "Demo: every picture was drawn by a program (mapex.cli.drive); no camera was there, so no person or plate is in it."


def default_folder() -> Path:
    """Where the demo lives unless told otherwise."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "mapex" / "demo"


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where it lives. Default: in your state folder.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port; the next free one is taken.")
@click.option("--fresh", is_flag=True, help="Throw the old demo away and make it anew.")
@click.option("--exit", "leave", is_flag=True, help="Stop after the data is in.")
def demo(folder: Path | None, port: int, fresh: bool, leave: bool) -> None:
    """Run an exchange with a made-up district: two sellers, two buyers, an auditor, permits. Opens no outside address."""
    place = (folder or default_folder()).absolute()
    if fresh and place.exists():
        if not (place / "mapex.toml").exists():
            raise Conflict("demo.not_ours", f"{place} is no demo of mapex; it was left alone.")
        shutil.rmtree(place)
    if (place / "mapex.toml").exists() and not (place / DONE).exists():
        shutil.rmtree(place)  # a demo that was killed while it was made
    settings = _settings(place, _free_port(port))
    with _running(settings) as ex:
        if not (place / DONE).exists():
            fill(ex, place)
        logins = json.loads((place / DONE).read_text(encoding="utf-8"))
        click.echo(welcome(ex.settings.public_url, logins))
        if not leave:
            click.echo("Stop with Ctrl+C.")
            _wait_to_be_stopped()


def _wait_to_be_stopped() -> None:
    """Return at Ctrl+C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(3600):
        pass


def welcome(url: str, logins: dict[str, str]) -> str:
    """What the terminal says when the demo is open."""
    width = max(map(len, logins))
    lines = ["", f"  mapex is open:  {url}", "", "  Log in as (everybody has the same password, made for this demo):"]
    lines += [f"    {mail.ljust(width)}  {PERSONS[mail][2]}" for mail in logins]
    return "\n".join([*lines, f"  Password: {next(iter(logins.values()))}", ""])


def _free_port(port: int) -> int:
    for candidate in range(port, min(port + 50, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    raise Unavailable("demo.no_port", f"No free port from {port} on. Name another with --port.")


def _settings(place: Path, port: int) -> Settings:
    from mapex import config

    url = f"http://127.0.0.1:{port}"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")}
    settings = config.load(place, clean) if (place / "mapex.toml").exists() else config.initialise(place, clean)
    return replace(settings, host="127.0.0.1", port=port, public_url=url, store_public_url=url, demo=True)


@contextmanager
def _running(settings: Settings) -> Iterator[Exchange]:
    """The exchange with its web server (threads) and one worker (process) for the time of the block."""
    from mapex.cli.server.in_thread import serving
    from mapex.database.opening import open_exchange
    from web import create_app

    ex = open_exchange(settings)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")}
    worker = subprocess.Popen(
        [sys.executable, "-c", "from mapex.cli import main; main(['worker'])"],
        env=clean | {"MAPEX_DIR": str(settings.dir), "MAPEX_LOG_LEVEL": "WARNING"},
        start_new_session=True,  # Ctrl+C reaches the demo only, which then stops the worker in order
    )
    try:
        with serving(create_app(ex), host=settings.host, port=settings.port):
            yield ex
    finally:
        worker.terminate()
        worker.wait(timeout=30)
        ex.engine.dispose()


def fill(ex: Exchange, place: Path) -> None:
    """Make the firms, people, permits and data, through the same doors that everybody uses."""
    from mapex.orders import ledger
    from mapex.people import participants, tokens

    password = secrets.token_urlsafe(9)
    for slug, name in FIRMS.items():
        participants.add_org(ex, None, slug, name)
        ledger.credit(ex, None, slug, CREDIT, key=f"demo-{slug}")
    clients: dict[str, Client] = {}
    for mail, (org, role, _) in PERSONS.items():
        person = participants.add_person(ex, None, mail, org=org, role=role, password=password)
        clients[mail] = Client(ex.settings.public_url, tokens.create(ex, person, "demo", days=1))
    _enter_permits(ex)
    files = _make_files(place / "files")
    steps = len(PRODUCTS) + 1
    with bar("Filling the exchange") as progress:
        for number, product in enumerate(PRODUCTS):
            progress.update(number, steps, f"Uploading and tiling {product.slug}")
            _sell(ex, clients[product.seller], product, files)
        progress.update(len(PRODUCTS), steps, "A first purchase")
        _buy(clients["buyer@dongil.example"], place / "bought")
        progress.update(steps, steps)
    fresh = place / (DONE + ".part")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(dict.fromkeys(PERSONS, password), file)
    fresh.replace(place / DONE)


def _enter_permits(ex: Exchange) -> None:
    from mapex.cli.demo.district import outline
    from mapex.rights import permits
    from mapex.rights.permit import NewPermit

    now = ex.now()
    for number, org, start, end in (("KR-SB-2026-014", "dongil", -90, 275), ("KR-SB-2024-003", "nuri", -700, -30)):
        new = NewPermit(
            org=org,
            number=number,
            purposes=("perception_training", "safety_validation", "research"),
            classes=("original", "restricted"),
            area=outline(margin=900),
            valid_from_ns=now + start * DAY_NS,
            valid_to_ns=now + end * DAY_NS,
        )
        permits.add(ex, None, new)


def _make_files(folder: Path) -> Path:
    from mapex.cli.demo import district, drive

    folder.mkdir(parents=True, exist_ok=True)
    streets = list(district.segments())
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("Drawing lanes", lambda: district.write_lanelet2(folder / "district.osm", streets)),
        ("Drawing sidewalks", lambda: district.write_opensidewalks(folder / "walks", streets)),
        ("Scanning the streets", lambda: drive.write_cloud(folder / "cloud.laz", streets)),
        ("Driving with a camera", lambda: drive.write_drive(folder / "drive.mcap")),
        ("Drawing a street", lambda: drive.write_drive(folder / "street.mcap", seconds=48)),
    )
    with bar("Making the district") as progress:
        for number, (text, make) in enumerate(steps):
            progress.update(number, len(steps), text)
            make()
        progress.update(len(steps), len(steps))
    return folder


def _sell(ex: Exchange, client: Client, product: Product, files: Path) -> None:
    from mapex.cli.sell import wait_for
    from mapex.client.upload import Sending, files_of

    client.call("POST", "/datasets", {"slug": product.slug, "title": product.title})
    with bar(product.slug, in_bytes=True) as progress:
        found = files_of(tuple(files / name for name in product.files))
        sending = Sending(client, progress, sum(f.size for f in found), streams=2)
        uploads = [sending.send(f) for f in found]
    started = client.call("POST", f"/datasets/{product.slug}/versions", {"uploads": uploads, "class": product.handling})
    wait_for(client, started["job"])
    if product.handling == "pseudonymised":
        _clear_drawn_footage(ex, product)
    client.call("POST", f"/datasets/{product.slug}/publish", {"rates": product.rates, "licence": product.licence, "attribution": ""})


def _clear_drawn_footage(ex: Exchange, product: Product) -> None:
    """What an operator does who was shown a proof: only then may footage be less than `original`."""
    from mapex.catalogue import datasets

    datasets.clear_footage(ex, None, f"{PERSONS[product.seller][0]}/{product.slug}", 1, "recording", DRAWN)


def _buy(client: Client, folder: Path) -> None:
    """One small purchase of lanes and raw footage, so that orders and the audit log are not empty."""
    from mapex.cli.demo.district import CENTRE
    from mapex.client.download import Download

    lon, lat = CENTRE
    corners = [(-0.002, -0.001), (0.002, -0.001), (0.002, 0.001), (-0.002, 0.001), (-0.002, -0.001)]
    region = {"type": "Polygon", "coordinates": [[[lon + dx, lat + dy] for dx, dy in corners]]}
    quote = client.call("POST", "/quotes", {"region": region, "purpose": "research"})
    order = client.call("POST", "/orders", {"quote": quote["id"]}, headers={"Idempotency-Key": "demo-first"})
    with bar("Downloading", in_bytes=True) as progress:
        Download(client, order["id"], folder).run(streams=2, progress=progress)
