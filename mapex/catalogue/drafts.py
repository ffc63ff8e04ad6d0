"""Storing what an ingest job made: layers, tiles, findings and manifest of a version, in one fenced transaction."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from operator import attrgetter
from typing import Any

import rfc8785
from sqlalchemy import Column, Connection, delete, func, insert, select, update

from mapex import ids
from mapex.audit import log
from mapex.catalogue import comparisons
from mapex.catalogue.draft import Draft, DraftLayer, DraftPreview, LayerFacts
from mapex.catalogue.finding import Finding, Severity
from mapex.catalogue.versions import Layer, Version, find_version, layers_of, own_dataset, version_by
from mapex.database import db, failpoints, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs
from mapex.intake.keys import object_key, preview_key
from mapex.rules import bounds, licences
from mapex.rules.licences import HandlingClass
from tiles.batch import QUANTITIES, EncodedTile, Quantities

ALL_LAYERS = "*"
"""Key of `classes` that stands for every layer without a class of its own."""

CHUNK = 2000
"""Tile rows that are sent at once; memory does not grow with the number of tiles."""

MAX_TEXT = 4000

_ACTIONS = {
    "draft": log.Action.VERSION_DRAFTED,
    "rejected": log.Action.VERSION_REJECTED,
    "unplaced": log.Action.VERSION_UNPLACED,
}
_vector = attrgetter(*QUANTITIES)  # dataclasses.astuple copies deeply: three quarters of the time of a large draft


def store_draft(ex: Exchange, job: jobs.Job, draft: Draft) -> Version:
    """Store the result of an ingest job and end the job, both or neither.

    The version becomes `draft`, `rejected` (an error among the findings) or `unplaced`. Killed before the commit, nothing is there and
    the next attempt does it again with the same manifest; called again after it, the same claim gets the same answer.

    Raises: jobs.Lost, jobs.Cancelled: nothing is stored. Invalid (`draft.counts`, `draft.tiles`): the numbers contradict each other.
    """
    with db.begin(ex) as conn:
        if jobs.is_done(conn, job):
            return version_by(conn, schema.dataset_version.c.id == job.version_id)
        jobs.fence(conn, job)
        version = version_by(conn, schema.dataset_version.c.id == job.version_id)
        if version.state != "ingesting":
            raise Conflict(
                "version.not_ingesting",
                f"Version {version.number} of {version.dataset} is {version.state}; only one that is read can be drafted.",
                state=version.state,
            )
        findings = [*draft.findings, *_class_findings(version.classes, draft.layers)]
        clear(conn, version.id)
        layer_ids = _insert_layers(conn, version, draft.layers)
        state = _state(draft, findings)
        if state == "draft" and (problems := _insert_content(conn, version, layer_ids, draft)):
            state = "rejected"
            findings += problems
        _insert_findings(conn, version.id, findings)
        # Strangers read the manifest too, so files have numbers there; the owner finds their names, in this order, in `Description.files`.
        sources = [{"source": n, "sha256": s.sha256, "size": s.size, "format": s.format} for n, s in enumerate(draft.sources, 1)]
        summary = {severity: sum(f.count for f in findings if f.severity == severity) for severity in ("error", "warning", "info")}
        summary |= {"question": asked} if (asked := sum(f.count for f in findings if f.severity == "question")) else {}
        digest = write_manifest(conn, version, {"sources": sources, "findings": summary, "tools": dict(sorted(draft.tools.items()))})
        conn.execute(update(schema.dataset_version).where(schema.dataset_version.c.id == version.id).values(state=state))
        about: dict[str, Any] = {"version": version.number, "job": job.id, "manifest_sha256": digest, "findings": summary}
        about |= {"changes_sha256": changes} if (changes := comparisons.digest(conn, version.id)) else {}
        log.append(conn, ex, None, log.AuditEntry(_ACTIONS[state], owner=version.org, dataset=version.dataset, details=about))
        jobs.finish_in(conn, ex, job)
        failpoints.hit("draft.before_commit")
    failpoints.hit("draft.after_commit")
    with db.read(ex) as conn:
        return version_by(conn, schema.dataset_version.c.id == version.id)


def classify(ex: Exchange, by: Actor, dataset: str, number: int, classes: Mapping[str, str]) -> Sequence[Layer]:
    """Give layers of an own draft a handling class (`*` = all that are not named). Footage stays `original`.

    Raises: Denied, NotFound, Invalid (`class.unknown`, `layer.unknown`), Conflict (`version.not_draft`).
    """
    for handling_class in classes.values():
        licences.check_class(handling_class)
    with act(ex, by) as conn:
        found = own_dataset(conn, by, dataset)
        version = find_version(conn, by, f"{found.org}/{found.slug}", number)
        if version.state != "draft":
            raise Conflict(
                "version.not_draft", f"Version {number} of {dataset} is {version.state}; only a draft changes.", state=version.state
            )
        layers = layers_of(conn, version.id)
        unknown = classes.keys() - {ALL_LAYERS, *(layer.name for layer in layers)}
        if unknown:
            raise Invalid("layer.unknown", f"Version {number} has no layer {', '.join(sorted(unknown))}.", layers=sorted(unknown))
        for layer in layers:
            asked = classes.get(layer.name, classes.get(ALL_LAYERS, layer.handling_class))
            raised = _class_of(asked, is_footage=layer.facts.footage, is_cleared=layer.facts.cleared is not None)
            conn.execute(update(schema.layer).where(schema.layer.c.id == layer.id).values(handling_class=raised))
        digest = _rewrite_manifest(conn, version)
        about: dict[str, Any] = {"version": number, "classes": dict(classes), "manifest_sha256": digest}
        log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_CLASSIFIED, dataset=found.slug, details=about))
        return layers_of(conn, version.id)


def clear_footage(
    conn: Connection, ex: Exchange, by: Actor | None, version: Version, layer: str, evidence: str, details: Mapping[str, Any]
) -> None:
    """Note that the footage of a draft was proven free of people and plates, in the caller's transaction: it becomes `pseudonymised`.

    Until then, footage is `original` whatever its seller asks for; after it, it can be `pseudonymised` or `original`, never less. It is a
    review that proves it (`mapex.offers.reviews`).

    Args:
        layer: its name.
        evidence: what was examined and by whom; goes into the log and the manifest.
        details: what else goes into the log.
    Raises: Conflict (`version.not_draft`), Invalid (`footage.none`).
    """
    version = version_by(conn, schema.dataset_version.c.id == version.id)
    if version.state != "draft":
        message = f"Version {version.number} of {version.dataset} is {version.state}; only a draft changes."
        raise Conflict("version.not_draft", message, state=version.state)
    found = next((one for one in layers_of(conn, version.id) if one.name == layer), None)
    if found is None or not found.facts.footage:
        raise Invalid("footage.none", f"Version {version.number} of {version.dataset} has no layer {layer!r} with footage.", layer=layer)
    about = _about(replace(found.facts, cleared=evidence))
    values = {"about": about, "handling_class": str(HandlingClass.PSEUDONYMISED)}
    conn.execute(update(schema.layer).where(schema.layer.c.id == found.id).values(**values))
    digest = _rewrite_manifest(conn, version)
    stated: dict[str, Any] = {"version": version.number, "evidence": evidence, "manifest_sha256": digest, **details}
    entry = log.AuditEntry(log.Action.FOOTAGE_CLEARED, owner=version.org, dataset=version.dataset, layer=layer, details=stated)
    log.append(conn, ex, by, entry)


def _state(draft: Draft, findings: Sequence[Finding]) -> str:
    if any(finding.severity == "error" for finding in findings):
        return "rejected"
    return "unplaced" if draft.unplaced else "draft"


def _class_of(asked: str | None, *, is_footage: bool, is_cleared: bool = False) -> str | None:
    """Footage is `original` whatever was asked for: only a proof that it shows nobody (`clear_footage`) lowers it, to `pseudonymised`."""
    if is_footage and not is_cleared:
        return str(HandlingClass.ORIGINAL)
    if is_footage and asked != HandlingClass.ORIGINAL:
        return str(HandlingClass.PSEUDONYMISED)
    return asked


def _class_findings(classes: Mapping[str, str], layers: Sequence[DraftLayer]) -> Iterator[Finding]:
    for layer in layers:
        asked = classes.get(layer.name, classes.get(ALL_LAYERS))
        if layer.facts.footage and asked not in (None, HandlingClass.ORIGINAL):
            yield Finding(
                Severity.INFO,
                "class.raised",
                f"Layer {layer.name} may show people and plates, so it is handled as original, not {asked}; buyers need a permit.",
                "Nothing, or upload it without pictures.",
                layer=layer.name,
                value=str(asked),
            )
    for name in sorted(classes.keys() - {ALL_LAYERS, *(layer.name for layer in layers)}):
        yield Finding(
            Severity.WARNING,
            "class.layer_unknown",
            f"A class was given for a layer {name}, but there is none.",
            "Check the name.",
            layer=name,
        )


def clear(conn: Connection, version_id: str) -> None:
    """Remove what an earlier ingest of a version that was never on sale left."""
    layer = schema.layer.c
    of_it = select(layer.id).where(layer.version_id == version_id)
    _clear_tiles(conn, version_id)
    comparisons.clear(conn, version_id)
    conn.execute(delete(schema.preview).where(schema.preview.c.layer_id.in_(of_it)))
    conn.execute(delete(schema.layer).where(layer.version_id == version_id))
    conn.execute(delete(schema.finding).where(schema.finding.c.version_id == version_id))


def _clear_tiles(conn: Connection, version_id: str) -> None:
    of_it = select(schema.layer.c.id).where(schema.layer.c.version_id == version_id)
    conn.execute(delete(schema.tile).where(schema.tile.c.layer_id.in_(of_it)))


def _insert_layers(conn: Connection, version: Version, layers: Sequence[DraftLayer]) -> dict[str, str]:
    layer_ids: dict[str, str] = {}
    for layer in layers:
        facts = layer.facts
        if not facts.counts.balance or layer.name in layer_ids:
            counts = ", ".join(f"{name} {value}" for name, value in asdict(facts.counts).items())
            raise Invalid("draft.counts", f"Layer {layer.name} does not add up: {counts}.", layer=layer.name)
        layer_ids[layer.name] = ids.new("lay")
        asked = version.classes.get(layer.name, version.classes.get(ALL_LAYERS))
        conn.execute(
            insert(schema.layer).values(
                id=layer_ids[layer.name],
                version_id=version.id,
                name=layer.name,
                kind=str(layer.kind),
                content=str(layer.content),
                handling_class=_class_of(asked, is_footage=facts.footage),
                about=_about(facts),
            )
        )
    return layer_ids


def _about(facts: LayerFacts) -> str:
    """The facts of a layer as its row keeps them."""
    return json.dumps(facts.as_json(), ensure_ascii=False, sort_keys=True)


def _insert_content(conn: Connection, version: Version, layer_ids: Mapping[str, str], draft: Draft) -> list[Finding]:
    """Store tiles, sums and previews; returns why they cannot be published, if so."""
    if immense := bounds.too_large(_insert_tiles(conn, version, layer_ids, draft.tiles)):
        _clear_tiles(conn, version.id)
        return [_immense(*one) for one in immense]
    _sum_up(conn, draft.layers, layer_ids)
    _insert_previews(conn, version, layer_ids, draft.previews)
    comparisons.store(conn, layer_ids, draft.changes)
    if any(layer.cells for layer in layers_of(conn, version.id)):
        return []
    return [Finding(Severity.ERROR, "version.empty", "Nothing in the files has a place.", "Upload files with content.")]


def _insert_tiles(conn: Connection, version: Version, layer_ids: Mapping[str, str], tiles: Iterable[EncodedTile]) -> dict[str, Quantities]:
    """Store the tiles; returns what they measure by layer. A layer that becomes larger than a layer can be gets no more of them."""
    measured: dict[str, list[int]] = {}

    def fits(tile: EncodedTile) -> bool:
        totals = measured.setdefault(tile.layer, [0] * len(QUANTITIES))
        totals[:] = map(operator.add, totals, _vector(tile.quantities))
        return max(totals) <= bounds.MAX_QUANTITY

    rows = (_tile_row(version.org_id, layer_ids, tile) for tile in tiles if fits(tile))
    while chunk := list(islice(rows, CHUNK)):
        conn.execute(insert(schema.tile), chunk)
    return {layer: Quantities(*totals) for layer, totals in measured.items()}


def _immense(layer: str, quantity: str, value: int) -> Finding:
    return Finding(
        Severity.ERROR,
        "quantity.too_large",
        f"The layer {layer} measures {value:,} ({quantity}); no layer can have more than {bounds.MAX_QUANTITY:,}.",
        "Look for lines that run to and fro, times that are wrong, or records that repeat; mend them and upload again.",
        layer=layer,
        value=f"{quantity} {value}",
    )


def _tile_row(org_id: str, layer_ids: Mapping[str, str], tile: EncodedTile) -> dict[str, Any]:
    if tile.layer not in layer_ids or not 0 <= tile.cell < 4**16:
        raise Invalid("draft.tiles", f"Tile {tile.cell} of layer {tile.layer!r} belongs to no layer or is outside of the grid.")
    west, south, east, north = tile.bbox
    return {
        "layer_id": layer_ids[tile.layer],
        "cell": tile.cell,
        "part": tile.part,
        "object_key": object_key(org_id, tile.sha256),
        "sha256": tile.sha256,
        "media_type": tile.media_type,
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        **dict(zip(QUANTITIES, _vector(tile.quantities), strict=True)),
    }


def _insert_previews(conn: Connection, version: Version, layer_ids: Mapping[str, str], previews: Sequence[DraftPreview]) -> None:
    rows = [
        {
            "layer_id": layer_ids[preview.layer],
            "kind": preview.kind,
            "ordinal": preview.ordinal,
            "object_key": preview_key(version.org_id, preview.sha256) if preview.sha256 else None,
            "sha256": preview.sha256,
            "media_type": preview.media_type,
            "bytes": preview.size,
            "about": json.dumps(preview.about, ensure_ascii=False, sort_keys=True),
        }
        for preview in previews
        if preview.layer in layer_ids
    ]
    if rows:
        conn.execute(insert(schema.preview), rows)


def _sum_up(conn: Connection, layers: Sequence[DraftLayer], layer_ids: Mapping[str, str]) -> None:
    """Fill the sums of each layer, and check that its tiles own exactly the records that were placed."""
    tile = schema.tile.c
    for layer in layers:
        layer_id = layer_ids[layer.name]
        sums = [func.coalesce(func.sum(tile[name]), 0).label(name) for name in QUANTITIES]
        row = conn.execute(select(func.count(tile.cell.distinct()).label("cells"), *sums).where(tile.layer_id == layer_id)).mappings().one()
        owned = Quantities(**{name: int(row[name]) for name in QUANTITIES}).owned(layer.content)
        placed = layer.facts.counts.placed
        if owned != placed:
            message = f"Layer {layer.name} placed {placed} {layer.content}, but its tiles own {owned}; nothing was stored."
            raise Invalid("draft.counts", message, layer=layer.name, placed=placed, owned=owned)
        values = {name: int(row[name]) for name in ("cells", *QUANTITIES)}
        conn.execute(update(schema.layer).where(schema.layer.c.id == layer_id).values(**values))


def _insert_findings(conn: Connection, version_id: str, findings: Sequence[Finding]) -> None:
    texts = ("file", "layer", "feature", "value", "message", "fix")
    rows = [
        {
            "id": ids.new("fin"),
            "version_id": version_id,
            "ordinal": ordinal,
            "severity": str(finding.severity),
            "code": finding.code[:64],
            "lon": finding.lon,
            "lat": finding.lat,
            "count": finding.count,
            **{name: _storable(getattr(finding, name)) for name in texts},
        }
        for ordinal, finding in enumerate(findings)
    ]
    if rows:
        conn.execute(insert(schema.finding), rows)


def _storable(text: str) -> str:
    """Text of a file as every database takes it: no NUL, no half characters, not endless."""
    return str(text)[:MAX_TEXT].replace("\x00", "�").encode("utf-8", "replace").decode()


def write_manifest(conn: Connection, version: Version, given: Mapping[str, Any]) -> str:
    """Write the manifest of a version from its rows and what was `given`; nothing random, no time of day: made again, it is the same."""
    layers = [
        {
            "name": layer.name,
            "kind": str(layer.kind),
            "content": str(layer.content),
            "class": layer.handling_class,
            "about": layer.facts.as_json(),
            "cells": layer.cells,
            "quantities": dict(zip(QUANTITIES, _vector(layer.quantities), strict=True)),
            "tiles_sha256": tiles_digest(conn, layer.id),
            "boxes_sha256": boxes_digest(conn, layer.id),
        }
        for layer in layers_of(conn, version.id)
    ]
    whole = {"format": 1, "org": version.org, "dataset": version.dataset, "version": version.number, "layers": layers, **given}
    text = rfc8785.dumps(whole)
    digest = hashlib.sha256(text).hexdigest()
    is_it = schema.dataset_version.c.id == version.id
    conn.execute(update(schema.dataset_version).where(is_it).values(manifest=text.decode(), manifest_sha256=digest))
    return digest


def _rewrite_manifest(conn: Connection, version: Version) -> str:
    """Write the manifest of a draft again after its layers changed."""
    column = schema.dataset_version.c
    before = json.loads(conn.execute(select(column.manifest).where(column.id == version.id)).scalar_one())
    return write_manifest(conn, version, {name: before[name] for name in ("sources", "findings", "tools")})


def tiles_digest(conn: Connection, layer_id: str, quantities: Sequence[str] = QUANTITIES) -> str:
    """sha256 over one line a tile, in order of cell and part: `cell part sha256 media_type quantities...`."""
    tile = schema.tile.c
    return _digest(conn, layer_id, [tile.sha256, tile.media_type, *(tile[name] for name in quantities)])


def boxes_digest(conn: Connection, layer_id: str) -> str:
    """sha256 over one line a tile, in order of cell and part: `cell part west south east north`."""
    tile = schema.tile.c
    return _digest(conn, layer_id, [tile.west, tile.south, tile.east, tile.north])


def _digest(conn: Connection, layer_id: str, columns: Sequence[Column[Any]]) -> str:
    tile = schema.tile.c
    query = select(tile.cell, tile.part, *columns).where(tile.layer_id == layer_id).order_by(tile.cell, tile.part)
    digest = hashlib.sha256()
    for row in conn.execute(query):
        digest.update((" ".join(map(str, row)) + "\n").encode())
    return digest.hexdigest()
