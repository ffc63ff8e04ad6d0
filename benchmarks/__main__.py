"""`make bench`: every benchmark after the other, or those named: `make bench ARGS="vector points market"`."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("vector", "opendrive", "points", "market", "audit", "fsck", "pages", "places")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    worst = 0
    for name in names or BENCHMARKS:
        print(f"== {name}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
