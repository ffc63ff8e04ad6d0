"""The facts of a layer: what is stored stays readable, and what is read is stored as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mapex.catalogue.draft import Counts, LayerFacts
from mapex.intake.placement import Known
from tiles.box import Box

STORED = (
    '{"box": [127.1, 37.5, 127.2, 37.6], "captured": ["2026-11-23T04:06:06.000001Z", "2026-11-23T05:00:00Z"], '
    '"counts": {"placed": 7, "read": 10, "rejected": 1, "unplaced": 2}, "crs": "EPSG:5186", "crs_source": "given", "footage": true, '
    '"height_datum": "KVD1964", "height_source": "file", "note": "측량 note"}'
)
"""A row of an exchange of version 0.1, as its column `about` holds it."""

UNPLACED = (
    '{"box": null, "captured": null, "counts": {"placed": 0, "read": 4, "rejected": 0, "unplaced": 4}, "crs": null, "crs_source": "none", '
    '"footage": false, "height_datum": "unknown", "height_source": "none", "note": "", "own": [0.5, -1.0, 100.25, 7.0]}'
)

CLEARED = (
    '{"box": null, "captured": ["1677-09-21T00:12:43.145224Z", "2262-04-11T23:47:16.854775Z"], "cleared": "seen by two persons", '
    '"counts": {"placed": 1, "read": 1, "rejected": 0, "unplaced": 0}, "crs": "EPSG:4326", "crs_source": "file", "footage": true, '
    '"height_datum": "ellipsoid", "height_source": "guessed", "note": ""}'
)


@pytest.mark.parametrize("text", [STORED, UNPLACED, CLEARED])
def test_stored_row_is_read_and_written_without_a_change(text: str) -> None:
    facts = LayerFacts.from_json(json.loads(text))
    assert json.dumps(facts.as_json(), ensure_ascii=False, sort_keys=True) == text


def test_stored_row_is_typed() -> None:
    facts = LayerFacts.from_json(json.loads(STORED))
    assert facts == LayerFacts(
        counts=Counts(10, 7, 2, 1),
        box=Box(127.1, 37.5, 127.2, 37.6),
        crs="EPSG:5186",
        crs_source=Known.GIVEN,
        height_datum="KVD1964",
        height_source=Known.FILE,
        note="측량 note",
        footage=True,
        first_ns=1_795_406_766_000_001_000,
        last_ns=1_795_410_000_000_000_000,
    )
    assert LayerFacts.from_json({}) == LayerFacts()


def test_layer_of_two_sources_is_known_as_well_as_the_weaker() -> None:
    one = LayerFacts.from_json(json.loads(STORED))
    other = replace(
        one, box=Box(126.0, 37.55, 127.15, 38.0), crs="EPSG:5179", crs_source=Known.GUESSED, first_ns=None, last_ns=2**62, note="b"
    )
    both = one.with_source(other)
    assert both.counts == Counts(20, 14, 4, 2)
    assert both.box == (126.0, 37.5, 127.2, 38.0)
    assert (both.crs, both.crs_source, both.height_source) == ("several", Known.GUESSED, Known.FILE)
    assert (both.first_ns, both.last_ns, both.note) == (one.first_ns, 2**62, "측량 note; b")
