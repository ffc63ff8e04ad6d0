"""Point tiling: one LAZ drive to one LAZ file per z16 cell, mapex beside laspy, which sorts 2 million points at a time by cell.

python -m benchmarks.points [--n 20000000] [--rounds 3] [--work DIR]

All cases read the same file, give the same points to the same cells and close their files; the sums of X, Y, Z and GPS time of all tiles
are compared (unless --no-check). mapex writes headers with measured boxes, sha256 and price vectors besides. laspy is run in two ways: with
pyproj for every point, as its users do, and with our fitted cells, so that only reading, dividing and writing differ. The bound is
unpacking and packing one file. Goal: 1.5 times as fast as laspy, at most 250 MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import compare, report

CRS = "EPSG:32652"
SORTED = 2_000_000


def run_mapex(path, out):
    """`split_laz`, as the pipeline calls it."""
    from tiles.points.las_split import split_laz
    from tiles.points.records import SplitCounts

    counts = SplitCounts()
    tiles = list(split_laz(Path(path), Path(out), layer="points", part=0, crs=CRS, counts=counts))
    return {"tiles": len(tiles), "points": counts.placed, "copied": round(counts.copied / counts.placed, 3)}


def run_laspy(path, out, cells_of):
    """Sort each 2 million points by cell, a writer per cell, lazrs on all cores."""
    import laspy
    import numpy as np

    writers = {}
    points = 0
    backend = laspy.LazBackend.LazrsParallel
    with laspy.open(path, laz_backend=backend) as reader:
        for chunk in reader.chunk_iterator(SORTED):
            points += len(chunk)
            cells = cells_of(np.asarray(chunk.x), np.asarray(chunk.y))
            order = np.argsort(cells, kind="stable")
            ordered, together = cells[order], chunk[order]
            ends = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1], True])
            for begin, end in zip(ends[:-1], ends[1:], strict=True):
                cell = int(ordered[begin])
                if cell not in writers:
                    writers[cell] = laspy.open(Path(out) / f"{cell}.laz", "w", header=reader.header, laz_backend=backend)
                writers[cell].write_points(together[begin:end])
    for writer in writers.values():
        writer.close()
    return {"tiles": len(writers), "points": points}


def run_laspy_pyproj(path, out):
    """laspy with every point through pyproj."""
    import numpy as np
    import pyproj

    mercator = pyproj.Transformer.from_crs(CRS, 3857, always_xy=True)
    half, scale = 20037508.342789244, 65536 / 40075016.685578488

    def cells_of(x, y):
        east, north = mercator.transform(x, y)
        return np.floor((east + half) * scale).astype(np.int64) << 16 | np.floor((half - north) * scale).astype(np.int64)

    return run_laspy(path, out, cells_of)


def run_laspy_fitted(path, out):
    """laspy with our fitted cells."""
    from tiles.points.cell_finder import CellFinder

    return run_laspy(path, out, CellFinder(CRS).cells)


def run_bound(path, out):
    """Unpack and pack one file, no cells: what reading and writing every point costs."""
    import laspy

    backend = laspy.LazBackend.LazrsParallel
    with (
        laspy.open(path, laz_backend=backend) as reader,
        laspy.open(Path(out) / "all.laz", "w", header=reader.header, do_compress=True, laz_backend=backend) as writer,
    ):
        for chunk in reader.chunk_iterator(SORTED):
            writer.write_points(chunk)
        return {"tiles": 1, "points": reader.header.point_count}


CASES = {"mapex": run_mapex, "laspy": run_laspy_pyproj, "laspy-fitted": run_laspy_fitted, "bound": run_bound}


def sums(folder):
    """Files, points, and exact sums of X, Y, Z and of GPS time in whole microseconds over all LAZ files below a folder."""
    import laspy
    import numpy as np

    total = np.zeros(4, np.int64)
    points = files = 0
    for path in sorted(Path(folder).rglob("*.laz")):
        files += 1
        with laspy.open(path) as reader:
            for chunk in reader.chunk_iterator(SORTED):
                points += len(chunk)
                total[:3] += [np.asarray(chunk[axis], np.int64).sum() for axis in "XYZ"]
                total[3] += np.rint((np.asarray(chunk.gps_time) - 4e8) * 1e6).astype(np.int64).sum()
    return files, points, total.tolist()


def check(path, work):
    """All cases hold the same points as the source."""
    import shutil

    wanted = None
    for name, case in CASES.items():
        out = work / "check"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        case(path, out)
        files, points, total = sums(out)
        wanted = wanted or (points, total)
        if (points, total) != wanted:
            raise SystemExit(f"{name} holds {points} points with sums {total}, not {wanted}")
        print(f"  {name}: {files} files, {points} points, sums {total}", file=sys.stderr)
        shutil.rmtree(out)


def prepare(path, n, *, checked):
    """Generate the drive once, and compare what all cases make of it."""
    from benchmarks.generate_points import write

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write(path.with_suffix(".part.laz"), n)
        path.with_suffix(".part.laz").rename(path)
    if checked:
        check(path, path.parent)


def main(argv=None):
    """Generate, check, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=float, default=2e7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", default=str(Path(tempfile.gettempdir()) / "mapex-bench"))
    parser.add_argument("--no-check", action="store_true")
    parser.add_argument("--prepare", action="store_true", help="only generate and check (used for a fresh process)")
    parser.add_argument("--case", nargs=3, metavar=("NAME", "FILE", "OUT"), help="run one case and end (used for fresh processes)")
    given = parser.parse_args(argv)
    if given.case:
        name, path, out = given.case
        print(json.dumps(CASES[name](path, out)))
        return
    n, work = int(given.n), Path(given.work)
    path = work / f"points_{n}.laz"
    if given.prepare:
        prepare(path, n, checked=not given.no_check)
        return
    # In a process of its own: a child's peak begins with what its parent held when it was forked.
    again = sys.argv[1:] if argv is None else argv
    subprocess.run([sys.executable, "-m", "benchmarks.points", *again, "--prepare"], check=True)
    commands = {
        name: lambda out, name=name: [sys.executable, "-m", "benchmarks.points", "--case", name, str(path), str(out)] for name in CASES
    }
    found = compare(commands, given.rounds, work / "out")
    report(f"LAZ to z16 cells, {n:,} points, {path.stat().st_size / 1e6:.0f} MB", found, "mapex")


if __name__ == "__main__":
    main()
