"""`mapex doctor` attacks its own exchange; what works is told, kept, and stops footage until it is mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.cage import launch
from ingest.conversion.examination import attack_cage
from mapex.audit import examination, log
from mapex.audit.examination import Examined
from mapex.catalogue import publication
from mapex.cli.server import attacks
from mapex.database import db
from mapex.errors import Conflict, Denied
from mapex.exchange import Exchange
from mapex.operation import database_attacks
from mapex.people import signers
from mapex.rights import entitlements, grants
from tests.support.exchange import a_person, an_exchange
from tests.support.market import a_draft, a_layer, a_market, a_permit, block
from tests.support.servers import Minio
from tiles.batch import LayerKind
from tiles.store.minio import MinioStore, provision
from tiles.store.minio_accounts import Duty
from tiles.store.signing import Credentials
from web.edge import store_files

TOKEN = "mpx_tok_se_cret"


def states(ex: Exchange) -> dict[str, str]:
    return {one.name: one.state for one in attacks.attack(ex)}


def test_a_sound_exchange_holds_and_says_so(tmp_path: Path) -> None:
    ex = an_exchange(tmp_path / "ex")
    assert set(states(ex).values()) == {"ok"}
    operator = a_person(ex, role="operator")
    passed = {one.name: one.passed for one in examination.results(ex, operator)}
    assert passed == dict.fromkeys(("modes", "store", "cage", "database"), True)
    from tiles.store.protocol import Bucket

    assert not ex.store.list(Bucket.DATA) and not ex.store.list(Bucket.STAGING), "nothing of the attacks is left"
    ex.engine.dispose()


def test_a_store_that_checks_no_signature_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ex = an_exchange(tmp_path / "ex")

    def believed(method: str, host: str, path: str, query: str, headers: object, **_: object) -> dict[str, str]:
        from urllib.parse import parse_qsl

        return {"x-mapex-grant": "any", **dict(parse_qsl(query))}

    monkeypatch.setattr(store_files, "verify", believed)
    monkeypatch.setattr(signers, "is_current", lambda *_: True)
    (store,) = [one for one in attacks.attack(ex) if one.name == "store attacked"]
    assert store.state == "broken" and "footage" in store.message
    kept = {one.name: one.message for one in examination.results(ex, a_person(ex, role="operator"))}["store"]
    for name in (
        "an address whose grant was altered",
        "an address whose grant was taken out",
        "an address that names another object",
        "an address without its signature",
        "an address without the header of its holder",
        "an address with another holder",
        "an expired address",
    ):
        assert name in kept
    ex.engine.dispose()


def test_while_an_attack_works_footage_is_neither_published_nor_granted(exchange: Exchange) -> None:
    photos = a_layer(block(), name="photos", handling_class="original", kind=LayerKind.PHOTOS)
    market = a_market(exchange, layers=[photos, a_layer(block())])
    a_permit(exchange)
    order_id = market.buy().id
    tiles = {tile.layer: tile.id for tile in entitlements.of_order(exchange, market.buyer, order_id).tiles}
    examination.keep(exchange, [Examined("cage", False, "read /x"), Examined("store", True, "")])
    with pytest.raises(Denied) as refused:
        grants.grant(exchange, market.buyer, order_id, [tiles["photos"]], holder_token=TOKEN)
    assert refused.value.code == "footage.stopped"
    assert len(grants.grant(exchange, market.buyer, order_id, [tiles["hdmap"]])) == 1
    a_draft(exchange, market.seller, "streets", [photos])
    with pytest.raises(Conflict) as unpublished, db.begin(exchange) as conn:
        publication.publish(conn, exchange, market.seller, "streets")
    assert unpublished.value.code == "footage.stopped"
    examination.keep(exchange, [Examined("cage", True, "")])
    assert len(grants.grant(exchange, market.buyer, order_id, [tiles["photos"]], holder_token=TOKEN)) == 1
    with db.begin(exchange) as conn:
        publication.publish(conn, exchange, market.seller, "streets")
    auditor = a_person(exchange, role="auditor")
    events = log.events(exchange, auditor, log.EventFilter(action="exchange.examined")).events
    assert sorted(len(event.payload["failing"]) for event in events) == [0, 1]
    refusals = log.events(exchange, auditor, log.EventFilter(action="access.refused")).events
    assert [event.payload["code"] for event in refusals] == ["footage.stopped"]


def test_results_are_for_the_operator(exchange: Exchange) -> None:
    with pytest.raises(Denied):
        examination.results(exchange, a_person(exchange, "hanbit"))


def test_a_weak_cage_is_broken_out_of(tmp_path: Path) -> None:
    secret = tmp_path / "mapex.toml"
    secret.write_text("canary")
    assert attack_cage([secret, tmp_path], "bubblewrap") == []
    worked = attack_cage([secret, tmp_path], "rlimits")
    assert {f"read {secret}", f"read {tmp_path}", "see other processes", "write into what it reads", "write outside"} <= set(worked)
    assert not {"open a socket", "start a process"} & set(worked)


def test_an_exchange_that_trusts_a_weak_cage_loses_its_footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch.level.cache_clear()
    monkeypatch.setattr(launch, "_bwrap", lambda: None)
    ex = an_exchange(tmp_path / "ex", cage_weak_for="own")
    assert states(ex)["cage attacked"] == "broken"
    with db.read(ex) as conn:
        assert examination.failing(conn) == ["cage"]
    launch.level.cache_clear()
    ex.engine.dispose()


def test_the_role_of_the_database_is_attacked_and_nothing_of_it_stays(exchange: Exchange) -> None:
    worked = database_attacks.attacks(exchange)
    if exchange.engine.dialect.name == "sqlite":
        assert worked == []
        return
    assert "alter audit_event" in worked and "switch off the triggers of ledger_entry" in worked  # one role owns everything here
    assert database_attacks.attacks(exchange) == worked
    from sqlalchemy import inspect

    assert "doctor_was_here" not in {column["name"] for column in inspect(exchange.engine).get_columns("audit_event")}
    assert states(exchange)["database attacked"] == "broken"
    with db.read(exchange) as conn:
        assert "database" in examination.failing(conn), "no footage leaves while one role owns everything"


def minio_exchange(tmp_path: Path, minio: Minio, prefix: str, **changes: object) -> Exchange:
    keys = {f"store_{one}_access_key": f"{prefix}-{one}" for one in ("upload", "download", "work", "sweep")}
    keys |= {f"store_{one}_secret_key": f"secret-of-{one}-0123456789" for one in ("upload", "download", "work", "sweep")}
    given = {"store": "minio", "store_endpoint": minio.endpoint, "store_secure": False, "store_public_url": minio.url}
    given |= {"store_access_key": minio.access_key, "store_secret_key": minio.secret_key, "store_bucket_prefix": prefix, **keys, **changes}
    single = {
        purpose: Credentials(given[f"store_{purpose}_access_key"], given[f"store_{purpose}_secret_key"])  # type: ignore[arg-type]
        for purpose in (Duty.DOWNLOAD, Duty.WORK, Duty.SWEEP)
        if given[f"store_{purpose}_access_key"]
    }
    provision(
        minio.endpoint,
        access_key=minio.access_key,
        secret_key=minio.secret_key,
        upload_access_key=f"{prefix}-upload",
        upload_secret_key="secret-of-upload-0123456789",
        single=single,
        prefix=prefix,
    )
    import time

    return an_exchange(tmp_path / "ex", now=time.time_ns, **given)  # type: ignore[arg-type]


def test_a_real_minio_with_an_account_for_each_purpose_holds(tmp_path: Path, minio: Minio) -> None:
    ex = minio_exchange(tmp_path, minio, "holds")
    assert states(ex) == {"files attacked": "ok", "store attacked": "ok", "cage attacked": "ok", "database attacked": "ok"}
    ex.engine.dispose()


def test_a_real_minio_with_one_key_is_warned_about(tmp_path: Path, minio: Minio) -> None:
    none = {f"store_{one}_{key}_key": "" for one in ("download", "work", "sweep") for key in ("access", "secret")}
    ex = minio_exchange(tmp_path, minio, "single", **none)
    found = states(ex)
    assert found["store attacked"] == "ok" and found["store keys"] == "warning"
    ex.engine.dispose()


def test_an_upload_key_that_can_read_is_found_by_the_copy_that_it_allows(tmp_path: Path, minio: Minio) -> None:
    """CVE-2026-97731 on the real server: the signer of uploads may read, and an unsigned header copies what somebody else paid for."""
    from minio.credentials.providers import StaticProvider
    from minio.minioadmin import MinioAdmin

    ex = minio_exchange(tmp_path, minio, "copied")
    root = StaticProvider(minio.access_key, minio.secret_key)
    admin = MinioAdmin(endpoint=minio.endpoint, credentials=root, region="us-east-1", secure=False)
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::copied-*/*"]}]}
    admin.update_service_account(access_key="copied-upload", policy=everything)
    (store,) = [one for one in attacks.attack(ex) if one.name == "store attacked"]
    assert store.state == "broken"
    assert "an upload with the header x-amz-copy-source" in store.message and "read a tile with the key copied-upload" in store.message
    assert isinstance(ex.store, MinioStore)
    ex.engine.dispose()
