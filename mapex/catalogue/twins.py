"""Versions of one seller that hold the same content: what is uploaded twice would be on the map twice.

Two are twins when each layer has the same amounts in the same boxes, tile by tile. Names of files and layers are in the tiles, so that
these differ for the same file under another name; what is measured and where does not. Within a dataset, where mended attributes make
a new version, the files must be the same too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select

from mapex.catalogue.versions import Version, all_versions, version_from
from mapex.database import schema
from tiles.batch import QUANTITIES

WITH_TILES = ("draft", "published", "superseded", "withdrawn")
"""States of versions that have tiles and may be on sale, or be again."""

MEASURED = tuple(name for name in QUANTITIES if name != "bytes")


def twins_of(conn: Connection, version: Version) -> Sequence[Version]:
    """The other versions of its organisation with the same content, the newest first. Whoever asks must be of it."""
    if version.state not in WITH_TILES:
        return ()
    own = _manifest(conn, version)
    alike = (version_from(row) for row in conn.execute(_as_large(version)).mappings())
    return [other for other in alike if _is_same(_manifest(conn, other), own, within=other.dataset_id == version.dataset_id)]


def _as_large(version: Version) -> Any:
    """Query of versions with a layer that measures exactly what one of this version does."""
    other, own = schema.layer.alias("other"), schema.layer.alias("own")
    same = and_(other.c.kind == own.c.kind, own.c.cells > 0, *(other.c[name] == own.c[name] for name in ("cells", *MEASURED)))
    ids = select(other.c.version_id).join_from(own, other, same).where(own.c.version_id == version.id)
    one, dataset = schema.dataset_version.c, schema.dataset.c
    found = all_versions().where(one.id.in_(ids), one.id != version.id, dataset.org_id == version.org_id, one.state.in_(WITH_TILES))
    return found.order_by(one.created_ns.desc(), one.id)


def _is_same(other: Mapping[str, Any], own: Mapping[str, Any], *, within: bool) -> bool:
    return _content(other) == _content(own) and (not within or _files(other) == _files(own))


def _content(manifest: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    return sorted(
        (layer["kind"], layer.get("boxes_sha256", ""), *(layer["quantities"].get(name, 0) for name in MEASURED))
        for layer in manifest.get("layers", ())
        if layer["cells"]
    )


def _files(manifest: Mapping[str, Any]) -> Sequence[str]:
    return sorted(source["sha256"] for source in manifest.get("sources", ()))


def _manifest(conn: Connection, version: Version) -> Mapping[str, Any]:
    column = schema.dataset_version.c
    written: Mapping[str, Any] = json.loads(conn.execute(select(column.manifest).where(column.id == version.id)).scalar() or "{}")
    return written
