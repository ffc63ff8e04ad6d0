"""The auditor's view (numbers, timeline, map, list) and one stretch for verification, over a log of n entries.

python -m benchmarks.audit [--n 20000] [--postgres]     # a PostgreSQL of its own, as the tests start it
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from mapex import config
from mapex.audit import figures, log, proof
from mapex.audit.log import Action, EventFilter
from mapex.database import db, opening
from mapex.people import orgs, persons
from tiles.grid import grid

LIMIT_MS = 300
"""A view at 20,000 entries: the time in which an answer still feels immediate, with room for drawing it."""

DAY_NS = 86_400 * 10**9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    asked = parser.parse_args()
    n = asked.n
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        environ = {}
        if asked.postgres:
            sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
            from tests.support.servers import running_postgres

            environ["MAPEX_DATABASE_URL"] = stack.enter_context(running_postgres()).new_database()
        config.initialise(Path(folder), {})
        clock = [1_790_000_000 * 10**9]
        ex = replace(opening.open_exchange(config.load(Path(folder), environ)), now=lambda: clock[0])
        orgs.add_org(ex, None, "dongil")
        reader = persons.add_person(ex, None, "a@dongil.example", org="dongil").actor
        auditor = persons.add_person(ex, None, "a@audit.example", role="auditor").actor
        for hour in range(200):
            clock[0] += DAY_NS // 8
            cells = [grid.quadkey(int(grid.morton(55_885 + i % 25, 25_377 + i // 25))) for i in range(n // 200)]
            with db.begin(ex) as conn:
                entry = log.AuditEntry(Action.ACCESS_GRANTED, owner="x", dataset="d", layer="l", permit="P", details={"hour": hour})
                log.append_many(conn, ex, reader, [replace(entry, tile=cell) for cell in cells])
        if asked.postgres:
            # What PostgreSQL's autovacuum does within a minute; done at once, it does not run beside the measurement.
            with ex.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                conn.exec_driver_sql("VACUUM ANALYZE audit_event")
        worst = 0.0
        for name, wanted in (
            ("all", EventFilter()),
            ("night", EventFilter(flag="night")),
            ("a week", EventFilter(from_ns=clock[0] - 7 * DAY_NS)),
        ):
            taken = [_timed(lambda wanted=wanted: figures.view(ex, auditor, wanted)) for _ in range(10)]
            worst = max(worst, statistics.median(taken))
            print(
                f"view, {name:8} {n} entries: median {statistics.median(taken):6.1f} ms, worst {max(taken):6.1f} ms (limit {LIMIT_MS} ms)"
            )
        print(f"10,000 entries for verification: {_timed(lambda: proof.stretch(ex, auditor)):6.1f} ms")
        ex.engine.dispose()
    return int(n <= 20_000 and worst > LIMIT_MS)


def _timed(work) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    sys.exit(main())
