"""Files of maps are sent in ranges, for a browser wants a few tiles of them; the operator's is taken from the folder of the exchange."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.exchange import an_exchange
from web import create_app
from web.edge import static_files

BODY = b"PMTiles\x03" + bytes(range(256)) * 40


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    vendor = tmp_path / "vendor"
    (vendor / "basemap@1").mkdir(parents=True)
    (vendor / "basemap@1" / "korea.pmtiles").write_bytes(BODY)
    monkeypatch.setattr(static_files, "VENDOR", vendor)
    ex = an_exchange(tmp_path / "ex", basemap="town.pmtiles")
    (ex.settings.dir / "town.pmtiles").write_bytes(BODY)
    return create_app(ex).test_client()


@pytest.mark.parametrize("path", ["/map/basemap.pmtiles", "/static/vendor/basemap@1/korea.pmtiles"])
def test_a_map_file_is_sent_in_ranges_that_no_browser_keeps(client: FlaskClient, path: str) -> None:
    with client.get(path, headers={"Range": "bytes=100-199", "Accept-Encoding": "gzip"}) as answer:
        assert (answer.status_code, answer.data) == (206, BODY[100:200])
        assert answer.headers["Content-Range"] == f"bytes 100-199/{len(BODY)}"
        assert "Content-Encoding" not in answer.headers
        assert answer.cache_control.no_store and answer.headers["ETag"]


def test_a_file_that_is_gone_is_no_map(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "ex" / "town.pmtiles").unlink()
    assert client.get("/map/basemap.pmtiles").status_code == 404
