"""Versions of one seller that hold the same content: what is uploaded twice would be on the map twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, select

from mapex.catalogue.versions import Version, all_versions, version_from
from mapex.database import schema
from tiles.batch import QUANTITIES

WITH_TILES = ("draft", "published", "superseded", "withdrawn")
"""States of versions that have tiles and may be on sale, or be again."""

Content = Sequence[tuple[str, str]]
"""Kind and digest of the tiles of each layer that has any, in order: tiles of the same records are the same bytes."""


def twins_of(conn: Connection, version: Version) -> Sequence[Version]:
    """The other versions of its organisation whose tiles are the same, byte for byte, the newest first. Whoever asks must be of it."""
    if version.state not in WITH_TILES or not (content := _content(conn, version)):
        return ()
    alike = (version_from(row) for row in conn.execute(_as_large(version)).mappings())
    return [other for other in alike if _content(conn, other) == content]


def _as_large(version: Version) -> Any:
    """Query of versions with a layer that measures exactly what one of this version does."""
    other, own = schema.layer.alias("other"), schema.layer.alias("own")
    same = and_(other.c.kind == own.c.kind, own.c.cells > 0, *(other.c[name] == own.c[name] for name in ("cells", *QUANTITIES)))
    ids = select(other.c.version_id).join_from(own, other, same).where(own.c.version_id == version.id)
    one, dataset = schema.dataset_version.c, schema.dataset.c
    found = all_versions().where(one.id.in_(ids), one.id != version.id, dataset.org_id == version.org_id, one.state.in_(WITH_TILES))
    return found.order_by(one.created_ns.desc(), one.id)


def _content(conn: Connection, version: Version) -> Content:
    column = schema.dataset_version.c
    manifest = json.loads(conn.execute(select(column.manifest).where(column.id == version.id)).scalar() or "{}")
    return sorted((layer["kind"], layer["tiles_sha256"]) for layer in manifest.get("layers", ()) if layer["cells"])
