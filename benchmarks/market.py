"""Speed of the market on a catalogue of a million tile rows: estimates, coverage tiles, an order, grants. Only the calls are timed.

    python benchmarks/market.py                      # SQLite in a temporary folder
    python benchmarks/market.py --postgres           # a PostgreSQL of its own, as the tests start it
    python benchmarks/market.py --rows 100000 --json out.json
    python benchmarks/market.py --map                # coverage tiles only

The catalogue (seeded): elliptic datasets of about 2,000 tiles around Korean cities, so that the same cells are sold by several
firms. Regions: irregular stars of about 10, 1,000 and 100,000 cells. `owner` has bought 20,000 tiles before, `newcomer` none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from sqlalchemy import insert, text

from mapex import config, ids
from mapex.database import db, opening
from mapex.database.schema import dataset, dataset_version, layer, offer, organisation
from mapex.exchange import Actor, Exchange
from mapex.orders import ledger, orders
from mapex.people import orgs, persons
from mapex.prices import estimates, quotes
from mapex.prices.estimate import document
from mapex.prices.request import of_area
from mapex.pyramid import cell_sums
from mapex.rights import entitlements, grants
from mapex.rules.choice import Choice
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.region import Region
from tiles.grid.scan import cover

CITIES = np.array(
    [
        (126.98, 37.56, 10.0), (126.7, 37.45, 3.0), (127.02, 37.27, 3.5), (127.38, 36.35, 1.5), (126.85, 35.16, 1.5),
        (128.6, 35.87, 2.4), (129.07, 35.18, 3.4), (129.31, 35.54, 1.1), (127.15, 35.82, 0.7), (128.68, 35.23, 1.0), (127.73, 37.88, 0.4),
    ]
)  # fmt: skip
KINDS = (
    ("hdmap", {"lane_km": 6300, "crossing": 40, "sign": 12}),
    ("sidewalk", {"footway_km": 2900}),
    ("pointcloud", {"million_points": 4000}),
    ("photos", {"frame": 20}),
)
SELLERS = 20
NOW = 1_795_000_000 * 10**9


def main() -> None:
    """Build, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    parser.add_argument("--rounds", type=int, default=5, help="how often each region is asked for")
    parser.add_argument("--map", action="store_true", help="the map's tiles only")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    asked = parser.parse_args()
    with catalogue(asked.rows, on_postgres=asked.postgres) as ex:
        results = _map(ex) if asked.map else _measure(ex, buyer(ex, "newcomer"), buyer(ex, "owner"), asked.rounds)
    print(f"{'what':44} {'n':>5} {'p50 ms':>9} {'p95 ms':>9} {'max ms':>9}  note")
    for one in results:
        print(f"{one['what']:44} {one['n']:5} {one['p50']:9.1f} {one['p95']:9.1f} {one['max']:9.1f}  {one['note']}")
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))


@contextlib.contextmanager
def catalogue(rows: int, *, on_postgres: bool = False) -> Iterator[Exchange]:
    """An exchange with so many tile rows on sale, and the buyers `newcomer` and `owner`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environ = {}
        if on_postgres:
            sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
            from tests.support.servers import running_postgres

            environ["MAPEX_DATABASE_URL"] = stack.enter_context(running_postgres()).new_database()
        home = Path(folder) / "ex"
        config.initialise(home, {})
        ex = opening.open_exchange(config.load(home, environ), now=lambda: NOW)
        started = time.perf_counter()
        for slug in ("newcomer", "owner"):
            orgs.add_org(ex, None, slug)
            persons.add_person(ex, None, f"buyer@{slug}.example", org=slug)
            ledger.credit(ex, None, slug, 10**12, key=slug)
        _catalogue(ex, rows)
        print(f"{'PostgreSQL' if on_postgres else 'SQLite'}: {rows:,} tile rows built in {time.perf_counter() - started:.1f} s")
        yield ex
        ex.engine.dispose()


def buyer(ex: Exchange, slug: str) -> Actor:
    """The person who buys for `slug`."""
    found = persons.get_person(ex, email=f"buyer@{slug}.example")
    if found is None:
        raise LookupError(slug)
    return found.actor


def _rows(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Cells and dataset numbers, n rows."""
    rng = np.random.default_rng(7)
    cells: list[Any] = []
    numbers: list[Any] = []
    total = number = 0
    while total < n:
        lon, lat, _ = CITIES[rng.choice(len(CITIES), p=CITIES[:, 2] / CITIES[:, 2].sum())]
        x, y = (v.item() for v in grid.tile_xy(np.array([lon + rng.normal(0, 0.15)]), np.array([lat + rng.normal(0, 0.12)])))
        size = float(np.clip(rng.lognormal(np.log(2000) - 0.6, 1.1), 20, 150_000))
        a = np.sqrt(size * rng.uniform(0.5, 2))
        b = size / a
        gx, gy = np.meshgrid(np.arange(int(x - a / 2), int(x + a / 2) + 1), np.arange(int(y - b / 2), int(y + b / 2) + 1))
        keep = (((gx - x) / (a / 2 + 0.5)) ** 2 + ((gy - y) / (b / 2 + 0.5)) ** 2 < 1.1) & (rng.random(gx.shape) < 0.95)
        cells.append(grid.morton(gx[keep], gy[keep]))
        numbers.append(np.full(int(keep.sum()), number))
        total, number = total + int(keep.sum()), number + 1
    return np.concatenate(cells)[:n].astype(np.int64), np.concatenate(numbers)[:n]


def _catalogue(ex: Exchange, n: int) -> None:
    cells, numbers = _rows(n)
    sellers = [ids.new("org") for _ in range(SELLERS)]
    rng = np.random.default_rng(8)
    with db.begin(ex) as conn:
        conn.execute(
            insert(organisation),
            [{"id": s, "slug": f"seller-{i}", "name": "", "state": "active", "created_ns": NOW} for i, s in enumerate(sellers)],
        )
        layer_ids = []
        for number in range(int(numbers.max()) + 1):
            kind, rates = KINDS[number % 4]
            seller = sellers[number % SELLERS]
            dataset_id, version_id, layer_id = ids.new("dat"), ids.new("ver"), ids.new("lay")
            conn.execute(insert(dataset).values(id=dataset_id, org_id=seller, slug=f"dataset-{number}", title="", created_ns=NOW))
            version = {"number": 1, "state": "published", "request": "{}", "created_ns": NOW, "published_ns": NOW}
            conn.execute(insert(dataset_version).values(id=version_id, dataset_id=dataset_id, **version))
            what = {"name": kind, "kind": kind, "content": "features", "handling_class": "open", "about": "{}"}
            conn.execute(insert(layer).values(id=layer_id, version_id=version_id, **what))
            terms = {"licence": "commercial", "rate_card": json.dumps(rates), "state": "live", "created_ns": NOW}
            conn.execute(insert(offer).values(id=ids.new("off"), org_id=seller, dataset_id=dataset_id, version_id=version_id, **terms))
            layer_ids.append(layer_id)
        small = rng.integers(1, 200_000, size=(len(cells), 7))
        _insert_tiles(conn, [layer_ids[number] for number in numbers.tolist()], cells.tolist(), small.tolist())
    _analyse(ex)
    started = time.perf_counter()
    with db.begin(ex) as conn:
        for layer_id in layer_ids:
            cell_sums.fill(conn, layer_id)
    print(f"pyramid of {len(layer_ids)} layers filled in {time.perf_counter() - started:.1f} s")
    _analyse(ex)


def _analyse(ex: Exchange) -> None:
    with ex.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        # What PostgreSQL's autovacuum does within a minute; done at once, it does not run beside the measurement.
        conn.execute(text("ANALYZE" if db.is_sqlite(conn) else "VACUUM ANALYZE"))


def _insert_tiles(conn: Any, layer_ids: list[str], cells: list[int], small: list[list[int]]) -> None:
    names = "layer_id, cell, part, object_key, sha256, media_type, west, south, east, north, "
    names += "lane_mm, footway_mm, crossings, signs, points, frames, bytes"
    rows = (
        (layer_id, cell, 0, f"o/{layer_id}{cell}", f"{cell:064x}", "application/vnd.apache.parquet", 0, 0, 0, 0, *values)
        for layer_id, cell, values in zip(layer_ids, cells, small, strict=True)
    )
    raw = conn.connection.driver_connection
    if db.is_sqlite(conn):
        raw.executemany(f"INSERT INTO tile ({names}) VALUES ({', '.join('?' * 17)})", rows)
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY tile ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def stars(target: int, n: int) -> list[Region]:
    """Irregular star-shaped regions of about `target` cells."""
    rng = np.random.default_rng(target)
    regions = []
    corners = {10: 8, 1000: 40, 100_000: 200}[target]
    for _ in range(n):
        lon, lat, _ = CITIES[rng.choice(len(CITIES), p=CITIES[:, 2] / CITIES[:, 2].sum())]
        if target == 100_000:
            lon, lat = 127.7, 36.4
        centre_x, centre_y = grid.tile_xy(np.array([lon + rng.normal(0, 0.1)]), np.array([lat + rng.normal(0, 0.1)]))
        radius = np.sqrt(target / np.pi) * (1 + 0.25 * rng.uniform(-1, 1, corners)) * 0.97
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        ring = np.stack([grid.lon_of(centre_x + radius * np.cos(angle)), grid.lat_of(centre_y + radius * np.sin(angle))], axis=1)
        regions.append(Region.from_geojson(json.loads(shapely.to_geojson(shapely.polygons(ring)))))
    return regions


def _timed(what: str, calls: list[Callable[[], Any]], note: Callable[[list[Any]], str] = lambda _: "") -> dict[str, Any]:
    spent, answers = [], []
    for call in calls:
        started = time.perf_counter()
        answers.append(call())
        spent.append((time.perf_counter() - started) * 1e3)
    p50, p95 = np.percentile(spent, [50, 95])
    return {"what": what, "n": len(calls), "p50": float(p50), "p95": float(p95), "max": max(spent), "note": note(answers)}


def _measure(ex: Exchange, buyer: Actor, owner: Actor, rounds: int) -> list[dict[str, Any]]:
    results = []
    for target, n in ((10, 40), (1000, 40), (100_000, 8)):
        regions = stars(target, n)
        size = np.median([cover(region).count for region in regions])
        for by in (buyer, owner):
            if by is owner:
                _buy_much(ex, owner)
            calls = [lambda region=region, by=by: document(estimates.estimate(ex, by, of_area(region))) for region in regions * rounds]
            calls[0]()
            results.append(_timed(f"estimate, {size:,.0f} cells, {by.org_slug}", calls, _lines))  # type: ignore[arg-type]
        results.append(_timed(f"  of it: cover, {size:,.0f} cells", [lambda r=r: cover(r).pyramid() for r in regions * rounds]))
    results += _map(ex)
    results += _trade(ex, buyer)
    return results


def _map(ex: Exchange) -> list[dict[str, Any]]:
    """Coverage tiles through the web application, around the largest cities; a tile has at most 1,024 squares."""
    from web import create_app

    client = create_app(ex).test_client()
    results = []
    for z in (0, 3, 5, 7, 8, 9, 10, 11, 14):
        x, y = grid.tile_xy(CITIES[:4, 0], CITIES[:4, 1], z)
        paths = {
            f"/map/coverage/{z}/{int(i + dx)}/{int(j + dy)}.mvt" for i, j in zip(x, y, strict=True) for dx in (-1, 0) for dy in (-1, 0)
        }
        asked = sorted(path for path in paths if "/-" not in path)
        calls = [lambda path=path: client.get(path) for path in asked * max(1, 60 // len(asked))]
        calls[0]()
        results.append(_timed(f"coverage tile, zoom {z}", calls, _sizes))  # type: ignore[arg-type]
    return results


def _sizes(answers: list[Any]) -> str:
    assert all(answer.status_code == 200 for answer in answers)
    return f"{np.median([len(answer.data) for answer in answers]):,.0f} bytes, at most {max(len(answer.data) for answer in answers):,}"


def _lines(answers: list[Any]) -> str:
    tiles = [answer["tiles"] for answer in answers]
    owned = [sum(line["owned_tiles"] for line in answer["lines"]) for answer in answers]
    lines = [len(answer["lines"]) for answer in answers]
    return f"{np.median(lines):.0f} lines, {np.median(tiles):,.0f} tiles, {np.median(owned):,.0f} owned"


def _buy_much(ex: Exchange, owner: Actor) -> None:
    """20,000 tiles or more, once."""
    if orders.of(ex, owner).orders:
        return
    x, y = grid.tile_xy(np.array([126.98]), np.array([37.56]))
    gx, gy = np.meshgrid(np.arange(int(x[0]) - 35, int(x[0]) + 35), np.arange(int(y[0]) - 35, int(y[0]) + 35))
    started = time.perf_counter()
    ground = Cover.from_cells(grid.morton(gx.ravel(), gy.ravel()))
    everything = Choice(frozenset(row.name for row in estimates.estimate(ex, owner, of_area(ground)).offers))
    made = quotes.quote(ex, owner, of_area(ground, purpose="research", choice=everything))
    quoted = time.perf_counter()
    orders.place(ex, owner, made.id, "much")
    done = time.perf_counter()
    print(f"quote of {made.estimate.tiles:,} tiles {quoted - started:.2f} s, its order {done - quoted:.2f} s")


def _trade(ex: Exchange, buyer: Actor) -> list[dict[str, Any]]:
    """Quote, order and grant of 1,000 tiles of one dataset."""
    results = []
    found = estimates.estimate(ex, buyer, of_area(stars(100_000, 1)[0]))
    big = max(found.lines, key=lambda line: line.tiles)
    with db.read(ex) as conn:
        query = "SELECT t.cell FROM tile t JOIN layer l ON l.id = t.layer_id JOIN dataset_version v ON v.id = l.version_id "
        query += "JOIN dataset d ON d.id = v.dataset_id WHERE d.slug = :slug ORDER BY t.cell LIMIT 5000"
        cells = np.array(conn.execute(text(query), {"slug": big.dataset}).scalars().all(), dtype=np.uint64)
    groups = [Cover.from_cells(cells[i : i + 1000]) for i in range(0, len(cells) - 999, 1000)][:5]
    held: list[quotes.Quote] = []
    results.append(
        _timed(
            "quote, 1,000 tiles",
            [lambda g=g: held.append(quotes.quote(ex, buyer, of_area(g, purpose="research", dataset=big.dataset))) for g in groups],
        )  # type: ignore[misc]
    )
    placed: list[orders.Order] = []
    results.append(_timed("order, 1,000 tiles", [lambda q=q: placed.append(orders.place(ex, buyer, q.id, q.id)) for q in held]))
    chosen = [[tile.id for tile in entitlements.of_order(ex, buyer, one.id).tiles] for one in placed]
    pairs = list(zip(placed, chosen, strict=True)) * 4
    results.append(
        _timed("grant, 1,000 tiles (checked, logged, signed)", [lambda p=p: grants.grant(ex, buyer, p[0].id, p[1]) for p in pairs])
    )
    results.append(_timed("grant, 1 tile", [lambda p=p: grants.grant(ex, buyer, p[0].id, p[1][:1]) for p in pairs * 5]))
    return results


if __name__ == "__main__":
    main()
