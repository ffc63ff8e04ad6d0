"""The README's five minutes work as they are written: the very lines, run by a shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.servers import free_port

ROOT = Path(__file__).parents[3]
ID_OF = """python3 -c 'import json,sys; print(json.load(sys.stdin)["id"])'"""


def five_minutes() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"## Five minutes\n+```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_five_minutes_of_the_readme_work_as_written(samples: Path, tmp_path: Path) -> None:
    lines = five_minutes()
    # What a reader fills in: the environment, a free port, and the two ids that earlier lines printed.
    lines = lines.replace("source .venv/bin/activate", "true").replace("8080", str(free_port()))
    lines = lines.replace(
        "mapex buy QUOTE_ID", f"QUOTE_ID=$(mapex quote --region area.geojson --purpose research --json | {ID_OF})\nmapex buy $QUOTE_ID"
    )
    lines = lines.replace("mapex get ORDER_ID", f"ORDER_ID=$(mapex buy $QUOTE_ID --key K --json | {ID_OF})\nmapex get $ORDER_ID")
    shutil.copy(samples / "lanelet2" / "kashiwa_mgrs_lanelet2_map.osm", tmp_path / "map.osm")
    box = "[[139.93,35.90],[139.94,35.90],[139.94,35.91],[139.93,35.91],[139.93,35.90]]"
    (tmp_path / "area.geojson").write_text(f'{{"type":"Polygon","coordinates":[{box}]}}')
    script = f"set -eu\ntrap 'kill $(jobs -p)' EXIT\n{lines}"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")}
    clean["PATH"] = f"{Path(sys.executable).parent}:{clean['PATH']}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Version 1 of karlsruhe: draft" in done.stdout
    assert "access.granted" in done.stdout and "All invariants hold." in done.stdout
    assert (tmp_path / "DIR" / "_manifest.json").exists()
