"""The files of each version: every one that was sent is in its manifest, and counts once."""

from __future__ import annotations

import json

from sqlalchemy import Connection, select

from mapex.database import schema


def missing(conn: Connection) -> list[str]:
    """Versions whose manifest has more or fewer files than were sent."""
    version, dataset = schema.dataset_version.c, schema.dataset.c
    query = select(dataset.slug, version.number, version.request, version.manifest)
    query = query.join(schema.dataset, dataset.id == version.dataset_id).where(version.manifest.is_not(None))
    found = []
    for slug, number, request, manifest in conn.execute(query):
        sent, listed = len(json.loads(request)["uploads"]), json.loads(manifest).get("sources")
        read = sent if listed is None else len(listed)
        if sent != read:
            found.append(f"version {number} of {slug}: {sent} files were sent, {read} are in its manifest")
    return found
