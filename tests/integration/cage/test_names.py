"""Names of what was sent: whatever they are, each file is read once, and the seller finds it under the name that was given."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from mapex.catalogue import datasets, requests
from mapex.exchange import Exchange
from mapex.operation import fsck
from tests.support.exchange import a_person, an_exchange
from tests.support.reader_examples import jpeg
from tests.support.uploads import a_map, an_upload, work
from tiles.frames.photo_tar import TRAJECTORIES
from tiles.store.protocol import Bucket

LONG = "가" * 34  # 102 bytes; with a number of two digits and .jpg it is 108


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


def read(ex: Exchange, files: Sequence[tuple[str, bytes]]) -> datasets.Description:
    """What becomes of a version of these files, of which some may be called alike."""
    actor = a_person(ex)
    datasets.create_dataset(ex, actor, "seoul")
    ids = [an_upload(ex, actor, name, body, sha256=hashlib.sha256(body).hexdigest()) for name, body in files]
    version, _ = requests.start_version(ex, actor, "seoul", ids, classes="open")
    work(ex)
    return datasets.describe(ex, actor, "seoul", version.number)


def photos(names: Sequence[str]) -> list[tuple[str, bytes]]:
    """Photos of different places under these names."""
    return [(name, jpeg(127.0 + number / 1000)) for number, name in enumerate(names)]


def sold_names(ex: Exchange) -> list[str]:
    """Names of the pictures in all tiles."""
    found: list[str] = []
    for info in ex.store.list(Bucket.DATA):
        if info.key.startswith("previews/"):
            continue
        body = b"".join(ex.store.read(Bucket.DATA, info.key))
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            found += [name for name in archive.getnames() if name not in TRAJECTORIES]
    return sorted(found)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"{LONG}{number:02d}.jpg" for number in range(20)], id="long names that differ at their end"),
        pytest.param([f"{'가' * 80}{number:02d}.jpg" for number in range(5)], id="as long as a disk takes"),
        pytest.param(["x.jpg", "x.jpg/y.jpg", "x.jpg/y.jpg/z.jpg"], id="a file beside a folder of its name"),
        pytest.param(["a:1.jpg", "a?1.jpg", "a_1.jpg", "a#1.jpg"], id="what is not safe"),
        pytest.param(["IMG.JPG", "img.jpg", "Img.jpg"], id="only capitals"),
        pytest.param(["caf\u00e9.jpg", "cafe\u0301.jpg"], id="forms of accents"),
        pytest.param(["a.jpg", "a .jpg", "a..jpg", "b /a.jpg", "-a.jpg"], id="dots and spaces"),
        pytest.param(["a/ /b.jpg", "a/b.jpg", "a/-/b.jpg"], id="folders of nothing"),
        pytest.param([".jpg", "..jpg", "con.jpg", "nul/aux.jpg"], id="reserved"),
        pytest.param(["1-a_.jpg", "a?.jpg", "a_.jpg", "1-a?.jpg"], id="our own numbers"),
    ],
)
def test_photos_are_each_read_once_and_sold_under_their_names(ex: Exchange, names: Sequence[str]) -> None:
    done = read(ex, photos(names))
    assert done.version.state == "draft", done.findings
    (layer,) = done.layers
    assert (layer.facts.counts.read, layer.facts.counts.placed) == (len(names), len(names))
    assert sold_names(ex) == sorted(names)


def test_two_files_of_one_name_are_both_read(ex: Exchange) -> None:
    done = read(ex, [("walks.geojson", a_map(10)), ("walks.geojson", a_map(10, west=128.0))])
    assert done.version.state == "draft", done.findings
    assert [layer.facts.counts.placed for layer in done.layers] == [20]
    assert [(f.code, f.file, f.value) for f in done.findings] == [("file.same_name", "2/walks.geojson", "walks.geojson")]


def test_a_file_that_is_not_in_the_manifest_is_found(ex: Exchange) -> None:
    read(ex, [("a.geojson", a_map(3)), ("b.geojson", a_map(3, west=128.0))])
    assert [check.name for check in fsck.check(ex) if not check.ok] == []
    with ex.engine.begin() as conn:
        manifest = json.loads(conn.execute(text("SELECT manifest FROM dataset_version")).scalar_one())
        manifest["sources"] = manifest["sources"][:1]
        conn.execute(text("UPDATE dataset_version SET manifest = :manifest"), {"manifest": json.dumps(manifest)})
    assert "files" in [check.name for check in fsck.check(ex) if not check.ok]


def test_two_photos_of_one_name_are_both_sold(ex: Exchange) -> None:
    done = read(ex, photos(["a.jpg", "a.jpg", "b/a.jpg"]))
    assert done.version.state == "draft", done.findings
    assert [layer.facts.counts.placed for layer in done.layers] == [3]
    assert len(set(sold_names(ex))) == 3


def test_photos_in_a_zip_are_each_read_once(ex: Exchange) -> None:
    names = [f"{'가' * 40}{number:02d}.jpg" for number in range(5)] + ["x.jpg", "x.jpg/y.jpg", "a:b.jpg", "a?b.jpg"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in photos(names):
            archive.writestr(name, body)
    done = read(ex, [("photos.zip", packed.getvalue())])
    assert done.version.state == "draft", done.findings
    assert [layer.facts.counts.placed for layer in done.layers] == [len(names)]
    assert sold_names(ex) == sorted(names)
