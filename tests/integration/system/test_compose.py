"""`docker-compose.yml`: no secret has a default, every setting is known, and what it starts works as plain processes.

Docker itself is not needed: the file is parsed, its variables are filled in as Compose does, and the same commands run with the same
variables beside a real PostgreSQL and a real MinIO. Only the folder `/data` of the volume is another one.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from mapex.config import Settings
from tests.support.processes import MAPEX, Running, running_exchange
from tests.support.servers import Minio, Postgres, free_port, running_minio

TEXT = (Path(__file__).parents[3] / "docker-compose.yml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY$")


def filled(text: str, variables: Mapping[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}` and `${NAME:?why}` as Compose fills them in. Raises KeyError where it would refuse."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise KeyError(f"{name}: {rest}")
        return rest or ""

    return VARIABLE.sub(value, text)


def services(variables: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(filled(TEXT, variables))["services"]
    return found


@pytest.fixture(scope="module")
def dotenv() -> dict[str, str]:
    """What `mapex init --compose` prints, with the one thing that the operator adds."""
    printed = subprocess.run([*MAPEX, "init", "--compose"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in printed.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines) | {"MINIO_IMAGE": "pgsty/silo:some"}


def test_all_services_are_there_and_their_images_are_variables() -> None:
    raw = yaml.safe_load(TEXT)["services"]
    assert set(raw) == {"init", "web", "proxy", "worker", "postgres", "minio"}
    assert all(VARIABLE.fullmatch(service["image"]) for service in raw.values())


def test_no_secret_has_a_default() -> None:
    raw = yaml.safe_load(TEXT)["services"]
    found = {(name, value) for service in raw.values() for name, value in service["environment"].items() if SECRET.search(name)}
    assert len(found) >= 8
    for name, value in found:
        variables = VARIABLE.findall(value)
        assert variables and VARIABLE.sub("", value) == "", f"{name} holds something beside its variable"
        assert all(kind == "?" for _, kind, _ in variables), f"{name} has a default, or may be empty"
    in_urls = [match for match in VARIABLE.findall(TEXT) if SECRET.search(match[0])]
    assert all(kind == "?" for _, kind, _ in in_urls)


def test_init_prints_every_variable_that_is_required_and_each_secret_is_fresh(dotenv: Mapping[str, str]) -> None:
    required = {name for name, kind, _ in VARIABLE.findall(TEXT) if kind == "?"}
    assert required == set(dotenv)
    services(dotenv)
    for name in required:
        with pytest.raises(KeyError, match=name):
            services({k: v for k, v in dotenv.items() if k != name})
    secrets = [value for name, value in dotenv.items() if SECRET.search(name) and "ACCESS" not in name]
    assert len(set(secrets)) == len(secrets) and all(len(value) >= 32 for value in secrets)
    printed = subprocess.run([*MAPEX, "init", "--compose"], capture_output=True, text=True, check=True).stdout
    assert not any(value in printed for value in secrets)


def test_every_setting_is_known_and_secrets_reach_only_their_service(dotenv: Mapping[str, str]) -> None:
    there = services(dotenv)
    known = {f"MAPEX_{field.name.upper()}" for field in fields(Settings)}
    for name in ("init", "web", "worker"):
        assert set(there[name]["environment"]) <= known
        assert there[name]["command"][0] == "mapex"
    ours = {dotenv["MAPEX_SECRET_KEY"], dotenv["MAPEX_SIGNING_KEY"], dotenv["MAPEX_STORE_UPLOAD_SECRET_KEY"]}
    for name in ("postgres", "minio", "proxy"):
        assert not ours & set(there[name]["environment"].values())


def test_each_service_has_the_keys_of_the_store_that_it_needs_and_the_root_key_is_for_init_alone(dotenv: Mapping[str, str]) -> None:
    there = services(dotenv)
    keys = {
        name: {re.sub("^MAPEX_STORE_|_?ACCESS_KEY$", "", key) for key in there[name]["environment"] if re.search("STORE.*ACCESS_KEY$", key)}
        for name in ("init", "web", "worker")
    }
    assert keys["web"] == {"UPLOAD", "DOWNLOAD"} and keys["worker"] == {"WORK", "SWEEP"}
    assert keys["init"] == {"", *keys["web"], *keys["worker"]}
    for name in ("web", "worker"):
        assert dotenv["MINIO_ROOT_PASSWORD"] not in there[name]["environment"].values()


def test_the_worker_does_not_start_without_bubblewrap(dotenv: Mapping[str, str]) -> None:
    assert services(dotenv)["worker"]["environment"]["MAPEX_CAGE"] == "bubblewrap"


DOCKERFILE = (Path(__file__).parents[3] / "Dockerfile").read_text(encoding="utf-8")


def test_everything_that_the_image_takes_from_outside_has_a_hash() -> None:
    commands = re.findall(r"pip install[^&\n]*", DOCKERFILE)
    assert len(commands) == 3
    for command in commands:
        assert "--require-hashes -r " in command or ("--no-deps" in command and "--no-build-isolation" in command), command
    for name in re.findall(r"--require-hashes -r (\S+)", DOCKERFILE):
        lock = (Path(__file__).parents[3] / name).read_text(encoding="utf-8")
        assert len(re.findall(r"^\S+==", lock, re.MULTILINE)) <= lock.count("--hash=sha256:")
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2


@pytest.mark.parametrize(
    ("image", "status"),
    [("python:3.11-slim-bookworm", 1), ("", 1), ("python@sha256:short", 1), (f"python:3.11@sha256:{'a' * 64}", 0), (f"x:{'a' * 71}", 1)],
)
def test_no_image_is_built_on_one_without_a_digest(image: str, status: int) -> None:
    [check] = re.findall(r"^RUN (case .*?esac)$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["sh", "-c", check.replace("\\\n", "\n")], env={"PYTHON_IMAGE": image}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "docker pull" in done.stderr) == (status, bool(status))


def test_ports_are_open_on_this_machine_only(dotenv: Mapping[str, str]) -> None:
    there = services({**dotenv, "MAPEX_PORT": "9876"})
    ports = {name: service["ports"] for name, service in there.items() if "ports" in service}
    assert ports == {"proxy": ["127.0.0.1:9876:9876", "127.0.0.1:8443:443"], "minio": ["127.0.0.1:9000:9000"]}
    assert there["web"]["environment"]["MAPEX_PORT"] == there["proxy"]["environment"]["WEB_PORT"] == "9876"


def test_nobody_reaches_the_web_service_but_through_the_proxy_which_alone_is_believed(dotenv: Mapping[str, str]) -> None:
    there = services(dotenv)
    assert "ports" not in there["web"] and there["web"]["environment"]["MAPEX_PROXIES"] == "1"
    assert there["proxy"]["environment"]["WEB_HOST"] == "web"
    [config, tls] = there["proxy"]["volumes"]
    assert config == "./proxy/mapex.conf.template:/etc/nginx/templates/default.conf.template:ro" and tls.endswith(":/etc/nginx/tls:ro")


def test_the_web_service_is_asked_for_its_health_at_its_own_port(dotenv: Mapping[str, str]) -> None:
    asked = services({**dotenv, "MAPEX_PORT": "9876"})["web"]["healthcheck"]["test"]
    assert asked[:3] == ["CMD", "python", "-c"] and "http://127.0.0.1:9876/readyz" in asked[3]
    compile(asked[3], "healthcheck", "exec")


@dataclass(frozen=True, slots=True)
class Composed:
    """What the file describes, as processes."""

    exchange: Running
    minio: Minio
    inits: list[Any]


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, minio: Minio, dotenv: Mapping[str, str]) -> Iterator[Composed]:
    """PostgreSQL and MinIO with the variables of their services, init twice, web and worker."""
    import psycopg

    del minio  # there is one: ours needs the keys of the .env
    folder, port = tmp_path_factory.mktemp("compose") / "data", free_port()
    first = services(dotenv)
    with running_minio({name: str(value) for name, value in first["minio"]["environment"].items()}) as store:
        reached = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(postgres.port), "MINIO_ENDPOINT": store.endpoint}
        reached |= {"MAPEX_HOST": "127.0.0.1", "MAPEX_PORT": str(port), "MAPEX_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        there = services({**dotenv, **reached, "MAPEX_STORE_PUBLIC_URL": store.url})
        database = there["postgres"]["environment"]["POSTGRES_DB"]
        with psycopg.connect(f"postgresql://mapex@127.0.0.1:{postgres.port}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        try:
            given = {
                name: {key: str(value) for key, value in there[name]["environment"].items()} | {"MAPEX_DIR": str(folder)}
                for name in ("init", "web", "worker")
            }
            inits = [init(there["init"]["command"], given["init"]) for _ in range(2)]
            web = there["web"]["command"]
            assert (web[:4], there["worker"]["command"]) == (["mapex", "serve", "--server", "granian"], ["mapex", "worker"])
            with running_exchange(
                folder, given["init"], port=port, serve=web[1:], only={"serve": given["web"], "worker": given["worker"]}
            ) as running:
                yield Composed(running, store, inits)
        finally:
            postgres.drop_database(postgres.url_of(database))


def init(command: list[str], environ: Mapping[str, str]) -> Any:
    """The JSON that the init service prints (it would print a sentence)."""
    import os

    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")}
    done = subprocess.run([*MAPEX, *command[1:], "--json"], env={**clean, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_init_may_run_any_number_of_times_and_writes_no_secret(composed: Composed) -> None:
    assert [report["store"] for report in composed.inits] == ["minio", "minio"]
    assert not (composed.exchange.folder / "mapex.toml").exists()
    assert not (composed.exchange.folder / "mapex.db").exists()


def test_the_web_service_is_several_processes_of_granian(composed: Composed) -> None:
    with urllib.request.urlopen(f"{composed.exchange.url}/login", timeout=30) as answer:
        assert answer.headers["Server"] == "granian"


def test_the_tour_works_and_bytes_come_from_minio(composed: Composed, samples: Path, tmp_path: Path) -> None:
    ex = composed.exchange
    ex.cli("org", "add", "dongil", "--credit", "5000000")
    ex.cli("org", "add", "hanbit")
    ex.cli("person", "add", "buyer@dongil.example", "--org", "dongil")
    ex.cli("person", "add", "maps@hanbit.example", "--org", "hanbit")
    seller, buyer = ex.token("maps@hanbit.example"), ex.token("buyer@dongil.example")
    source = samples / "lanelet2" / "kashiwa_mgrs_lanelet2_map.osm"
    w, s, e, n = ex.cli("inspect", source)["box"]
    pushed = ex.cli("push", source, "--dataset", "kashiwa", "--class", "open", "--wait", token=seller)
    assert pushed["state"] == "draft", pushed["findings"]
    ex.cli("publish", "kashiwa", "--rate", "lane_km=6300", "--licence", "research", token=seller)
    box = f"{w - 1e-4},{s - 1e-4},{e + 1e-4},{n + 1e-4}"
    quote = ex.cli("quote", "--bbox", box, "--purpose", "research", token=buyer)
    order = ex.cli("buy", quote["id"], "--key", "k", token=buyer)
    assert order["total"] == quote["total"] > 0
    got = ex.cli("get", order["id"], "--to", tmp_path / "got", token=buyer)
    assert got["files"] == got["fetched"] == got["verified"] > 0
    granted = _granted(ex, buyer, order["id"])
    assert {urlsplit(grant["url"]).netloc for grant in granted} == {composed.minio.endpoint}
    with urllib.request.urlopen(granted[0]["url"], timeout=30) as answer:
        assert answer.headers["Server"].startswith("MinIO")
        assert len(answer.read()) == granted[0]["size"]
    assert "X-Amz-Credential=dl" in granted[0]["url"], "an account of the firm, which the one for downloads made"
    assert ex.cli("fsck", "--deep")["ok"]


def _granted(ex: Running, token: str, order: str) -> list[dict[str, Any]]:
    tile = _call(ex, token, f"/orders/{order}/tiles?limit=1")["tiles"][0]["id"]
    granted: list[dict[str, Any]] = _call(ex, token, "/grants", {"order": order, "tiles": [tile]})["grants"]
    return granted


def test_uploads_are_signed_for_minio_with_the_account_that_only_writes(composed: Composed, dotenv: Mapping[str, str]) -> None:
    ex = composed.exchange
    ex.cli("org", "add", "other")
    ex.cli("person", "add", "maps@other.example", "--org", "other")
    token = ex.token("maps@other.example")
    upload = _call(ex, token, "/uploads", {"name": "a.osm", "size": 5})
    part = _call(ex, token, f"/uploads/{upload['id']}/parts", {"parts": [{"number": 1, "size": 5, "sha256": "0" * 64}]})["parts"][0]
    assert urlsplit(part["url"]).netloc == composed.minio.endpoint
    assert dotenv["MAPEX_STORE_UPLOAD_ACCESS_KEY"] in part["url"]
    assert dotenv["MINIO_ROOT_USER"] not in part["url"]
    for process in ("serve", "worker"):
        assert "one key of the store" not in (ex.folder / f"{process}.log").read_text()


def _call(ex: Running, token: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{ex.url}/api/v1{path}", None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_init_again_after_all_that_changes_nothing(composed: Composed) -> None:
    ex = composed.exchange
    before = ex.cli("org", "list")
    again = ["mapex", "init", "--if-missing"]
    assert init(again, {k: v for k, v in ex.environ.items() if k.startswith("MAPEX_")})["store"] == "minio"
    assert ex.cli("org", "list") == before
    assert ex.cli("doctor")["ok"]
