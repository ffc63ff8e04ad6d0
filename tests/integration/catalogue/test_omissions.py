"""A bad file is left out of an upload that is there already; what it was sent with goes on without it, and nothing is sent again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapex.audit import log
from mapex.catalogue import datasets, omissions, requests
from mapex.catalogue.finding import Finding, Severity
from mapex.database import db, schema
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs, staged
from mapex.people.persons import actor_of
from tests.support.exchange import a_person, an_exchange
from tests.support.tampering import broken
from tests.support.uploads import a_map, a_version, ingest, work


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


BAD = b"\x00" * 400


def error(file: str) -> Finding:
    return Finding(Severity.ERROR, "format.unknown", "No reader knows it.", "Leave it out.", file=file)


@pytest.mark.parametrize(
    ("names", "blamed", "at_fault"),
    [
        (["a.osm", "bad.laz"], ["bad.laz"], ("bad.laz",)),
        (["a.osm", "bad.laz", "c.zip"], ["bad.laz", "c.zip/inner.osm", "bad.laz"], ("bad.laz", "c.zip")),
        (["a.osm", "r.shp", "r.dbf", "r.prj", "s.prj"], ["r.dbf"], ("r.shp", "r.dbf", "r.prj")),
        (["a.osm", "bad.laz"], ["bad.laz", ""], ()),  # an error of the whole
        (["a.osm", "bad.laz"], ["bad.laz", "40 photos"], ()),
        (["bad.laz"], ["bad.laz"], ()),  # nothing would be left
        (["bad.laz", "README.md"], ["bad.laz"], ()),
        (["a.osm"], [], ()),
    ],
)
def test_files_at_fault_are_those_that_errors_name(names: list[str], blamed: list[str], at_fault: tuple[str, ...]) -> None:
    assert omissions.at_fault(names, [error(file) for file in blamed]) == at_fault


def test_only_errors_blame_a_file() -> None:
    mild = [Finding(severity, "x", "X.", "", file="b.osm") for severity in Severity if severity != Severity.ERROR]
    assert omissions.at_fault(["a.osm", "b.osm", "c.osm"], [*mild, error("c.osm")]) == ("c.osm",)


def test_a_rejected_version_goes_on_without_the_file_at_fault(ex: Exchange) -> None:
    actor, version, _ = a_version(ex, {"good.geojson": a_map(4), "bad.laz": BAD})
    work(ex)
    before = datasets.describe(ex, actor, "seoul", 1)
    assert (before.version.state, before.at_fault) == ("rejected", ("bad.laz",))
    with db.read(ex) as conn:
        uploads_before = conn.execute(schema.upload.select()).all()
    job, out = requests.leave_out(ex, actor, "seoul", 1, before.at_fault)
    assert out == ("bad.laz",)
    assert not broken(ex), "fsck agrees while it is read again"
    work(ex)
    done = datasets.describe(ex, actor, "seoul", 1)
    assert (done.version.state, done.version.number, done.version.id) == ("draft", 1, version.id)
    assert (done.files, done.version.left_out, done.at_fault) == (["good.geojson"], ("bad.laz",), ())
    assert done.layers[0].facts.counts.placed == 4
    assert not any(finding.file == "bad.laz" for finding in done.findings)
    with db.read(ex) as conn:
        assert conn.execute(schema.upload.select()).all() == uploads_before, "nothing was sent again"
    [entry] = log.events(ex, a_person(ex, role="auditor"), log.EventFilter(action="version.reduced")).events
    assert (entry.payload["left_out"], entry.payload["files"], entry.payload["job"]) == (["bad.laz"], 1, job.id)
    assert not broken(ex)


def test_files_are_left_out_step_by_step(ex: Exchange) -> None:
    actor, _, _ = a_version(ex, {"good.geojson": a_map(4), "bad.laz": BAD, "worse.las": BAD})
    work(ex)
    for name in ("bad.laz", "worse.las"):
        requests.leave_out(ex, actor, "seoul", 1, [name])
        work(ex)
    done = datasets.describe(ex, actor, "seoul", 1)
    assert (done.version.state, done.version.left_out) == ("draft", ("bad.laz", "worse.las"))


@pytest.mark.parametrize(
    ("names", "code"),
    [(["other.laz"], "version.no_such_file"), ([], "version.no_such_file"), (["good.geojson", "bad.laz"], "version.nothing_left")],
)
def test_what_cannot_be_left_out_is_refused_and_changes_nothing(ex: Exchange, names: list[str], code: str) -> None:
    done = ingest(ex, {"good.geojson": a_map(4), "bad.laz": BAD})
    actor = _seller(ex, done)
    with pytest.raises(Invalid) as refused:
        requests.leave_out(ex, actor, "seoul", 1, names)
    assert refused.value.code == code
    assert datasets.describe(ex, actor, "seoul", 1) == done


def test_a_draft_keeps_its_files(ex: Exchange) -> None:
    done = ingest(ex, {"a.geojson": a_map(4), "b.geojson": a_map(5)})
    with pytest.raises(Conflict) as refused:
        requests.leave_out(ex, _seller(ex, done), "seoul", 1, ["a.geojson"])
    assert refused.value.code == "version.not_open"


def test_files_that_are_gone_are_not_offered(ex: Exchange) -> None:
    done = ingest(ex, {"good.geojson": a_map(4), "bad.laz": BAD})
    actor = _seller(ex, done)
    staged.remove_unneeded(ex, schema.upload.c.name == "good.geojson")
    assert datasets.describe(ex, actor, "seoul", 1).at_fault == ()
    with pytest.raises(Conflict) as refused:
        requests.leave_out(ex, actor, "seoul", 1, ["bad.laz"])
    assert refused.value.code == "version.files_gone"


def test_a_stranger_leaves_nothing_out(ex: Exchange) -> None:
    ingest(ex, {"good.geojson": a_map(4), "bad.laz": BAD})
    with pytest.raises(NotFound):
        requests.leave_out(ex, a_person(ex, "dongil"), "seoul", 1, ["bad.laz"])


def _seller(ex: Exchange, done: datasets.Description) -> Actor:
    assert isinstance(done.job, jobs.Job)
    return actor_of(ex, done.job.person_id)
