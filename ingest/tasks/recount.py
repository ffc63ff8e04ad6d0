"""The second caged task: open every written tile again and recount it, in a cage that never saw the upload.

A reader that was taken over can write what it likes; only what an honest program finds in its tiles is sold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ingest.cage.answer import tile_from_json


def verify(request: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]) -> None:
    """The caged task `verify`: the folder `reads` holds `records.jsonl` and `tiles/`; answers `{"verified": n}` or `{"bad": ...}` lines."""
    from tiles.recount import verify_each

    folder = Path(request["reads"])
    good = 0
    with (folder / "records.jsonl").open(encoding="utf-8") as lines:
        tiles = (tile_from_json(json.loads(line)) for line in lines)
        for tile, why in verify_each((folder / "tiles" / tile.path, tile) for tile in tiles):
            if why is not None:
                emit({"bad": {"path": tile.path, "message": why.message}})
                continue
            good += 1
            if good % 200 == 0:
                emit({"progress": {"stage": "verify", "done": good, "total": int(request["total"]), "file": request["name"]}})
    emit({"verified": good})
