"""Vector tiling: a GeoParquet file to one GeoParquet file per z16 cell, mapex beside geopandas (sjoin + intersection + to_parquet).

python -m benchmarks.vector [--n 100000] [--rounds 3] [--processes 2] [--work DIR]

geopandas cuts features at the edges and drops nothing else; mapex stores them whole, measures what is inside and adds the owner flags,
lengths, hashes and boxes. Both start from the same file and end with closed files. Goal: 3 times as fast, at most half the memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import compare, report

KINDS = {
    "A2_LINK": "lane_centre",
    "B2_SURFACELINEMARK": "lane_border",
    "B2_STOPLINE": "stop_line",
    "B1_SAFETYSIGN": "sign",
    "B3_SURFACEMARK": "marking",
    "A4_SIDEWALK": "sidewalk",
    "B3_CROSSWALK": "crossing",
}


def batches(source):
    """Batches of one row group; `source` is (path, number of the row group)."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from tiles.batch import Batch, Content, LayerKind

    path, group = source
    with pq.ParquetFile(path, read_dictionary=["kind"]) as file:
        for rows in file.iter_batches(16_384, row_groups=[group], use_threads=False):
            coded = rows.column("kind")
            kind = pa.array([KINDS[k] for k in coded.dictionary.to_pylist()]).take(coded.indices)
            texts = [rows.column(name).cast(pa.string()) for name in ("kind", "link", "speed", "maker", "updated")]
            keys = ['{"kind":"', '","link":', ',"speed":', ',"maker":"', '","updated":']
            properties = pc.binary_join_element_wise(*(part for pair in zip(keys, texts, strict=True) for part in pair), "}", "")
            columns = {"feature_id": rows.column("id"), "kind": kind, "geometry": rows.column("geometry"), "properties": properties}
            yield Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, pa.table(columns))


def run_mapex(path, out, processes):
    """The splitter fed with row groups by its own processes."""
    import pyarrow.parquet as pq

    from tiles.batch import Quantities
    from tiles.features.splitter import FeatureSplitter

    splitter = FeatureSplitter(Path(out), layer="hdmap", part=0, processes=processes)
    with pq.ParquetFile(path) as file:
        groups = file.num_row_groups
    splitter.add_each(batches, [(path, group) for group in range(groups)])
    total, tiles = Quantities(), 0
    for tile in splitter.finish():
        total, tiles = total + tile.quantities, tiles + 1
    print(f"{tiles} tiles, {total.features} owned, {total.lane_mm / 1e6:.3f} km of lanes, {total.bytes / 1e6:.1f} MB")


def run_mapex_stream(path, out, processes):
    """The splitter fed by its parent process, as a reader that cannot be shared out does."""
    import pyarrow.parquet as pq

    from tiles.features.splitter import FeatureSplitter

    splitter = FeatureSplitter(Path(out), layer="hdmap", part=0, processes=processes)
    with pq.ParquetFile(path) as file:
        groups = file.num_row_groups
    for group in range(groups):
        for batch in batches((path, group)):
            splitter.add(batch)
    print(f"{sum(1 for _ in splitter.finish())} tiles")


def run_geopandas(path, out, _processes):
    """What one writes with geopandas: join with the grid, cut, one file a cell."""
    import geopandas as gpd
    import numpy as np
    import shapely

    from tiles.grid import grid

    frame = gpd.read_parquet(path)
    w, s, e, n = frame.total_bounds
    (x0, x1), (y0, y1) = (np.floor(v).astype(int) for v in grid.tile_xy([w, e], [n, s]))
    x, y = (v.ravel() for v in np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)))
    boxes = gpd.GeoDataFrame({"tx": x, "ty": y}, geometry=shapely.box(*grid.bounds_of(grid.morton(x, y)).T), crs=4326)
    joined = gpd.sjoin(frame, boxes, predicate="intersects")
    joined.geometry = shapely.intersection(np.asarray(joined.geometry.values), np.asarray(boxes.geometry.values)[joined.index_right])
    joined = joined[~joined.geometry.is_empty].drop(columns="index_right")
    tiles = 0
    for (column, row), rows in joined.groupby(["tx", "ty"]):
        rows.drop(columns=["tx", "ty"]).to_parquet(Path(out) / f"{column}_{row}.parquet", compression="zstd", index=False)
        tiles += 1
    print(f"{tiles} tiles, {len(joined)} pieces")


CASES = {"mapex": run_mapex, "stream": run_mapex_stream, "geopandas": run_geopandas}


def main(argv=None):
    """Measure and print; with --case run one case in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=float, nargs="+", default=[100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, help="scratch folder, kept (default: a temporary one)")
    parser.add_argument("--command", action="store_true", help="also measure `mapex tile`")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--input", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.case:
        if given.case != "geopandas":
            from ingest.tasks.program import WithoutPandas

            sys.meta_path.insert(0, WithoutPandas())  # as in the cage
        CASES[given.case](given.input, given.out, given.processes)
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        for n in map(int, given.n):
            # In a process of its own: a child counts what its parent held when it was forked as its own peak.
            made = subprocess.run(
                [sys.executable, "-m", "benchmarks.generate", "hdmap", "--n", str(n), "--to", str(work)], check=True, stdout=subprocess.PIPE
            )
            path = Path(made.stdout.decode().strip())

            def case(name, processes, path=path):
                command = [sys.executable, "-m", "benchmarks.vector", "--case", name, "--processes", str(processes), "--input", str(path)]
                # The cage gives its child the plain allocator (ingest.cage.launch); so does this.
                plain = [] if name == "geopandas" else ["env", "ARROW_DEFAULT_MEMORY_POOL=system"]
                return lambda out: [*plain, *command, "--out", str(out)]

            cases = {
                "geopandas sjoin + intersection + to_parquet": case("geopandas", 1),
                f"mapex FeatureSplitter, {given.processes} processes": case("mapex", given.processes),
                f"mapex FeatureSplitter, fed, {given.processes} processes": case("stream", given.processes),
                "mapex FeatureSplitter, 1 process": case("mapex", 1),
            }
            if given.command:
                tile = [str(Path(sys.executable).with_name("mapex")), "tile", str(path)]
                cases["mapex tile (caged)"] = lambda out, tile=tile: [*tile, "--out", str(out / "tiles")]
            found = compare(cases, given.rounds, work / "out")
            report(f"vector tiling, {n:,} features, {given.rounds} rounds", found, next(iter(cases)))


if __name__ == "__main__":
    main()
