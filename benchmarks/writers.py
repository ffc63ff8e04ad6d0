"""How many actions that log a PostgreSQL takes at once: grants of one file each, by writers who have nothing in common but the log.

PostgreSQL waits for the disk at every commit here, as in production.

python -m benchmarks.writers [--writers 8] [--seconds 10]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from dataclasses import replace

from mapex.exchange import Actor, Exchange
from mapex.rights import entitlements, grants
from tests.support.exchange import an_exchange
from tests.support.market import a_layer, a_market, block
from tests.support.servers import running_postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_postgres(durable=True))
        ex = an_exchange(Path(stack.enter_context(tempfile.TemporaryDirectory())), database_url=server.new_database())
        ex = replace(ex, settings=replace(ex.settings, grants_per_tile=10**6))
        market = a_market(ex, layers=[a_layer(block())])
        orders = [market.buy(key=f"writer-{number}").id for number in range(asked.writers)]
        for count in sorted({1, asked.writers}):
            took = _many(ex, market.buyer, orders[:count], asked.seconds)
            ms = sorted(took)
            print(
                f"{count} writers: {len(ms) / asked.seconds:6.1f} grants/s, p50 {ms[len(ms) // 2]:.1f} ms, "
                f"p95 {ms[int(len(ms) * 0.95)]:.1f} ms, longest {ms[-1]:.1f} ms"
            )
        ex.engine.dispose()


def _many(ex: Exchange, by: Actor, orders: list[str], seconds: float) -> list[float]:
    """Milliseconds of each grant, by as many writers as orders."""
    start = threading.Barrier(len(orders))

    def write(order_id: str) -> list[float]:
        [tile, *_] = entitlements.of_order(ex, by, order_id).tiles
        start.wait()
        took, end = [], time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            grants.grant(ex, by, order_id, [tile.id])
            took.append((time.perf_counter() - began) * 1000)
        return took

    with ThreadPoolExecutor(len(orders)) as pool:
        return [ms for of_one in pool.map(write, orders) for ms in of_one]


if __name__ == "__main__":
    main()
