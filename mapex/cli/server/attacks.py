"""The attacks of `mapex doctor` on its own exchange: store, cage, modes of files, role of the database.

What worked is stored (`mapex.audit.examination`): the exchange neither publishes nor grants footage until it is mended and doctor passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from mapex import modes
from mapex.audit.examination import Examined, keep
from mapex.cli.server.symptoms import Symptom
from mapex.config import FILE_NAME
from mapex.database.opening import ONE_KEY, open_store, single_accounts
from mapex.errors import MapexError
from mapex.exchange import Exchange
from mapex.operation import database_attacks, store_attacks
from mapex.times import NS
from tiles.errors import StoreError

_HOUR_NS = 3600 * NS

_FIXES = {
    "store": "Run `mapex init --if-missing` and a maintained build of the store (docs/operator.md), then `mapex doctor` again.",
    "cage": "apt-get install bubblewrap (in Docker: see docs/operator.md), then run `mapex doctor` again.",
    "database": "Give tables and services different roles (`mapex init --roles`, docs/operator.md), then run `mapex doctor` again.",
    "modes": "Close them with `chmod -R go= FOLDER`, then run `mapex doctor` again.",
}


def attack(ex: Exchange) -> list[Symptom]:
    """Make all attacks, store what came of them, and tell."""
    found: list[Symptom] = []
    kept: list[Examined] = []
    for name, what, make in _ATTACKS:
        try:
            worked = sorted(make(ex))
        except (MapexError, StoreError) as why:
            found.append(Symptom(f"{what} attacked", "warning", f"not tried: {why.message}", "Run doctor where that can be reached."))
            continue
        kept.append(Examined(name, not worked, "; ".join(worked)))
        if worked:
            text = f"{len(worked)} attacks WORKED, so no footage is published or granted: {'; '.join(worked[:10])}."
            found.append(Symptom(f"{what} attacked", "broken", text, _FIXES[name]))
        else:
            held = database_attacks.SQLITE if name == "database" and ex.engine.dialect.name == "sqlite" else "no attack worked."
            found.append(Symptom(f"{what} attacked", "ok", held))
    keep(ex, kept)
    return [*found, *_keys(ex)]


def _modes(ex: Exchange) -> Iterator[str]:
    for path in modes.open_paths(ex.settings):
        yield f"others can read or write {path}"


def _cage(ex: Exchange) -> list[str]:
    from ingest.conversion.examination import attack_cage
    from ingest.worker.trust import cage_of

    settings = ex.settings
    secrets = [settings.dir / FILE_NAME, settings.dir, modes.sqlite_file(settings), settings.store_dir]
    return attack_cage([path for path in secrets if path is not None and path.exists()], str(cage_of(settings)))


def _store(ex: Exchange) -> Iterator[str]:
    late = open_store(ex.settings, lambda: ex.now() - _HOUR_NS)
    for one in store_attacks.attacks(ex.store, late, _sender(ex)):
        if one.worked:
            yield one.name
    for one in store_attacks.key_attacks(ex.store, ex.settings):
        if one.worked:
            yield one.name


def _sender(ex: Exchange) -> store_attacks.Send:
    return _through_web(ex) if ex.settings.store == "directory" else _to_server(ex)


def _through_web(ex: Exchange) -> store_attacks.Send:
    """To the directory store through our own web application; no server needs to run."""
    from web import create_app

    client = create_app(ex).test_client()

    def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        with client.open(path, method=method, headers=dict(headers), data=body, base_url=f"{parts.scheme}://{parts.netloc}") as answer:
            return answer.status_code, answer.get_data()

    return send


def _to_server(ex: Exchange) -> store_attacks.Send:
    """To MinIO as the exchange reaches it, under the name that clients use: that is what the signature is for."""
    import urllib3

    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=30), retries=False)
    inside = f"{'https' if ex.settings.store_secure else 'http'}://{ex.settings.store_endpoint}"

    def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        parts = urlsplit(url)
        there = f"{inside}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        answer = pool.request(method, there, headers={**headers, "Host": parts.netloc}, body=body, redirect=False)
        return answer.status, answer.data

    return send


def _keys(ex: Exchange) -> list[Symptom]:
    if ex.settings.store == "minio" and ex.settings.store_access_key and not single_accounts(ex.settings):
        return [Symptom("store keys", "warning", ONE_KEY)]
    return []


def _database(ex: Exchange) -> list[str]:
    return [f"the account of the services can {one}" for one in database_attacks.attacks(ex)]


_ATTACKS = (("modes", "files", _modes), ("store", "store", _store), ("cage", "cage", _cage), ("database", "database", _database))
"""Name, what people call it, and what answers with the attacks that worked."""
