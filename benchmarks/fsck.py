"""`mapex fsck` over a log of n entries: every commitment, column, number and checkpoint, and the state that the entries make.

All but a few thousand entries are grants, each with its row, written as the service writes them.

python -m benchmarks.fsck [--n 100000] [--postgres]     # a PostgreSQL of its own, as the tests start it
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import insert, select

from mapex import ids
from mapex.audit import checkpoints, log
from mapex.audit.log import Action, AuditEntry
from mapex.database import db
from mapex.database.schema import access_grant, entitlement
from mapex.operation import fsck
from tests.support.exchange import an_exchange
from tests.support.servers import running_postgres
from tests.support.tampering import governed

MOST_S = 60.0
"""Of a million entries; a log of fewer may take as much less."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(running_postgres()).new_database() if asked.postgres else ""
        ex = an_exchange(folder, database_url=url)
        market = governed(ex)
        with db.read(ex) as conn:
            row = conn.execute(select(entitlement).where(entitlement.c.layer_name == "hdmap").limit(1)).mappings().one()
            before = conn.execute(select(access_grant).where(access_grant.c.entitlement_id == row["id"]).limit(1)).mappings().first()
            before = before or conn.execute(select(access_grant).limit(1)).mappings().one()
            row = conn.execute(select(entitlement).where(entitlement.c.id == before["entitlement_id"])).mappings().one()
            payload = _said(conn, before["id"])
        for _ in range(asked.n // 1000):
            made = [ids.new("gra") for _ in range(1000)]
            now = ex.now()
            rows = [{**before, "id": one, "issued_ns": now, "expires_ns": now + 10**9} for one in made]
            with db.begin(ex) as conn:
                conn.execute(insert(access_grant), rows)
                log.append_many(conn, ex, market.buyer, [replace(payload, details={**payload.details, "grant": one}) for one in made])
        start = time.perf_counter()
        while checkpoints.keep(ex):
            pass
        print(f"signing {asked.n} entries: {time.perf_counter() - start:5.1f} s")
        if asked.postgres:
            with ex.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                conn.exec_driver_sql("VACUUM ANALYZE")
        start, worked = time.perf_counter(), time.process_time()
        found = fsck.check(ex)
        taken, worked = time.perf_counter() - start, time.process_time() - worked
        most = MOST_S * max(asked.n, 50_000) / 1_000_000
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"fsck of {asked.n} entries: {taken:5.1f} s, {worked:5.1f} s of a processor (limit {most:.1f} s), peak {peak} MB")
        print("\n".join(check.message for check in found if not check.ok))
        ex.engine.dispose()
    return int(taken > most or not all(check.ok for check in found))


def _said(conn, grant_id: str) -> AuditEntry:
    """The entry of a grant, to be payload of others."""
    import json

    payload = next(
        payload
        for payload in map(json.loads, conn.exec_driver_sql("SELECT payload FROM audit_event WHERE action = 'access.granted'").scalars())
        if payload["grant"] == grant_id
    )
    named = {name: payload.get(name, "") for name in ("owner", "dataset", "layer", "tile", "purpose", "permit")}
    rest = {name: value for name, value in payload.items() if name not in (*named, "v", "at", "action", "person", "org", "class")}
    return AuditEntry(Action.ACCESS_GRANTED, **named, handling_class=payload.get("class", ""), details=rest)


if __name__ == "__main__":
    sys.exit(main())
