"""`_manifest.json` of a folder of downloaded tiles: what is in it, under which licence, and how much of the order is not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mapex.rules.file_names import portable
from tiles.formats import MANIFEST, OLD_MANIFEST

KEYS = ("path", "sha256", "size", "dataset", "version", "layer", "tile", "place", "part", "media_type", "licence", "attribution")
"""What the manifest says of each file."""
_LAYER = ("dataset", "version", "layer")
_SAME = ("sha256", "size", "dataset", "version", "layer", "tile", "part")

Known = tuple[object, ...]
"""What makes a file the same one in two manifests."""


def known(tile: dict[str, Any]) -> Known:
    """What a file is, whatever it is called."""
    return tuple(tile.get(name) for name in _SAME)


def earlier(folder: Path) -> dict[Known, str]:
    """Where the manifest that is in a folder, of this version or of one before, says that each file is; empty where there is none."""
    for name in (MANIFEST, OLD_MANIFEST):
        try:
            files = json.loads((folder / name).read_bytes())["files"]
            return {known(file): str(file["path"]) for file in files}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # none, or a file of another program
    return {}


def paths(folder: Path) -> list[str]:
    """The files of tiles that the manifest in a folder lists."""
    return [str(file["path"]) for file in _listed(folder, "files")]


def written_before(folder: Path) -> dict[str, dict[str, Any]]:
    """What was written from the tiles in a folder in other formats and is there: name -> what the manifest says of it."""
    named = {str(one.get("file", "")): one for one in _listed(folder, "written")}
    return {name: one for name, one in named.items() if Path(name).name == name and name and (folder / name).exists()}


def add_written(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Let the manifest say what was written in other formats."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["written"] = [*({**written_before(folder), **{str(one["file"]): one for one in records}}).values()]
    _put(folder, manifest)


def _listed(folder: Path, member: str) -> list[dict[str, Any]]:
    try:
        found = json.loads((folder / MANIFEST).read_bytes()).get(member, [])
    except (OSError, ValueError, AttributeError):
        return []  # none, or a file of another program
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def write(
    folder: Path, order: dict[str, Any], tiles: list[dict[str, Any]], left_out: dict[str, int], beside: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write the manifest of these tiles; `left_out` counts files and bytes of the order that are not in the folder.

    `beside` are the texts put beside them, as `mapex.client.enclosures` wrote them.

    A file that has another name here than in the exchange is under the name that it has here, and `sold_as` is the other one.
    """
    there = {tuple(tile.get(name) for name in _LAYER) for tile in tiles}
    manifest = {
        "order": order["id"],
        "purpose": order.get("purpose"),
        "licence": sorted({t["licence"] for t in tiles}),
        "attribution": sorted({t["attribution"] for t in tiles if t["attribution"]}),
        **({"left_out": left_out} if left_out["files"] else {}),
        "layers": [layer for layer in order.get("layers", []) if tuple(layer.get(name) for name in _LAYER) in there],
        **({"enclosures": list(beside)} if beside else {}),
        **({"written": [*others.values()]} if (others := written_before(folder)) else {}),
        "files": [_file(tile) for tile in tiles],
    }
    _put(folder, manifest)
    old = folder / OLD_MANIFEST
    if old.is_file() and order["id"] in old.read_text(encoding="utf-8", errors="replace"):
        old.unlink()


def _put(folder: Path, manifest: Mapping[str, Any]) -> None:
    path = folder / MANIFEST
    fresh = path.with_name(f"{MANIFEST}.part")
    fresh.write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    fresh.replace(path)


def _file(tile: dict[str, Any]) -> dict[str, Any]:
    here = portable(tile["path"])
    return {**{name: tile.get(name) for name in KEYS}, "path": here} | ({"sold_as": tile["path"]} if here != tile["path"] else {})
