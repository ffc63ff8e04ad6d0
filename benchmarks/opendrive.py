"""OpenDRIVE: `mapex inspect` and `mapex tile` as whole commands, cage and second look included.

python -m benchmarks.opendrive [--n 350] [--rounds 3] [--work DIR]

350 streets of 103 m are 36 km. Goal: 3 s a command; ten times as many take at most twelve times as long, in the same memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.generate import opendrive
from benchmarks.harness import compare, report


def main(argv=None):
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[350])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="scratch folder, kept (default: a temporary one)")
    given = parser.parse_args(argv)
    mapex = str(Path(sys.executable).with_name("mapex"))
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        for n in given.n:
            path = str(opendrive(n, work))
            cases = {
                "mapex inspect": lambda out, path=path: [mapex, "inspect", path, "--json"],
                "mapex tile": lambda out, path=path: [mapex, "tile", path, "--out", str(out / "tiles")],
                "mapex tile --recount": lambda out, path=path: [mapex, "tile", path, "--recount", "--out", str(out / "tiles")],
            }
            found = compare(cases, given.rounds, work / "out")
            report(f"OpenDRIVE, {n:,} roads, {n * 0.103:.1f} km, {given.rounds} rounds", found, "mapex inspect")


if __name__ == "__main__":
    main()
