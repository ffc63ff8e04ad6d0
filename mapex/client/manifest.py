"""`_manifest.json` of a folder of downloaded tiles: what is in it, under which licence, and how much of the order is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiles.formats import MANIFEST, OLD_MANIFEST

KEYS = ("path", "sha256", "size", "dataset", "version", "layer", "tile", "place", "part", "media_type", "licence", "attribution")
"""What the manifest says of each file."""
_LAYER = ("dataset", "version", "layer")


def write(folder: Path, order: dict[str, Any], tiles: list[dict[str, Any]], left_out: dict[str, int]) -> None:
    """Write the manifest of these tiles; `left_out` counts files and bytes of the order that are not in the folder."""
    there = {tuple(tile.get(name) for name in _LAYER) for tile in tiles}
    manifest = {
        "order": order["id"],
        "purpose": order.get("purpose"),
        "licence": sorted({t["licence"] for t in tiles}),
        "attribution": sorted({t["attribution"] for t in tiles if t["attribution"]}),
        **({"left_out": left_out} if left_out["files"] else {}),
        "layers": [layer for layer in order.get("layers", []) if tuple(layer.get(name) for name in _LAYER) in there],
        "files": [{k: t.get(k) for k in KEYS} for t in tiles],
    }
    path = folder / MANIFEST
    fresh = path.with_name(f"{MANIFEST}.part")
    fresh.write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    fresh.replace(path)
    old = folder / OLD_MANIFEST
    if old.is_file() and order["id"] in old.read_text(encoding="utf-8", errors="replace"):
        old.unlink()
