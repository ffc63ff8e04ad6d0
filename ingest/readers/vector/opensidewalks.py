"""OpenSidewalks data sets: a folder of GeoJSON collections called by their endings, schema 0.2 and 0.3.

Names count only by what they end with (`wa.microsoft.graph.nodes.OSW.geojson`, `UW.zones.geojson`); what a desktop left in a zip is
passed over. A bad feature is a finding and the other thousands come in. Licence, timestamp and schema of a collection travel in
`Batch.meta`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ingest.findings import beside, info, warning
from ingest.formats import is_junk
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.vector.geojson import Rows, crs_of, stated_beside, texts_of
from ingest.readers.vector.json_stream import Stream, head_members, tail_members
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from mapex.rules.licences import stated_in
from tiles.batch import Batch, Content, LayerKind

_PART = re.compile(r"(?:^|[._-])(nodes|edges|points|lines|zones|polygons)(?:\.osw)?\.(?:geo)?json$", re.IGNORECASE)
_SCHEMA = re.compile(r"opensidewalks/(\d+\.\d+)", re.IGNORECASE)
_KNOWN = ("0.1", "0.2", "0.3")
_ORDER = ("nodes", "edges", "points", "lines", "zones", "polygons")


class OpenSidewalks:
    """The reader of OpenSidewalks data sets, unpacked."""

    format = "opensidewalks"
    layer = "sidewalks"
    kind = LayerKind.SIDEWALK
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """Which parts there are, and what their collections state of themselves."""
        parts = parts_of(source)
        members = {name: {**tail_members(path), **head_members(path)} for name, path in parts}
        stated, unclear = crs_of(*members.values())
        placed = resolve.resolve(None, given, note=unclear) if unclear else resolve.resolve(stated or "OGC:CRS84", given)
        found = resolve.findings(placed, file=source.name)
        versions = sorted({version for one in members.values() if (version := _version(one))})
        for version in versions:
            if version not in _KNOWN:
                text = f"{source.name} names OpenSidewalks schema {version}, which is newer than what is known here."
                found.append(info("osw.schema", text, "Check the kinds on the map.", file=source.name, value=version))
        if "nodes" not in {name for name, _ in parts} and "edges" in {name for name, _ in parts}:
            text = f"{source.name} has edges but no nodes; its graph is not complete."
            found.append(warning("osw.no_nodes", text, "Upload the nodes file too.", file=source.name))
        details = {key: value for one in members.values() for key, value in texts_of(one).items()}
        about = {**details, "schema": " ".join(versions)}
        layers = tuple(name for name, _ in parts)
        return Survey(self.format, layers, None, placed, None, tuple(found), about, stated_in(details.values()))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All parts: nodes first, so that edges can be checked against them."""
        nodes: set[str] = set()
        for name, path in parts_of(source):
            meta = texts_of({**tail_members(path), **head_members(path)})
            rows = Rows(name, placed.crs or "", source.name, meta, kind=LayerKind.SIDEWALK)
            for entry in rows.of(Stream(path), osm=True):
                if isinstance(entry, Finding):
                    yield entry
                    continue
                if name == "nodes":
                    nodes.update(entry.table.column("feature_id").to_pylist())
                    entry = _as_nodes(entry)  # noqa: PLW2901 - the same batch with its kinds
                elif name in ("edges", "zones") and nodes:
                    yield from _dangling(entry, nodes, source.name)
                yield entry
            yield from rows.findings()
            yield from beside(stated_beside(meta), file=source.name)


def parts_of(source: Source) -> list[tuple[str, Path]]:
    """(part name, path) of each collection, nodes before edges. Raises: Invalid: `osw.no_parts`."""
    found = []
    for path in source.files:
        inside = source.label(path)
        match = None if is_junk(inside) else _PART.search(inside)
        if match is not None:
            found.append((match.group(1).lower(), path))
    if not found and len(source.files) == 1:
        found = [(_part_by_content(source.files[0]), source.files[0])]  # one file whose `$schema` states that it is OpenSidewalks
    if not found:
        text = f"{source.name} has no file that ends in .nodes.geojson, .edges.geojson, .points.geojson or .zones.geojson."
        raise Invalid("osw.no_parts", text, file=source.name)
    return sorted(found, key=lambda part: (_ORDER.index(part[0]), str(part[1])))


def _part_by_content(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(65536)
    return "edges" if b'"_u_id"' in head else "zones" if b'"_w_id"' in head else "nodes"


def _version(members: dict[str, Any]) -> str:
    match = _SCHEMA.search(str(members.get("$schema", "")))
    return match.group(1) if match else ""


def _as_nodes(batch: Batch) -> Batch:
    """A plain node of the graph is a `node`; one with tags of its own (a kerb) stays what it is."""
    kinds = batch.table.column("kind").combine_chunks()
    named = pc.if_else(pc.equal(kinds, "other"), "node", kinds)
    table = batch.table.set_column(batch.table.column_names.index("kind"), "kind", named)
    return Batch(batch.content, batch.layer, batch.kind, table, batch.crs, batch.meta)


def _dangling(batch: Batch, nodes: set[str], file: str) -> Iterator[Finding]:
    """The findings about edges and zones whose nodes are missing."""
    for feature, members in zip(batch.table.column("feature_id").to_pylist(), batch.table.column("properties").to_pylist(), strict=True):
        properties = json.loads(members)
        ends = [properties.get("_u_id"), properties.get("_v_id")]
        around = properties.get("_w_id")
        named = [str(one) for one in (*ends, *(around if isinstance(around, list) else ())) if one is not None]
        missing = [one for one in dict.fromkeys(named) if one not in nodes]
        if missing:
            what = "Zone" if isinstance(around, list) else "Edge"
            text = f"{what} {feature} ends at {', '.join(missing[:5])}, which the nodes file does not hold."
            fix = "Upload the nodes and edges of the same export."
            yield warning("reference.dangling", text, fix, file=file, layer="sidewalks", feature=feature, value=missing[0])
