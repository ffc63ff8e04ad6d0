"""README and licences beside downloaded tiles: written anew at each run, and never over a file of somebody else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mapex.client.http import Client, segment
from mapex.errors import Invalid, NotFound
from tiles.formats import MANIFEST

_NAME = re.compile(r"[A-Z][A-Za-z0-9-]{0,63}\.txt")
"""Tiles are called in small letters (`mapex.rules.file_names`), and never as one of these in any capitals."""


def of_order(client: Client, order_id: str) -> Sequence[Mapping[str, Any]]:
    """The texts of an order; none from an exchange of a version before they were."""
    try:
        found: Sequence[Mapping[str, Any]] = client.call("GET", f"/orders/{segment(order_id)}/enclosures").get("enclosures", ())
    except NotFound:
        return ()
    return found


def write(folder: Path, texts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write them; returns how the manifest lists them. A file of that name which is not ours stays, and the text gets another one.

    Raises: Invalid: `download.path`: the exchange gave a name that none of these has.
    """
    before = written(folder)
    return [_write(folder, one, before) for one in texts]


def written(folder: Path) -> dict[str, str]:
    """The texts that the manifest in a folder lists: name and sha256."""
    try:
        listed = json.loads((folder / MANIFEST).read_bytes()).get("enclosures", [])
        return {str(one["path"]): str(one["sha256"]) for one in listed}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # none, or a file of another program


def _write(folder: Path, one: Mapping[str, Any], before: Mapping[str, str]) -> dict[str, Any]:
    name, raw = str(one["path"]), str(one["text"]).encode()
    if not _NAME.fullmatch(name):
        raise Invalid("download.path", f"The exchange named the file {name!r}, which no README or licence is called. Nothing was written.")
    path = folder / name
    if path.is_symlink() or (path.exists() and not _is_ours(path, raw, before)):
        path = folder / f"{path.stem}-mapex.txt"
    fresh = path.with_name(f"{path.name}.part")
    fresh.write_bytes(raw)
    fresh.replace(path)
    return {"path": path.name, "sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}


def _is_ours(path: Path, raw: bytes, before: Mapping[str, str]) -> bool:
    if not path.is_file():
        return False
    there = path.read_bytes()
    return there == raw or before.get(path.name) == hashlib.sha256(there).hexdigest()
