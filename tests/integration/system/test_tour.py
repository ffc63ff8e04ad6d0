"""The README's tour on real files, as processes: upload, publish, quote, buy, download, audit, and nothing is lost on the way.

What was downloaded is compared with what was uploaded by code that shares nothing with mapex's readers.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.processes import Failed, Running, running_exchange

DATASETS = {
    "karlsruhe": "lanelet2/karlsruhe_mapping_example.osm",
    "redmond": "sidewalk/osw_microsoft_valid.zip",
    "autzen": "pointcloud/autzen_trim.laz",
    "comma": "recordings/ros2_mcap/comma2k19_seg40_ros2.mcap",
    "portland": "recordings/photos_gps",
}
CLASSES = {"comma": "original"}
"""What the seller says of a dataset; of the others `open`, which makes footage original all the same."""
FOOTAGE = ("comma", "portland")
RATES = ("lane_km=6300", "footway_km=2900", "million_points=4000", "frame=20")
WORLD = {"type": "Polygon", "coordinates": [[[-179, -84], [179, -84], [179, 84], [-179, 84], [-179, -84]]]}


@pytest.fixture(scope="module", params=["sqlite+directory", "postgresql+minio"])
def exchange(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running exchange on each pair of back ends, with the people of the tour."""
    environ = {}
    if request.param == "postgresql+minio":
        minio = request.getfixturevalue("minio")
        environ = {
            "MAPEX_DATABASE_URL": request.getfixturevalue("postgres").new_database(),
            "MAPEX_STORE": "minio",
            "MAPEX_STORE_ENDPOINT": minio.endpoint,
            "MAPEX_STORE_SECURE": "false",
            "MAPEX_STORE_ACCESS_KEY": minio.access_key,
            "MAPEX_STORE_SECRET_KEY": minio.secret_key,
            "MAPEX_STORE_UPLOAD_ACCESS_KEY": "tour-upload",
            "MAPEX_STORE_UPLOAD_SECRET_KEY": "tour-upload-secret-0123456789",
            "MAPEX_STORE_BUCKET_PREFIX": "tour",
        }
    folder = tmp_path_factory.mktemp("tour") / "ex"
    with running_exchange(folder, environ) as ex:
        ex.cli("org", "add", "dongil", "--name", "Dongil Robotics", "--credit", "5000000")
        ex.cli("org", "add", "hanbit", "--name", "Hanbit AV")
        ex.cli("person", "add", "buyer@dongil.example", "--org", "dongil")
        ex.cli("person", "add", "maps@hanbit.example", "--org", "hanbit")
        ex.cli("person", "add", "auditor@audit.example", "--role", "auditor")
        area = folder / "everywhere.geojson"
        area.write_text(json.dumps(WORLD))
        ex.cli(
            *("permit", "add", "KR-1", "--org", "dongil", "--purpose", "research", "--area", area),
            *("--from", "2026-01-01", "--to", "2099-01-01"),
        )
        yield ex


@pytest.fixture(scope="module")
def seller(exchange: Running) -> str:
    return exchange.token("maps@hanbit.example")


@pytest.fixture(scope="module")
def buyer(exchange: Running) -> str:
    return exchange.token("buyer@dongil.example")


def around(box: list[float], folder: Path, name: str) -> Path:
    """A GeoJSON file of the box, a little wider."""
    w, s, e, n = box[0] - 1e-4, box[1] - 1e-4, box[2] + 1e-4, box[3] + 1e-4
    path = folder / f"{name}.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]}))
    return path


@pytest.fixture(scope="module")
def bought(exchange: Running, samples: Path, seller: str, buyer: str) -> dict[str, dict[str, Any]]:
    """Every dataset pushed, published, quoted, bought and downloaded; what each step printed."""
    report: dict[str, dict[str, Any]] = {}
    for slug, file in DATASETS.items():
        step: dict[str, Any] = {"inspect": exchange.cli("inspect", samples / file)}
        push = ("push", samples / file, "--dataset", slug, "--title", slug.title(), "--class", CLASSES.get(slug, "open"), "--wait")
        step["push"] = exchange.cli(*push, token=seller)
        rates = [word for rate in RATES for word in ("--rate", rate)]
        step["publish"] = exchange.cli("publish", slug, *rates, "--licence", "research", token=seller)
        step["region"] = around(step["inspect"]["box"], exchange.folder, slug)
        offers = [word for layer in step["push"]["layers"] for word in ("--offer", f"hanbit/{slug}/{layer['name']}")]
        quote = ("quote", "--region", step["region"], "--purpose", "research", *offers)
        step["quote"] = exchange.cli(*quote, token=buyer)
        step["buy"] = exchange.cli("buy", step["quote"]["id"], "--key", f"key-{slug}", "--for", "buyer@dongil.example", token=buyer)
        step["to"] = exchange.folder / "got" / slug
        step["get"] = exchange.cli("get", step["buy"]["id"], "--to", step["to"], token=buyer)
        report[slug] = step
    return report


@pytest.mark.parametrize("slug", DATASETS)
def test_counts_in_are_counts_out(bought: dict[str, dict[str, Any]], slug: str) -> None:
    counts = bought[slug]["inspect"]["counts"]
    assert counts["read"] == counts["placed"] + counts["unplaced"] + counts["rejected"] > 0
    pushed = [layer["counts"] for layer in bought[slug]["push"]["layers"]]
    assert {k: sum(c[k] for c in pushed) for k in counts} == counts


@pytest.mark.parametrize("slug", DATASETS)
def test_order_total_is_quote_total_is_sum_of_lines(bought: dict[str, dict[str, Any]], slug: str) -> None:
    quote, order = bought[slug]["quote"], bought[slug]["buy"]
    assert quote["total"] == sum(line["amount"] for line in quote["lines"]) + quote["vat"]
    assert order["total"] == quote["total"] > 0


@pytest.mark.parametrize("slug", DATASETS)
def test_manifest_describes_every_file(bought: dict[str, dict[str, Any]], slug: str) -> None:
    to, got = bought[slug]["to"], bought[slug]["get"]
    manifest = json.loads((to / "_manifest.json").read_text())
    assert got["files"] == got["verified"] == got["fetched"] == len(manifest["files"]) > 0
    for file in manifest["files"]:
        body = (to / file["path"]).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (file["size"], file["sha256"])
        assert file["dataset"] == slug and set(file["tile"]) <= set("0123") and len(file["tile"]) == 16
    on_disk = {p.relative_to(to).as_posix() for p in to.rglob("*") if p.is_file()}
    assert on_disk == {"_manifest.json"} | {file["path"] for file in [*manifest["files"], *manifest["enclosures"]]}
    assert {"README.txt"} < {one["path"] for one in manifest["enclosures"]}


def tiles(step: dict[str, Any]) -> list[Path]:
    manifest = json.loads((step["to"] / "_manifest.json").read_text())
    return [step["to"] / file["path"] for file in manifest["files"]]


def owned(step: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Features of the owner cells by id; an id that two cells own fails."""
    import pyarrow.parquet as pq

    found: dict[str, dict[str, Any]] = {}
    for path in tiles(step):
        for row in pq.read_table(path).to_pylist():
            if row["owner"]:
                assert row["feature_id"] not in found, f"{row['feature_id']} has two owners"
                found[row["feature_id"]] = row
    return found


def test_lanelet2_download_equals_upload(bought: dict[str, dict[str, Any]], samples: Path) -> None:
    import shapely

    features = owned(bought["karlsruhe"])
    root = ElementTree.parse(samples / DATASETS["karlsruhe"]).getroot()
    elements = {f"{e.tag}/{e.get('id')}": e for e in root if e.tag in ("node", "way", "relation")}
    # way/44218 has no vertices ("action=delete"): it is nowhere, is counted as unplaced, and a finding names it.
    nowhere = {f["feature"] for f in bought["karlsruhe"]["push"]["findings"] if f["code"] == "feature.no_place"}
    assert nowhere == {"way/44218"} and bought["karlsruhe"]["inspect"]["counts"]["unplaced"] == 1
    assert features.keys() == elements.keys() - nowhere
    elements = {name: element for name, element in elements.items() if name not in nowhere}
    place = {e.get("id"): (float(e.get("lon") or "nan"), float(e.get("lat") or "nan")) for e in root.iter("node")}
    for name, element in elements.items():
        properties = json.loads(features[name]["properties"])
        source = properties.pop("@source")
        assert properties == {tag.get("k"): tag.get("v") for tag in element.findall("tag")}
        geometry = shapely.from_wkb(features[name]["geometry"])
        if element.tag == "node":
            assert (geometry.x, geometry.y) == place[element.get("id")]
        elif element.tag == "way":
            refs = [nd.get("ref") for nd in element.findall("nd")]
            assert [str(r) for r in source["refs"]] == refs
            vertices = shapely.get_coordinates(geometry)
            assert [tuple(v) for v in vertices[: len(refs)]] == [place[ref] for ref in refs]
        else:
            members = [(m.get("type"), m.get("ref"), m.get("role")) for m in element.findall("member")]
            assert [(m["type"], str(m["ref"]), m["role"]) for m in source["members"]] == members


def test_opensidewalks_download_equals_upload(bought: dict[str, dict[str, Any]], samples: Path) -> None:
    import shapely

    features = owned(bought["redmond"])
    expected = {}
    with zipfile.ZipFile(samples / DATASETS["redmond"]) as archive:
        for name in archive.namelist():
            if name.endswith(".geojson") and "__MACOSX" not in name:
                for feature in json.loads(archive.read(name))["features"]:
                    expected[str(feature["properties"]["_id"])] = feature
    assert features.keys() == expected.keys()
    for name, feature in expected.items():
        properties = json.loads(features[name]["properties"])
        properties.pop("@source", None)
        assert properties == feature["properties"]
        geometry = shapely.geometry.mapping(shapely.from_wkb(features[name]["geometry"]))
        assert json.loads(json.dumps(geometry["coordinates"])) == feature["geometry"]["coordinates"]


def test_point_cloud_download_equals_upload(bought: dict[str, dict[str, Any]], samples: Path) -> None:
    import laspy
    import numpy as np

    def sorted_rows(records: list[Any]) -> Any:
        rows = np.concatenate(records)
        return np.sort(rows, order=rows.dtype.names)

    source = laspy.read(samples / DATASETS["autzen"])
    parts = [laspy.read(path) for path in tiles(bought["autzen"])]
    for part in parts:
        assert part.header.point_format.id == source.header.point_format.id
        assert list(part.header.scales) == list(source.header.scales) and list(part.header.offsets) == list(source.header.offsets)
        assert part.header.parse_crs() == source.header.parse_crs()
    got, sent = sorted_rows([p.points.array for p in parts]), sorted_rows([source.points.array])
    assert len(got) == 110_000
    assert np.array_equal(got, sent)


def messages(stream: Any) -> Counter[tuple[Any, ...]]:
    from mcap.reader import make_reader

    found: Counter[tuple[Any, ...]] = Counter()
    for schema, channel, message in make_reader(stream).iter_messages():
        kind = schema.name if schema else ""
        body = hashlib.sha256(message.data).hexdigest()
        found[(channel.topic, kind, message.log_time, message.publish_time, message.sequence, body)] += 1
    return found


def test_recording_download_has_every_message_once(bought: dict[str, dict[str, Any]], samples: Path) -> None:
    sent = messages(io.BytesIO((samples / DATASETS["comma"]).read_bytes()))
    got: Counter[tuple[Any, ...]] = Counter()
    for path in tiles(bought["comma"]):
        got += messages(io.BytesIO(path.read_bytes()))
    assert sent.total() == 8036
    assert got == sent


def test_photo_download_has_every_picture_once(bought: dict[str, dict[str, Any]], samples: Path) -> None:
    import tarfile

    sent = Counter(hashlib.sha256(p.read_bytes()).hexdigest() for p in (samples / DATASETS["portland"]).glob("*.JPG"))
    got: Counter[str] = Counter()
    for path in tiles(bought["portland"]):
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                if member.name.lower().endswith(".jpg"):
                    body = archive.extractfile(member)
                    assert body is not None
                    got[hashlib.sha256(body.read()).hexdigest()] += 1
    assert sent.total() == 2
    assert got == sent


def test_footage_needs_a_permit_whatever_the_seller_says(bought: dict[str, dict[str, Any]]) -> None:
    for slug in FOOTAGE:
        assert {layer["class"] for layer in bought[slug]["push"]["layers"]} == {"original"}


def test_getting_again_fetches_nothing(exchange: Running, bought: dict[str, dict[str, Any]], buyer: str) -> None:
    step = bought["karlsruhe"]
    again = exchange.cli("get", step["buy"]["id"], "--to", step["to"], token=buyer)
    assert (again["fetched"], again["verified"]) == (0, step["get"]["files"])


def test_same_key_buys_once(exchange: Running, bought: dict[str, dict[str, Any]], buyer: str) -> None:
    step = bought["karlsruhe"]
    again = exchange.cli("buy", step["quote"]["id"], "--key", "key-karlsruhe", "--for", "buyer@dongil.example", token=buyer)
    assert again["id"] == step["buy"]["id"]


def test_tiles_owned_already_cost_nothing(exchange: Running, bought: dict[str, dict[str, Any]], buyer: str) -> None:
    step = bought["karlsruhe"]
    again = exchange.cli("quote", "--region", step["region"], "--purpose", "research", "--dataset", "karlsruhe", token=buyer)
    assert again["total"] == 0


def test_auditor_sees_each_read(exchange: Running, bought: dict[str, dict[str, Any]]) -> None:
    auditor = exchange.token("auditor@audit.example")
    events = exchange.cli("audit", "list", "--limit", "100000", token=auditor)["events"]
    for slug, step in bought.items():
        read = Counter((e["layer"], e["tile"]) for e in events if e["dataset"] == slug and e["action"] == "access.granted")
        manifest = json.loads((step["to"] / "_manifest.json").read_text())
        assert read == Counter((file["layer"], file["tile"]) for file in manifest["files"])
    for slug in FOOTAGE:
        footage = [e for e in events if e["dataset"] == slug and e["action"] == "access.granted"]
        answer = {(e["person"], e["org"], e["purpose"], e["permit"]) for e in footage}
        assert answer == {("buyer@dongil.example", "dongil", "research", "KR-1")}


def test_search_finds_what_is_offered(exchange: Running, bought: dict[str, dict[str, Any]], buyer: str) -> None:
    found = exchange.cli("search", "--region", bought["redmond"]["region"], token=buyer)
    assert [d["dataset"] for d in found["datasets"]] == ["redmond"]


def test_a_layer_that_nobody_offers_is_named(exchange: Running, bought: dict[str, dict[str, Any]], buyer: str) -> None:
    where = ("--region", bought["karlsruhe"]["region"], "--layers", "nope")
    for words in (("search", *where), ("quote", *where, "--purpose", "research")):
        with pytest.raises(Failed) as refused:
            exchange.cli(*words, token=buyer)
        assert (refused.value.status, refused.value.error["code"]) == (3, "layer.unknown")
        assert refused.value.error["details"]["known"] == [layer["name"] for layer in bought["karlsruhe"]["push"]["layers"]]
        assert "nope" in refused.value.stderr


def test_a_stranger_sees_nothing_of_an_order(exchange: Running, bought: dict[str, dict[str, Any]], seller: str) -> None:
    with pytest.raises(Failed) as refused:
        exchange.cli("get", bought["karlsruhe"]["buy"]["id"], "--to", exchange.folder / "stolen", token=seller)
    assert refused.value.status == 3
    assert not (exchange.folder / "stolen").exists()


def test_invariants_hold_after_everything(exchange: Running, bought: dict[str, dict[str, Any]]) -> None:
    assert bought
    report = exchange.cli("fsck", "--deep")
    assert report["ok"], [c for c in report["checks"] if not c["ok"]]
