"""Quality of placed features: each rule is shown by the smallest thing that breaks it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
import shapely

from ingest.checks.quality import Quality
from ingest.placing.move import shapes_of
from mapex.catalogue.finding import Finding
from tiles.batch import Batch, Content, LayerKind


def a_batch(rows: list[tuple[str, str]], kind: str = "other", properties: list[dict[str, Any]] | None = None) -> Batch:
    table = pa.table(
        {
            "feature_id": [name for name, _ in rows],
            "kind": [kind] * len(rows),
            "geometry": pa.array([shapely.to_wkb(shapely.from_wkt(wkt), flavor="iso") if wkt else None for _, wkt in rows], pa.binary()),
            "properties": [json.dumps(p).replace('": ', '":') for p in (properties or [{}] * len(rows))],
        }
    )
    return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table)


def looked(quality: Quality, batch: Batch) -> list[Finding]:
    return list(quality.look(batch, shapes_of(batch.table.column("geometry"))))


def found(*rows: tuple[str, str]) -> list[tuple[str, str]]:
    return [(finding.code, finding.feature) for finding in looked(Quality(), a_batch(list(rows)))]


@pytest.mark.parametrize(
    ("code", "wkt"),
    [
        ("geometry.invalid", "POLYGON ((127 37, 127.001 37.001, 127.001 37, 127 37.001, 127 37))"),
        ("geometry.zero_length", "LINESTRING (127 37, 127 37)"),
        ("height.implausible", "POINT Z (127 37 -9999)"),
        ("height.implausible", "POINT Z (127 37 12000)"),
        ("height.jump", "LINESTRING Z (127 37 30, 127.0001 37 130)"),
        ("height.jump", "MULTILINESTRING Z ((127 37 3, 127 37.01 3), (127 37 30, 127.0001 37 130))"),
    ],
)
def test_what_is_odd_is_a_warning_with_its_feature_and_place(code: str, wkt: str) -> None:
    (finding,) = looked(Quality(), a_batch([("good", "LINESTRING Z (127 37 30, 127.001 37 31)"), ("bad", wkt)]))
    assert (finding.code, finding.feature, finding.severity, finding.rejected) == (code, "bad", "warning", 0)
    assert finding.lon == pytest.approx(127.0)


@pytest.mark.parametrize(
    "wkt",
    [
        "LINESTRING (127 37, 127.5 37)",  # one long segment is a bridge or a coarse line, not a jump
        "LINESTRING Z (127 37 5, 127 37 9)",  # a signal post stands upright
        "POLYGON ((127 37, 127.001 37, 127.001 37.001, 127 37))",
        "POINT Z (127 37 -23)",  # below the ellipsoid at the sea
        "LINESTRING (127 37, 127.001 37, 127.002 37)",
    ],
)
def test_what_is_right_gives_no_finding(wkt: str) -> None:
    assert found(("a", wkt)) == []


def test_the_same_id_twice_is_found_across_batches() -> None:
    quality = Quality("map.gpkg")
    point = "POINT (127 37)"
    assert looked(quality, a_batch([("a", point), ("b", point)])) == []
    for _ in range(5):
        again = looked(quality, a_batch([("c", point), ("a", point), ("c", point)]))
        assert {f.feature for f in again} >= {"a"}
    assert {f.code for f in again} == {"id.duplicate"}


def test_many_alike_are_reported_by_examples_and_a_count() -> None:
    answer = looked(Quality(), a_batch([("same", "POINT (127 37)")] * 100))
    assert sum(f.count for f in answer) == 99
    assert len(answer) < 30


def links(*ends: tuple[str, str, str]) -> list[Finding]:
    quality = Quality("A2_LINK.shp")
    nodes = a_batch([("N1", "POINT (127 37)"), ("N2", "POINT (127.001 37)")], "node", [{"NodeType": "1"}] * 2)
    lines = [(name, "LINESTRING (127 37, 127.001 37)") for name, _, _ in ends]
    answer = [{"FromNodeID": start, "ToNodeID": end} for _, start, end in ends]
    return [*looked(quality, nodes), *looked(quality, a_batch(lines, "lane_centre", answer)), *quality.finish()]


def test_links_that_end_nowhere_or_run_backwards_are_found() -> None:
    answer = links(("right", "N1", "N2"), ("back", "N2", "N1"), ("lost", "N1", "N9"))
    assert [(f.code, f.feature, f.value) for f in answer] == [("reference.dangling", "lost", "N9"), ("link.reversed", "back", "N2 -> N1")]


def test_links_delivered_without_nodes_are_not_judged() -> None:
    quality = Quality()
    batch = a_batch([("L", "LINESTRING (127 37, 127.001 37)")], "lane_centre", [{"FromNodeID": "N1", "ToNodeID": "N2"}])
    assert [*looked(quality, batch), *quality.finish()] == []
