"""The rules of previews: what is made, who may look, and that nothing for sale is in them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import piexif
import pytest
from PIL import Image
from sqlalchemy import text

from ingest.conversion import preview_forms
from ingest.conversion import previews as outside
from ingest.previews import blur
from ingest.worker import pipeline
from mapex.audit import log
from mapex.catalogue import datasets, drafts, previews
from mapex.database import db, failpoints
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.offers import offers, reviews
from mapex.operation import fsck
from mapex.people import tokens
from mapex.people.persons import actor_of
from tests.support import videos
from tests.support.clouds import a_street_cloud
from tests.support.exchange import a_person, an_exchange
from tests.support.needs import absent
from tests.support.uploads import a_map, a_version, codes, ingest, work
from tiles.points import sample
from tiles.store.protocol import Bucket
from web import create_app

CLEARED = "Drawn by a program of the tests; no camera was there."


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A drawn drive of eight seconds."""
    from mapex.cli.demo.drive import write_drive

    path = tmp_path_factory.mktemp("drive") / "drive.mcap"
    write_drive(path, seconds=8)
    return path.read_bytes()


def owner(ex: Exchange, done: datasets.Description) -> Actor:
    assert done.job is not None
    return actor_of(ex, done.job.person_id)


def shown(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> dict[str, list[previews.Preview]]:
    """Previews by kind of the only layer of a version."""
    _, (layer,) = previews.of_version(ex, by, ref, number)
    kinds: dict[str, list[previews.Preview]] = {}
    for one in layer.previews:
        kinds.setdefault(one.kind, []).append(one)
    return kinds


def body_of(ex: Exchange, by: Actor, ref: str, layer: str, kind: str, ordinal: int = 0) -> bytes:
    opened = previews.open_one(ex, by, ref, 1, layer, kind, ordinal)
    return b"".join(opened.read(ex.store, 0, opened.preview.size))


def preview_objects(ex: Exchange) -> list[str]:
    return [one.key for one in ex.store.list(Bucket.DATA) if one.key.startswith("previews/")]


def needs_blur() -> None:
    if blur.why_not():
        absent(blur.why_not())


def test_sample_of_a_cloud_gives_neither_place_nor_precision_nor_all_points(exchange: Exchange) -> None:
    ex = exchange
    done = ingest(ex, {"street.laz": a_street_cloud(40_000)})
    assert done.version.state == "draft", done.findings
    by, ref, layer = owner(ex, done), f"{done.version.org}/seoul", done.layers[0].name
    kinds = shown(ex, by, ref)
    assert set(kinds) == {"cloud", "facts", "still"}
    body = body_of(ex, by, ref, layer, "cloud")
    assert sample.check(body) == 10_000  # one in four
    rows = np.frombuffer(body[16:], sample.POINT)
    assert np.abs(rows["xyz"].astype(int)).max() * 0.05 < 200  # around its own middle, not UTM
    for halves in (rows[:1000], rows[:5000]):
        assert abs((halves["xyz"][:, 0] > np.median(rows["xyz"][:, 0])).mean() - 0.5) < 0.06
    report = kinds["cloud"][0].about | kinds["facts"][0].about
    assert set(report) == {"points", "step_m", "size_m", "colour", "intensity"}
    picture = Image.open(io.BytesIO(body_of(ex, by, ref, layer, "still")))
    assert picture.size == (640, 480)
    assert not picture.info
    assert [one for one in fsck.check(ex, deep=True) if not one.ok] == []


def test_made_again_previews_are_the_same_bytes(tmp_path: Path) -> None:
    keys = []
    for name in ("a", "b"):
        ex = an_exchange(tmp_path / name)
        ingest(ex, {"street.laz": a_street_cloud(20_000)})
        keys.append([key.rpartition("/")[2] for key in preview_objects(ex)])
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


def test_blurred_pictures_made_again_are_the_same_bytes(tmp_path: Path, drive: bytes) -> None:
    needs_blur()
    keys = []
    for name in ("a", "b"):
        ex = an_exchange(tmp_path / name)
        ingest(ex, {"drive.mcap": drive}, classes="pseudonymised")
        keys.append([key.rpartition("/")[2] for key in preview_objects(ex)])
    assert keys[0] == keys[1] and len(keys[0]) == 9


def test_killed_between_previews_and_tiles_ends_in_the_same(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, _, _ = a_version(ex, {"walks.geojson": a_map(40)})
    monkeypatch.setenv("MAPEX_FAILPOINT", "ingest.after_previews:raise")
    work(ex)
    before = preview_objects(ex)
    assert len(before) == 1
    monkeypatch.delenv("MAPEX_FAILPOINT")
    failpoints._passed.clear()
    ex.now.forward(seconds=400)  # type: ignore[attr-defined]
    work(ex)
    assert preview_objects(ex) == before
    assert shown(ex, actor, "seoul", 1)["teaser"][0].sha256 == before[0].rpartition("/")[2]


def test_drafts_are_for_their_seller_and_offers_for_everybody_signed_in(exchange: Exchange) -> None:
    ex = exchange
    done = ingest(ex, {"walks.geojson": a_map(40)})
    seller, ref, layer = owner(ex, done), f"{done.version.org}/seoul", done.layers[0].name
    buyer = a_person(ex)
    assert shown(ex, seller, ref, 1)["teaser"]
    with pytest.raises(NotFound):
        previews.of_version(ex, buyer, ref, 1)
    with pytest.raises(NotFound):
        previews.open_one(ex, buyer, ref, 1, layer, "teaser")
    assert previews.on_sale(ex, buyer, "sidewalk") == []
    offers.publish(ex, seller, "seoul", rate_card={"footway_km": 10}, licence="research")
    assert shown(ex, buyer, ref)["teaser"]
    assert [one["layer"] for one in previews.on_sale(ex, buyer, "sidewalk")] == [layer]
    offers.withdraw(ex, seller, "seoul")
    with pytest.raises(NotFound):
        previews.open_one(ex, buyer, ref, 1, layer, "teaser")


def test_nobody_signed_in_sees_nothing_and_ranges_are_those_asked_for(ex: Exchange) -> None:

    done = ingest(ex, {"walks.geojson": a_map(40)})
    seller, org = owner(ex, done), done.version.org
    client = create_app(ex).test_client()
    listed = f"/api/v1/datasets/{org}/seoul/previews?version=1"
    assert client.get(listed).status_code == 401
    token = {"Authorization": f"Bearer {tokens.create(ex, seller, 't', days=1)}"}
    answer = client.get(listed, headers=token).get_json()
    (teaser,) = [one for one in answer["layers"][0]["previews"] if one["kind"] == "teaser"]
    assert client.get(teaser["url"]).status_code == 401
    whole = client.get(teaser["url"], headers=token)
    assert (whole.status_code, len(whole.data)) == (200, teaser["bytes"])
    part = client.get(teaser["url"], headers={**token, "Range": "bytes=4-9"})
    assert (part.status_code, part.data) == (206, whole.data[4:10])
    assert part.headers["Content-Range"] == f"bytes 4-9/{teaser['bytes']}"
    assert client.get(teaser["url"], headers={**token, "Range": "bytes=999999-"}).status_code == 422
    assert "no-cache" in whole.headers["Cache-Control"]


def test_original_footage_makes_no_picture_and_shows_what_was_recorded(ex: Exchange, drive: bytes) -> None:
    for number, asked in enumerate(("original", None)):
        done = ingest(ex, {"drive.mcap": drive}, slug=f"drive{number}", classes=asked)
        by = owner(ex, done)
        kinds = shown(ex, by, f"{done.version.org}/drive{number}")
        assert set(kinds) == {"facts"}
        about = kinds["facts"][0].about
        assert about["resolution"] == [640, 360]
        assert {topic["topic"]: topic["count"] for topic in about["topics"]} == {
            "/camera/front/compressed": 8, "/gnss/fix": 80, "/imu/data": 160,
        }  # fmt: skip
    assert preview_objects(ex) == []


def test_footage_is_shown_blurred_only_after_the_operator_saw_a_proof(exchange: Exchange, drive: bytes) -> None:
    needs_blur()
    ex = exchange
    done = ingest(ex, {"drive.mcap": drive}, classes="pseudonymised")
    by, ref = owner(ex, done), f"{done.version.org}/seoul"
    assert codes(done, "info").count("class.raised") == 1
    assert done.layers[0].handling_class == "original"
    assert set(shown(ex, by, ref)) == {"facts"}  # the pictures were made, and are not shown
    assert len(preview_objects(ex)) == 9
    with pytest.raises(NotFound):
        previews.open_one(ex, by, ref, 1, "recording", "clip")
    with pytest.raises(Denied):
        reviews.clear(ex, by, ref, 1, "recording", CLEARED)
    with pytest.raises(Invalid):
        reviews.clear(ex, None, ref, 1, "recording", "trust me")
    before = datasets.get_version(ex, by, ref, 1).manifest_sha256
    assert reviews.clear(ex, None, ref, 1, "recording", CLEARED).handling_class == "pseudonymised"
    assert datasets.get_version(ex, by, ref, 1).manifest_sha256 != before
    auditor = a_person(ex, role="auditor")
    assert len(log.events(ex, auditor, log.EventFilter(action=str(log.Action.FOOTAGE_CLEARED))).events) == 1
    kinds = shown(ex, by, ref)
    assert set(kinds) == {"facts", "strip", "clip"}
    assert all(one.about["blurred"] is True for one in (*kinds["strip"], *kinds["clip"]))
    assert body_of(ex, by, ref, "recording", "clip")[4:8] == b"ftyp"
    picture = Image.open(io.BytesIO(body_of(ex, by, ref, "recording", "strip", 3)))
    assert picture.width == 320
    assert drafts.classify(ex, by, "seoul", 1, {"*": "open"})[0].handling_class == "pseudonymised"  # never less
    assert drafts.classify(ex, by, "seoul", 1, {"*": "original"})[0].handling_class == "original"
    assert set(shown(ex, by, ref)) == {"facts"}
    with db.begin(ex) as conn:  # not even when somebody stored a picture that was not blurred
        conn.execute(text("UPDATE layer SET handling_class = 'pseudonymised'"))
        conn.execute(text("UPDATE preview SET about = '{}' WHERE kind = 'clip'"))
    assert set(shown(ex, by, ref)) == {"facts", "strip"}
    offers.publish(ex, by, "seoul", rate_card={"frame": 10}, licence="research")
    with pytest.raises(Conflict):
        reviews.clear(ex, None, ref, 1, "recording", CLEARED)


def test_video_comes_in_as_original_shows_pictures_only_when_cleared_and_its_tiles_pass_every_check(ex: Exchange, tmp_path: Path) -> None:
    needs_blur()
    film = videos.gopro(tmp_path / "drive.mp4", 18, between=2)
    done = ingest(ex, {"drive.mp4": film.read_bytes()}, classes="pseudonymised")
    assert done.version.state == "draft", done.findings
    (layer,) = done.layers
    assert (layer.kind, layer.handling_class, layer.facts.counts.placed, layer.cells) == ("video", "original", 540, 2)
    assert "video.packed_anew" in codes(done, "info")
    by, ref = owner(ex, done), f"{done.version.org}/seoul"
    facts = shown(ex, by, ref)
    assert set(facts) == {"facts"} and facts["facts"][0].about == {"seconds": 18.0, "pictures": 540, "resolution": list(videos.SIZE)}
    reviews.clear(ex, None, ref, 1, "video", CLEARED)
    assert set(shown(ex, by, ref)) == {"facts", "strip", "clip"}
    with av.open(io.BytesIO(body_of(ex, by, ref, "video", "clip"))) as container:
        assert len(list(container.decode(video=0))) == 32
    assert [one for one in fsck.check(ex, deep=True) if not one.ok] == []


def test_pictures_of_photos_have_no_exif_and_no_position(ex: Exchange) -> None:
    needs_blur()
    stream = io.BytesIO()
    place = {
        piexif.GPSIFD.GPSLatitudeRef: "N",
        piexif.GPSIFD.GPSLatitude: ((37, 1), (24, 1), (0, 1)),
        piexif.GPSIFD.GPSLongitudeRef: "E",
        piexif.GPSIFD.GPSLongitude: ((127, 1), (6, 1), (0, 1)),
    }
    Image.effect_noise((800, 600), 60).convert("RGB").save(
        stream, "JPEG", exif=piexif.dump({"GPS": place, "0th": {piexif.ImageIFD.Model: b"K"}})
    )
    done = ingest(ex, {"photo.jpg": stream.getvalue()}, classes="pseudonymised")
    assert done.version.state == "draft", done.findings
    by, ref = owner(ex, done), f"{done.version.org}/seoul"
    reviews.clear(ex, None, ref, 1, "photos", CLEARED)
    body = body_of(ex, by, ref, "photos", "strip")
    assert b"Exif" not in body
    assert b"http://ns.adobe.com" not in body
    assert not Image.open(io.BytesIO(body)).getexif()
    assert max(Image.open(io.BytesIO(body)).size) <= 320


def test_what_cannot_be_previewed_is_reported_and_stops_nothing(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ingest(ex, {"few.laz": a_street_cloud(200)})
    assert done.version.state == "draft"
    assert "preview.too_few" in codes(done, "info")
    monkeypatch.setattr(outside, "LIMITS", outside.Limits(memory=64 << 20, cpu_s=1, wall_s=5))
    done = ingest(ex, {"walks.geojson": a_map(40)}, by=owner(ex, done), slug="walks")
    assert done.version.state == "draft"
    assert "preview.failed" in codes(done, "info")
    assert shown(ex, owner(ex, done), "walks", 1) == {}


def test_answers_of_a_cage_that_was_taken_over_are_not_believed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xff\xd8\xff")
    out = tmp_path / "out"
    (out / "points").mkdir(parents=True)
    (out / "points" / "link.jpg").symlink_to(secret)
    exif = io.BytesIO()
    image = Image.new("RGB", (64, 48))
    given = image.getexif()
    given[0x0110] = "camera"
    image.save(exif, "JPEG", exif=given)
    (out / "points" / "exif.jpg").write_bytes(exif.getvalue())
    plain = io.BytesIO()
    Image.new("RGB", (64, 48)).save(plain, "JPEG")
    (out / "points" / "plain.jpg").write_bytes(plain.getvalue())
    (out / "points" / "more.jpg").write_bytes(plain.getvalue() + b"hidden")
    wide = io.BytesIO()
    Image.new("RGB", (640, 48)).save(wide, "JPEG")
    (out / "points" / "wide.jpg").write_bytes(wide.getvalue())
    answers = outside._PreviewAnswers(out, {"points"})

    def tell(name: object, about: Any = None, **changes: Any) -> None:
        record = {"layer": "points", "kind": "strip", "ordinal": 0, "path": name, "about": {"blurred": True} if about is None else about}
        answers.take({"preview": record | changes})

    for name in ("points/link.jpg", "points/exif.jpg", "points/more.jpg", "points/wide.jpg", "points/../secret", "/etc/passwd", 7, None):
        tell(name)
        answers.seen.clear()
    tell("points/plain.jpg", {})  # without blur
    answers.seen.clear()
    tell("points/plain.jpg", {"blurred": True, "x": {"a": [{"b": [1]}]}})
    tell("points/plain.jpg", {"blurred": True, "x": float("1e300")})
    tell("points/plain.jpg", layer="other")
    tell("points/plain.jpg", kind="virus")
    tell("points/plain.jpg", ordinal=12)
    for junk in ([], {}, True):
        tell("points/plain.jpg", layer=junk)
        tell("points/plain.jpg", kind=junk)
        tell("points/plain.jpg", ordinal=junk)
        answers.take({"without": {"layer": junk, "code": "a.b", "message": "m"}})
    tell("points/plain.jpg", {"blurred": True, "x": 10**400})
    for rows in (None, [], {}, [7], [["a"]], [["", 1, 1]], [["a", "1", 1]], [["a", 181, 1]], [["a", 1, 86]], [["a", True, 1]], [[1, 1, 1]]):
        tell("points/plain.jpg", {"rows": rows}, kind="names")
        answers.seen.clear()
    tell("points/plain.jpg", {"rows": [["a", 1, 1]], "more": 1}, kind="names")
    assert answers.found.made == []
    assert {finding.code for finding in answers.found.findings} == {"preview.broken"}
    tell("points/plain.jpg")
    ((made, _),) = answers.found.made
    tell("", {"rows": [["a", 1, 1.5]]}, kind="names", ordinal=1)
    assert len(answers.found.made) == 2
    assert made.sha256 == hashlib.sha256(plain.getvalue()).hexdigest()
    for kind in preview_forms.FORMS:
        with pytest.raises(Invalid) if preview_forms.FORMS[kind].media_type else pytest.raises(AssertionError):
            preview_forms.check(kind, b"\0" * 64, {"blurred": True})
            raise AssertionError


def test_previews_are_in_no_manifest(ex: Exchange) -> None:
    done = ingest(ex, {"walks.geojson": a_map(40)})
    assert "teaser" not in datasets.manifest(ex, owner(ex, done), "seoul")
    assert pipeline.previews is outside
