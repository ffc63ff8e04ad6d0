"""The words for a reader that fails name whose fault it is: a limit, the machine, mapex; never the file for a crash."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ingest.cage import faults
from ingest.cage.child import Ending, Limits
from ingest.cage.exits import EXIT_BUG
from ingest.conversion.convert import failure
from ingest.formats import READERS
from ingest.readers.sniff import reader
from ingest.tasks import program
from tests.support.reader_examples import MADE

BLAMES = ("correct the file", "damaged", "made to break", "another program")


class PanicException(BaseException):  # noqa: N818 - as lazrs calls its own
    """What a library in Rust raises."""


CASES = [(name, step) for name in sorted(READERS) for step in ("survey", "read") if (name, step) != ("las", "read")]  # LAS is cut whole


@pytest.mark.parametrize(("name", "step"), CASES)
@pytest.mark.parametrize("why", [IndexError("list index out of range"), PanicException("byte 7"), SystemError("negative size")])
def test_unexpected_end_of_any_reader_is_called_a_fault_of_mapex(
    name: str, step: str, why: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MADE[name]
    path = made.make(tmp_path)

    def fail(*_: Any, **__: Any) -> Any:
        raise why

    monkeypatch.setattr(type(reader(name)), step, fail)
    lines: list[Mapping[str, Any]] = []
    (tmp_path / "out").mkdir()
    sources = {"reads": [str(path)], "sources": [{"name": path.name, "part": 0}], "step": 1}
    request = {"do": "convert", "writes": str(tmp_path / "out"), **sources}
    assert program._do({**request, "placement": made.placement.as_json()}, lines.append) == EXIT_BUG
    (failed,) = [line["failed"] for line in lines if "failed" in line]
    finding = failure(failed, path.name, "Traceback ...")
    assert (finding.code, finding.value.split()[0]) == ("reader.failed", type(why).__name__)
    assert "a fault of mapex, not of the file" in finding.message
    assert "operator" in finding.fix
    assert not any(word in f"{finding.message} {finding.fix}".lower() for word in BLAMES)


def ended(*, status: int = 1, killed_by: int | None = None, limit: str = "", stderr: str = "") -> Ending:
    return Ending(status, killed_by, limit, False, 1.0, stderr)


@pytest.mark.parametrize("killed_by", [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, None])
def test_crash_is_a_fault_of_mapex_with_a_number_that_the_log_has_too(killed_by: int | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        finding = faults.finding_of(ended(killed_by=killed_by, stderr="trace"), "a.pcd", Limits())
    what, _, number = finding.value.rpartition(" ")
    assert what == (signal.Signals(killed_by).name if killed_by else "status 1")
    assert "a fault of mapex, not of the file" in finding.message
    assert number in finding.fix and number in caplog.text and "trace" in caplog.text
    assert not any(word in f"{finding.message} {finding.fix}".lower() for word in BLAMES)
    again = faults.finding_of(ended(killed_by=killed_by, stderr="trace"), "b.pcd", Limits())
    assert again.value == finding.value
    assert faults.finding_of(ended(killed_by=killed_by, stderr="another"), "a.pcd", Limits()).value != finding.value


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM])
def test_end_from_outside_is_nobody_elses_fault(killed_by: int) -> None:
    finding = faults.finding_of(ended(killed_by=killed_by), "a.pcd", Limits())
    assert (finding.code, finding.value) == ("reader.ended", signal.Signals(killed_by).name)
    assert not any(word in f"{finding.message} {finding.fix}".lower() for word in (*BLAMES, "mapex"))


@pytest.mark.parametrize("limit", ["cpu", "memory", "time", "output"])
def test_each_limit_has_its_own_sentence(limit: str) -> None:
    finding = faults.finding_of(ended(killed_by=signal.SIGABRT, limit=limit), "a.pcd", Limits())
    assert finding.code == f"reader.limit_{limit}"
    assert "mapex" not in finding.message
