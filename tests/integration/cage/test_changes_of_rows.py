"""Points and frames that a version adds and removes, through the cage; and answers of the cage that nobody believes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import laspy
import pytest

from ingest.conversion.comparison import Compared
from mapex.catalogue import differences
from mapex.exchange import Actor, Exchange
from mapex.offers import offers
from mapex.rules.accuracy import STEPS_MM
from tests.support.clouds import a_las
from tests.support.exchange import a_person, an_exchange
from tests.support.recordings import LAT, LON, T0, Recorder, fix, recorded
from tests.support.uploads import ingest


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


def publish(ex: Exchange, seller: Actor, files: Mapping[str, bytes], **rates: int) -> None:
    assert ingest(ex, files, by=seller, classes="open").version.state == "draft"
    offers.publish(ex, seller, "seoul", rate_card=rates, licence="research", confirmed=["rates.unusual"])


def test_points_are_there_or_not_whatever_their_order(ex: Exchange, tmp_path: Path) -> None:
    seller = a_person(ex, "hanbit")
    path = a_las(tmp_path / "cloud.las", 5000)
    publish(ex, seller, {"cloud.las": path.read_bytes()}, million_points=4000)
    cloud = laspy.read(path)
    cloud.points = cloud.points[list(range(4999, 9, -1))]  # ten points fewer, the others turned round
    cloud.intensity[0] += 1
    cloud.write(tmp_path / "less.las")
    publish(ex, seller, {"cloud.las": (tmp_path / "less.las").read_bytes()}, million_points=4000)
    (changes,) = differences.of(ex, seller, "seoul", 2).features.values()
    counts = changes.comparison.counts
    assert (counts.added, counts.removed, changes.unchanged) == (1, 11, 4989)


def test_records_of_a_recording_are_there_or_not(ex: Exchange, tmp_path: Path) -> None:
    seller = a_person(ex, "hanbit")

    def drive(count: int) -> bytes:
        def write(recorder: Recorder) -> None:
            for second in range(3, count):
                recorder.add("/fix", fix(T0 + second * 10**9, LON + second * 1e-5, LAT), T0 + second * 10**9)

        return recorded(tmp_path / f"drive{count}.mcap", write).read_bytes()

    publish(ex, seller, {"drive.mcap": drive(20)}, minute=600)
    publish(ex, seller, {"drive.mcap": drive(21)}, minute=600)
    (changes,) = differences.of(ex, seller, "seoul", 2).features.values()
    assert changes.comparison.counts.added == changes.comparison.counts.removed == 0, "no frame was recorded"
    assert set(changes.cells.values()) == {1}, "a message more is a change at every accuracy"


GOOD: Mapping[str, Any] = {"layer": "hdmap", "cell": 5, "others": True, "shift_um": 0, "added": 1, "removed": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"cell": 6},
        {"cell": "5"},
        {"others": 1},
        {"shift_um": -1},
        {"added": 2**60},
        {"moved": [0]},
        {"moved": [-1] * (len(STEPS_MM) + 1)},
        {"attributes": {"x" * 100: 1}},
        {"attributes": {"x": "many"}},
        {"examples": {"added": ["x"] * 100}},
        {"examples": []},
    ],
)
def test_an_answer_of_the_comparing_cage_that_cannot_be_is_refused(change: Mapping[str, Any]) -> None:
    found = Compared(frozenset([("hdmap", 5)]))
    found.take({"cell": {**GOOD, **change}})
    assert found.finding is not None and found.finding.code == "reader.bad_answer"
    assert found.cells == {}


def test_an_answer_of_the_comparing_cage_is_taken_once() -> None:
    found = Compared(frozenset([("hdmap", 5)]))
    found.take({"cell": GOOD})
    assert found.finding is None and found.cells["hdmap", 5].counts.added == 1
    found.take({"cell": GOOD})
    assert found.finding is not None
