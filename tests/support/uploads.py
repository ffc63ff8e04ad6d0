"""Builders for tests of the pipeline: uploads that really are in the store, versions that wait to be ingested, small valid maps."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.worker import loop
from mapex.catalogue import datasets, requests, versions
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs, uploads
from mapex.intake.placement import Placement
from tests.support.exchange import a_person
from tiles.store.directory import DirectoryStore


def an_upload(ex: Exchange, by: Actor, name: str, body: bytes, *, sha256: str | None = None) -> str:
    """Id of a complete upload; `sha256` is what the client promises (default: the truth)."""
    upload = uploads.stage(ex, by, name, len(body), sha256 or hashlib.sha256(body).hexdigest())
    assert isinstance(ex.store, DirectoryStore)
    for number in range(1, upload.parts + 1):
        piece = body[(number - 1) * upload.part_size : number * upload.part_size]
        digest = hashlib.sha256(piece).hexdigest()
        ex.store.receive_part(upload.store_key, upload.store_upload_id, number, io.BytesIO(piece), size=len(piece), sha256=digest)
    return uploads.complete(ex, by, upload.id).id


def a_map(rows: int = 40, *, west: float = 127.0, south: float = 37.5, step: float = 0.002) -> bytes:
    """GeoJSON of `rows` sidewalks in some cells near Seoul; deterministic."""
    features = [
        {
            "type": "Feature",
            "id": f"walk-{n}",
            "properties": {"footway": "sidewalk", "width": 2.5, "이름": f"보도 {n}"},
            "geometry": {
                "type": "LineString",
                "coordinates": [
                    [west + n % 8 * step, south + n // 8 * step],
                    [west + n % 8 * step + 0.001, south + n // 8 * step + 0.0005],
                ],
            },
        }
        for n in range(rows)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode()


def a_version(
    ex: Exchange,
    files: Mapping[str, bytes],
    *,
    by: Actor | None = None,
    slug: str = "seoul",
    placement: Placement | None = None,
    classes: str | None = "open",
) -> tuple[Actor, versions.Version, jobs.Job]:
    """A version of the given files that waits for a worker, in a new dataset when `by` is new."""
    actor = by or a_person(ex)
    if not any(known.slug == slug and known.org_id == actor.org_id for known in datasets.datasets(ex, actor)):
        datasets.create_dataset(ex, actor, slug, slug.title())
    ids = [an_upload(ex, actor, name, body) for name, body in files.items()]
    version, job = requests.start_version(ex, actor, slug, ids, classes=classes, placement=placement)
    return actor, version, job


def ingest(ex: Exchange, files: Mapping[str, bytes], **given: Any) -> datasets.Description:
    """The version of these files after a worker has done all that waits."""
    actor, version, _ = a_version(ex, files, **given)
    work(ex)
    return datasets.describe(ex, actor, version.dataset, version.number)


def work(ex: Exchange) -> None:
    """Let a worker do what waits."""
    loop.run(ex, threading.Event(), once=True)


def codes(described: datasets.Description, severity: str = "error") -> Sequence[str]:
    """Codes of the findings of one severity."""
    return [finding.code for finding in described.findings if finding.severity == severity]


def objects(ex: Exchange) -> list[str]:
    """Keys of all stored tiles."""
    from tiles.store.protocol import Bucket

    return [one.key for one in ex.store.list(Bucket.DATA) if not one.key.startswith("previews/")]


def leftovers(folder: Path) -> list[str]:
    """Files that are in the work folder of an exchange."""
    return [p.name for p in (folder / "work").rglob("*") if p.is_file()]
