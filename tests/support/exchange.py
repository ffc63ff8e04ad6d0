"""Small builders: an exchange in a temporary folder and the things in it, made by the real services."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mapex import config
from mapex.catalogue import datasets, drafts, publication, requests, versions
from mapex.catalogue.draft import Counts, Draft, DraftLayer, DraftSource, LayerFacts
from mapex.catalogue.finding import Finding
from mapex.database import db, opening
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs, uploads
from mapex.intake.placement import Known
from mapex.people import orgs, persons
from mapex.rights import permits
from mapex.rights.permit import NewPermit, Permit
from tiles.batch import Content, EncodedTile, LayerKind, Quantities
from tiles.box import Box
from tiles.grid import grid
from tiles.store.directory import DirectoryStore

DAY_ONE = 1_790_000_000 * 10**9
"""2026-09-21T14:13:20Z, when every test begins."""

_numbers = itertools.count(1)


@dataclass(slots=True)
class Clock:
    """A clock that a test moves: UTC nanoseconds, one microsecond later at each look."""

    at_ns: int = DAY_ONE
    step_ns: int = field(default=1000)

    def __call__(self) -> int:
        self.at_ns += self.step_ns
        return self.at_ns

    def forward(self, *, seconds: float = 0, days: float = 0) -> None:
        self.at_ns += int((seconds + days * 86400) * 10**9)


def settings(folder: Path, *, database_url: str = "", **changes: object) -> config.Settings:
    """Settings of a fresh exchange in `folder`, or of the one that is there; small upload parts."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / config.FILE_NAME).exists():
        config.initialise(folder, {})
    environ = {"MAPEX_DATABASE_URL": database_url} if database_url else {}
    # Tests ask thousands of questions in a minute; what a limit does is tried with its own.
    patient = dict.fromkeys((f"MAPEX_{kind}_PER_MINUTE" for kind in ("GRANTS", "QUOTES", "SECRETS", "WRITES", "LOG_READS")), "1000000")
    loaded = config.load(folder, {**environ, **patient, "MAPEX_PART_SIZE": "65536"})
    return replace(loaded, **changes)  # type: ignore[arg-type]


def an_exchange(folder: Path, *, database_url: str = "", now: Clock | None = None, **changes: object) -> Exchange:
    """An open exchange with a directory store and a clock that stands at `DAY_ONE`; `changes` are settings."""
    return opening.open_exchange(settings(folder, database_url=database_url, **changes), now or Clock())


def an_org(ex: Exchange, slug: str = "") -> orgs.Org:
    return orgs.add_org(ex, None, slug or f"firm-{next(_numbers)}")


def a_person(ex: Exchange, org: str | orgs.Org | None = None, *, role: str = "member", email: str = "") -> Actor:
    """An actor: a member of `org` (an organisation, its slug, or a new one), or an auditor or operator."""
    slug = ""
    if role == "member":
        slug = org.slug if isinstance(org, orgs.Org) else org or an_org(ex).slug
        if not any(slug == known.slug for known in orgs.all_orgs(ex)):
            an_org(ex, slug)
    return persons.add_person(ex, None, email or f"person{next(_numbers)}@{slug or role}.example", org=slug, role=role).actor


def square(west: float, south: float, east: float, north: float) -> dict[str, object]:
    """A GeoJSON polygon of four corners, in degrees."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def a_permit(ex: Exchange, org: str, **given: object) -> Permit:
    """A permit of `org` (made if need be) for original data around Seoul, for research, a year from `DAY_ONE`."""
    if not any(org == known.slug for known in orgs.all_orgs(ex)):
        an_org(ex, org)
    values: dict[str, object] = {
        "number": f"KR-{next(_numbers)}",
        "purposes": ("research",),
        "classes": ("original", "restricted"),
        "area": square(126.0, 37.0, 128.0, 38.0),
        "valid_from_ns": DAY_ONE - 10**9,
        "valid_to_ns": max(DAY_ONE + 365 * 86400 * 10**9, int(str(given.get("valid_from_ns", 0))) + 1),
    }
    return permits.add(ex, None, NewPermit(org=org, **{**values, **given}))  # type: ignore[arg-type]


def send_part(ex: Exchange, upload: uploads.Upload, number: int, body: bytes) -> None:
    """Bring one part into the directory store, as a signed request would."""
    assert isinstance(ex.store, DirectoryStore)
    digest = hashlib.sha256(body).hexdigest()
    ex.store.receive_part(upload.store_key, upload.store_upload_id, number, io.BytesIO(body), size=len(body), sha256=digest)


def an_upload(ex: Exchange, by: Actor, name: str = "map.osm", content: bytes = b"<osm/>") -> uploads.Upload:
    """A complete upload."""
    upload = uploads.stage(ex, by, name, len(content))
    for number in range(1, upload.parts + 1):
        send_part(ex, upload, number, content[(number - 1) * upload.part_size : number * upload.part_size])
    return uploads.complete(ex, by, upload.id)


def a_tile(cell: int, *, layer: str = "hdmap", part: int = 0, content: str = "", features: int = 1, **quantities: int) -> EncodedTile:
    """The record of a tile; equal arguments, equal sha256."""
    sha256 = hashlib.sha256(f"{layer} {cell} {part} {content}".encode()).hexdigest()
    vector = Quantities(features=features, bytes=100, **quantities)
    path = f"{layer}/{grid.quadkey(cell)}-{part}.parquet"
    return EncodedTile(layer, cell, part, path, sha256, 100, "application/vnd.apache.parquet", vector, grid.bounds(cell))


def a_draft(tiles: Sequence[EncodedTile], *, findings: Sequence[Finding] = (), **given: object) -> Draft:
    """A draft with the layers that the tiles name, all of features; `given` are fields of `Draft`."""
    names = sorted({tile.layer for tile in tiles})
    layers = [
        DraftLayer(
            name,
            LayerKind.HDMAP,
            Content.FEATURES,
            LayerFacts(Counts(read=count, placed=count), box=Box(127.0, 37.5, 127.1, 37.6), crs="EPSG:4326", crs_source=Known.FILE),
        )
        for name, count in ((name, sum(t.quantities.features for t in tiles if t.layer == name)) for name in names)
    ]
    values: dict[str, object] = {"sources": [DraftSource("map.osm", "0" * 64, 6, "lanelet2")], "layers": layers, "findings": findings}
    return Draft(**{**values, "tiles": iter(tiles), "tools": {"mapex": "1"}, **given})  # type: ignore[arg-type]


def a_claimed_job(ex: Exchange, by: Actor, dataset: str = "seoul", *, worker: str = "w1", **given: object) -> jobs.Job:
    """The ingest job of a new version of `dataset` (made if need be), claimed by `worker`; `given` goes to `start_version`."""
    datasets.create_dataset(ex, by, dataset)
    given.setdefault("classes", "open")
    version, _ = requests.start_version(ex, by, dataset, [an_upload(ex, by, f"file-{next(_numbers)}.osm").id], **given)
    job = jobs.claim(ex, worker)
    assert job is not None
    assert job.version_id == version.id
    return job


def a_drafted_version(
    ex: Exchange, by: Actor, dataset: str = "seoul", tiles: Sequence[EncodedTile] = (), **given: object
) -> versions.Version:
    """A version in state `draft`, with one tile in Seoul unless asked otherwise."""
    job = a_claimed_job(ex, by, dataset, **given)
    return drafts.store_draft(ex, job, a_draft(tiles or [a_tile(int(grid.cells_at([127.0], [37.5])[0]))]))


def publish(ex: Exchange, by: Actor, dataset: str = "seoul", number: int | None = None) -> publication.Publication:
    """Publish without an offer (offers are another service)."""
    with db.begin(ex) as conn:
        return publication.publish(conn, ex, by, dataset, number=number)
