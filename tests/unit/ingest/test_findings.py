"""Findings are values that add up."""

from __future__ import annotations

from ingest.findings import FindingLog, blocks, error, info, warning
from mapex.catalogue.draft import Counts
from mapex.catalogue.finding import Severity


def test_counts_balance_only_when_nothing_is_lost() -> None:
    assert Counts(10, 7, 2, 1).balance
    assert not Counts(10, 7, 2, 0).balance
    assert Counts(1, 1, 0, 0) + Counts(2, 0, 1, 1) == Counts(3, 1, 1, 1)


def test_only_errors_block_publication() -> None:
    assert not blocks([info("a.b", "m"), warning("a.b", "m", "f")])
    assert blocks([info("a.b", "m"), error("a.b", "m", "f")])


def test_many_findings_of_one_kind_collapse_and_their_counts_still_sum() -> None:
    log = FindingLog(examples=3)
    for row in range(1000):
        log.add(error("x.y", f"row {row}", "", file="f", layer="l", feature=row, rejected=1))
    log.add(warning("x.y", "other severity", "", file="f", layer="l"))
    log.add(error("x.y", "other layer", "", file="f", layer="m"))
    found = log.all()
    assert len(found) == 5
    assert sum(f.count for f in found if f.layer == "l" and f.severity is Severity.ERROR) == 1000
    assert sum(f.rejected for f in found) == log.rejected == 1000
    assert found[0].feature == "0"


def test_errors_are_listed_first() -> None:
    log = FindingLog()
    for finding in (info("a.b", "1"), warning("a.b", "2", ""), error("a.b", "3", "")):
        log.add(finding)
    assert [str(f.severity) for f in log.all()] == ["error", "warning", "info"]


def test_json_of_a_finding_has_the_fields_of_the_tour() -> None:
    record = error("crs.none", "why", "do", file="f", layer="l", feature=7, lon=1.0, lat=2.0).as_json()
    assert {"severity", "code", "file", "layer", "feature", "message", "fix"} <= set(record)
    assert record["severity"] == "error"
    assert record["feature"] == "7"
