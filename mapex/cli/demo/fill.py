"""The contents of the demo: firms, persons, permits, datasets and a first purchase, all through the doors that everybody uses."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mapex.client.bar import bar
from mapex.client.http import Client
from mapex.times import DAY_NS
from tiles import extras

if TYPE_CHECKING:
    from mapex.exchange import Exchange
    from mapex.invoices.businesses import Business


DONE = "demo.json"
"""File with the log-ins; written last, so its presence means that the data is in."""

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


@dataclass(frozen=True, slots=True)
class DemoDataset:
    """A dataset of the demo: who sells it, its files, and its prices."""

    seller: str
    slug: str
    title: str
    files: tuple[str, ...]
    handling: str
    rates: dict[str, int]
    licence: str
    extra: str = ""
    """Without this extra of mapex it cannot be made."""
    updates: str = "paid"


RECORDINGS, PICTURES = "recordings", "preview"

DATASETS = (
    DemoDataset(
        "maps@hanbit.example",
        "pangyo-hd",
        "판교 정밀도로지도 · HD map",
        ("district.osm",),
        "open",
        {"lane_km": 6300},
        "commercial",
        updates="free:12",
    ),
    DemoDataset(
        "maps@hanbit.example",
        "pangyo-cloud",
        "판교 점군 · Point cloud",
        ("cloud.laz",),
        "open",
        {"million_points": 4000},
        "research",
    ),
    DemoDataset(
        "maps@saebom.example", "pangyo-walks", "판교 보행로 네트워크 · Sidewalks", ("walks",), "open", {"footway_km": 2900}, "commercial"
    ),
    DemoDataset(
        "maps@saebom.example", "pangyo-drive", "판교 원본 영상 · Drive", ("drive.mcap",), "original", {"frame": 20}, "research", RECORDINGS
    ),
    DemoDataset(
        "maps@saebom.example",
        "pangyo-street",
        "판교 가명 영상 · Street",
        ("street.mcap",),
        "pseudonymised",
        {"frame": 12},
        "research",
        RECORDINGS,
    ),
    DemoDataset(
        "maps@saebom.example", "pangyo-video", "판교 원본 동영상 · Video", ("drive.mp4",), "original", {"frame": 2}, "research", PICTURES
    ),
)


DESCRIBED: dict[str, dict[str, object]] = {
    "pangyo-hd": {
        "ko": "판교 업무지구의 차로를 모두 담은 정밀도로지도입니다. 차로 경계, 정지선, 횡단보도, 신호등, 제한 속도가 들어 있습니다.\n\n"
        "시연용으로 프로그램이 그린 가상의 거리이며 실제 도로와 다릅니다.",
        "en": "All lanes of the Pangyo business district: borders, stop lines, crossings, signals, speed limits.\n\n"
        "A made-up district, drawn by a program for the demonstration; the real streets are others.",
        "accuracy_m": 0.1,
        "accuracy_basis": "1 sigma",
        "method": "Drawn by the program of the demonstration",
    },
    "pangyo-walks": {
        "ko": "판교 보행로 네트워크입니다. 보도의 폭과 포장, 횡단보도의 턱낮춤이 들어 있어 보행 로봇의 경로 계획에 쓸 수 있습니다.",
        "en": "The sidewalks of Pangyo for robots: widths, surfaces, and crossings with lowered kerbs.",
        "accuracy_m": 0.5,
        "accuracy_basis": "RMSE",
    },
}
"""What the sellers say about some of them."""

DRAWN = "Demo: every picture was drawn by a program (mapex.cli.demo.drive); no camera was there, so no person or plate is in it."


def fill(ex: Exchange, place: Path) -> str:
    """Make the firms, people, permits and data, through the same doors that everybody uses.

    Returns what was left out, because an extra is not installed, and how to get it; "" when nothing was.
    """
    from mapex.invoices import businesses
    from mapex.orders import ledger
    from mapex.people import domains, orgs, persons, tokens

    password = secrets.token_urlsafe(9)
    for number, (slug, name) in enumerate(FIRMS.items(), 1):
        orgs.add_org(ex, None, slug, name)
        businesses.put(ex, None, slug, _business(number, slug, name))
        ledger.credit(ex, None, slug, CREDIT, key=f"demo-{slug}")
        domains.add(ex, None, slug, f"{slug}.example")
    clients: dict[str, Client] = {}
    for mail, (org, role, _) in PERSONS.items():
        person = persons.add_person(ex, None, mail, org=org, role=role, password=password)
        clients[mail] = Client(ex.settings.public_url, tokens.create(ex, person, "demo", days=1))
    _enter_permits(ex)
    datasets = [one for one in DATASETS if not one.extra or not extras.absent(one.extra)]
    files = _make_files(place / "files", {name for one in datasets for name in one.files})
    steps = len(datasets) + 1
    with bar("Filling the exchange") as progress:
        for number, dataset in enumerate(datasets):
            progress.update(number, steps, f"Uploading and tiling {dataset.slug}")
            _sell(ex, clients[dataset.seller], dataset, files)
        progress.update(len(datasets), steps, "A first purchase")
        _buy(clients["buyer@dongil.example"], place / "bought")
        progress.update(steps, steps)
    fresh = place / (DONE + ".part")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(dict.fromkeys(PERSONS, password), file)
    fresh.replace(place / DONE)
    return _left_out([one for one in DATASETS if one not in datasets])


def _business(number: int, slug: str, name: str) -> Business:
    """What stands on tax invoices of a firm: numbers of an office that is none, so that nobody has them."""
    from mapex.invoices.businesses import Business
    from mapex.rules.business_number import check_digit

    nine = f"{number:09d}"
    about = {"name": name, "representative": "데모", "address": "경기도 성남시 분당구 (데모 주소)"}
    return Business(number=nine + check_digit(nine), **about, business_type="서비스업", item="데이터 거래", email=f"tax@{slug}.example")


def _left_out(datasets: Sequence[DemoDataset]) -> str:
    names = ", ".join(one.slug for one in datasets)
    why = " ".join(extras.missing(extra).message for extra in dict.fromkeys(one.extra for one in datasets))
    return f"Left out: {names}. {why} Then `mapex demo --fresh` makes them too." if datasets else ""


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


def _make_files(folder: Path, wanted: Collection[str]) -> Path:
    from mapex.cli.demo import district, drive, film

    folder.mkdir(parents=True, exist_ok=True)
    streets = list(district.segments())
    makers: dict[str, tuple[str, Callable[[Path], object]]] = {
        "district.osm": ("Drawing lanes", lambda path: district.write_lanelet2(path, streets)),
        "walks": ("Drawing sidewalks", lambda path: district.write_opensidewalks(path, streets)),
        "cloud.laz": ("Scanning the streets", lambda path: drive.write_cloud(path, streets)),
        "drive.mcap": ("Driving with a camera", drive.write_drive),
        "drive.mp4": ("Filming the drive", film.write_film),
        "street.mcap": ("Drawing a street", lambda path: drive.write_drive(path, seconds=48)),
    }
    steps = [(name, *makers[name]) for name in makers if name in wanted]
    with bar("Making the district") as progress:
        for number, (name, text, make) in enumerate(steps):
            progress.update(number, len(steps), text)
            make(folder / name)
        progress.update(len(steps), len(steps))
    return folder


def _sell(ex: Exchange, client: Client, dataset: DemoDataset, files: Path) -> None:
    from mapex.client.jobs import wait_for
    from mapex.client.upload import Sending, files_of

    client.call("POST", "/datasets", {"slug": dataset.slug, "title": dataset.title})
    with bar(dataset.slug, in_bytes=True) as progress:
        found = files_of(tuple(files / name for name in dataset.files))
        sending = Sending(client, progress, sum(f.size for f in found), streams=2)
        uploads = [sending.send(f) for f in found]
    stated = {"uploads": uploads, "class": dataset.handling, "height_datum": "ellipsoid"}
    started = client.call("POST", f"/datasets/{dataset.slug}/versions", stated)
    wait_for(client, started["job"])
    if dataset.handling == "pseudonymised":
        _clear_drawn_footage(ex, dataset)
    if described := DESCRIBED.get(dataset.slug):
        client.call("PATCH", f"/datasets/{dataset.slug}/description", described)
    terms = {"rates": dataset.rates, "licence": dataset.licence, "attribution": "", "updates": dataset.updates}
    client.call("POST", f"/datasets/{dataset.slug}/publish", terms)


def _clear_drawn_footage(ex: Exchange, dataset: DemoDataset) -> None:
    """What an operator does who was shown a proof: only then may footage be less than `original`."""
    from mapex.offers import reviews

    reviews.clear(ex, None, f"{PERSONS[dataset.seller][0]}/{dataset.slug}", 1, "recording", DRAWN)


def _buy(client: Client, folder: Path) -> None:
    """One small purchase of lanes and raw footage, so that orders and the audit log are not empty."""
    from mapex.cli.demo.district import CENTRE
    from mapex.client.download import Download

    lon, lat = CENTRE
    corners = [(-0.002, -0.001), (0.002, -0.001), (0.002, 0.001), (-0.002, 0.001), (-0.002, -0.001)]
    region = {"type": "Polygon", "coordinates": [[[lon + dx, lat + dy] for dx, dy in corners]]}
    offered = client.call("POST", "/estimates", {"region": region})["offers"]
    choice = {"take": [row["offer"] for row in offered if row["class"] == "original"]}
    quote = client.call("POST", "/quotes", {"region": region, "purpose": "research", "choice": choice})
    bought = {"quote": quote["id"], "persons": ["buyer@dongil.example"]}
    order = client.call("POST", "/orders", bought, headers={"Idempotency-Key": "demo-first"})
    with bar("Downloading", in_bytes=True) as progress:
        Download(client, order["id"], folder).run(streams=2, progress=progress)
