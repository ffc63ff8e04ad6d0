"""Manifests: what a version was when it was stored, and its layers and tiles as they are now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from mapex.catalogue.draft import LayerFacts
from mapex.catalogue.drafts import boxes_digest, tiles_digest
from mapex.operation.invariants.asking import Offender
from tiles.batch import QUANTITIES


def different(conn: Connection) -> Iterator[Offender]:
    """Versions whose layers, classes or tiles are not those of their manifest, or whose manifest is another text than its sha256 says."""
    query = (
        "SELECT v.id, g.slug || '/' || d.slug || ' version ' || v.number AS name, v.manifest, v.manifest_sha256 FROM dataset_version v "
        "JOIN dataset d ON d.id = v.dataset_id JOIN organisation g ON g.id = d.org_id WHERE v.manifest IS NOT NULL ORDER BY 2"
    )
    for version in conn.execute(text(query)).all():
        if hashlib.sha256(version.manifest.encode()).hexdigest() != version.manifest_sha256:
            yield f"the manifest of {version.name} is not that of its sha256"
            continue
        try:
            yield from _layers(conn, version.id, version.name, json.loads(version.manifest)["layers"])
        except (KeyError, TypeError, ValueError):
            yield f"the manifest of {version.name} is none"


def _layers(conn: Connection, version_id: str, version: str, layers: Sequence[Mapping[str, Any]]) -> Iterator[Offender]:
    written = {layer["name"]: layer for layer in layers}
    stored = conn.execute(text("SELECT * FROM layer WHERE version_id = :version"), {"version": version_id}).mappings()
    found = {row["name"]: row for row in stored}
    for name in sorted(written.keys() | found.keys()):
        if name in written and name in found:
            yield from _differing(conn, f"layer {name} of {version}", written[name], found[name])
        else:
            yield f"layer {name} of {version} is {'not there' if name in written else 'not in its manifest'}"


def _differing(conn: Connection, what: str, written: Mapping[str, Any], row: Mapping[Any, Any]) -> Iterator[Offender]:
    plain = {"kind": row["kind"], "content": row["content"], "class": row["handling_class"], "cells": row["cells"]}
    for name, value in plain.items():
        if written[name] != value:
            yield f"{what}: {name} is {value!r}, by the manifest {written[name]!r}"
    if (about := written.get("about")) is not None and _facts(about) != _facts(json.loads(row["about"])):
        yield f"{what} states other facts than its manifest"
    counted = [name for name in QUANTITIES if name in written["quantities"]]
    if any(written["quantities"][name] != row[name] for name in counted):
        yield f"{what} has other quantities than its manifest"
    if written["tiles_sha256"] != tiles_digest(conn, row["id"], counted):
        yield f"{what} has other tiles than its manifest"
    if "boxes_sha256" in written and written["boxes_sha256"] != boxes_digest(conn, row["id"]):
        yield f"{what} has tiles of other boxes than its manifest"


def _facts(about: Mapping[str, Any]) -> LayerFacts:
    """Manifest and row may be of different versions of mapex; what they mean is compared."""
    return LayerFacts.from_json(about)
