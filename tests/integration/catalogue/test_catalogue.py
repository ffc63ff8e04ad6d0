"""Datasets and versions: drafted as a whole or not at all, published as a whole, foreign ones absent."""

import hashlib
import json
from dataclasses import replace

import pytest
from sqlalchemy import event, func, select

from mapex.audit import log
from mapex.catalogue import datasets, drafts, publication, requests
from mapex.catalogue.draft import Counts, DraftLayer, LayerFacts
from mapex.catalogue.finding import Finding, Severity
from mapex.database import db, failpoints, schema
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs, keys, uploads
from mapex.intake.placement import Placement
from tests.support.exchange import a_claimed_job, a_draft, a_drafted_version, a_person, a_tile, an_upload, publish
from tiles.batch import Content, LayerKind, Quantities
from tiles.grid import grid

CELLS = [int(cell) for cell in grid.cells_at([127.0, 127.01, 127.02], [37.5, 37.5, 37.5])]


@pytest.fixture
def seller(exchange: Exchange) -> Actor:
    return a_person(exchange, "hanbit")


def actions(ex: Exchange, action: str) -> int:
    return len(log.events(ex, a_person(ex, role="auditor"), log.EventFilter(action=action)).events)


def answer(error: MapexError) -> tuple[str, str, dict[str, object]]:
    return error.code, error.message, error.details


# ---- start -------------------------------------------------------------------------------------------------------------------------


def test_a_dataset_is_made_once_and_then_found(exchange: Exchange, seller: Actor) -> None:
    made, is_new = datasets.create_dataset(exchange, seller, "seoul", "서울")
    again, is_new_again = datasets.create_dataset(exchange, seller, "seoul", "other")
    assert (is_new, is_new_again) == (True, False)
    assert made == again
    assert actions(exchange, "dataset.created") == 1


def test_two_firms_may_use_the_same_slug(exchange: Exchange, seller: Actor) -> None:
    other = a_person(exchange, "nuri")
    for by in (seller, other):
        datasets.create_dataset(exchange, by, "seoul")
        assert datasets.get_dataset(exchange, by, "seoul").org == by.org_slug


def test_version_job_and_event_come_together(exchange: Exchange, seller: Actor) -> None:
    datasets.create_dataset(exchange, seller, "seoul")
    upload = an_upload(exchange, seller)
    placement = Placement("EPSG:5186", (127.0, 37.5, 30.0), "KVD1964")
    version, job = requests.start_version(exchange, seller, "seoul", [upload.id], classes={"hdmap": "open"}, placement=placement)
    assert (version.number, version.state, version.classes, version.placement) == (1, "ingesting", {"hdmap": "open"}, placement)
    assert (job.state, job.version_id) == ("queued", version.id)
    task = requests.task_of(exchange, job)
    assert [(source.name, source.size, source.store_key) for source in task.sources] == [("map.osm", 6, upload.store_key)]
    assert actions(exchange, "version.started") == 1


def test_a_double_click_starts_one_version(exchange: Exchange, seller: Actor) -> None:
    datasets.create_dataset(exchange, seller, "seoul")
    upload = an_upload(exchange, seller)
    first = requests.start_version(exchange, seller, "seoul", [upload.id], classes="open")
    assert requests.start_version(exchange, seller, "seoul", [upload.id], classes="open") == first
    assert requests.start_version(exchange, seller, "seoul", [upload.id], classes="restricted")[0].number == 2


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"classes": "secret"}, "class.unknown"),
        ({"classes": {"../x": "open"}}, "layer.malformed"),
        ({"upload_ids": []}, "version.uploads"),
        ({"placement": Placement("EPSG:5186; rm")}, "placement.crs"),
        ({"placement": Placement(origin=(200.0, 0.0, 0.0))}, "placement.origin"),
        ({"placement": Placement(origin=(float("nan"), 0.0, 0.0))}, "placement.origin"),
        ({"placement": Placement(height_datum="\x00")}, "placement.height_datum"),
    ],
)
def test_requests_that_cannot_be_meant_are_refused(exchange: Exchange, seller: Actor, given: dict[str, object], code: str) -> None:
    datasets.create_dataset(exchange, seller, "seoul")
    values: dict[str, object] = {"upload_ids": [an_upload(exchange, seller).id], **given}
    with pytest.raises(Invalid) as refused:
        requests.start_version(exchange, seller, "seoul", **values)  # type: ignore[arg-type]
    assert refused.value.code == code


def test_open_aborted_and_foreign_uploads_cannot_be_used(exchange: Exchange, seller: Actor) -> None:
    datasets.create_dataset(exchange, seller, "seoul")
    waiting = uploads.stage(exchange, seller, "map.osm", 10)
    with pytest.raises(Conflict) as refused:
        requests.start_version(exchange, seller, "seoul", [waiting.id])
    assert refused.value.code == "upload.open"
    foreign = an_upload(exchange, a_person(exchange))
    for upload_id in (foreign.id, "upl_never"):
        with pytest.raises(NotFound) as absent:
            requests.start_version(exchange, seller, "seoul", [upload_id])
        assert absent.value.message == "There is no such upload."


def test_auditors_and_operators_sell_nothing(exchange: Exchange) -> None:
    for role in ("auditor", "operator"):
        with pytest.raises(Denied):
            datasets.create_dataset(exchange, a_person(exchange, role=role), "seoul")


# ---- draft -------------------------------------------------------------------------------------------------------------------------


def test_a_draft_is_stored_whole_with_its_sums_and_ends_its_job(exchange: Exchange, seller: Actor) -> None:
    tiles = [
        a_tile(CELLS[0], lane_mm=5),
        a_tile(CELLS[0], part=1, lane_mm=7),
        a_tile(CELLS[1], features=3),
        a_tile(CELLS[2], layer="sidewalks"),
    ]
    job = a_claimed_job(exchange, seller)
    version = drafts.store_draft(exchange, job, a_draft(tiles))
    found = datasets.describe(exchange, seller, "seoul", 1)
    assert version.state == "draft"
    assert [(layer.name, layer.cells, layer.handling_class) for layer in found.layers] == [("hdmap", 2, "open"), ("sidewalks", 1, "open")]
    assert found.layers[0].quantities == Quantities(lane_mm=12, features=5, bytes=300)
    assert found.layers[0].facts.counts == Counts(read=5, placed=5)
    assert jobs.get(exchange, seller, job.id).state == "done"
    assert datasets.coverage(exchange, seller, "seoul", 1) == {"hdmap": sorted(CELLS[:2]), "sidewalks": CELLS[2:]}
    assert actions(exchange, "version.drafted") == 1


def test_manifest_is_canonical_and_its_hash_is_the_versions(exchange: Exchange, seller: Actor) -> None:
    version = a_drafted_version(exchange, seller)
    text = datasets.manifest(exchange, seller, "seoul", 1)
    assert hashlib.sha256(text.encode()).hexdigest() == version.manifest_sha256
    read = json.loads(text)
    assert read["sources"] == [{"source": 1, "sha256": "0" * 64, "size": 6, "format": "lanelet2"}]
    assert read["tools"] == {"mapex": "1"}


def test_names_of_files_are_for_their_owner_and_in_no_manifest(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    with db.begin(exchange) as conn:
        publication.publish(conn, exchange, seller, "seoul")
    stranger, auditor = a_person(exchange, "others"), a_person(exchange, role="auditor")
    [name] = datasets.describe(exchange, seller, "seoul", 1).files
    assert name.endswith(".osm") and list(datasets.describe(exchange, auditor, "hanbit/seoul", 1).files) == [name]
    assert list(datasets.describe(exchange, stranger, "hanbit/seoul", 1).files) == []
    assert ".osm" not in datasets.manifest(exchange, stranger, "hanbit/seoul", 1)


def test_killed_before_the_commit_nothing_is_there_and_the_next_attempt_gives_the_same_manifest(
    exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = [a_tile(cell) for cell in CELLS]
    job = a_claimed_job(exchange, seller)
    monkeypatch.setenv("MAPEX_FAILPOINT", "draft.before_commit:raise")
    monkeypatch.setattr(failpoints, "_passed", {})
    with pytest.raises(failpoints.Failpoint):
        drafts.store_draft(exchange, job, a_draft(tiles))
    monkeypatch.delenv("MAPEX_FAILPOINT")
    with db.read(exchange) as conn:
        assert conn.execute(select(func.count()).select_from(schema.tile)).scalar() == 0
        assert conn.execute(select(func.count()).select_from(schema.layer)).scalar() == 0
    assert actions(exchange, "version.drafted") == 0
    exchange.now.forward(seconds=100)  # type: ignore[attr-defined]
    again = jobs.claim(exchange, "w2")
    assert again is not None
    first = drafts.store_draft(exchange, again, a_draft(tiles[::-1]))
    assert actions(exchange, "version.drafted") == 1
    other = a_drafted_version(exchange, a_person(exchange, "nuri"), "seoul", tiles)
    assert first.manifest_sha256 != other.manifest_sha256, "another firm's version is another version"
    theirs = a_person(exchange, "nuri")
    digests = {json.loads(datasets.manifest(exchange, by, "seoul", 1))["layers"][0]["tiles_sha256"] for by in (seller, theirs)}
    assert len(digests) == 1


def test_the_answer_that_got_lost_after_the_commit_is_given_again(
    exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_claimed_job(exchange, seller)
    monkeypatch.setenv("MAPEX_FAILPOINT", "draft.after_commit:raise")
    monkeypatch.setattr(failpoints, "_passed", {})
    with pytest.raises(failpoints.Failpoint):
        drafts.store_draft(exchange, job, a_draft([a_tile(1)]))
    again = drafts.store_draft(exchange, job, a_draft([a_tile(2)]))
    assert again.state == "draft"
    assert datasets.coverage(exchange, seller, "seoul") == {"hdmap": [1]}
    assert actions(exchange, "version.drafted") == 1


@pytest.mark.parametrize("change", [{"read": 5}, {"placed": 2, "read": 2}, {"placed": 0, "rejected": 1}])
def test_counts_that_do_not_add_up_store_nothing(exchange: Exchange, seller: Actor, change: dict[str, int]) -> None:
    """A record that was read is placed, unplaced or rejected; what was placed is in exactly one tile."""
    job = a_claimed_job(exchange, seller)
    draft = a_draft([a_tile(1)])
    layer = draft.layers[0]
    wrong = replace(layer, facts=replace(layer.facts, counts=replace(layer.facts.counts, **change)))
    with pytest.raises(Invalid) as refused:
        drafts.store_draft(exchange, job, replace(draft, layers=[wrong]))
    assert refused.value.code == "draft.counts"
    assert datasets.describe(exchange, seller, "seoul").layers == []
    assert jobs.get(exchange, seller, job.id).state == "running"


def test_a_tile_of_no_layer_or_outside_the_grid_is_refused(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    for tile in (replace(a_tile(1), layer="other"), replace(a_tile(1), cell=4**16)):
        draft = a_draft([a_tile(1)])
        with pytest.raises(Invalid) as refused:
            drafts.store_draft(exchange, job, replace(draft, tiles=[tile]))
        assert refused.value.code == "draft.tiles"


def test_errors_make_a_version_rejected_and_warnings_do_not(exchange: Exchange, seller: Actor) -> None:
    warning = Finding(Severity.WARNING, "geometry.short", "Too short.", "Nothing.", layer="hdmap", feature="way/1", lon=127.0, lat=37.5)
    assert drafts.store_draft(exchange, a_claimed_job(exchange, seller), a_draft([a_tile(1)], findings=[warning])).state == "draft"
    error = Finding(Severity.ERROR, "file.cut", "Cut off.\x00", "Upload it again.", file="map.osm", count=3)
    version = drafts.store_draft(exchange, a_claimed_job(exchange, seller), a_draft([a_tile(1)], findings=[warning, error]))
    assert version.state == "rejected"
    found = datasets.describe(exchange, seller, "seoul", 2)
    assert [(finding.code, finding.count, finding.lon) for finding in found.findings] == [
        ("geometry.short", 1, 127.0),
        ("file.cut", 3, None),
    ]
    assert actions(exchange, "version.rejected") == 1
    with pytest.raises(Conflict) as refused:
        publish(exchange, seller, "seoul", 2)
    assert refused.value.code == "version.not_draft"


def test_a_question_is_answered_by_who_publishes_and_the_answer_is_in_the_log(exchange: Exchange, seller: Actor) -> None:
    asked = [
        Finding(Severity.QUESTION, "geometry.jump", "Far away.", "Correct it.", layer="hdmap", feature=f"way/{n}", value="88000 m", count=n)
        for n in (1, 2)
    ]
    version = drafts.store_draft(exchange, a_claimed_job(exchange, seller), a_draft([a_tile(1)], findings=asked))
    assert version.state == "draft"
    for confirmed in ((), ("crs.guessed",)):
        with pytest.raises(Conflict) as refused, db.begin(exchange) as conn:
            publication.publish(conn, exchange, seller, "seoul", confirmed=confirmed)
        assert (refused.value.code, refused.value.details) == ("version.unanswered", {"questions": ["geometry.jump"]})
    assert datasets.get_version(exchange, seller, "seoul", 1).state == "draft"
    with db.begin(exchange) as conn:
        assert publication.publish(conn, exchange, seller, "seoul", confirmed=["geometry.jump"]).version.state == "published"
    (published,) = log.events(exchange, seller, log.EventFilter(action="version.published")).events
    assert published.payload["confirmed"] == {"geometry.jump": 3}


def test_a_version_without_any_tile_is_rejected(exchange: Exchange, seller: Actor) -> None:
    layer = DraftLayer("hdmap", LayerKind.HDMAP, Content.FEATURES, LayerFacts(Counts(read=2, unplaced=2)))
    version = drafts.store_draft(exchange, a_claimed_job(exchange, seller), a_draft([], layers=[layer]))
    assert version.state == "rejected"
    assert datasets.describe(exchange, seller, "seoul").findings[0].code == "version.empty"


@pytest.mark.parametrize(("each", "state"), [((2**53 - 4) // 3, "draft"), (2**53 // 3 + 1, "rejected"), (2**62, "rejected")])
def test_a_layer_that_measures_more_than_any_can_is_a_finding(exchange: Exchange, seller: Actor, each: int, state: str) -> None:
    tiles = [a_tile(cell, lane_mm=each) for cell in CELLS]
    version = drafts.store_draft(exchange, a_claimed_job(exchange, seller), a_draft([*tiles, a_tile(CELLS[0], layer="walks", signs=3)]))
    assert version.state == state
    found = datasets.describe(exchange, seller, "seoul").findings
    if state == "draft":
        assert found == []
        return
    assert (found[0].layer, found[0].severity) == ("hdmap", "error")
    assert found[0].value.startswith("lane_mm ") and int(found[0].value.split()[1]) > 2**53 - 1
    with exchange.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(schema.tile)).scalar_one() == 0


def test_an_unplaced_version_waits_for_an_answer_and_is_then_ingested_again(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller, placement=Placement(height_datum="KVD1964"))
    missing = Finding(Severity.WARNING, "crs.unknown", "Nobody knows where this is.", "Name a crs.")
    version = drafts.store_draft(exchange, job, a_draft([], unplaced=True, findings=[missing]))
    assert version.state == "unplaced"
    assert actions(exchange, "version.unplaced") == 1
    with pytest.raises(Invalid):
        requests.answer_placement(exchange, seller, "seoul", 1, Placement())
    second = requests.answer_placement(exchange, seller, "seoul", 1, Placement("EPSG:5186"))
    claimed = jobs.claim(exchange, "w")
    assert claimed is not None
    assert claimed.id == second.id
    assert requests.task_of(exchange, claimed).version.placement == Placement("EPSG:5186", None, "KVD1964")
    assert drafts.store_draft(exchange, claimed, a_draft([a_tile(1)])).state == "draft"
    assert datasets.describe(exchange, seller, "seoul").findings == []
    with pytest.raises(Conflict) as refused:
        requests.answer_placement(exchange, seller, "seoul", 1, Placement("EPSG:5186"))
    assert refused.value.code == "version.not_unplaced"


def test_footage_is_original_whatever_was_asked_for(exchange: Exchange, seller: Actor) -> None:
    draft = a_draft([a_tile(1, layer="photos")])
    layer = draft.layers[0]
    footage = replace(draft, layers=[replace(layer, kind=LayerKind.PHOTOS, facts=replace(layer.facts, footage=True))])
    drafts.store_draft(exchange, a_claimed_job(exchange, seller, classes="open"), footage)
    found = datasets.describe(exchange, seller, "seoul")
    assert found.layers[0].handling_class == "original"
    assert [finding.code for finding in found.findings] == ["class.raised"]
    assert drafts.classify(exchange, seller, "seoul", 1, {"*": "open"})[0].handling_class == "original"


def test_a_class_for_a_layer_that_is_not_there_is_reported(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller, classes={"hdmap": "open", "points": "open"})
    drafts.store_draft(exchange, job, a_draft([a_tile(1)]))
    assert [finding.code for finding in datasets.describe(exchange, seller, "seoul").findings] == ["class.layer_unknown"]


def test_tiles_are_sent_in_chunks_so_memory_does_not_grow_with_their_number(exchange: Exchange, seller: Actor) -> None:
    count = 5 * drafts.CHUNK + 1
    draft = a_draft([a_tile(1)])
    job = a_claimed_job(exchange, seller)
    sent: list[int] = []

    def look(conn: object, cursor: object, statement: str, parameters: object, context: object, executemany: bool) -> None:
        if statement.startswith("INSERT INTO tile "):
            sent.append(len(parameters) if executemany and isinstance(parameters, list) else 1)

    event.listen(exchange.engine, "before_cursor_execute", look)
    tiles = (replace(a_tile(1), cell=cell) for cell in range(count))
    layer = replace(draft.layers[0], facts=replace(draft.layers[0].facts, counts=Counts(read=count, placed=count)))
    drafts.store_draft(exchange, job, replace(draft, layers=[layer], tiles=tiles))
    assert datasets.describe(exchange, seller, "seoul").layers[0].cells == count
    assert sum(sent) == count
    assert max(sent) <= drafts.CHUNK


# ---- publish -----------------------------------------------------------------------------------------------------------------------


def test_a_published_version_supersedes_the_one_before(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    first = publish(exchange, seller)
    a_drafted_version(exchange, seller)
    second = publish(exchange, seller)
    assert (first.superseded_id, second.superseded_id) == (None, first.version.id)
    states = {version.number: version.state for version in datasets.versions(exchange, seller, "seoul")}
    assert states == {1: "superseded", 2: "published"}
    assert datasets.get_dataset(exchange, seller, "seoul").published == 2
    assert second.version.parent_id == first.version.id


def test_publishing_again_changes_nothing_and_logs_once(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    assert publish(exchange, seller).is_new
    assert not publish(exchange, seller).is_new
    assert actions(exchange, "version.published") == 1


def test_a_layer_without_class_cannot_be_published(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller, classes=None)
    with pytest.raises(Conflict) as refused:
        publish(exchange, seller)
    assert refused.value.code == "class.missing"
    before = datasets.get_version(exchange, seller, "seoul").manifest_sha256
    drafts.classify(exchange, seller, "seoul", 1, {"hdmap": "open"})
    assert datasets.get_version(exchange, seller, "seoul").manifest_sha256 != before
    assert publish(exchange, seller).version.state == "published"


def test_a_published_version_is_immutable(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    publish(exchange, seller)
    with pytest.raises(Conflict) as refused:
        drafts.classify(exchange, seller, "seoul", 1, {"*": "restricted"})
    assert refused.value.code == "version.not_draft"


def test_unknown_classes_and_layers_are_refused(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    for classes, code in (({"hdmap": "secret"}, "class.unknown"), ({"points": "open"}, "layer.unknown")):
        with pytest.raises(Invalid) as refused:
            drafts.classify(exchange, seller, "seoul", 1, classes)
        assert refused.value.code == code


def test_only_the_owner_publishes(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    with pytest.raises(NotFound):
        publish(exchange, a_person(exchange))
    for role in ("auditor", "operator"):
        with pytest.raises(Denied):
            publish(exchange, a_person(exchange, role=role))


def test_equal_content_of_one_firm_is_one_object_and_never_another_firms(exchange: Exchange) -> None:
    assert keys.object_key("org_a", "0" * 64) == keys.object_key("org_a", "0" * 64)
    assert keys.object_key("org_a", "0" * 64) != keys.object_key("org_b", "0" * 64)


# ---- who sees what -----------------------------------------------------------------------------------------------------------------


def test_a_foreign_draft_is_as_absent_as_one_that_never_was(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    stranger = a_person(exchange)
    ways = (datasets.get_dataset, datasets.versions, datasets.get_version, datasets.describe, datasets.coverage, datasets.manifest)
    for ask in ways:
        for refs in (("seoul", "never"), ("hanbit/seoul", "hanbit/never"), ("hanbit/seoul", "never/seoul")):
            answers = []
            for ref in refs:
                with pytest.raises(NotFound) as refused:
                    ask(exchange, stranger, ref)
                answers.append(answer(refused.value))
            assert answers[0] == answers[1]
    assert datasets.datasets(exchange, stranger) == []


def test_strangers_see_published_versions_without_findings_and_no_newer_draft(exchange: Exchange, seller: Actor) -> None:
    finding = Finding(Severity.WARNING, "geometry.short", "Too short.", "Nothing.")
    drafts.store_draft(exchange, a_claimed_job(exchange, seller), a_draft([a_tile(1)], findings=[finding]))
    publish(exchange, seller)
    a_drafted_version(exchange, seller)
    stranger = a_person(exchange)
    (dataset,) = datasets.datasets(exchange, stranger)
    assert (dataset.newest, dataset.published) == (1, 1)
    found = datasets.describe(exchange, stranger, "seoul")
    assert (found.version.number, found.findings, found.job) == (1, [], None)
    with pytest.raises(NotFound):
        datasets.describe(exchange, stranger, "seoul", 2)
    assert datasets.get_dataset(exchange, seller, "seoul").newest == 2


def test_auditors_see_drafts_and_findings(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    auditor = a_person(exchange, role="auditor")
    assert datasets.describe(exchange, auditor, "seoul").version.state == "draft"
    assert len(datasets.datasets(exchange, auditor)) == 1


def test_of_equal_slugs_the_own_comes_first_and_two_foreign_ones_are_ambiguous(exchange: Exchange, seller: Actor) -> None:
    other = a_person(exchange, "nuri")
    for by in (seller, other):
        a_drafted_version(exchange, by)
        publish(exchange, by)
    assert datasets.get_dataset(exchange, other, "seoul").org == "nuri"
    stranger = a_person(exchange)
    with pytest.raises(Conflict) as refused:
        datasets.get_dataset(exchange, stranger, "seoul")
    assert refused.value.code == "dataset.ambiguous"
    assert datasets.get_dataset(exchange, stranger, "nuri/seoul").org == "nuri"


def test_a_withdrawn_version_is_absent_for_strangers(exchange: Exchange, seller: Actor) -> None:
    a_drafted_version(exchange, seller)
    publish(exchange, seller)
    with db.begin(exchange) as conn:
        publication.withdraw(conn, exchange, seller, "seoul")
    with pytest.raises(NotFound):
        datasets.get_version(exchange, a_person(exchange), "seoul")
    assert datasets.get_version(exchange, seller, "seoul").state == "withdrawn"
    with pytest.raises(Conflict) as refused, db.begin(exchange) as conn:
        publication.withdraw(conn, exchange, seller, "seoul")
    assert refused.value.code == "version.not_published"
