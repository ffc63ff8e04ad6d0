"""What all tests share: the sample files, and the rule that CI skips nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from mapex.exchange import Exchange
from tests.support.exchange import an_exchange, settings
from tests.support.needs import absent
from tests.support.servers import Minio, NotHere, Postgres, running_minio, running_postgres

# No test fails because the machine is slow. On CI hypothesis tries the same examples each time (its own profile), elsewhere new ones.
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real input files, named by MAPEX_TEST_SAMPLES."""
    folder = os.environ.get("MAPEX_TEST_SAMPLES", "")
    if not folder or not Path(folder).is_dir():
        absent("MAPEX_TEST_SAMPLES names no folder of sample files")
    return Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL on 127.0.0.1; `new_database()` gives the URL of an empty database."""
    try:
        with running_postgres() as server:
            yield server
    except NotHere as reason:
        absent(str(reason))


@pytest.fixture(scope="session")
def minio() -> Iterator[Minio]:
    """A real MinIO on 127.0.0.1, empty; `tiles.store.minio.provision` makes the buckets and the upload account."""
    try:
        with running_minio() as server:
            yield server
    except NotHere as reason:
        absent(str(reason))


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables, to be copied: migrating takes longer than most tests."""
    folder = tmp_path_factory.mktemp("migrated")
    an_exchange(folder).engine.dispose()
    return folder / "mapex.db"


@pytest.fixture(scope="session")
def migrated_postgresql(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a PostgreSQL database with all tables, to be copied."""
    url = postgres.new_database()
    an_exchange(tmp_path_factory.mktemp("migrated"), database_url=url).engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Exchange]:
    """An empty exchange with a directory store and a clock at `DAY_ONE`: every test runs on SQLite and on PostgreSQL."""
    folder, url = tmp_path / "exchange", ""
    server: Postgres | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.new_database(request.getfixturevalue("migrated_postgresql"))
    else:
        settings(folder)
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), folder / "mapex.db")
    ex = an_exchange(folder, database_url=url)
    yield ex
    ex.engine.dispose()
    if server:
        server.drop_database(url)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """At the end, one line for each thing that this machine could not run, and why."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        terminalreporter.section("not run on this machine")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count} tests: {reason}")
