"""No API takes a body, and no command a file, in which a key stands twice: what is checked and what is done must be one thing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapex.cli.options import read_region
from mapex.errors import Invalid
from mapex.exchange import Exchange
from tests.support.exchange import an_exchange
from tiles.errors import InvalidRegion
from tiles.grid.region import Region
from web import create_app

BOX = {"type": "Polygon", "coordinates": [[[127, 37], [127.01, 37], [127.01, 37.01], [127, 37.01], [127, 37]]]}


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


@pytest.mark.parametrize(
    "body",
    [
        '{"slug": "a", "slug": "b"}',
        '{"slug": "a", "title": {"x": 1, "x": 2}}',
        f'{{"region": {json.dumps(BOX)}, "region": {json.dumps(BOX)}}}',
    ],
)
def test_a_body_that_says_two_things_is_refused(ex: Exchange, body: str) -> None:
    client = create_app(ex).test_client()
    answer = client.post("/api/v1/estimates", data=body, content_type="application/json")
    assert answer.status_code == 422 and answer.json is not None
    assert answer.json["code"] == "request.malformed" and "twice" in answer.json["message"]


def test_a_region_file_that_says_two_things_is_refused(tmp_path: Path) -> None:
    doubled = json.dumps(BOX).replace('"type"', '"type": "Point", "type"')
    with pytest.raises(InvalidRegion, match="twice"):
        Region.from_geojson(doubled)
    path = tmp_path / "area.geojson"
    path.write_text(doubled, encoding="utf-8")
    with pytest.raises(Invalid, match="twice"):
        read_region(str(path), None)
